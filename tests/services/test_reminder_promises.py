"""The promises about reminders one by one: each is broken here on purpose, and must hold all the same."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.services.programme import places, rules, symposia
from mailer.services.programme.rules import Owner
from mailer.services.registration import self_service
from mailer.services.sending.claim import claim
from mailer.services.sending.compose import Composer
from mailer.services.sending.settle import DOUBT_PAUSE
from mailer.services.sending.sweep import journal_folder, worker_name
from mailer.smtp.journal import Journal
from mailer.smtp.letter import Lease, Letter
from mailer.vocabulary import (
    DeliveryState,
    MailingKind,
    Precision,
    RegistrationState,
    SkipReason,
    SuppressionReason,
    SymposiumState,
)
from tests.services.conftest import PAUSE
from tests.services.symposium_desk import Desk
from tests.services.test_registration import put
from tests.services.test_registration_running import fill_in, link_of, press, text_of
from tests.services.test_reminder_attacks import call_off, printed
from tests.services.test_symposia import DAY, HOUR, START, invitation

pytestmark = pytest.mark.slow

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


# ---- at most once


def test_the_database_refuses_a_second_row_and_a_second_mailing(desk: Desk) -> None:
    """Whatever a service may think, one person has one row in a reminder, and a date has one reminder."""
    desk.join()
    for table in (Delivery, Mailing):
        with desk.house.database.read() as session:
            first = session.execute(
                select(table.__table__).where(table.id == session.scalar(select(table.id)))
            ).one()
        again = {name: value for name, value in first._mapping.items() if name != "id"}
        with pytest.raises(IntegrityError), desk.house.database.write() as session:
            session.execute(insert(table.__table__).values(**again))


def test_a_reminder_in_doubt_is_tried_again_while_it_helps(desk: Desk) -> None:
    """A dot without a reply: the same row, the same Message-ID, and never past its time."""
    desk.join()
    desk.at(START - 7 * DAY)
    for lead, sent in ((DAY, ["anahit Reminder"]), (HOUR, [])):
        desk.hands.now = START - lead
        name = worker_name("send")
        journal = Journal.open(journal_folder(desk.house), name)
        with desk.house.database.write() as session:
            held = claim(session, desk.house, worker=name, now=desk.hands.now)
        (one,) = held.held
        journal.about_to_send([(one.id, held.fence)])
        journal.close()
        assert desk.at(desk.hands.now + SECOND) == []
        late = timedelta(0) if lead is DAY else HOUR / 2
        assert desk.at(START - lead + SECOND + DOUBT_PAUSE + late) == sent


# ---- late, later, too late


@pytest.mark.parametrize(
    ("rule", "lead", "grace"),
    [("1h", HOUR, HOUR / 2), ("1d", DAY, 6 * HOUR), ("1w", 7 * DAY, 6 * HOUR)],
)
def test_late_by_half_the_lead_or_six_hours_is_late_enough(
    desk: Desk, rule: str, lead: timedelta, grace: timedelta
) -> None:
    desk.join("first@example.org")
    desk.hands.work()
    desk.hands.now = START - lead + grace - SECOND
    assert desk.at(desk.hands.now) == ["first Reminder"]
    with desk.house.database.write() as session:  # as if it had not left: the outage lasted a second more
        theirs = select(Mailing.id).where(Mailing.key.endswith(f":reminder:{rule}:r1"))
        session.execute(
            update(Delivery)
            .where(Delivery.mailing_id.in_(theirs))
            .values(state=DeliveryState.PENDING, settled_at=None)
        )
    assert desk.at(desk.hands.now + SECOND) == []


def test_the_engine_is_told_when_a_reminder_is_too_late(desk: Desk) -> None:
    """What is claimed in time and waits for a connection is asked once more before its transaction."""
    desk.join()
    desk.at(START - DAY)
    desk.hands.now = START - HOUR / 2 - 5 * SECOND
    with desk.house.database.write() as session:
        held = claim(session, desk.house, worker="send-test-1-abcdef", now=desk.hands.now)
        mails = Composer(desk.house, lambda: 1_000.0).mails(
            session, held, lease=Lease(2_000.0), now=desk.hands.now
        )
        (letter,) = [mail.compose() for mail in mails]
    assert isinstance(letter, Letter)
    assert letter.not_after == 1_005.0


# ---- who comes late


def test_who_moves_up_after_the_due_time_has_it_all_in_the_confirmation(desk: Desk) -> None:
    put(desk.house, desk.hands, desk.symposium, room="https://rooms.example.com/secret")
    desk.limit(1)
    first, second = desk.join("first@example.org"), desk.join("second@example.org")
    desk.at(START - DAY)
    desk.hands.now = START - DAY + HOUR
    with desk.house.database.write() as session:
        theirs = session.get_one(Registration, first)
        places.give_back(session, desk.house, theirs.symposium, theirs, desk.hands.now)
    assert desk.at(desk.hands.now) == ["first Registration cancelled", "second You are registered"]
    second_s = 1 if desk.server.mails[1].recipient.startswith("second") else 0
    said = text_of(desk, second_s)
    assert "12 noon" in said
    assert desk.house.join_url(second, 1) in said.replace(" ", "")
    assert desk.at(START - HOUR) == ["second Reminder"]


def test_who_confirms_after_the_due_time_is_not_reminded_of_it(desk: Desk) -> None:
    """The form was filled in before; what counts is when its owner pressed the button."""
    desk.hands.now = START - DAY - HOUR
    fill_in(desk)
    desk.at(desk.hands.now)
    desk.hands.now = START - DAY + MINUTE
    press(desk, link_of(desk))
    assert desk.at(desk.hands.now) == ["guest You are registered"]
    assert set(desk.reasons()) == {SkipReason.REGISTERED_LATE.value}


# ---- asked once more when it leaves

Break = Callable[[Symposium, Registration, Subscriber], None]


def _set(which: str, name: str, value: object) -> Break:
    def change(symposium: Symposium, registration: Registration, person: Subscriber) -> None:
        found = {"symposium": symposium, "registration": registration, "person": person}
        setattr(found[which], name, value)

    return change


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (_set("symposium", "state", SymposiumState.CANCELLED), SkipReason.SYMPOSIUM_CANCELLED),
        (_set("symposium", "questions", ["Which year?"]), SkipReason.DATE_UNCONFIRMED),
        (_set("symposium", "generation", 2), SkipReason.DATE_MOVED),
        (_set("symposium", "precision", Precision.MONTH), SkipReason.TOO_LATE),
        (_set("registration", "state", RegistrationState.WAITING), SkipReason.WAITING),
        (_set("registration", "state", RegistrationState.PENDING), SkipReason.UNCONFIRMED),
        (_set("registration", "state", RegistrationState.WITHDRAWN), SkipReason.WITHDRAWN),
        (_set("registration", "reminders", False), SkipReason.UNSUBSCRIBED),
        (_set("person", "suppressed", SuppressionReason.COMPLAINT), SkipReason.SUPPRESSED),
    ],
    ids=lambda one: one.value if isinstance(one, SkipReason) else "",
)
def test_the_claim_asks_once_more(desk: Desk, broken: Break, reason: SkipReason) -> None:
    """Written behind the services' back: nothing has planned anew, and still it does not leave."""
    number = desk.join()
    desk.at(START - 7 * DAY)
    with desk.house.database.write() as session:
        theirs = session.get_one(Registration, number)
        broken(theirs.symposium, theirs, session.get_one(Subscriber, theirs.subscriber_id))
    assert desk.at(START - DAY) == []
    assert desk.reasons() == [reason.value]


# ---- moved


@pytest.mark.parametrize(
    ("day", "hour", "again"), [(24, 11, False), (24, 12, True), (22, 12, None), (23, 13, False)]
)
def test_a_fresh_reminder_needs_a_move_by_a_day(desk: Desk, day: int, hour: int, again: bool | None) -> None:
    """Of a lead of two days; an earlier date whose reminder is past by then has none."""
    desk.rule("before 2 days")
    desk.join()
    desk.at(START - 2 * DAY)
    desk.move(date(2024, 2, day), hour)
    assert desk.at(desk.hands.now + PAUSE) == ["anahit Changed"]
    moved = START + timedelta(days=day - 23, hours=hour - 12)
    assert desk.at(max(desk.hands.now, moved - 2 * DAY)) == (["anahit Reminder"] if again else [])


def test_a_notice_that_left_after_the_new_due_time_is_enough(desk: Desk) -> None:
    """Reminded, moved by more than a day, and told so a moment after the fresh one fell due."""
    desk.rule("before 2 days")
    desk.join()
    desk.at(START - 2 * DAY)
    desk.hands.now = START - DAY - 10 * MINUTE
    desk.move(date(2024, 2, 24))  # its reminder falls due in ten minutes, the notice in thirty
    assert desk.at(START - DAY) == []
    assert desk.at(START - DAY + 20 * MINUTE) == ["anahit Changed"]
    assert SkipReason.ALREADY_TOLD.value in desk.reasons()


def test_called_off_its_reminders_are_cancelled_at_once(desk: Desk) -> None:
    desk.join()
    desk.hands.work()
    call_off(desk)
    assert desk.reasons() == [SkipReason.SYMPOSIUM_CANCELLED.value] * 3
    with desk.house.database.read() as session:
        of_reminders = select(Mailing.id).where(Mailing.kind == MailingKind.REMINDER)
        states = session.scalars(select(Delivery.state).where(Delivery.mailing_id.in_(of_reminders)))
        assert set(states) == {DeliveryState.CANCELLED}


# ---- nothing past bursts out


def test_a_rule_whose_time_is_past_says_that_it_will_not_be_sent(desk: Desk) -> None:
    desk.join()
    desk.at(START - 5 * HOUR)
    desk.rule("before 6 hours", sure=True)
    assert "Will not be sent: its time was past already when it was planned." in " ".join(
        printed(desk).split()
    )


def test_a_date_that_is_confirmed_late_sends_nothing_that_is_past(desk: Desk) -> None:
    """Nothing is planned while a question is open; what was due meanwhile is not made up for."""
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        found.questions = ["The year was inferred."]
    desk.join()
    desk.at(START - DAY + HOUR)
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        symposia.confirm(session, found, actor="test", now=desk.hands.now)
        found.planned_at = None
    desk.plan()
    assert desk.at(desk.hands.now) == []
    assert desk.at(START - HOUR) == ["anahit Reminder"]


def test_a_default_rule_made_late_sends_nothing_that_is_past(desk: Desk) -> None:
    desk.join()
    desk.at(START - 5 * HOUR)
    with desk.house.database.write() as session:
        rules.add(
            session,
            desk.house,
            Owner(),
            "before 6 hours",
            sure=True,
            actor="test",
            now=desk.hands.now,
        )
    desk.plan()
    assert desk.at(desk.hands.now) == []
    assert desk.at(START - HOUR) == ["anahit Reminder"]


# ---- after the end


def test_a_symposium_that_lasts_longer_is_not_followed_up_before_its_end(desk: Desk) -> None:
    desk.join()
    desk.at(START)
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        symposia.approve_follow_up(
            session, desk.house, found, recording_url=None, actor="test", now=desk.hands.now
        )
    desk.edit(minutes=180)
    assert desk.at(desk.hands.now) == ["anahit Changed"]
    assert desk.at(START + 90 * MINUTE) == []
    assert desk.at(START + 3 * HOUR + 30 * MINUTE) == ["anahit After the symposium"]


# ---- what tells nobody


def test_what_attendees_need_not_know_is_mailed_to_nobody(desk: Desk) -> None:
    desk.join()
    desk.hands.work()
    for fact in (
        {"speakers": ("Dr. A",)},
        {"languages": ("en", "hy")},
        {"capacity": 80},
        {"room": "https://rooms.example.com/other"},
        {"asks_access": True},
    ):
        put(desk.house, desk.hands, desk.symposium, **fact)
        assert desk.at(desk.hands.now + PAUSE) == []
    assert desk.at(START - DAY) == ["anahit Reminder"]


def test_another_language_is_that_of_the_next_mail_and_of_none_by_itself(desk: Desk) -> None:
    number = desk.join()
    desk.at(START - 7 * DAY)
    with desk.house.database.write() as session:
        token = desk.house.registration_url(number).rsplit("/", 1)[1]
        assert self_service.change(session, desk.house, token, language="fr", zone="", now=desk.hands.now)
    desk.plan()
    assert desk.at(desk.hands.now + HOUR) == []
    assert desk.at(START - DAY) == ["anahit Rappel "]  # before its colon


def test_each_notice_raises_the_number_and_a_withdrawal_reaches_one(desk: Desk) -> None:
    first = desk.join("first@example.org")
    desk.join("second@example.org")
    desk.hands.work()
    desk.move(date(2024, 3, 1))
    desk.at(desk.hands.now + PAUSE)
    assert {invitation(mail.message)[:2] for mail in desk.server.mails} == {("REQUEST", 1)}
    with desk.house.database.write() as session:
        theirs = session.get_one(Registration, first)
        places.give_back(session, desk.house, theirs.symposium, theirs, desk.hands.now)
    assert desk.at(desk.hands.now) == ["first Registration cancelled"]
    assert invitation(desk.server.mails[0].message)[:2] == ("CANCEL", 2)
