"""Embargoes: nothing before the moment, everything after it, and what staff may do in between."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from mailer.db.embargoes import Embargo, next_opening
from mailer.db.mailings import Claim, Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Statement, StatementText
from mailer.db.staff import AuditEntry
from mailer.services import audit
from mailer.services.audience import people
from mailer.services.desk import campaigns, mailings
from mailer.services.desk.four_eyes import SameEyes
from mailer.services.house import House
from mailer.services.incidents import open_incidents
from mailer.services.programme import corrections, embargo, public, review, statements, translations
from mailer.services.programme.digests import plan_all as plan_digests
from mailer.services.programme.embargo import EmbargoRefusal
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.programme.review import ReviewRefusal
from mailer.services.sending import proofs
from mailer.services.sending.audit_books import audit as audit_books
from mailer.services.sending.embargo_time import TimeRefusal, WallMoment, Which, at_instant, derive, moment
from mailer.services.sending.gate import OPEN_BY_NOW, EmbargoGate, Reading
from mailer.services.sending.sweep import sweep
from mailer.vocabulary import (
    DeliveryState,
    EmbargoHold,
    EmbargoWish,
    Frequency,
    MailingState,
    StatementState,
    SubscriptionState,
    TextState,
)
from tests.services.conftest import Hands
from tests.smtp_server import MailServer

Subscribe = Callable[..., int]

ANNA, BEN = "cli:anna", "cli:ben"
SECOND = timedelta(seconds=1)
ZONE = "America/New_York"


def in_(now: datetime, **wait: float) -> WallMoment:
    return at_instant(now + timedelta(**wait), ZONE)


def approved(house: House, statement: int, now: datetime) -> None:
    """Anna asks for the review, Ben approves."""
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        review.ask(session, found, actor=ANNA, now=now)
        review.approve(session, found, actor=BEN, now=now)


def under_embargo(house: House, statement: int, now: datetime, **wait: float) -> int:
    """Approved, and under embargo for so long from now; the mailing's id."""
    approved(house, statement, now)
    return schedule(house, statement, now, **wait)


def schedule(house: House, statement: int, now: datetime, **wait: float) -> int:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        return embargo.schedule(session, house, found, in_(now, **wait), actor=ANNA, now=now)[0].id


def wish(
    house: House, statement: int, what: EmbargoWish, now: datetime, *, actor: str = ANNA, **wait: float
) -> bool:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        to = in_(now, **wait) if wait else None
        return embargo.wish(session, house, found, what, actor=actor, now=now, to=to)


def decide(house: House, statement: int, now: datetime, *, actor: str = BEN) -> EmbargoWish | None:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        return embargo.approve(session, house, found, actor=actor, now=now)


def is_open(house: House, now: datetime, gate: EmbargoGate = OPEN_BY_NOW) -> bool:
    """Whether the archive, the feed's list and the page show it - all of them, or none."""
    with house.database.read() as session:
        page = public.statement(session, "a-statement", "en", now, gate=gate)
        lines = public.statements(session, "en", now, gate=gate)
    assert (page is not None) == bool(lines)
    return page is not None


def states(house: House, mailing: int) -> set[str]:
    with house.database.read() as session:
        return {
            one.value for one in session.scalars(select(Delivery.state).where(Delivery.mailing_id == mailing))
        }


def add_text(house: House, statement: int, now: datetime, body: str) -> None:
    """Another version, which holds from now on."""
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        found.version += 1
        found.texts.append(
            StatementText(language="en", version=found.version, title="New", body=body, created_at=now)
        )


# --- before, at and after the moment


def test_nothing_before_the_moment_and_everything_at_it(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(5):
        subscribe(f"reader{number}@example.org", languages=("hy",) if number % 2 else ("en",))
    start = hands.now
    mailing = under_embargo(house, statement, start, hours=1)
    assert hands.work() == 0
    for before in (timedelta(minutes=30), timedelta(hours=1) - timedelta(milliseconds=1)):
        hands.now = start + before
        assert not is_open(house, hands.now)
        assert hands.work() == 0
    assert states(house, mailing) == {"pending"}

    hands.now = start + timedelta(hours=1)
    assert is_open(house, hands.now)
    assert hands.work() == 5
    assert {parsedate_to_datetime(mail.message["Date"]) for mail in server.mails} == {hands.now}
    with house.database.read() as session:
        found = session.get_one(Statement, statement)
        assert (found.state, found.published_at) == (StatementState.PUBLISHED, hands.now)
        entries = [entry.action for entry in session.scalars(select(AuditEntry).order_by(AuditEntry.id))]
        assert entries == ["statement-in-review", "statement-approved", "embargo-set", "statement-published"]
        assert audit.first_break(session) is None
    audit_books(house, hands.now)
    with house.database.read() as session:
        assert open_incidents(session) == []


def test_an_outage_across_the_moment_is_made_up_for(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    mailing = under_embargo(house, statement, hands.now, hours=1)
    until = hands.now + timedelta(hours=1)
    hands.now += timedelta(hours=5)
    assert is_open(house, hands.now)
    assert hands.work() == 1
    assert parsedate_to_datetime(server.mails[0].message["Date"]) == until
    assert states(house, mailing) == {"sent"}


def test_after_an_expiry_of_staffs_nothing_leaves(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    approved(house, statement, hands.now)
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        until = in_(hands.now, hours=1)
        mailing, _ = embargo.schedule(
            session, house, found, until, actor=ANNA, now=hands.now, expires_minutes=90
        )
        number = mailing.id
    hands.work()
    hands.now += timedelta(hours=1, minutes=90)
    assert hands.work() == 0
    assert states(house, number) == {"expired"}
    assert server.mails == []


def test_who_joins_before_the_moment_gets_it_and_who_joins_after_it_does_not(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("early@example.org")
    waiting = subscribe("waiting@example.org", state=SubscriptionState.PENDING)
    start = hands.now
    under_embargo(house, statement, start, hours=1)
    hands.work()

    def join(address: str, at: datetime) -> None:
        person = subscribe(address)
        with house.database.write() as session:
            mine = select(Subscription).where(Subscription.subscriber_id == person)
            session.scalars(mine).one().changed_at = at

    join("late@example.org", start + timedelta(minutes=30))
    hands.now = start + timedelta(minutes=40)
    hands.work()
    join("last@example.org", start + timedelta(hours=1) - SECOND)
    join("too-late@example.org", start + timedelta(hours=1) + SECOND)
    with house.database.write() as session:
        found = session.scalars(select(Subscription).where(Subscription.subscriber_id == waiting)).one()
        found.state, found.changed_at = SubscriptionState.CONFIRMED, start + timedelta(minutes=50)
    hands.now = start + timedelta(hours=1) + 2 * SECOND
    hands.work()
    hands.work()
    assert {mail.recipient.split("@")[0] for mail in server.mails} == {"early", "late", "last", "waiting"}
    assert {parsedate_to_datetime(mail.message["Date"]) for mail in server.mails} == {
        start + timedelta(hours=1)
    }


def test_readers_of_digests_get_no_alert_and_no_digest_tells_of_it_before(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    start = hands.now
    subscribe("at-once@example.org")
    early, late = (
        subscribe("daily@example.org"),
        subscribe("late@example.org", state=SubscriptionState.PENDING),
    )

    def set_frequency(person: int, at: datetime) -> None:
        with house.database.write() as session:
            found = session.scalars(select(Subscription).where(Subscription.subscriber_id == person)).one()
            found.frequency, found.state, found.changed_at = Frequency.DAILY, SubscriptionState.CONFIRMED, at

    set_frequency(early, start)
    mailing = under_embargo(house, statement, start, days=3)
    hands.work()
    set_frequency(late, start + timedelta(hours=1))
    for hour in range(0, 72, 6):  # whatever digest would be due meanwhile
        hands.now = start + timedelta(hours=hour, minutes=30)
        plan_digests(house, hands.now)
        hands.work()
    assert server.mails == []
    hands.now = start + timedelta(days=3)
    hands.work()
    hands.work()
    assert [mail.recipient for mail in server.mails] == ["at-once@example.org"]
    for hour in range(0, 36, 3):
        hands.now = start + timedelta(days=3, hours=hour, minutes=30)
        plan_digests(house, hands.now)
        hands.work()
    assert sorted(mail.recipient for mail in server.mails) == [
        "at-once@example.org",
        "daily@example.org",
        "late@example.org",
    ]
    with house.database.read() as session:
        assert mailings.account(session, session.get_one(Mailing, mailing)).books.balanced


def test_who_leaves_before_the_moment_gets_nothing(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("stays@example.org")
    leaver = subscribe("leaves@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    hands.work()
    with house.database.write() as session:
        found = session.scalars(select(Subscription).where(Subscription.subscriber_id == leaver)).one()
        found.state = SubscriptionState.UNSUBSCRIBED
    hands.now += timedelta(hours=1)
    hands.work()
    assert [mail.recipient for mail in server.mails] == ["stays@example.org"]


# --- what staff may do


def test_a_moved_embargo_opens_at_its_new_moment_alone(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    start = hands.now
    mailing = under_embargo(house, statement, start, hours=1)
    hands.work()
    assert not wish(house, statement, EmbargoWish.MOVE, start, hours=3)
    with pytest.raises(SameEyes):
        decide(house, statement, start, actor=ANNA)
    assert decide(house, statement, start) is EmbargoWish.MOVE
    hands.now = start + timedelta(hours=2)
    assert not is_open(house, hands.now)
    assert hands.work() == 0
    hands.now = start + timedelta(hours=3)
    assert is_open(house, hands.now)
    assert hands.work() == 1
    assert parsedate_to_datetime(server.mails[0].message["Date"]) == hands.now
    assert states(house, mailing) == {"sent"}


def test_an_undecided_move_holds_the_embargo_and_a_refusal_lets_it_go(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    start = hands.now
    under_embargo(house, statement, start, hours=1)
    hands.work()
    wish(house, statement, EmbargoWish.MOVE, start, hours=3)
    hands.now = start + timedelta(hours=1, minutes=5)
    assert hands.work() == 0
    assert not is_open(house, hands.now)
    with house.database.read() as session:
        (incident,) = open_incidents(session)
        assert incident.key == f"embargo-held:{statement}"
        assert "prisoners" not in incident.words
        assert "a-statement" not in incident.words
    hands.now += timedelta(hours=2)
    hands.work()
    audit_books(house, hands.now)
    with house.database.read() as session:
        assert [one.key for one in open_incidents(session)] == [f"embargo-held:{statement}"]
    with house.database.write() as session:
        embargo.refuse(session, session.get_one(Statement, statement), actor=BEN, now=hands.now)
    assert is_open(house, hands.now)
    assert hands.work() == 1
    with house.database.read() as session:
        assert open_incidents(session) == []


def test_a_lifted_embargo_opens_at_once(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    hands.work()
    hands.now += timedelta(minutes=10)
    wish(house, statement, EmbargoWish.LIFT, hands.now)
    assert not is_open(house, hands.now)
    assert decide(house, statement, hands.now) is EmbargoWish.LIFT
    assert is_open(house, hands.now)
    assert hands.work() == 1
    assert parsedate_to_datetime(server.mails[0].message["Date"]) == hands.now


def test_a_dropped_embargo_reaches_nobody_and_can_be_set_again(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(3):
        subscribe(f"reader{number}@example.org")
    start = hands.now
    mailing = under_embargo(house, statement, start, hours=1)
    hands.work()
    wish(house, statement, EmbargoWish.DROP, start)
    assert decide(house, statement, start) is EmbargoWish.DROP
    hands.now = start + timedelta(hours=2)
    assert hands.work() == 0
    assert not is_open(house, hands.now)
    assert states(house, mailing) == {"cancelled"}
    with house.database.read() as session:
        assert session.get_one(Statement, statement).state is StatementState.DRAFT
        books = mailings.account(session, session.get_one(Mailing, mailing)).books
        assert books.balanced
        assert books.skipped == {"embargo_dropped": 3}

    again = under_embargo(house, statement, hands.now, hours=1)
    assert again == mailing
    hands.now += timedelta(hours=1)
    assert hands.work() == 3
    assert {parsedate_to_datetime(mail.message["Date"]) for mail in server.mails} == {hands.now}


def test_a_dropped_statement_can_be_published_at_once(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    hands.work()
    wish(house, statement, EmbargoWish.DROP, hands.now)
    decide(house, statement, hands.now)
    for _ in range(2):  # publishing twice is one alert
        with house.database.write() as session:
            statements.publish(
                session, house, session.get_one(Statement, statement), actor=ANNA, now=hands.now
            )
        hands.work()
    assert len(server.mails) == 1


def test_an_alert_that_staff_cancelled_never_comes_back(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    mailing = under_embargo(house, statement, hands.now, hours=1)
    hands.work()
    with house.database.write() as session:
        mailings.cancel(session, session.get_one(Mailing, mailing), actor=ANNA, now=hands.now)
    wish(house, statement, EmbargoWish.LIFT, hands.now)
    decide(house, statement, hands.now)
    assert is_open(house, hands.now)
    assert hands.work() == 0
    assert states(house, mailing) == {"cancelled"}


def test_nor_does_one_that_was_cancelled_and_whose_embargo_was_dropped(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    mailing = under_embargo(house, statement, hands.now, hours=1)
    hands.work()
    with house.database.write() as session:
        mailings.cancel(session, session.get_one(Mailing, mailing), actor=ANNA, now=hands.now)
    wish(house, statement, EmbargoWish.DROP, hands.now)
    decide(house, statement, hands.now)
    subscribe("late@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    hands.now += timedelta(hours=1)
    assert hands.work() == 0
    assert is_open(house, hands.now)
    assert states(house, mailing) == {"cancelled"}
    audit_books(house, hands.now)


@pytest.mark.parametrize("decided", [True, False])
def test_a_move_of_a_text_that_was_changed_too_opens_nothing(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int, decided: bool
) -> None:
    subscribe("reader@example.org")
    start = hands.now
    under_embargo(house, statement, start, hours=1)
    wish(house, statement, EmbargoWish.MOVE, start, hours=3)
    translated(house, statement, "fr", start)
    if decided:
        decide(house, statement, start)
    else:
        with house.database.write() as session:
            embargo.refuse(session, session.get_one(Statement, statement), actor=BEN, now=start)
    hands.now = start + timedelta(hours=3)
    assert not is_open(house, hands.now)
    assert hands.work() == 0
    assert decide(house, statement, hands.now) is None
    assert is_open(house, hands.now)
    assert hands.work() == 1


def test_a_lift_asked_for_before_a_change_needs_the_new_text_approved(
    house: House, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    wish(house, statement, EmbargoWish.LIFT, hands.now)
    translated(house, statement, "fr", hands.now)
    with pytest.raises(ReviewRefusal, match="changed"):
        decide(house, statement, hands.now)
    assert not is_open(house, hands.now)


def test_after_the_moment_it_is_too_late(
    house: House, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    hands.now += timedelta(hours=1)
    for what in EmbargoWish:
        with pytest.raises(EmbargoRefusal, match="over"):
            wish(house, statement, what, hands.now, **({"hours": 1} if what is EmbargoWish.MOVE else {}))


def test_a_wish_that_is_decided_too_late_is_refused(
    house: House, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    start = hands.now
    under_embargo(house, statement, start, hours=1)
    wish(house, statement, EmbargoWish.LIFT, start)
    with pytest.raises(EmbargoRefusal, match="over"):
        decide(house, statement, start + timedelta(hours=1))


def test_one_pair_of_eyes_is_enough_where_there_is_no_other(
    house: House, statement: int, now: datetime
) -> None:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        review.ask(session, found, actor=ANNA, now=now)
        review.approve(session, found, actor=ANNA, now=now)
        embargo.schedule(session, house, found, in_(now, hours=1), actor=ANNA, now=now)
        assert embargo.wish(session, house, found, EmbargoWish.DROP, actor=ANNA, now=now)
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [entry.detail.get("alone") for entry in entries] == [None, True, None, True]


def test_only_an_approved_statement_goes_under_embargo(house: House, statement: int, now: datetime) -> None:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        with pytest.raises(EmbargoRefusal, match="review"):
            embargo.schedule(session, house, found, in_(now, hours=1), actor=ANNA, now=now)
        review.ask(session, found, actor=ANNA, now=now)
        with pytest.raises(ReviewRefusal, match="approved"):
            embargo.schedule(session, house, found, in_(now, hours=1), actor=ANNA, now=now)
        with pytest.raises(ReviewRefusal, match="approved"):
            statements.publish(session, house, found, actor=ANNA, now=now)
    approved(house, statement, now)
    for wait, word in (({"hours": -1}, "is over"), ({"days": 900}, "year")):
        with pytest.raises(TimeRefusal, match=word):
            schedule(house, statement, now, **wait)
    add_text(house, statement, now, "Another text.")
    with pytest.raises(ReviewRefusal, match="changed"):
        schedule(house, statement, now, hours=1)


def test_a_statement_under_embargo_is_not_published_by_mistake(
    house: House, statement: int, now: datetime
) -> None:
    under_embargo(house, statement, now, hours=1)
    with house.database.write() as session, pytest.raises(statements.PublishRefusal, match="embargo"):
        statements.publish(session, house, session.get_one(Statement, statement), actor=ANNA, now=now)


def test_a_text_that_is_changed_after_its_approval_holds_the_embargo(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    start = hands.now
    under_embargo(house, statement, start, hours=1)
    hands.dispatcher.prepare(start + timedelta(hours=1))
    add_text(house, statement, start, "Mended words.")
    hands.now = start + timedelta(hours=2)
    assert hands.work() == 0
    assert not is_open(house, hands.now)
    with house.database.read() as session:
        assert session.get_one(Embargo, statement).held is EmbargoHold.EDITED
    assert decide(house, statement, hands.now, actor=BEN) is None
    assert hands.work() == 1
    assert "Mended words" in server.mails[0].message.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_translation_that_becomes_ready_after_the_approval_is_approved_first(
    house: House, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    for state, held in ((TextState.DRAFT, None), (TextState.READY, EmbargoHold.EDITED)):
        with house.database.write() as session:
            known = select(StatementText).where(StatementText.language == "fr")
            text = session.scalars(known).one_or_none() or StatementText(
                statement_id=statement, language="fr", title="Titre", body="Texte.", created_at=hands.now
            )
            text.state = state
            session.add(text)
        hands.work()
        with house.database.read() as session:
            assert session.get_one(Embargo, statement).held is held


def test_the_claim_itself_does_not_take_an_unapproved_text(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    hands.work()
    add_text(house, statement, hands.now, "Slipped in.")
    hands.now += timedelta(hours=1)
    assert hands.dispatcher.run() == 0  # no sweep has looked


def test_clocks_that_the_world_has_changed_hold_the_embargo(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    start = hands.now
    under_embargo(house, statement, start, hours=2)
    with house.database.write() as session:  # as an older tzdata had derived it
        found = session.get_one(Embargo, statement)
        found.tzdata, found.opens_at = "2001a", start + timedelta(hours=1)
        mailing = session.scalars(select(Mailing)).one()
        mailing.due_at = mailing.opens_at = mailing.embargo_at = start + timedelta(hours=1)
    hands.work()
    with house.database.read() as session:
        (incident,) = open_incidents(session)
        assert "time zone database" in incident.words
    hands.now = start + timedelta(hours=3)
    assert hands.work() == 0
    assert not is_open(house, hands.now)
    wish(house, statement, EmbargoWish.MOVE, hands.now, hours=1)
    decide(house, statement, hands.now)
    hands.now += timedelta(hours=1)
    assert hands.work() == 1


def test_a_newer_tzdata_that_says_the_same_holds_nothing(house: House, hands: Hands, statement: int) -> None:
    under_embargo(house, statement, hands.now, hours=2)
    with house.database.write() as session:
        session.get_one(Embargo, statement).tzdata = "2001a"
    hands.work()
    with house.database.read() as session:
        found = session.get_one(Embargo, statement)
        assert found.held is None
        assert found.tzdata != "2001a"


# --- clocks


@pytest.mark.parametrize("ahead", [0.6, -0.6, 3600.0])
def test_a_worker_whose_clock_is_off_takes_no_embargoed_row_and_says_so(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int, ahead: float
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    off = [ahead]
    hands.dispatcher.gate = EmbargoGate("here", lambda _: Reading(moment=None, ahead=off[0]))
    hands.now += timedelta(hours=1)
    assert hands.work() == 0
    with house.database.read() as session:
        (incident,) = open_incidents(session)
        assert incident.key == "embargo-clock:here"
        assert ("ahead of" if ahead > 0 else "behind") in incident.words
    off[0] = 0.4 if ahead > 0 else -0.4
    assert hands.work() == 1
    with house.database.read() as session:
        assert open_incidents(session) == []


def test_a_worker_whose_clock_is_off_sends_everything_else(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    hands.dispatcher.gate = EmbargoGate("here", lambda _: Reading(moment=None, ahead=9.0))
    with house.database.write() as session:
        statements.publish(session, house, session.get_one(Statement, statement), actor=ANNA, now=hands.now)
    assert hands.work() == 1


def test_the_databases_clock_decides_and_not_the_workers(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    told = [hands.now + timedelta(hours=1) - timedelta(milliseconds=1)]
    hands.dispatcher.gate = EmbargoGate("here", lambda _: Reading(moment=told[0], ahead=0.0))
    hands.now += timedelta(hours=1)
    assert hands.work() == 0
    told[0] = hands.now
    assert hands.work() == 1


# --- page, feed and lists open by the question that the mails open by


def gated(hands: Hands, read: Callable[..., Reading]) -> EmbargoGate:
    """Mails, sweep and pages by one gate, as in one process."""
    hands.gate = hands.dispatcher.gate = EmbargoGate("here", read)
    return hands.gate


def test_a_text_that_slips_in_just_before_the_moment_is_on_no_page_either(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    hands.now += timedelta(hours=1)
    add_text(house, statement, hands.now, "Slipped in.")
    assert not is_open(house, hands.now)  # no sweep has looked
    assert hands.work() == 0
    assert not is_open(house, hands.now)


def test_clocks_that_the_world_has_changed_keep_the_page_shut_before_any_sweep(
    house: House, statement: int, now: datetime
) -> None:
    under_embargo(house, statement, now, hours=2)
    with house.database.write() as session:
        found = session.get_one(Embargo, statement)
        found.tzdata, found.opens_at = "2001a", now + timedelta(hours=1)
    assert not is_open(house, now + timedelta(hours=1))


@pytest.mark.parametrize("ahead", [0.6, -0.6, 7200.0])
def test_where_the_clock_is_off_neither_page_nor_sweep_opens_anything(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int, ahead: float
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    off = [ahead]
    gate = gated(hands, lambda _: Reading(moment=None, ahead=off[0]))
    hands.now += timedelta(hours=1)
    assert hands.work() == 0
    assert not is_open(house, hands.now, gate)
    with house.database.read() as session:
        assert session.get_one(Statement, statement).state is StatementState.SCHEDULED
    off[0] = 0.0
    assert is_open(house, hands.now, gate)
    assert hands.work() == 1
    off[0] = ahead
    assert is_open(house, hands.now, gate)  # what is public stays public


def test_the_databases_clock_opens_page_and_sweep_as_well(
    house: House, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    told = [hands.now + timedelta(hours=1) - timedelta(milliseconds=1)]
    gate = gated(hands, lambda _: Reading(moment=told[0], ahead=0.0))
    hands.now += timedelta(hours=1)
    assert hands.work() == 0
    assert not is_open(house, hands.now, gate)
    told[0] = hands.now
    assert is_open(house, hands.now, gate)
    assert hands.work() == 1


def translated(house: House, statement: int, language: str, now: datetime) -> None:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        translations.translate(
            session,
            house,
            found,
            language=language,
            title="Autre titre",
            body="Autre texte.",
            ready=True,
            actor=ANNA,
            now=now,
        )


def test_an_edit_under_embargo_holds_it_there_and_then(house: House, statement: int, now: datetime) -> None:
    under_embargo(house, statement, now, hours=1)
    translated(house, statement, "fr", now + timedelta(hours=1) - timedelta(milliseconds=1))
    with house.database.read() as session:
        assert session.get_one(Embargo, statement).held is EmbargoHold.EDITED
    assert not is_open(house, now + timedelta(hours=2))


def retracted(house: House, statement: int, now: datetime) -> None:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_retraction(session, found, reason="Wrong.", actor=ANNA, now=now)
        corrections.announce(session, draft, found, actor=ANNA, now=now)


def test_between_the_moment_and_the_sweep_nothing_is_changed(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    """What is public does not vanish again, and what readers may have is not changed under them."""
    subscribe("reader@example.org")
    subscribe("lecteur@example.org", languages=("fr",))
    under_embargo(house, statement, hands.now, hours=1)
    hands.work()
    hands.now += timedelta(hours=1)
    for language in ("fr", "hy"):
        with pytest.raises(StatementRefusal, match="this moment"):
            translated(house, statement, language, hands.now)
    with pytest.raises(StatementRefusal, match="this moment"):
        retracted(house, statement, hands.now)
    assert is_open(house, hands.now)
    sweep(house, hands.now)
    with pytest.raises(StatementRefusal, match="corrected"):
        translated(house, statement, "hy", hands.now)
    translated(house, statement, "fr", hands.now)
    assert is_open(house, hands.now)
    assert hands.work() == 2
    assert sorted(str(mail.message["Subject"]) for mail in server.mails) == [
        "A statement on prisoners of war",
        "Autre titre",
    ]
    retracted(house, statement, hands.now)


def test_nearly_the_same_text_is_asked_about_while_the_other_is_under_embargo(
    house: House, statement: int, now: datetime
) -> None:
    with house.database.write() as session:
        twin = Statement(key="twin", slug="twin", language="en", dated=date(2024, 2, 1), created_at=now)
        twin.texts.append(
            StatementText(
                language="en", title="A Statement on prisoners  of war", body="New.", created_at=now
            )
        )
        session.add(twin)
        session.flush()
        number = twin.id
    under_embargo(house, statement, now, days=40)
    with house.database.write() as session, pytest.raises(StatementRefusal, match="under embargo"):
        statements.publish(session, house, session.get_one(Statement, number), actor=ANNA, now=now)
    approved(house, number, now)
    with pytest.raises(StatementRefusal, match="under embargo"):
        schedule(house, number, now, hours=1)


# --- prepared beforehand


def test_a_rehearsal_changes_nothing_and_says_nothing(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(30):
        subscribe(f"reader{number}@example.org", languages=("hy",) if number % 2 else ("ar",))
    mailing = under_embargo(house, statement, hands.now, seconds=20)
    hands.work()
    hands.dispatcher.prepare(hands.now + timedelta(seconds=20))
    assert states(house, mailing) == {"pending"}
    with house.database.read() as session:
        assert session.scalars(select(Claim)).all() == []
        assert {one.attempts for one in session.scalars(select(Delivery))} == {0}
        assert session.get_one(Mailing, mailing).state is MailingState.SCHEDULED
    assert server.mails == []
    hands.now += timedelta(seconds=20)
    assert hands.work() == 30


def test_a_worker_that_is_busy_with_a_campaign_takes_it_at_once(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(150):
        subscribe(f"reader{number}@example.org")
    until = hands.now + timedelta(hours=1)
    under_embargo(house, statement, hands.now, hours=1)
    with house.database.write() as session:
        campaign = campaigns.draft(
            session,
            key="news",
            subject="News",
            body="News.",
            topic="statements",
            language="en",
            now=hands.now,
        )
        campaigns.send(session, house, campaign, actor=ANNA, now=hands.now)

    def the_moment_comes(_recipient: str) -> None:
        if len(server.mails) >= 20 and hands.now < until:
            hands.now = until
            hands.dispatcher.urge()

    server.reply_to_recipient = the_moment_comes
    assert hands.work() == 300
    assert len({(mail.recipient, mail.message["Subject"]) for mail in server.mails}) == 300
    subjects = [mail.message["Subject"] for mail in server.mails]
    alerts = [place for place, subject in enumerate(subjects) if "News" not in subject]
    assert alerts[0] < 150  # and not behind the campaign's last
    assert parsedate_to_datetime(server.mails[alerts[0]].message["Date"]) == until


def test_what_ends_next_is_asked_of_the_database(house: House, statement: int, now: datetime) -> None:
    def ahead(at: datetime) -> datetime | None:
        with house.database.read() as session:
            return next_opening(session, at)

    assert ahead(now) is None
    under_embargo(house, statement, now, hours=1)
    until = now + timedelta(hours=1)
    assert ahead(now) == until
    assert ahead(until) is None
    wish(house, statement, EmbargoWish.DROP, now)
    decide(house, statement, now)
    assert ahead(now) is None


def test_a_proof_is_marked_and_tells_no_title_where_machines_look(
    house: House, statement: int, now: datetime
) -> None:
    with house.database.read() as session:
        data = proofs.of_statement(
            session,
            house,
            session.get_one(Statement, statement),
            people.topic(session, "statements"),
            language="en",
            address="office@example.org",
            name=None,
            now=now,
        )
    head = data.partition(b"\r\n\r\n")[0].decode()
    assert re.search(r"^Subject: \[test\] A statement on prisoners", head, re.MULTILINE)
    rest = re.sub(r"^Subject: .*\r\n", "", head, flags=re.MULTILINE)
    assert "prisoners" not in rest
    assert "a-statement" not in rest


def test_no_title_and_no_slug_in_what_is_kept_about_an_embargo(
    house: House, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    mailing = under_embargo(house, statement, hands.now, hours=1)
    wish(house, statement, EmbargoWish.DROP, hands.now)
    hands.work()
    with house.database.read() as session:
        kept = [str((one.action, one.subject, one.detail)) for one in session.scalars(select(AuditEntry))]
        kept += [one.words for one in open_incidents(session)]
        found = session.get_one(Mailing, mailing)
        kept += [found.key, str(found.facts)]
    assert not [one for one in kept if "prisoners" in one or "a-statement" in one]


# --- wall times


def test_a_time_that_exists_twice_is_shown_and_chosen() -> None:
    day, at = date(2024, 11, 3), time(1, 30)
    with pytest.raises(TimeRefusal, match=r"twice.*EDT.*EST"):
        moment(day, at, ZONE)
    assert moment(day, at, ZONE, Which.FIRST).instant == datetime(2024, 11, 3, 5, 30, tzinfo=UTC)
    later = moment(day, at, ZONE, Which.LATER)
    assert (later.instant, later.later) == (datetime(2024, 11, 3, 6, 30, tzinfo=UTC), True)


def test_a_time_that_does_not_exist_is_shown_and_chosen() -> None:
    day, at = date(2024, 3, 10), time(2, 30)
    with pytest.raises(TimeRefusal, match=r"does not exist.*01:30:00 EST.*03:30:00 EDT"):
        moment(day, at, ZONE)
    first, later = (moment(day, at, ZONE, which) for which in (Which.FIRST, Which.LATER))
    assert (first.time, first.instant) == (time(1, 30), datetime(2024, 3, 10, 6, 30, tzinfo=UTC))
    assert (later.time, later.instant) == (time(3, 30), datetime(2024, 3, 10, 7, 30, tzinfo=UTC))


ZONES = ("UTC", "America/New_York", "Asia/Yerevan", "Europe/Kyiv", "Australia/Lord_Howe", "Africa/Cairo")


@given(
    instant=st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(
        lambda naive: naive.replace(tzinfo=UTC, microsecond=0)
    ),
    zone=st.sampled_from(ZONES),
)
def test_every_instant_comes_back_from_its_wall_time(instant: datetime, zone: str) -> None:
    wall = at_instant(instant, zone)
    assert derive(wall.day, wall.time, wall.zone, later=wall.later) == instant


def test_an_embargoed_reader_is_one_row(
    house: House, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    under_embargo(house, statement, hands.now, hours=1)
    for _ in range(3):
        hands.now += timedelta(minutes=5)
        hands.work()
    with house.database.read() as session:
        assert len(session.scalars(select(Delivery)).all()) == 1
        assert session.scalars(select(Subscriber)).one()
        assert {one.state for one in session.scalars(select(Delivery))} == {DeliveryState.PENDING}
