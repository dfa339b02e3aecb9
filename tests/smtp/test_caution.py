"""How lanes react: what slows them, what closes them, what one reply may decide, and what it may not."""

from datetime import UTC, datetime, timedelta

import pytest

from mailer.smtp.caution import (
    FOREVER,
    MANY_SITES,
    RELAY,
    SITE,
    STAFF,
    Alarm,
    Caution,
    Trust,
    after,
    rested,
)
from mailer.smtp.judge import judge
from mailer.smtp.outcome import (
    Fault,
    Outcome,
    Phase,
    Reason,
    Verdict,
    decided_here,
    unanswered,
)

NOON = datetime(2024, 2, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

SENT = judge(Phase.DOT, 250, "2.0.0", "ok")
HANGS_UP = judge(Phase.MAIL, 421, None, "closing")
THROTTLED = judge(Phase.MAIL, 451, "4.7.28", "rate limited")
BLOCKED = judge(Phase.DOT, 550, "5.7.1", "listed at a blocklist")
SENDER = judge(Phase.MAIL, 550, None, "no")
NO_SUCH_USER = judge(Phase.RCPT, 550, "5.1.1", "no such user")
GREYLISTED = judge(Phase.RCPT, 450, "4.7.1", "greylisted, try again in 5 minutes")
TEMPORARY = judge(Phase.DATA, 451, "4.3.0", "local problem")


def react(*outcomes: Outcome, start: Caution | None = None, trust: Trust = SITE) -> Caution:
    return after(start or Caution(), outcomes, NOON, trust=trust).caution


@pytest.mark.parametrize("outcome", [HANGS_UP, THROTTLED])
def test_a_site_that_asks_for_patience_is_slowed_and_rests(outcome: Outcome) -> None:
    caution = react(outcome)
    assert caution.slowness == 2
    assert caution.closed_until == NOON + MINUTE
    assert caution.closed_why == "throttled"


def test_what_was_in_flight_does_not_slow_it_again() -> None:
    assert react(*[THROTTLED] * 50).slowness == 2
    assert react(*[THROTTLED] * 50) == react(THROTTLED, start=react(THROTTLED))


def test_each_further_time_it_is_twice_as_slow_and_rests_twice_as_long_down_to_the_slowest() -> None:
    caution, now = Caution(), NOON
    seen = []
    for _ in range(8):
        caution = after(caution, [THROTTLED], now, trust=SITE).caution
        assert caution.closed_until is not None
        seen.append((caution.slowness, (caution.closed_until - now) // MINUTE))
        now = caution.closed_until
    assert seen == [(2, 1), (4, 2), (8, 4), (16, 8), (32, 16), (64, 32), (64, 32), (64, 32)]


def test_slowness_is_halved_for_each_clean_half_hour() -> None:
    caution = Caution(slowness=8, closed_until=NOON)
    minutes = (0, 29, 31, 61, 91, 1_000)
    assert [caution.slowness_at(NOON + MINUTE * one) for one in minutes] == [8, 8, 4, 2, 1, 1]


def test_a_server_says_for_how_long() -> None:
    asked = judge(Phase.MAIL, 451, "4.7.28", "rate limited, try again in 20 minutes")
    assert react(asked).closed_until == NOON + 20 * MINUTE
    complaints = judge(Phase.MAIL, 421, "4.7.0", "[TSS04] deferred due to user complaints")
    assert react(complaints).closed_until == NOON + 120 * MINUTE


def test_an_unusual_rate_becomes_ten_a_minute() -> None:
    caution = react(judge(Phase.DATA, 421, "4.7.28", "an unusual rate of unsolicited mail from your address"))
    assert caution.slowness == 64
    assert caution.slowness_at(NOON + 30 * MINUTE) == 64
    assert caution.slowness_at(NOON + 32 * MINUTE) == 32


def test_a_block_closes_the_lane_until_a_person_opens_it() -> None:
    change = after(Caution(), [SENT, BLOCKED, SENT], NOON, trust=SITE)
    assert change.alarm is Alarm.BLOCKED
    assert change.told_by is BLOCKED
    assert change.caution.closed_until == FOREVER
    assert react(SENT, THROTTLED, SENDER, start=change.caution).closed_until == FOREVER


def test_five_senders_faults_in_a_row_open_the_breaker() -> None:
    assert not react(*[SENDER] * 4).is_closed(NOON)
    assert not react(*[SENDER] * 4, SENT, *[SENDER] * 4).is_closed(NOON)
    change = after(react(*[SENDER] * 3), [SENDER, SENDER], NOON, trust=SITE)
    assert change.alarm is Alarm.BREAKER
    assert change.caution.is_closed(NOON + 29 * MINUTE)
    assert not change.caution.is_closed(NOON + 30 * MINUTE)


def test_after_the_breaker_one_mail_decides() -> None:
    opened = react(*[SENDER] * 5)
    later = NOON + 31 * MINUTE
    assert opened.slowness_at(later) == 64  # so that it is one mail and not a slice
    again = after(opened, [SENDER], later, trust=SITE)
    assert again.caution.closed_until == later + 30 * MINUTE
    well = after(opened, [SENT], later, trust=SITE)
    assert well.all_clear
    assert well.caution == Caution()
    assert react(SENT, start=opened) == opened  # it was in flight when the breaker opened


@pytest.mark.parametrize(
    "outcome",
    [
        NO_SUCH_USER,
        GREYLISTED,
        unanswered(Phase.DATA, Reason.LOST),
        unanswered(Phase.CONNECT, Reason.CONNECT),
        decided_here(Verdict.FAILED, Fault.SENDER, Reason.RENDER),
        decided_here(Verdict.DEFERRED, Fault.NONE, Reason.STOPPED),
    ],
)
def test_what_is_not_about_the_lane_does_nothing(outcome: Outcome) -> None:
    assert react(*[outcome] * 100) == Caution()


def test_what_no_server_was_asked_does_not_end_a_row() -> None:
    assert react(*[SENDER, NO_SUCH_USER, GREYLISTED] * 5).is_closed(NOON)


def test_plain_failures_rest_a_lane_and_leave_its_pace() -> None:
    assert react(*[TEMPORARY] * 4).closed_until is None
    caution = react(*[TEMPORARY] * 5)
    assert caution.closed_until == NOON + MINUTE
    assert caution.slowness == 1


@pytest.mark.parametrize(
    ("trust", "outcome", "needed"),
    [
        (MANY_SITES, THROTTLED, 5),
        (MANY_SITES, BLOCKED, 10),
        (RELAY, THROTTLED, 1),
        (RELAY, BLOCKED, 10),
    ],
)
def test_one_small_domain_does_not_speak_for_all(trust: Trust, outcome: Outcome, needed: int) -> None:
    assert not react(*[outcome] * (needed - 1), trust=trust).is_closed(NOON)
    assert react(*[outcome] * needed, trust=trust).is_closed(NOON)


def test_a_connection_that_closes_on_eight_letters_closed_once() -> None:
    caution = Caution()
    for _ in range(4):
        caution = react(*[HANGS_UP] * 8, start=caution, trust=RELAY)
    assert (caution.faults, caution.slowness) == (4, 1)
    assert react(*[HANGS_UP] * 8, start=caution, trust=RELAY).slowness == 2
    assert react(SENT, start=caution, trust=RELAY) == Caution()


def test_a_refused_login_rests_as_long_as_the_table_says() -> None:
    refused = judge(Phase.AUTH, 535, "5.7.8", "no")
    caution = rested(Caution(), refused, NOON)
    assert caution.closed_until == NOON + 10 * MINUTE
    assert caution.closed_why == "auth"


def test_a_silent_relay_is_tried_again_soon_and_then_less_often() -> None:
    silent = unanswered(Phase.CONNECT, Reason.CONNECT)
    caution, now = Caution(), NOON
    rests = []
    for _ in range(8):
        caution = rested(caution, silent, now)
        assert caution == rested(caution, silent, now)  # the other workers saw the same
        assert caution.closed_until is not None
        rests.append((caution.closed_until - now).total_seconds())
        now = caution.closed_until
    assert rests == [5, 10, 20, 40, 80, 160, 300, 300]


def test_what_staff_closed_is_not_opened_by_a_rest() -> None:
    closed = Caution(closed_until=NOON + MINUTE, closed_why=STAFF)
    assert rested(closed, judge(Phase.AUTH, 535, None, "no"), NOON) == closed
