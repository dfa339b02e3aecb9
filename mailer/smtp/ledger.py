"""The order of things around a final dot: journal, then caller; record, then bytes.

A reply to a dot goes into the journal before anybody hears of it, and a dot is
in the journal before it is written; both go in one write where they meet.
"""

from mailer.smtp.batch import journal_outcome
from mailer.smtp.job import Job
from mailer.smtp.journal import Journal, JournalError
from mailer.smtp.outcome import Fault, Outcome
from mailer.smtp.steps import Source


class Ledger:
    """What one connection knows of its dots and has not told yet."""

    def __init__(self, journal: Journal | None) -> None:
        self.source: Source | None = None
        self._journal = journal
        self._answered: list[tuple[Job, Outcome]] = []

    def add(self, job: Job, outcome: Outcome) -> None:
        """A reply to a dot came; it is told with the next `flush` or `record_dot`."""
        self._answered.append((job, outcome))

    def record_dot(self, job: Job) -> Outcome | None:
        """Record that this letter's dot is about to leave. Not None: it must not, and this is its outcome."""
        if any(outcome.fault is Fault.RELAY for _, outcome in self._answered):
            self.flush()  # the letter before halts its source, and with it this one
        if self.source is not None and self.source.halted is not None:
            return self.source.halted
        if self._journal is not None:
            replies = [(each.letter.id, each.letter.fence, outcome) for each, outcome in self._answered]
            try:
                self._journal.record_group(replies, ((job.letter.id, job.letter.fence),))
            except JournalError as error:
                self._failed(error)
                return journal_outcome()
        self._tell()
        return None

    def record_reply(self, job: Job, outcome: Outcome) -> None:
        """Record what is certain about a letter whose dot was recorded."""
        if self._journal is None:
            return
        try:
            self._journal.replied(job.letter.id, job.letter.fence, outcome)
        except JournalError as error:  # the outcome stands; only nothing new may be sent
            self._failed(error)

    def flush(self) -> None:
        """Record and tell every reply that came."""
        for job, outcome in self._answered:
            self.record_reply(job, outcome)
        self._tell()

    def _tell(self) -> None:
        answered, self._answered = self._answered, []
        if self.source is not None:
            for job, outcome in answered:
                self.source.settle(job, outcome)

    def _failed(self, error: JournalError) -> None:
        if self.source is not None:
            self.source.journal_failed(error)
