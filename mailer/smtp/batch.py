"""The letters of one call: what waits, what is known, and how it gets back to the caller's thread.

Every letter that goes in comes out with exactly one outcome. Connections take
letters from here and give back those they never offered.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from queue import SimpleQueue

from mailer.smtp.job import Job, prepare
from mailer.smtp.journal import JournalError
from mailer.smtp.letter import Letter
from mailer.smtp.outcome import HOST_PAUSE, Fault, Outcome, Phase, Reason, Verdict, decided_here

_GROUP = 64  # outcomes handed to the caller's thread at once,
_GROUP_WAIT = 0.005  # or after these seconds

_log = logging.getLogger(__name__)


class Batch:
    """The letters of one `send()`: the source of its connections. Lives on the loop's thread."""

    def __init__(self, letters: Sequence[Letter], loop: asyncio.AbstractEventLoop) -> None:
        self.results: SimpleQueue[list[tuple[int, Outcome]] | None] = SimpleQueue()
        self.halted: Outcome | None = None
        self.refusal: Outcome | None = None
        self.fruitless = 0
        self.abandoned = False
        self._waiting: deque[Letter | Job] = deque(letters)
        self._known: list[tuple[int, Outcome]] = []
        self._loop = loop
        self._hand_over_planned = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_letters(self) -> bool:
        return bool(self._waiting)

    def take(self) -> Job | None:
        while self._waiting:
            letter = self._waiting.popleft()
            job = letter if isinstance(letter, Job) else prepare(letter)
            if isinstance(job, Job):
                return job
            if isinstance(letter, Letter):
                self._tell(letter.id, job)
        return None

    def give_back(self, job: Job) -> None:
        if self.halted is not None:
            self._tell(job.letter.id, self.halted)
        else:
            self._waiting.appendleft(job)

    def settle(self, job: Job, outcome: Outcome) -> None:
        self._tell(job.letter.id, outcome)
        if outcome.fault is Fault.RELAY and self.halted is None:
            # The others were not offered: the code and its phase are not theirs.
            self.halt(replace(outcome, phase=Phase.MAIL, code=None, enhanced=None))

    def journal_failed(self, error: JournalError) -> None:
        _log.error("smtp_journal_failed", extra={"errno": error.errno})
        self.halt(journal_outcome())

    def halt(self, outcome: Outcome) -> None:
        """Nothing more is offered: every letter that waits gets this outcome."""
        if self.halted is None:
            self.halted = outcome
        self.empty()

    def stop(self) -> None:
        """Halt from another thread; `empty` follows on the loop's own."""
        if self.halted is None:
            self.halted = decided_here(Verdict.DEFERRED, Fault.NONE, Reason.STOPPED, retry_after=0.0)

    def empty(self) -> None:
        """After a halt: tell every letter that waits."""
        while self._waiting and self.halted is not None:
            letter = self._waiting.popleft()
            self._tell(letter.letter.id if isinstance(letter, Job) else letter.id, self.halted)

    def finish(self) -> None:
        self._hand_over()
        self.results.put(None)

    def _tell(self, letter_id: int, outcome: Outcome) -> None:
        """Outcomes cross to the caller's thread in groups: to wake it for each costs more than sending."""
        self._known.append((letter_id, outcome))
        if len(self._known) >= _GROUP:
            self._hand_over()
        elif not self._hand_over_planned:
            self._hand_over_planned = True
            self._loop.call_later(_GROUP_WAIT, self._hand_over_planned_group)

    def _hand_over_planned_group(self) -> None:
        self._hand_over_planned = False
        self._hand_over()

    def _hand_over(self) -> None:
        if self._known:
            known, self._known = self._known, []
            self.results.put(known)


def gave_up() -> Outcome:
    """The outcome of letters left over when the relay hangs up again and again."""
    return decided_here(
        Verdict.DEFERRED,
        Fault.RELAY,
        Reason.LOST,
        text="the relay closed connection after connection without an answer",
        retry_after=HOST_PAUSE,
    )


def journal_outcome() -> Outcome:
    """The outcome of every letter that was not sent because the journal could not be written."""
    return decided_here(
        Verdict.DEFERRED,
        Fault.RELAY,
        Reason.JOURNAL,
        text="the journal could not be written, so nothing was sent",
        retry_after=60.0,
    )
