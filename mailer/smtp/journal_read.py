"""Reading a journal, of a dead owner or a living one, and knowing which of the two it is.

The owner holds a lock on its file as long as it lives; a free lock on the file
that bears the name is a dead owner, whatever the pid in the name says. An owner
may put a shorter file in the place of its own: whoever has opened one holds a
whole view of that moment, and never takes the old file's free lock for a death.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mailer.smtp.journal_format import (
    HEADER_SIZE,
    RECORD_SIZE,
    FormatError,
    Kind,
    Record,
    unpack_header,
    unpack_record,
)
from mailer.smtp.outcome import Outcome

SUFFIX = ".journal"


class JournalError(OSError):
    """The journal cannot be written or read, so nothing may be sent. Says what happened and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalRecord:
    """What a journal knows of one delivery. `reply` has no text: none was written."""

    id: int
    fence: int
    dot: bool
    reply: Outcome | None


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalContents:
    """A journal as read: one record for each delivery that was not settled before its owner ended.

    `damaged` counts records in the middle that could not be read. When it is
    not 0, or `boot_id` is not the present one, records may be missing: leased
    rows without a reply record are then in doubt too.
    """

    worker: str
    boot_id: str
    records: Mapping[int, JournalRecord]
    damaged: int


def read(path: Path) -> JournalContents:
    """Read a journal; raises JournalError when it is none of ours.

    A torn record at the end counts as absent: its bytes were never sent. A living
    owner's journal holds every dot that left before this call; what it says of a
    letter holds once no further dot of it may leave (its lease and a margin are over).
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(cannot("read", path, error)) from error
    try:
        header = unpack_header(data[:HEADER_SIZE])
    except FormatError as error:
        raise JournalError(f"{path} {error}") from error
    records: dict[int, JournalRecord] = {}
    damaged = unread = 0
    for start in range(HEADER_SIZE, len(data) - RECORD_SIZE + 1, RECORD_SIZE):
        record = unpack_record(data[start : start + RECORD_SIZE], header.seed)
        if record is None:
            unread += 1
            continue
        damaged, unread = damaged + unread, 0  # a good one follows: those were not the tail
        _apply(records, record)
    return JournalContents(worker=header.worker, boot_id=header.boot_id, records=records, damaged=damaged)


def _apply(records: dict[int, JournalRecord], record: Record) -> None:
    if record.kind is Kind.SETTLED:
        records.pop(record.id, None)
        return
    before = records.get(record.id)
    dot = record.kind is Kind.DOT or (before is not None and before.fence == record.fence and before.dot)
    records[record.id] = JournalRecord(id=record.id, fence=record.fence, dot=dot, reply=record.outcome)


def dead_journals(folder: Path) -> list[Path]:
    """The journals in `folder` whose owner is dead: its lock is free, whatever its pid says."""
    return [path for path in sorted(folder.glob(f"*{SUFFIX}")) if _owner_is_dead(path)]


def discard(path: Path) -> bool:
    """Remove a dead owner's journal once all of it is settled; False when its owner lives or it is gone."""
    with _own(path) as owned:
        if owned:
            unfinished(path).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
        return owned


def unfinished(path: Path) -> Path:
    """Where an owner makes the file that gets the journal's name once it is whole."""
    return path.with_name(f".{path.name}.new")


def _owner_is_dead(path: Path) -> bool:
    with _own(path) as owned:
        return owned


@contextlib.contextmanager
def _own(path: Path) -> Iterator[bool]:
    """Hold the lock of a dead owner's journal; False when there is none, or its owner lives."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        yield _locked(descriptor) and _bears_the_name(descriptor, path)
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _bears_the_name(descriptor: int, path: Path) -> bool:
    """False when a living owner has put another file in the place of this one meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def cannot(do: str, path: Path, error: OSError) -> str:
    """The words of an error for whoever runs the worker."""
    return f"cannot {do} the journal at {path}: {error.strerror}. Nothing is sent until this works again."
