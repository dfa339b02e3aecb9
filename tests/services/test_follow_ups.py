"""Mails after the end: who was there may be noted late, nobody gets two, nobody is told what is not so."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Symposium
from mailer.services.programme import rules, symposia
from mailer.services.programme.rules import Owner
from mailer.services.registration.attendance import Marked
from mailer.services.sending.claim import claim
from mailer.services.sending.sweep import journal_folder, worker_name
from mailer.smtp.journal import Journal
from mailer.vocabulary import MailingKind, SkipReason
from tests.journeys.conftest import wait_until
from tests.services.symposium_desk import Desk
from tests.services.test_reminder_attacks import printed
from tests.services.test_roll import mark
from tests.services.test_symposia import HOUR, START

MINUTE = timedelta(minutes=1)
END = START + HOUR
DUE = END + 45 * MINUTE
GRACE = 6 * HOUR
THANKS = "came Thank you for taking part"


def approve(desk: Desk) -> None:
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        symposia.approve_follow_up(
            session, desk.house, found, recording_url=None, actor="test", now=desk.hands.now
        )


def note(desk: Desk, *came: str, **more: bool) -> Marked:
    rows = "".join(f"{name}@example.org\n" for name in came)
    return mark(desk.house, desk.hands, desk.symposium, f"email\n{rows}", **more)


def held(desk: Desk, *rules_: str) -> None:
    """Two attendees, and the rules after the end; approved when it is over."""
    for name in ("came", "other"):
        desk.join(f"{name}@example.org")
    desk.hands.work()
    for rule in rules_:
        desk.rule(rule)
    desk.at(END)
    approve(desk)


def reasons_of(desk: Desk) -> list[str]:
    with desk.house.database.read() as session:
        found = session.scalars(
            select(Delivery.reason)
            .join(Mailing, Mailing.id == Delivery.mailing_id)
            .where(Mailing.kind == MailingKind.FOLLOW_UP, Delivery.reason.is_not(None))
            .order_by(Delivery.id)
        )
        return [str(reason) for reason in found]


def test_who_is_noted_within_the_grace_is_thanked_once(desk: Desk) -> None:
    held(desk, "after end 45 minutes attended")
    assert desk.at(DUE) == []
    desk.hands.now = DUE + 5 * HOUR
    shown = note(desk, "came", keep=False)
    marked = note(desk, "came")
    assert marked.follow_ups == ("1 will get the follow-up after45m-attended now.",)
    assert shown.follow_ups == marked.follow_ups
    assert desk.at(desk.hands.now) == [THANKS]
    assert note(desk, "came").follow_ups == ()
    assert desk.at(desk.hands.now + MINUTE) == []


def test_who_is_noted_before_its_time_is_thanked_then(desk: Desk) -> None:
    held(desk, "after end 45 minutes attended")
    assert note(desk, "came").follow_ups == ("1 will get the follow-up after45m-attended when it is due.",)
    assert desk.at(DUE - MINUTE) == []
    assert desk.at(DUE) == [THANKS]


def test_who_is_noted_before_the_approval_is_said_to_wait_for_it(desk: Desk) -> None:
    desk.join("came@example.org")
    desk.hands.work()
    desk.rule("after end 45 minutes attended")
    desk.at(END)
    assert note(desk, "came").follow_ups == (
        "1 will get the follow-up after45m-attended once it is approved: "
        "mailer symposium follow-up identify --recording URL",
    )


def test_who_is_noted_after_the_grace_gets_nothing_and_staff_are_told(desk: Desk) -> None:
    """Nothing that is past bursts out by itself; who approves it once more sends it."""
    held(desk, "after end 45 minutes attended")
    desk.at(DUE)
    desk.at(DUE + GRACE)
    shown, marked = note(desk, "came", keep=False), note(desk, "came")
    (said,) = marked.follow_ups
    assert shown.follow_ups == marked.follow_ups
    assert said == (
        "1 will not get the follow-up after45m-attended: its time is past. To send it all the same, "
        "approve it once more: mailer symposium follow-up identify --recording URL"
    )
    assert desk.at(desk.hands.now) == []
    assert reasons_of(desk) == [SkipReason.NOTED_LATE.value]
    assert "1 left out: Whether they were there was noted after its time." in " ".join(printed(desk).split())
    approve(desk)
    assert desk.at(desk.hands.now + MINUTE) == [THANKS]
    approve(desk)
    assert desk.at(desk.hands.now + MINUTE) == []


def test_a_word_that_is_put_right_within_the_grace_counts(desk: Desk) -> None:
    """Left out at the claim, because a list said otherwise for a while."""
    held(desk, "after end 45 minutes attended")
    note(desk, "came")
    mark(desk.house, desk.hands, desk.symposium, "email,attended\ncame@example.org,absent\n")
    assert desk.at(DUE) == []
    assert reasons_of(desk) == [SkipReason.ATTENDANCE.value]
    desk.hands.now = DUE + HOUR
    note(desk, "came")
    assert desk.at(desk.hands.now) == [THANKS]
    mark(desk.house, desk.hands, desk.symposium, "email,attended\ncame@example.org,absent\n")
    note(desk, "came")
    assert desk.at(desk.hands.now + MINUTE) == []


def test_nobody_gets_the_neutral_one_and_that_of_those_who_came(desk: Desk) -> None:
    held(desk, "after end 30 minutes", "after end 45 minutes attended")
    assert desk.at(END + 30 * MINUTE) == ["came After the symposium", "other After the symposium"]
    desk.hands.now = DUE + HOUR
    assert note(desk, "came").follow_ups == (
        "1 had another mail after the end already and will not get the follow-up after45m-attended.",
    )
    assert desk.at(desk.hands.now) == []
    assert reasons_of(desk) == [SkipReason.ALREADY_TOLD.value]


def test_of_two_that_are_due_together_one_leaves(desk: Desk) -> None:
    """The sweep was away: both wait, and each person gets one."""
    held(desk, "after end 30 minutes", "after end 45 minutes attended", "after end 45 minutes no-show")
    note(desk, "came", others_absent=True)
    timeline = " ".join(printed(desk).split())
    sent = desk.at(DUE + HOUR) + desk.at(DUE + HOUR + MINUTE)
    assert sent == [THANKS, "other We missed you"]
    assert desk.at(DUE + HOUR + 2 * MINUTE) == []
    assert reasons_of(desk) == [SkipReason.ALREADY_TOLD.value] * 2
    assert timeline.count("1 will be left out: They were told already") == 2


def test_one_that_a_worker_holds_keeps_the_other_back(desk: Desk) -> None:
    held(desk, "after end 30 minutes", "after end 45 minutes attended")
    note(desk, "came")
    desk.hands.now = END + 30 * MINUTE
    name = worker_name("send")
    journal = Journal.open(journal_folder(desk.house), name)
    with desk.house.database.write() as session:
        fence = claim(session, desk.house, worker=name, now=desk.hands.now).fence
    journal.about_to_send([(10**9, fence)])  # of another mail: an empty journal would be put away
    with desk.house.database.write() as session:  # it is alive: its lease holds
        assert not claim(session, desk.house, worker="another", now=desk.hands.now + 15 * MINUTE).held
    journal.close()
    assert desk.at(DUE + MINUTE).count(THANKS) + desk.at(DUE + 3 * MINUTE).count(THANKS) == 1


def test_staff_are_told_which_of_two_is_sent_when_they_make_the_second(desk: Desk) -> None:
    """The first rule that is made takes the default ones away."""
    desk.rule("after end 45 minutes")
    assert desk.rule("after end 1440 minutes attended")[-1] == (
        "Who gets after45m does not get this one as well: they are for different people."
    )
    assert desk.rule("after end 60 minutes attended")[1:] == (
        "Who gets after45m does not get this one as well: they are for different people.",
    )
    assert "It falls within an hour of after60m-attended, and both are sent." in desk.rule(
        "after end 90 minutes attended"
    )
    assert not any("within" in note for note in desk.rule("after end 61 minutes no-show"))


def test_two_of_one_audience_are_two_mails(desk: Desk) -> None:
    """Staff made both for the same people: thanks today, and again a day later."""
    held(desk, "after end 45 minutes attended", "after end 1440 minutes attended")
    note(desk, "came")
    assert desk.at(DUE) == [THANKS]
    assert desk.at(END + 24 * HOUR) == [THANKS]


def test_who_was_there_is_noted_late_and_the_rule_later_still(desk: Desk) -> None:
    """A rule that is made when its time is past sends nothing, whoever is noted after it."""
    held(desk, "after end 1440 minutes attended")
    desk.at(END + 50 * MINUTE)
    desk.rule("after end 45 minutes attended")
    desk.hands.now = END + HOUR
    note(desk, "came")
    assert desk.at(desk.hands.now) == []


def test_a_rule_that_was_away_when_it_was_due_does_not_come_back_late(desk: Desk) -> None:
    held(desk, "after end 45 minutes attended", "after end 1440 minutes attended")
    note(desk, "came")

    def remove() -> None:
        with desk.house.database.write() as session:
            whose = Owner(symposium=session.get_one(Symposium, desk.symposium))
            rules.remove(session, desk.house, whose, "after45m-attended", actor="test", now=desk.hands.now)

    remove()
    desk.at(DUE + HOUR)
    desk.rule("after end 45 minutes attended")
    note(desk, "other")
    assert "came Thank you for taking part" not in desk.at(desk.hands.now)


def test_a_rule_made_after_the_others_were_let_go_stays_past_when_they_are_let_go_again(desk: Desk) -> None:
    held(desk, "after end 45 minutes")
    assert len(desk.at(DUE)) == 2
    desk.hands.now = DUE + 8 * HOUR
    desk.rule("after end 60 minutes", sure=True)
    approve(desk)
    assert desk.at(desk.hands.now + MINUTE) == []
    assert desk.at(desk.hands.now + HOUR) == []


@pytest.mark.parametrize("house", ["postgresql"], indirect=True)
def test_two_claims_at_once_give_nobody_two_mails_after_the_end(desk: Desk) -> None:
    """The second waits until the first is done, and then sees what it took."""
    held(desk, "after end 45 minutes", "after end 45 minutes attended")
    note(desk, "came", "other")
    desk.hands.now = DUE
    claimed: list[int] = []

    def second() -> None:
        with desk.house.database.write() as session:
            found = claim(session, desk.house, worker="send-2-1-abcdef", now=DUE + MINUTE)
            claimed.extend(one.registration_id or 0 for one in found.held)

    with desk.house.database.write() as session:
        first = claim(session, desk.house, worker="send-1-1-abcdef", now=DUE + MINUTE, limit=2)
        assert len({one.registration_id for one in first.held}) == 2
        rival = threading.Thread(target=second)
        rival.start()
        wait_until(lambda: waits_for_a_lock(desk) or not rival.is_alive(), "the other claim waits or is done")
    rival.join()
    assert claimed == []


def waits_for_a_lock(desk: Desk) -> bool:
    with desk.house.database.read() as session:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return bool(session.scalar(text(waiting)))
