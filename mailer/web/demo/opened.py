"""A caught mail taken apart for reading: its parts as they came, nothing fetched, nothing run.

The HTML is shown only inside a sandboxed frame; `in_light` decides here, on the server,
whether the mail's own rules for dark screens hold, because a frame cannot be told.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser

SAFE_TYPES = frozenset({"text/calendar", "application/ics", "application/pdf", "text/plain"})
_DARK_QUERY = re.compile(r"@media[^{]*\(\s*prefers-color-scheme\s*:\s*dark\s*\)[^{]*", re.I)
_SCHEME = re.compile(
    r"(color-schemes?\s*:\s*|name=\"(?:supported-)?color-schemes?\"\s+content=\")light dark", re.I
)
_UNSUBSCRIBE = re.compile(r"<(https?://[^>]+)>")


@dataclass(frozen=True)
class Attachment:
    """One part that is not the text of the mail. `number` is its place in the mail."""

    number: int
    name: str
    content_type: str
    content: bytes = field(repr=False)

    @property
    def served_as(self) -> str:
        """The type it is handed out with: only such as no browser runs."""
        return self.content_type if self.content_type in SAFE_TYPES else "application/octet-stream"


@dataclass(frozen=True)
class Opened:
    """A mail as a reader sees it."""

    subject: str
    html: str | None
    text: str | None
    headers: tuple[tuple[str, str], ...]
    attachments: tuple[Attachment, ...]
    links: tuple[tuple[str, str], ...]
    one_click: str | None
    spoken: str | None


def open_mail(data: bytes) -> Opened:
    """Take a mail apart. Whatever the octets are, something is shown."""
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    html, text = _content(message, "text/html"), _content(message, "text/plain")
    tree = LexborHTMLParser(html) if html else None
    return Opened(
        subject=_header(message, "Subject"),
        html=html,
        text=text,
        headers=tuple((name, _one_line(str(value))) for name, value in _headers(message)),
        attachments=tuple(_attachments(message)),
        links=tuple(_links(tree)) if tree else (),
        one_click=_one_click(message),
        spoken=_language(tree) if tree else None,
    )


def in_light(html: str, *, dark: bool) -> str:
    """The document with its dark rules always on or always off."""
    switched = _DARK_QUERY.sub("@media all " if dark else "@media not all ", html)
    return _SCHEME.sub(lambda found: found[1] + ("dark" if dark else "light"), switched)


def _headers(message: EmailMessage) -> list[tuple[str, object]]:
    try:
        return list(message.items())
    except (ValueError, IndexError, LookupError):  # the library fails on some odd headers
        return list(message.raw_items())


def _header(message: EmailMessage, name: str) -> str:
    for key, value in _headers(message):
        if key.lower() == name.lower():
            return _one_line(str(value))
    return ""


def _one_line(value: str) -> str:
    return " ".join(value.split())


def _content(message: EmailMessage, content_type: str) -> str | None:
    for part in message.walk():
        if part.get_content_type() == content_type and part.get_content_disposition() != "attachment":
            return _text(part)
    return None


def _text(part: EmailMessage) -> str:
    octets = part.get_payload(decode=True)
    charset = part.get_content_charset("utf-8")
    raw = octets if isinstance(octets, bytes) else b""
    try:
        return raw.decode(charset, "replace")
    except LookupError:
        return raw.decode("utf-8", "replace")


def _attachments(message: EmailMessage) -> Iterator[Attachment]:
    for number, part in enumerate(message.walk()):
        content_type = part.get_content_type()
        named = part.get_filename()
        if part.is_multipart() or (named is None and content_type in {"text/plain", "text/html"}):
            continue
        octets = part.get_payload(decode=True)
        raw = octets if isinstance(octets, bytes) else b""
        yield Attachment(number, _safe_name(named, content_type), content_type, raw)


def _safe_name(named: str | None, content_type: str) -> str:
    """A file name that can stand in a header and is no path, whatever the mail says."""
    last = (named or "").replace("\\", "/").rpartition("/")[2]
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip(".-")
    if cleaned:
        return cleaned[:100]
    return "part.ics" if content_type in {"text/calendar", "application/ics"} else "part.bin"


def _links(tree: LexborHTMLParser) -> Iterator[tuple[str, str]]:
    seen = set()
    for anchor in tree.css("a[href]"):
        address = anchor.attributes.get("href") or ""
        if urlsplit(address).scheme in {"http", "https", "mailto"} and address not in seen:
            seen.add(address)
            yield address, _one_line(anchor.text()) or address


def _one_click(message: EmailMessage) -> str | None:
    if _header(message, "List-Unsubscribe-Post") != "List-Unsubscribe=One-Click":
        return None
    found = _UNSUBSCRIBE.search(_header(message, "List-Unsubscribe"))
    return found[1] if found else None


def _language(tree: LexborHTMLParser) -> str | None:
    root = tree.css_first("html")
    return root.attributes.get("lang") if root is not None else None
