"""Commands for symposia: confirm, announce, move, call off, register."""

import json
from datetime import date, datetime, time
from typing import Annotated

import typer
from sqlalchemy import select

from mailer.addresses import wire_address
from mailer.cli import terminal
from mailer.db.programme import Symposium
from mailer.messages import when
from mailer.services.programme import places, symposia
from mailer.services.programme.dates import Moment, moment_of
from mailer.services.programme.register import Attendee, register
from mailer.vocabulary import Precision, RegistrationState

symposium = typer.Typer(help="Symposia: everything follows when one moves.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="The symposium's slug or number.")]
Day = Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="The day.")]
Hour = Annotated[str | None, typer.Option("--time", help="Its local time, 24 hours: 12:00.")]
Zone = Annotated[str | None, typer.Option("--zone", help="Its IANA zone, such as America/New_York.")]


@symposium.command("list")
@terminal.command
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """All symposia by date, with what still needs a person."""
    with terminal.house().database.read() as session:
        found = session.scalars(select(Symposium).order_by(Symposium.day, Symposium.id)).all()
        listed = [
            {
                "id": one.id,
                "slug": one.slug,
                "title": one.title,
                "state": one.state.value,
                "when": _when(one),
                "precision": one.precision.value,
                "questions": one.questions,
            }
            for one in found
        ]
    if as_json:
        terminal.as_json(listed)
        return
    rows = [(str(one.id), _when(one), one.state.value, one.slug, " ".join(one.questions)) for one in found]
    terminal.table("Symposia", ("id", "when", "state", "slug", "needs"), rows)


@symposium.command("show")
@terminal.command
def show(which: Which) -> None:
    """One symposium with the source of every field."""
    with terminal.house().database.read() as session:
        one = symposia.find(session, which)
        facts = {
            "id": one.id,
            "title": one.title,
            "series": one.series.name if one.series else None,
            "when": _when(one),
            "state": one.state.value,
            "generation": one.generation,
            "sequence": one.sequence,
            "duration": f"{one.minutes} minutes, {one.end_source.value}",
            "speakers": one.speakers,
            "languages": one.languages,
            "place": one.place,
            "online": one.online,
            "join_link": "set" if one.room else None,
            "capacity": one.capacity,
            "waiting_list": one.waiting_list,
            "registration_window": one.registration_window,
            "register_url": one.register_url,
            "asks_access": one.asks_access,
            "form": one.form_fields,
            "registered": {
                state.value: count
                for state in RegistrationState
                if (count := places.count(session, one, state))
            },
            "sources": one.sources,
            "questions": one.questions,
            "raw": one.raw,
        }
    terminal.say(json.dumps(facts, ensure_ascii=False, indent=2))


def _when(one: Symposium) -> str:
    if one.precision is Precision.DATETIME and one.day and one.wall_time:
        return f"{one.day:%a %Y-%m-%d} {one.wall_time:%H:%M} {one.zone}"
    return symposia.month_start(one) or "to be announced"


@symposium.command("confirm")
@terminal.command
def confirm(which: Which, day: Day = None, hour: Hour = None, zone: Zone = None) -> None:
    """Settle what was inferred, such as a year: as it stands, or with the given date instead."""
    house = terminal.house()
    with house.database.write() as session:
        one = symposia.find(session, which)
        given = day is not None or hour is not None or zone is not None
        moment = _moment(moment_of(one), day, hour, zone) if given else None
        symposia.confirm(session, one, actor=terminal.actor(), now=terminal.now(), moment=moment)
        told = _when(one)
    terminal.say(f"Confirmed: {told}.")


@symposium.command("announce")
@terminal.command
def announce(which: Which) -> None:
    """Open a symposium for registration and plan its reminders. Mails nobody."""
    house = terminal.house()
    with house.database.write() as session:
        one = symposia.find(session, which)
        ahead = symposia.announce_symposium(session, house, one, actor=terminal.actor(), now=terminal.now())
    terminal.say(f"Announced. Reminders ahead: {ahead}. Next: mailer symposium register {which}")


@symposium.command("move")
@terminal.command
def move(which: Which, day: Day = None, hour: Hour = None, zone: Zone = None) -> None:
    """Give an announced symposium another date: reminders follow, attendees are told."""
    if day is None and hour is None and zone is None:
        terminal.fail("Say where to move it: --date 2024-09-28, --time 13:00 or --zone Europe/Kyiv.")
    house = terminal.house()
    with house.database.write() as session:
        one = symposia.find(session, which)
        moment = _moment(moment_of(one), day, hour, zone)
        notice = symposia.move(session, house, one, moment, actor=terminal.actor(), now=terminal.now())
        told = (
            f"Moved to {_when(one)}. Follow the notice with: mailer mailing show {notice.key}"
            if notice
            else ""
        )
    terminal.say(told or "That is its date already; nothing was changed.")


@symposium.command("call-off")
@terminal.command
def call_off(
    which: Which,
    reason: Annotated[str | None, typer.Option(help="One sentence for the attendees.")] = None,
) -> None:
    """Call a symposium off: reminders stop, attendees are told. It cannot be undone."""
    house = terminal.house()
    with house.database.write() as session:
        one = symposia.find(session, which)
        notice = symposia.call_off(
            session, house, one, reason=reason, actor=terminal.actor(), now=terminal.now()
        )
        key = notice.key
    terminal.say(f"Called off. Follow the notice with: mailer mailing show {key}")


@symposium.command("register")
@terminal.command
def register_(
    which: Which,
    address: Annotated[str, typer.Option(prompt=True, help="The attendee's address.")],
    name: Annotated[str | None, typer.Option(help="How they want to be addressed.")] = None,
    language: Annotated[list[str] | None, typer.Option(help="Their languages, in order; repeatable.")] = None,
    zone: Annotated[str | None, typer.Option(help="Their own IANA zone, if they told it.")] = None,
) -> None:
    """Register an attendee; the confirmation with the invitation goes out at once."""
    if zone is not None:
        when.zone_named(zone)
    attendee = Attendee(address=wire_address(address), name=name, languages=tuple(language or ()), zone=zone)
    house = terminal.house()
    with house.database.write() as session:
        registration = register(session, house, symposia.find(session, which), attendee, terminal.now())
        number, waits = registration.id, registration.state is RegistrationState.WAITING
    terminal.say(f"{'On the waiting list' if waits else 'Registered'} as number {number}.")


def _moment(old: Moment, day: datetime | None, hour: str | None, zone: str | None) -> Moment:
    """The old moment with what was given in its place."""
    if zone is not None:
        when.zone_named(zone)
    new_day: date | None = day.date() if day else old.day
    new_time = _time(hour) if hour else old.wall_time
    exact = new_day is not None and new_time is not None and (zone or old.zone) is not None
    precision = Precision.DATETIME if exact else Precision.DATE if day else old.precision
    return Moment(precision=precision, day=new_day, wall_time=new_time, zone=zone or old.zone)


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        terminal.fail(f'"{text}" is no time of day. Write it with 24 hours, such as 12:00 or 18:30.')
