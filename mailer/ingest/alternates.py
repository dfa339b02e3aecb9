"""The feeds and calendars that a page names in its head: better sources than its text, when it has them."""

from selectolax.lexbor import LexborHTMLParser

from mailer.ingest.event import plain_address
from mailer.ingest.programme import web_address

MOST = 5
_TYPES = frozenset(("application/rss+xml", "application/atom+xml", "application/feed+json", "text/calendar"))


def alternates(html: str, base_url: str | None) -> list[str]:
    """Return the addresses of a page's own feeds and calendars, in its order, at most five."""
    found: dict[str, None] = {}
    for link in LexborHTMLParser(html).css('link[rel~="alternate" i][type][href]'):
        kind = (link.attributes.get("type") or "").split(";")[0].strip().lower()
        address = web_address(link.attributes.get("href") or "", base_url)
        if kind in _TYPES and address and plain_address(address):
            found.setdefault(address)
    return list(found)[:MOST]
