"""One connection's bytes, waits and end; what is said on it is its subclass's affair.

Replies are matched first in, first out, and nothing is ever guessed: bytes
that fit no open question end the connection. Every wait has a limit. A
connection that is over is never used again.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque

from mailer import failpoints
from mailer.smtp.job import Job
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Reason
from mailer.smtp.reply import Reply, ReplyError, ReplyReader
from mailer.smtp.session import Session
from mailer.smtp.steps import Step, limits_by_step

_CLOSING, _OK = 421, 250

_log = logging.getLogger(__name__)


class Connection(asyncio.Protocol, ABC):
    """Owns one transport after its handshake. Lives on its event loop's thread alone."""

    def __init__(self, session: Session, limits: Limits) -> None:
        self._transport = session.transport
        self._limits = limits
        self._limit_of = limits_by_step(limits)
        self._loop = asyncio.get_running_loop()
        self._reader = ReplyReader()
        self._expected: deque[tuple[Step, Job | None]] = deque()
        self._paused = False
        self._retiring = False
        self._gone = self._loop.create_future()
        self._born = self._loop.time()
        self._deadline = self._born + limits.idle
        self._tick_every = min(1.0, limits.shortest() / 4)
        self.over = False
        self.broke_protocol = False
        self.was_ended_by_us = False
        """True when it was closed to take a letter back: the server did nothing wrong."""
        self.stumbled = False
        """True when a mistake of ours ended it: letters on it may be without an outcome."""
        self._transport.set_protocol(self)
        if failpoints.armed:  # what is written leaves at once, and not at the end of the loop's round
            self._transport.set_write_buffer_limits(high=0)
        if self._transport.is_closing():
            self.over = True
        self._loop.call_later(self._tick_every, self._tick)

    # --- what is said

    @abstractmethod
    def _nod(self, reply: Reply) -> bool:
        """A plain 250 came: the short way for nearly every reply. False: take the long way."""

    @abstractmethod
    def _answer(self, step: Step, job: Job, reply: Reply) -> None:
        """The reply to one open question about a letter."""

    @abstractmethod
    def _go_on(self) -> None:
        """All replies of one reading are answered: say what comes next."""

    @abstractmethod
    def _may_write(self) -> None:
        """The peer takes bytes again."""

    @abstractmethod
    def _settle_all(self, reason: Reason, reply: Reply | None) -> None:
        """The connection is over: settle or give back every letter on it. `_expected` is as it was."""

    @property
    @abstractmethod
    def _has_body(self) -> bool:
        """True while a body is asked for or under way, so that no reply is due."""

    # --- for the engine

    @property
    def too_old(self) -> bool:
        """True when the connection has served its time and should make way for a fresh one."""
        return self._retiring or self._loop.time() - self._born > self._limits.reuse

    def retire(self) -> None:
        """Start nothing new; it ends once all is answered."""
        self._retiring = True

    def drop(self) -> None:
        """Close at once; what has no reply is settled as lost."""
        self._break(Reason.STOPPED)

    async def quit(self) -> None:
        """Say goodbye on a connection without a letter, within its limit, and close it."""
        self._say_quit()
        if not self.over:
            await asyncio.wait({self._gone}, timeout=2 * self._limits.quit)

    # --- from the transport

    def data_received(self, data: bytes) -> None:
        try:
            self._read(data)
        except ReplyError:
            self._break(Reason.PROTOCOL)
        except Exception as error:
            self._stumble(error)

    def _read(self, data: bytes) -> None:
        answered = False
        for reply in self._reader.feed(data):
            answered = True
            if reply.code != _OK or not self._nod(reply):
                self._match(reply)
                if self.over:
                    return
        if not self._expected and self._reader.has_unread:
            self._break(Reason.PROTOCOL)  # the beginning of words that nobody asked for
        elif answered:  # a piece of a reply is no answer: who drips gets no more time
            self._go_on()
            self._set_deadline()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._break(Reason.LOST)
        if not self._gone.done():
            self._gone.set_result(None)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if not self.over:
            try:
                self._may_write()
            except Exception as error:
                self._stumble(error)

    # --- replies

    def _match(self, reply: Reply) -> None:
        if not self._expected:
            self._break(Reason.CLOSING if reply.code == _CLOSING else Reason.PROTOCOL, reply)
            return
        step, job = self._expected[0]
        if reply.code == _CLOSING and step is not Step.QUIT:
            self._break(Reason.CLOSING, reply)
        elif step is Step.QUIT:
            self.over = True
            self._transport.close()
        elif job is not None:
            self._answer(step, job, reply)

    # --- the end

    def _break(self, reason: Reason, reply: Reply | None = None) -> None:
        """End it at once: every letter on it gets what is certain about it, and nothing more."""
        if self.over:
            return
        self.over = True
        self.broke_protocol = reason is Reason.PROTOCOL
        self.was_ended_by_us = reason is Reason.STOPPED
        self._transport.abort()
        try:
            self._settle_all(reason, reply if reason is Reason.CLOSING else None)
        except Exception as error:
            self._stumble(error)
        finally:
            self._expected.clear()

    def _stumble(self, error: Exception) -> None:
        """A mistake of ours must not leave a letter without an outcome: whoever runs this asks `stumbled`."""
        _log.error("smtp_connection_error", extra={"error": type(error).__name__})
        self.stumbled = True
        self._break(Reason.LOST)

    def _say_quit(self) -> None:
        if self.over or self._expected:
            return
        self._retiring = True
        self._expected.append((Step.QUIT, None))
        self._write(b"QUIT\r\n")
        self._set_deadline()

    # --- bytes and time

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _set_deadline(self) -> None:
        """The limit of the oldest open question; it starts anew with each answer.

        A server may hold its replies until it has dealt with a whole pipelined letter: where
        the dot is written already, each of them is waited for as long as the dot's.
        """
        if self._expected:
            step, job = self._expected[0]
            dotted = job is not None and job.dotted
            self._deadline = self._loop.time() + (self._limits.dot if dotted else self._limit_of[step])

    def _tick(self) -> None:
        if self.over:
            return
        if self._loop.time() >= self._deadline:
            if self._expected or self._has_body:
                self._break(Reason.TIMEOUT)
                return
            self._say_quit()  # unused for too long
        self._loop.call_later(self._tick_every, self._tick)
