"""Reminders and notices under attack: what comes at the wrong moment, or to people who know something else.

Each test is a way in which attendees would be told what is not so, or not told what they must know.
"""

from datetime import date, time, timedelta

import pytest
from sqlalchemy import select

from mailer import settings
from mailer.cli.timeline import lines
from mailer.db.programme import Registration, Symposium, SymposiumDate, SymposiumVersion
from mailer.services.desk import mailings
from mailer.services.programme import places, rules, symposia
from mailer.services.programme.dates import Moment
from mailer.services.programme.rules import Owner, RuleRefusal
from mailer.services.programme.symposia import SymposiumRefusal
from mailer.services.programme.timeline import timeline
from mailer.services.registration import self_service
from mailer.services.sending.claim import claim
from mailer.services.sending.sweep import journal_folder, worker_name
from mailer.smtp.journal import Journal
from mailer.vocabulary import Precision, SkipReason
from tests.services.conftest import PAUSE
from tests.services.symposium_desk import Desk
from tests.services.test_roll import mark
from tests.services.test_symposia import DAY, HOUR, START, invitation

pytestmark = pytest.mark.slow

MINUTE = timedelta(minutes=1)
MONTH = Moment(precision=Precision.MONTH, day=date(2024, 3, 1), zone="America/New_York")


def text_of(desk: Desk, index: int = 0) -> str:
    return desk.server.mails[index].message.get_body(("plain",)).get_content()


def call_off(desk: Desk) -> None:
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        symposia.call_off(session, desk.house, found, reason=None, actor="test", now=desk.hands.now)


# ---- readers


def test_who_chooses_another_city_on_their_registration_is_timed_anew(desk: Desk) -> None:
    """A reminder that waited for a Sydney morning leaves at once when its reader is in New York."""
    number = desk.join(zone="Australia/Sydney")
    desk.at(START - 7 * DAY + 4 * HOUR)
    with desk.house.database.write() as session:
        token = desk.house.registration_url(number).rsplit("/", 1)[1]
        assert self_service.change(
            session, desk.house, token, language="en", zone="America/New_York", now=desk.hands.now
        )
    desk.plan()
    assert desk.at(START - DAY) == ["anahit Reminder"]  # for Sydney it would have been four hours later


# ---- rules


def test_a_default_rule_that_is_removed_sends_nothing_before_the_sweep_has_planned(desk: Desk) -> None:
    """Its rows wait until the next plan; the claim asks for the rule itself."""
    desk.join()
    desk.at(START - 7 * DAY)
    desk.hands.now = START - DAY - MINUTE
    with desk.house.database.write() as session:
        rules.remove(session, desk.house, Owner(), "1d", actor="test", now=desk.hands.now)
    assert desk.at(START - DAY) == []
    assert desk.reasons()[-1] == SkipReason.RULE_REMOVED.value
    assert desk.at(START - HOUR) == ["anahit Reminder"]


def test_a_default_rule_removed_and_made_again_loses_nothing(desk: Desk) -> None:
    desk.join()
    desk.at(START - 7 * DAY)
    with desk.house.database.write() as session:
        rules.remove(session, desk.house, Owner(), "1d", actor="test", now=desk.hands.now)
    desk.plan()
    with desk.house.database.write() as session:
        rules.add(session, desk.house, Owner(), "before 1 day", actor="test", now=desk.hands.now)
    desk.plan()
    assert desk.at(START - DAY) == ["anahit Reminder"]


def test_a_reminder_in_a_dead_worker_s_hands_does_not_leave_for_the_date_that_was_left(desk: Desk) -> None:
    """What is claimed while the symposium moves comes back after the move, and is asked once more."""
    desk.join()
    desk.at(START - 7 * DAY)
    desk.hands.now = START - DAY
    name = worker_name("send")
    journal = Journal.open(journal_folder(desk.house), name)
    with desk.house.database.write() as session:
        held = claim(session, desk.house, worker=name, now=desk.hands.now)
    assert len(held.held) == 1
    journal.about_to_send([(10**9, held.fence)])  # of another mail: an empty journal would be put away
    desk.move(date(2024, 3, 8))
    journal.close()  # it died before any dot
    assert desk.at(desk.hands.now + MINUTE) == []
    assert desk.at(START - DAY + PAUSE) == ["anahit Changed"]
    assert desk.reasons() == [SkipReason.DATE_MOVED.value] * 2  # of a day and of an hour


# ---- notices


def test_what_is_mended_after_the_end_is_told_to_nobody(desk: Desk) -> None:
    """A title put right in the archive is no change of what anybody could still come to."""
    desk.join()
    desk.hands.work()
    desk.at(START + 3 * HOUR)
    assert desk.edit(title="How to Identify a Genocide", place="Room 4") is None
    assert desk.at(desk.hands.now + PAUSE) == []
    desk.move(date(2024, 3, 8))  # but it may be held again
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Changed"]


def test_what_changes_while_it_runs_is_told_at_once_and_not_after_its_end(desk: Desk) -> None:
    desk.join()
    desk.hands.work()
    desk.at(START + 10 * MINUTE)
    desk.edit(place="Room 4")
    assert desk.at(desk.hands.now) == ["anahit Changed"]
    desk.edit(place="Room 5")
    assert desk.at(START + HOUR + MINUTE) == []


def test_a_notice_that_waits_when_the_end_comes_is_not_sent(desk: Desk) -> None:
    desk.join()
    desk.hands.work()
    desk.edit(title="Another title")
    assert desk.at(START + 2 * HOUR) == []


def test_called_off_before_the_move_was_told_speaks_of_the_date_people_know(desk: Desk) -> None:
    """They wrote down February 23; March 1 was never told to anybody."""
    desk.join()
    desk.hands.work()
    desk.move(date(2024, 3, 1))
    call_off(desk)
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Called off"]
    assert "Friday, February 23, 2024" in text_of(desk)
    assert "March 1" not in text_of(desk)
    method, sequence, start = invitation(desk.server.mails[0].message)
    assert (method, sequence, start) == ("CANCEL", 2, START)


def test_called_off_after_a_new_title_that_was_not_told_names_the_one_people_know(desk: Desk) -> None:
    desk.join()
    desk.hands.work()
    desk.edit(title="Something else entirely")
    call_off(desk)
    assert desk.at(desk.hands.now) == ["anahit Called off"]
    assert "How to Identify Genocide" in str(desk.server.mails[0].message["Subject"])


def test_what_is_over_cannot_be_called_off(desk: Desk) -> None:
    desk.join()
    desk.at(START + 2 * HOUR)
    with pytest.raises(SymposiumRefusal, match="is over"):
        call_off(desk)


def test_nobody_knows_a_day_that_came_and_went_unannounced(desk: Desk) -> None:
    """Open, fixed and open again before the notice left: nothing leaves, and nothing enters a calendar."""
    desk.edit(moment=MONTH)
    desk.join()
    desk.at(desk.hands.now)
    desk.move(date(2024, 3, 12))
    desk.hands.now += 10 * MINUTE
    desk.edit(moment=MONTH)
    assert desk.at(desk.hands.now + PAUSE) == []
    assert desk.at(START + 17 * DAY) == []


# ---- the waiting list


def test_who_waits_for_a_place_is_told_of_changes_as_somebody_who_waits(desk: Desk) -> None:
    """They hear of moves and of the end, and are never told that they have a place or an invitation."""
    desk.limit(1)
    desk.join("first@example.org")
    desk.join("waits@example.org")
    desk.hands.work()
    desk.move(date(2024, 3, 1))
    assert desk.at(desk.hands.now + PAUSE) == ["first Changed", "waits Changed"]
    by_address = {mail.recipient: mail for mail in desk.server.mails}
    text = by_address["waits@example.org"].message.get_body(("plain",)).get_content()
    assert "You are on the waiting list." in text
    assert "Your registration stays valid." not in text
    assert "invitation" not in text
    assert ".ics" not in text
    assert b"VCALENDAR" not in by_address["waits@example.org"].data
    first = by_address["first@example.org"].message.get_body(("plain",)).get_content()
    assert "waiting list" not in first

    desk.edit(moment=MONTH)
    assert desk.at(desk.hands.now + PAUSE) == ["first Postponed", "waits Postponed"]
    waits = next(mail for mail in desk.server.mails if mail.recipient == "waits@example.org")
    assert "You are on the waiting list." in waits.message.get_body(("plain",)).get_content()
    assert b"VCALENDAR" not in waits.data
    desk.move(date(2024, 3, 15))
    assert desk.at(desk.hands.now + PAUSE) == ["first Date fixed", "waits Date fixed"]
    waits = next(mail for mail in desk.server.mails if mail.recipient == "waits@example.org")
    assert "“Yes”" not in waits.message.get_body(("plain",)).get_content()
    call_off(desk)
    assert desk.at(desk.hands.now) == ["first Called off", "waits Called off"]
    waits = next(mail for mail in desk.server.mails if mail.recipient == "waits@example.org")
    assert b"VCALENDAR" not in waits.data
    assert "calendar" not in waits.message.get_body(("plain",)).get_content()


# ---- time zone data


def test_new_time_zone_data_that_puts_a_start_into_the_past_holds_up_nobody_else(desk: Desk) -> None:
    """Half an hour before its start the start turns out to be half an hour ago: it is told, and all else
    is planned."""
    desk.join()
    desk.hands.work()
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        found.starts_at, found.tzdata = START + HOUR, "1999z"
        session.scalars(select(SymposiumDate)).one().starts_at = START + HOUR
        session.scalars(select(SymposiumVersion)).one().starts_at = START + HOUR
    desk.hands.now = START + 30 * MINUTE
    with desk.house.database.write() as session:
        assert symposia.rederive_all(session, desk.house, desk.hands.now) == 1
    with desk.house.database.read() as session:
        assert session.get_one(Symposium, desk.symposium).starts_at == START
    assert desk.at(desk.hands.now) == ["anahit Changed"]


# ---- what an organisation sets


def set_to(desk: Desk, **changes: object) -> None:
    chosen = desk.house.settings.model_copy(update=changes)
    settings.use(chosen)
    object.__setattr__(desk.house, "settings", chosen)


def test_other_quiet_hours_time_anew_what_waits(desk: Desk) -> None:
    """Stored times are a cache: the minute's sweep sees that they were planned around another night."""
    desk.join(zone="Australia/Sydney")
    desk.at(START - 7 * DAY + 4 * HOUR)
    set_to(desk, quiet_from=time(23), quiet_until=time(3))  # 04:00 in Sydney is no night any more
    assert desk.plan() > 0
    assert desk.plan() == 0
    assert desk.at(START - DAY) == ["anahit Reminder"]
    set_to(desk, quiet_from=time(22), quiet_until=time(8))


def test_the_windows_of_notices_are_the_organisation_s(desk: Desk) -> None:
    set_to(desk, notice_pause=10, notice_patience=15, notice_near_hours=1)
    desk.join()
    desk.hands.work()
    start = desk.hands.now
    desk.edit(place="Room 1")
    assert desk.at(start + 9 * MINUTE) == []
    desk.edit(place="Room 2")
    assert desk.at(start + 14 * MINUTE) == []
    assert desk.at(start + 15 * MINUTE) == ["anahit Changed"]
    desk.at(START - 2 * HOUR)
    desk.edit(place="Room 3")
    assert desk.at(desk.hands.now) == []  # two hours are not near here
    assert desk.at(desk.hands.now + 10 * MINUTE) == ["anahit Changed"]


def test_a_mail_after_the_end_keeps_no_nights(desk: Desk) -> None:
    with pytest.raises(RuleRefusal, match="no nights"):
        desk.rule("after end 40 minutes", quiet=True)


# ---- dates that become exact, lists that come late


def test_the_hour_of_a_day_that_was_reminded_of_brings_no_second_reminder(desk: Desk) -> None:
    """The day is what they were reminded of; its hour is told by the notice."""
    desk.edit(moment=Moment(precision=Precision.DATE, day=date(2024, 2, 23), zone="America/New_York"))
    desk.join()
    nine = START - DAY - 3 * HOUR
    assert "anahit Reminder" in desk.at(nine)
    desk.move(date(2024, 2, 23))
    assert desk.at(nine + PAUSE) == ["anahit Changed"]
    assert desk.at(START - DAY) == []
    assert desk.reasons()[-1] == SkipReason.ALREADY_TOLD.value
    assert desk.at(START - HOUR) == ["anahit Reminder"]


def test_who_is_found_to_have_come_after_the_approval_is_thanked(desk: Desk) -> None:
    """The list of who was there may come between the approval and the mail's time."""
    desk.join()
    desk.hands.work()
    desk.rule("after end 60 minutes attended")
    desk.at(START + HOUR)
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        symposia.approve_follow_up(
            session, desk.house, found, recording_url=None, actor="test", now=desk.hands.now
        )
    desk.at(START + HOUR + MINUTE)
    marked = mark(desk.house, desk.hands, desk.symposium, "email\nanahit@example.org\n")
    assert marked.attended == 1
    assert desk.at(START + 2 * HOUR) == ["anahit Thank you for taking part"]


# ---- what staff are shown


def printed(desk: Desk) -> str:
    """The timeline as it stands on a terminal."""
    with desk.house.database.read() as session:
        found = session.get_one(Symposium, desk.symposium)
        entries = timeline(session, found, desk.hands.now)
    return "\n".join(" ".join(lines(entry, "America/New_York")) for entry in entries)


def test_the_timeline_says_who_waits_in_vain(desk: Desk) -> None:
    """Who withdrew, and a notice with nothing to say any more, do not count among those who will be told."""
    stays, leaves = desk.join("stays@example.org"), desk.join("leaves@example.org")
    desk.hands.work()
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        theirs = session.get_one(Registration, leaves)
        places.give_back(session, desk.house, found, theirs, desk.hands.now)
    desk.hands.work()
    desk.edit(place="Room 4")
    said = printed(desk)
    assert "1d: before 1 day" in said
    assert "1 waiting     1 left out: They withdrew their registration." in said
    desk.edit(place="")
    assert "1 will be left out: What it would have told them they know already." in printed(desk)
    assert stays != leaves
    with desk.house.database.write() as session:
        key = f"symposium:{desk.symposium}:reminder:1d:r1"
        mailings.pause(session, mailings.find(session, key), actor="test", now=desk.hands.now)
    assert f"Paused. It goes on with: mailer mailing resume {key}" in printed(desk)


# ---- what each question of the claim is for


def test_a_reminder_held_up_until_a_notice_has_left_says_nothing_new(desk: Desk) -> None:
    """The notice left after the reminder was due, with all the facts."""
    desk.join()
    desk.at(START - 7 * DAY)
    key = f"symposium:{desk.symposium}:reminder:1d:r1"
    with desk.house.database.write() as session:
        mailings.pause(session, mailings.find(session, key), actor="test", now=desk.hands.now)
    desk.at(START - DAY)
    desk.edit(place="Room 4")
    assert desk.at(START - DAY + PAUSE) == ["anahit Changed"]
    with desk.house.database.write() as session:
        mailings.resume(session, mailings.find(session, key), actor="test", now=desk.hands.now)
    assert desk.at(START - DAY + HOUR) == []
    assert SkipReason.ALREADY_TOLD.value in desk.reasons()


def test_a_rule_that_is_past_for_some_and_ahead_for_others_reaches_those_alone(desk: Desk) -> None:
    """A Sydney morning is still to come; for all others the rule is an hour late, and sends nothing."""
    desk.join("nowhere@example.org")
    desk.join("sydney@example.org", "Australia/Sydney")
    desk.at(START - 7 * DAY)
    desk.at(START - 2 * DAY)
    desk.hands.now = START - DAY + HOUR
    desk.rule("before 24 hours", sure=True)
    assert desk.at(desk.hands.now) == []
    assert desk.at(START - DAY + 4 * HOUR) == ["sydney Reminder"]
    assert SkipReason.PLANNED_LATE.value in desk.reasons()
