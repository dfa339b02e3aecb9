"""What became of a letter: the words for it, and the outcomes that no reply decides.

Only values. What a reply means is the table in `judge`; retries, lanes and
suppression are decided by others, from these words.
"""

from dataclasses import dataclass, field
from enum import StrEnum

HOST_PAUSE = 300.0  # seconds a relay that refused or failed is left alone


class Verdict(StrEnum):
    SENT = "sent"
    DEFERRED = "deferred"
    FAILED = "failed"
    IN_DOUBT = "in_doubt"


class Fault(StrEnum):
    """Who has to wait or to act. Only RECIPIENT may ever count against a subscriber."""

    NONE = "none"
    RECIPIENT = "recipient"
    SENDER = "sender"
    LANE = "lane"
    RELAY = "relay"


class Phase(StrEnum):
    """The step of the conversation that decided."""

    CONNECT = "connect"
    TLS = "tls"
    GREETING = "greeting"
    EHLO = "ehlo"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


class Reason(StrEnum):
    """The typed word for why; texts for people are made from it elsewhere.

    Journals write a reason as its place in this list: append, never reorder.
    """

    ACCEPTED = "accepted"
    ADDRESS = "address"
    ADDRESS_SYNTAX = "address_syntax"
    REFUSED = "refused"
    MAILBOX_FULL = "mailbox_full"
    DISABLED = "disabled"
    BLOCKED = "blocked"
    SENDER = "sender"
    TOO_BIG = "too_big"
    EAI = "eai"
    MALFORMED = "malformed"
    GREYLISTED = "greylisted"
    THROTTLED = "throttled"
    AUTHENTICATION = "authentication"
    TOO_MANY_RECIPIENTS = "too_many_recipients"
    TEMPORARY = "temporary"
    CLOSING = "closing"
    LOST = "lost"
    TIMEOUT = "timeout"
    PROTOCOL = "protocol"
    CONNECT = "connect"
    NO_TLS = "no_tls"
    AUTH = "auth"
    RELAY_DENIED = "relay_denied"
    TOO_LATE = "too_late"
    RENDER = "render"
    STOPPED = "stopped"
    JOURNAL = "journal"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one letter.

    `text` is what may be kept of the reply: no address, at most 1 KB.
    `retry_after` is a wait in seconds that the server or the table asks for;
    None leaves it to the retry ladder. `enhanced` is as the server gave it.
    """

    verdict: Verdict
    fault: Fault
    phase: Phase
    reason: Reason
    code: int | None = None
    enhanced: str | None = None
    text: str = field(default="")
    retry_after: float | None = None

    @property
    def contradicts_itself(self) -> bool:
        """True when the enhanced code's class is not the code's; the code was believed."""
        return self.code is not None and self.enhanced is not None and str(self.code)[0] != self.enhanced[0]

    @property
    def is_strike(self) -> bool:
        """True when a full or disabled mailbox refused: counted, and only many of them pause a subscriber."""
        return self.reason in (Reason.MAILBOX_FULL, Reason.DISABLED)


BEFORE_LETTERS = frozenset({Phase.CONNECT, Phase.TLS, Phase.GREETING, Phase.EHLO, Phase.AUTH})
"""The phases of a handshake: what happens there is about the relay, and holds for every letter."""


def unanswered(phase: Phase, reason: Reason, *, text: str = "", retry_after: float | None = None) -> Outcome:
    """The outcome of a letter that got no reply it can believe.

    After the final dot that is doubt (RFC 1047); before it the letter was
    certainly not accepted. Before any letter's own phase the relay is at fault.
    """
    if phase is Phase.DOT:
        return Outcome(verdict=Verdict.IN_DOUBT, fault=Fault.NONE, phase=phase, reason=reason, text=text)
    before_letters = phase in BEFORE_LETTERS
    return Outcome(
        verdict=Verdict.DEFERRED,
        fault=Fault.RELAY if before_letters else Fault.LANE,
        phase=phase,
        reason=reason,
        text=text,
        retry_after=HOST_PAUSE if before_letters and retry_after is None else retry_after,
    )


def decided_here(
    verdict: Verdict, fault: Fault, reason: Reason, *, text: str = "", retry_after: float | None = None
) -> Outcome:
    """An outcome that no server gave: the letter was not offered, or its body was held back."""
    return Outcome(
        verdict=verdict, fault=fault, phase=Phase.MAIL, reason=reason, text=text, retry_after=retry_after
    )
