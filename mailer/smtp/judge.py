"""What a reply means: a pure table of phase, code, enhanced code and words.

It never sees a letter and remembers nothing. Every code in every phase has an
answer; a recipient is only ever charged where the reply is about the address.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mailer.smtp.outcome import BEFORE_LETTERS, HOST_PAUSE, Fault, Outcome, Phase, Reason, Verdict, unanswered
from mailer.smtp.phrases import Phrase, wait_asked_for
from mailer.smtp.reply import hide_addresses, keepable

RELAY_PAUSE = 600.0  # seconds after a refused login or a used-up quota
GREYLIST_WAIT = 300.0  # the least wait of a greylisted letter
_STOPPED_BY_COMPLAINTS = 7200.0  # Yahoo's TSS04 stops the lane for two hours
_Ruling = tuple[Verdict, Fault, Reason, float | None]

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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Said:
    """A reply, as the table's rows ask about it."""

    phase: Phase
    code: int
    detail: str
    """Subject and detail of the enhanced code; its class is the basic code's, which always wins."""
    words: str
    names_recipient: bool

    def says(self, phrase: Phrase) -> bool:
        return phrase.said_in(self.words)

    @property
    def asked(self) -> float | None:
        return wait_asked_for(self.words)

    @property
    def about_recipient(self) -> bool:
        return self.phase in _RECIPIENT_PHASES


_Row = Callable[[_Said], _Ruling]
_Table = tuple[tuple[Callable[[_Said], bool], _Row], ...]


def _rule(phase: Phase, code: int, enhanced: str | None, text: str, recipient: str) -> _Ruling:
    words = hide_addresses(text)
    if code == 421:
        return _closing(phase, words)
    if not 400 <= code <= 599:
        odd = unanswered(phase, Reason.PROTOCOL)  # no reply to this command: nothing can be read from it
        return odd.verdict, odd.fault, odd.reason, odd.retry_after
    if phase in BEFORE_LETTERS and phase is not Phase.EHLO:
        return _refused_before_letters(phase, words)
    said = _Said(
        phase=phase,
        code=code,
        detail=enhanced.partition(".")[2] if enhanced else "",
        words=words,
        names_recipient=bool(recipient) and recipient.casefold() in text.casefold(),
    )
    table = _TEMPORARY if code < 500 else _PERMANENT
    return next(ruling(said) for applies, ruling in table if applies(said))


def _closing(phase: Phase, words: str) -> _Ruling:
    """421: the server hangs up. Nothing was accepted, even after the dot, and no recipient is to blame."""
    before_letters = phase in BEFORE_LETTERS
    fault = Fault.RELAY if before_letters else Fault.LANE
    if "tss04" in words.lower():
        return Verdict.DEFERRED, fault, Reason.THROTTLED, _STOPPED_BY_COMPLAINTS
    reason = Reason.THROTTLED if Phrase.THROTTLED.said_in(words) else Reason.CLOSING
    return Verdict.DEFERRED, fault, reason, wait_asked_for(words) or (HOST_PAUSE if before_letters else None)


def _refused_before_letters(phase: Phase, words: str) -> _Ruling:
    if phase is Phase.AUTH:
        return Verdict.DEFERRED, Fault.RELAY, Reason.AUTH, RELAY_PAUSE
    reason = Reason.NO_TLS if phase is Phase.TLS else Reason.REFUSED
    return Verdict.DEFERRED, Fault.RELAY, reason, wait_asked_for(words) or HOST_PAUSE


def _leaves_word_to_text(detail: str) -> bool:
    """True when "no such user" beats the enhanced code beside it; policy codes are about the sender."""
    return detail in _VAGUE_DETAILS or detail.startswith(("1.", "2.", "4."))


def _names_a_dead_address(said: _Said) -> bool:
    if said.detail in _ADDRESS_DETAILS or said.code in _NO_MAIL_HERE:
        return True
    return said.code in (550, 553) and said.detail == "1.0" and said.names_recipient


def _is_about_sender(said: _Said) -> bool:
    return said.detail in _SENDER_DETAILS or said.says(Phrase.SENDER)


def _later(fault: Fault, reason: Reason) -> _Row:
    return lambda said: (Verdict.DEFERRED, fault, reason, said.asked)


def _greylisted(said: _Said) -> _Ruling:
    return Verdict.DEFERRED, Fault.NONE, Reason.GREYLISTED, max(said.asked or 0.0, GREYLIST_WAIT)


def _relay_pause(reason: Reason) -> _Row:
    return lambda said: (Verdict.DEFERRED, Fault.RELAY, reason, min(said.asked or RELAY_PAUSE, RELAY_PAUSE))


def _always(verdict: Verdict, fault: Fault, reason: Reason, retry_after: float | None = None) -> _Row:
    ruling = (verdict, fault, reason, retry_after)
    return lambda _: ruling


# 4xx once letters flow: always deferred; the question is only who waits, and how long. First row wins.
# 454 is throttling or a used-up quota at SES, and Postfix's way to refuse to relay for now.
_TEMPORARY: _Table = (
    (lambda s: s.code == 454 and s.says(Phrase.RELAY_DENIED), _relay_pause(Reason.RELAY_DENIED)),
    (lambda s: s.code == 454, _relay_pause(Reason.THROTTLED)),
    (
        lambda s: s.phase is Phase.EHLO,
        lambda s: (Verdict.DEFERRED, Fault.RELAY, Reason.TEMPORARY, s.asked or HOST_PAUSE),
    ),
    (_is_about_sender, _later(Fault.SENDER, Reason.SENDER)),
    (lambda s: s.detail in _AUTHENTICATION_DETAILS, _later(Fault.SENDER, Reason.AUTHENTICATION)),
    (lambda s: s.detail == "5.3", _always(Verdict.DEFERRED, Fault.NONE, Reason.TOO_MANY_RECIPIENTS, 0.0)),
    (lambda s: s.detail == "2.2" or s.says(Phrase.FULL), _later(Fault.RECIPIENT, Reason.MAILBOX_FULL)),
    (lambda s: s.detail == "7.28" or s.says(Phrase.THROTTLED), _later(Fault.LANE, Reason.THROTTLED)),
    (lambda s: s.says(Phrase.GREYLISTED), _greylisted),
    (lambda s: s.says(Phrase.BLOCKED), _later(Fault.SENDER, Reason.BLOCKED)),
    (lambda s: s.detail == "7.1", _greylisted),
    (lambda s: s.detail.startswith("7."), _later(Fault.LANE, Reason.THROTTLED)),
    (lambda s: s.phase is Phase.RCPT, _later(Fault.RECIPIENT, Reason.TEMPORARY)),
    (lambda s: True, _later(Fault.LANE, Reason.TEMPORARY)),
)

# 5xx once letters flow. The relay's and the sender's faults come first: they cost no subscriber.
_PERMANENT: _Table = (
    (lambda s: s.code in _LOGIN_CODES and s.says(Phrase.TLS_FIRST), _relay_pause(Reason.NO_TLS)),
    (lambda s: s.code in _LOGIN_CODES or s.says(Phrase.LOGIN_FIRST), _relay_pause(Reason.AUTH)),
    (lambda s: s.says(Phrase.RELAY_DENIED), _relay_pause(Reason.RELAY_DENIED)),
    (_is_about_sender, _always(Verdict.DEFERRED, Fault.SENDER, Reason.SENDER)),
    (
        lambda s: s.phase is Phase.EHLO,
        _always(Verdict.DEFERRED, Fault.SENDER, Reason.REFUSED, HOST_PAUSE),
    ),
    (lambda s: s.detail == "6.7", _always(Verdict.FAILED, Fault.NONE, Reason.EAI)),
    (
        lambda s: s.detail == "3.4" or s.says(Phrase.TOO_BIG),
        _always(Verdict.DEFERRED, Fault.SENDER, Reason.TOO_BIG),
    ),
    (
        lambda s: s.about_recipient and s.says(Phrase.NO_SUCH_USER) and _leaves_word_to_text(s.detail),
        _always(Verdict.FAILED, Fault.RECIPIENT, Reason.ADDRESS),
    ),
    (
        lambda s: s.about_recipient and (s.detail == "2.2" or s.says(Phrase.FULL)),
        _always(Verdict.FAILED, Fault.RECIPIENT, Reason.MAILBOX_FULL),
    ),
    (
        lambda s: s.detail.startswith("7.") or s.says(Phrase.BLOCKED),
        _always(Verdict.FAILED, Fault.SENDER, Reason.BLOCKED),
    ),
    (
        lambda s: s.about_recipient and _names_a_dead_address(s),
        _always(Verdict.FAILED, Fault.RECIPIENT, Reason.ADDRESS),
    ),
    (
        lambda s: s.about_recipient and (s.detail == "2.1" or s.says(Phrase.DISABLED)),
        _always(Verdict.FAILED, Fault.RECIPIENT, Reason.DISABLED),
    ),
    (
        lambda s: s.about_recipient and s.code == 552,
        _always(Verdict.FAILED, Fault.RECIPIENT, Reason.MAILBOX_FULL),
    ),
    (lambda s: s.phase is Phase.RCPT, _always(Verdict.FAILED, Fault.RECIPIENT, Reason.REFUSED)),
    (lambda s: True, _always(Verdict.DEFERRED, Fault.SENDER, Reason.REFUSED)),
)
