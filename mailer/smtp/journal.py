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
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict

VERSION = 1
SUFFIX = ".journal"
_MAGIC = b"MLRJRNAL"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

# magic, version, record size, boot id, worker id, salt; then a CRC of these.
_HEADER = struct.Struct("<8sHH36s64s12sI")
# kind, verdict, fault, phase, code, reason, spare, delivery id, fence; then a CRC that is seeded
# with the header's, so that an old block of another file can never pass for a record of this one.
_RECORD = struct.Struct("<BBBBHBxqqI")
HEADER_SIZE = _HEADER.size
RECORD_SIZE = _RECORD.size
_CRC_SIZE = 4
_SHRINK_AT = 1 << 20  # octets from which a journal with nothing open is cut back to its header

# Numbers on disk are places in these tuples: append to the enums, never reorder.
_VERDICTS, _FAULTS, _PHASES, _REASONS = tuple(Verdict), tuple(Fault), tuple(Phase), tuple(Reason)
_VERDICT_NUMBER = {word: number for number, word in enumerate(_VERDICTS)}
_FAULT_NUMBER = {word: number for number, word in enumerate(_FAULTS)}
_PHASE_NUMBER = {word: number for number, word in enumerate(_PHASES)}
_REASON_NUMBER = {word: number for number, word in enumerate(_REASONS)}


class _Kind(IntEnum):
    DOT = 1
    REPLY = 2
    SETTLED = 3


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
        salt = secrets.token_bytes(12)
        header = _pack_header(worker, salt)
        name = f"{re.sub(r'[^A-Za-z0-9._-]', '-', worker)[:64]}.{os.getpid()}.{salt.hex()[:12]}{SUFFIX}"
        path, unnamed = folder / name, folder / f".{name}.new"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            written = os.write(descriptor, header)
            unnamed.rename(path)
        except OSError as error:
            raise JournalError(_cannot("create", folder, error)) from error
        journal = cls(path, descriptor, _crc_of_header(header))
        if written != HEADER_SIZE:
            journal.close()
            raise JournalError(
                f"cannot create a journal in {folder}: the disk is full. Free space, then start again."
            )
        return journal

    def about_to_send(self, dots: Sequence[tuple[int, int]]) -> None:
        """Record that the final dots of these (id, fence) are about to be sent; raises JournalError: send nothing."""
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
        records = [self._reply_record(*reply) for reply in replies]
        records += [self._pack(_Kind.DOT, delivery_id, fence) for delivery_id, fence in dots]
        with self._lock:
            self._append(b"".join(records))
            self._open_ids.update(delivery_id for delivery_id, _ in dots)

    def settled(self, ids: Iterable[int]) -> None:
        """These deliveries are in the database as they are here; forget them. Raises JournalError."""
        with self._lock:
            known = self._open_ids.intersection(ids)
            if not known:
                return
            self._append(b"".join(self._pack(_Kind.SETTLED, delivery_id, 0) for delivery_id in known))
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

    def _reply_record(self, delivery_id: int, fence: int, outcome: Outcome) -> bytes:
        return self._pack(
            _Kind.REPLY,
            delivery_id,
            fence,
            (_VERDICT_NUMBER[outcome.verdict], _FAULT_NUMBER[outcome.fault], _PHASE_NUMBER[outcome.phase]),
            outcome.code or 0,
            _REASON_NUMBER[outcome.reason],
        )

    def _pack(  # noqa: PLR0913  the fields of one record
        self,
        kind: _Kind,
        delivery_id: int,
        fence: int,
        words: tuple[int, int, int] = (0, 0, 0),
        code: int = 0,
        reason: int = 0,
    ) -> bytes:
        body = _RECORD.pack(kind, *words, code, reason, delivery_id, fence, 0)[:-_CRC_SIZE]
        return body + zlib.crc32(body, self._seed).to_bytes(_CRC_SIZE, "little")

    def _append(self, data: bytes) -> None:
        """One write of whole records. A short write is taken back: half a record would hide all that follow."""
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
                f"cannot write the journal {self.path}: the disk is full. Nothing is sent until there is space."
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
    worker, boot_id, seed = _unpack_header(path, data[:HEADER_SIZE])
    records: dict[int, JournalRecord] = {}
    damaged = unreadable_so_far = 0
    whole = HEADER_SIZE + (len(data) - HEADER_SIZE) // RECORD_SIZE * RECORD_SIZE
    for start in range(HEADER_SIZE, whole, RECORD_SIZE):
        piece = data[start : start + RECORD_SIZE]
        if zlib.crc32(piece[:-_CRC_SIZE], seed) != int.from_bytes(piece[-_CRC_SIZE:], "little"):
            unreadable_so_far += 1
            continue
        damaged, unreadable_so_far = (
            damaged + unreadable_so_far,
            0,
        )  # a good one follows: those were not the tail
        _apply(records, piece)
    return JournalContents(worker=worker, boot_id=boot_id, records=records, damaged=damaged)


def _apply(records: dict[int, JournalRecord], piece: bytes) -> None:
    kind, verdict, fault, phase, code, reason, delivery_id, fence, _ = _RECORD.unpack(piece)
    if kind == _Kind.SETTLED:
        records.pop(delivery_id, None)
    elif kind == _Kind.DOT:
        records[delivery_id] = JournalRecord(id=delivery_id, fence=fence, dot=True, reply=None)
    elif kind == _Kind.REPLY:
        before = records.get(delivery_id)
        outcome = Outcome(
            verdict=_VERDICTS[verdict],
            fault=_FAULTS[fault],
            phase=_PHASES[phase],
            reason=_REASONS[reason],
            code=code or None,
        )
        dot = before is not None and before.fence == fence and before.dot
        records[delivery_id] = JournalRecord(id=delivery_id, fence=fence, dot=dot, reply=outcome)


def dead_journals(folder: Path) -> list[Path]:
    """The journals in `folder` whose owner is dead (its lock is free, whatever its pid says), oldest name first."""
    return [path for path in sorted(folder.glob(f"*{SUFFIX}")) if _owner_is_dead(path)]


def discard(path: Path) -> bool:
    """Remove a dead owner's journal once all of it is settled; False when its owner lives or it is gone already."""
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
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


def _pack_header(worker: str, salt: bytes) -> bytes:
    name = worker.encode("utf-8")[:64]
    body = _HEADER.pack(_MAGIC, VERSION, RECORD_SIZE, current_boot_id().encode("ascii"), name, salt, 0)[
        :-_CRC_SIZE
    ]
    return body + zlib.crc32(body).to_bytes(_CRC_SIZE, "little")


def _crc_of_header(header: bytes) -> int:
    return int.from_bytes(header[-_CRC_SIZE:], "little")


def _unpack_header(path: Path, header: bytes) -> tuple[str, str, int]:
    if len(header) != HEADER_SIZE or zlib.crc32(header[:-_CRC_SIZE]) != _crc_of_header(header):
        raise JournalError(
            f"{path} is not a journal of this program, or its first block is lost. Move it away."
        )
    magic, version, record_size, boot_id, worker, _, seed = _HEADER.unpack(header)
    if magic != _MAGIC or version != VERSION or record_size != RECORD_SIZE:
        raise JournalError(
            f"{path} was written by another version. Start that version once, so that it settles it."
        )
    return worker.rstrip(b"\0").decode("utf-8", "replace"), boot_id.decode("ascii", "replace"), seed


def _cannot(do: str, path: Path, error: OSError) -> str:
    return f"cannot {do} the journal at {path}: {error.strerror}. Nothing is sent until this works again."
