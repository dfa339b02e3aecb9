"""Where something to read comes from: a file, the standard input, or a web address.

What is too large is read to the limit only. Nothing is guessed about an
encoding: what is not UTF-8 and says nothing else is refused with its first wrong byte.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from mailer.ingest.content import MOST_BYTES, Content, most_octets, open_content
from mailer.ingest.errors import PageError
from mailer.ingest.fetch import Fetched, Limits, fetch
from mailer.ingest.page import PAGE_BYTES
from mailer.ingest.statement import canonical_url
from mailer.vocabulary import SourceKind


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A text, its kind, and where it came from: its address, `file:name` or `stdin`."""

    text: str = field(repr=False)
    origin: str
    kind: SourceKind = SourceKind.PAGE

    @property
    def content(self) -> Content:
        return Content(text=self.text, kind=self.kind)


def fetch_any(url: str) -> Fetched:
    """Fetch what may turn out to be a page, a feed or a calendar."""
    return fetch(url, limits=Limits(octets=MOST_BYTES))


def load(where: str, stdin: BinaryIO, *, fetch_page: Callable[[str], Fetched] = fetch_any) -> Loaded:
    """Read what is at a web address, in a file, or on the standard input ("-").

    Raises PageError when there is nothing to read, it is too large, or it is no text.
    """
    if where.lower().startswith(("https://", "http://")):
        page = fetch_page(where)
        return _loaded(page.body, canonical_url(page.url), page.charset)
    if where == "-":
        return _loaded(_read_bounded(stdin), "stdin")
    return _loaded(_read_file(Path(where)), f"file:{Path(where).name}")


def _loaded(octets: bytes, origin: str, charset: str | None = None) -> Loaded:
    content = open_content(octets, charset)
    return Loaded(text=content.text, origin=origin, kind=content.kind)


def _read_bounded(file: BinaryIO) -> bytes:
    """Read to one octet past the limit of what it begins as; a device or a pipe has no size to ask for."""
    start = file.read(PAGE_BYTES + 1)
    if len(start) <= PAGE_BYTES or most_octets(start) == PAGE_BYTES:
        return start
    return start + file.read(MOST_BYTES - PAGE_BYTES)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _read_bounded(file)
    except FileNotFoundError:
        raise PageError(f"There is no file {path}. Check the path, or give a web address or “-”.") from None
    except IsADirectoryError:
        raise PageError(f"{path} is a folder. Give the page's file in it.") from None
    except OSError as error:
        raise PageError(f"{path} cannot be read: {error.strerror}.") from None
