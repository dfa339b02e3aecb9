"""Commands about who comes to a symposium: facts and questions, lists in, attendance, join links."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.cli import terminal
from mailer.cli.symposia import Which
from mailer.db.people import Subscriber, Topic
from mailer.db.programme import Registration, Symposium
from mailer.ingest.people import read_people
from mailer.services import audit
from mailer.services.house import House
from mailer.services.programme import places, symposia
from mailer.services.programme.register import zone_of
from mailer.services.registration import attendance as presence
from mailer.services.registration import details, joining, roll, self_service
from mailer.services.registration.attendance import Marked
from mailer.services.registration.details import Details
from mailer.services.registration.questions import read_questions
from mailer.services.registration.roll import ACCESS, UNSAID, Rolled
from mailer.visible import one_line

SHOWN = 20  # refused rows told on the terminal

File = Annotated[str, typer.Argument(help="A CSV file in UTF-8, or - for standard input.")]
Apply = Annotated[bool, typer.Option("--apply", help="Do it; without this it is only shown.")]
Number = Annotated[int, typer.Argument(help="The registration's number, as the list shows it.")]


@terminal.command
def registrations(
    which: Which,
    needs: Annotated[
        bool,
        typer.Option("--needs", help="Also needs and answers; the audit log notes it."),
    ] = False,
    address: Annotated[str | None, typer.Option(help="Only this person's; - to be asked for it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """Who is registered, by number, with the waiting list in its order. Prints no address and no name."""
    house = terminal.house()
    wanted = typer.prompt("Address") if address == "-" else address
    with house.database.write() as session:
        one = symposia.find(session, which)
        statement = (
            select(Registration, Subscriber)
            .join(Subscriber, Subscriber.id == Registration.subscriber_id)
            .where(Registration.symposium_id == one.id)
            .order_by(Registration.state, Registration.registered_at, Registration.id)
        )
        if wanted is not None:
            statement = statement.where(Subscriber.address_index == house.vault.address_index(wanted))
        found = session.execute(statement).all()
        rows = [_row(house, registration, person, needs=needs) for registration, person in found]
        if needs:
            audit.record(
                session,
                actor=terminal.actor(),
                action="registration-needs-read",
                subject=f"symposium:{one.id}",
                now=terminal.now(),
            )
        free = places.free(session, one)
    if as_json:
        terminal.as_json(rows)
        return
    columns = ["number", "state", "since", "language", "zone", "attendance", *(["told"] if needs else [])]
    told = "no limit" if free is None else f"{free:,} places free"
    terminal.table(f"Registrations, {told}", columns, [[str(row[name]) for name in columns] for row in rows])


def _row(house: House, registration: Registration, person: Subscriber, *, needs: bool) -> dict[str, object]:
    row: dict[str, object] = {
        "number": registration.id,
        "state": registration.state.value,
        "since": f"{registration.registered_at:%Y-%m-%d %H:%M}",
        "language": " ".join(registration.languages or person.languages),
        "zone": zone_of(registration, person) or "",
        "attendance": registration.attendance.value,
    }
    if needs:
        row["told"] = _told(details.read(house, registration))
    return row


def _told(told: Details) -> str:
    parts = [f"access: {told.access}"] if told.access else []
    return one_line("; ".join([*parts, *(f"{key}: {answer}" for key, answer in told.answers.items())]))


@terminal.command
def withdraw(which: Which, number: Number) -> None:
    """Withdraw an attendee who asked for it: they are told, and the place goes to whoever waits."""
    house = terminal.house()
    with house.database.write() as session:
        one, registration = _registration(session, which, number)
        symposia.lock(session, one)
        places.give_back(session, house, one, registration, terminal.now())
        _note(session, "registration-withdrawn", registration)
    terminal.say(f"Registration {number} is withdrawn.")


@terminal.command
def join_link(
    which: Which,
    revoke: Annotated[int | None, typer.Option(help="Shut the links of this registration.")] = None,
    send: Annotated[bool, typer.Option("--send", help="Mail them a new one.")] = False,
) -> None:
    """Say where the room is, or shut one attendee's link to it. Others' links go on working."""
    house = terminal.house()
    with house.database.write() as session:
        if revoke is None:
            room = joining.open_room(house, symposia.find(session, which))
            terminal.say(room or f"No room is set: mailer symposium set {which} --join-url https://...")
            return
        _, registration = _registration(session, which, revoke)
        joining.revoke(session, registration)
        _note(session, "join-link-revoked", registration)
        sent = send and self_service.send_again(session, house, registration, terminal.now(), joining=True)
    terminal.say(f"The links of registration {revoke} are shut.{' A new one is on its way.' if sent else ''}")


@terminal.command
def import_(
    which: Which,
    file: File,
    apply: Apply = False,
    mail: Annotated[
        bool, typer.Option("--send-confirmations", help="Mail everyone who gets a place by this list.")
    ] = False,
) -> None:
    """Register the people of a CSV list: email (needed), name, language, zone, access, questions' keys.

    Without --apply it only shows what would happen. Nobody who withdrew is brought back; importing
    again adds nobody and mails nobody twice.
    """
    house = terminal.house()
    with house.database.read() as session:
        one = symposia.find(session, which)
        columns = {ACCESS, *(question.key for question in read_questions(one.form_fields))}
        topics = frozenset(session.scalars(select(Topic.key)))
    with _opened(file) as stream:
        people = read_people(stream, known_topics=topics, default_language=UNSAID, others=columns)
        rolled = roll.import_sign_ups(
            house,
            which,
            people,
            mail=mail,
            keep=apply,
            actor=terminal.actor(),
            now=terminal.now(),
            progress=terminal.progress,
        )
    _report(rolled, apply=apply)
    if rolled.refused:
        raise typer.Exit(2)


def _report(rolled: Rolled, *, apply: bool) -> None:
    if not apply:
        terminal.say("Nothing was changed. With --apply:")
    lines = [
        (rolled.confirmed, "get a place."),
        (rolled.waiting, "go on the waiting list."),
        (rolled.known, "are registered already."),
        (rolled.withdrew, "withdrew before and stay withdrawn."),
        (rolled.full, "find no place: there is no waiting list."),
        (rolled.suppressed, "have an address that is never mailed."),
        (rolled.mailed, "are mailed a confirmation."),
    ]
    for count, words in lines:
        if count or words == "get a place.":
            terminal.say(f"{count:,} {words}")
    _refused(rolled.refused)


def _refused(refused: list[tuple[int, str]]) -> None:
    for line, sentence in refused[:SHOWN]:
        terminal.say(f"line {line}: {sentence}")
    if len(refused) > SHOWN:
        terminal.say(f"and {len(refused) - SHOWN:,} more rows that were not taken.")


@terminal.command
def attendance(
    which: Which,
    file: File,
    apply: Apply = False,
    whole: Annotated[
        bool, typer.Option("--others-absent", help="The list is whole: who is not on it was absent.")
    ] = False,
) -> None:
    """Note who was there from a CSV list. Columns: email (needed), attended (attended, absent or unknown)."""
    house = terminal.house()
    with house.database.read() as session:
        topics = frozenset(session.scalars(select(Topic.key)))
    with _opened(file) as stream:
        people = read_people(stream, known_topics=topics, default_language=UNSAID, others={"attended"})
        marked = presence.mark_attendance(
            house, which, people, others_absent=whole, keep=apply, actor=terminal.actor(), now=terminal.now()
        )
    _report_attendance(marked, apply=apply)
    if marked.refused:
        raise typer.Exit(2)


def _report_attendance(marked: Marked, *, apply: bool) -> None:
    if not apply:
        terminal.say("Nothing was changed. With --apply:")
    terminal.say(
        f"{marked.attended:,} attended, {marked.absent:,} absent, {marked.unknown:,} unknown, "
        f"{marked.unchanged:,} as before."
    )
    if marked.strangers:
        terminal.say(f"{marked.strangers:,} on the list have no place at this symposium and are passed over.")
    for sentence in marked.follow_ups:
        terminal.say(sentence)
    _refused(marked.refused)


def _registration(session: Session, which: str, number: int) -> tuple[Symposium, Registration]:
    one = symposia.find(session, which)
    found = session.get(Registration, number)
    if found is None or found.symposium_id != one.id:
        terminal.fail(
            f"This symposium has no registration {number}. List them: mailer symposium registrations {which}"
        )
    return one, found


def _note(session: Session, action: str, registration: Registration) -> None:
    audit.record(
        session,
        actor=terminal.actor(),
        action=action,
        subject=f"registration:{registration.id}",
        now=terminal.now(),
    )


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    with Path(file).open("rb") as stream:
        yield stream
