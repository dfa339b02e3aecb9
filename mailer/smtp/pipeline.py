"""One connection in flight: MAIL, RCPT and DATA for letter after letter (RFC 5321, RFC 2920).

Where the server offers PIPELINING, one write carries the body and final dot
of one letter and the envelope of the next, so a letter costs one round trip;
otherwise each command waits for its reply. At most one final dot is open.

Replies are matched first in, first out, and nothing is ever guessed: bytes
that fit no open question end the connection. The journal has its record
before the bytes that hold a dot are written. Every wait has a limit.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Protocol

from mailer.smtp.job import Job, body, mail_command, rcpt_command, unfit
from mailer.smtp.journal import Journal, JournalError
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict, decided_here, judge, unanswered
from mailer.smtp.reply import Reply, ReplyError, ReplyReader
from mailer.smtp.session import Session

BLOCK = 1 << 16  # octets of a body that are written before the peer must have taken the last block
_START_INPUT = 354
_CLOSING = 421


class Step(Enum):
    """A question the server still has to answer."""

    RESET = "reset"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    VOID = "void"
    """A lone dot that ends a DATA which the server opened although it refused the recipient."""
    QUIT = "quit"


_PHASES = {
    Step.RESET: Phase.MAIL,
    Step.MAIL: Phase.MAIL,
    Step.RCPT: Phase.RCPT,
    Step.DATA: Phase.DATA,
    Step.VOID: Phase.DATA,
    Step.DOT: Phase.DOT,
}


class Source(Protocol):
    """Where a connection gets its letters, and where their outcomes go."""

    def take(self) -> Job | None:
        """The next letter, or None when there is none for now."""

    def give_back(self, job: Job) -> None:
        """This letter was not offered: another connection may take it."""

    def settle(self, job: Job, outcome: Outcome) -> None:
        """The one outcome of this letter. May halt the source."""

    @property
    def halted(self) -> Outcome | None:
        """Not None when no further dot may leave: the outcome of every letter without one."""

    def journal_failed(self, error: JournalError) -> None:
        """The journal cannot be written: nothing more may be sent."""


class Pipeline(asyncio.Protocol):
    """Owns one transport after its handshake. Lives on one event loop and is never used from another thread."""

    def __init__(
        self,
        session: Session,
        *,
        limits: Limits,
        clock: Callable[[], float],
        journal: Journal | None = None,
        lock_step: bool = False,
    ) -> None:
        self._transport = session.transport
        self._features = session.features
        self._pipelined = session.features.pipelining and not lock_step
        self._limits = limits
        self._clock = clock
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._reader = ReplyReader()
        self._expected: deque[tuple[Step, Job | None]] = deque()
        self._ready: Job | None = None  # got its 354; the body has not been written whole
        self._unsent = memoryview(b"")  # of the body of `_ready`, while the peer takes block after block
        self._answered: list[tuple[Job, Outcome]] = []  # replies to dots, not yet in the journal
        self._needs_reset = False
        self._paused = False
        self._source: Source | None = None
        self._rest: asyncio.Future[None] | None = None  # done when this run of letters is over
        self._gone = self._loop.create_future()
        self._born = self._loop.time()
        self._deadline = self._born + limits.idle
        self._retiring = False
        self.over = False
        self.replies_credited = 0
        """Letters that got their outcome from a reply on this connection."""
        self.broke_protocol = False
        self._limit_of = {
            Step.RESET: limits.reset,
            Step.MAIL: limits.mail,
            Step.RCPT: limits.rcpt,
            Step.DATA: limits.data,
            Step.VOID: limits.dot,
            Step.DOT: limits.dot,
            Step.QUIT: limits.quit,
        }
        self._tick_every = min(1.0, limits.shortest() / 4)
        self._transport.set_protocol(self)
        if self._transport.is_closing():
            self._end()
        self._watch = self._loop.call_later(self._tick_every, self._tick)

    # --- for the engine

    @property
    def too_old(self) -> bool:
        """True when the connection has served its time and should make way for a fresh one."""
        return self._retiring or self._loop.time() - self._born > self._limits.reuse

    async def run(self, source: Source) -> None:
        """Send letters of `source` until it has none, or until this connection is over or too old."""
        if self.over:
            return
        self._source = source
        self._rest = self._loop.create_future()
        self._next()
        try:
            await self._rest
        finally:
            self._source = None

    async def quit(self) -> None:
        """Say goodbye on a connection without a letter, within its limit, and close it."""
        self._say_quit()
        if not self.over:
            await asyncio.wait({self._gone}, timeout=2 * self._limits.quit)

    def _say_quit(self) -> None:
        if self.over or self._expected:
            return
        self._retiring = True
        self._expected.append((Step.QUIT, None))
        self._write(b"QUIT\r\n")
        self._set_deadline()

    def abort(self) -> None:
        """Close at once. A written dot without its reply is in doubt."""
        self._break(Reason.LOST)

    # --- from the transport

    def data_received(self, data: bytes) -> None:
        try:
            for reply in self._reader.feed(data):
                self._answer(reply)
                if self.over:
                    return
        except ReplyError:
            self._break(Reason.PROTOCOL)
            return
        if self._ready is not None and not self._unsent and self._reader.has_unread:
            self._break(Reason.PROTOCOL)  # the server spoke on after "go ahead"
            return
        self._go_on()

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
        if self._unsent and not self.over:
            self._send_blocks()

    # --- replies

    def _answer(self, reply: Reply) -> None:
        if not self._expected:
            self._unasked(reply)
            return
        step, job = self._expected.popleft()
        if reply.code == _CLOSING and step is not Step.QUIT:
            self._expected.appendleft((step, job))
            self._break(Reason.CLOSING, reply)
        elif step is Step.QUIT:
            self.over = True
            self._transport.close()
        elif step is Step.RESET:
            if not _is_yes(reply):
                self._expected.appendleft((step, job))
                self._break(Reason.PROTOCOL)
            elif not self._pipelined and job is not None:
                self._ask(Step.MAIL, job)
        elif job is not None:
            self._answer_letter(step, job, reply)

    def _answer_letter(self, step: Step, job: Job, reply: Reply) -> None:
        if step is Step.MAIL:
            self._answer_mail(job, reply)
        elif step is Step.RCPT:
            self._answer_rcpt(job, reply)
        elif step is Step.DATA:
            self._answer_data(job, reply)
        elif step is Step.DOT:
            self._answer_dot(job, reply)
        elif job.refusal is not None:  # VOID: any reply ends the empty DATA
            self._settle(job, job.refusal)

    def _answer_mail(self, job: Job, reply: Reply) -> None:
        if _is_yes(reply):
            job.mail_accepted = True
        elif not self._refuse(Step.MAIL, job, reply):
            return
        if self._pipelined:
            return
        if job.refusal is None:
            self._ask(Step.RCPT, job)
        else:
            self._settle(job, job.refusal)

    def _answer_rcpt(self, job: Job, reply: Reply) -> None:
        if not _is_yes(reply) and not self._refuse(Step.RCPT, job, reply):
            return
        if self._pipelined:
            return
        if job.refusal is None:
            self._ask(Step.DATA, job)
        else:
            self._needs_reset = True
            self._settle(job, job.refusal)

    def _answer_data(self, job: Job, reply: Reply) -> None:
        if reply.code == _START_INPUT:
            if job.refusal is None:
                self._ready = job
            elif job.mail_accepted:
                self._expected.append((Step.VOID, job))
                self._write(b".\r\n")
            else:  # it refused the sender and opened DATA: whatever follows could be a mail
                self._ready = job
                self._break(Reason.PROTOCOL)
            return
        if self._refuse(Step.DATA, job, reply) and job.refusal is not None:
            self._needs_reset = job.mail_accepted
            self._settle(job, job.refusal)

    def _answer_dot(self, job: Job, reply: Reply) -> None:
        outcome = judge(Phase.DOT, reply.code, reply.enhanced, reply.text, recipient=job.letter.recipient)
        if outcome.verdict is Verdict.IN_DOUBT:
            self._expected.appendleft((Step.DOT, job))
            self._break(Reason.PROTOCOL)
            return
        self.replies_credited += 1
        self._answered.append((job, outcome))

    def _refuse(self, step: Step, job: Job, reply: Reply) -> bool:
        """Keep the first refusal of a letter; False when the reply is no answer at all and the connection is over."""
        if not 400 <= reply.code <= 599:
            self._expected.appendleft((step, job))
            self._break(Reason.PROTOCOL)
            return False
        if job.refusal is None:
            job.refusal = judge(
                _PHASES[step], reply.code, reply.enhanced, reply.text, recipient=job.letter.recipient
            )
        return True

    def _unasked(self, reply: Reply) -> None:
        if reply.code == _CLOSING:
            self._break(Reason.CLOSING, reply)
        else:
            self._break(Reason.PROTOCOL)

    # --- letters

    def _go_on(self) -> None:
        """After a batch of replies: send the body that was asked for, or begin the next letter, or rest."""
        if self._unsent:
            return
        if self._ready is not None:
            self._send_body(self._ready)
        elif self._answered:
            self._flush()
        if not self._expected and self._ready is None and not self.over:
            self._next()
        self._set_deadline()

    def _next(self) -> None:
        """Begin a letter on a connection with nothing in flight, or end this run."""
        job = self._take()
        if job is not None:
            self._write(self._begin(job))
            self._set_deadline()
        elif self._rest is not None and not self._rest.done():
            self._deadline = self._loop.time() + self._limits.idle
            self._rest.set_result(None)

    def _take(self) -> Job | None:
        source = self._source
        while source is not None and source.halted is None and not self.too_old:
            job = source.take()
            if job is None:
                return None
            outcome = _too_late() if self._is_too_late(job) else unfit(job, self._features)
            if outcome is None:
                return job
            source.settle(job, outcome)
        return None

    def _is_too_late(self, job: Job) -> bool:
        not_after = job.letter.not_after
        return not_after is not None and self._clock() > not_after

    def _begin(self, job: Job) -> bytes:
        """The bytes that open a letter's transaction; in lock-step only the first command of it."""
        job.restart()
        needs_reset, self._needs_reset = self._needs_reset, False
        if needs_reset:
            self._expected.append((Step.RESET, job))
            if not self._pipelined:
                return b"RSET\r\n"
        self._expected.append((Step.MAIL, job))
        command = mail_command(job, self._features)
        if not self._pipelined:
            return command
        self._expected.append((Step.RCPT, job))
        self._expected.append((Step.DATA, job))
        return b"%b%b%bDATA\r\n" % (b"RSET\r\n" if needs_reset else b"", command, rcpt_command(job))

    def _ask(self, step: Step, job: Job) -> None:
        """One command of a lock-step transaction."""
        self._expected.append((step, job))
        if step is Step.MAIL:
            self._write(mail_command(job, self._features))
        else:
            self._write(rcpt_command(job) if step is Step.RCPT else b"DATA\r\n")

    # --- bodies

    def _send_body(self, job: Job) -> None:
        self._flush()  # the letter before is answered, whatever becomes of this one
        if self.over:
            return
        octets = body(job)
        if len(octets) <= BLOCK:
            self._send_last(job, octets)
            return
        self._unsent = memoryview(octets)
        self._send_blocks()

    def _send_blocks(self) -> None:
        """Write a large body as fast as the peer takes it; the journal knows of it only before the last block."""
        while len(self._unsent) > BLOCK and not self._paused:
            self._write(bytes(self._unsent[:BLOCK]))
            self._unsent = self._unsent[BLOCK:]
        if self._paused:
            self._deadline = self._loop.time() + self._limits.block
        elif self._ready is not None:
            last, self._unsent = bytes(self._unsent), memoryview(b"")
            self._send_last(self._ready, last)
            self._set_deadline()

    def _send_last(self, job: Job, octets: bytes) -> None:
        """The record, a look at the clock, then one write: the rest of the body, the dot, the next envelope."""
        if self._hold_back(job) or not self._record_dot(job):
            return
        if self._is_too_late(job):  # the process may have been stopped for hours just before this line
            self._journal_reply(job, _too_late())
            self._withdraw(job, _too_late())
            return
        self._ready = None
        self._expected.append((Step.DOT, job))
        following = self._take() if self._pipelined else None
        self._write(b"%b.\r\n%b" % (octets, self._begin(following) if following else b""))

    def _hold_back(self, job: Job) -> bool:
        if self._source is not None and self._source.halted is not None:
            self._withdraw(job, self._source.halted)
            return True
        if self._is_too_late(job):
            self._withdraw(job, _too_late())
            return True
        return False

    def _withdraw(self, job: Job, outcome: Outcome) -> None:
        """Take a letter back after its 354. Only closing does that: a dot would deliver half a mail."""
        job.refusal = outcome
        self._break(Reason.STOPPED)

    # --- journal

    def _record_dot(self, job: Job) -> bool:
        if self._journal is None:
            return True
        try:
            self._journal.about_to_send(((job.letter.id, job.letter.fence),))
        except JournalError as error:
            if self._source is not None:
                self._source.journal_failed(error)
            self._withdraw(job, journal_outcome())
            return False
        return True

    def _journal_reply(self, job: Job, outcome: Outcome) -> None:
        if self._journal is None:
            return
        try:
            self._journal.replied(job.letter.id, job.letter.fence, outcome)
        except JournalError as error:  # the outcome stands; only nothing new may be sent
            if self._source is not None:
                self._source.journal_failed(error)

    def _flush(self) -> None:
        """Replies to dots: first into the journal, then to whoever waits for them."""
        answered, self._answered = self._answered, []
        for job, outcome in answered:
            self._journal_reply(job, outcome)
            if self._source is not None:
                self._source.settle(job, outcome)

    def _settle(self, job: Job, outcome: Outcome) -> None:
        """The outcome of a letter that was refused before its dot."""
        self.replies_credited += 1
        if self._source is None:
            return
        if outcome.reason is Reason.TOO_MANY_RECIPIENTS and not job.moved_before:
            job.moved_before = self._retiring = (
                True  # asks for a new transaction at once; it may count per session
            )
            self._source.give_back(job)
            return
        self._source.settle(job, outcome)

    # --- the end

    def _break(self, reason: Reason, reply: Reply | None = None) -> None:
        """The connection is over: every letter on it gets what is certain about it, and nothing more."""
        if self.over:
            return
        self.broke_protocol = reason is Reason.PROTOCOL
        self._end()
        try:
            self._flush()
            for place, (step, job) in enumerate(self._letters_in_flight()):
                self._settle_lost(step, job, reason, reply, first=place == 0)
        finally:
            self._expected.clear()
            self._ready = None
            self._unsent = memoryview(b"")
            if self._rest is not None and not self._rest.done():
                self._rest.set_result(None)

    def _letters_in_flight(self) -> list[tuple[Step, Job]]:
        """Each letter with the earliest question about it that is still open, in the order of the wire."""
        found: dict[int, tuple[Step, Job]] = {}
        if self._ready is not None:
            found[self._ready.letter.id] = (Step.DATA, self._ready)
        for step, job in self._expected:
            if job is not None:
                found.setdefault(job.letter.id, (step, job))
        return list(found.values())

    def _settle_lost(self, step: Step, job: Job, reason: Reason, reply: Reply | None, *, first: bool) -> None:
        source = self._source
        if source is None:
            return
        if job.refusal is not None:  # it was refused already; the rest of its conversation does not matter
            source.settle(job, job.refusal)
        elif not first:
            source.give_back(job)  # another letter's reply was due first: nothing was said about this one
        elif self._is_about_connection(step, job, reason):
            job.moved_before = True
            source.give_back(job)
        else:
            outcome = unanswered(_PHASES[step], reason)
            if reply is not None:
                outcome = judge(
                    _PHASES[step], reply.code, reply.enhanced, reply.text, recipient=job.letter.recipient
                )
            if step is Step.DOT and outcome.verdict is not Verdict.IN_DOUBT:
                self._journal_reply(job, outcome)
            source.settle(job, outcome)

    def _is_about_connection(self, step: Step, job: Job, reason: Reason) -> bool:
        """True when a connection that had worked closed before it looked at the letter.

        Servers do that after so many mails, so much time, or in an idle
        moment; the letter goes to a fresh connection, once.
        """
        closed = reason in (Reason.LOST, Reason.CLOSING)
        untouched = step in (Step.RESET, Step.MAIL)
        return closed and untouched and self.replies_credited > 0 and not job.moved_before

    def _end(self) -> None:
        self.over = True
        self._transport.abort()

    # --- time and bytes

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _set_deadline(self) -> None:
        """The limit of the oldest open question; it starts anew with each answer."""
        if self._expected:
            self._deadline = self._loop.time() + self._limit_of[self._expected[0][0]]

    def _tick(self) -> None:
        if self.over:
            return
        if self._loop.time() >= self._deadline:
            if self._expected or self._ready is not None:
                self._break(Reason.TIMEOUT)
                return
            self._say_quit()  # unused for too long
        self._watch = self._loop.call_later(self._tick_every, self._tick)


def journal_outcome() -> Outcome:
    """The outcome of every letter that was not sent because the journal could not be written."""
    return decided_here(
        Verdict.DEFERRED,
        Fault.RELAY,
        Reason.JOURNAL,
        text="the journal could not be written, so nothing was sent",
        retry_after=60.0,
    )


def _too_late() -> Outcome:
    return decided_here(
        Verdict.DEFERRED,
        Fault.NONE,
        Reason.TOO_LATE,
        text="the time to send this letter was over",
        retry_after=0.0,
    )


def _is_yes(reply: Reply) -> bool:
    return 200 <= reply.code <= 299
