"""The demo's inbox: mails caught on loopback, kept as files, so that people can read what would go out.

One file per mail: a line of JSON with the envelope, then the bytes as they came. A file
appears whole or not at all, and a new process finds all of them again. It is a desk for
looking, not a mail server: nothing is sent on from here.
"""

import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import cached_property
from pathlib import Path

SUFFIX = ".mail"
DRAFT = ".draft"
HEAD_OCTETS = 16_384  # of a mail, read for the list; our own headers are a fifth of that
_HEADER = re.compile(rb"^(From|To|Subject|Date):[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", re.M | re.I)


@dataclass(frozen=True, kw_only=True)
class CaughtMail:
    """One mail: its envelope and its octets."""

    id: int
    sender: str
    recipients: tuple[str, ...]
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Entry:
    """One line of the list. Headers are decoded when somebody looks, not while mail pours in."""

    id: int
    sender: str
    recipients: tuple[str, ...]
    size: int
    head: bytes = field(repr=False)

    @cached_property
    def headers(self) -> dict[str, str]:
        """From, To, Subject and Date, decoded; the first of each."""
        found: dict[str, str] = {}
        for name, value in _HEADER.findall(self.head):
            found.setdefault(name.decode("ascii").lower(), _decoded(value))
        return found

    @property
    def subject(self) -> str:
        return self.headers.get("subject", "")

    @cached_property
    def searchable(self) -> str:
        return " ".join((*self.headers.values(), *self.recipients)).casefold()


class Inbox:
    """A folder of caught mails with an index in memory, newest first. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._entries: dict[int, Entry] = {}
        for draft in folder.glob(f"*{DRAFT}"):
            draft.unlink(missing_ok=True)  # of a process that was killed while writing
        for entry in sorted(self._found(), key=lambda entry: entry.id):
            self._entries[entry.id] = entry

    def store(self, sender: str, recipients: Sequence[str], data: bytes) -> int:
        """Keep a mail; returns its number. Raises OSError when the folder cannot be written."""
        envelope = json.dumps({"sender": sender, "recipients": list(recipients)}).encode() + b"\n"
        with self._lock:
            number = next(reversed(self._entries), 0) + 1
            path = self._path(number)
            draft = path.with_suffix(DRAFT)
            with open(draft, "wb", opener=_private) as file:
                file.write(envelope + data)
            draft.rename(path)
            head = data[:HEAD_OCTETS].partition(b"\r\n\r\n")[0]
            self._entries[number] = Entry(number, sender, tuple(recipients), len(data), head)
        return number

    def count(self, query: str = "") -> int:
        """How many mails there are, or how many match."""
        if not query.strip():
            return len(self._entries)
        return sum(1 for _ in self._matching(query))

    def list(self, offset: int = 0, limit: int = 50, query: str = "") -> tuple[Entry, ...]:
        """Mails whose headers or recipients hold every word of the query, newest first."""
        chosen = []
        for place, entry in enumerate(self._matching(query)):
            if place >= offset + limit:
                break
            if place >= offset:
                chosen.append(entry)
        return tuple(chosen)

    def read(self, number: int) -> CaughtMail | None:
        """The mail with this number, or None."""
        if number not in self._entries:
            return None
        try:
            _, _, data = self._path(number).read_bytes().partition(b"\n")
        except FileNotFoundError:  # somebody tidied the folder up
            return None
        entry = self._entries[number]
        return CaughtMail(id=number, sender=entry.sender, recipients=entry.recipients, data=data)

    def _matching(self, query: str) -> Iterator[Entry]:
        words = query.casefold().split()
        with self._lock:
            entries = list(self._entries.values())
        for entry in reversed(entries):
            if all(word in entry.searchable for word in words):
                yield entry

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:09d}{SUFFIX}"

    def _found(self) -> Iterator[Entry]:
        for path in self._folder.glob(f"*{SUFFIX}"):
            entry = _entry(path)
            if entry is not None:
                yield entry


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _entry(path: Path) -> Entry | None:
    """The list's line for one file; None for a file that is not ours."""
    if not path.stem.isdecimal():
        return None
    with path.open("rb") as file:
        first = file.readline()
        head = file.read(HEAD_OCTETS).partition(b"\r\n\r\n")[0]
        size = file.seek(0, os.SEEK_END) - len(first)
    try:
        envelope = json.loads(first)
        sender, recipients = str(envelope["sender"]), tuple(map(str, envelope["recipients"]))
    except (ValueError, KeyError, TypeError):
        return None
    return Entry(int(path.stem), sender, recipients, size, head)


def _decoded(value: bytes) -> str:
    unfolded = re.sub(rb"\r?\n(?=[ \t])", b"", value).decode("utf-8", "replace").strip()
    try:
        return str(make_header(decode_header(unfolded)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return unfolded
