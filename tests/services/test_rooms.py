"""An online symposium without a room: staff hear of it in time, and its reminder waits while it can."""

from datetime import timedelta

from mailer.services.incidents import open_incidents
from mailer.services.programme import rooms
from tests.services.symposium_desk import Desk
from tests.services.test_registration import put
from tests.services.test_registration_running import text_of
from tests.services.test_reminder_attacks import printed
from tests.services.test_symposia import DAY, HOUR, START

MINUTE = timedelta(minutes=1)
ROOM = "https://rooms.example.com/secret"


def incidents(desk: Desk) -> list[str]:
    with desk.house.database.write() as session:
        rooms.look(session, desk.hands.now)
    with desk.house.database.read() as session:
        return [one.words for one in open_incidents(session) if one.key.startswith("room:")]


def online(desk: Desk, **facts: object) -> int:
    put(desk.house, desk.hands, desk.symposium, online=True, **facts)
    number = desk.join()
    desk.hands.work()
    return number


def test_the_reminder_of_a_day_waits_for_the_room_and_then_leads_there(desk: Desk) -> None:
    number = online(desk)
    assert desk.at(START - 7 * DAY) == ["anahit Reminder"]  # a week before nobody needs it
    assert desk.at(START - DAY) == []
    assert "1 waiting" in printed(desk)
    assert "Waits for the way into the room." in " ".join(printed(desk).split())
    put(desk.house, desk.hands, desk.symposium, room=ROOM)
    assert desk.at(START - DAY + 2 * MINUTE) == ["anahit Reminder"]
    assert desk.house.join_url(number, 1) in text_of(desk).replace(" ", "")


def test_it_does_not_wait_until_it_is_too_late(desk: Desk) -> None:
    online(desk)
    desk.at(START - 7 * DAY)
    assert desk.at(START - DAY + 6 * HOUR - 6 * MINUTE) == []
    assert desk.at(START - DAY + 6 * HOUR - 5 * MINUTE) == ["anahit Reminder"]
    assert desk.at(START - HOUR) == []
    assert desk.at(START - HOUR / 2 - 4 * MINUTE) == ["anahit Reminder"]
    assert "/j/" not in text_of(desk)


def test_what_is_held_in_a_room_of_stone_or_registered_elsewhere_waits_for_nothing(desk: Desk) -> None:
    online(desk, register_url="https://tickets.example.com/1")
    assert desk.at(START - DAY) == ["anahit Reminder"]
    put(desk.house, desk.hands, desk.symposium, register_url="", online=False)
    assert desk.at(START - DAY + HOUR) == ["anahit Changed"]
    assert desk.at(START - HOUR) == ["anahit Reminder"]


def test_staff_are_told_a_day_before_and_no_more_once_it_is_said(desk: Desk) -> None:
    online(desk)
    desk.at(START - 2 * DAY)
    assert incidents(desk) == []
    desk.at(START - 26 * HOUR)
    (said,) = incidents(desk)
    assert "mailer symposium set identify --join-url URL" in said
    put(desk.house, desk.hands, desk.symposium, room=ROOM)
    assert incidents(desk) == []
    put(desk.house, desk.hands, desk.symposium, room="")
    assert len(incidents(desk)) == 1
    desk.hands.now = START
    assert incidents(desk) == []
