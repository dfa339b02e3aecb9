"""Every mail that carries a calendar entry, as it arrived: its structure, its two copies, its words."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage

import pytest
from sqlalchemy import select

from mailer.db.programme import Registration, Symposium
from mailer.db.seal import ROOM
from mailer.messages.calendar import END_NOT_ANNOUNCED
from mailer.messages.catalogues import LANGUAGES, end_estimated, still_open
from mailer.services.house import House
from mailer.services.programme import places, reminders, symposia
from mailer.services.programme.dates import Moment, set_moment
from mailer.services.programme.register import Attendee, register
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import MailingKind, Precision, SymposiumState
from tests.calendar_readers import ReadEvent, by_icalendar, open_libical
from tests.services.conftest import PAUSE, Hands, noon
from tests.smtp_server import MailServer, Taken

DAY = Moment(precision=Precision.DATE, day=date(2024, 2, 23))
MONTH = Moment(precision=Precision.MONTH, day=date(2024, 2, 1))
OPEN = Moment(precision=Precision.NONE)
AT_NOON = noon(date(2024, 2, 23))
START = datetime(2024, 2, 23, 17, tzinfo=UTC)
WITH_CALENDAR = [kind for kind in MailingKind if TRAITS[kind].calendar]
Change = Callable[[House, Hands, int], None]


def join(house: House, hands: Hands, symposium: int, language: str = "en") -> None:
    with house.database.write() as session:
        attendee = Attendee(address=f"reader-{language}@example.org", languages=(language,))
        register(session, house, session.get_one(Symposium, symposium), attendee, hands.now)


def put(house: House, hands: Hands, symposium: int, moment: Moment) -> None:
    """Another date before anybody was told one."""
    with house.database.write() as session:
        set_moment(session, session.get_one(Symposium, symposium), moment, hands.now)


def move(house: House, hands: Hands, symposium: int, moment: Moment) -> None:
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        symposia.move(session, house, found, moment, actor="test", now=hands.now)


def call_off(house: House, hands: Hands, symposium: int) -> None:
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        symposia.call_off(session, house, found, reason=None, actor="test", now=hands.now)


def withdraw(house: House, hands: Hands, symposium: int) -> None:
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        wanted = select(Registration).where(Registration.symposium_id == symposium)
        for registration in session.scalars(wanted).all():
            places.give_back(session, house, found, registration, hands.now)


def nothing(_house: House, _hands: Hands, _symposium: int) -> None:
    """A confirmation follows from registering alone."""


# What makes each kind leave, after everyone has registered. A new kind with a calendar must be added.
LEAVES: dict[MailingKind, Change] = {
    MailingKind.REGISTRATION_CONFIRMATION: nothing,
    MailingKind.CHANGE: lambda house, hands, symposium: move(house, hands, symposium, noon(date(2024, 3, 1))),
    MailingKind.DATE_FIXED: lambda house, hands, symposium: move(house, hands, symposium, AT_NOON),
    MailingKind.POSTPONED: lambda house, hands, symposium: move(house, hands, symposium, MONTH),
    MailingKind.CANCELLATION: call_off,
    MailingKind.WITHDRAWAL: withdraw,
}
CANCELS = {MailingKind.CANCELLATION, MailingKind.POSTPONED, MailingKind.WITHDRAWAL}


def parts_of(message: EmailMessage) -> list[EmailMessage]:
    return [part for part in message.iter_parts() if isinstance(part, EmailMessage)]


def object_of(taken: Taken) -> bytes:
    """The octets of the calendar object, after looking at the whole structure of the mail around them."""
    message = taken.message
    assert message.get_content_type() == "multipart/mixed"
    alternative, attachment = parts_of(message)
    assert alternative.get_content_type() == "multipart/alternative"
    kinds = [part.get_content_type() for part in parts_of(alternative)]
    assert kinds == ["text/plain", "text/html", "text/calendar"]
    inline = parts_of(alternative)[2]
    assert attachment.get_content_type() == "application/ics"
    assert (attachment.get_filename(), attachment.get_content_disposition()) == ("invite.ics", "attachment")
    assert inline.get_content_disposition() is None
    assert inline.get_param("charset") == "utf-8"
    for part in (inline, attachment):
        assert part["Content-Transfer-Encoding"] == "base64"
    octets = inline.get_payload(decode=True)
    assert isinstance(octets, bytes)
    assert octets == attachment.get_payload(decode=True)
    assert f"\r\nMETHOD:{inline.get_param('method')}\r\n".encode() in octets
    _check_octets(octets)
    return octets


def _check_octets(octets: bytes) -> None:
    assert octets.startswith(b"BEGIN:VCALENDAR\r\n")
    assert octets.endswith(b"END:VCALENDAR\r\n")
    assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
    for line in octets.split(b"\r\n"):
        assert len(line) <= 75
        line.decode("utf-8")  # no character is split by a fold
    unfolded = octets.replace(b"\r\n ", b"").decode()
    assert unfolded.index("METHOD:") < unfolded.index("BEGIN:VEVENT")
    assert "VALARM" not in unfolded
    assert "TZID" not in unfolded


def event_of(taken: Taken, method: str) -> ReadEvent:
    found = by_icalendar(object_of(taken))
    assert found.method == method
    (event,) = found.events
    return event


@pytest.mark.slow
@pytest.mark.parametrize("kind", WITH_CALENDAR, ids=lambda kind: kind.value)
def test_each_kind_carries_one_object_twice_in_every_language(
    house: House, server: MailServer, hands: Hands, symposium: int, kind: MailingKind
) -> None:
    libical = open_libical()
    if kind is MailingKind.DATE_FIXED:
        put(house, hands, symposium, MONTH)
    for language in LANGUAGES:
        join(house, hands, symposium, language)
    if LEAVES[kind] is not nothing:
        hands.work()
        server.mails.clear()
    LEAVES[kind](house, hands, symposium)
    hands.now += PAUSE
    assert hands.work() == len(LANGUAGES)
    method = "CANCEL" if kind in CANCELS else "REQUEST"
    for taken in server.mails:
        event = event_of(taken, method)
        assert event.attendees == (f"mailto:{taken.recipient}",)
        assert event.organizer == f"mailto:{house.settings.from_address}"
        assert house.settings.from_address in str(taken.message["From"])
        assert libical.complaints(object_of(taken)) == []
    assert len({event_of(taken, method).uid for taken in server.mails}) == 1


def test_mails_of_other_kinds_carry_none(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    join(house, hands, symposium)
    with house.database.write() as session:
        reminders.plan_all(session, house, hands.now)
    hands.work()
    server.mails.clear()
    hands.now = START - timedelta(days=1)
    assert hands.work() == 1
    assert server.mails[0].message.get_content_type() == "multipart/alternative"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_day_without_an_hour_is_a_tentative_day_and_says_so(
    house: House, server: MailServer, hands: Hands, symposium: int, language: str
) -> None:
    put(house, hands, symposium, DAY)
    join(house, hands, symposium, language)
    assert hands.work() == 1
    event = event_of(server.mails[0], "REQUEST")
    assert (event.starts, event.ends, event.status) == (date(2024, 2, 23), date(2024, 2, 24), "TENTATIVE")
    assert event.description == still_open(language, day_known=True)
    text = server.mails[0].message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "/symposia/identify.ics" in text
    assert "/time/identify" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_end_nobody_announced_is_said_to_be_an_estimate(
    house: House, server: MailServer, hands: Hands, symposium: int, language: str
) -> None:
    join(house, hands, symposium, language)
    hands.work()
    event = event_of(server.mails[0], "REQUEST")
    assert (event.starts, event.ends, event.status) == (START, START + timedelta(hours=1), "CONFIRMED")
    assert event.description == end_estimated(language)
    assert (event.description == END_NOT_ANNOUNCED) == (language == "en")


@pytest.mark.parametrize("moment", [MONTH, OPEN], ids=["month", "open"])
def test_less_than_a_day_is_no_entry(
    house: House, server: MailServer, hands: Hands, symposium: int, moment: Moment
) -> None:
    put(house, hands, symposium, moment)
    join(house, hands, symposium)
    assert hands.work() == 1
    message = server.mails[0].message
    assert message.get_content_type() == "multipart/alternative"
    assert b"VCALENDAR" not in server.mails[0].data
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert ".ics" not in text


def test_the_entry_follows_from_the_day_to_the_hour_and_to_the_end(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, DAY)
    join(house, hands, symposium)
    hands.work()
    hands.now += timedelta(hours=1)
    move(house, hands, symposium, AT_NOON)
    hands.now += PAUSE
    hands.work()
    hands.now += timedelta(hours=1)
    call_off(house, hands, symposium)
    hands.work()
    day, hour, off = (
        event_of(taken, method)
        for taken, method in zip(server.mails, ("REQUEST", "REQUEST", "CANCEL"), strict=True)
    )
    assert day.uid == hour.uid == off.uid
    assert (day.sequence, hour.sequence, off.sequence) == (0, 1, 2)
    assert day.stamp < hour.stamp < off.stamp
    assert (day.starts, hour.starts, off.starts) == (date(2024, 2, 23), START, START)
    assert (day.status, hour.status, off.status) == ("TENTATIVE", "CONFIRMED", "CANCELLED")


@pytest.mark.parametrize("first", [AT_NOON, DAY], ids=["hour", "day"])
def test_a_day_that_is_withdrawn_takes_its_entry_back_and_a_new_one_brings_it_again(
    house: House, server: MailServer, hands: Hands, symposium: int, first: Moment
) -> None:
    put(house, hands, symposium, first)
    join(house, hands, symposium)
    hands.work()
    move(house, hands, symposium, MONTH)
    hands.now += PAUSE
    hands.work()
    move(house, hands, symposium, noon(date(2024, 3, 1)))
    hands.now += PAUSE
    hands.work()
    sent, back, again = (
        event_of(taken, method)
        for taken, method in zip(server.mails, ("REQUEST", "CANCEL", "REQUEST"), strict=True)
    )
    assert sent.uid == back.uid == again.uid
    assert (back.starts, back.ends, back.status) == (sent.starts, sent.ends, "CANCELLED")
    assert sent.sequence < back.sequence < again.sequence
    text = server.mails[1].message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "If the old date still stands in your calendar, please remove it there." in " ".join(text.split())
    assert ".ics" not in text


@pytest.mark.parametrize("told", [True, False], ids=["told of the month", "not told yet"])
def test_called_off_without_a_day_takes_back_only_what_was_sent(
    house: House, server: MailServer, hands: Hands, symposium: int, told: bool
) -> None:
    join(house, hands, symposium)
    hands.work()
    move(house, hands, symposium, MONTH)
    if told:
        hands.now += PAUSE
        hands.work()
    server.mails.clear()
    call_off(house, hands, symposium)
    assert hands.work() == 1
    if told:  # the notice of the month has taken the entry back already
        assert server.mails[0].message.get_content_type() == "multipart/alternative"
    else:
        assert event_of(server.mails[0], "CANCEL").starts == START


def test_a_month_that_becomes_a_day_brings_the_first_request(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, MONTH)
    join(house, hands, symposium)
    hands.work()
    server.mails.clear()
    move(house, hands, symposium, AT_NOON)
    hands.now += PAUSE
    assert hands.work() == 1
    assert event_of(server.mails[0], "REQUEST").starts == START


def test_who_waits_for_a_place_gets_no_entry(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    with house.database.write() as session:
        session.get_one(Symposium, symposium).capacity = 1
    for language in ("en", "hy"):
        join(house, hands, symposium, language)
    hands.work()
    kinds = {taken.recipient[7:9]: taken.message.get_content_type() for taken in server.mails}
    assert kinds == {"en": "multipart/mixed", "hy": "multipart/alternative"}
    server.mails.clear()
    move(house, hands, symposium, MONTH)
    hands.work()
    assert not any(b"VCALENDAR" in taken.data for taken in server.to("reader-hy@example.org"))


def test_a_way_into_the_meeting_never_travels_in_the_file(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        found.place = "Online: https://meet.example.org/j/83412?pwd=q1w2e3"
        found.room = house.vault.seal(ROOM, found.id, "https://meet.example.org/j/83412?pwd=q1w2e3")
        assert found.state is SymposiumState.ANNOUNCED
    hands.now = START - timedelta(hours=3)
    join(house, hands, symposium)
    hands.work()
    text = server.mails[0].message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert f"{house.settings.base_url}/j/" in text  # the way in stands in the mail
    octets = object_of(server.mails[0]).replace(b"\r\n ", b"").decode()
    assert "LOCATION:Online\r\n" in octets
    links = re.findall(r"[a-z]+://\S+", octets)
    assert links == ["https://mailer.example.org/symposia/identify"]


@pytest.mark.parametrize(("room", "where"), [(None, False), ("https://meet.example.org/j/1", True)])
def test_a_place_nobody_named_is_not_made_up(
    house: House, server: MailServer, hands: Hands, symposium: int, room: str | None, where: bool
) -> None:
    if room is not None:
        with house.database.write() as session:
            found = session.get_one(Symposium, symposium)
            found.room = house.vault.seal(ROOM, found.id, room)
    join(house, hands, symposium)
    hands.work()
    text = server.mails[0].message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert ("\nWhere" in text.replace("\r", "")) == where
    assert ("\nOnline" in text.replace("\r", "")) == where
