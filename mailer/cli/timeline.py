"""What will go to whom about a symposium, in lines that fit a terminal of 80 columns; also previews."""

import textwrap
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from mailer.cli import terminal
from mailer.db.programme import Symposium, SymposiumVersion
from mailer.messages import when
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.services.programme.preview import Preview, preview
from mailer.services.programme.timeline import Entry, timeline
from mailer.services.sending.halt import sending_allowed
from mailer.vocabulary import MailingKind, Precision, SymposiumState

WIDTH = 80
INDENT = "    "


@terminal.command
def show(
    which: Annotated[str, typer.Argument(help="The symposium's slug or number.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """What will go to whom about a symposium, when, and why not."""
    house = terminal.house()
    now = terminal.now()
    with house.database.read() as session:
        symposium = symposia.find(session, which)
        entries = timeline(session, symposium, now)
        zone = symposium.zone or house.settings.zone
        head = [symposium.title, f"{day_and_hour(symposium)}, {symposium.state.value}", ""]
        if not sending_allowed(session):
            head.append("Sending is stopped, so nothing leaves before: mailer go")
        if symposium.planned_at is None and symposium.state is SymposiumState.ANNOUNCED:
            head.append("Its reminders are planned anew within a minute. Look again then.")
    if as_json:
        terminal.as_json([_plain(entry) for entry in entries])
        return
    for line in [*head, *(line for entry in entries for line in lines(entry, zone))]:
        terminal.say(line)


def _plain(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "rule": entry.words,
        "due_at": entry.due_at,
        "waiting": [{"due_at": one.due_at, "count": one.count, "zones": one.zones} for one in entry.waiting],
        "will_be_left_out": dict(entry.doomed),
        "others": dict(entry.others),
        "why_not": entry.why_not,
    }


def lines(entry: Entry, zone: str) -> list[str]:
    """One entry: its time and name, below it who waits, who had it, who not and why."""
    at = local(entry.due_at, zone) if entry.due_at else "no time yet"
    found = wrapped(f"{at}  {entry.name}: {entry.words}", "")
    if entry.why_not:
        found += wrapped(entry.why_not)
    for one in entry.waiting:
        where = f" in {', '.join(one.zones)}: {local(one.due_at, zone)}" if one.zones else ""
        found += wrapped(f"{one.count} waiting{where}")
    found += [line for word, count in entry.doomed for line in wrapped(f"{count} will be left out: {word}")]
    found += [line for word, count in entry.others for line in wrapped(f"{count} {_said(word)}")]
    if not entry.why_not and not (entry.waiting or entry.doomed or entry.others):
        found += wrapped("nobody to write to yet")
    return found


def _said(word: str) -> str:
    return f"left out: {word}" if word.endswith(".") else word


def wrapped(text: str, indent: str = INDENT) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + INDENT)


def local(moment: datetime, zone: str) -> str:
    """A moment on the clocks of the symposium's own zone."""
    return f"{when.local(moment, zone):%a %Y-%m-%d %H:%M}"


def day_and_hour(one: Symposium | SymposiumVersion) -> str:
    if one.precision is Precision.DATETIME and one.day and one.wall_time:
        return f"{one.day:%a %Y-%m-%d} {one.wall_time:%H:%M} {one.zone}"
    if one.day is None or one.precision is Precision.NONE:
        return "to be announced"
    exact = one.precision is Precision.DATE
    return f"{one.day:%a %Y-%m-%d}, no hour yet" if exact else f"{one.day:%Y-%m}"


def show_preview(
    house: House, which: str, change: Callable[[Session, Symposium], object], now: datetime
) -> None:
    """What a change would send and cancel; printed instead of making it."""
    found = preview(house, which, change, now)
    with house.database.read() as session:
        _say(found, symposia.find(session, which).zone or house.settings.zone)


def _say(found: Preview, zone: str) -> None:
    terminal.say("Nothing is saved. This change would:")
    if found.notice is None:
        terminal.say(f"{INDENT}tell nobody")
    else:
        what = "a cancellation" if found.notice is MailingKind.CANCELLATION else "one notice"
        at = f" at {local(found.leaves_at, zone)}" if found.leaves_at else ""
        for line in wrapped(f"send {what} ({found.notice.value}) to {_people(found.people)}{at}:"):
            terminal.say(line)
        for one in found.told:
            told = f"told {day_and_hour(one.facts)}" if one.facts else "not known to have been told"
            for line in wrapped(f"{one.count} {told}", INDENT * 2):
                terminal.say(line)
    for key, count in found.cancelled:
        terminal.say(f"{INDENT}cancel the reminder {key} of {_people(count)}")
    for key, due_at, count in found.planned:
        terminal.say(f"{INDENT}send the reminder {key} to {_people(count)} at {local(due_at, zone)}")


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"
