"""Whose turn it is: urgent mail overtakes, mailings of one rank share, a spread mailing takes its time."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.db.mailings import BULK_RANK, URGENT_RANKS, Delivery, Mailing
from mailer.db.programme import Symposium
from mailer.services.audience import people
from mailer.services.desk import campaigns
from mailer.services.house import House
from mailer.services.programme.register import Attendee, register
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.claim import claim
from mailer.services.sending.sweep import sweep
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import MailingKind
from tests.services.conftest import Hands

Subscribe = Callable[..., int]
READERS = 30


def campaign(house: House, key: str, now: datetime, **options: int) -> int:
    """A campaign to everyone who subscribed to statements, announced and expanded; its mailing's id."""
    with house.database.write() as session:
        campaigns.draft(
            session, key=key, subject="Hello", body="Words.", topic="statements", language="en", now=now
        )
        made = announce(
            session,
            house,
            Announcement(
                key=f"campaign:{key}",
                kind=MailingKind.CAMPAIGN,
                topic_id=people.topic(session, "statements").id,
                campaign_id=campaigns.find(session, key).id,
                **options,
            ),
            now,
        )
        number = made.id
    sweep(house, now)
    return number


def readers(subscribe: Subscribe) -> None:
    for number in range(READERS):
        subscribe(f"reader{number}@example.org")


def taken(house: House, now: datetime, limit: int) -> Counter[int]:
    """How many of each mailing the next claim takes."""
    with house.database.write() as session:
        held = claim(session, house, worker="send-test-1-abcdef", now=now, limit=limit).held
    return Counter(candidate.mailing_id for candidate in held)


def test_two_mailings_of_one_rank_share_each_slice(house: House, subscribe: Subscribe, now: datetime) -> None:
    readers(subscribe)
    first, second = campaign(house, "one", now), campaign(house, "two", now)
    assert taken(house, now, 20) == {first: 10, second: 10}
    assert taken(house, now, 7) == {first: 4, second: 3}
    rest = taken(house, now, 1_000)
    assert rest == {first: READERS - 14, second: READERS - 13}


def test_what_one_mailing_leaves_the_others_take(house: House, subscribe: Subscribe, now: datetime) -> None:
    readers(subscribe)
    first = campaign(house, "one", now)
    assert taken(house, now, READERS - 2) == {first: READERS - 2}
    second = campaign(house, "two", now)
    assert taken(house, now, 20) == {first: 2, second: 18}


def test_a_confirmation_overtakes_a_campaign_that_is_under_way(
    house: House, hands: Hands, subscribe: Subscribe, symposium: int, now: datetime
) -> None:
    readers(subscribe)
    bulk = campaign(house, "one", now)
    assert taken(house, now, 10) == {bulk: 10}
    with house.database.write() as session:
        attendee = Attendee(address="attendee@example.org", name=None, languages=("en",), zone=None)
        register(session, house, session.get_one(Symposium, symposium), attendee, now)
    sweep(house, now)
    with house.database.read() as session:
        urgent = _mailing_of(session, MailingKind.REGISTRATION_CONFIRMATION)
    assert taken(house, now, 5) == {urgent: 1, bulk: 4}


def _mailing_of(session: Session, kind: MailingKind) -> int:
    return session.scalars(select(Mailing.id).where(Mailing.kind == kind)).one()


def test_a_spread_mailing_falls_due_little_by_little(
    house: House, subscribe: Subscribe, now: datetime
) -> None:
    readers(subscribe)
    window = timedelta(hours=10)
    mailing = campaign(house, "slow", now, spread_seconds=int(window.total_seconds()))
    with house.database.read() as session:
        dues = session.scalars(select(Delivery.due_at).where(Delivery.mailing_id == mailing)).all()
        lives = session.scalar(select(func.min(Delivery.not_after)))
    assert len(dues) == READERS
    assert now <= min(dues) < max(dues) < now + window
    assert len(set(dues)) > READERS / 2
    assert lives is not None
    assert lives > now + window
    halfway = sum(due <= now + window / 2 for due in dues)
    assert taken(house, now + window / 2, 1_000).total() == halfway
    assert taken(house, now + window, 1_000).total() == READERS - halfway


def test_every_rank_before_bulk_is_one_that_the_claim_looks_for() -> None:
    assert {traits.rank for traits in TRAITS.values() if traits.rank < BULK_RANK} <= set(URGENT_RANKS)
