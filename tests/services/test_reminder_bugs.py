"""What went wrong with reminders in programs like this one, each as a test that it cannot happen here.

Every test names the rule that keeps it off; the rules are those of docs/symposia.md, "Reminders and moves".
"""

from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db.mailings import Delivery
from mailer.db.people import Subscriber
from mailer.db.programme import (
    Registration,
    ReminderRule,
    Series,
    Symposium,
    SymposiumDate,
    SymposiumVersion,
)
from mailer.services.desk import mailings
from mailer.services.programme import places, reminders, rules, symposia
from mailer.services.programme.dates import Moment
from mailer.services.programme.register import Attendee, register
from mailer.services.programme.rules import Owner, RuleRefusal
from mailer.vocabulary import (
    Attendance,
    DeliveryState,
    MailingKind,
    MailingState,
    Precision,
    RegistrationState,
    SkipReason,
)
from tests.recordings import RecordingServer
from tests.services.conftest import PAUSE
from tests.services.symposium_desk import Desk
from tests.services.test_symposia import DAY, HOUR, START, invitation

MINUTE = timedelta(minutes=1)
MONTH = Moment(precision=Precision.MONTH, day=date(2024, 3, 1), zone="America/New_York")


# ---- one row per person and rule


def test_who_registers_after_a_reminder_was_completed_still_gets_the_next(desk: Desk) -> None:
    """State is kept per person, not per event: one row for each (rule, date, person)."""
    desk.join("early@example.org")
    assert "early Reminder" in desk.at(START - 7 * DAY)
    desk.hands.now = START - 2 * DAY
    desk.join("late@example.org")
    assert desk.at(desk.hands.now) == ["late You are registered"]
    assert desk.at(START - DAY) == ["early Reminder", "late Reminder"]


def test_the_first_buyer_of_a_date_made_after_its_due_time_is_not_mailed(desk: Desk) -> None:
    """What is past when it is planned never leaves."""
    desk.hands.now = START - 3 * HOUR
    with desk.house.database.write() as session:
        session.get_one(Symposium, desk.symposium).planned_at = None
        reminders.plan_all(session, desk.house, desk.hands.now)
    desk.join()
    assert desk.at(desk.hands.now) == ["anahit You are registered"]
    assert desk.at(START - HOUR) == ["anahit Reminder"]


def test_no_reminder_seconds_after_registering(desk: Desk) -> None:
    """Who registers after the due time is left out of that reminder by name."""
    desk.hands.now = START - HOUR + timedelta(seconds=5)
    desk.join()
    assert desk.at(desk.hands.now) == ["anahit You are registered"]
    assert set(desk.reasons()) == {SkipReason.REGISTERED_LATE.value}


def test_editing_the_audience_neither_skips_nor_repeats(desk: Desk) -> None:
    """The unique row (mailing, person) outlives any change of who is in the audience."""
    registration = desk.join()
    desk.at(START - 7 * DAY)
    with desk.house.database.write() as session:
        found = session.get_one(Registration, registration)
        symposium = session.get_one(Symposium, desk.symposium)
        places.give_back(session, desk.house, symposium, found, desk.hands.now, mail=False)
        places.seat(session, desk.house, symposium, found, desk.hands.now, mail=False)
    assert desk.at(START - 7 * DAY + MINUTE) == []
    assert desk.at(START - DAY) == ["anahit Reminder"]


def test_a_cancelled_seat_is_not_reminded(desk: Desk) -> None:
    """The claim asks again whether the registration still holds."""
    registration = desk.join()
    desk.hands.work()
    with desk.house.database.write() as session:
        found = session.get_one(Registration, registration)
        found.state = RegistrationState.WITHDRAWN
    assert desk.at(START - DAY) == []


def test_two_reminders_due_together_are_one(desk: Desk) -> None:
    """Of two within an hour the longer lead is superseded, also when a rule comes later."""
    desk.join()
    desk.hands.work()
    desk.rule("before 1 day")
    assert desk.rule("before 24 hours") == (
        "It falls within an hour of 1d: of the two only the later one is sent.",
    )
    assert desk.at(START - DAY) == ["anahit Reminder"]
    assert SkipReason.SUPERSEDED.value in desk.reasons()


# ---- nothing past bursts out


def test_a_rule_made_late_does_not_blast(desk: Desk) -> None:
    """A rule that is past for everybody asks first, and then sends nothing."""
    desk.join()
    desk.hands.now = START - 5 * HOUR
    desk.hands.work()
    with pytest.raises(RuleRefusal, match="--yes"):
        desk.rule("before 6 hours")
    assert "Its time is past: it will not be sent." in desk.rule("before 6 hours", sure=True)
    assert desk.at(START - 5 * HOUR) == []
    assert desk.at(START - 4 * HOUR) == []


def test_a_rule_switched_off_and_on_again_does_not_blast_or_repeat(desk: Desk) -> None:
    """A rule that is back takes up only what is still ahead, on the rows that it had."""
    desk.join()
    desk.hands.work()
    desk.rule("before 1 day")
    desk.rule("before 2 hours")
    for when_ in (START - 3 * DAY, START - DAY + HOUR):
        desk.hands.now = when_
        with desk.house.database.write() as session:
            whose = Owner(symposium=session.get_one(Symposium, desk.symposium))
            rules.remove(session, desk.house, whose, "1d", actor="test", now=when_)
        desk.rule("before 1 day", sure=True)
        if when_ < START - DAY:
            assert desk.at(START - DAY) == ["anahit Reminder"]
        else:
            assert desk.at(when_) == []
    assert desk.at(START - 2 * HOUR) == ["anahit Reminder"]


def test_an_outage_over_the_due_time_sends_what_still_helps_and_no_more(desk: Desk) -> None:
    """Late by at most half the lead, at most six hours; then expired."""
    desk.join()
    desk.hands.work()
    assert desk.at(START - DAY + 5 * HOUR) == ["anahit Reminder"]
    assert desk.at(START - 29 * MINUTE) == []
    assert SkipReason.TOO_LATE.value in desk.reasons()


def test_a_restore_or_a_second_planner_sends_nothing_twice(desk: Desk) -> None:
    """Planning is repeatable: the key of the mailing and the row's own key are constraints."""
    desk.join()
    desk.hands.work()
    desk.at(START - DAY)
    for _ in range(2):
        with desk.house.database.write() as session:
            session.get_one(Symposium, desk.symposium).planned_at = None
            reminders.plan_all(session, desk.house, desk.hands.now)
        assert desk.at(START - DAY + MINUTE) == []


def test_a_clock_that_steps_back_repeats_nothing(desk: Desk) -> None:
    """What has left is a row in state sent, whatever the clock says."""
    desk.join()
    desk.hands.work()
    assert desk.at(START - DAY) == ["anahit Reminder"]
    assert desk.at(START - DAY - HOUR) == []
    assert desk.at(START - DAY) == []


# ---- never after the start


def test_nothing_leaves_after_the_start(desk: Desk) -> None:
    """A reminder ends at the start, whatever held it up."""
    desk.join()
    desk.hands.work()
    desk.rule("before 1 minute")
    assert desk.at(START) == []
    assert desk.at(START + DAY) == []


def test_a_wall_time_after_the_start_is_no_reminder(desk: Desk) -> None:
    """A time of its own counts only before the start."""
    desk.join()
    desk.hands.work()
    desk.rule("at 2024-02-23 13:00 America/New_York")
    assert desk.at(START + HOUR) == []


# ---- moves


def test_a_moved_symposium_is_not_reminded_of_at_the_old_time(desk: Desk) -> None:
    """Every date has its own rows; those of a date that was left are cancelled."""
    desk.join()
    desk.hands.work()
    desk.move(date(2024, 3, 1))
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Changed"]
    assert desk.at(START - DAY) == []
    assert desk.at(START - HOUR) == []
    assert desk.at(START + 6 * DAY) == ["anahit Reminder"]
    assert desk.reasons()[:3] == [SkipReason.DATE_MOVED.value] * 3


def test_an_earlier_move_is_handled_like_a_later_one(desk: Desk) -> None:
    """A due time is recomputed whichever way the symposium moves."""
    desk.join()
    desk.hands.work()
    desk.move(date(2024, 2, 16))
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Changed"]
    assert desk.at(START - 8 * DAY) == ["anahit Reminder"]


def test_a_move_after_the_reminder_tells_and_reminds_once_of_the_new_date(desk: Desk) -> None:
    """Reminded, then moved by a day or more: a notice, and one fresh reminder."""
    desk.join()
    desk.at(START - 7 * DAY)
    desk.at(START - DAY)
    desk.move(date(2024, 3, 8))
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Changed"]
    assert desk.at(START + 7 * DAY) == ["anahit Reminder"]
    assert desk.at(START + 13 * DAY) == ["anahit Reminder"]


def test_several_saves_in_half_an_hour_are_one_notice(desk: Desk) -> None:
    """The notice waits for the last save, and says the difference to what was told."""
    desk.join()
    desk.hands.work()
    first = desk.move(date(2024, 3, 1))
    desk.hands.now += 20 * MINUTE
    assert desk.edit(place="Room 4") == first
    assert desk.at(desk.hands.now + 20 * MINUTE) == []
    assert desk.at(desk.hands.now + 10 * MINUTE) == ["anahit Changed"]
    text = desk.server.mails[0].message.get_body(("plain",)).get_content()
    assert "Before: Friday, February 23, 2024" in text
    assert "Room 4" in text
    assert invitation(desk.server.mails[0].message) == ("REQUEST", 2, START + 7 * DAY)


def test_moved_and_moved_back_tells_nobody_and_keeps_the_reminders(desk: Desk) -> None:
    """The difference is read at the claim: there is none."""
    desk.join()
    desk.hands.work()
    desk.move(date(2024, 3, 1))
    desk.hands.now += 5 * MINUTE
    desk.move(date(2024, 2, 23))
    assert desk.at(desk.hands.now + PAUSE) == []
    assert desk.reasons(MailingKind.CHANGE) == [SkipReason.NOTHING_CHANGED.value]
    assert desk.at(START - DAY) == ["anahit Reminder"]


def test_a_return_to_a_date_whose_reminder_was_due_meanwhile_does_not_blast(desk: Desk) -> None:
    """Rows that were cancelled come back only where their time is still ahead."""
    desk.join()
    desk.hands.work()
    desk.hands.now = START - DAY - HOUR
    desk.move(date(2024, 3, 1))
    desk.hands.now = START - DAY + HOUR
    desk.move(date(2024, 2, 23))
    assert desk.at(desk.hands.now + PAUSE) == []
    assert desk.at(START - HOUR) == ["anahit Reminder"]


def test_who_registers_after_the_move_never_hears_of_the_old_date(desk: Desk) -> None:
    """A notice goes to whom a mail has told otherwise."""
    desk.join("early@example.org")
    desk.hands.work()
    desk.move(date(2024, 3, 1))
    desk.join("late@example.org")
    assert desk.at(desk.hands.now + PAUSE) == ["early Changed", "late You are registered"]
    desk.hands.now += HOUR
    desk.edit(title="How to Identify a Genocide")
    assert desk.at(desk.hands.now + PAUSE) == ["early Changed", "late Changed"]
    for mail in desk.server.mails:
        assert "February 23" not in mail.message.get_body(("plain",)).get_content()


def test_a_start_that_is_near_is_told_at_once(desk: Desk) -> None:
    """Half an hour of waiting would be too long when the start is hours away."""
    desk.join()
    desk.at(START - 5 * HOUR)
    desk.move(date(2024, 2, 23), 15)
    assert desk.at(desk.hands.now) == ["anahit Changed"]


def test_a_reminder_due_before_its_notice_leaves_the_word_to_the_notice(desk: Desk) -> None:
    """Who is about to be told by a notice is not reminded as well: already told."""
    desk.join()
    desk.at(START - 7 * DAY)
    desk.hands.now = START - 3 * DAY - 10 * MINUTE
    desk.move(date(2024, 2, 21))  # the reminder of a day falls due in ten minutes, the notice in thirty
    assert desk.at(START - 3 * DAY) == []
    assert SkipReason.ALREADY_TOLD.value in desk.reasons()
    assert desk.at(START - 3 * DAY + 20 * MINUTE) == ["anahit Changed"]
    assert desk.at(START - 2 * DAY - HOUR) == ["anahit Reminder"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"place": "Room 4"}, ("Where", "Room 4")),
        ({"title": "How to See One Coming"}, ("Title", "How to Identify Genocide", "How to See One Coming")),
        ({"minutes": 90}, ("End", "1:30 PM")),
        ({"online": True}, ("How to take part", "Online")),
    ],
)
def test_whatever_an_attendee_must_know_is_told(
    desk: Desk, edit: dict[str, object], words: tuple[str, ...]
) -> None:
    """End, place, title and the way of taking part are facts like the date."""
    desk.join()
    desk.hands.work()
    desk.edit(**edit)
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Changed"]
    text = desk.server.mails[0].message.get_body(("plain",)).get_content()
    for word in words:
        assert word in text


# ---- called off, postponed, fixed


def test_called_off_or_withdrawn_gets_a_cancel_and_not_a_request(desk: Desk) -> None:
    """A CANCEL with a higher number, to those who have the entry, and only to them."""
    desk.join("invited@example.org")
    desk.hands.work()
    with desk.house.database.write() as session:  # brought by a list: nobody ever invited them
        found = session.get_one(Symposium, desk.symposium)
        register(
            session, desk.house, found, Attendee(address="listed@example.org"), desk.hands.now, mail=False
        )
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        symposia.call_off(session, desk.house, found, reason=None, actor="test", now=desk.hands.now)
    assert desk.at(desk.hands.now) == ["invited Called off", "listed Called off"]
    by_address = {mail.recipient: mail for mail in desk.server.mails}
    assert invitation(by_address["invited@example.org"].message)[:2] == ("CANCEL", 1)
    assert b"VCALENDAR" not in by_address["listed@example.org"].data


def test_a_date_withdrawn_clears_calendars_and_keeps_registrations(desk: Desk) -> None:
    """Postponed: a notice with a CANCEL of the date they know; then the new date brings a REQUEST."""
    registration = desk.join()
    desk.hands.work()
    desk.edit(moment=MONTH)
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Postponed"]
    assert invitation(desk.server.mails[0].message) == ("CANCEL", 1, START)
    assert desk.at(START - DAY) == []
    desk.move(date(2024, 3, 15))
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Date fixed"]
    assert invitation(desk.server.mails[0].message)[:2] == ("REQUEST", 2)
    with desk.house.database.read() as session:
        assert session.get_one(Registration, registration).state is RegistrationState.CONFIRMED
    assert desk.at(datetime.fromisoformat("2024-03-14T16:00+00:00")) == ["anahit Reminder"]


def test_an_event_without_a_date_is_planned_when_it_gets_one(desk: Desk) -> None:
    """A month plans nothing and is no calendar entry; its date brings the first REQUEST and the rules."""
    desk.edit(moment=MONTH)
    desk.join()
    assert desk.at(desk.hands.now + HOUR) == ["anahit You are registered"]
    assert b"VCALENDAR" not in desk.server.mails[0].data
    desk.move(date(2024, 3, 12))
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Date fixed"]
    assert invitation(desk.server.mails[0].message)[0] == "REQUEST"
    assert desk.at(datetime.fromisoformat("2024-03-11T16:00+00:00")) == ["anahit Reminder"]


# ---- time zones


def test_one_day_is_the_same_hour_across_a_change_of_the_clocks(desk: Desk) -> None:
    """Days are civil: a day before noon is noon, though 23 hours lie between."""
    desk.move(date(2024, 3, 10))
    desk.join()
    desk.hands.work()
    assert desk.at(datetime.fromisoformat("2024-03-09T16:59:59+00:00")) == []
    assert desk.at(datetime.fromisoformat("2024-03-09T17:00:00+00:00")) == ["anahit Reminder"]


def test_new_time_zone_data_moves_what_lies_ahead_and_tells(desk: Desk) -> None:
    """The wall time is the truth: a moved instant re-plans, raises the number and is told."""
    desk.join()
    desk.hands.work()
    old = START + HOUR  # as an older database would have had it
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        found.starts_at, found.tzdata = old, "1999z"
        session.scalars(select(SymposiumDate)).one().starts_at = old
        session.scalars(select(SymposiumVersion)).one().starts_at = old
        found.planned_at = None
        reminders.plan_all(session, desk.house, desk.hands.now)
    for moved in (1, 0):
        with desk.house.database.write() as session:
            assert symposia.rederive_all(session, desk.house, desk.hands.now) == moved
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Changed"]
    assert invitation(desk.server.mails[0].message) == ("REQUEST", 1, START)
    assert desk.at(START - DAY) == ["anahit Reminder"]


def test_a_reader_s_night_is_kept_and_a_changed_zone_is_followed(desk: Desk) -> None:
    """Where the zone is known a long lead waits for the morning; a short one does not."""
    sydney = desk.join("sydney@example.org", "Australia/Sydney")
    desk.join("nowhere@example.org")
    desk.hands.work()
    assert desk.at(START - DAY) == ["nowhere Reminder"]  # 04:00 in Sydney
    assert desk.at(START - DAY + 4 * HOUR) == ["sydney Reminder"]
    with desk.house.database.write() as session:
        session.get_one(Registration, sydney).zone = "America/New_York"
        session.get_one(Symposium, desk.symposium).planned_at = None
        reminders.plan_all(session, desk.house, desk.hands.now)
    assert desk.at(START - HOUR) == ["nowhere Reminder", "sydney Reminder"]


# ---- after the end


def test_a_follow_up_is_a_draft_until_a_person_approves_it(desk: Desk, tmp_path: Path) -> None:
    """Without the recording nothing follows by itself; attended, absent and unknown are told apart."""
    with RecordingServer(tmp_path) as recording:
        approve_and_look(desk, recording)


def approve_and_look(desk: Desk, recording: RecordingServer) -> None:
    numbers = {name: desk.join(f"{name}@example.org") for name in ("came", "absent", "unknown")}
    desk.hands.work()
    assert desk.at(START + 3 * HOUR) == []
    with desk.house.database.write() as session:
        session.get_one(Registration, numbers["came"]).attendance = Attendance.ATTENDED
        session.get_one(Registration, numbers["absent"]).attendance = Attendance.ABSENT
        found = session.get_one(Symposium, desk.symposium)
        symposia.approve_follow_up(
            session,
            desk.house,
            found,
            recording_url=recording.url,
            actor="test",
            now=desk.hands.now,
        )
    assert desk.recording_answers(recording) == 1
    assert desk.at(desk.hands.now + MINUTE) == [
        "absent We missed you",
        "came Thank you for taking part",
        "unknown After the symposium",
    ]
    for mail in desk.server.mails:
        assert recording.url in mail.message.get_body(("plain",)).get_content()
        assert mail.message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert desk.at(desk.hands.now + HOUR) == []


def test_a_follow_up_for_those_who_came_reaches_nobody_else(desk: Desk) -> None:
    """Who is asked at the claim too: a correction of the list in between counts."""
    came, other = desk.join("came@example.org"), desk.join("other@example.org")
    desk.hands.work()
    desk.rule("after end 45 minutes attended")
    with desk.house.database.write() as session:
        for number in (came, other):
            session.get_one(Registration, number).attendance = Attendance.ATTENDED
        found = session.get_one(Symposium, desk.symposium)
        symposia.approve_follow_up(
            session, desk.house, found, recording_url=None, actor="test", now=desk.hands.now
        )
    with desk.house.database.write() as session:
        session.get_one(Registration, other).attendance = Attendance.ABSENT
    assert desk.at(START + HOUR + 44 * MINUTE) == []
    assert desk.at(START + HOUR + 45 * MINUTE) == ["came Thank you for taking part"]
    assert desk.reasons(MailingKind.FOLLOW_UP) == [SkipReason.ATTENDANCE.value]


# ---- and what else


def test_one_row_that_fails_does_not_stop_the_others(desk: Desk) -> None:
    """Rows stand alone: an address that cannot be opened fails by itself."""
    desk.join("broken@example.org")
    desk.join("whole@example.org")
    desk.hands.work()
    with desk.house.database.write() as session:
        broken = session.scalars(select(Subscriber).order_by(Subscriber.id)).first()
        assert broken is not None
        broken.address = b"\x00" * 40
    assert desk.at(START - DAY) == ["whole Reminder"]
    with desk.house.database.read() as session:
        states = session.scalars(select(Delivery.state).where(Delivery.state == DeliveryState.FAILED)).all()
    assert len(states) >= 1


def test_a_paused_or_stopped_reminder_stays_so_when_it_is_planned_again(desk: Desk) -> None:
    """Planning takes back what a move or a rule had set aside, never what a person has stopped."""
    desk.join()
    desk.hands.work()
    with desk.house.database.write() as session:
        found = mailings.find(session, f"symposium:{desk.symposium}:reminder:1d:r1")
        mailings.cancel(session, found, actor="test", now=desk.hands.now)
        session.get_one(Symposium, desk.symposium).planned_at = None
        reminders.plan_all(session, desk.house, desk.hands.now)
    desk.join("second@example.org")
    assert "anahit Reminder" not in desk.at(START - DAY)
    with desk.house.database.read() as session:
        assert mailings.find(session, f"symposium:{desk.symposium}:reminder:1d:r1").state is (
            MailingState.CANCELLED
        )


def test_rules_of_a_series_hold_for_its_symposia(desk: Desk) -> None:
    """The first rules that exist hold: the symposium's own, its series', all others'."""
    desk.join()
    desk.hands.work()
    with desk.house.database.write() as session:
        series = Series(key="prevention", name="Year of Prevention")
        session.add(series)
        session.flush()
        session.get_one(Symposium, desk.symposium).series_id = series.id
        rules.add(
            session,
            desk.house,
            Owner(series=series),
            "before 3 days at 18:00",
            actor="test",
            now=desk.hands.now,
        )
    with desk.house.database.write() as session:
        reminders.plan_all(session, desk.house, desk.hands.now)
    assert desk.at(START - 3 * DAY + 6 * HOUR) == ["anahit Reminder"]
    assert desk.at(START - DAY) == []
    with desk.house.database.read() as session:
        assert session.scalars(
            select(ReminderRule.clock).where(ReminderRule.series_id.is_not(None))
        ).all() == [time(18)]
