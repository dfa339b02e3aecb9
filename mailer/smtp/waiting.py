"""The letters that wait for one pool's connections, and those that are on them.

Every letter that goes in comes out once: told with one outcome, or handed back
to whoever put it in. Connections take letters from here and give back those
that were certainly not accepted. Lives on the engine's thread.
"""

import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Protocol

from mailer.smtp.job import Job, prepare
from mailer.smtp.journal import JournalError
from mailer.smtp.ledger import journal_outcome
from mailer.smtp.letter import Draft, Letter
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict, decided_here, unanswered

Item = Letter | Draft

STOPPED = decided_here(Verdict.DEFERRED, Fault.NONE, Reason.STOPPED, retry_after=0.0)
TOO_LATE = decided_here(
    Verdict.DEFERRED,
    Fault.NONE,
    Reason.TOO_LATE,
    text="the time to send this letter was over",
    retry_after=0.0,
)
_UNFIT = decided_here(Verdict.FAILED, Fault.SENDER, Reason.RENDER, text="the letter could not be composed")

_log = logging.getLogger(__name__)


class Listener(Protocol):
    """Whom outcomes are told."""

    @property
    def stopping(self) -> bool:
        """True when nothing may leave; asked before everything that would."""

    def tell(self, letter_id: int, outcome: Outcome) -> None:
        """The one outcome of this letter."""


class Waiting:
    """The `Source` of one pool's connections."""

    def __init__(
        self,
        stream: Listener,
        refused: Callable[[Outcome], None],
        elsewhere: Callable[[], bool] = lambda: False,
        heard: Callable[[Outcome], None] | None = None,
    ) -> None:
        """`refused` hears that nothing goes here for now, `heard` what became of each letter on a connection.

        `elsewhere` says whether a letter that was refused with its relay may go to another.
        """
        self._stream = stream
        self._refused = refused
        self._elsewhere = elsewhere
        self._heard = heard
        self._queue: deque[Item | Job] = deque()
        self._open: dict[int, Job | None] = {}  # every letter in here; a job once a connection took it
        self._asked_back: set[int] = set()  # had a dot when it was to be released

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def offers(self) -> bool:
        """True when a connection that asks would get a letter, or its outcome be told."""
        return bool(self._queue) and not self._stream.stopping

    @property
    def in_hand(self) -> int:
        """How many wait or are on connections."""
        return len(self._open)

    def put(self, items: Sequence[Item], *, first: bool = False) -> None:
        if first:
            self._queue.extendleft(reversed(items))
        else:
            self._queue.extend(items)
        self._open.update(dict.fromkeys([item.id for item in items]))

    def release(self, ids: Collection[int] | None = None) -> list[Item]:
        """Hand back the letters without a dot, all or those with these ids; connections drop theirs."""
        asked = list(self._open) if ids is None else [number for number in ids if number in self._open]
        gone = {number for number in asked if (job := self._open[number]) is None or not job.dotted}
        self._asked_back.update(number for number in asked if number not in gone)
        items = [item for item in self._queue if item.id in gone]
        waiting = {item.id for item in items}
        if items:
            self._queue = deque(item for item in self._queue if item.id not in gone)
        released: list[Item] = [
            job.letter for number in gone - waiting if (job := self._open[number]) is not None
        ]
        released += [item.letter if isinstance(item, Job) else item for item in items]
        for number in gone:
            del self._open[number]
        return released

    # --- for connections

    def take(self, now: float) -> Job | None:
        queue = self._queue
        while queue and not self._stream.stopping:
            item = queue.popleft()
            job = item if isinstance(item, Job) else ready(item)
            if isinstance(job, Job):
                held_back = _held_back(job, now)
                if held_back is None:
                    self._open[job.id] = job
                    return job
                job = held_back
            del self._open[item.id]
            self._stream.tell(item.id, job)
        return None

    def held_back(self, job: Job, now: float) -> Outcome | None:
        if self._open.get(job.id) is not job or self._stream.stopping:
            return STOPPED
        return _held_back(job, now)

    def give_back(self, job: Job) -> None:
        """Somebody else may take it, unless it was asked for while its dot was open."""
        if self._open.get(job.id) is not job:
            return
        job.restart()
        job.holder = None
        if job.id in self._asked_back:
            self._end(job, STOPPED)
        else:
            self._queue.appendleft(job)

    def settle(self, job: Job, outcome: Outcome) -> None:
        if self._heard is not None:
            self._heard(outcome)
        refused = outcome.fault is Fault.RELAY
        if self._open.get(job.id) is job and not (refused and not job.dotted and self._elsewhere()):
            self._end(job, outcome)
        if refused:
            # The others were not offered: the code and its phase are not theirs.
            self.refuse(replace(outcome, phase=Phase.MAIL, code=None, enhanced=None))

    def settle_left(self, holder: object) -> None:
        """The letters that a connection took and dropped by a mistake of ours get what is certain."""
        for job in [job for job in self._open.values() if job is not None and job.holder is holder]:
            self._end(job, unanswered(Phase.DOT if job.dotted else Phase.MAIL, Reason.LOST))

    def journal_failed(self, error: JournalError) -> None:
        _log.error("smtp_journal_failed", extra={"errno": error.errno})
        self._refused(journal_outcome())

    def refuse(self, outcome: Outcome) -> None:
        """Nothing can be carried here for now."""
        self._refused(outcome)

    def _end(self, job: Job, outcome: Outcome) -> None:
        del self._open[job.id]
        self._asked_back.discard(job.id)
        self._stream.tell(job.id, outcome)


def _held_back(job: Job, now: float) -> Outcome | None:
    letter = job.letter
    if letter.lease is not None and now > letter.lease.until:
        return STOPPED  # somebody else may hold it by now
    if letter.not_after is not None and now > letter.not_after:
        return TOO_LATE
    return None


def ready(item: Item) -> Job | Outcome:
    """The letter ready for the wire, or what became of it. Whatever is wrong with it, it fails alone."""
    letter = _composed(item)
    if not isinstance(letter, Letter):
        return letter
    try:
        return prepare(letter)
    except Exception as error:
        _log.error("smtp_letter_failed", extra={"delivery": item.id, "error": type(error).__name__})
        return _UNFIT


def _composed(item: Item) -> Letter | Outcome:
    """The letter itself, or that of a draft. A draft that fails does so alone."""
    if isinstance(item, Letter):
        return item
    try:
        letter = item.compose()
    except Exception as error:
        _log.error("smtp_draft_failed", extra={"delivery": item.id, "error": type(error).__name__})
        return _UNFIT
    if isinstance(letter, Letter) and letter.id != item.id:
        _log.error("smtp_draft_failed", extra={"delivery": item.id, "error": "another letter's id"})
        return _UNFIT
    return letter
