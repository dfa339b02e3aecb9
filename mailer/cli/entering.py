"""Commands by which staff enter statements and symposia by hand."""

import sys
from datetime import date, datetime, time
from typing import Annotated

import typer

from mailer.cli import terminal
from mailer.ingest.source import load
from mailer.messages import when
from mailer.services.programme import review, statements
from mailer.services.programme.dates import Moment
from mailer.services.programme.entering import (
    StatementEntry,
    SymposiumEntry,
    enter_statement,
    enter_symposium,
)
from mailer.services.programme.rewriting import rewrite
from mailer.settings import current
from mailer.vocabulary import Precision, StatementState

Day = Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="The day.")]
Language = Annotated[str, typer.Option(help="Its language.")]
Anyway = Annotated[bool, typer.Option("--anyway", help="Also if it looks like one that is there already.")]


@terminal.command
def add_statement(
    title: Annotated[str, typer.Option(help="Its title.")],
    file: Annotated[str, typer.Option(metavar="FILE|-", help="Its text, as Markdown.")],
    day: Day = None,
    language: Language = "en",
    url: Annotated[str | None, typer.Option(help="Where it can be read, if it is public.")] = None,
    anyway: Anyway = False,
) -> None:
    """Enter a statement as a draft. Nobody is mailed before it is published."""
    moment = terminal.now()
    dated = day.date() if day else moment.astimezone(when.zone_named(current().zone)).date()
    text = load(file, sys.stdin.buffer).text
    entry = StatementEntry(title=title, body=text, dated=dated, language=language, url=url)
    with terminal.house().database.write() as session:
        slug = enter_statement(session, entry, actor=terminal.actor(), now=moment, anyway=anyway).slug
    terminal.say(f"Kept as a draft. Look at it: mailer statement show {slug}")
    terminal.say(f"Alert its subscribers with: mailer statement publish {slug}")


@terminal.command
def edit_statement(
    which: Annotated[str, typer.Argument(help="The statement's slug or number.")],
    title: Annotated[str | None, typer.Option(help="Its new title; else it stays.")] = None,
    file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Its new text, as Markdown; else it stays.")
    ] = None,
) -> None:
    """Change the text of a statement that is not out yet. An approval is gone with it, an embargo held."""
    if title is None and file is None:
        terminal.fail("Say what changes: --title, --file, or both.")
    body = load(file, sys.stdin.buffer).text if file is not None else None
    with terminal.house().database.write() as session:
        found = statements.find(session, which)
        state = found.state
        translated = rewrite(
            session, found, title=title, body=body, actor=terminal.actor(), now=terminal.now()
        )
        mark = review.mark(session, found)
    terminal.say("Changed.")
    if translated:
        terminal.say(f"Made of the earlier text, so look at them: {', '.join(translated)}")
    if state is StatementState.SCHEDULED:
        terminal.say("Its embargo is held until somebody approves the new text.")
    if state is not StatementState.DRAFT:
        terminal.say(f"Approve it with: mailer statement approve {which} --text {mark}")


@terminal.command
def add_symposium(
    title: Annotated[str, typer.Option(help="Its title.")],
    day: Day = None,
    hour: Annotated[str | None, typer.Option("--time", help="Its local time, 24 hours: 12:00.")] = None,
    zone: Annotated[str | None, typer.Option(help="Its IANA zone; else the organisation's own.")] = None,
    month: Annotated[str | None, typer.Option(help="Its month, if no more is known: 2024-12.")] = None,
    year: Annotated[
        int | None, typer.Option(min=1970, max=2100, help="Its year, if no more is known.")
    ] = None,
    minutes: Annotated[int | None, typer.Option(help="How long it lasts, if an end is known.")] = None,
    place: Annotated[str | None, typer.Option(help="Where it is.")] = None,
    series: Annotated[str | None, typer.Option(help="The series it belongs to.")] = None,
    register_url: Annotated[str | None, typer.Option(help="Where people register, if elsewhere.")] = None,
    anyway: Anyway = False,
) -> None:
    """Enter a symposium as a draft: with day and hour, a day, a month, a year, or no date yet."""
    moment = _moment(day, hour, zone, month, year)
    entry = SymposiumEntry(
        title=title, moment=moment, minutes=minutes, place=place, series=series, register_url=register_url
    )
    with terminal.house().database.write() as session:
        found = enter_symposium(session, entry, actor=terminal.actor(), now=terminal.now(), anyway=anyway)
        slug = found.slug
    terminal.say(f"Kept as a draft. Look at it: mailer symposium show {slug}")
    terminal.say(f"Open it for registration with: mailer symposium announce {slug}")


def _moment(
    day: datetime | None, hour: str | None, zone: str | None, month: str | None, year: int | None
) -> Moment:
    """The date as exactly as it was given."""
    if sum(one is not None for one in (day, month, year)) > 1:
        terminal.fail("Give one of --date, --month and --year: the most exact that is known.")
    if hour is not None and day is None:
        terminal.fail("An hour needs its day: --date 2024-09-27 --time 12:00.")
    if hour is not None and day is not None:
        place = zone or current().zone
        when.zone_named(place)
        return Moment(precision=Precision.DATETIME, day=day.date(), wall_time=_time(hour), zone=place)
    if day is not None:
        return Moment(precision=Precision.DATE, day=day.date())
    if month is not None:
        return Moment(precision=Precision.MONTH, day=_first_of(month))
    if year is not None:
        return Moment(precision=Precision.YEAR, day=date(year, 1, 1))
    return Moment(precision=Precision.NONE)


def _time(text: str) -> time:
    try:
        return terminal.hour(text)
    except ValueError:
        terminal.fail(f'"{text}" is no time of day. Write it with 24 hours, such as 12:00 or 18:30.')


def _first_of(month: str) -> date:
    try:
        return date.fromisoformat(f"{month}-01")
    except ValueError:
        terminal.fail(f'"{month}" is no month. Write it as 2024-12.')
