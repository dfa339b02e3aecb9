"""RSS and Atom, read by feedparser from text that was fetched and decoded already.

A feed has no document type here, so no entity of its own is ever expanded. What is not
well-formed is read as far as it goes, said, and never taken for proof that an item is gone.
"""

import re
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from xml.parsers import expat

from mailer.ingest.errors import PageError
from mailer.ingest.items import MOST_ITEMS, FeedItem, refuse_many
from mailer.ingest.nesting import refuse_bombs

LOOSE_LETTERS = 300_000  # of a feed that is not well-formed: guessing at it is slow
_PROLOG = re.compile(r"\ufeff?(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.S)
_ITEM = re.compile(r"<(?:\w+:)?(?:item|entry)[\s>/]", re.I)
_DECLARED = re.compile(r"\s*<\?xml[^>]*\?>", re.I)
_LIST_ROOT = re.compile(r"<(?:\w+:)?(?:rss|feed|rdf)[\s>]", re.I)
_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # XML 1.0 2.2: no escape makes them legal


def after_prolog(text: str) -> str:
    """Return the text from its first element or document type on."""
    match = _PROLOG.match(text)
    return text[match.end() :] if match else text


def looks_like_feed(text: str) -> bool:
    """True for text whose first element is that of RSS or Atom, with or without a document type."""
    start = after_prolog(text[:20_000])
    if start[:9].upper() == "<!DOCTYPE":
        return re.match(r"<!DOCTYPE\s+(?:\w+:)?(?:rss|feed|rdf)\b", start, re.I) is not None
    return _LIST_ROOT.match(start) is not None


def read_feed(text: str) -> tuple[list[FeedItem], tuple[str, ...], bool]:
    """Return the feed's items, notes for staff, and whether it was well-formed.

    Raises PageError for a document type, for nesting without end and for too many items.
    """
    if after_prolog(text)[:2] == "<!":
        raise PageError(
            "The feed brings a document type (DTD) along, with which it could make anything of its text. "
            "Such feeds are not read. Ask for one without it."
        )
    refuse_many(len(_ITEM.findall(text)))
    refuse_bombs(text)
    text = _DECLARED.sub("", _NO_XML.sub("", text), count=1)
    if len(text) > LOOSE_LETTERS and not _is_well_formed(text):
        raise PageError(
            "The feed is large and not well-formed, so it was not read. "
            "Ask its owner to mend it, or for a feed of the latest items."
        )
    parsed = _parse(text)
    items = [_item(entry) for entry in parsed.entries[:MOST_ITEMS]]
    if not parsed.version and not items:
        raise PageError("The feed cannot be read: it is neither RSS nor Atom. Open its address in a browser.")
    if not parsed.bozo:
        return items, (), True
    where = getattr(parsed.get("bozo_exception"), "getLineNumber", lambda: None)()
    line = f", from line {where} on" if where else ""
    return items, (f"The feed is not well-formed{line}: what it says may be incomplete.",), False


def _is_well_formed(text: str) -> bool:
    # No document type comes so far, and without one there is nothing to expand.
    parser = expat.ParserCreate("utf-8")
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError:
        return False
    return True


def _parse(text: str) -> Any:
    import feedparser  # some megabytes of memory, for the process that reads feeds

    octets = text.encode("utf-8", "replace")
    headers = {"content-type": "application/xml; charset=utf-8"}
    return feedparser.parse(
        octets, response_headers=headers, resolve_relative_uris=False, sanitize_html=False
    )


def _item(entry: Any) -> FeedItem:
    contents = entry.get("content") or []
    whole = next((one for one in contents if one.get("value")), None)
    body = whole.get("value") if whole else entry.get("summary") or ""
    said_as = (whole or entry.get("summary_detail") or {}).get("type", "text/html")
    return FeedItem(
        guid=str(entry.get("id") or ""),
        url=str(entry.get("link") or ""),
        title=str(entry.get("title") or ""),
        body=str(body),
        is_html=said_as != "text/plain",
        summary_only=whole is None and not _may_be_whole(str(body)),
        published_on=_day(str(entry.get("published") or entry.get("updated") or "")),
        language=str((whole or {}).get("language") or "") or None,
    )


def _may_be_whole(body: str) -> bool:
    return body.count("<p") > 1 or body.count("\n\n") > 0


def _day(text: str) -> date | None:
    """The day as it was printed. A feed's hour says when somebody pressed a button, not when a thing is."""
    iso = re.match(r"(\d{4}-\d\d-\d\d)", text.strip())
    try:
        moment: date | datetime = date.fromisoformat(iso[1]) if iso else parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment.date() if isinstance(moment, datetime) else moment
