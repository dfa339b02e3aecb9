"""What became of a letter, and what a reply means: one pure table.

`judge` sees a phase, a code, an enhanced code and a text, and says whose turn
it is. It never sees a letter and remembers nothing; retries, lanes and
suppression are decided by others, from the outcome's words.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from mailer.smtp.phrases import Phrase, wait_asked_for
from mailer.smtp.reply import hide_addresses, keepable

HOST_PAUSE = 300.0  # seconds a relay that refused or failed is left alone
RELAY_PAUSE = 600.0  # seconds after a refused login or a used-up quota
GREYLIST_WAIT = 300.0  # the least wait of a greylisted letter
_DEFERRED_BY_COMPLAINTS = 7200.0  # Yahoo's TSS04 stops the lane for two hours


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
    """The typed word for why; texts for people are made elsewhere from it. Journals keep their order: append."""

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


_Ruling = tuple[Verdict, Fault, Reason, float | None]

_NOT_A_LETTERS_PHASE = frozenset({Phase.CONNECT, Phase.TLS, Phase.GREETING, Phase.AUTH})
_RECIPIENT_PHASES = frozenset({Phase.RCPT, Phase.DATA, Phase.DOT})
_NO_MAIL_HERE = frozenset({521, 551, 556})
_LOGIN_CODES = frozenset({530, 534, 535, 538})
# Subject and detail of the enhanced code; its class is the basic code's.
_ADDRESS_DETAILS = frozenset({"1.1", "1.2", "1.3", "1.6", "1.10"})
_SENDER_DETAILS = frozenset({"1.7", "1.8"})
_VAGUE_DETAILS = frozenset({"", "0.0", "5.0"})  # and all of subjects 1, 2 and 4
_AUTHENTICATION_DETAILS = frozenset(
    {"7.20", "7.21", "7.22", "7.23", "7.24", "7.25", "7.26", "7.27", "7.29", "7.30", "7.31", "7.32", "7.40"}
)


def judge(phase: Phase, code: int, enhanced: str | None, text: str, *, recipient: str = "") -> Outcome:
    """What a reply means for the letter in its phase (RFC 5321 4.2, RFC 3463).

    Total: every code in every phase has an answer. `text` is the raw text of
    the reply; `recipient` only serves to see whether the text names it, and to
    take it out of what is kept.
    """
    if phase is Phase.DOT and 200 <= code <= 299:
        ruling: _Ruling = (Verdict.SENT, Fault.NONE, Reason.ACCEPTED, None)
    else:
        ruling = _rule(phase, code, enhanced, text, recipient)
    verdict, fault, reason, retry_after = ruling
    return Outcome(
        verdict=verdict,
        fault=fault,
        phase=phase,
        reason=reason,
        code=code,
        enhanced=enhanced,
        text=keepable(text, recipient),
        retry_after=retry_after,
    )


def unanswered(phase: Phase, reason: Reason, *, text: str = "", retry_after: float | None = None) -> Outcome:
    """The outcome of a letter that got no reply it can believe.

    After the final dot that is doubt (RFC 1047); before it the letter was
    certainly not accepted. Before any letter's own phase the relay is at fault.
    """
    if phase is Phase.DOT:
        return Outcome(verdict=Verdict.IN_DOUBT, fault=Fault.NONE, phase=phase, reason=reason, text=text)
    before_letters = phase in _NOT_A_LETTERS_PHASE or phase is Phase.EHLO
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


def _rule(phase: Phase, code: int, enhanced: str | None, text: str, recipient: str) -> _Ruling:
    words = hide_addresses(text)
    detail = enhanced.partition(".")[2] if enhanced else ""
    if code == 421:
        return _closing(phase, words)
    if not 400 <= code <= 599:
        odd = unanswered(phase, Reason.PROTOCOL)  # no reply to this command: nothing can be read from it
        return odd.verdict, odd.fault, odd.reason, odd.retry_after
    if phase in _NOT_A_LETTERS_PHASE:
        return _refused_before_letters(phase, words)
    if code < 500:
        return _temporary(phase, code, detail, words)
    return _permanent(phase, code, detail, words, text, recipient)


def _closing(phase: Phase, words: str) -> _Ruling:
    """421: the server hangs up. Nothing was accepted, even after the dot, and no recipient is to blame."""
    before_letters = phase in _NOT_A_LETTERS_PHASE or phase is Phase.EHLO
    fault = Fault.RELAY if before_letters else Fault.LANE
    if "tss04" in words.lower():
        return Verdict.DEFERRED, fault, Reason.THROTTLED, _DEFERRED_BY_COMPLAINTS
    reason = Reason.THROTTLED if Phrase.THROTTLED.said_in(words) else Reason.CLOSING
    return Verdict.DEFERRED, fault, reason, wait_asked_for(words) or (HOST_PAUSE if before_letters else None)


def _refused_before_letters(phase: Phase, words: str) -> _Ruling:
    if phase is Phase.AUTH:
        return Verdict.DEFERRED, Fault.RELAY, Reason.AUTH, RELAY_PAUSE
    reason = Reason.NO_TLS if phase is Phase.TLS else Reason.REFUSED
    return Verdict.DEFERRED, Fault.RELAY, reason, wait_asked_for(words) or HOST_PAUSE


def _temporary(phase: Phase, code: int, detail: str, words: str) -> _Ruling:
    """4xx once letters flow: always deferred; the question is only who waits, and how long."""
    deferred, asked = Verdict.DEFERRED, wait_asked_for(words)
    if (
        code == 454
    ):  # throttling and quota at SES, a relay that cannot check a login, a relay that will not relay
        reason = Reason.RELAY_DENIED if Phrase.RELAY_DENIED.said_in(words) else Reason.THROTTLED
        return deferred, Fault.RELAY, reason, min(asked or RELAY_PAUSE, RELAY_PAUSE)
    if phase is Phase.EHLO:
        return deferred, Fault.RELAY, Reason.TEMPORARY, asked or HOST_PAUSE
    if detail in _SENDER_DETAILS or Phrase.SENDER.said_in(words):
        return deferred, Fault.SENDER, Reason.SENDER, asked
    if detail in _AUTHENTICATION_DETAILS:
        return deferred, Fault.SENDER, Reason.AUTHENTICATION, asked
    if detail == "5.3":
        return deferred, Fault.NONE, Reason.TOO_MANY_RECIPIENTS, 0.0
    if detail == "2.2" or Phrase.FULL.said_in(words):
        return deferred, Fault.RECIPIENT, Reason.MAILBOX_FULL, asked
    if Phrase.THROTTLED.said_in(words) or detail == "7.28":
        return deferred, Fault.LANE, Reason.THROTTLED, asked
    if Phrase.GREYLISTED.said_in(words):
        return deferred, Fault.NONE, Reason.GREYLISTED, max(asked or 0.0, GREYLIST_WAIT)
    if Phrase.BLOCKED.said_in(words):
        return deferred, Fault.SENDER, Reason.BLOCKED, asked
    if detail == "7.1":
        return deferred, Fault.NONE, Reason.GREYLISTED, max(asked or 0.0, GREYLIST_WAIT)
    if detail.startswith("7."):
        return deferred, Fault.LANE, Reason.THROTTLED, asked
    return deferred, Fault.RECIPIENT if phase is Phase.RCPT else Fault.LANE, Reason.TEMPORARY, asked


def _permanent(phase: Phase, code: int, detail: str, words: str, text: str, recipient: str) -> _Ruling:
    """5xx once letters flow. The relay's and the sender's faults are looked for first: they cost no subscriber."""
    deferred, failed = Verdict.DEFERRED, Verdict.FAILED
    if code in _LOGIN_CODES or Phrase.LOGIN_FIRST.said_in(words):
        reason = Reason.NO_TLS if Phrase.TLS_FIRST.said_in(words) else Reason.AUTH
        return deferred, Fault.RELAY, reason, RELAY_PAUSE
    if Phrase.RELAY_DENIED.said_in(words):
        return deferred, Fault.RELAY, Reason.RELAY_DENIED, RELAY_PAUSE
    if detail in _SENDER_DETAILS or Phrase.SENDER.said_in(words):
        return deferred, Fault.SENDER, Reason.SENDER, None
    if phase is Phase.EHLO:
        reason = Reason.BLOCKED if detail.startswith("7.") else Reason.REFUSED
        return deferred, Fault.SENDER, reason, HOST_PAUSE
    if detail == "6.7":
        return failed, Fault.NONE, Reason.EAI, None
    if detail == "3.4" or Phrase.TOO_BIG.said_in(words):
        return deferred, Fault.SENDER, Reason.TOO_BIG, None
    about_recipient = phase in _RECIPIENT_PHASES
    if about_recipient and Phrase.NO_SUCH_USER.said_in(words) and _leaves_word_to_text(detail):
        return failed, Fault.RECIPIENT, Reason.ADDRESS, None
    if about_recipient and (detail == "2.2" or Phrase.FULL.said_in(words)):
        return failed, Fault.RECIPIENT, Reason.MAILBOX_FULL, None
    if detail.startswith("7.") or Phrase.BLOCKED.said_in(words):
        return failed, Fault.SENDER, Reason.BLOCKED, None
    if about_recipient and _names_a_dead_address(code, detail, text, recipient):
        return failed, Fault.RECIPIENT, Reason.ADDRESS, None
    if about_recipient and (detail == "2.1" or Phrase.DISABLED.said_in(words)):
        return failed, Fault.RECIPIENT, Reason.DISABLED, None
    if about_recipient and code == 552:
        return failed, Fault.RECIPIENT, Reason.MAILBOX_FULL, None
    if phase is Phase.RCPT:
        return failed, Fault.RECIPIENT, Reason.REFUSED, None
    return deferred, Fault.SENDER, Reason.REFUSED, None


def _leaves_word_to_text(detail: str) -> bool:
    """True when "no such user" beats the enhanced code beside it; policy codes are about the sender."""
    return detail in _VAGUE_DETAILS or detail.startswith(("1.", "2.", "4."))


def _names_a_dead_address(code: int, detail: str, text: str, recipient: str) -> bool:
    if detail in _ADDRESS_DETAILS or code in _NO_MAIL_HERE:
        return True
    names_it = bool(recipient) and recipient.casefold() in text.casefold()
    return code in (550, 553) and detail == "1.0" and names_it
