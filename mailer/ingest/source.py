"""Where a page comes from: a file, the standard input, or a web address, read as text.

A file that is too large is refused before it is read. Nothing is guessed about an
encoding: what is not UTF-8 and says nothing else is refused with its first wrong byte.
"""

import codecs
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mailer.ingest.errors import PageError
from mailer.ingest.fetch import Fetched, fetch
from mailer.ingest.page import PAGE_BYTES, too_large
from mailer.ingest.statement import canonical_url

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


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A page's text, and where it came from: its address, `file:name` or `stdin`."""

    text: str = field(repr=False)
    origin: str


def load(where: str, stdin: BinaryIO, *, fetch_page: Callable[[str], Fetched] = fetch) -> Loaded:
    """Read the page at a web address, in a file, or from the standard input ("-").

    Raises PageError when there is nothing to read, it is too large, or it is no text.
    """
    if where.lower().startswith(("https://", "http://")):
        page = fetch_page(where)
        return Loaded(text=decode(page.body, page.charset), origin=canonical_url(page.url))
    if where == "-":
        return Loaded(text=decode(stdin.read(PAGE_BYTES + 1)), origin="stdin")
    return Loaded(text=decode(_read_file(Path(where))), origin=f"file:{Path(where).name}")


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if path.stat().st_size > PAGE_BYTES:
                raise PageError(too_large())
            return file.read(PAGE_BYTES + 1)  # a device or a pipe has no size to ask for
    except FileNotFoundError:
        raise PageError(f"There is no file {path}. Check the path, or give a web address or “-”.") from None
    except IsADirectoryError:
        raise PageError(f"{path} is a folder. Give the page's file in it.") from None
    except OSError as error:
        raise PageError(f"{path} cannot be read: {error.strerror}.") from None


def decode(octets: bytes, charset: str | None = None) -> str:
    """Return the octets as text: UTF-8, or the charset a server declared. Raises PageError else."""
    if len(octets) > PAGE_BYTES:
        raise PageError(too_large())
    for start, kind in _KINDS.items():
        if octets.startswith(start):
            raise PageError(f"This is {kind}, not a page. Copy its text into a text file (UTF-8).")
    if octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise PageError("The page is UTF-16. Save it again as UTF-8 and ingest that.")
    if b"\0" in octets:
        raise PageError("This is not text but a binary file. Save the page as HTML or as plain text (UTF-8).")
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
