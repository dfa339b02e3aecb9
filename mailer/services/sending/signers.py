"""Signers: mails are composed and signed ahead of the engine, by a thread and a crew of processes.

An RSA signature costs more than all the rest of a mail, and made in threads it costs more again,
because each one gives the interpreter's lock away and has to wait for it. So a thread composes,
processes sign, and the engine gets mails that are ready. Few mails are signed by the thread itself,
as are those of a process that was lost: nothing is sent unsigned, and nothing fails, for want of one.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import NamedTuple

import structlog

from mailer.messages.dkim import Signer
from mailer.services.sending.compose import Mail
from mailer.services.sending.signing_crew import Crew, ProcessLost, SigningProcess
from mailer.services.sending.signing_process import TOGETHER

WORTH = 4  # groups that wait when processes are started: few mails are signed before one is up
IDLE_SECONDS = 60.0  # the processes are kept for so long after the last mail

log = structlog.get_logger()


class _Group(NamedTuple):
    """Mails that go to the engine together, and what of them is to be signed, by a process or here."""

    mails: list[Mail]
    unsigned: list[tuple[Mail, bytes]]  # with their digests
    process: SigningProcess | None = None


class Signers:
    """Whatever is fed comes out at `ready` in groups, composed and signed; in about the same order."""

    def __init__(self, signer: Signer, ready: Callable[[list[Mail]], None]) -> None:
        self._signer, self._ready = signer, ready
        self._crew = Crew(signer)
        self._waiting: SimpleQueue[list[Mail] | None] = SimpleQueue()
        self._asked: deque[_Group] = deque()
        self._thread = threading.Thread(target=self._work, name="sign", daemon=True)
        self._thread.start()

    def feed(self, mails: list[Mail]) -> None:
        """Sign these, too; returns at once."""
        for start in range(0, len(mails), TOGETHER):
            self._waiting.put(mails[start : start + TOGETHER])

    def close(self) -> None:
        """Finish what was fed, and end the processes."""
        self._waiting.put(None)
        self._thread.join()

    # --- on the thread

    def _work(self) -> None:
        while (mails := self._next()) is not None:
            if mails:
                self._begin(mails)
            if self._asked and (not mails or len(self._asked) >= self._crew.room):
                self._end(self._asked.popleft())
        while self._asked:
            self._end(self._asked.popleft())
        self._crew.dismiss()

    def _next(self) -> list[Mail] | None:
        """The next group, none ([]) while there is none, or None at the end."""
        try:
            return self._waiting.get(block=not self._asked, timeout=IDLE_SECONDS)
        except Empty:
            if not self._asked:
                self._crew.dismiss()
            return []

    def _begin(self, mails: list[Mail]) -> None:
        try:
            group = self._prepared(mails)
        except Exception as problem:  # of one mail: the engine composes and signs them, one by one
            log.error("not-composed-ahead", kind=type(problem).__name__)
            group = _Group(mails, [])
        if group.process is None:
            self._end(group)
        else:
            self._asked.append(group)

    def _prepared(self, mails: list[Mail]) -> _Group:
        """The mails without their signatures, for which a process was asked if there is one."""
        if self._waiting.qsize() >= WORTH:
            self._crew.start()
        unsigned = [(mail, digest) for mail in mails if (digest := mail.prepare()) is not None]
        process = self._crew.free() if unsigned else None
        if process is not None:
            try:
                process.ask([digest for _, digest in unsigned])
            except ProcessLost:
                self._crew.lost(process)
                process = None
        return _Group(mails, unsigned, process)

    def _end(self, group: _Group) -> None:
        try:
            for (mail, _), signature in zip(group.unsigned, self._signatures(group), strict=True):
                mail.finish(signature)
        except Exception as problem:
            log.error("not-composed-ahead", kind=type(problem).__name__)
        self._ready(group.mails)

    def _signatures(self, group: _Group) -> Iterable[bytes]:
        """From the process that was asked; made here when there is none, or it was lost."""
        if group.process is not None:
            try:
                return group.process.answer(len(group.unsigned))
            except ProcessLost:
                self._crew.lost(group.process)
        return [self._signer.signature(digest) for _, digest in group.unsigned]
