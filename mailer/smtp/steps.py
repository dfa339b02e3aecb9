"""The questions a connection asks, and what becomes of a letter whose question stays open.

The rule it must never break: a letter whose final dot was written goes to no
other connection, unless the server itself said that it will not take it (421).
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

_OK, _START_INPUT = 250, 354


class Step(Enum):
    """A question the server still has to answer."""

    RESET = "reset"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"
    """The final dot, or BDAT LAST: from here on the letter may be accepted."""
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


def is_yes(reply: Reply) -> bool:
    return 200 <= reply.code <= 299


def fits(step: Step, reply: Reply) -> bool:
    """True when the code can be an answer to the question; any other means that the two are out of step."""
    if step is Step.VOID:
        return reply.code != _START_INPUT
    if step is Step.RESET:
        return is_yes(reply)
    if step is Step.DATA:
        return reply.code == _START_INPUT or 400 <= reply.code <= 599
    return is_yes(reply) or 400 <= reply.code <= 599


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

    def take(self, now: float) -> Job | None:
        """The next letter whose transaction may start now, or None when there is none for now."""

    def held_back(self, job: Job, now: float) -> Outcome | None:
        """Not None: no dot of this letter may leave, and this is why."""

    def give_back(self, job: Job) -> None:
        """This letter was certainly not accepted: another connection may take it."""

    def settle(self, job: Job, outcome: Outcome) -> None:
        """The one outcome of this letter. May end the work of others with it."""

    def journal_failed(self, error: JournalError) -> None:
        """The journal cannot be written: nothing more may be sent."""


_ACCEPTED_KEPT = 64
_accepted: dict[tuple[bytes, ...], tuple[Outcome, str]] = {}
"""What "250 Ok" means, by its words: many servers say the same to every letter."""


def judged(step: Step, job: Job, reply: Reply) -> Outcome:
    """What a reply to this step means for its letter."""
    recipient = job.letter.recipient
    if step is not Step.DOT or reply.code != _OK:
        return judge(PHASE_OF[step], reply.code, reply.enhanced, reply.text, recipient=recipient)
    known = _accepted.get(reply.lines)
    if known is None:
        outcome = judge(Phase.DOT, _OK, reply.enhanced, reply.text)
        known = outcome, outcome.text.casefold()
        if len(_accepted) >= _ACCEPTED_KEPT:
            _accepted.clear()
        _accepted[reply.lines] = known
    outcome, text = known
    local = recipient.rpartition("@")[0].strip('"').casefold()
    if local and local in text:  # the words may name this recipient: look closely
        return judge(Phase.DOT, _OK, reply.enhanced, reply.text, recipient=recipient)
    return outcome


def fate(
    step: Step, job: Job, reason: Reason, reply: Reply | None, *, first: bool, worked: bool
) -> Outcome | None:
    """What becomes of a letter on a connection that ended; None: another connection may take it.

    `step` is the earliest open question about the letter; `first` says that it
    was the next to be answered on its connection; `worked` that the connection
    had answered for other letters before. `reply` is a 421 in place of the answer:
    the server's word that neither this letter nor any after it was accepted.
    """
    if job.refusal is not None:
        return job.refusal  # what was still open does not matter any more
    if job.dotted and reply is None:
        return unanswered(Phase.DOT, reason)
    if not first:
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
