"""The signing crew: a process for each core, up to four, which make RSA signatures for one sender.

A process is given digests, many at a time, and answers in their order. None of them is
needed: while one starts, is lost or is stuck, the sender signs by itself.
"""

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import structlog

from mailer.messages.dkim import Signer
from mailer.services.sending import signing_process

MOST = 4  # processes: they sign more than one sender can compose
IN_HAND = 2  # groups a process has: one it works on, and one to go on with
ANSWER_SECONDS = 10.0  # a process that is silent for so long is given up
AGAIN_SECONDS = 10.0  # between the loss of a process and the next try to start one
_ENVIRONMENT = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")  # where it finds Python and cryptography

log = structlog.get_logger()


class ProcessLost(Exception):
    """A signing process ended, or gave no answer."""


class SigningProcess:
    """One process. It ends when `end` is called, or with this process."""

    def __init__(self, signer: Signer) -> None:
        """Raises OSError when it cannot be started. It is up a moment later."""
        self._octets = signer.signature_octets
        self.in_hand = 0  # groups that it was asked for and has not answered
        self._ready = self._over = False
        # Hardly an environment and no open files: what this process is connected to is none of its business.
        self._child = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", str(Path(signing_process.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            cwd="/",
            start_new_session=True,
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._in, self._out = self._child.stdin.fileno(), self._child.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._out, select.POLLIN)
        key = signer.private_key()
        self._write(len(key).to_bytes(4, "big") + key)

    @property
    def pid(self) -> int:
        return self._child.pid

    def is_up(self) -> bool:
        """Whether it can be asked; returns at once. Raises ProcessLost."""
        if not self._ready and self._poll.poll(0):
            self._read(len(signing_process.READY))
            self._ready = True
        return self._ready

    def ask(self, digests: list[bytes]) -> None:
        """Have these signed; no more than TOGETHER at once. Raises ProcessLost."""
        self._write(b"".join(digests))
        self.in_hand += 1

    def answer(self, count: int) -> list[bytes]:
        """The signatures of the group that was asked for first; waits for them. Raises ProcessLost."""
        octets = self._read(count * self._octets)
        self.in_hand -= 1
        return [octets[at : at + self._octets] for at in range(0, len(octets), self._octets)]

    def end(self) -> int:
        """End it and wait for that; how it ended. Can be called twice."""
        if not self._over:
            self._over = True
            self._child.kill()  # it keeps nothing that could be lost
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
        return self._child.wait()

    def _write(self, octets: bytes) -> None:
        try:
            if self._over or os.write(self._in, octets) != len(octets):
                raise ProcessLost
        except OSError:
            raise ProcessLost from None

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            if self._over or not self._poll.poll(ANSWER_SECONDS * 1000):
                raise ProcessLost
            more = os.read(self._out, count - len(found))
            if not more:
                raise ProcessLost
            found += more
        return found


class Crew:
    """The processes of one sender, started when there is much to sign. Of one thread alone."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._size = min(MOST, len(os.sched_getaffinity(0)))
        self._processes: list[SigningProcess] = []
        self._not_before = 0.0

    @property
    def room(self) -> int:
        """How many groups may be under way at once."""
        return IN_HAND * len(self._processes)

    def start(self) -> None:
        """Start those that are missing, unless one was lost just now."""
        while len(self._processes) < self._size and time.monotonic() >= self._not_before:
            try:
                self._processes.append(SigningProcess(self._signer))
            except (OSError, ProcessLost) as problem:
                log.error("signing-process-not-started", kind=type(problem).__name__)
                self._not_before = time.monotonic() + AGAIN_SECONDS

    def free(self) -> SigningProcess | None:
        """The process that has the least in hand, if one is up."""
        for process in sorted(self._processes, key=lambda process: process.in_hand):
            try:
                if process.is_up():
                    return process
            except ProcessLost:
                self.lost(process)
        return None

    def lost(self, process: SigningProcess) -> None:
        """This one is of no use any more; another may take its place after a while."""
        code = process.end()
        if process in self._processes:
            log.error("signing-process-lost", exit_code=code)
            self._processes.remove(process)
            self._not_before = time.monotonic() + AGAIN_SECONDS

    def dismiss(self) -> None:
        """End all of them."""
        while self._processes:
            self._processes.pop().end()
