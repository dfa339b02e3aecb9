"""The questions a connection asks, and what becomes of a letter whose question stays open.

Pure. The rule it must never break: a letter whose final dot was written goes
to no other connection.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

from mailer.smtp.job import Job
from mailer.smtp.journal import JournalError
from mailer.smtp.judge import judge
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Outcome, Phase, Reason, unanswered
from mailer.smtp.reply import Reply


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


PHASE_OF: Mapping[Step, Phase] = {
    Step.RESET: Phase.MAIL,
    Step.MAIL: Phase.MAIL,
    Step.RCPT: Phase.RCPT,
    Step.DATA: Phase.DATA,
    Step.VOID: Phase.DATA,
    Step.DOT: Phase.DOT,
}


def limits_by_step(limits: Limits) -> Mapping[Step, float]:
    """Seconds to wait for each step's reply."""
    return {
        Step.RESET: limits.reset,
        Step.MAIL: limits.mail,
        Step.RCPT: limits.rcpt,
        Step.DATA: limits.data,
        Step.VOID: limits.dot,
        Step.DOT: limits.dot,
        Step.QUIT: limits.quit,
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


def judged(step: Step, job: Job, reply: Reply) -> Outcome:
    """What a reply to this step means for its letter."""
    return judge(PHASE_OF[step], reply.code, reply.enhanced, reply.text, recipient=job.letter.recipient)


def fate(
    step: Step, job: Job, reason: Reason, reply: Reply | None, *, first: bool, worked: bool
) -> Outcome | None:
    """What becomes of a letter on a connection that ended; None: another connection may take it.

    `step` is the earliest open question about the letter; `first` says that it
    was the next to be answered on its connection; `worked` that the connection
    had answered for other letters before. `reply` is a 421 in place of the answer.
    """
    if job.refusal is not None:
        return job.refusal  # what was still open does not matter any more
    if not first and step is not Step.DOT:
        return None  # another letter's answer was due before: nothing was said about this one
    if worked and not job.moved_before and _is_about_connection(step, reason):
        return None
    return judged(step, job, reply) if reply is not None else unanswered(PHASE_OF[step], reason)


def _is_about_connection(step: Step, reason: Reason) -> bool:
    """True when the server hung up before it looked at the letter.

    Servers do that after so many mails, so much time, or in an idle moment;
    the letter may go to a fresh connection, once.
    """
    return step in (Step.RESET, Step.MAIL) and reason in (Reason.LOST, Reason.CLOSING)
