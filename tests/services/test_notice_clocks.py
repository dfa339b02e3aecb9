"""A notice of a move says the old and the new time, each on the symposium's clock and on the reader's."""

from datetime import date

import pytest

from mailer.services.programme.dates import Moment
from mailer.vocabulary import Precision
from tests.services.conftest import PAUSE
from tests.services.symposium_desk import Desk
from tests.services.test_registration_running import text_of

MONTH = Moment(precision=Precision.MONTH, day=date(2024, 4, 1), zone="America/New_York")


@pytest.mark.parametrize(
    ("zone", "old", "new"),
    [
        ("Asia/Yerevan", "Yerevan: 21:00, Friday, February 23", "Yerevan: 20:00, Friday, March 15"),
        ("Australia/Sydney", "Sydney: 04:00, Saturday, February 24", "Sydney: 03:00, Saturday, March 16"),
        (None, "UTC: 17:00, Friday, February 23", "UTC: 16:00, Friday, March 15"),
    ],
)
def test_both_times_stand_on_both_clocks(desk: Desk, zone: str | None, old: str, new: str) -> None:
    """In the weeks between two changes of the clocks the hour abroad is another, though it is noon here."""
    desk.join(zone=zone)
    desk.hands.work()
    desk.move(date(2024, 3, 15))
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Changed"]
    text = text_of(desk)
    before, now = (
        text.index("Before: Friday, February 23, 2024, 12 noon"),
        text.index("Friday, March 15, 2024"),
    )
    assert before < text.index(old) < now < text.index(new)
    html = desk.server.mails[0].message.get_body(("html",)).get_content()
    assert old in html
    assert new in html


def test_on_the_symposium_s_own_clock_no_other_is_named(desk: Desk) -> None:
    desk.join(zone="America/New_York")
    desk.hands.work()
    desk.move(date(2024, 3, 15))
    desk.at(desk.hands.now + PAUSE)
    assert text_of(desk).count("Your clock shows the same time.") == 2
    assert "New York:" not in text_of(desk)


def test_a_day_that_had_no_hour_has_no_other_clock(desk: Desk) -> None:
    desk.edit(moment=Moment(precision=Precision.DATE, day=date(2024, 2, 23), zone="America/New_York"))
    desk.join(zone="Asia/Yerevan")
    desk.hands.work()
    desk.move(date(2024, 3, 15))
    desk.at(desk.hands.now + PAUSE)
    assert text_of(desk).count("Yerevan:") == 1


def test_a_date_that_is_withdrawn_is_said_on_both_clocks(desk: Desk) -> None:
    desk.join(zone="Asia/Yerevan")
    desk.hands.work()
    desk.edit(moment=MONTH)
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Postponed"]
    assert "Yerevan: 21:00, Friday, February 23" in text_of(desk)
