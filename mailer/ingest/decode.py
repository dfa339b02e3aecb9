"""Octets as text: UTF-8, or the charset that a server or the text itself declares. Nothing is guessed.

What is UTF-8 by its letters is UTF-8, also where a server says otherwise: many say so by default.
"""

import codecs

from mailer.ingest.errors import PageError
from mailer.ingest.page import PAGE_BYTES, too_large

# What servers still declare for pages. The web reads "iso-8859-1" and "us-ascii" as windows-1252.
_CHARSETS = {
    "utf-8": "utf-8",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "windows-1252": "cp1252",
    "windows-1251": "cp1251",
    "windows-1256": "cp1256",
    "koi8-r": "koi8-r",
    "koi8-u": "koi8-u",
}
_KINDS = {
    b"%PDF-": "a PDF",
    b"PK\x03\x04": "a Word or other packed document",
    b"\xd0\xcf\x11\xe0": "a Word document",
}


def decode(octets: bytes, charset: str | None = None, most: int = PAGE_BYTES) -> str:
    """Return the octets as text: UTF-8, or the charset a server declared. Raises PageError else."""
    if len(octets) > most:
        raise PageError(too_large(most))
    for start, kind in _KINDS.items():
        if octets.startswith(start):
            raise PageError(f"This is {kind}, not a page. Copy its text into a text file (UTF-8).")
    if octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise PageError("The page is UTF-16. Save it again as UTF-8 and ingest that.")
    if b"\0" in octets:
        raise PageError("This is not text but a binary file. Save the page as HTML or as plain text (UTF-8).")
    if _is_utf8(octets):
        charset = "utf-8"  # its letters prove it, whatever a server says
    codec = _CHARSETS.get((charset or "utf-8").strip().lower())
    if codec is None:
        raise PageError(f"The server sent the page as {charset}. Save the page as UTF-8 and ingest that.")
    try:
        return octets.removeprefix(codecs.BOM_UTF8).decode(codec)
    except UnicodeDecodeError as error:
        raise PageError(
            f"The page is not UTF-8: byte {error.start + 1} is 0x{octets[error.start]:02X}. "
            "Save it again with the encoding UTF-8 and ingest that."
        ) from None


def _is_utf8(octets: bytes) -> bool:
    """True for text beyond ASCII that is UTF-8: in another charset it would be a heap of odd signs."""
    if octets.isascii():
        return False
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
