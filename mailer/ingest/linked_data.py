"""schema.org events that a page carries as JSON-LD, in its head or its body.

Plugins write these data, and nobody reads them: hours without a zone, midnight for "no
hour known", lists, nulls, comments around the JSON. What is not said for certain is
unknown and asked about; a block that cannot be read is listed.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from selectolax.lexbor import LexborHTMLParser

from mailer.ingest.draft import SymposiumDraft, UnreadLine
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
from mailer.ingest.json_feed import load_json
from mailer.ingest.nesting import refuse_bombs
from mailer.ingest.programme import web_address
from mailer.visible import visible
from mailer.vocabulary import FieldSource, Medium

POSTPONED = "Its page says that it is postponed. When will it be?"
MOST_BLOCKS = 100
MOST_NODES = 20_000
MOST_EVENTS = 500
_WRAPPING = re.compile(r"^\s*(?:<!--|<!\[CDATA\[|//\s*<!\[CDATA\[)|(?:-->|\]\]>|//\s*\]\]>)\s*;?\s*$")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SCRIPT = re.compile(r"application/ld\+json\b", re.I)
_DAY = re.compile(r"(\d{4})-(\d\d)(?:-(\d\d))?")


def read_linked_events(
    html: str, *, base_url: str | None, zone: str
) -> tuple[tuple[SymposiumDraft, ...], tuple[UnreadLine, ...]]:
    """Return the events of all JSON-LD blocks, each once, and what could not be read.

    `zone` is the site's own place: hours with an offset are told in it.
    """
    if not _SCRIPT.search(html):
        return (), ()
    refuse_bombs(html)
    drafts: list[SymposiumDraft] = []
    unread: list[UnreadLine] = []
    for number, block in enumerate(_blocks(html), start=1):
        try:
            events = list(_events(load_json(_unwrapped(block))))
        except PageError as problem:
            what = "Data about events (JSON-LD)"
            unread.append(UnreadLine(number=number, text=what, why=str(problem), asks=False))
            continue
        for event in events:
            read = _read(event, number, base_url, zone)
            if isinstance(read, UnreadLine):
                unread.append(read)
            else:
                drafts.append(read)
    return tuple(each_once(drafts)), tuple(unread)


def _blocks(html: str) -> list[str]:
    scripts = LexborHTMLParser(html).css("script[type]")
    found = [one.text() for one in scripts if _SCRIPT.match((one.attributes.get("type") or "").strip())]
    return found[:MOST_BLOCKS]


def _unwrapped(block: str) -> str:
    return _WRAPPING.sub("", _WRAPPING.sub("", _CONTROLS.sub(" ", block)))


def _events(data: object) -> Iterator[Mapping[str, Any]]:
    """Every object of a type that ends in "Event", however deep it lies. Raises PageError past the limits."""
    waiting: list[object] = [data]
    nodes = found = 0
    while waiting:
        node = waiting.pop()
        nodes += 1
        if nodes > MOST_NODES or found > MOST_EVENTS:
            raise PageError("The page's data hold too many parts, so none of them was read.")
        if isinstance(node, list):
            waiting += reversed(node)
        elif isinstance(node, dict):
            if _is_event(node.get("@type")):
                found += 1
                yield node
            waiting += [value for name, value in node.items() if name != "superEvent"][::-1]


def _is_event(said: object) -> bool:
    types = said if isinstance(said, list) else [said]
    return any(isinstance(one, str) and re.search(r"(?:^|[/:#])\w*Event$", one) for one in types)


def _read(
    node: Mapping[str, Any], number: int, base_url: str | None, zone: str
) -> SymposiumDraft | UnreadLine:
    title = short_line(_words(node.get("name")), TITLE_LETTERS)
    if not title:
        what = "An event in the page's data"
        return UnreadLine(number=number, text=what, why="It has no name.", asks=False)
    start = _point(_words(node.get("startDate")), zone)
    if start is None:
        why = "Its startDate is missing or is no date."
        return UnreadLine(number=number, text=f"{title} (the page's data)", why=why)
    status = _words(node.get("eventStatus"))
    url = web_address(_words(node.get("url")), base_url) if _words(node.get("url")) else None
    end = _point(_words(node.get("endDate")), zone)
    return draft_of(
        Event(
            title=title,
            start=start,
            end=end if end and end.held is None and (end.at or not start.at) else None,
            medium=Medium.LINKED_DATA,
            line=number,
            uid=_identity(node, start),
            place=short_line(_place(node.get("location")), PLACE_LETTERS) or None,
            online=_online(node),
            url=plain_address(url) if url else None,
            series=short_line(_name(node.get("superEvent")), TITLE_LETTERS) or None,
            cancelled=status.endswith("EventCancelled"),
            notes=(POSTPONED,) if status.endswith("EventPostponed") else (),
        )
    )


def _identity(node: Mapping[str, Any], start: Point) -> str | None:
    """What the page knows the event by. A plugin's @id can be the page's own, so the day stands beside it."""
    said = _words(node.get("@id")) or _words(node.get("identifier"))
    return short_uid(said, _words(node.get("name"))[:60]) if said and start.day else None


def _point(text: str, zone: str) -> Point | None:
    """A startDate or endDate; None when it is no date. An hour without an offset is unknown, and asked."""
    match = _DAY.match(text)
    if not match:
        return None
    try:
        if match[3] is None:
            date(int(match[1]), int(match[2]), 1)
            return Point(month=(int(match[1]), int(match[2])))
        day = date.fromisoformat(match[0])
        if not is_sensible(day):
            return None
        if len(text) <= len(match[0]) + 1:
            return Point(day=day)
        moment = datetime.fromisoformat(text.strip().replace(" ", "T", 1))
    except (ValueError, OverflowError):
        return None
    if moment.time() == time(0):
        ask = f"The page's data say midnight of {day}, which mostly means that no hour was given. Is it so?"
        return Point(day=day, ask=ask)
    if moment.tzinfo is None:
        ask = f"The page's data say {moment:%H:%M} without a time zone. Is {moment:%H:%M} {zone} meant?"
        return Point(day=day, ask=ask)
    return _with_offset(moment, zone)


def _with_offset(moment: datetime, zone: str) -> Point:
    try:
        local = moment.astimezone(ZoneInfo(zone))
    except (OverflowError, ValueError):
        return Point(day=moment.date(), ask="The hour in the page's data cannot be read. When is it?")
    differs = local.utcoffset() != moment.utcoffset()
    ask = f"The page's data say {moment:%H:%M} at UTC{moment:%z}. Is it {local:%H:%M on %Y-%m-%d} in {zone}?"
    return Point(
        day=local.date(),
        at=local.time().replace(tzinfo=None, second=0, microsecond=0),
        zone=zone,
        zone_source=FieldSource.CONTEXT,
        ask=ask if differs else None,
    )


def _words(value: object) -> str:
    """The first text of a value that may be a text, a number, a list, or a text with a language."""
    for _ in range(5):
        if isinstance(value, list):
            value = value[0] if value else None
        elif isinstance(value, dict):
            value = value.get("@value")
        else:
            break
    return visible(str(value)).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _name(value: object) -> str:
    first = value[0] if isinstance(value, list) and value else value
    return _words(first.get("name")) if isinstance(first, dict) else ""


def _place(value: object) -> str:
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, dict):
        return _words(first.get("name")) or _words(first.get("address")) or _words(first.get("url"))
    return _words(first)


def _online(node: Mapping[str, Any]) -> bool | None:
    """What schema.org's eventAttendanceMode says; None for both ways, and when it says nothing."""
    said = _words(node.get("eventAttendanceMode"))
    if said.endswith("OnlineEventAttendanceMode"):
        return True
    return False if said.endswith("OfflineEventAttendanceMode") else None
