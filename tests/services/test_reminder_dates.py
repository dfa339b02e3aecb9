"""Several dates, drafts and saves: what programs like this one confuse must not be confused here."""

from datetime import date, timedelta

from icalendar import Calendar
from sqlalchemy import select

from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Series, Symposium
from mailer.services.programme import calendars, reminders, rules
from mailer.services.programme.register import Attendee, register
from mailer.services.programme.rules import Owner
from mailer.vocabulary import MailingKind, SkipReason, SymposiumState
from tests.services.conftest import noon
from tests.services.symposium_desk import Desk
from tests.services.test_registration import put
from tests.services.test_registration_abuse import another
from tests.services.test_reminder_attacks import call_off
from tests.services.test_symposia import DAY, HOUR, START


def come(desk: Desk, symposium: int, address: str = "anahit@example.org") -> None:
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        register(session, desk.house, found, Attendee(address=address), desk.hands.now)


def second_date(desk: Desk) -> int:
    """March 22 in the same series, with one rule for both."""
    with desk.house.database.write() as session:
        series = Series(key="prevention", name="Year of Prevention")
        session.add(series)
        session.flush()
        rules.add(session, desk.house, Owner(series=series), "before 1 day", actor="test", now=desk.hands.now)
        number = series.id
    other = another(desk.house, desk.hands, noon(date(2024, 3, 22)), "The second")
    with desk.house.database.write() as session:
        for one in session.scalars(select(Symposium)).unique():
            one.series_id, one.planned_at = number, None
    desk.plan()
    return other


def uids(desk: Desk) -> set[str]:
    """Of the invitations that arrived since the last look."""
    found = set()
    for mail in desk.server.mails:
        (part,) = [one for one in mail.message.walk() if one.get_content_type() == "text/calendar"]
        (event,) = Calendar.from_ical(part.get_payload(decode=True)).events
        found.add(str(event["UID"]))
    return found


def test_each_date_of_a_series_reminds_of_itself(desk: Desk) -> None:
    """Not of the first one only; and what becomes of one leaves the other alone."""
    other = second_date(desk)
    for symposium in (desk.symposium, other):
        come(desk, symposium)
    desk.hands.work()
    assert desk.at(START - DAY) == ["anahit Reminder"]
    call_off(desk)
    assert desk.at(desk.hands.now) == ["anahit Called off"]
    assert desk.at(START + 27 * DAY - HOUR) == ["anahit Reminder"]  # New York's summer time has begun
    assert SkipReason.SYMPOSIUM_CANCELLED.value not in desk.reasons()  # its only reminder had left


def test_an_entry_is_the_same_for_everybody_and_in_every_file(desk: Desk) -> None:
    """One for each date, for life: in mails, in the download and in feeds."""
    other = second_date(desk)
    come(desk, desk.symposium)
    come(desk, desk.symposium, "boris@example.org")
    desk.at(desk.hands.now)
    first = uids(desk)
    come(desk, other)
    desk.at(desk.hands.now)
    second = uids(desk)
    assert len(first) == len(second) == 1
    assert first != second
    with desk.house.database.read() as session:
        feed = calendars.feed_of_all(session, desk.house)
        of_series = calendars.feed_of_series(session, desk.house, "prevention")
    for one in (feed, of_series):
        assert one is not None
        assert {str(event["UID"]) for event in Calendar.from_ical(one.octets).events} == first | second


def test_a_draft_reminds_nobody(desk: Desk) -> None:
    """Whoever is on a list of a draft hears nothing of it, whatever is planned."""
    desk.join()
    desk.hands.work()
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        found.state, found.planned_at = SymposiumState.DRAFT, None
        assert reminders.plan(session, desk.house, found, desk.hands.now) == 0
    assert desk.plan() == 0
    assert desk.at(START - DAY) == []


def due_times(desk: Desk) -> list[object]:
    with desk.house.database.read() as session:
        rows = session.execute(
            select(Mailing.key, Mailing.due_at, Delivery.due_at, Delivery.not_after)
            .join(Delivery, Delivery.mailing_id == Mailing.id)
            .where(Mailing.kind == MailingKind.REMINDER)
            .order_by(Mailing.key, Delivery.id)
        )
        return [tuple(row) for row in rows]


def test_saving_something_else_shifts_no_time(desk: Desk) -> None:
    desk.join(zone="Australia/Sydney")
    desk.join("nowhere@example.org")
    desk.hands.work()
    before = due_times(desk)
    assert len(before) == 6
    for change in (
        {"title": "Another title"},
        {"place": "Room 4"},
        {"speakers": ("Dr. A",)},
        {"capacity": 9},
    ):
        put(desk.house, desk.hands, desk.symposium, **change)
        desk.hands.now += timedelta(minutes=7)
    with desk.house.database.write() as session:
        session.get_one(Symposium, desk.symposium).planned_at = None
    desk.plan()
    assert due_times(desk) == before
