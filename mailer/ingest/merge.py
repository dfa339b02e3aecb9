"""A page's data and its text, told as one: the same event is one draft, and two stories are held.

The data are trusted more than the text, but what they leave out the text fills in: a
page that prints an hour and carries data without one has one event with an hour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mailer.ingest.draft import SymposiumDraft
from mailer.ingest.text import plain_title
from mailer.vocabulary import FieldSource, Precision


def merge(lines: Sequence[SymposiumDraft], events: Sequence[SymposiumDraft]) -> tuple[SymposiumDraft, ...]:
    """Return each event once, the page's lines first; two stories are held with both readings."""
    left = list(events)
    merged: list[SymposiumDraft] = []
    for line in lines:
        twin = _twin(line, left)
        if twin is None:
            merged.append(line)
            continue
        left.remove(twin)
        merged.append(_as_one(line, twin))
    return (*merged, *left)


def _twin(line: SymposiumDraft, events: Sequence[SymposiumDraft]) -> SymposiumDraft | None:
    """The event of this title on this day, else the only one of this title."""
    same = [one for one in events if plain_title(one.title) == plain_title(line.title)]
    on_day = [one for one in same if _same_date(line, one)]
    if on_day:
        return on_day[0]
    return same[0] if len(same) == 1 else None


def _same_date(line: SymposiumDraft, event: SymposiumDraft) -> bool:
    if line.day and event.day:
        return line.day == event.day
    return line.month is not None and line.month == event.month


def _as_one(line: SymposiumDraft, event: SymposiumDraft) -> SymposiumDraft:
    if line.held and line.day is None and event.day and line.month_day == event.month_day:
        return event  # the data say the year that the line leaves open
    if not _same_date(line, event) or _hours_differ(line, event):
        days = sorted({day for each in (line, event) for day in (each.day, *each.readings) if day})
        why = f"The page prints “{line.raw}”, its data say “{event.raw}”. Which is right?"
        return replace(line, held=why, readings=tuple(days))
    if event.precision is Precision.DATETIME or line.precision is not Precision.DATETIME:
        chosen = event if event.day or not line.day else replace(line, place=event.place)
        return replace(chosen, **_context(line, chosen))  # type: ignore[arg-type]
    return replace(
        line,
        place=event.place,
        online=event.online,
        cancelled=event.cancelled,
        uid=event.uid,
        key=event.key,
        medium=event.medium,
        sources={**line.sources, "year": FieldSource.EXPLICIT},
        needs_confirmation=(),
    )


def _hours_differ(line: SymposiumDraft, event: SymposiumDraft) -> bool:
    if line.time is None or event.time is None:
        return False
    return (line.time, line.zone) != (event.time, event.zone) and not _same_instant(line, event)


def _same_instant(line: SymposiumDraft, event: SymposiumDraft) -> bool:
    return line.starts_at is not None and line.starts_at == event.starts_at


def _context(line: SymposiumDraft, event: SymposiumDraft) -> Mapping[str, object]:
    """What the text says around its lines: series and registration."""
    return {
        "series": event.series or line.series,
        "series_text": line.series_text,
        "register_url": line.register_url or event.register_url,
        "sources": {**line.sources, **event.sources},
    }
