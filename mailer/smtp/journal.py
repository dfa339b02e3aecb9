"""The journal: which final dots were about to leave, and which replies came back.

One append-only file per worker process, written with plain `write()`, so that
it outlives a SIGKILL and an out-of-memory kill. A record is written before
the bytes it speaks of: a dot without its record never leaves. It holds ids,
fences and codes; never an address, a text or a name.

After a death: a dot with a reply is that outcome, a dot alone is in doubt, no
dot means that nothing left. The owner holds a lock on its file as long as it
lives; a free lock is a dead owner. Open it after forking, never before.
"""

import contextlib
import fcntl
import os
import re
import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mailer.smtp.journal_format import (
    HEADER_SIZE,
    RECORD_SIZE,
    SALT_SIZE,
    FormatError,
    Kind,
    Record,
    pack_header,
    pack_record,
    seed_of,
    unpack_header,
    unpack_record,
)
from mailer.smtp.outcome import Outcome

SUFFIX = ".journal"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SHRINK_AT = 1 << 20  # octets from which a journal with nothing open is cut back to its header
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC


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


def current_boot_id() -> str:
    """The kernel's id of this boot; another one in a journal means that the power was lost since."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


class Journal:
    """The open journal of this process. Safe to use from the engine's thread and the caller's."""

    def __init__(self, path: Path, descriptor: int, seed: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._seed = seed
        self._size = HEADER_SIZE
        self._open_ids: set[int] = set()
        self._broken = False
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path, worker: str) -> "Journal":
        """Create this process's journal in `folder` and lock it; raises JournalError.

        The file gets its name only when it is locked and has its header, so
        that nobody ever finds it ownerless.
        """
        salt = secrets.token_bytes(SALT_SIZE)
        header = pack_header(current_boot_id(), worker, salt)
        name = f"{re.sub(r'[^A-Za-z0-9._-]', '-', worker)[:64]}.{os.getpid()}.{salt.hex()[:12]}{SUFFIX}"
        path, unnamed = folder / name, folder / f".{name}.new"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            journal = cls(path, os.open(unnamed, _NEW_FILE, 0o600), seed_of(header))
            fcntl.flock(journal._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            written = os.write(journal._descriptor, header)
            unnamed.rename(path)
        except OSError as error:
            raise JournalError(_cannot("create", folder, error)) from error
        if written != HEADER_SIZE:
            journal.close()
            raise JournalError(
                f"cannot create a journal in {folder}: the disk is full. Free space, then start."
            )
        return journal

    def about_to_send(self, dots: Sequence[tuple[int, int]]) -> None:
        """Record that the final dots of these (id, fence) are about to leave.

        Raises JournalError: then nothing may be sent.
        """
        self.record_group((), dots)

    def replied(self, delivery_id: int, fence: int, outcome: Outcome) -> None:
        """Record what came of a letter whose dot was recorded; raises JournalError."""
        self.record_group(((delivery_id, fence, outcome),), ())

    def record_group(
        self, replies: Sequence[tuple[int, int, Outcome]], dots: Sequence[tuple[int, int]]
    ) -> None:
        """Replies that came and dots that are about to leave, in one write; raises JournalError.

        After an error neither the replies nor the dots are in the journal.
        """
        seed = self._seed
        records = [
            pack_record(Kind.REPLY, number, fence, seed, outcome) for number, fence, outcome in replies
        ]
        records += [pack_record(Kind.DOT, number, fence, seed) for number, fence in dots]
        with self._lock:
            self._append(b"".join(records))
            self._open_ids.update(number for number, _ in dots)

    def settled(self, ids: Iterable[int]) -> None:
        """These deliveries are in the database as they are here; forget them. Raises JournalError."""
        with self._lock:
            known = self._open_ids.intersection(ids)
            if not known:
                return
            self._append(b"".join(pack_record(Kind.SETTLED, number, 0, self._seed) for number in known))
            self._open_ids -= known
            if not self._open_ids and self._size >= _SHRINK_AT:
                os.ftruncate(self._descriptor, HEADER_SIZE)
                self._size = HEADER_SIZE

    def close(self) -> None:
        """Let the file go: removed when everything in it is settled, else left for the next start to read."""
        with self._lock:
            if self._descriptor < 0:
                return
            if not self._open_ids:
                self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, data: bytes) -> None:
        """One write of whole records. A short one is taken back: half a record would hide all that follow."""
        if self._descriptor < 0 or self._broken:
            raise JournalError(
                f"the journal {self.path} is closed: nothing more is sent. Start the process again."
            )
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            self._take_back()
            raise JournalError(_cannot("write", self.path, error)) from error
        if written != len(data):
            self._take_back()
            raise JournalError(
                f"cannot write the journal {self.path}: the disk is full. Free space to go on."
            )
        self._size += written

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self._broken = True


def read(path: Path) -> JournalContents:
    """Read a journal, of a dead owner or a living one; raises JournalError when it is none of ours.

    A torn record at the end counts as absent: its bytes were never sent.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(_cannot("read", path, error)) from error
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
            path.unlink(missing_ok=True)
        return owned


def _owner_is_dead(path: Path) -> bool:
    with _own(path) as owned:
        return owned


@contextlib.contextmanager
def _own(path: Path) -> Iterator[bool]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            owned = True
        except BlockingIOError:
            owned = False
        yield owned
    finally:
        os.close(descriptor)


def _cannot(do: str, path: Path, error: OSError) -> str:
    return f"cannot {do} the journal at {path}: {error.strerror}. Nothing is sent until this works again."
