"""What a site is asked for grows with what it takes, and is halved when it asks for patience."""

from mailer.smtp.manners import Manners, SiteManners
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict, unanswered

SENT = Outcome(verdict=Verdict.SENT, fault=Fault.NONE, phase=Phase.DOT, reason=Reason.ACCEPTED, code=250)
GONE = Outcome(
    verdict=Verdict.FAILED, fault=Fault.RECIPIENT, phase=Phase.RCPT, reason=Reason.ADDRESS, code=550
)
CLOSING = Outcome(
    verdict=Verdict.DEFERRED, fault=Fault.LANE, phase=Phase.MAIL, reason=Reason.CLOSING, code=421
)
SLOWER = Outcome(
    verdict=Verdict.DEFERRED,
    fault=Fault.LANE,
    phase=Phase.RCPT,
    reason=Reason.THROTTLED,
    code=450,
    enhanced="4.7.28",
)


def hear(manners: Manners, outcome: Outcome, times: int = 1) -> bool:
    return [manners.heard(outcome) for _ in range(times)][-1]


def test_each_clean_round_earns_one_connection_up_to_the_limit() -> None:
    manners = SiteManners(connections=4, letters=None)
    seen = [manners.allowed]
    for _ in range(200):
        if manners.heard(SENT):
            seen.append(manners.allowed)
    assert seen == [2, 3, 4]


def test_a_site_that_allows_one_gets_one() -> None:
    manners = SiteManners(connections=1, letters=None)
    hear(manners, SENT, 500)
    assert manners.allowed == 1


def test_asking_for_patience_halves_the_connections_and_the_trust() -> None:
    for asked in (CLOSING, SLOWER):
        manners = SiteManners(connections=10, letters=None)
        hear(manners, SENT, 1000)
        assert (manners.allowed, manners.depth) == (10, 4)
        assert manners.heard(asked)
        assert (manners.allowed, manners.depth) == (5, 1)
        hear(manners, asked, 9)
        assert manners.allowed == 1


def test_several_are_in_flight_only_after_fifty_clean_letters() -> None:
    manners = SiteManners(connections=10, letters=None)
    hear(manners, SENT, 49)
    assert manners.depth == 1
    hear(manners, SENT)
    assert manners.depth == 4


def test_refused_recipients_and_silence_earn_and_cost_nothing() -> None:
    manners = SiteManners(connections=10, letters=None)
    assert not hear(manners, GONE, 500)
    assert not hear(manners, unanswered(Phase.DOT, Reason.LOST), 500)
    assert (manners.allowed, manners.depth) == (2, 1)


def test_a_relay_is_asked_for_what_its_owner_said() -> None:
    manners = Manners(connections=3, depth=8)
    assert not hear(manners, CLOSING, 5)
    assert (manners.allowed, manners.depth, manners.room) == (3, 8, 3)
