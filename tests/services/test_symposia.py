"""A symposium's life: registration, reminders, moving, calling off; every mail read from a real server."""

from datetime import date, datetime, timedelta
from email.message import EmailMessage

import pytest
from icalendar import Calendar
from sqlalchemy import select

from mailer.db.audience import books
from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Symposium
from mailer.services.audience import unsubscribe
from mailer.services.desk import mailings
from mailer.services.house import House
from mailer.services.programme import reminders, symposia
from mailer.services.programme.register import Attendee, register
from mailer.services.programme.symposia import SymposiumRefusal
from mailer.vocabulary import ConsentSource, MailingKind
from tests.services.conftest import PAUSE, Hands, noon
from tests.smtp_server import MailServer

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime.fromisoformat("2024-02-23T17:00+00:00")


def join(house: House, hands: Hands, symposium: int, address: str, zone: str | None = None) -> int:
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        attendee = Attendee(address=address, name="Anahit", zone=zone)
        return register(session, house, found, attendee, hands.now).id


def plan(house: House, hands: Hands) -> int:
    with house.database.write() as session:
        return reminders.plan_all(session, house, hands.now)


def move(house: House, hands: Hands, symposium: int, day: date, hour: int) -> bool:
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        return symposia.move(session, house, found, noon(day, hour), actor="test", now=hands.now) is not None


def invitation(message: EmailMessage) -> tuple[str, int, datetime]:
    """METHOD, SEQUENCE and start of the calendar part; both copies must be the same octets."""
    inline = [part for part in message.walk() if part.get_content_type() == "text/calendar"]
    attached = [part for part in message.walk() if part.get_content_type() == "application/ics"]
    (one,), (other,) = inline, attached
    assert one.get_payload(decode=True) == other.get_payload(decode=True)
    calendar = Calendar.from_ical(one.get_payload(decode=True))
    assert calendar["METHOD"] == one.get_param("method")
    (event,) = calendar.events
    return str(calendar["METHOD"]), int(event["SEQUENCE"]), event["DTSTART"].dt


def test_a_registration_is_confirmed_with_an_invitation(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    first = join(house, hands, symposium, "anahit@example.org", "Asia/Yerevan")
    assert join(house, hands, symposium, "ANAHIT@example.org") == first
    assert hands.work() == 1
    (mail,) = server.mails
    assert invitation(mail.message) == ("REQUEST", 0, START)
    assert "List-Unsubscribe" not in mail.message
    text = mail.message.get_body(("plain",)).get_content()
    assert "12 noon" in text
    assert "Yerevan: 21:00, Friday, February 23" in text
    assert text.index("12 noon") < text.index("Yerevan: 21:00")


def test_reminders_leave_a_week_a_day_and_an_hour_before_and_never_twice(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    join(house, hands, symposium, "anahit@example.org", "Asia/Yerevan")
    assert plan(house, hands) == 3
    assert plan(house, hands) == 0
    hands.work()
    server.mails.clear()

    hands.now = START - 7 * DAY
    assert hands.work() == 1
    hands.now = START - DAY - timedelta(seconds=1)
    assert hands.work() == 0
    hands.now = START - DAY
    assert hands.work() == 1
    assert hands.work() == 0
    hands.now = START - HOUR
    assert hands.work() == 1
    hands.now = START + HOUR
    assert hands.work() == 0
    assert len(server.mails) == 3
    reminder = server.mails[0].message
    assert reminder["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert reminder["Auto-Submitted"] == "auto-generated"


def test_who_registers_after_a_reminder_was_due_is_left_out_of_it_by_name(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    plan(house, hands)
    hands.work()
    hands.now = START - DAY + HOUR
    join(house, hands, symposium, "late@example.org")
    hands.work()
    with house.database.read() as session:
        mailing = mailings.find(session, f"symposium:{symposium}:reminder:1d:r1")
        assert books(session, mailing.id).skipped == {"registered_late": 1}
    assert [mail.recipient for mail in server.mails] == ["late@example.org"]


def test_a_reminder_whose_time_passed_while_the_machine_was_off_is_not_sent(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    join(house, hands, symposium, "anahit@example.org")
    plan(house, hands)
    hands.work()
    server.mails.clear()
    hands.now = START - DAY + timedelta(hours=6, seconds=1)
    assert hands.work() == 0
    with house.database.read() as session:
        mailing = mailings.find(session, f"symposium:{symposium}:reminder:1d:r1")
        assert books(session, mailing.id).skipped == {"too_late": 1}
    hands.now = START - HOUR
    assert hands.work() == 1


def test_a_moved_symposium_tells_everyone_once_and_takes_its_reminders_along(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    join(house, hands, symposium, "anahit@example.org", "Asia/Yerevan")
    plan(house, hands)
    hands.work()
    server.mails.clear()

    assert move(house, hands, symposium, date(2024, 3, 1), 12)
    assert not move(house, hands, symposium, date(2024, 3, 1), 12)
    assert hands.work() == 0
    hands.now += PAUSE
    assert hands.work() == 1
    (notice,) = server.mails
    method, sequence, start = invitation(notice.message)
    assert (method, sequence, start) == ("REQUEST", 1, START + 7 * DAY)
    text = notice.message.get_body(("plain",)).get_content()
    assert "Friday, February 23, 2024" in text
    assert "Friday, March 1, 2024" in text
    server.mails.clear()

    hands.now = START - DAY
    assert hands.work() == 0
    hands.now = START
    assert hands.work() == 1
    hands.now = START + 6 * DAY
    assert hands.work() == 1
    with house.database.read() as session:
        old = mailings.find(session, f"symposium:{symposium}:reminder:1d:r1")
        assert books(session, old.id).skipped == {"date_moved": 1}


def test_moved_by_an_hour_after_the_reminder_only_the_notice_goes(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    join(house, hands, symposium, "anahit@example.org")
    plan(house, hands)
    hands.work()
    hands.now = START - DAY
    hands.work()
    server.mails.clear()
    move(house, hands, symposium, date(2024, 2, 23), 13)
    hands.now += PAUSE
    assert hands.work() == 1
    hands.now = START - DAY + HOUR
    assert hands.work() == 0
    with house.database.read() as session:
        second = mailings.find(session, f"symposium:{symposium}:reminder:1d:r2")
        assert books(session, second.id).skipped == {"already_told": 1}
    hands.now = START
    assert hands.work() == 1


def test_moved_and_moved_back_before_anything_left_sends_nothing_and_reminds_as_planned(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    join(house, hands, symposium, "anahit@example.org")
    plan(house, hands)
    hands.work()
    server.mails.clear()
    move(house, hands, symposium, date(2024, 3, 1), 12)
    move(house, hands, symposium, date(2024, 2, 23), 12)
    hands.now += PAUSE
    assert hands.work() == 0
    hands.now = START - DAY
    assert hands.work() == 1
    assert [mail.recipient for mail in server.mails] == ["anahit@example.org"]


def test_a_symposium_called_off_stops_its_reminders_and_cancels_the_calendar_entry(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    join(house, hands, symposium, "anahit@example.org")
    plan(house, hands)
    hands.work()
    server.mails.clear()
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        for _ in range(2):
            symposia.call_off(
                session, house, found, reason="The speaker is ill.", actor="test", now=hands.now
            )
    assert hands.work() == 1
    method, sequence, _ = invitation(server.mails[0].message)
    assert (method, sequence) == ("CANCEL", 1)
    assert "The speaker is ill." in server.mails[0].message.get_body(("plain",)).get_content()
    hands.now = START - DAY
    assert hands.work() == 0
    with house.database.write() as session, pytest.raises(SymposiumRefusal):
        register(
            session,
            house,
            session.get_one(Symposium, symposium),
            Attendee(address="new@example.org"),
            hands.now,
        )


def test_an_open_question_keeps_a_symposium_from_being_announced(
    house: House, hands: Hands, symposium: int
) -> None:
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        found.questions = ["The year 2024 was inferred from the weekday."]
        with pytest.raises(SymposiumRefusal, match="symposium confirm"):
            symposia.announce_symposium(session, house, found, actor="test", now=hands.now)
        symposia.confirm(session, found, actor="test", now=hands.now)
        assert symposia.announce_symposium(session, house, found, actor="test", now=hands.now) == 3


def reminded(house: House, symposium: int, key: str) -> int:
    with house.database.read() as session:
        return books(session, mailings.find(session, f"symposium:{symposium}:reminder:{key}").id).audience


def test_who_registers_while_it_is_elsewhere_is_reminded_when_it_is_back(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    join(house, hands, symposium, "first@example.org")
    plan(house, hands)
    hands.work()
    move(house, hands, symposium, date(2024, 3, 1), 12)
    join(house, hands, symposium, "second@example.org")
    hands.work()
    move(house, hands, symposium, date(2024, 2, 23), 12)
    hands.work()
    assert reminded(house, symposium, "1d:r1") == 2


def test_who_registers_while_a_reminder_is_paused_joins_it(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    plan(house, hands)
    hands.work()
    key = f"symposium:{symposium}:reminder:1d:r1"
    with house.database.write() as session:
        mailings.pause(session, mailings.find(session, key), actor="test", now=hands.now)
    join(house, hands, symposium, "new@example.org")
    hands.work()
    with house.database.write() as session:
        mailings.resume(session, mailings.find(session, key), actor="test", now=hands.now)
    hands.work()
    assert reminded(house, symposium, "1d:r1") == 1


def test_who_takes_back_that_they_left_the_reminders_is_reminded(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    join(house, hands, symposium, "anahit@example.org")
    plan(house, hands)
    hands.work()
    with house.database.write() as session:
        delivery = session.scalars(
            select(Delivery.id)
            .join(Mailing, Mailing.id == Delivery.mailing_id)
            .where(Mailing.kind == MailingKind.REMINDER)
        ).first()
        token = house.unsubscribe_links(delivery or 0)[0].rsplit("/", 1)[1]
        unsubscribe.leave(session, house, token, ConsentSource.ONE_CLICK, hands.now)
    with house.database.write() as session:
        unsubscribe.undo(session, house, token, hands.now)
    hands.now = START - DAY
    assert hands.work() == 1
