"""Whole letters in flight on one connection: RSET, MAIL, RCPT, BDAT n LAST, back to back (RFC 3030).

At most `depth` LASTs are written whose reply was not read. Each transaction is
led by its own RSET: a refused MAIL or RCPT before it makes its BDAT fail, and may
leave a sender behind under which the next letter would go out (RFC 3030 2).
A letter of many blocks goes by DATA, in a transaction of its own; so do all letters
until the server's replies are known to be told apart.
"""

from collections.abc import Callable

from mailer import failpoints
from mailer.failpoints import Failpoint
from mailer.smtp.job import Job, mail_command, whole_lines
from mailer.smtp.journal import Journal
from mailer.smtp.limits import Limits
from mailer.smtp.manners import Manners
from mailer.smtp.outcome import Outcome, Reason
from mailer.smtp.pipeline import BLOCK, Pipeline
from mailer.smtp.reply import Reply
from mailer.smtp.session import Session
from mailer.smtp.steps import Step, is_yes
from mailer.smtp.voice import Voice


class BdatPipeline(Pipeline):
    """A connection to a server that offers PIPELINING and CHUNKING."""

    def __init__(
        self,
        session: Session,
        *,
        limits: Limits,
        clock: Callable[[], float],
        journal: Journal | None = None,
        letters: int | None = None,
        manners: Manners,
        voice: Voice,
    ) -> None:
        """The depth of `manners` may change meanwhile; it holds for what is begun from then on."""
        super().__init__(session, limits=limits, clock=clock, journal=journal, letters=letters)
        self._manners = manners
        self._voice = voice
        self._open_lasts = 0  # written, and no reply read
        self._by_data: Job | None = None  # it goes by DATA, and its dot is not written

    # --- replies

    def _nod(self, reply: Reply) -> bool:
        if not self._expected:
            return False
        step, job = self._expected[0]
        if job is None or job.refusal is not None:
            return False
        if not self._voice.is_known:
            self._voice.learn(step, reply)
        elif self._voice.is_clear and not self._voice.agrees(step, reply):
            self._break(Reason.PROTOCOL)
            return True
        return super()._nod(reply)

    def _answer_dot(self, job: Job, reply: Reply) -> None:
        """The reply that decides; a letter whose envelope was refused had its answer before."""
        if job.refusal is not None and is_yes(reply):
            # It refused the recipient and took the mail: nobody can say what became of it.
            job.refusal = None
            self._break(Reason.PROTOCOL)
            return
        self._open_lasts -= 1
        if job.refusal is None:
            super()._answer_dot(job, reply)
        else:
            self._expected.popleft()
            self._settle(job, job.refusal)
        self._needs_reset = self._needs_reset or not is_yes(reply)

    def _settle(self, job: Job, outcome: Outcome) -> None:
        if job is self._by_data:
            self._by_data = None
        super()._settle(job, outcome)

    # --- letters

    def _send_more(self) -> None:
        """By the half of the depth: several letters to a write, and the server is never idle."""
        if not self._voice.is_clear:
            super()._send_more()
            return
        depth = self._manners.depth
        self._ledger.flush_refusals()
        if self._by_data is None and self._open_lasts <= depth // 2:
            self._send_group(depth - self._open_lasts)
        self._ledger.flush()

    def _send_group(self, room: int) -> None:
        """As many whole transactions as there is room for: one record, one look at the clock, one write."""
        if self._transport.is_closing():
            self._break(Reason.LOST)
            return
        jobs, large = self._take_group(room)
        # The journal's failure has told each of them by itself.
        octets = self._transactions(jobs) if jobs and self._ledger.record_dots(jobs) is None else []
        if large is not None:
            self._needs_reset = self._needs_reset or bool(self._expected)
            octets.append(self._begin(large))
        if octets:
            self._write_group(b"".join(octets), len(jobs))

    def _take_group(self, room: int) -> tuple[list[Job], Job | None]:
        now = self._clock()
        jobs: list[Job] = []
        while len(jobs) < room and (job := self._take(now)) is not None:
            if len(job.letter.data) >= BLOCK:
                return jobs, job
            job.restart()
            jobs.append(job)
        return jobs, None

    def _transactions(self, jobs: list[Job]) -> list[bytes]:
        """The bytes of those that may leave; what is out of time by now is told so, and not begun."""
        octets: list[bytes] = []
        expected, features, now = self._expected, self._features, self._clock()
        for job in jobs:
            held_back = self._why_held_back(job, now)
            if held_back is not None:
                self._withdraw(job, held_back)
                continue
            if expected or self._needs_reset:
                octets.append(b"RSET\r\n")
                expected.append((Step.RESET, job))
                self._needs_reset = False
            data = whole_lines(job)
            octets.append(mail_command(job, features))
            octets.append(b"RCPT TO:<%b>\r\nBDAT %d LAST\r\n" % (job.recipient, len(data)))
            octets.append(data)
            expected.extend(((Step.MAIL, job), (Step.RCPT, job), (Step.DOT, job)))
            self._open_lasts += 1
        return octets

    def _withdraw(self, job: Job, held_back: Outcome) -> None:
        self._ledger.record_reply(job, held_back)
        if self._source is not None:
            self._source.settle(job, held_back)

    def _write_group(self, octets: bytes, lasts: int) -> None:
        if not failpoints.armed:
            self._write(octets)
            return
        self._write(octets[: len(octets) // 2])
        failpoints.reach(Failpoint.MID_BODY)
        self._write(octets[len(octets) // 2 :])
        for _ in range(lasts):
            failpoints.reach(Failpoint.AFTER_DOT)

    # --- by DATA

    def _begin(self, job: Job) -> bytes:
        self._by_data = job
        # Its answer to RSET must be known before it leads every letter of a group.
        self._needs_reset = self._needs_reset or not self._voice.is_known
        return super()._begin(job)

    def _following(self, now: float) -> bytes:
        """After the dot of a letter that went by DATA: a group is begun by itself, or its reply awaited."""
        self._by_data = None
        self._open_lasts += 1
        one_by_one = self._voice.is_known and not self._voice.is_clear
        return super()._following(now) if one_by_one else b""
