"""SMTP replies: from bytes to whole replies, and from a reply's text to what may be kept.

Pure. The reader is strict, because a reply that is guessed at may be credited
to the wrong letter; the text is cleaned before anybody stores or shows it, so
that no address and no control character ever gets past this module.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_LINE = 4096
MAX_LINES = 64
MAX_TEXT = 1024  # octets of a reply's text that may be kept
_MAX_CLEANED = 8192  # characters looked at before cutting to MAX_TEXT

_MAX_KNOWN = 512
_MAX_KNOWN_LINE = 128  # octets

ADDRESS_MARK = "<addr>"

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\r\n]*))?\r\n")
_ENHANCED = re.compile(rb"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")
_ENHANCED_IN_BRACKETS = re.compile(rb"\(#([245]\.[0-9]{1,3}\.[0-9]{1,3})\)")  # qmail's way
_QUOTED_LOCAL_PART = re.compile(r'"[^"]{1,80}"@')
_ADDRESS_SIGNS = ("@", "%40", "=40", "&#64;", "&#x40;", "&commat;", "\uff20", "\ufe6b")


class ReplyError(Exception):
    """The server's bytes are not an SMTP reply (RFC 5321 4.2). The connection cannot be trusted any more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One whole reply: its code and the text of its lines, as the server sent them."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def enhanced(self) -> str | None:
        """The enhanced status code (RFC 3463), for instance '5.1.1'; None when there is none."""
        if not self.lines:
            return None
        found = _ENHANCED.match(self.lines[0])
        if found is None:
            found = _ENHANCED_IN_BRACKETS.search(b" ".join(self.lines))
        return found[1].decode("ascii") if found else None

    @property
    def text(self) -> str:
        """All lines as one, without repeated enhanced codes. Not cleaned: never keep it as it is."""
        prefix = (self.enhanced or "").encode("ascii")
        parts = [line.removeprefix(prefix) if prefix else line for line in self.lines]
        return b" ".join(part.strip() for part in parts).decode("utf-8", "replace")


_known: dict[bytes, Reply] = {}
"""Replies of one line, by that line: a server says the same few things over and over."""


class ReplyReader:
    """Cuts a stream of bytes into replies, within limits of 64 lines of 4 KB."""

    def __init__(self) -> None:
        self._rest = b""
        self._code = 0
        self._lines: list[bytes] = []

    @property
    def has_unread(self) -> bool:
        """True when bytes of an unfinished reply are waiting."""
        return bool(self._rest or self._lines)

    def feed(self, data: bytes) -> Iterable[Reply]:
        """Each reply that is now whole, in order; the iteration raises ReplyError at bytes that fit none."""
        if not self._rest and not self._lines and data.endswith(b"\r\n"):
            known = [_known.get(line) for line in data[:-2].split(b"\r\n")]
            if all(known):
                return [reply for reply in known if reply is not None]
        return self._read(self._rest + data)

    def _read(self, buffer: bytes) -> Iterator[Reply]:
        self._rest = b""
        start = 0
        while start < len(buffer):
            found = _LINE.match(buffer, start)
            if found is None:
                self._rest = _unfinished(buffer, start)
                return
            start = found.end()
            reply = self._add_line(found)
            if reply is not None:
                self._rest = buffer[start:]  # right even if the caller stops here
                yield reply
                self._rest = b""

    def _add_line(self, found: re.Match[bytes]) -> Reply | None:
        if found.end() - found.start() > MAX_LINE:
            raise ReplyError("a line of the reply is longer than 4 KB")
        code = int(found[1])
        if self._lines and code != self._code:
            raise ReplyError("the lines of one reply carry different codes")
        text = found[3] or b""
        if found[2] != b"-":
            reply = Reply(code, (*self._lines, text))
            if not self._lines and found.end() - found.start() <= _MAX_KNOWN_LINE:
                if len(_known) >= _MAX_KNOWN:
                    _known.clear()
                _known[found[0][:-2]] = reply
            self._lines = []
            return reply
        self._code = code
        self._lines.append(text)
        if len(self._lines) >= MAX_LINES:
            raise ReplyError("the reply has more than 64 lines")
        return None


def _unfinished(buffer: bytes, start: int) -> bytes:
    rest = buffer[start:]
    if b"\n" in rest:
        raise ReplyError("the server sent a line that is not an SMTP reply")
    if len(rest) > MAX_LINE:
        raise ReplyError("a line of the reply is longer than 4 KB")
    return rest


def hide_addresses(text: str) -> str:
    """The text with every word that looks like an address replaced by `<addr>`, on one line, no controls.

    Whole words go, not just the address in them: what surrounds an address
    (a VERP prefix, a URL) may carry it a second time. Linear in the text.
    """
    if len(text) > _MAX_CLEANED:  # the last word goes: it may be half an address
        text = text[:_MAX_CLEANED].rpartition(" ")[0]
    if text.isprintable() and not any(sign in text for sign in _ADDRESS_SIGNS):
        return text.strip()
    text = "".join(character if character.isprintable() else " " for character in text)
    text = _QUOTED_LOCAL_PART.sub("@", text)
    return " ".join(ADDRESS_MARK if _looks_like_address(word) else word for word in text.split())


def _looks_like_address(word: str) -> bool:
    lowered = word.lower()
    return any(sign in lowered for sign in _ADDRESS_SIGNS)


def keepable(text: str, recipient: str = "") -> str:
    """What of a reply's text may be stored and shown: no address, no control character, at most 1 KB.

    `recipient` is the address the reply was about: its local part goes too
    where it stands alone ("john.doe: user unknown").
    """
    cleaned = hide_addresses(text)
    local = recipient.rpartition("@")[0].strip('"')
    if local and local.casefold() in cleaned.casefold():
        alone = re.compile(rf"(?<![\w.+-]){re.escape(local)}(?![\w+-])", re.IGNORECASE)
        cleaned = alone.sub(ADDRESS_MARK, cleaned)
    octets = cleaned.encode("utf-8", "replace")
    if len(octets) <= MAX_TEXT:
        return cleaned
    return octets[:MAX_TEXT].decode("utf-8", "ignore")
