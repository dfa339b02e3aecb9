"""What becomes of rows of reminders when people leave and come back, and when a date or a rule is left."""

from datetime import date, timedelta

from sqlalchemy import select

from mailer.db.audience import books
from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Registration, Symposium
from mailer.services.desk import mailings
from mailer.services.programme import places, symposia
from mailer.services.sending.claim import claim
from mailer.services.sending.sweep import journal_folder, sweep, worker_name
from mailer.smtp.journal import Journal
from mailer.vocabulary import DeliveryState, MailingKind, MailingState, RegistrationState, SkipReason
from tests.services.conftest import PAUSE
from tests.services.symposium_desk import Desk
from tests.services.test_symposia import DAY, HOUR, START

MINUTE = timedelta(minutes=1)
CANCELLED = (DeliveryState.CANCELLED, SkipReason.WITHDRAWN.value)
OPEN = (DeliveryState.PENDING, None)
LATE = (DeliveryState.SKIPPED, SkipReason.REGISTERED_LATE.value)


def leave(desk: Desk, number: int) -> None:
    with desk.house.database.write() as session:
        theirs = session.get_one(Registration, number)
        places.give_back(session, desk.house, theirs.symposium, theirs, desk.hands.now, mail=False)


def come_back(desk: Desk, number: int) -> None:
    with desk.house.database.write() as session:
        theirs = session.get_one(Registration, number)
        places.seat(session, desk.house, theirs.symposium, theirs, desk.hands.now, mail=False)


def rows(desk: Desk, number: int) -> list[tuple[DeliveryState, str | None]]:
    """Of their reminders, the longest lead first."""
    with desk.house.database.read() as session:
        found = session.execute(
            select(Delivery.state, Delivery.reason)
            .join(Mailing, Mailing.id == Delivery.mailing_id)
            .where(Delivery.registration_id == number, Mailing.kind == MailingKind.REMINDER)
            .order_by(Mailing.generation, Delivery.due_at)
        )
        return [(state, reason) for state, reason in found]


def state_of(desk: Desk, key: str) -> MailingState:
    with desk.house.database.read() as session:
        return mailings.find(session, f"symposium:{desk.symposium}:reminder:{key}").state


def test_who_withdraws_has_no_reminder_left_at_once(desk: Desk) -> None:
    leaves, stays = desk.join("leaves@example.org"), desk.join("stays@example.org")
    desk.hands.work()
    leave(desk, leaves)
    assert rows(desk, leaves) == [CANCELLED] * 3
    assert rows(desk, stays) == [OPEN] * 3
    assert desk.at(START - DAY) == ["stays Reminder"]


def test_who_comes_back_gets_what_is_still_ahead(desk: Desk) -> None:
    number = desk.join()
    desk.hands.work()
    leave(desk, number)
    desk.at(START - 7 * DAY + HOUR)
    come_back(desk, number)
    assert rows(desk, number) == [CANCELLED, OPEN, OPEN]
    assert desk.at(desk.hands.now) == []
    assert desk.at(START - DAY) == ["anahit Reminder"]
    assert desk.at(START - DAY) == []


def test_who_comes_back_from_another_city_keeps_off_its_night(desk: Desk) -> None:
    number = desk.join()
    desk.hands.work()
    leave(desk, number)
    desk.at(START - 7 * DAY + 8 * HOUR)
    with desk.house.database.write() as session:
        session.get_one(Registration, number).zone = "Australia/Sydney"
    come_back(desk, number)
    assert desk.at(START - DAY) == []  # 04:00 in Sydney
    assert desk.at(START - DAY + 4 * HOUR) == ["anahit Reminder"]


def test_planning_brings_nothing_back_for_who_has_left(desk: Desk) -> None:
    number = desk.join()
    desk.hands.work()
    leave(desk, number)
    with desk.house.database.write() as session:
        session.get_one(Symposium, desk.symposium).planned_at = None
    desk.plan()
    assert rows(desk, number) == [CANCELLED] * 3


def test_who_came_back_while_it_was_elsewhere_is_reminded_when_it_is_back(desk: Desk) -> None:
    number = desk.join()
    desk.hands.work()
    leave(desk, number)
    desk.move(date(2024, 3, 1))
    come_back(desk, number)
    assert rows(desk, number) == [CANCELLED] * 3 + [OPEN] * 3
    desk.move(date(2024, 2, 23))
    assert rows(desk, number)[:3] == [OPEN] * 3
    assert "anahit Reminder" in desk.at(START - DAY)


def test_what_a_worker_held_when_its_reader_withdrew_is_cancelled_when_it_comes_back(desk: Desk) -> None:
    number = desk.join()
    desk.at(START - 7 * DAY)
    desk.hands.now = START - DAY
    name = worker_name("send")
    journal = Journal.open(journal_folder(desk.house), name)
    with desk.house.database.write() as session:
        held = claim(session, desk.house, worker=name, now=desk.hands.now)
    assert len(held.held) == 1
    journal.about_to_send([(10**9, held.fence)])  # of another mail: an empty journal would be put away
    leave(desk, number)
    journal.close()  # it died before any dot
    assert desk.at(desk.hands.now + MINUTE) == []
    assert rows(desk, number)[1:] == [CANCELLED, CANCELLED]


def test_reminders_of_a_date_that_was_left_are_done(desk: Desk) -> None:
    desk.join()
    desk.hands.work()
    assert state_of(desk, "1d:r1") is MailingState.SCHEDULED
    desk.move(date(2024, 3, 1))
    assert state_of(desk, "1d:r1") is MailingState.DONE
    assert state_of(desk, "1d:r2") is MailingState.SCHEDULED
    desk.move(date(2024, 2, 23))
    assert state_of(desk, "1d:r1") is MailingState.SCHEDULED
    assert state_of(desk, "1d:r2") is MailingState.DONE
    desk.hands.now += PAUSE
    assert desk.at(START - DAY) == ["anahit Reminder"]


def test_who_joins_after_a_return_has_rows_in_reminders_that_were_done(desk: Desk) -> None:
    desk.hands.work()
    desk.move(date(2024, 3, 1))
    desk.move(date(2024, 2, 23))
    desk.join()
    desk.hands.work()
    assert desk.at(START - DAY) == ["anahit Reminder"]


def test_reminders_of_a_rule_that_was_removed_or_a_symposium_called_off_are_done(desk: Desk) -> None:
    desk.join()
    desk.hands.work()
    desk.rule("before 2 days")  # its own rules hold from now on
    assert state_of(desk, "1d:r1") is MailingState.DONE
    assert state_of(desk, "2d:r1") is MailingState.SCHEDULED
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        symposia.call_off(session, desk.house, found, reason=None, actor="test", now=desk.hands.now)
    assert state_of(desk, "2d:r1") is MailingState.DONE


def test_a_reminder_in_a_worker_s_hands_when_its_date_is_left_is_done_after_it(desk: Desk) -> None:
    desk.join()
    desk.at(START - 7 * DAY)
    desk.hands.now = START - DAY
    name = worker_name("send")
    journal = Journal.open(journal_folder(desk.house), name)
    with desk.house.database.write() as session:
        fence = claim(session, desk.house, worker=name, now=desk.hands.now).fence
    journal.about_to_send([(10**9, fence)])
    desk.move(date(2024, 3, 8))
    assert state_of(desk, "1d:r1") is MailingState.SCHEDULED
    assert state_of(desk, "1h:r1") is MailingState.DONE
    journal.close()
    desk.at(desk.hands.now + MINUTE)
    sweep(desk.house, desk.hands.now + MINUTE)
    assert state_of(desk, "1d:r1") is MailingState.DONE
    with desk.house.database.read() as session:
        old = mailings.find(session, f"symposium:{desk.symposium}:reminder:1d:r1")
        assert books(session, old.id).skipped == {SkipReason.DATE_MOVED.value: 1}


def test_a_paused_reminder_of_a_date_that_was_left_stays_paused(desk: Desk) -> None:
    """A person has paused it: when the date is back it is still for them to let it go."""
    desk.join()
    desk.hands.work()
    key = f"symposium:{desk.symposium}:reminder:1d:r1"
    with desk.house.database.write() as session:
        mailings.pause(session, mailings.find(session, key), actor="test", now=desk.hands.now)
    desk.move(date(2024, 3, 1))
    desk.move(date(2024, 2, 23))
    assert state_of(desk, "1d:r1") is MailingState.PAUSED
    with desk.house.database.read() as session:
        states = session.scalars(select(Registration.state)).all()
    assert states == [RegistrationState.CONFIRMED]
