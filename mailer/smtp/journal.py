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
from collections.abc import Iterable, Sequence
from pathlib import Path

from mailer.smtp.journal_format import (
    SALT_SIZE,
    pack_group,
    pack_header,
    pack_settled,
    seed_of,
)
from mailer.smtp.journal_read import (
    SUFFIX,
    JournalContents,
    JournalError,
    JournalRecord,
    cannot,
    dead_journals,
    discard,
    read,
    unfinished,
)
from mailer.smtp.outcome import Outcome

__all__ = [
    "Journal",
    "JournalContents",
    "JournalError",
    "JournalRecord",
    "current_boot_id",
    "dead_journals",
    "discard",
    "read",
]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SHORTEN_AT = 4 << 20  # octets from which a journal gives way to a new one without what is settled
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC

Reply = tuple[int, int, Outcome]  # id, fence, what became of it


def current_boot_id() -> str:
    """The kernel's id of this boot; another one in a journal means that the power was lost since."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


class Journal:
    """The open journal of this process. Safe to use from the engine's thread and the caller's."""

    def __init__(self, path: Path, worker: str) -> None:
        self.path = path
        self._worker = worker
        self._descriptor = -1
        self._seed = 0
        self._size = 0
        self._shorten_at = _SHORTEN_AT
        self._open: dict[int, tuple[int, Outcome | None]] = {}  # id: fence and reply, of all not settled
        self._broken = False
        self._lock = threading.Lock()

    @classmethod
    def open(cls, folder: Path, worker: str) -> "Journal":
        """Create this process's journal in `folder` and lock it; raises JournalError.

        The file gets its name only when it is locked and its header is on the
        disk, so that nobody ever finds it ownerless or empty.
        """
        salt = secrets.token_bytes(SALT_SIZE)
        name = f"{re.sub(r'[^A-Za-z0-9._-]', '-', worker)[:64]}.{os.getpid()}.{salt.hex()[:12]}{SUFFIX}"
        journal = cls(folder / name, worker)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            journal._begin_file(salt)
            _make_durable(folder)
        except OSError as error:
            raise JournalError(cannot("create", folder, error)) from error
        return journal

    def about_to_send(self, dots: Sequence[tuple[int, int]]) -> None:
        """Record that the final dots of these (id, fence) are about to leave.

        Raises JournalError: then nothing may be sent.
        """
        self.record_group((), dots)

    def replied(self, delivery_id: int, fence: int, outcome: Outcome) -> None:
        """Record what came of a letter whose dot was recorded; raises JournalError."""
        self.record_group(((delivery_id, fence, outcome),), ())

    def record_group(self, replies: Sequence[Reply], dots: Sequence[tuple[int, int]]) -> None:
        """Replies that came and dots that are about to leave, in one write; raises JournalError.

        After an error neither the replies nor the dots are in the journal.
        """
        with self._lock:
            self._append(pack_group(replies, dots, self._seed))
            known = self._open
            for number, fence, outcome in replies:
                known[number] = (fence, outcome)
            for number, fence in dots:
                known[number] = (fence, None)

    def settled(self, ids: Iterable[int]) -> None:
        """These deliveries are in the database as they are here; forget them. Raises JournalError."""
        with self._lock:
            known = self._open.keys() & ids
            if not known:
                return
            self._append(pack_settled(known, self._seed))
            for number in known:
                del self._open[number]
            if self._size >= self._shorten_at:
                self._shorten()

    def close(self) -> None:
        """Let the file go: removed when everything in it is settled, else left for the next start to read."""
        with self._lock:
            if self._descriptor < 0:
                return
            if not self._open:
                self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- the file

    def _begin_file(self, salt: bytes) -> None:
        """Make a file with a header and all that is open, and only then give it the journal's name."""
        header = pack_header(current_boot_id(), self._worker, salt)
        seed = seed_of(header)
        dots = [(number, fence) for number, (fence, _) in self._open.items()]
        replies = [(number, fence, reply) for number, (fence, reply) in self._open.items() if reply]
        contents = header + pack_group((), dots, seed) + pack_group(replies, (), seed)
        unnamed = unfinished(self.path)
        descriptor = os.open(unnamed, _NEW_FILE, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(descriptor, contents) != len(contents):
                raise OSError(28, "the disk is full")
            os.fsync(descriptor)
            unnamed.rename(self.path)
        except BaseException:
            unnamed.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        if self._descriptor >= 0:  # its lock is free from here on: it does not bear the name any more
            os.close(self._descriptor)
        self._descriptor, self._seed, self._size = descriptor, seed, len(contents)

    def _shorten(self) -> None:
        """Put a journal of what is open in the place of the long one; when it fails, the long one serves."""
        with contextlib.suppress(OSError):
            self._begin_file(secrets.token_bytes(SALT_SIZE))
        self._shorten_at = max(_SHORTEN_AT, 2 * self._size)

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
            raise JournalError(cannot("write", self.path, error)) from error
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


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
