"""CSV as bytes, cut into records: strict UTF-8, every limit counted while streaming.

A record that cannot be read takes only its own first line with it: the lines after it
are read again by themselves. Nothing here knows what the columns mean.
"""

import codecs
import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from mailer.ingest.errors import PeopleError

MAX_BYTES = 64 * 1024 * 1024
MAX_ROWS = 500_000
LINE_BYTES = 64 * 1024
RECORD_LINES = 20  # a quoted line end is rare; an open quote must not swallow the file
SHOWN_LETTERS = 1_000  # of a line that is too long
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One row. `broken` is why it could not be cut into cells; `cells` then hold the line as it is."""

    line: int
    cells: tuple[str, ...] = field(repr=False)
    broken: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Line:
    number: int
    text: str = field(repr=False)
    too_long: bool = False


def read_records(stream: BinaryIO) -> Iterator[Record]:
    """Yield the header and then every row that is not blank, with the line it starts on.

    The delimiter (comma, semicolon or tab) is the header's. Raises PeopleError for what is wrong
    with the file as a whole: its encoding, its size, its line ends.
    """
    _refuse_large(stream)
    lines = _Lines(stream)
    first = lines.take()
    if first is None:
        raise PeopleError(
            "The file is empty. It needs a header line, with a column “email”, and rows below it."
        )
    if first.too_long or "\r" in first.text.rstrip("\r\n") or "\0" in first.text:
        raise PeopleError("The first line is no CSV header. Save the list again as “CSV UTF-8”.")
    delimiter = max(DELIMITERS, key=first.text.count)
    header = _record(first, lines, delimiter)
    if header.broken:
        raise PeopleError("The header's quotation marks do not match. Correct the first line.")
    yield header
    rows = 0
    while (line := lines.take()) is not None:
        if not line.text.strip():
            continue
        rows += 1
        if rows > MAX_ROWS:
            raise PeopleError(f"The file has more than {MAX_ROWS:,} rows. Split it and import the parts.")
        yield _record(line, lines, delimiter)


def _refuse_large(stream: BinaryIO) -> None:
    """Refuse a large file before its first row; a pipe is counted while it is read."""
    if not stream.seekable():
        return
    start = stream.tell()
    size = stream.seek(0, 2) - start
    stream.seek(start)
    if size > MAX_BYTES:
        raise PeopleError(too_large())


def too_large() -> str:
    """Return the sentence for a file over the limit."""
    return f"The file is larger than {MAX_BYTES // 1024 // 1024} MiB. Split it and import the parts."


def _record(first: _Line, lines: "_Lines", delimiter: str) -> Record:
    if first.too_long:
        why = f"The line is longer than {LINE_BYTES // 1024} KiB."
        return Record(line=first.number, cells=(first.text[:SHOWN_LETTERS],), broken=why)
    more: list[_Line] = []
    text = first.text
    while True:
        try:
            cells = next(csv.reader([text], delimiter=delimiter, strict=True))
            return Record(line=first.number, cells=tuple(cells))
        except csv.Error as error:
            following = lines.take() if "unexpected end" in str(error) and len(more) < RECORD_LINES else None
        if following is None or following.too_long:
            break
        more.append(following)
        text += following.text
    lines.give_back([*more, following] if following else more)
    why = "Its quotation marks do not match: put one at each end of the cell, and double those inside."
    return Record(line=first.number, cells=(first.text.rstrip("\r\n"),), broken=why)


class _Lines:
    """The stream's lines as text, counted; some can be given back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._octets = 0
        self._number = 0
        self._returned: deque[_Line] = deque()

    def take(self) -> _Line | None:
        return self._returned.popleft() if self._returned else self._read()

    def give_back(self, lines: list[_Line]) -> None:
        self._returned.extendleft(reversed(lines))

    def _read(self) -> _Line | None:
        start = self._octets
        octets = self._next(LINE_BYTES + 1)
        if not octets:
            return None
        self._number += 1
        too_long = len(octets) > LINE_BYTES
        if self._number == 1:
            if octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise PeopleError("The file is UTF-16. Save the list again as “CSV UTF-8”.")
            start += len(octets) - len(octets.removeprefix(codecs.BOM_UTF8))
            octets = octets.removeprefix(codecs.BOM_UTF8)
        if too_long:
            self._skip_rest(octets)
            # A letter may be cut in two where the line was.
            return _Line(number=self._number, text=octets.decode(errors="replace"), too_long=True)
        return _Line(number=self._number, text=self._decode(octets, start))

    def _next(self, limit: int) -> bytes:
        octets = self._stream.readline(limit)
        self._octets += len(octets)
        if self._octets > MAX_BYTES:
            raise PeopleError(too_large())
        return octets

    def _skip_rest(self, octets: bytes) -> None:
        while octets and not octets.endswith(b"\n"):
            octets = self._next(LINE_BYTES)

    def _decode(self, octets: bytes, start: int) -> str:
        try:
            return octets.decode()
        except UnicodeDecodeError as error:
            raise PeopleError(
                f"The file is not UTF-8: byte {start + error.start + 1}, in line {self._number}, is "
                f"0x{octets[error.start]:02X}. It may be Latin-1. Nothing was imported: open the list in "
                "your spreadsheet and save it again as “CSV UTF-8”."
            ) from None
