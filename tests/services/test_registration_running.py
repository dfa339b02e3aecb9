"""Registering while a symposium runs: until its end whoever comes is let in, and hears what is true then."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Registration, Symposium
from mailer.services.programme import symposia
from mailer.services.programme.register import Attendee
from mailer.services.programme.symposia import SymposiumRefusal
from mailer.services.registration import opening, request, self_service
from mailer.services.registration.opening import Opening
from mailer.services.registration.request import Wish
from mailer.vocabulary import DeliveryState, Link, MailingKind, RegistrationState, SkipReason
from tests.services.symposium_desk import Desk
from tests.services.test_registration import put
from tests.services.test_roll import bring
from tests.services.test_symposia import DAY, HOUR, START, invitation

MINUTE = timedelta(minutes=1)
RUNNING = START + 20 * MINUTE
END = START + HOUR  # assumed: nobody has announced one


def text_of(desk: Desk, index: int = 0) -> str:
    """In one line: paragraphs are folded, also in their links."""
    return " ".join(str(desk.server.mails[index].message.get_body(("plain",)).get_content()).split())


def state_of(desk: Desk, number: int) -> RegistrationState:
    with desk.house.database.read() as session:
        return session.get_one(Registration, number).state


def fill_in(desk: Desk, address: str = "guest@example.org") -> None:
    with desk.house.database.write() as session:
        wish = Wish(attendee=Attendee(address=address), symposia=(desk.symposium,))
        request.ask(session, desk.house, wish, desk.hands.now)


def link_of(desk: Desk) -> str:
    """The link of the request that was mailed last."""
    with desk.house.database.read() as session:
        number = session.scalars(
            select(Mailing.registration_id)
            .where(Mailing.kind == MailingKind.REGISTRATION_REQUEST)
            .order_by(Mailing.id.desc())
        ).first()
        return desk.house.attend_url(number or 0, desk.hands.now).rsplit("/", 1)[1]


def press(desk: Desk, token: str) -> Link:
    with desk.house.database.write() as session:
        return request.confirm(session, desk.house, token, ["identify"], desk.hands.now)


def approve(desk: Desk) -> None:
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        symposia.approve_follow_up(
            session, desk.house, found, recording_url=None, actor="test", now=desk.hands.now
        )


def test_who_comes_while_it_runs_gets_the_way_in_no_reminder_and_the_follow_up(desk: Desk) -> None:
    put(desk.house, desk.hands, desk.symposium, room="https://rooms.example.com/secret")
    desk.join("early@example.org")
    desk.at(START - HOUR)
    desk.hands.now = RUNNING
    number = desk.join("late@example.org")
    assert desk.at(RUNNING) == ["late You are registered"]
    assert "has begun. You can still join." in text_of(desk)
    assert "look forward" not in text_of(desk)
    assert desk.house.join_url(number, 1) in text_of(desk).replace(" ", "")
    assert invitation(desk.server.mails[0].message)[0] == "REQUEST"
    with desk.house.database.read() as session:
        theirs = session.execute(
            select(Mailing.kind, Delivery.reason)
            .join(Mailing, Mailing.id == Delivery.mailing_id)
            .where(Delivery.registration_id == number, Delivery.state == DeliveryState.SKIPPED)
        ).all()
    assert {(kind, reason) for kind, reason in theirs} == {
        (MailingKind.REMINDER, SkipReason.REGISTERED_LATE.value)
    }
    approve(desk)
    assert desk.at(END + 30 * MINUTE) == ["early After the symposium", "late After the symposium"]


def test_who_comes_while_it_runs_after_the_follow_up_was_approved_gets_it_too(desk: Desk) -> None:
    desk.join("early@example.org")
    desk.at(START + MINUTE)
    approve(desk)
    desk.hands.now = RUNNING
    desk.join("late@example.org")
    desk.plan()
    desk.hands.work()
    assert desk.at(END + 30 * MINUTE) == ["early After the symposium", "late After the symposium"]


def test_before_the_start_it_is_not_said_to_have_begun(desk: Desk) -> None:
    desk.hands.now = START - MINUTE
    desk.join()
    desk.at(desk.hands.now)
    assert "has begun" not in text_of(desk)
    assert "look forward" in text_of(desk)


def test_a_confirmation_that_is_held_up_says_what_is_true_when_it_leaves(desk: Desk) -> None:
    desk.hands.now = START - MINUTE
    desk.join()
    assert desk.at(START + MINUTE) == ["anahit You are registered"]
    assert "has begun. You can still join." in text_of(desk)


def test_a_confirmation_that_is_held_up_until_the_end_is_not_sent(desk: Desk) -> None:
    desk.hands.now = RUNNING
    desk.join()
    assert desk.at(END) == []
    assert desk.reasons(MailingKind.REGISTRATION_CONFIRMATION) == [SkipReason.TOO_LATE.value]


def test_an_end_that_comes_earlier_ends_confirmations_that_wait(desk: Desk) -> None:
    desk.hands.now = RUNNING
    desk.join()
    desk.edit(minutes=30)
    assert desk.at(START + 31 * MINUTE) == []


def test_after_the_end_nobody_registers(desk: Desk) -> None:
    desk.hands.now = END
    with pytest.raises(SymposiumRefusal, match="is over"):
        desk.join()
    with pytest.raises(SymposiumRefusal, match="is over"):
        bring(desk.house, desk.hands, desk.symposium, "email\nanna@example.org\n")


def test_an_announced_end_counts(desk: Desk) -> None:
    put(desk.house, desk.hands, desk.symposium, minutes=120)
    desk.hands.now = START + 119 * MINUTE
    desk.join()
    desk.hands.now = START + 120 * MINUTE
    with pytest.raises(SymposiumRefusal, match="is over"):
        desk.join("late@example.org")


def test_a_list_is_taken_in_while_it_runs(desk: Desk) -> None:
    desk.hands.now = RUNNING
    rolled = bring(desk.house, desk.hands, desk.symposium, "email\nanna@example.org\n", mail=True)
    assert (rolled.confirmed, rolled.mailed) == (1, 1)
    assert desk.at(RUNNING) == ["anna You are registered"]


def test_the_form_and_its_link_work_while_it_runs(desk: Desk) -> None:
    desk.hands.now = RUNNING
    fill_in(desk)
    assert desk.at(RUNNING) == ["guest Please confirm your registration"]
    assert "It is under way. Please confirm before it ends." in text_of(desk)
    assert press(desk, link_of(desk)) is Link.CONFIRMED
    assert desk.at(RUNNING + MINUTE) == ["guest You are registered"]
    assert "has begun. You can still join." in text_of(desk)


def test_a_link_that_is_pressed_after_the_end_registers_nobody_and_says_so(desk: Desk) -> None:
    desk.hands.now = RUNNING
    fill_in(desk)
    desk.at(RUNNING)
    desk.hands.now = END
    token = link_of(desk)
    press(desk, token)
    with desk.house.database.read() as session:
        found = request.look(session, desk.house, token, desk.hands.now)
        assert [one.opening for one in found.asked] == [Opening.OVER]
        assert session.scalars(select(Registration.state)).all() == [RegistrationState.PENDING]
    assert desk.at(END) == []


def test_a_request_that_is_held_up_until_the_end_is_not_sent(desk: Desk) -> None:
    """Nobody is asked to confirm what cannot be confirmed any more."""
    desk.hands.now = RUNNING
    fill_in(desk)
    assert desk.at(END) == []
    assert desk.reasons(MailingKind.REGISTRATION_REQUEST) == [SkipReason.TOO_LATE.value]


def test_the_window_of_staff_holds_while_it_runs(desk: Desk) -> None:
    desk.hands.now = RUNNING

    def stands() -> Opening:
        with desk.house.database.read() as session:
            return opening.opening_of(session, session.get_one(Symposium, desk.symposium), desk.hands.now)

    assert stands() is Opening.OPEN
    with desk.house.database.write() as session:
        session.get_one(Symposium, desk.symposium).registration_closes_at = START
    assert stands() is Opening.CLOSED
    desk.hands.now = END
    assert stands() is Opening.OVER


def test_who_comes_to_a_full_house_while_it_runs_is_not_put_on_a_list_that_is_over(desk: Desk) -> None:
    """Nobody moves up any more, so nobody is told to wait; a place that is free is for who comes, also for
    somebody who waited in vain."""
    desk.limit(1)
    first = desk.join("first@example.org")
    waits = desk.join("waits@example.org")
    desk.at(START - HOUR)
    desk.hands.now = RUNNING
    with pytest.raises(SymposiumRefusal, match="All 1 places are taken"):
        desk.join("late@example.org")
    with desk.house.database.read() as session:
        found = session.get_one(Symposium, desk.symposium)
        assert opening.opening_of(session, found, RUNNING) is Opening.FULL
    assert state_of(desk, waits) is RegistrationState.WAITING
    with desk.house.database.write() as session:
        token = desk.house.registration_url(first).rsplit("/", 1)[1]
        assert self_service.cancel(session, desk.house, token, RUNNING)
    assert state_of(desk, waits) is RegistrationState.WAITING
    assert desk.join("waits@example.org") == waits
    assert state_of(desk, waits) is RegistrationState.CONFIRMED
    assert desk.at(RUNNING) == ["first Registration cancelled", "waits You are registered"]


def test_a_day_without_an_hour_takes_people_until_it_is_over(desk: Desk) -> None:
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        found.starts_at, found.wall_time = None, None
    desk.hands.now = datetime.fromisoformat("2024-02-24T04:59+00:00")
    desk.join()
    desk.hands.now += MINUTE  # midnight in New York
    with pytest.raises(SymposiumRefusal, match="is over"):
        desk.join("late@example.org")
    assert desk.hands.now - START < DAY
