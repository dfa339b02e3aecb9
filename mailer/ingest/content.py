"""One way in for everything that is read: octets of any kind become drafts.

What a server or a file's name says about its kind is never trusted; the first letters
decide. Each kind has its own limit of octets.
"""

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from mailer.ingest.alternates import alternates
from mailer.ingest.decode import decode
from mailer.ingest.draft import PageDraft
from mailer.ingest.errors import PageError
from mailer.ingest.feed import looks_like_feed, read_feed
from mailer.ingest.html import looks_like_html
from mailer.ingest.items import read_items
from mailer.ingest.json_feed import looks_like_json, read_json_feed
from mailer.ingest.linked_data import read_linked_events
from mailer.ingest.merge import merge
from mailer.ingest.page import PAGE_BYTES, read_page, too_large
from mailer.ingest.zones import ZONES
from mailer.vocabulary import SourceKind

CALENDAR_BYTES = 5 * 1024 * 1024
MOST_BYTES = CALENDAR_BYTES  # of the largest kind; read_content knows the others' limits
_CALENDAR = re.compile(r"\ufeff?\s*BEGIN:VCALENDAR\b", re.I)
_CALENDAR_START = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,100}BEGIN:VCALENDAR\b", re.I)
_XML_ENCODING = re.compile(rb"""\s*<\?xml[^>]{0,200}\bencoding\s*=\s*["']([A-Za-z0-9._-]{2,40})["']""")

_HTML_CHARSET = re.compile(rb"""<meta\s[^>]{0,200}\bcharset\s*=\s*["']?([A-Za-z0-9._-]{2,40})""", re.I)


@dataclass(frozen=True, kw_only=True)
class Content:
    """Text of a known kind."""

    text: str = field(repr=False)
    kind: SourceKind


def open_content(octets: bytes, charset: str | None = None) -> Content:
    """Decode what was read and tell its kind. Raises PageError for what is no text, or too large for it.

    `charset` is what a server declared; XML's own declaration is heard where the server is silent or wrong.
    """
    most = most_octets(octets)
    if len(octets) > most:
        raise PageError(too_large(most))
    text = _decoded(octets, charset)
    return Content(text=text, kind=sniff(text))


def most_octets(octets: bytes) -> int:
    """Return how many octets a thing that begins so may have."""
    return CALENDAR_BYTES if _CALENDAR_START.match(octets) else PAGE_BYTES


def sniff(text: str) -> SourceKind:
    """Tell what kind of thing a text is by how it begins."""
    if _CALENDAR.match(text):
        return SourceKind.CALENDAR
    if looks_like_json(text):
        return SourceKind.JSON_FEED
    return SourceKind.FEED if looks_like_feed(text) else SourceKind.PAGE


def read_content(
    content: Content,
    *,
    fetched_on: date,
    source: str,
    zone: str,
    zones: Mapping[str, str] = ZONES,
    language: str = "en",
) -> PageDraft:
    """Read a text of any kind into drafts. Raises PageError for what cannot be read as a whole.

    `source` is its address or another word for where it came from, `zone` the IANA zone of the place its
    times are told in when they name none themselves but an offset.
    """
    page = _read(content, fetched_on, source, zone, zones, language)
    warned = [f"“{one.title}”: {warning}" for one in page.symposia for warning in one.warnings]
    return replace(page, notes=(*page.notes, *warned))


def _read(
    content: Content, fetched_on: date, source: str, zone: str, zones: Mapping[str, str], language: str
) -> PageDraft:
    text = content.text
    if content.kind is SourceKind.CALENDAR:
        from mailer.ingest.calendar_file import read_calendar  # a library that only calendars need

        return read_calendar(text, fetched_on=fetched_on, zone=zone, zones=zones)
    if content.kind is SourceKind.PAGE:
        return _page(text, fetched_on=fetched_on, source=source, zone=zone, zones=zones, language=language)
    reader = read_feed if content.kind is SourceKind.FEED else read_json_feed
    items, notes, whole = reader(text)
    return read_items(
        items,
        kind=content.kind,
        fetched_on=fetched_on,
        source=source,
        zones=zones,
        language=language,
        notes=notes,
        whole=whole,
    )


def _page(
    text: str, *, fetched_on: date, source: str, zone: str, zones: Mapping[str, str], language: str
) -> PageDraft:
    page = read_page(text, fetched_on=fetched_on, source=source, zones=zones, language=language)
    if not looks_like_html(text):
        return page
    events, unread = read_linked_events(text, base_url=source if "://" in source else None, zone=zone)
    if not (events or unread or page.statements or page.symposia):
        named = alternates(text, source if "://" in source else None)
        notes = (f"The page names a feed or calendar of its own: {' '.join(named)}",) if named else ()
        return replace(page, notes=(*page.notes, *notes))
    if not events and not unread:
        return page
    symposia = merge(page.symposia, events)
    open_ones = (one.held for one in symposia if one.held and one not in page.symposia)
    return replace(
        page,
        symposia=symposia,
        unread=(*page.unread, *unread),
        # What the text alone left open, its data may have answered.
        questions=tuple(open_ones) if events else page.questions,
    )


def _decoded(octets: bytes, charset: str | None) -> str:
    start = octets.removeprefix(codecs.BOM_UTF8)
    declared = _XML_ENCODING.match(start[:400]) or _HTML_CHARSET.search(start[:1_024])
    own = declared[1].decode() if declared else None
    try:
        return decode(octets, charset or own, MOST_BYTES)
    except PageError:
        if own is None or own.lower() == (charset or own).lower():
            raise
        return decode(octets, own, MOST_BYTES)
