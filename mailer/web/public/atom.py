"""The feed of statements (Atom, RFC 4287): stable ids, and only what is published.

A correction or retraction moves `updated` and nothing else, so that readers look again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from mailer.services.house import House
from mailer.services.programme.public import StatementLine

NAMESPACE = "http://www.w3.org/2005/Atom"
NEVER = datetime(2000, 1, 1, tzinfo=UTC)  # what an empty feed says it was changed, so that it stays the same


def atom(house: House, statements: Sequence[StatementLine], language: str) -> bytes:
    """The newest statements with their titles and addresses, as UTF-8 octets."""
    feed = Element("feed", {"xmlns": NAMESPACE, "xml:lang": language})
    _add(feed, "id", house.url("statements"))
    _add(feed, "title", house.settings.organisation)
    _add(feed, "updated", max((one.updated_at for one in statements), default=NEVER).isoformat())
    SubElement(feed, "link", {"rel": "alternate", "type": "text/html", "href": house.url("statements")})
    SubElement(feed, "link", {"rel": "self", "href": house.url("statements.atom")})
    _add(SubElement(feed, "author"), "name", house.settings.organisation)
    for one in statements:
        entry = SubElement(feed, "entry", {"xml:lang": one.language})
        address = house.url("statements", one.slug)
        _add(entry, "id", address)
        _add(entry, "title", one.title)
        _add(entry, "published", one.published_at.isoformat())
        _add(entry, "updated", one.updated_at.isoformat())
        SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": address})
    return bytes(tostring(feed, encoding="utf-8", xml_declaration=True))


def _add(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = text
