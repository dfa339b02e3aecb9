"""Preferences: what a person may see and change by the link in their mail, without an account."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from mailer.db import digests
from mailer.db.mailings import Delivery, ReturnedMail
from mailer.db.people import Subscriber, Subscription, Topic
from mailer.db.seal import ADDRESS
from mailer.messages.templates import LANGUAGES
from mailer.messages.tokens import Purpose, read
from mailer.messages.when import is_zone
from mailer.services.audience import people
from mailer.services.audience.people import TopicName
from mailer.services.audience.subscribe import settle_consent
from mailer.services.audience.unsubscribe import leave_topic
from mailer.services.house import House
from mailer.services.sending import replan
from mailer.services.sending.look_again import look_again
from mailer.vocabulary import ConsentSource, Frequency, SubscriptionState, SuppressionReason

LINK_DAYS = 30


class Closed(StrEnum):
    """Why a preferences link opens nothing."""

    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One topic and whether the person gets it.

    `frequency`: how often they hear of its statements; None for a topic that has none.
    """

    topic: TopicName
    on: bool
    frequency: Frequency | None


@dataclass(frozen=True, kw_only=True)
class Held:
    """What the house holds about a person and shows to them. `stopped`: no mail reaches them at present."""

    languages: tuple[str, ...]
    zone: str | None
    choices: tuple[Choice, ...]
    stopped: bool


def look(session: Session, house: House, token: str, now: datetime) -> Held | Closed:
    """What the preferences page shows, or why the link opens nothing (forged, expired, erased person)."""
    subscriber = _person(session, house, token, now)
    if isinstance(subscriber, Closed):
        return subscriber
    return Held(
        languages=tuple(subscriber.languages),
        zone=subscriber.zone,
        choices=_choices(session, subscriber),
        stopped=subscriber.suppressed is not None,
    )


def _choices(session: Session, subscriber: Subscriber) -> tuple[Choice, ...]:
    theirs = session.scalars(select(Subscription).where(Subscription.subscriber_id == subscriber.id))
    frequencies = {one.topic_id: one.frequency for one in theirs}
    return tuple(
        Choice(
            topic=people.name_of(topic),
            on=on,
            frequency=frequencies.get(topic.id, Frequency.AT_ONCE) if people.has_statements(topic) else None,
        )
        for topic, on in _topics(session, subscriber)
    )


def _topics(session: Session, subscriber: Subscriber) -> list[tuple[Topic, bool]]:
    """Every public topic, and those that only this person has."""
    on = set(
        session.scalars(
            select(Subscription.topic_id).where(
                Subscription.subscriber_id == subscriber.id, Subscription.state == SubscriptionState.CONFIRMED
            )
        )
    )
    offered = select(Topic).where(Topic.public.is_(True) | Topic.id.in_(on)).order_by(Topic.key)
    return [(topic, topic.id in on) for topic in session.scalars(offered)]


def change(
    session: Session,
    house: House,
    token: str,
    *,
    topics: Iterable[str],
    language: str,
    zone: str,
    now: datetime,
    frequencies: Mapping[str, Frequency] | None = None,
) -> Held | Closed:
    """Save a person's choices. An unknown language or zone leaves the old one; Closed as in `look`.

    `frequencies` by topic; a topic that is not among them keeps its own.
    """
    subscriber = _person(session, house, token, now)
    if isinstance(subscriber, Closed):
        return subscriber
    if language in LANGUAGES and subscriber.languages[:1] != [language]:
        subscriber.languages = [language, *(one for one in subscriber.languages if one != language)]
        look_again(session, subscriber.id, now)
    if (not zone or is_zone(zone)) and subscriber.zone != (zone or None):
        subscriber.zone = zone or None
        replan.reader_changed(session, subscriber.id)
    wanted = set(topics)
    for topic, on in _topics(session, subscriber):
        if on != (topic.key in wanted):
            _switch(session, house, subscriber, topic, now, on=not on)
    for key, frequency in (frequencies or {}).items():
        set_frequency(session, subscriber.id, key, frequency)
    session.flush()
    return look(session, house, token, now)


def _switch(
    session: Session, house: House, subscriber: Subscriber, topic: Topic, now: datetime, *, on: bool
) -> None:
    subscription = session.scalars(
        select(Subscription).where(
            Subscription.subscriber_id == subscriber.id, Subscription.topic_id == topic.id
        )
    ).one_or_none()
    if subscription is None:
        subscription = Subscription(
            subscriber_id=subscriber.id, topic_id=topic.id, state=SubscriptionState.PENDING, changed_at=now
        )
        session.add(subscription)
        session.flush()
    if on:
        settle_consent(session, house, subscription, ConsentSource.PREFERENCES, now, welcome=False)
    else:
        leave_topic(session, subscription, ConsentSource.PREFERENCES, now)


def set_frequency(session: Session, subscriber_id: int, topic: str, frequency: Frequency) -> bool:
    """How often a person hears of a topic's statements from now on; False when they never asked for it.

    What is on its way at once stays on its way, and what is owed to a digest stays owed to one.
    """
    changed = session.execute(
        update(Subscription)
        .where(
            Subscription.subscriber_id == subscriber_id,
            Subscription.topic_id.in_(select(Topic.id).where(Topic.key == topic)),
        )
        .values(frequency=frequency)
        .execution_options(synchronize_session="fetch")
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def erase(session: Session, house: House, token: str, now: datetime) -> bool:
    """Delete a person at their own wish, at once; False for a link that is not theirs any more."""
    subscriber = _person(session, house, token, now)
    if isinstance(subscriber, Closed):
        return False
    erase_person(session, house, subscriber, now)
    return True


def erase_person(session: Session, house: House, subscriber: Subscriber, now: datetime) -> None:
    """Delete everything about a person, also the mail that came back from them.

    Delivery rows stay without the person, so that the books balance, and a keyed hash of the
    address stays, so that no later import brings them back.
    """
    address = house.vault.open(ADDRESS, subscriber.id, subscriber.address)
    people.suppress(session, house, address, SuppressionReason.ERASED, now)
    session.flush()
    digests.forget(session, subscriber.id)
    theirs = select(Delivery.id).where(Delivery.subscriber_id == subscriber.id)
    session.execute(delete(ReturnedMail).where(ReturnedMail.delivery_id.in_(theirs)))
    session.execute(
        update(Delivery).where(Delivery.subscriber_id == subscriber.id).values(subscriber_id=None)
    )
    session.execute(delete(Subscriber).where(Subscriber.id == subscriber.id))


def _person(session: Session, house: House, token: str, now: datetime) -> Subscriber | Closed:
    numbers = read(house.tokens, Purpose.PREFERENCES, token, 2)
    if numbers is None:
        return Closed.UNKNOWN
    subscriber_id, day = numbers
    if int(now.timestamp()) // 86_400 - day > LINK_DAYS:
        return Closed.EXPIRED
    return session.get(Subscriber, subscriber_id) or Closed.UNKNOWN
