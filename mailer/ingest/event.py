"""One event of a calendar file or of a page's data, made a symposium draft.

What such data say is structured, but not for that true: an end before its start, an
hour that the clocks skip and a time without a zone are held with their readings.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from mailer.ingest.draft import SymposiumDraft
from mailer.ingest.programme import symposium_key
from mailer.ingest.ways_in import NO_FORM, NO_PLACE, is_room, is_way_in
from mailer.ingest.zones import clock_change
from mailer.visible import one_line
from mailer.vocabulary import FieldSource, Medium, Precision

TITLE_LETTERS = 300
PLACE_LETTERS = 300
UID_LETTERS = 200
LONGEST = timedelta(days=7)  # a longer event is a season, not an hour with an end


@dataclass(frozen=True, kw_only=True)
class Point:
    """A start or an end as it was given. `held` says why it is uncertain, `ask` what a person confirms."""

    day: date | None = None
    month: tuple[int, int] | None = None
    at: time | None = None
    zone: str | None = None  # IANA
    zone_source: FieldSource = FieldSource.EXPLICIT
    held: str | None = None
    ask: str | None = None

    @property
    def instant(self) -> datetime | None:
        """The moment in UTC, for a day with an hour and a zone."""
        if self.day is None or self.at is None or self.zone is None:
            return None
        return datetime.combine(self.day, self.at, ZoneInfo(self.zone)).astimezone(UTC)

    @property
    def words(self) -> str:
        if self.day is None:
            return f"{self.month[0]:04}-{self.month[1]:02}" if self.month else "a date to be announced"
        hour = f" {self.at:%H:%M}" if self.at else ""
        return f"{self.day.isoformat()}{hour}{f' {self.zone}' if self.at and self.zone else ''}"


@dataclass(frozen=True, kw_only=True)
class Event:
    """What the data say of one event, before anything is judged."""

    title: str
    start: Point
    end: Point | None
    medium: Medium
    line: int
    uid: str | None = None
    sequence: int | None = None
    place: str | None = None  # a link is none: people get the way in by a link of their own
    online: bool | None = None
    url: str | None = None
    series: str | None = None
    cancelled: bool = False
    notes: tuple[str, ...] = ()


def draft_of(event: Event) -> SymposiumDraft:
    """Return the draft of an event; what it leaves open stands in `held` or `needs_confirmation`."""
    start, end = event.start, event.end
    month = (start.day.year, start.day.month) if start.day else start.month
    exact = start.instant is not None
    wrong_end = _ends_before(start, end)
    held = " ".join(
        why
        for why in (start.held, end.held if end else None, wrong_end, _clocks(start), *event.notes)
        if why is not None
    )
    readings = tuple(sorted({each.day for each in (start, end) if each and each.day})) if wrong_end else ()
    return SymposiumDraft(
        key=event_key(event, month),
        title=event.title,
        series=event.series,
        series_text=None,
        precision=_precision(start, exact=exact),
        day=start.day,
        month=month,
        time=start.at if exact else None,
        zone=start.zone if exact else None,
        sources=_sources(event, exact=exact),
        raw=_raw(event),
        line=event.line,
        register_url=None if is_room(event.url) else event.url,
        month_day=(start.day.month, start.day.day) if start.day else None,
        printed_time=start.at,
        needs_confirmation=tuple(ask for ask in (start.ask, end.ask if end and exact else None) if ask),
        held=held or None,
        readings=readings,
        uid=event.uid,
        sequence=event.sequence,
        minutes=_minutes(start, end) if not wrong_end else None,
        place=None if is_way_in(event.place) else event.place,
        warnings=_warnings(event),
        online=event.online,
        cancelled=event.cancelled,
        medium=event.medium,
    )


def _warnings(event: Event) -> tuple[str, ...]:
    return (*((NO_PLACE,) if is_way_in(event.place) else ()), *((NO_FORM,) if is_room(event.url) else ()))


def event_key(event: Event, month: tuple[int, int] | None) -> str:
    """Return what the house knows the event by: its UID, or without one its plain title and month."""
    return f"uid:{event.uid}" if event.uid else symposium_key(event.title, month)


def each_once(drafts: Iterable[SymposiumDraft]) -> list[SymposiumDraft]:
    """One draft for each key, whatever their order: the highest SEQUENCE; two that differ otherwise are held.

    Without UIDs one title may fall on several days of a month; then the day stands in the key.
    """
    groups: dict[str, list[SymposiumDraft]] = defaultdict(list)
    for draft in drafts:
        groups[draft.key].append(draft)
    found: list[SymposiumDraft] = []
    for key, group in groups.items():
        days = {draft.day for draft in group}
        if len(days) == 1 or group[0].uid or None in days:
            found.append(_one_of(group))
            continue
        for day in sorted(day for day in days if day):
            same_day = [replace(draft, key=f"{key}-{day.day:02}") for draft in group if draft.day == day]
            found.append(_one_of(same_day))
    return found


def _one_of(group: Sequence[SymposiumDraft]) -> SymposiumDraft:
    latest = max(draft.sequence or 0 for draft in group)
    told = {draft.raw: draft for draft in group if (draft.sequence or 0) == latest}
    if len(told) == 1:
        return next(iter(told.values()))
    first = told[min(told)]
    days = sorted({day for draft in told.values() for day in (draft.day, *draft.readings) if day})
    why = f"It stands twice with different facts: {' and '.join(f'“{raw}”' for raw in sorted(told)[:3])}."
    return replace(first, held=f"{why} Which is right?", readings=tuple(days))


def short_uid(*parts: str) -> str:
    """Return a stable key of a feed's own words, at most 200 letters and printable."""
    words = "#".join(one_line(part) for part in parts if part)
    if len(words) <= UID_LETTERS:
        return words
    return f"{words[: UID_LETTERS - 33]}-{hashlib.sha256(words.encode()).hexdigest()[:32]}"


def is_sensible(day: date) -> bool:
    """True for a day on which somebody may meet; calendars can count from the year 1 to 9999."""
    return 1970 <= day.year <= 2100


def plain_address(url: str) -> str | None:
    """Return a stranger's web address when it is one line of sensible length; else None."""
    return url if len(url) <= 2_000 and url.isprintable() and " " not in url else None


def short_line(text: str, letters: int) -> str:
    """Return the visible text as one line, cut with an ellipsis where it is too long."""
    line = one_line(text)
    return line if len(line) <= letters else f"{line[: letters - 1].rstrip()}…"


def _precision(start: Point, *, exact: bool) -> Precision:
    if start.day:
        return Precision.DATETIME if exact else Precision.DATE
    return Precision.MONTH if start.month else Precision.NONE


def _ends_before(start: Point, end: Point | None) -> str | None:
    if end is None or start.day is None or end.day is None:
        return None
    first, last = start.instant, end.instant
    backwards = last < first if first is not None and last is not None else end.day < start.day
    if not backwards:
        return None
    return f"It ends ({end.words}) before it starts ({start.words}). Which of the two is right?"


def _clocks(start: Point) -> str | None:
    if start.day and start.at and start.zone:
        return clock_change(start.day, start.at, start.zone)
    return None


def _minutes(start: Point, end: Point | None) -> int | None:
    first, last = start.instant, end.instant if end else None
    if first is None or last is None:
        return None
    length = last - first
    return int(length.total_seconds() // 60) if timedelta(0) < length <= LONGEST else None


def _sources(event: Event, *, exact: bool) -> dict[str, FieldSource]:
    start = event.start
    said = {"title": True, "day": start.day is not None, "month": start.day is not None or start.month}
    sources = {name: FieldSource.EXPLICIT for name, value in said.items() if value}
    if start.day or start.month:
        sources["year"] = FieldSource.EXPLICIT
    if exact:
        sources |= {"time": FieldSource.EXPLICIT, "zone": start.zone_source}
    for name, value in (
        ("series", event.series),
        ("register_url", None if is_room(event.url) else event.url),
    ):
        if value:
            sources[name] = FieldSource.CONTEXT
    return sources


def _raw(event: Event) -> str:
    parts = [
        event.title,
        event.start.words,
        f"until {event.end.words}" if event.end else "",
        event.place if event.place and not is_way_in(event.place) else "",
        "called off" if event.cancelled else "",
    ]
    return one_line("; ".join(part for part in parts if part))
