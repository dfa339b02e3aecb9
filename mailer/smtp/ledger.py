"""The order of things around a final dot: journal, then caller; record, then bytes.

A reply to a dot goes into the journal before anybody hears of it, and a dot is
in the journal before it is written; both go in one write where they meet. BDAT
LAST is a dot here: after it the server may have the letter.
"""

from collections import deque
from collections.abc import Collection, Sequence

from mailer import failpoints
from mailer.failpoints import Failpoint
from mailer.smtp.job import Job
from mailer.smtp.journal import Journal, JournalError
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict, decided_here
from mailer.smtp.steps import Source


class Ledger:
    """What one connection knows of its dots and has not told yet."""

    def __init__(self, journal: Journal | None) -> None:
        self.source: Source | None = None
        self._journal = journal
        self._answered: deque[tuple[Job, Outcome]] = deque()

    def add(self, job: Job, outcome: Outcome) -> None:
        """A reply to a dot came; it is told with the next `flush` or `record_dots`."""
        self._answered.append((job, outcome))

    def flush_refusals(self) -> None:
        """A reply that ends the work of its source must be told before any further dot is thought of."""
        for _, outcome in self._answered:
            if outcome.fault is Fault.RELAY:
                self.flush()
                return

    def record_dots(self, jobs: Sequence[Job]) -> Outcome | None:
        """Record that these letters' dots are about to leave. Not None: they must not, and this is why."""
        failed = self._write(self._answered, jobs)
        if failed is not None:
            return failed
        for job in jobs:
            job.dotted = True
        self._tell()
        return None

    def record_reply(self, job: Job, outcome: Outcome) -> None:
        """Record what is certain about a letter whose dot was recorded."""
        self._write(((job, outcome),), ())  # if it fails the outcome stands; only nothing new may be sent

    def flush(self) -> None:
        """Record and tell every reply that came."""
        if self._answered:
            self._write(self._answered, ())
            self._tell()

    def _write(self, answered: Collection[tuple[Job, Outcome]], dots: Sequence[Job]) -> Outcome | None:
        if self._journal is None:
            return None
        if failpoints.armed:
            _reach_before(answered, dots)
        try:
            self._journal.record_group(
                [(job.id, job.fence, outcome) for job, outcome in answered],
                [(job.id, job.fence) for job in dots],
            )
        except JournalError as error:
            if self.source is not None:
                self.source.journal_failed(error)
            return journal_outcome()
        if failpoints.armed:
            _reach_after(answered, dots)
        return None

    def _tell(self) -> None:
        answered, source = self._answered, self.source
        while answered:  # one by one: should a telling fail, the next ones are still told
            job, outcome = answered.popleft()
            if source is not None:
                source.settle(job, outcome)


def journal_outcome() -> Outcome:
    """The outcome of every letter that was not sent because the journal could not be written."""
    return decided_here(
        Verdict.DEFERRED,
        Fault.RELAY,
        Reason.JOURNAL,
        text="the journal could not be written, so nothing was sent",
        retry_after=60.0,
    )


def _reach_before(answered: Collection[object], dots: Collection[object]) -> None:
    for _ in answered:
        failpoints.reach(Failpoint.BEFORE_REPLY_RECORD)
    for _ in dots:
        failpoints.reach(Failpoint.BEFORE_RECORD)


def _reach_after(answered: Collection[object], dots: Collection[object]) -> None:
    for _ in answered:
        failpoints.reach(Failpoint.AFTER_REPLY_RECORD)
    for _ in dots:
        failpoints.reach(Failpoint.AFTER_RECORD)
