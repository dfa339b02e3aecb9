"""Transfer encodings of a body, in pieces: quoted-printable and base64 (RFC 2045 6.7, 6.8).

A body is cut at its slots. Its fixed segments are encoded once, a value is encoded alone, and the
pieces joined are one valid body: 7-bit, CRLF, at most 76 octets a line, no line that begins with a
dot (dot-stuffing has nothing to do), and already in DKIM's relaxed canonical form.
Nothing here decides what a value means; it must have been escaped for its place before.
"""

import re
from binascii import b2a_base64

SOFT_BREAK = b"=\r\n"
_BASE64_LINE = 76
_LINE = 75  # 76 with the '=' of a soft break
_EASY = re.compile(r"(?!\.|From )[!-<>-~]+(?: [!-<>-~]+)*").fullmatch
# A tab, and a space after a space, could stand as they are, but DKIM's relaxed form would fold them,
# and then the hash could not run on the bytes as they leave.
_PRINTABLE = [
    chr(octet) if 0x20 <= octet < 0x7F and octet != ord("=") else f"={octet:02X}" for octet in range(256)
]


def quoted_printable(text: str) -> bytes:
    r"""Text, with '\n' as line end, as quoted-printable that is to be followed by a soft break.

    Every physical line is at most 75 octets, so the soft break always fits; a break never falls inside
    `=XX` or inside a character's octets. ValueError (UnicodeEncodeError) for a lone surrogate.
    """
    if len(text) <= _LINE and _EASY(text):
        return text.encode("ascii")
    lines = text.split("\n")
    last = len(lines) - 1
    return b"\r\n".join(_printable_line(line, hard=number < last) for number, line in enumerate(lines))


def _printable_line(line: str, *, hard: bool) -> bytes:
    """One line of text as physical lines joined by soft breaks; `hard`: a real line end follows."""
    safe = "".join(map(_PRINTABLE.__getitem__, line.encode())).replace("  ", " =20")
    if hard and safe.endswith(" "):
        safe = safe[:-1] + "=20"
    pieces: list[str] = []
    position = 0
    while True:
        head, skip = "", 0
        if safe.startswith(".", position):
            head, skip = "=2E", 1
        elif safe.startswith("From ", position):
            head, skip = "=46", 1
        end = cut(safe, position + _LINE - len(head) + skip)
        pieces.append(head + safe[position + skip : end])
        if end >= len(safe):
            return "=\r\n".join(pieces).encode("ascii")
        position = end


def cut(safe: str, end: int) -> int:
    """The last place not after `end` that is neither inside `=XX` nor inside one character's octets.

    Every '=' in `safe` begins an escape, as in quoted-printable and in RFC 2047's Q.
    """
    if end >= len(safe):
        return len(safe)
    while "=" in safe[end - 2 : end] or (safe[end] == "=" and safe[end + 1] in "89AB"):
        end -= 1
    return end


def base64_lines(octets: bytes) -> bytes:
    """Octets as base64 lines of at most 76 characters, each ended by CRLF; empty for no octets."""
    letters = b2a_base64(octets, newline=False)
    if len(letters) <= _BASE64_LINE:
        return letters + b"\r\n" if letters else b""
    lines = [letters[start : start + _BASE64_LINE] for start in range(0, len(letters), _BASE64_LINE)]
    lines.append(b"")
    return b"\r\n".join(lines)
