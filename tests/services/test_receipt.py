"""Receipts: right at any moment, balanced with the books, and each part an audience of its own."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from mailer.db import receipts
from mailer.db.audience import books
from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.receipts import ON_THE_WIRE, STATES, Receipt
from mailer.services.desk import campaigns, mailings
from mailer.services.desk.campaigns import CampaignRefusal
from mailer.services.house import House
from mailer.services.sending.expand import expand_mailing
from mailer.vocabulary import DeliveryState, MailingState, ReceiptPart, SubscriptionState, SuppressionReason
from tests.services import rows

Subscribe = Callable[..., int]


def receipt(house: House, mailing: int) -> Receipt:
    with house.database.read() as session:
        found = receipts.receipt(session, mailing)
        assert found.audience == books(session, mailing).audience
        return found


def turn(house: House, service: Callable[..., object], mailing: int, now: datetime) -> None:
    with house.database.write() as session:
        service(session, session.get_one(Mailing, mailing), actor="test", now=now)


def test_every_state_stands_in_exactly_one_part() -> None:
    parts = [*STATES.values(), ON_THE_WIRE]
    assert frozenset().union(*parts) == frozenset(DeliveryState)
    assert sum(len(part) for part in parts) == len(DeliveryState)


def test_a_receipt_is_balanced_in_every_state(
    house: House, subscribe: Subscribe, statement: int, now: datetime
) -> None:
    mailing = rows.alert(house, subscribe, statement, now, len(DeliveryState))
    for one, state in zip(rows.ids(house, mailing), DeliveryState, strict=True):
        with house.database.write() as session:
            rows.change(session, [one], state=state)
    assert receipt(house, mailing) == Receipt(reached=3, unreached=6, doubtful=1, in_flight=1, waiting=2)


def test_a_cancelled_mailings_receipt_is_right_at_any_moment(
    house: House, subscribe: Subscribe, statement: int, now: datetime
) -> None:
    mailing = rows.alert(house, subscribe, statement, now, 6)
    first, second, third, fourth, *_ = rows.ids(house, mailing)
    rows.settled(house, [first], DeliveryState.SENT, now, claimed_at=now)
    rows.claimed(house, [second, third, fourth], now)
    turn(house, mailings.cancel, mailing, now)
    assert receipt(house, mailing) == Receipt(reached=1, unreached=2, doubtful=0, in_flight=3, waiting=0)
    with house.database.write() as session:
        assert mailings.in_flight(session, session.get_one(Mailing, mailing)) == 3
        # One was answered, one broke, one came back and nobody has closed it yet.
        rows.change(session, [second], state=DeliveryState.SENT, settled_at=now)
        rows.change(session, [third], state=DeliveryState.IN_DOUBT, settled_at=now)
        rows.change(session, [fourth], state=DeliveryState.DEFERRED)
    assert receipt(house, mailing) == Receipt(reached=2, unreached=3, doubtful=1, in_flight=0, waiting=1)


def test_a_pause_that_comes_too_late_does_not_reopen_what_is_done(
    house: House, subscribe: Subscribe, statement: int, now: datetime
) -> None:
    mailing = rows.alert(house, subscribe, statement, now, 1)
    with house.database.read() as session:
        seen = session.get_one(Mailing, mailing)  # as staff saw it a moment ago
    rows.closed(house, mailing, now)
    for service in (mailings.pause, mailings.cancel):
        with house.database.write() as session, pytest.raises(mailings.MailingRefusal):
            service(session, session.merge(seen, load=False), actor="test", now=now)
    with house.database.read() as session:
        assert session.get_one(Mailing, mailing).state is MailingState.DONE


@pytest.fixture
def over(house: House, subscribe: Subscribe, statement: int, now: datetime) -> int:
    """An alert that is over: readers 0-2 got it, 3 and 4 did not, 5 is in doubt."""
    mailing = rows.alert(house, subscribe, statement, now, 6)
    all_ = rows.ids(house, mailing)
    rows.settled(house, all_[:3], DeliveryState.SENT, now, claimed_at=now)
    rows.settled(house, all_[3:4], DeliveryState.FAILED, now, claimed_at=now)
    rows.settled(house, all_[5:], DeliveryState.IN_DOUBT, now, claimed_at=now)
    with house.database.write() as session:
        rows.change(session, all_[4:5], state=DeliveryState.CANCELLED, settled_at=now)
    rows.closed(house, mailing, now, MailingState.CANCELLED)
    return mailing


def follow_up(house: House, mailing: int, part: ReceiptPart, now: datetime) -> int:
    with house.database.write() as session:
        campaign = campaigns.draft(
            session,
            key=f"after-{part}",
            subject="After that",
            body="One more thing.",
            topic=None,
            language="en",
            now=now,
            to=session.get_one(Mailing, mailing).key,
            part=part,
        )
        sent = campaigns.send(session, house, campaign, actor="test", now=now).id
    with house.database.write() as session:
        expand_mailing(session, sent, now)
    return sent


def people(house: House, mailing: int) -> dict[int, tuple[str, str | None]]:
    with house.database.read() as session:
        found = session.scalars(select(Delivery).where(Delivery.mailing_id == mailing))
        return {one.subscriber_id or 0: (one.state.value, one.reason) for one in found}


@pytest.mark.parametrize(
    ("part", "readers"),
    [
        (ReceiptPart.REACHED, {0, 1, 2}),
        (ReceiptPart.UNREACHED, {3, 4}),
        (ReceiptPart.DOUBTFUL, {5}),
    ],
)
def test_each_part_of_a_receipt_is_an_audience(
    house: House, subscribe: Subscribe, over: int, now: datetime, part: ReceiptPart, readers: set[int]
) -> None:
    subscribe("newcomer@example.org")
    order = sorted(people(house, over))
    sent = follow_up(house, over, part, now)
    assert people(house, sent) == {order[number]: ("pending", None) for number in readers}
    with house.database.read() as session:
        assert set(session.scalars(receipts.members(over, part))) == set(people(house, sent))


def test_an_audience_from_a_receipt_asks_again_who_may_be_mailed(
    house: House, over: int, now: datetime
) -> None:
    first, second, third, *_ = sorted(people(house, over))
    with house.database.write() as session:
        session.get_one(Subscriber, first).suppressed = SuppressionReason.BOUNCE
        for number, state in ((second, SubscriptionState.UNSUBSCRIBED), (third, SubscriptionState.PENDING)):
            found = session.scalars(select(Subscription).where(Subscription.subscriber_id == number)).one()
            found.state = state
    with house.database.write() as session:
        campaign = campaigns.draft(
            session,
            key="again",
            subject="Again",
            body="Again.",
            topic=None,
            language="en",
            now=now,
            to=session.get_one(Mailing, over).key,
            part=ReceiptPart.REACHED,
        )
        assert campaigns.audience_size(session, campaign) == 0
    assert people(house, follow_up(house, over, ReceiptPart.REACHED, now)) == {
        first: ("skipped", "suppressed"),
        second: ("skipped", "unsubscribed"),
        third: ("skipped", "unconfirmed"),
    }


def test_people_who_never_asked_for_the_topic_are_left_out_by_name(
    house: House, over: int, now: datetime
) -> None:
    with house.database.write() as session:
        campaign = campaigns.draft(
            session,
            key="other",
            subject="Other",
            body="Other.",
            topic="symposia",
            language="en",
            now=now,
            to=session.get_one(Mailing, over).key,
            part=ReceiptPart.DOUBTFUL,
        )
        sent = campaigns.send(session, house, campaign, actor="test", now=now).id
    with house.database.write() as session:
        expand_mailing(session, sent, now)
    assert list(people(house, sent).values()) == [("skipped", "unsubscribed")]


@pytest.mark.parametrize(
    ("state", "part", "flying", "refused"),
    [
        (MailingState.SENDING, ReceiptPart.REACHED, False, True),
        (MailingState.PAUSED, ReceiptPart.REACHED, False, False),
        (MailingState.PAUSED, ReceiptPart.REACHED, True, True),
        (MailingState.PAUSED, ReceiptPart.UNREACHED, False, True),
        (MailingState.CANCELLED, ReceiptPart.UNREACHED, False, False),
        (MailingState.CANCELLED, ReceiptPart.UNREACHED, True, True),
        (MailingState.DONE, ReceiptPart.DOUBTFUL, False, False),
    ],
)
def test_a_part_that_still_changes_is_nobodys_audience(
    house: House,
    over: int,
    now: datetime,
    state: MailingState,
    part: ReceiptPart,
    flying: bool,
    refused: bool,
) -> None:
    rows.closed(house, over, now, state)
    if flying:
        rows.claimed(house, rows.ids(house, over)[4:5], now)
    if refused:
        with pytest.raises(CampaignRefusal):
            follow_up(house, over, part, now)
    else:
        assert follow_up(house, over, part, now)


def test_a_receipt_is_named_whole_or_not_at_all(house: House, over: int, now: datetime) -> None:
    del over
    for to, part in ((None, ReceiptPart.REACHED), ("statement:1:alert", None)):
        with house.database.write() as session, pytest.raises(CampaignRefusal):
            campaigns.draft(
                session,
                key="half",
                subject="Half",
                body="Half.",
                topic="statements",
                language="en",
                now=now,
                to=to,
                part=part,
            )


def test_a_campaign_can_be_spread_and_held_back_by_its_own_wish(house: House, now: datetime) -> None:
    with house.database.write() as session:
        campaign = campaigns.draft(
            session, key="slow", subject="S", body="B.", topic="statements", language="en", now=now
        )
        wish = {"actor": "test", "now": now, "undo_seconds": 90, "spread_seconds": 7200}
        mailing = campaigns.send(session, house, campaign, **wish)
        assert (mailing.opens_at - now, mailing.spread_seconds) == (timedelta(seconds=90), 7200)
        again = campaigns.send(session, house, campaign, actor="test", now=now + timedelta(minutes=1))
        assert (again.id, again.opens_at, again.spread_seconds) == (mailing.id, mailing.opens_at, 7200)
