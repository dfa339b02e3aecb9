"""A page's programme: dated lines in a row become symposium drafts.

A block is two or more readable lines in a row; a lone one is offered, not taken.
Whatever stands among them and cannot be read is listed. Contradictions are held
with their readings: nothing is chosen silently.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from urllib.parse import urljoin, urlsplit

from mailer.ingest.dates import DateLine
from mailer.ingest.draft import SymposiumDraft, UnreadLine
from mailer.ingest.text import plain_title, slug
from mailer.ingest.units import Unit, UnitKind
from mailer.ingest.ways_in import NO_FORM, is_room
from mailer.ingest.years import Dated, date_lines
from mailer.ingest.zones import clock_change, wrong_season
from mailer.vocabulary import FieldSource, Precision

NEIGHBOURS = 4  # how far from its block a series text or a register line may stand
LONE = "It stands alone, so it was not taken: a programme has two or more such lines in a row."
WEAK = "These lines have neither a time nor a quoted title, so they were not taken for a programme."
_DATED = frozenset((UnitKind.EVENT, UnitKind.UNREAD))
_BETWEEN = frozenset((UnitKind.REGISTER, UnitKind.CHROME))


@dataclass(frozen=True, kw_only=True)
class Programme:
    """What the page's dated lines give; `taken` are the units that are no part of a statement."""

    symposia: tuple[SymposiumDraft, ...]
    unread: tuple[UnreadLine, ...]
    questions: tuple[str, ...]
    notes: tuple[str, ...]
    taken: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class _Around:
    """What stands beside a block and holds for all of its lines."""

    series: str | None = None
    series_text: str | None = None
    register_url: str | None = None
    leads_in: bool = False  # the link leads into a meeting, so it is none to register at
    taken: frozenset[int] = frozenset()


def read_programme(units: Sequence[Unit], *, fetched_on: date, base_url: str | None) -> Programme:
    """Read every block of dated lines. `base_url` completes relative links.

    `fetched_on` gives the year near which a missing one is looked for, when no line of its block has one.
    """
    drafts: list[SymposiumDraft] = []
    offered: list[SymposiumDraft] = []
    unread: list[UnreadLine] = []
    taken: set[int] = set()
    for region in _regions(units):
        events = [index for index in region if units[index].kind is UnitKind.EVENT]
        certain = any(event.certain_event for event in _events(units, events))
        found = _draft_block(units, events, _around(units, region, base_url), fetched_on) if events else []
        if len(events) > 1 and certain:
            drafts += found
            taken |= {*region, *_around(units, region, base_url).taken}
        elif certain:
            offered += [replace(draft, held=_both(LONE, draft.held)) for draft in found]
            taken |= {*region}
        else:
            offered += [replace(draft, held=WEAK) for draft in found if _like_a_title(draft.title)]
        if certain or len(region) > 1 or _clearly_dated(units[region[0]]):
            unread += [
                UnreadLine(number=units[index].number, text=units[index].text, why=why)
                for index in region
                if (why := units[index].why_unread)
            ]
    symposia = _hold_double_dates(_once(drafts))
    return Programme(
        symposia=(*symposia, *offered),
        unread=tuple(unread),
        questions=tuple(_sentence(draft) for draft in symposia if draft.held),
        notes=tuple(_sentence(draft) for draft in offered),
        taken=frozenset(taken),
    )


def _regions(units: Sequence[Unit]) -> list[list[int]]:
    """Dated lines in a row, as indexes; register links and furniture between them do not part them."""
    regions: list[list[int]] = []
    row: list[int] = []
    for index, unit in enumerate(units):
        if unit.kind in _DATED:
            row.append(index)
        elif row and unit.kind not in _BETWEEN:
            regions.append(row)
            row = []
    return [*regions, row] if row else regions


def _events(units: Sequence[Unit], indexes: Sequence[int]) -> list[DateLine]:
    return [event for index in indexes if (event := units[index].event)]


def _draft_block(
    units: Sequence[Unit], indexes: Sequence[int], around: _Around, fetched_on: date
) -> list[SymposiumDraft]:
    events = _events(units, indexes)
    dates = date_lines(events, fetched_on=fetched_on)
    return [
        _draft(units[index], event, dated, around)
        for index, event, dated in zip(indexes, events, dates, strict=True)
    ]


def _draft(unit: Unit, event: DateLine, dated: Dated, around: _Around) -> SymposiumDraft:
    change = warning = None
    if dated.day and event.time and event.zone:
        change = clock_change(dated.day, event.time, event.zone)
        warning = wrong_season(dated.day, event.time, event.zone, event.zone_word)
    return SymposiumDraft(
        key=symposium_key(event.title, dated.month),
        title=event.title,
        series=around.series,
        series_text=around.series_text,
        precision=_precision(event, dated),
        day=dated.day,
        month=dated.month,
        time=event.time,
        zone=event.zone,
        sources=_sources(event, dated, around),
        raw=unit.text,
        line=unit.number,
        register_url=around.register_url,
        month_day=(event.month, event.day) if event.day else None,
        printed_time=event.time,
        needs_confirmation=(dated.inferred,) if dated.inferred else (),
        warnings=(*((warning,) if warning else ()), *((NO_FORM,) if around.leads_in else ())),
        held=_both(dated.held, _both(event.held, change)),
        readings=dated.readings,
    )


def symposium_key(title: str, month: tuple[int, int] | None) -> str:
    """Return what ingest knows a symposium by: its plain title and its month, at most 170 letters."""
    return f"{slug(title)}:{month[0]:04}-{month[1]:02}" if month else f"{slug(title)}:undated"


def _precision(event: DateLine, dated: Dated) -> Precision:
    if dated.day:
        return Precision.DATETIME if event.time and event.zone else Precision.DATE
    return Precision.MONTH if dated.month else Precision.NONE


def _sources(event: DateLine, dated: Dated, around: _Around) -> Mapping[str, FieldSource]:
    explicit = {
        "title": event.title,
        "day": event.day,
        "month": event.month,
        "time": event.time,
        "zone": event.zone,
    }
    sources = {name: FieldSource.EXPLICIT for name, value in explicit.items() if value is not None}
    if dated.year_source:
        sources["year"] = dated.year_source
    context = {"series": around.series, "register_url": around.register_url}
    return sources | {name: FieldSource.CONTEXT for name, value in context.items() if value is not None}


def _around(units: Sequence[Unit], region: Sequence[int], base_url: str | None) -> _Around:
    """Find the block's series text and register line: inside it, then below, then above."""
    first, last = region[0], region[-1]
    beside = [*range(first, last + 1)]
    for step, edge in ((1, last), (-1, first)):
        for index in range(edge + step, edge + step * (NEIGHBOURS + 1), step):
            if not 0 <= index < len(units) or units[index].kind in _DATED:
                break
            beside.append(index)
    series = _nearest(units, beside, lambda unit: unit.kind is UnitKind.SERIES)
    register = _nearest(units, beside, lambda unit: unit.kind is UnitKind.REGISTER)
    links = units[register].links if register is not None else ()
    url = next((url for link in links if (url := web_address(link, base_url))), None)
    return _Around(
        series=units[series].series if series is not None else None,
        series_text=units[series].text if series is not None else None,
        register_url=None if is_room(url) else url,
        leads_in=is_room(url),
        taken=frozenset(index for index in (series, register) if index is not None),
    )


def _nearest(units: Sequence[Unit], indexes: Sequence[int], wanted: Callable[[Unit], bool]) -> int | None:
    return next((index for index in indexes if wanted(units[index])), None)


def web_address(link: str, base_url: str | None) -> str | None:
    """Return a link as a whole http(s) address, completed from the page's own; None for any other link."""
    try:
        address = urljoin(base_url or "", link.strip())
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in ("http", "https") and parts.hostname else None


def _once(drafts: Sequence[SymposiumDraft]) -> list[SymposiumDraft]:
    """Pages print a programme twice, for wide and for narrow screens: equal drafts are one."""
    seen: dict[tuple[object, ...], SymposiumDraft] = {}
    for draft in drafts:
        date_said = (draft.raw,) if draft.held else (draft.day, draft.month, draft.time, draft.zone)
        seen.setdefault((plain_title(draft.title), *date_said), draft)
    return list(seen.values())


def _hold_double_dates(drafts: Sequence[SymposiumDraft]) -> list[SymposiumDraft]:
    by_title: dict[str, list[SymposiumDraft]] = defaultdict(list)
    for draft in drafts:
        by_title[plain_title(draft.title)].append(draft)
    return [_held_with(draft, by_title[plain_title(draft.title)]) for draft in drafts]


def _held_with(draft: SymposiumDraft, same: Sequence[SymposiumDraft]) -> SymposiumDraft:
    if len(same) == 1:
        return draft
    lines = " and ".join(str(each.line) for each in same)
    readings = sorted({day for each in same for day in (each.day, *each.readings) if day})
    why = f"Lines {lines} give one title two dates. Which is right, or are they two symposia?"
    return replace(draft, held=_both(why, draft.held), readings=tuple(readings))


def _both(one: str | None, other: str | None) -> str | None:
    return " ".join(part for part in (one, other) if part) or None


def _sentence(draft: SymposiumDraft) -> str:
    return f"Line {draft.line}, “{draft.raw}”: {draft.held}"


def _like_a_title(title: str) -> bool:
    return len(title) <= 120 and not title.endswith(".")


def _clearly_dated(unit: Unit) -> bool:
    words = unit.text.split(maxsplit=1)[0].rstrip(".,").casefold()
    return words.endswith("day") or "(date tba)" in unit.text.casefold()
