"""CSV as a spreadsheet writes it: lines of UTF-8 into rows of cells, and rows back into guarded CSV.

The file is read line by line in bounded memory and never whole. A row that cannot be told apart is
handed on with its fault; only what concerns the whole file (its size, its encoding) is an error.
Nothing here knows what a column means.
"""

import csv
import io
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO

from mailer.ingest.errors import PeopleError

MAX_BYTES = 64 * 1024 * 1024
MAX_ROWS = 1_000_000
LONGEST_LINE = 64 * 1024  # octets
LONGEST_ROW = 64 * 1024  # characters, over all lines of a row with line ends inside quotation marks
MOST_LINES = 20  # of one row: a stray quotation mark costs itself, not the rows below it
DELIMITERS = (",", ";", "\t")
_SPLIT_IT = "Split it into smaller files, each with the line of column names, and import them one by one."
_BOM = b"\xef\xbb\xbf"
# What a spreadsheet may take for a formula, also after blanks and in full-width forms (CWE-1236). A
# cell that only looks guarded is guarded once more, so that taking the guard off is always exact.
_FORMULA = r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]"
_TO_GUARD = re.compile(rf"'*{_FORMULA}")
_GUARDED = re.compile(rf"'+{_FORMULA}")


class Fault(StrEnum):
    """Why a row could not be parted into cells; its first line is then its only cell."""

    QUOTES = "quotes"
    LENGTH = "length"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row, its guards taken off. `line` is where it starts, counted from 1."""

    line: int
    cells: tuple[str, ...] = field(repr=False)
    fault: Fault | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """The names of the columns, as written, and the rows below them, without the blank ones."""

    header: tuple[str, ...]
    rows: Iterator[Row]


def open_table(stream: BinaryIO) -> Table:
    """Read the header and return the rows to be read, in UTF-8 with or without a byte order mark.

    Commas, semicolons and tabs are told apart by the header. PeopleError, now or while the rows are
    read: an empty file, another encoding, no readable header, more than MAX_BYTES or MAX_ROWS.
    """
    lines = _Lines(stream)
    first = lines.take()
    if first is None or first.text == "":
        raise PeopleError("The file is empty. Its first line names the columns, such as email,name,language.")
    if first.text is None or "\r" in first.text.rstrip("\r\n") or "\0" in first.text:
        raise PeopleError(
            "The first line does not look like the names of columns: it is endless, or not plain text. "
            'Save the file as "CSV UTF-8 (comma separated)" and import it again.'
        )
    found = _sniff(first.text)
    if found is None:
        raise PeopleError(
            "The quotation marks in the first line do not close. Mend the names of the columns there."
        )
    delimiter, header = found
    return Table(header=tuple(unguard(name) for name in header), rows=_rows(lines, delimiter))


def write_table(stream: BinaryIO, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write CSV that `open_table` reads back exactly: every field quoted and guarded against formulas.

    It begins with a byte order mark: without one, spreadsheets take UTF-8 for another encoding.
    """
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([guard(name) for name in header])
    writer.writerows([guard(cell) for cell in row] for row in rows)
    text.detach()


def guard(cell: str) -> str:
    """Return the cell with `'` in front where a spreadsheet would take it for a formula."""
    return f"'{cell}" if _TO_GUARD.match(cell) else cell


def unguard(cell: str) -> str:
    """Return the cell as it was before `guard`."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _sniff(header: str) -> tuple[str, list[str]] | None:
    """The delimiter that makes the most columns, and these; None when the line cannot be read."""
    best: tuple[str, list[str]] | None = None
    for delimiter in DELIMITERS:
        try:
            cells = next(csv.reader([header], delimiter=delimiter, strict=True, skipinitialspace=True))
        except csv.Error:
            continue
        if best is None or len(cells) > len(best[1]):
            best = delimiter, cells
    return best


def _rows(lines: "_Lines", delimiter: str) -> Iterator[Row]:
    count = 0
    while (first := lines.take()) is not None:
        row = _row(lines, first, delimiter)
        if row.fault is None and not any(cell.strip() for cell in row.cells):
            continue
        count += 1
        if count > MAX_ROWS:
            raise PeopleError(
                f"The file holds more than {MAX_ROWS:,} rows; reading stopped at line {first.number:,}. "
                f"{_SPLIT_IT}"
            )
        yield row


def _row(lines: "_Lines", first: "_Line", delimiter: str) -> Row:
    if first.text is None:
        return Row(line=first.number, cells=(), fault=Fault.LENGTH)
    record = _Record(lines, first)
    try:
        # Strict: "anna b"@example.org without CSV's own quotes would silently become another address.
        cells = next(csv.reader(record, delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error:
        lines.give_back(record.used[1:])
        return Row(line=first.number, cells=(unguard(first.text.rstrip("\r\n")),), fault=Fault.QUOTES)
    return Row(line=first.number, cells=tuple(unguard(cell) for cell in cells))


@dataclass(frozen=True)
class _Line:
    number: int
    text: str | None  # None: longer than LONGEST_LINE, and skipped


class _Lines:
    """The file's lines, decoded one at a time and counted; lines may be given back."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._number = 0
        self._octets = 0
        self._waiting: deque[_Line] = deque()

    def take(self) -> _Line | None:
        """The next line with its line end, or None at the end of the file."""
        if self._waiting:
            return self._waiting.popleft()
        start = self._octets
        octets = self._read()
        if not octets:
            return None
        self._number += 1
        if len(octets) > LONGEST_LINE:
            while octets and not octets.endswith(b"\n"):
                octets = self._read()
            return _Line(self._number, None)
        skipped = len(_BOM) if start == 0 and octets.startswith(_BOM) else 0
        try:
            return _Line(self._number, octets[skipped:].decode("utf-8"))
        except UnicodeDecodeError as error:
            place = skipped + error.start
            raise PeopleError(
                f"The file is not in UTF-8: byte {place + 1:,} of line {self._number:,} (byte "
                f"{start + place + 1:,} of the file) belongs to another encoding, such as Latin-1 or UTF-16. "
                f'Open it where it was made, save it as "CSV UTF-8" and import it again.'
            ) from None

    def give_back(self, lines: Sequence[_Line]) -> None:
        self._waiting.extendleft(reversed(lines))

    def _read(self) -> bytes:
        octets = self._stream.readline(LONGEST_LINE + 1)
        self._octets += len(octets)
        if self._octets > MAX_BYTES:
            raise PeopleError(
                f"The file is larger than {MAX_BYTES // 1024**2} MiB; reading stopped at line "
                f"{self._number + 1:,}. {_SPLIT_IT}"
            )
        return octets


class _Record:
    """The lines that `csv` asks for to complete one row, up to the limits; remembers which."""

    def __init__(self, lines: _Lines, first: _Line) -> None:
        self._lines = lines
        self._next: _Line | None = first
        self._letters = 0
        self.used: list[_Line] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._next if self._next is not None else self._more()
        self._next = None
        if line is None or line.text is None:
            raise StopIteration
        self.used.append(line)
        self._letters += len(line.text)
        return line.text

    def _more(self) -> _Line | None:
        if len(self.used) >= MOST_LINES or self._letters >= LONGEST_ROW:
            return None
        line = self._lines.take()
        if line is not None and line.text is None:
            self._lines.give_back([line])
        return line
