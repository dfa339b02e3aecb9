"""Places: never one too many, the longest waiting first, and every mail that is owed really sent."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from icalendar import Calendar
from sqlalchemy import func, select

from mailer.db.mailings import Mailing
from mailer.db.programme import Registration, Symposium
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import places, symposia
from mailer.services.programme.register import Attendee, register
from mailer.services.programme.symposia import SymposiumRefusal
from mailer.services.registration import details, joining, request, self_service, setting
from mailer.services.registration.details import Details
from mailer.services.registration.setting import Facts
from mailer.vocabulary import Link, SuppressionReason
from tests.services.conftest import Hands
from tests.smtp_server import MailServer

START = datetime.fromisoformat("2024-02-23T17:00+00:00")


def put(house: House, hands: Hands, symposium: int, **facts: object) -> setting.Set:
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        return setting.set_facts(
            session,
            house,
            found,
            Facts(**facts),
            actor="test",
            now=hands.now,  # type: ignore[arg-type]
        )


def join(house: House, hands: Hands, symposium: int, *names: str, zone: str | None = None) -> list[int]:
    numbers = []
    for name in names:
        with house.database.write() as session:
            attendee = Attendee(address=f"{name}@example.org", name=name.title(), zone=zone)
            found = session.get_one(Symposium, symposium)
            numbers.append(register(session, house, found, attendee, hands.now).id)
    return numbers


def token(house: House, registration: int) -> str:
    return house.registration_url(registration).rsplit("/", 1)[1]


def cancel(house: House, hands: Hands, registration: int) -> bool:
    with house.database.write() as session:
        return self_service.cancel(session, house, token(house, registration), hands.now)


def states(house: House, symposium: int) -> list[str]:
    with house.database.read() as session:
        rows = session.scalars(
            select(Registration.state).where(Registration.symposium_id == symposium).order_by(Registration.id)
        )
        return [state.value for state in rows]


def told(server: MailServer) -> list[tuple[str, str, str | None]]:
    """(to whom, how the subject begins, METHOD) of the mails since the last look."""
    found = []
    for mail in server.mails:
        parts = [part for part in mail.message.walk() if part.get_content_type() == "text/calendar"]
        method = str(Calendar.from_ical(parts[0].get_payload(decode=True))["METHOD"]) if parts else None
        found.append((mail.recipient.split("@")[0], str(mail.message["Subject"]).split(":")[0], method))
    server.mails.clear()
    return sorted(found)


def test_beyond_the_capacity_people_wait_and_carry_no_invitation(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=1)
    join(house, hands, symposium, "anna", "boris")
    hands.work()
    assert states(house, symposium) == ["confirmed", "waiting"]
    assert told(server) == [
        ("anna", "You are registered", "REQUEST"),
        ("boris", "On the waiting list", None),
    ]


def test_who_waits_longest_moves_up_when_a_place_becomes_free(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=1)
    numbers = join(house, hands, symposium, "anna", "boris", "clara")
    hands.work()
    told(server)
    assert cancel(house, hands, numbers[0])
    assert not cancel(house, hands, numbers[0])
    assert states(house, symposium) == ["withdrawn", "confirmed", "waiting"]
    hands.work()
    text = next(mail for mail in server.mails if mail.recipient.startswith("boris"))
    assert "A place has become free" in text.message.get_body(("plain",)).get_content()
    assert told(server) == [
        ("anna", "Registration cancelled", "CANCEL"),
        ("boris", "You are registered", "REQUEST"),
    ]


def test_more_capacity_moves_people_up_and_less_takes_nobodys_place(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=1)
    join(house, hands, symposium, "anna", "boris", "clara", "dora")
    assert put(house, hands, symposium, capacity=3).moved_up == 2
    assert states(house, symposium) == ["confirmed", "confirmed", "confirmed", "waiting"]
    assert put(house, hands, symposium, capacity=1).over == 2
    assert states(house, symposium) == ["confirmed", "confirmed", "confirmed", "waiting"]
    assert put(house, hands, symposium, capacity=0).moved_up == 1


def test_nobody_moves_up_after_the_start(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=1)
    numbers = join(house, hands, symposium, "anna", "boris")
    hands.now = START
    cancel(house, hands, numbers[0])
    assert places.move_up_everywhere(house, hands.now) == 0
    assert states(house, symposium) == ["withdrawn", "waiting"]


def test_the_sweep_gives_what_a_lost_moment_left(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=1)
    join(house, hands, symposium, "anna", "boris")
    with house.database.write() as session:
        session.get_one(Symposium, symposium).capacity = 2
    assert places.move_up_everywhere(house, hands.now) == 1
    assert places.move_up_everywhere(house, hands.now) == 0


def test_a_newcomer_does_not_pass_those_who_wait(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=1)
    join(house, hands, symposium, "anna", "boris")
    with house.database.write() as session:
        session.get_one(Symposium, symposium).capacity = 2
    join(house, hands, symposium, "clara")
    assert states(house, symposium) == ["confirmed", "confirmed", "waiting"]


def test_who_cannot_be_mailed_is_passed_over_and_keeps_their_turn(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=1)
    numbers = join(house, hands, symposium, "anna", "boris", "clara")
    with house.database.write() as session:
        people.suppress(session, house, "boris@example.org", SuppressionReason.BOUNCE, hands.now)
    cancel(house, hands, numbers[0])
    assert states(house, symposium) == ["withdrawn", "waiting", "confirmed"]


def test_without_a_waiting_list_the_next_one_is_refused(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=1, waiting_list=False)
    with pytest.raises(SymposiumRefusal, match="waiting-list"):
        join(house, hands, symposium, "anna", "boris")


def test_who_withdraws_before_an_invitation_left_gets_no_cancel(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    (number,) = join(house, hands, symposium, "anna")
    cancel(house, hands, number)
    hands.work()
    assert told(server) == [("anna", "Registration cancelled", None)]


def test_the_calendars_number_rises_with_each_withdrawal_and_return(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    sequences = []
    for _ in range(3):
        (number,) = join(house, hands, symposium, "anna")
        hands.work()
        cancel(house, hands, number)
        hands.work()
    for mail in server.mails:
        (part,) = [part for part in mail.message.walk() if part.get_content_type() == "text/calendar"]
        (event,) = Calendar.from_ical(part.get_payload(decode=True)).events
        sequences.append(int(event["SEQUENCE"]))
    assert sequences == [0, 1, 2, 3, 4, 5]


def together(count: int, work: Callable[[int], None]) -> None:
    """Do it in so many threads at once; what one of them raises is raised here."""
    gate, problems = threading.Barrier(count), list[BaseException]()

    def run(number: int) -> None:
        try:
            gate.wait()
            work(number)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []


def test_many_at_once_never_get_one_place_too_many(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=5)
    together(12, lambda number: [join(house, hands, symposium, f"guest{number}"), None][1])
    assert sorted(states(house, symposium)) == ["confirmed"] * 5 + ["waiting"] * 7


def test_coming_and_going_at_once_keeps_every_place_taken(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=4)
    first = join(house, hands, symposium, *(f"first{number}" for number in range(6)))

    def work(number: int) -> None:
        if number < 4:
            cancel(house, hands, first[number])
        else:
            join(house, hands, symposium, f"second{number}")
        places.move_up_everywhere(house, hands.now)

    together(10, work)
    found = states(house, symposium)
    assert (found.count("withdrawn"), found.count("confirmed"), found.count("waiting")) == (4, 4, 4)
    with house.database.read() as session:
        confirmations = session.scalar(
            select(func.count()).where(Mailing.key.like("registration:%:confirmation:%"))
        )
        assert confirmations == 8


def test_one_person_at_once_by_many_doors_is_one_registration(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    together(8, lambda _number: [join(house, hands, symposium, "anna"), None][1])
    assert states(house, symposium) == ["confirmed"]
    hands.work()
    assert len(server.mails) == 1


def test_language_and_zone_of_a_registration_rule_its_mails(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    (number,) = join(house, hands, symposium, "anna", zone="Asia/Yerevan")
    hands.work()
    server.mails.clear()
    with house.database.write() as session:
        own = token(house, number)
        assert self_service.change(session, house, own, language="fr", zone="Australia/Sydney", now=hands.now)
        assert self_service.again(session, house, own, hands.now)
    hands.work()
    (mail,) = server.mails
    text = mail.message.get_body(("plain",)).get_content()
    assert "Sydney" in text
    assert "Votre inscription" in text


def test_the_way_into_the_room_stands_in_the_confirmation_from_a_day_before(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, room="https://rooms.example.com/secret")
    (early,) = join(house, hands, symposium, "anna")
    hands.work()
    hands.now = START - timedelta(hours=23)
    (late,) = join(house, hands, symposium, "boris")
    hands.work()
    first, second = (mail.message.get_body(("plain",)).get_content() for mail in server.mails)
    door = house.join_url(late, 1)
    assert "/j/" not in first
    assert door in second.replace("\n", "")
    assert all(b"rooms.example.com" not in mail.data for mail in server.mails)
    invite = next(
        part for part in server.mails[1].message.walk() if part.get_content_type() == "text/calendar"
    )
    assert "/j/" not in invite.get_content()
    server.mails.clear()
    with house.database.write() as session:
        registration = session.get_one(Registration, early)
        joining.revoke(session, registration)
        assert self_service.send_again(session, house, registration, hands.now, joining=True)
    hands.work()
    assert house.join_url(early, 2) in server.mails[0].message.get_body(("plain",)).get_content()


def test_a_symposium_called_off_tells_those_who_wait_without_a_cancel(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=1)
    join(house, hands, symposium, "anna", "boris")
    hands.work()
    told(server)
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        symposia.call_off(session, house, found, reason=None, actor="test", now=hands.now)
    hands.work()
    assert told(server) == [("anna", "Called off", "CANCEL"), ("boris", "Called off", None)]


def test_what_people_told_is_forgotten_in_time(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    kept, withdrawn = join(house, hands, symposium, "anna", "boris")
    with house.database.write() as session:
        for number in (kept, withdrawn):
            details.keep(house, session.get_one(Registration, number), Details(access="A ramp"))
    cancel(house, hands, withdrawn)

    def forget() -> list[str | None]:
        with house.database.write() as session:
            details.forget(session, hands.now)
        with house.database.read() as session:
            return [
                details.read(house, session.get_one(Registration, one)).access for one in (kept, withdrawn)
            ]

    assert forget() == ["A ramp", None]
    hands.now = START + timedelta(days=29)
    assert forget() == ["A ramp", None]
    hands.now = START + timedelta(days=31)
    assert forget() == [None, None]


def test_a_request_is_mailed_confirmed_and_lifts_what_the_person_had_ended(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    with house.database.write() as session:
        people.suppress(session, house, "anna@example.org", SuppressionReason.UNSUBSCRIBE_ALL, hands.now)
        people.suppress(session, house, "boris@example.org", SuppressionReason.BOUNCE, hands.now)
        for name in ("anna", "boris"):
            wish = request.Wish(
                attendee=Attendee(address=f"{name}@example.org", name="Mallory's joke"), symposia=(symposium,)
            )
            request.ask(session, house, wish, hands.now)
    assert hands.work() == 1
    (mail,) = server.mails
    text = mail.message.get_body(("plain",)).get_content()
    assert "Please confirm your registration" in text
    assert b"Mallory" not in mail.data
    own = next(line for line in text.splitlines() if "/attend/" in line).rsplit("/", 1)[1]
    with house.database.write() as session:
        slug = session.get_one(Symposium, symposium).slug
        assert request.confirm(session, house, own, [slug], hands.now) is Link.CONFIRMED
    server.mails.clear()
    hands.work()
    assert told(server) == [("anna", "You are registered", "REQUEST")]


def test_the_mails_say_that_it_is_online(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, online=True)
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        found.place = None
        attendee = Attendee(address="anna@example.org", languages=("es",))
        register(session, house, found, attendee, hands.now)
    hands.work()
    (mail,) = server.mails
    for kind in ("plain", "html"):
        assert "En línea" in mail.message.get_body((kind,)).get_content()
