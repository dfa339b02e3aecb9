"""Letters in flight on one connection: MAIL, RCPT and DATA, one after another (RFC 5321, RFC 2920).

Where the server offers PIPELINING, one write carries the body and final dot
of one letter and the envelope of the next, so a letter costs one round trip;
otherwise each command waits for its reply. At most one final dot is open.

No bytes with a dot are written before the journal has its record, and no
letter is taken back after its dot.
"""

import asyncio
from collections.abc import Callable

from mailer import failpoints
from mailer.failpoints import Failpoint
from mailer.smtp.connection import Connection
from mailer.smtp.job import Job, dot_stuffed, mail_command, rcpt_command, unfit
from mailer.smtp.journal import Journal
from mailer.smtp.ledger import Ledger
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Outcome, Phase, Reason, Verdict, unanswered
from mailer.smtp.reply import Reply
from mailer.smtp.session import Session
from mailer.smtp.steps import Source, Step, fate, fits, is_yes, judged

BLOCK = 1 << 16  # octets of a body that are written before the peer must have taken the last block
_DRILL_BLOCK = 1 << 10
_START_INPUT = 354
_ANY_TIME = float("-inf")


class Pipeline(Connection):
    """A connection that sends letters, for one `Source` after another."""

    def __init__(
        self,
        session: Session,
        *,
        limits: Limits,
        clock: Callable[[], float],
        journal: Journal | None = None,
        lock_step: bool = False,
        letters: int | None = None,
    ) -> None:
        """`letters` is the most that this connection may carry."""
        super().__init__(session, limits)
        self._letters_left = letters
        self._features = session.features
        self._pipelined = session.features.pipelining and not lock_step
        self._clock = clock
        self._ledger = Ledger(journal)
        self._ready: Job | None = None  # got its 354; its body has not been written whole
        self._unsent = memoryview(b"")  # of the body of `_ready`, while the peer takes block after block
        self._needs_reset = False
        self._source: Source | None = None
        self._rest: asyncio.Future[None] | None = None  # done when this run of letters is over
        self.replies_credited = 0
        """Letters that got their outcome from a reply on this connection."""

    async def run(self, source: Source) -> None:
        """Send letters of `source` until it has none, or until this connection is over or too old."""
        if self.over:
            return
        self._source = self._ledger.source = source
        self._rest = self._loop.create_future()
        try:
            self._go_on()
            self._set_deadline()
        except Exception as error:
            self._stumble(error)
        try:
            await self._rest
        finally:
            self._source = self._ledger.source = None

    # --- replies

    def _nod(self, reply: Reply) -> bool:
        expected = self._expected
        if not expected or not self._pipelined:
            return False
        step, job = expected[0]
        if job is None or job.refusal is not None:
            return False
        if step is Step.DOT:
            self._answer_dot(job, reply)
            return True
        if step is Step.MAIL:
            job.mail_accepted = True
        elif step is not Step.RCPT and step is not Step.RESET:
            return False
        expected.popleft()
        return True

    def _answer(self, step: Step, job: Job, reply: Reply) -> None:
        if not fits(step, reply):
            self._break(Reason.PROTOCOL)
            return
        if step is Step.DOT:
            self._answer_dot(job, reply)
            return
        self._expected.popleft()
        if step is Step.DATA:
            self._answer_data(job, reply)
        elif step is Step.VOID and job.refusal is not None:  # any reply ends the empty DATA
            self._settle(job, job.refusal)
        else:
            self._answer_envelope(step, job, reply)

    def _answer_envelope(self, step: Step, job: Job, reply: Reply) -> None:
        """RSET, MAIL or RCPT: note a refusal; in lock-step, ask what comes next or give up the letter."""
        if not is_yes(reply):
            job.refusal = job.refusal or judged(step, job, reply)
        elif step is Step.MAIL:
            job.mail_accepted = True
        if not self._pipelined:
            self._step_on(step, job)

    def _step_on(self, step: Step, job: Job) -> None:
        if job.refusal is not None:
            self._needs_reset = job.mail_accepted
            self._settle(job, job.refusal)
        else:
            self._ask({Step.RESET: Step.MAIL, Step.MAIL: Step.RCPT, Step.RCPT: Step.DATA}[step], job)

    def _answer_data(self, job: Job, reply: Reply) -> None:
        if reply.code != _START_INPUT:
            job.refusal = job.refusal or judged(Step.DATA, job, reply)
            self._needs_reset = job.mail_accepted
            self._settle(job, job.refusal)
        elif job.refusal is None:
            self._ready = job
        elif job.mail_accepted:
            self._expected.append((Step.VOID, job))
            self._write(b".\r\n")
        else:  # it refused the sender and opened DATA: whatever follows could be a mail
            self._expected.append((Step.VOID, job))
            self._break(Reason.PROTOCOL)

    def _answer_dot(self, job: Job, reply: Reply) -> None:
        self._expected.popleft()
        self.replies_credited += 1
        self._ledger.add(job, judged(Step.DOT, job, reply))

    # --- letters

    def _go_on(self) -> None:
        """Send the body that was asked for, or begin the next letters, or rest."""
        if self._unsent:
            return
        if self._ready is not None:
            self._send_body(self._ready)
        if self._unsent or self.over:
            return
        self._send_more()
        if not self._expected and not self.over and self._rest is not None and not self._rest.done():
            self._deadline = self._loop.time() + self._limits.idle
            self._rest.set_result(None)

    def _send_more(self) -> None:
        """Tell what is known, and begin a letter when nothing is in flight."""
        self._ledger.flush()
        if not self._expected and not self.over:
            job = self._take(self._clock())
            if job is not None:
                self._write(self._begin(job))

    def _take(self, now: float) -> Job | None:
        source = self._source
        while source is not None and not self.too_old:
            job = source.take(now)
            if job is None:
                return None
            job.holder = self
            outcome = unfit(job, self._features) if job.utf8 or job.eight_bit else None
            if outcome is None:
                self._count_letter()
                return job
            source.settle(job, outcome)
        return None

    def _count_letter(self) -> None:
        if self._letters_left is not None:
            self._letters_left -= 1
            self._retiring = self._retiring or self._letters_left <= 0

    def _begin(self, job: Job) -> bytes:
        """The bytes that open a letter's DATA transaction; in lock-step only the first command of it."""
        job.restart()
        needs_reset, self._needs_reset = self._needs_reset, False
        if not self._pipelined:
            step = Step.RESET if needs_reset else Step.MAIL
            self._expected.append((step, job))
            return self._command(step, job)
        if needs_reset:
            self._expected.append((Step.RESET, job))
        self._expected.extend(((Step.MAIL, job), (Step.RCPT, job), (Step.DATA, job)))
        return b"%b%bRCPT TO:<%b>\r\nDATA\r\n" % (
            b"RSET\r\n" if needs_reset else b"",
            mail_command(job, self._features),
            job.recipient,
        )

    def _ask(self, step: Step, job: Job) -> None:
        self._expected.append((step, job))
        self._write(self._command(step, job))

    def _command(self, step: Step, job: Job) -> bytes:
        if step is Step.MAIL:
            return mail_command(job, self._features)
        if step is Step.RCPT:
            return rcpt_command(job)
        return b"DATA\r\n" if step is Step.DATA else b"RSET\r\n"

    def _settle(self, job: Job, outcome: Outcome) -> None:
        """The outcome of a letter whose envelope was refused."""
        self.replies_credited += 1
        if outcome.reason is Reason.TOO_MANY_RECIPIENTS and not job.moved_before:
            # It asks for a new transaction at once; a fresh connection, since it may count per session.
            job.moved_before = self._retiring = True
            self._give_back(job, outcome)
        elif job.dotted:
            self._ledger.add(job, outcome)
        elif self._source is not None:
            self._source.settle(job, outcome)

    def _give_back(self, job: Job, outcome: Outcome) -> None:
        """Another connection may take it; `outcome` is what is certain of it, should that never come."""
        if job.dotted:
            self._ledger.record_reply(job, outcome)
        if self._source is not None:
            self._source.give_back(job)

    # --- bodies

    @property
    def _has_body(self) -> bool:
        return self._ready is not None

    def _send_body(self, job: Job) -> None:
        octets = dot_stuffed(job)
        if len(octets) <= (_DRILL_BLOCK if failpoints.armed else BLOCK):
            self._send_last(job, octets)
            return
        self._ledger.flush()  # the letter before need not wait for a body of many blocks
        self._unsent = memoryview(octets)
        self._may_write()

    def _may_write(self) -> None:
        """Write a large body as fast as the peer takes it; its last block goes with the dot."""
        if self._ready is None or not self._unsent:
            return
        block = _DRILL_BLOCK if failpoints.armed else BLOCK
        while len(self._unsent) > block and not self._paused:
            self._write(bytes(self._unsent[:block]))
            self._unsent = self._unsent[block:]
            if failpoints.armed:
                failpoints.reach(Failpoint.MID_BODY)
        if self._paused:
            self._deadline = self._loop.time() + self._limits.block
            return
        last, self._unsent = bytes(self._unsent), memoryview(b"")
        self._send_last(self._ready, last)
        self._set_deadline()

    def _send_last(self, job: Job, octets: bytes) -> None:
        """The record, a look at the clock, then one write: the body's end, the dot, the next envelope."""
        if self._transport.is_closing():
            self._break(Reason.LOST)
            return
        self._ledger.flush_refusals()
        held_back = self._why_held_back(job, _ANY_TIME) or self._ledger.record_dots((job,))
        now = self._clock()  # between the record and this line the process may have been stopped for hours
        if held_back is None:
            held_back = self._why_held_back(job, now)
            if held_back is not None:
                self._ledger.record_reply(job, held_back)
        if held_back is not None:
            job.refusal = held_back
            self._break(Reason.STOPPED)  # only closing takes a letter back: a dot would deliver half of it
            return
        self._ready = None
        self._expected.append((Step.DOT, job))
        self._write(b"%b.\r\n%b" % (octets, self._following(now)))
        if failpoints.armed:
            failpoints.reach(Failpoint.AFTER_DOT)

    def _following(self, now: float) -> bytes:
        """What rides with the dot: the next letter's envelope."""
        job = self._take(now) if self._pipelined else None
        return self._begin(job) if job is not None else b""

    def _why_held_back(self, job: Job, now: float) -> Outcome | None:
        return self._source.held_back(job, now) if self._source is not None else None

    # --- the end

    def _settle_all(self, reason: Reason, reply: Reply | None) -> None:
        try:
            self._ledger.flush()
            for place, (step, job) in enumerate(self._letters_in_flight()):
                self._settle_lost(step, job, reason, reply, first=place == 0)
        finally:
            self._ready = None
            self._unsent = memoryview(b"")
            if self._rest is not None and not self._rest.done():
                self._rest.set_result(None)

    def _letters_in_flight(self) -> list[tuple[Step, Job]]:
        """Each letter with the earliest question about it that is still open, in the order of the wire."""
        found: dict[int, tuple[Step, Job]] = {}
        for step, job in self._expected:
            if job is not None:
                found.setdefault(job.id, (step, job))
        if self._ready is not None:
            found.setdefault(self._ready.id, (Step.DATA, self._ready))
        return list(found.values())

    def _settle_lost(self, step: Step, job: Job, reason: Reason, reply: Reply | None, *, first: bool) -> None:
        source = self._source
        if source is None:
            return
        outcome = fate(step, job, reason, reply, first=first, worked=self.replies_credited > 0)
        if outcome is None:
            job.moved_before = job.moved_before or first
            self._give_back(job, unanswered(Phase.MAIL, reason))
            return
        if job.dotted and outcome.verdict is not Verdict.IN_DOUBT:
            self._ledger.record_reply(job, outcome)
        source.settle(job, outcome)
