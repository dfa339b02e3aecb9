"""Words of a header: encoded words (RFC 2047), atoms and quoted strings (RFC 5322), folding.

An encoded word is at most 75 characters and a line that holds one at most 76; a character is never
split over two words. What is plain ASCII stays plain. Nothing here knows which header it is in.
"""

import re
import string
from binascii import b2a_base64
from collections.abc import Iterator, Sequence

from mailer.messages.encoding import cut

LINE = 76
_LONGEST_LINE = 998
_WORD = 75
_FRAME = len("=?utf-8?q??=")
_Q_PLAIN = string.ascii_letters + string.digits + "!*+-/"
_Q = [
    "_" if octet == ord(" ") else chr(octet) if chr(octet) in _Q_PLAIN else f"={octet:02X}"
    for octet in range(256)
]
_PLAIN = re.compile(r"[!-~]{1,60}(?: [!-~]{1,60})*").fullmatch
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*").fullmatch
_QUOTABLE = re.compile(r"[ -~]*").fullmatch
_REFUSED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class UnsafeHeader(ValueError):
    """A header value that would break out of its line, or a line no server must accept."""


def check_header_text(text: str) -> str:
    """The text itself; UnsafeHeader for control characters, line and paragraph separators, half characters.

    (C0, DEL, C1 with U+0085, U+2028, U+2029: CVE-2024-6923 is what happens without this.)
    """
    if found := _REFUSED.search(text):
        raise UnsafeHeader(f"holds U+{ord(found[0]):04X}, which may not stand in a header; take it out")
    return text


def unstructured(name: str, text: str) -> str:
    """`Name: text` as folded lines without the last CRLF: plain where it can be, else encoded words.

    Exact: what a reader decodes is the text, spaces included. UnsafeHeader as check_header_text.
    """
    check_header_text(text)
    if "=?" not in text and _PLAIN(text):
        return fold(name, text.split(" "))
    return fold(name, encoded_words(text, room=LINE - len(name) - 2))


def phrase(text: str, *, room: int) -> list[str]:
    """A display name as tokens to fold between: atoms, one quoted string, or encoded words.

    `room`: characters left on the first line. A name with '@' is never left bare.
    """
    check_header_text(text)
    if _QUOTABLE(text) and "=?" not in text:
        if _ATOMS(text):
            return text.split(" ")
        return ['"' + re.sub(r'(["\\])', r"\\\1", text) + '"']
    return encoded_words(text, room=room)


def fold(name: str, tokens: Sequence[str]) -> str:
    """`Name: tokens` joined by single spaces, folded between them where a line would pass 76 characters.

    A token longer than that stays whole on its line; UnsafeHeader if the line would pass 998.
    """
    lines = [f"{name}: {tokens[0]}"]
    for token in tokens[1:]:
        if len(lines[-1]) + 1 + len(token) <= LINE:
            lines[-1] += " " + token
        else:
            lines.append(" " + token)
    if any(len(line.encode()) > _LONGEST_LINE for line in lines):
        raise UnsafeHeader("is too long: a line of a header holds at most 998 octets; shorten it")
    return "\r\n".join(lines)


def encoded_words(text: str, *, room: int) -> list[str]:
    """The text as RFC 2047 words in UTF-8, B or Q, whichever is shorter; the first fits into `room`."""
    octets = text.encode()
    first, rest = min(room, _WORD) - _FRAME, _WORD - _FRAME
    q_words = [f"=?utf-8?q?{chunk}?=" for chunk in _q_chunks(octets, first, rest)]
    b_words = [f"=?utf-8?b?{chunk}?=" for chunk in _b_chunks(octets, first // 4 * 3, rest // 4 * 3)]
    return q_words if sum(map(len, q_words)) <= sum(map(len, b_words)) else b_words


def _q_chunks(octets: bytes, limit: int, rest: int) -> Iterator[str]:
    written = "".join(map(_Q.__getitem__, octets))
    start = 0
    while start < len(written):
        end = cut(written, start + limit)
        yield written[start:end]
        start, limit = end, rest


def _b_chunks(octets: bytes, limit: int, rest: int) -> Iterator[str]:
    start = 0
    while start < len(octets):
        end = start + limit
        while end < len(octets) and octets[end] & 0xC0 == 0x80:  # inside a character
            end -= 1
        yield b2a_base64(octets[start:end], newline=False).decode("ascii")
        start, limit = end, rest
