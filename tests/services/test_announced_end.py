"""An end that was announced is said wherever the time is; one that is our estimate is said nowhere."""

from datetime import date

import pytest

from mailer.db.programme import Symposium
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.services.programme.symposia import Edit
from mailer.vocabulary import EndSource
from tests.services.conftest import PAUSE, Hands, noon
from tests.services.test_calendar_mails import call_off, join, move
from tests.smtp_server import MailServer

NOON = "Friday, February 23, 2024, 12 noon Eastern Time (New York, UTC-5)"
UNTIL = "Friday, February 23, 2024, 12 noon to 1:30 PM Eastern Time (New York, UTC-5)"


@pytest.fixture
def announced(house: House, symposium: int) -> int:
    """The symposium with an end: half past one."""
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        found.minutes, found.end_source = 90, EndSource.ANNOUNCED
    return symposium


def lasts(house: House, hands: Hands, symposium: int, minutes: int) -> None:
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        symposia.edit(session, house, found, Edit(minutes=minutes), actor="test", now=hands.now)
    hands.now += PAUSE


def last_text(server: MailServer) -> str:
    part = server.mails[-1].message.get_body(("plain",))
    assert part is not None
    return " ".join(str(part.get_content()).split())


def test_a_confirmation_says_it_on_both_clocks(
    house: House, server: MailServer, hands: Hands, announced: int
) -> None:
    join(house, hands, announced)
    hands.work()
    assert f"{UNTIL} UTC: 17:00 to 18:30, Friday, February 23" in last_text(server)
    assert "estimate" not in last_text(server)


def test_an_estimate_is_not_said(house: House, server: MailServer, hands: Hands, symposium: int) -> None:
    join(house, hands, symposium)
    hands.work()
    assert f"{NOON} UTC: 17:00, Friday, February 23" in last_text(server)
    assert "its length in the calendar file is an estimate" in last_text(server)


def test_another_end_alone_is_one_thing_that_changed(
    house: House, server: MailServer, hands: Hands, announced: int
) -> None:
    join(house, hands, announced)
    hands.work()
    lasts(house, hands, announced, 120)
    assert hands.work() == 1
    text = last_text(server)
    assert "End Before: 1:30 PM Now: 2:00 PM When Friday, February 23, 2024, 12 noon to 2:00 PM" in text
    assert text.count("Before:") == 1


def test_a_first_end_has_no_earlier_one(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    join(house, hands, symposium)
    hands.work()
    lasts(house, hands, symposium, 90)
    assert hands.work() == 1
    assert f"End Now: 1:30 PM When {UNTIL}" in last_text(server)


def test_a_move_says_both_ends_within_the_times(
    house: House, server: MailServer, hands: Hands, announced: int
) -> None:
    join(house, hands, announced)
    hands.work()
    move(house, hands, announced, noon(date(2024, 3, 1), 14))
    lasts(house, hands, announced, 60)
    assert hands.work() == 1
    text = last_text(server)
    assert (
        f"When Before: {UNTIL} UTC: 17:00 to 18:30, Friday, February 23 "
        "Now: Friday, March 1, 2024, 2:00 PM to 3:00 PM Eastern Time (New York, UTC-5) "
        "UTC: 19:00 to 20:00, Friday, March 1"
    ) in text
    assert " End " not in text


def test_called_off_it_is_as_it_was_told(
    house: House, server: MailServer, hands: Hands, announced: int
) -> None:
    join(house, hands, announced)
    hands.work()
    lasts(house, hands, announced, 120)
    call_off(house, hands, announced)  # before anybody heard of two o'clock
    hands.work()
    assert UNTIL in last_text(server)
