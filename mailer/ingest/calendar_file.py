"""Calendar files (RFC 5545) read into symposium drafts: one for each date within a year.

Times keep the wall clock of their place. What a file leaves open - a floating time, a
zone nobody knows, a rule that repeats without end - is held for a person, never guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from icalendar import Calendar, Component
from icalendar.prop import vBroken, vDDDLists
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from mailer.ingest.calendar_lines import ZONE, only_events
from mailer.ingest.draft import PageDraft, SymposiumDraft, UnreadLine
from mailer.ingest.errors import PageError
from mailer.ingest.event import (
    PLACE_LETTERS,
    TITLE_LETTERS,
    Event,
    Point,
    draft_of,
    each_once,
    is_sensible,
    plain_address,
    short_line,
    short_uid,
)
from mailer.ingest.recurrence import NotExpanded, days_of, days_walked, read_rule
from mailer.ingest.zones import ZONES, is_place, zone_of
from mailer.vocabulary import FieldSource, Medium, SourceKind

WINDOW = timedelta(days=366)
MOST_DRAFTS = 2_000
MOST_WALKED = 500_000  # days looked at for all rules of one file


@dataclass
class _File:
    """What holds for all events of one file, and what has been spent on it."""

    zone: str
    today: date
    called_off: bool
    zones: Mapping[str, str]  # what its own words for zones mean
    walked: int = 0
    moved: dict[str, set[date]] = field(default_factory=dict)  # UID -> dates with a text of their own


def read_calendar(text: str, *, fetched_on: date, zone: str, zones: Mapping[str, str] = ZONES) -> PageDraft:
    """Read a calendar file. `zone` is where times in UTC are shown: the file's own place, if it names none.

    Raises PageError for what is no whole calendar and for one past the limits.
    """
    calendar = _parse(only_events(text))
    file = _File(
        zone=_zone_named(_text(calendar, "X-WR-TIMEZONE"), zones) or zone,
        today=fetched_on,
        zones=zones,
        called_off=_text(calendar, "METHOD").upper() == "CANCEL",
    )
    components = list(calendar.walk("VEVENT"))
    for component in components:
        original = _original(component, file)
        if original is not None:
            file.moved.setdefault(_uid(component), set()).add(original)
    drafts: list[SymposiumDraft] = []
    unread: list[UnreadLine] = []
    for number, component in enumerate(components, start=1):
        read = _read_event(component, number, file)
        if isinstance(read, UnreadLine):
            unread.append(read)
        else:
            drafts += read
        if len(drafts) > MOST_DRAFTS:
            raise PageError(f"The calendar comes to more than {MOST_DRAFTS:,} dates, so nothing was read.")
    return PageDraft(
        statements=(),
        symposia=tuple(each_once(drafts)),
        unread=tuple(unread),
        questions=() if components else ("The calendar holds no event.",),
        kind=SourceKind.CALENDAR,
    )


def _parse(text: str) -> Calendar:
    try:
        calendars = Calendar.from_ical(text, multiple=True)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise PageError(
            "The calendar file cannot be read: it does not keep to the format (RFC 5545)."
        ) from error
    if len(calendars) != 1 or not isinstance(calendars[0], Calendar):
        raise PageError("The file holds several calendars. Give each of them an address of its own.")
    return calendars[0]


def _read_event(component: Component, number: int, file: _File) -> list[SymposiumDraft] | UnreadLine:
    title = short_line(_text(component, "SUMMARY"), TITLE_LETTERS)
    if not title:
        return UnreadLine(number=number, text=_uid(component) or "an event", why="It has no title (SUMMARY).")
    start = _point(component.get("DTSTART"), file)
    if start is None:
        return UnreadLine(number=number, text=title, why="Its start (DTSTART) is missing or cannot be read.")
    event = Event(
        title=title,
        start=start,
        end=_end(component, start, file),
        medium=Medium.CALENDAR,
        line=number,
        uid=_own_key(component, file),
        sequence=_sequence(component),
        place=short_line(_text(component, "LOCATION"), PLACE_LETTERS) or None,
        url=_address(component),
        cancelled=file.called_off or "CANCELLED" in [each.upper() for each in _texts(component, "STATUS")],
        notes=_unreadable_parts(component),
    )
    if event.notes or (component.get("RRULE") is None and component.get("RDATE") is None):
        return [draft_of(event)]
    return _repeated(component, event, file)


def _repeated(component: Component, event: Event, file: _File) -> list[SymposiumDraft]:
    try:
        days = _occurrences(component, event, file)
    except (NotExpanded, ValueError, OverflowError) as problem:
        why = str(problem) if isinstance(problem, NotExpanded) else "Its rule of repetition cannot be read."
        return [draft_of(replace(event, notes=(*event.notes, f"{why} Enter its dates one by one.")))]
    return [draft_of(_on(event, day)) for day in days]


def _occurrences(component: Component, event: Event, file: _File) -> list[date]:
    start = event.start.day
    if start is None:
        raise NotExpanded("It repeats, but its first date is not known.")
    first, last = file.today - timedelta(days=1), file.today + WINDOW
    days: set[date] = set()
    for rule in _listed(component.get("RRULE")):
        read = read_rule(rule, start)
        file.walked += days_walked(read, first, last)
        if file.walked > MOST_WALKED:
            raise NotExpanded("The calendar repeats more than can be read.")
        days |= set(days_of(read, first, last))
    if not component.get("RRULE"):
        days.add(start)
    zone = event.start.zone or file.zone
    days |= set(_dates(component.get("RDATE"), zone))
    days -= set(_dates(component.get("EXDATE"), zone)) | file.moved.get(_uid(component), set())
    return sorted(day for day in days if first <= day <= last)


def _on(event: Event, day: date) -> Event:
    """The same event on another of its days, at the same wall time."""
    shift = day - event.start.day if event.start.day else timedelta(0)
    end = event.end
    if end is not None and end.day is not None:
        end = replace(end, day=end.day + shift)
    return replace(
        event,
        start=replace(event.start, day=day),
        end=end,
        uid=short_uid(event.uid, day.isoformat()) if event.uid else None,
    )


def _point(value: object, file: _File) -> Point | None:
    """A DTSTART or DTEND as wall time and zone; None when it is missing or cannot be read."""
    moment = _said(value)
    if not isinstance(moment, date) or not is_sensible(moment):
        return None
    if isinstance(moment, datetime):
        return _moment(moment, str(getattr(value, "params", {}).get(ZONE, "")), file)
    return Point(day=moment)


def _moment(moment: datetime, named: str, file: _File) -> Point:
    if named and named.upper() not in ("UTC", "GMT", "Z"):
        zone = _zone_named(named, file.zones)
        wall = moment.replace(tzinfo=None)
        if moment.tzinfo is not None:
            held = (
                f"Its time {wall:%H:%M} is in UTC (Z) and in {short_line(named, 60)} at once. Which is meant?"
            )
            return Point(day=wall.date(), at=wall.time(), held=held)
        if zone is None:
            held = f"Its time zone “{short_line(named, 60)}” is not known. Where is {wall:%H:%M} meant?"
            return Point(day=wall.date(), at=wall.time(), held=held)
        return Point(day=wall.date(), at=wall.time(), zone=zone)
    if moment.tzinfo is None:
        held = f"Its time {moment:%H:%M} names no time zone (it “floats”). Where is it meant?"
        return Point(day=moment.date(), at=moment.time(), held=held)
    # An instant in UTC is certain; what is written on the door there is told by the calendar's own place.
    local = moment.astimezone(ZoneInfo(file.zone))
    return Point(
        day=local.date(),
        at=local.time().replace(tzinfo=None),
        zone=file.zone,
        zone_source=FieldSource.CONTEXT,
    )


def _end(component: Component, start: Point, file: _File) -> Point | None:
    end = _point(component.get("DTEND"), file)
    if end is not None:
        # A whole day's end is the day after (RFC 5545 3.6.1).
        whole = end.at is None and end.day is not None and start.at is None and end.day != start.day
        return replace(end, day=end.day - timedelta(days=1)) if whole and end.day else end
    length = _said(component.get("DURATION"))
    first = start.instant
    if not isinstance(length, timedelta) or first is None or start.zone is None:
        return None
    try:
        last = (first.astimezone(UTC) + length).astimezone(ZoneInfo(start.zone))
    except OverflowError:
        return None
    return Point(day=last.date(), at=last.time().replace(tzinfo=None), zone=start.zone)


def _zone_named(name: str, zones: Mapping[str, str]) -> str | None:
    """An IANA zone for a TZID: its own name, Windows', or one with a maker's path before it."""
    name = name.strip().strip('"')
    known = WINDOWS_TO_OLSON.get(name) or zone_of(name, zones)
    for candidate in (known, name, "/".join(name.split("/")[-2:]), "/".join(name.split("/")[-3:])):
        if candidate and is_place(candidate):
            return candidate
    return None


def _uid(component: Component) -> str:
    return short_uid(_text(component, "UID"))


def _original(component: Component, file: _File) -> date | None:
    """The day on which an occurrence with a text of its own would have been (RECURRENCE-ID)."""
    start = _point(component.get("DTSTART"), file)
    moment = _said(component.get("RECURRENCE-ID"))
    return _day_in((start.zone if start else None) or file.zone, moment)


def _own_key(component: Component, file: _File) -> str | None:
    uid, original = _uid(component), _original(component, file)
    if not uid:
        return None
    return short_uid(uid, original.isoformat()) if original else uid


def _text(component: Component, name: str) -> str:
    """A property's words. Of one that stands there twice, which none may, the first."""
    return next(iter(_texts(component, name)), "")


def _texts(component: Component, name: str) -> list[str]:
    value = component.get(name)
    if value is None:
        return []
    return [str(each) for each in (value if isinstance(value, list) else [value])]


def _sequence(component: Component) -> int | None:
    try:
        return min(max(int(_text(component, "SEQUENCE")), 0), 2_000_000_000)
    except ValueError:
        return None


def _address(component: Component) -> str | None:
    url = _text(component, "URL").strip()
    return plain_address(url) if url.startswith(("https://", "http://")) else None


def _unreadable_parts(component: Component) -> tuple[str, ...]:
    names = [str(name) for name, _ in component.errors if name in ("DTEND", "RRULE", "RDATE", "EXDATE")]
    return tuple(f"Its {name} cannot be read. Enter its dates one by one." for name in dict.fromkeys(names))


def _said(value: object) -> object:
    """A date, a datetime or a duration; None for what is missing or could not be read."""
    return None if value is None or isinstance(value, vBroken) else getattr(value, "dt", None)


def _day_in(zone: str, moment: object) -> date | None:
    if isinstance(moment, datetime):
        return (moment.astimezone(ZoneInfo(zone)) if moment.tzinfo else moment).date()
    return moment if isinstance(moment, date) else None


def _listed(value: object) -> list[Mapping[str, list[object]]]:
    if value is None:
        return []
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, Mapping)]


def _dates(value: object, zone: str) -> list[date]:
    lists = value if isinstance(value, list) else [] if value is None else [value]
    moments = [one.dt for each in lists if isinstance(each, vDDDLists) for one in each.dts]
    if not all(isinstance(moment, date) for moment in moments):
        raise NotExpanded("Its further dates (RDATE) are periods, which are not read.")
    return [day for moment in moments if (day := _day_in(zone, moment)) is not None]
