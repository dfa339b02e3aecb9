"""What replies mean: the table, row by row, and what holds for every reply there could be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.smtp.judge import judge
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict, unanswered

SENT, DEFERRED, FAILED, IN_DOUBT = Verdict.SENT, Verdict.DEFERRED, Verdict.FAILED, Verdict.IN_DOUBT
NONE, RECIPIENT, SENDER, LANE, RELAY = Fault.NONE, Fault.RECIPIENT, Fault.SENDER, Fault.LANE, Fault.RELAY
CONNECT, TLS, GREETING, EHLO, AUTH = Phase.CONNECT, Phase.TLS, Phase.GREETING, Phase.EHLO, Phase.AUTH
MAIL, RCPT, DATA, DOT = Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT

# phase, code, enhanced, text -> verdict, fault, reason, retry after
ROWS = [
    # accepted
    (DOT, 250, "2.0.0", "Ok: queued as 4F3", SENT, NONE, Reason.ACCEPTED, None),
    (DOT, 250, None, "", SENT, NONE, Reason.ACCEPTED, None),
    (DOT, 251, None, "will forward", SENT, NONE, Reason.ACCEPTED, None),
    # 421 anywhere
    (MAIL, 421, None, "", DEFERRED, LANE, Reason.CLOSING, None),
    (RCPT, 421, "4.3.2", "shutting down", DEFERRED, LANE, Reason.CLOSING, None),
    (DATA, 421, None, "bye", DEFERRED, LANE, Reason.CLOSING, None),
    (DOT, 421, "4.4.2", "timeout", DEFERRED, LANE, Reason.CLOSING, None),
    (DOT, 421, "2.0.0", "contradiction", DEFERRED, LANE, Reason.CLOSING, None),
    (GREETING, 421, None, "too busy", DEFERRED, RELAY, Reason.CLOSING, 300),
    (EHLO, 421, None, "", DEFERRED, RELAY, Reason.CLOSING, 300),
    (MAIL, 421, "4.7.28", "unusual rate of mail", DEFERRED, LANE, Reason.THROTTLED, None),
    (MAIL, 421, "4.7.0", "[TSS04] Messages temporarily deferred", DEFERRED, LANE, Reason.THROTTLED, 7200),
    (MAIL, 421, "4.7.0", "try again in 10 minutes", DEFERRED, LANE, Reason.CLOSING, 600),
    # temporary, at the recipient
    (RCPT, 450, None, "mailbox busy", DEFERRED, RECIPIENT, Reason.TEMPORARY, None),
    (RCPT, 450, "4.2.0", "", DEFERRED, RECIPIENT, Reason.TEMPORARY, None),
    (RCPT, 451, None, "local error", DEFERRED, RECIPIENT, Reason.TEMPORARY, None),
    (RCPT, 452, None, "", DEFERRED, RECIPIENT, Reason.TEMPORARY, None),
    (RCPT, 452, "4.5.3", "too many recipients", DEFERRED, NONE, Reason.TOO_MANY_RECIPIENTS, 0),
    (RCPT, 452, "4.2.2", "over quota", DEFERRED, RECIPIENT, Reason.MAILBOX_FULL, None),
    (DOT, 452, "4.2.2", "mailbox full", DEFERRED, RECIPIENT, Reason.MAILBOX_FULL, None),
    (RCPT, 450, None, "the mailbox is full", DEFERRED, RECIPIENT, Reason.MAILBOX_FULL, None),
    # greylisting and waits
    (RCPT, 450, "4.2.0", "Greylisted, see http://x.example", DEFERRED, NONE, Reason.GREYLISTED, 300),
    (RCPT, 451, "4.7.1", "please come again", DEFERRED, NONE, Reason.GREYLISTED, 300),
    (RCPT, 450, "4.7.1", "greylisted for 900 seconds", DEFERRED, NONE, Reason.GREYLISTED, 900),
    (RCPT, 451, None, "try again in 20 minutes", DEFERRED, NONE, Reason.GREYLISTED, 1200),
    (RCPT, 451, None, "try again in 5 s", DEFERRED, NONE, Reason.GREYLISTED, 300),
    (RCPT, 451, None, "graylisting: come back in 00:10:30", DEFERRED, NONE, Reason.GREYLISTED, 630),
    (RCPT, 451, None, "greylisted, retry after 999999 hours", DEFERRED, NONE, Reason.GREYLISTED, 14400),
    # rates
    (DOT, 450, "4.7.28", "", DEFERRED, LANE, Reason.THROTTLED, None),
    (RCPT, 451, "4.7.0", "", DEFERRED, LANE, Reason.THROTTLED, None),
    (MAIL, 452, None, "too many connections from your network", DEFERRED, LANE, Reason.THROTTLED, None),
    (MAIL, 450, None, "rate limit exceeded", DEFERRED, LANE, Reason.THROTTLED, None),
    (DOT, 451, "4.7.1", "sending rate exceeded", DEFERRED, LANE, Reason.THROTTLED, None),
    # temporary, elsewhere
    (MAIL, 451, "4.3.0", "queue full", DEFERRED, LANE, Reason.TEMPORARY, None),
    (DATA, 452, "4.3.1", "insufficient system resources", DEFERRED, LANE, Reason.TEMPORARY, None),
    (DOT, 451, "4.3.0", "", DEFERRED, LANE, Reason.TEMPORARY, None),
    (EHLO, 450, None, "", DEFERRED, RELAY, Reason.TEMPORARY, 300),
    # the relay's own
    (MAIL, 454, None, "Throttling failure: Maximum sending rate", DEFERRED, RELAY, Reason.THROTTLED, 600),
    (DOT, 454, "4.7.0", "Daily message quota exceeded", DEFERRED, RELAY, Reason.THROTTLED, 600),
    (DOT, 454, None, "try again in 1 hour", DEFERRED, RELAY, Reason.THROTTLED, 600),
    (RCPT, 454, "4.7.1", "Relay access denied", DEFERRED, RELAY, Reason.RELAY_DENIED, 600),
    (MAIL, 530, "5.7.0", "Authentication required", DEFERRED, RELAY, Reason.AUTH, 600),
    (MAIL, 530, "5.7.0", "Must issue a STARTTLS command first", DEFERRED, RELAY, Reason.NO_TLS, 600),
    (RCPT, 535, None, "", DEFERRED, RELAY, Reason.AUTH, 600),
    (MAIL, 538, "5.7.11", "encryption required", DEFERRED, RELAY, Reason.NO_TLS, 600),
    (RCPT, 550, "5.7.1", "Relaying denied", DEFERRED, RELAY, Reason.RELAY_DENIED, 600),
    (RCPT, 554, "5.7.1", "Relay access denied", DEFERRED, RELAY, Reason.RELAY_DENIED, 600),
    (RCPT, 550, "5.7.54", "Unable to relay recipient", DEFERRED, RELAY, Reason.RELAY_DENIED, 600),
    (AUTH, 535, "5.7.8", "bad credentials", DEFERRED, RELAY, Reason.AUTH, 600),
    (AUTH, 454, "4.7.0", "temporary failure", DEFERRED, RELAY, Reason.AUTH, 600),
    (GREETING, 554, "5.7.1", "no SMTP service here", DEFERRED, RELAY, Reason.REFUSED, 300),
    (GREETING, 521, None, "", DEFERRED, RELAY, Reason.REFUSED, 300),
    (TLS, 454, None, "TLS not available", DEFERRED, RELAY, Reason.NO_TLS, 300),
    # the address
    (RCPT, 550, "5.1.1", "User unknown", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 550, "5.1.1", "", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 550, "5.1.2", "", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 501, "5.1.3", "", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 550, "5.1.6", "moved", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 550, "5.1.10", "RecipientNotFound", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 551, None, "not local", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 521, None, "", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 556, "5.1.10", "null MX", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (DOT, 550, "5.1.1", "", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 550, None, "no such user here", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 550, "5.0.0", "the account does not exist", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 554, "5.4.1", "mailbox not found", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 550, "5.2.1", "no such mailbox", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 550, None, "user@spam.example: user unknown", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 553, "5.1.0", "<reader@example.org> is not here", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 550, "5.1.0", "<READER@example.org> rejected", FAILED, RECIPIENT, Reason.ADDRESS, None),
    (RCPT, 550, "5.1.0", "address rejected", FAILED, RECIPIENT, Reason.REFUSED, None),
    # the recipient, without certainty about the address
    (RCPT, 550, None, "", FAILED, RECIPIENT, Reason.REFUSED, None),
    (RCPT, 550, None, "Requested action not taken", FAILED, RECIPIENT, Reason.REFUSED, None),
    (RCPT, 501, "5.5.4", "syntax", FAILED, RECIPIENT, Reason.REFUSED, None),
    (RCPT, 552, None, "", FAILED, RECIPIENT, Reason.MAILBOX_FULL, None),
    (RCPT, 550, "5.2.2", "", FAILED, RECIPIENT, Reason.MAILBOX_FULL, None),
    (DOT, 552, "5.2.2", "quota exceeded", FAILED, RECIPIENT, Reason.MAILBOX_FULL, None),
    (RCPT, 550, None, "the user's mailbox is full", FAILED, RECIPIENT, Reason.MAILBOX_FULL, None),
    (RCPT, 550, "5.2.1", "", FAILED, RECIPIENT, Reason.DISABLED, None),
    (RCPT, 550, None, "this account has been disabled", FAILED, RECIPIENT, Reason.DISABLED, None),
    # the sender
    (RCPT, 550, "5.1.7", "", DEFERRED, SENDER, Reason.SENDER, None),
    (MAIL, 553, "5.1.8", "Domain of sender address not found", DEFERRED, SENDER, Reason.SENDER, None),
    (MAIL, 450, "4.1.8", "", DEFERRED, SENDER, Reason.SENDER, None),
    (RCPT, 554, "5.7.1", "Sender address rejected: not owned", DEFERRED, SENDER, Reason.SENDER, None),
    (DOT, 550, None, "sender rejected", DEFERRED, SENDER, Reason.SENDER, None),
    (RCPT, 450, None, "Sender address rejected", DEFERRED, SENDER, Reason.SENDER, None),
    (MAIL, 550, None, "", DEFERRED, SENDER, Reason.REFUSED, None),
    (MAIL, 550, "5.1.1", "user unknown", DEFERRED, SENDER, Reason.REFUSED, None),
    (DATA, 554, None, "", DEFERRED, SENDER, Reason.REFUSED, None),
    (DOT, 554, None, "Transaction failed", DEFERRED, SENDER, Reason.REFUSED, None),
    (EHLO, 550, "5.7.1", "bad name", DEFERRED, SENDER, Reason.REFUSED, 300),
    (EHLO, 502, None, "not implemented", DEFERRED, SENDER, Reason.REFUSED, 300),
    (MAIL, 552, "5.3.4", "message size exceeds limit", DEFERRED, SENDER, Reason.TOO_BIG, None),
    (DOT, 552, None, "message too large", DEFERRED, SENDER, Reason.TOO_BIG, None),
    (MAIL, 451, "4.7.23", "no PTR", DEFERRED, SENDER, Reason.AUTHENTICATION, None),
    (DOT, 421, "4.7.26", "unauthenticated", DEFERRED, LANE, Reason.CLOSING, None),
    (DOT, 450, "4.7.32", "not aligned", DEFERRED, SENDER, Reason.AUTHENTICATION, None),
    # blocked
    (DOT, 550, "5.7.1", "", FAILED, SENDER, Reason.BLOCKED, None),
    (DOT, 550, "5.7.26", "unauthenticated mail", FAILED, SENDER, Reason.BLOCKED, None),
    (DOT, 550, "5.7.515", "Access denied", FAILED, SENDER, Reason.BLOCKED, None),
    (RCPT, 554, None, "blocked using zen.spamhaus.org", FAILED, SENDER, Reason.BLOCKED, None),
    (DOT, 554, None, "message looks like spam", FAILED, SENDER, Reason.BLOCKED, None),
    (RCPT, 554, None, "bad reputation", FAILED, SENDER, Reason.BLOCKED, None),
    (RCPT, 550, "5.1.1", "rejected by policy", FAILED, SENDER, Reason.BLOCKED, None),
    (MAIL, 554, None, "your network is on our blacklist", FAILED, SENDER, Reason.BLOCKED, None),
    (RCPT, 550, "5.7.1", "user unknown", FAILED, SENDER, Reason.BLOCKED, None),
    (RCPT, 450, None, "blocked for now", DEFERRED, SENDER, Reason.BLOCKED, None),
    # UTF-8 addresses
    (RCPT, 553, "5.6.7", "", FAILED, NONE, Reason.EAI, None),
    (DOT, 550, "5.6.7", "SMTPUTF8 needed", FAILED, NONE, Reason.EAI, None),
    # the code's first digit wins over the enhanced code's
    (RCPT, 450, "5.1.1", "unknown", DEFERRED, RECIPIENT, Reason.TEMPORARY, None),
    (RCPT, 550, "4.2.2", "", FAILED, RECIPIENT, Reason.MAILBOX_FULL, None),
    (DOT, 250, "5.0.0", "", SENT, NONE, Reason.ACCEPTED, None),
    # no answer to the question
    (MAIL, 354, None, "", DEFERRED, LANE, Reason.PROTOCOL, None),
    (DATA, 250, None, "", DEFERRED, LANE, Reason.PROTOCOL, None),
    (DOT, 354, None, "", IN_DOUBT, NONE, Reason.PROTOCOL, None),
    (DOT, 199, None, "", IN_DOUBT, NONE, Reason.PROTOCOL, None),
    (DOT, 600, None, "", IN_DOUBT, NONE, Reason.PROTOCOL, None),
]


@pytest.mark.parametrize(
    ("phase", "code", "enhanced", "text", "verdict", "fault", "reason", "retry_after"),
    ROWS,
    ids=[f"{row[0]}-{row[1]}-{row[2]}-{row[3]}" for row in ROWS],
)
def test_the_table(
    phase: Phase,
    code: int,
    enhanced: str | None,
    text: str,
    verdict: Verdict,
    fault: Fault,
    reason: Reason,
    retry_after: float | None,
) -> None:
    outcome = judge(phase, code, enhanced, text, recipient="reader@example.org")
    assert (outcome.verdict, outcome.fault, outcome.reason) == (verdict, fault, reason)
    assert outcome.retry_after == retry_after
    assert (outcome.phase, outcome.code, outcome.enhanced) == (phase, code, enhanced)


WORDS = "no such user sender rejected mailbox full spam policy try again in 5 minutes relay denied"
REPLIES = {
    "phase": st.sampled_from(Phase),
    "code": st.integers(min_value=0, max_value=999),
    "enhanced": st.none() | st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True),
    "text": st.text(max_size=60) | st.lists(st.sampled_from(WORDS.split()), max_size=8).map(" ".join),
}


def ask(phase: Phase, code: int, enhanced: str | None, text: str) -> Outcome:
    return judge(phase, code, enhanced, text, recipient="reader@example.org")


@given(**REPLIES)
def test_every_reply_has_an_answer_and_only_an_accepted_dot_is_sent(
    phase: Phase, code: int, enhanced: str | None, text: str
) -> None:
    outcome = ask(phase, code, enhanced, text)
    assert (outcome.verdict is Verdict.SENT) == (phase is Phase.DOT and 200 <= code <= 299)
    if outcome.verdict is Verdict.IN_DOUBT:
        assert phase is Phase.DOT
        assert not 400 <= code <= 599


@given(**REPLIES)
def test_a_temporary_code_never_fails_a_letter(
    phase: Phase, code: int, enhanced: str | None, text: str
) -> None:
    outcome = ask(phase, 400 + code % 100, enhanced, text)
    assert outcome.verdict is Verdict.DEFERRED


@given(**REPLIES)
def test_a_handshake_never_fails_a_letter_nor_charges_a_recipient(
    phase: Phase, code: int, enhanced: str | None, text: str
) -> None:
    if phase in (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT):
        phase = Phase.GREETING
    outcome = ask(phase, code, enhanced, text)
    assert outcome.verdict is Verdict.DEFERRED
    assert outcome.fault in (Fault.RELAY, Fault.SENDER)
    assert outcome.retry_after


@given(**REPLIES)
def test_only_a_recipients_phase_charges_a_recipient_for_good(
    phase: Phase, code: int, enhanced: str | None, text: str
) -> None:
    outcome = ask(phase, code, enhanced, text)
    if outcome.verdict is Verdict.FAILED and outcome.fault is Fault.RECIPIENT:
        assert phase in (Phase.RCPT, Phase.DATA, Phase.DOT)


@given(
    code=st.integers(min_value=500, max_value=599), enhanced=st.sampled_from(["5.7.1", "5.7.26", "5.7.999"])
)
def test_a_policy_code_never_charges_the_address(code: int, enhanced: str) -> None:
    for phase in (Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.DOT):
        assert ask(phase, code, enhanced, "no such user").fault is not Fault.RECIPIENT


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("reason", [Reason.LOST, Reason.TIMEOUT, Reason.PROTOCOL])
def test_no_answer_is_doubt_after_the_dot_and_only_there(phase: Phase, reason: Reason) -> None:
    outcome = unanswered(phase, reason)
    assert (outcome.verdict is Verdict.IN_DOUBT) == (phase is Phase.DOT)
    assert outcome.fault is not Fault.RECIPIENT
    assert outcome.code is None


def test_a_reply_that_contradicts_itself_is_marked() -> None:
    assert ask(Phase.RCPT, 450, "5.1.1", "").contradicts_itself
    assert not ask(Phase.RCPT, 550, "5.1.1", "").contradicts_itself
    assert not ask(Phase.RCPT, 550, None, "").contradicts_itself


def test_strikes_are_full_and_disabled_mailboxes_alone() -> None:
    assert ask(Phase.RCPT, 452, "4.2.2", "").is_strike
    assert ask(Phase.RCPT, 550, "5.2.1", "").is_strike
    assert not ask(Phase.RCPT, 550, "5.1.1", "").is_strike
