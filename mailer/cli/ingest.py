"""The command that reads a page: shows what it found, and stores drafts when told to."""

import sys
from datetime import datetime
from typing import Annotated, Any

import typer

from mailer.cli import terminal
from mailer.ingest.content import read_content
from mailer.ingest.draft import PageDraft, StatementDraft, SymposiumDraft
from mailer.ingest.source import load
from mailer.services.programme.ingesting import (
    Fate,
    Finding,
    Programme,
    Review,
    known_programme,
    review,
    store,
)
from mailer.settings import current
from mailer.vocabulary import Precision

COLUMNS = ("kind", "title", "when", "precision", "sources", "needs", "would be")


@terminal.command
def ingest(
    where: Annotated[
        str, typer.Argument(metavar="FILE|URL|-", help="What to read: a file, an address, or - .")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Store what is new as drafts.")] = False,
) -> None:
    """Read a page, feed or calendar into drafts, and show them with the source of every field.

    Pages, pasted text, RSS, Atom, JSON Feed and iCalendar files are told apart by how they begin.
    Reading the same again changes nothing; a changed line becomes a proposal. Nobody is mailed.
    """
    loaded = load(where, sys.stdin.buffer)
    moment = terminal.now()
    page = read_content(loaded.content, fetched_on=moment.date(), source=loaded.origin, zone=current().zone)
    read_only = not apply
    found = review(page, _known(), today=moment.date()) if read_only else _store(page, moment, quiet=as_json)
    if as_json:
        terminal.as_json([summary(one) for one in found.findings])
    else:
        _show(found)
    if found.obstacles:
        terminal.fail(f"{' '.join(found.obstacles)} Correct the page or the text, then read it again.")


def _store(page: PageDraft, moment: datetime, *, quiet: bool) -> Review:
    house = terminal.house()
    with house.database.write() as session:
        found = review(page, known_programme(session), today=moment.date())
        if found.obstacles:
            return found
        stored = store(session, found, actor=terminal.actor(), now=moment)
    if not quiet:
        terminal.say(f"Stored: {stored.new} new, {stored.proposals} proposed, {stored.unchanged} unchanged.")
    return found


def _known() -> Programme:
    """What the house knows; a page can be read where there is no house yet."""
    if not terminal.house_exists(current()):
        return Programme()
    with terminal.house().database.read() as session:
        return known_programme(session)


def _show(found: Review) -> None:
    terminal.table("On this page", COLUMNS, [_row(one) for one in found.findings])
    for one in found.findings:
        for field, (old, new) in one.changes.items():
            terminal.say(f"Proposed for “{one.draft.title}”: {field} {old or 'none'} -> {new or 'none'}")
    for one in found.findings:
        if one.fate is Fate.LEFT:
            terminal.say(f"Left out: “{one.draft.title}” ({one.why})")
    for line in found.page.unread:
        terminal.say(f"Not read, line {line.number}: {line.text} ({line.why})")
    for note in found.page.notes:
        terminal.say(f"Note: {note}")
    for title in found.vanished:
        terminal.say(f"No longer on the page (nothing is cancelled by that): {title}")


def _row(one: Finding) -> tuple[str, ...]:
    facts = summary(one)
    needs = " ".join(facts["needs_confirmation"])
    sources = _by_source(facts["sources"])
    return (facts["kind"], facts["title"], facts["when"], facts["precision"], sources, needs, one.fate.value)


def _by_source(sources: dict[str, str]) -> str:
    """Fields grouped by where they were read, the inferred ones in lines of their own."""
    groups: dict[str, list[str]] = {}
    for field, source in sources.items():
        groups.setdefault(source, []).append(field)
    return "\n".join(f"{source}: {', '.join(fields)}" for source, fields in groups.items())


def summary(one: Finding) -> dict[str, Any]:
    """One draft for programs: the columns of the table and the plain facts beside them."""
    facts = _statement(one.draft) if isinstance(one.draft, StatementDraft) else _symposium(one.draft)
    needs = facts["needs_confirmation"] + ([one.why] if one.fate in {Fate.HELD, Fate.LEFT} else [])
    changes = {field: list(pair) for field, pair in one.changes.items()}
    return {**facts, "needs_confirmation": needs, "would_be": one.fate.value, "changes": changes}


def _statement(draft: StatementDraft) -> dict[str, Any]:
    return {
        "kind": "statement",
        "title": draft.title,
        "when": draft.published_on.isoformat(),
        "precision": Precision.DATE.value,
        "date": draft.published_on.isoformat(),
        "language": draft.language,
        "paragraphs": len(draft.paragraphs),
        "body": draft.body,
        "sources": {field: source.value for field, source in draft.sources.items()},
        "needs_confirmation": [],
    }


def _symposium(draft: SymposiumDraft) -> dict[str, Any]:
    return {
        "kind": "symposium",
        "title": draft.title,
        "when": _when(draft),
        "precision": draft.precision.value,
        "date": draft.day.isoformat() if draft.day else None,
        "month": f"{draft.month[0]}-{draft.month[1]:02}" if draft.month else None,
        "time": draft.time.strftime("%H:%M") if draft.time else None,
        "zone": draft.zone,
        "series": draft.series,
        "sources": {field: source.value for field, source in draft.sources.items()},
        "needs_confirmation": list(draft.needs_confirmation),
    }


def _when(draft: SymposiumDraft) -> str:
    if draft.day is None:
        return f"{draft.month[0]}-{draft.month[1]:02}" if draft.month else "not known"
    hour = f" {draft.time:%H:%M} {draft.zone}" if draft.time else ""
    return f"{draft.day:%a} {draft.day.isoformat()}{hour}"
