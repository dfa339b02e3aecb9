"""JSON Feed (jsonfeed.org, versions 1 and 1.1), which feed libraries take for an empty feed."""

import json
import re
from datetime import date
from typing import Any

from mailer.ingest.errors import PageError
from mailer.ingest.items import FeedItem, refuse_many

_VERSION = re.compile(r"https?://(?:www\.)?jsonfeed\.org/version/1(?:\.\d)?/?")


def looks_like_json(text: str) -> bool:
    """True for text that starts as a JSON object does."""
    return re.match(r'\ufeff?\s*\{\s*["}]', text) is not None


def read_json_feed(text: str) -> tuple[list[FeedItem], tuple[str, ...], bool]:
    """Return the feed's items, notes for staff, and True. Raises PageError for anything but a JSON Feed."""
    feed = load_json(text)
    if not isinstance(feed, dict) or not _VERSION.fullmatch(str(feed.get("version", ""))):
        raise PageError("This is JSON, but no JSON Feed, so nothing was read. Give the address of the feed.")
    listed = feed.get("items")
    if not isinstance(listed, list):
        raise PageError("The JSON Feed holds no list of items, so nothing was read. Was it cut off?")
    refuse_many(len(listed))
    language = feed.get("language")
    items = [_item(one, language) for one in listed if isinstance(one, dict)]
    strange = len(listed) - len(items)
    notes = (f"{strange} of the feed's items are no objects and were not read.",) if strange else ()
    return items, notes, not strange


def load_json(text: str) -> Any:
    """Parse JSON from outside. Raises PageError, also for nesting and numbers without end."""
    try:
        return json.loads(text.removeprefix("\ufeff"), strict=False)
    except RecursionError:
        raise PageError("The JSON is nested too deeply, so nothing of it was read.") from None
    except ValueError as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise PageError(f"The JSON cannot be read{where}. Was it cut off? Fetch or save it again.") from None


def _item(item: dict[str, Any], language: object) -> FeedItem:
    html, text = _words(item, "content_html"), _words(item, "content_text")
    return FeedItem(
        guid=_words(item, "id"),
        url=_words(item, "url") or _words(item, "external_url"),
        title=_words(item, "title"),
        body=html or text or _words(item, "summary"),
        is_html=bool(html),
        summary_only=not (html or text),
        published_on=_day(_words(item, "date_published")),
        language=_words(item, "language") or (language if isinstance(language, str) else None),
    )


def _words(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
