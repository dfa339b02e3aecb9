"""Finding and making subscribers by their address, which is only ever stored sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from mailer.db.base import new_id
from mailer.db.people import Subscriber, Suppression, Topic
from mailer.db.seal import ADDRESS, NAME
from mailer.services.house import House
from mailer.vocabulary import LIFTABLE, SuppressionReason

FALLBACK_LANGUAGE = "en"
STATEMENTS = "statements"  # the topic whose subscribers are told of every statement


@dataclass(frozen=True, kw_only=True)
class TopicName:
    """A topic as a page shows it: its key and its name in each language it has one in."""

    key: str
    names: Mapping[str, str]
    has_statements: bool = False  # so that one may choose how often to hear of it

    def said_in(self, language: str) -> str:
        """The name in the language, else in English, else the key."""
        return self.names.get(language) or self.names.get(FALLBACK_LANGUAGE) or self.key


class UnknownTopic(Exception):
    """A topic key that does not exist; the message lists those that do."""


def find(session: Session, house: House, address: str) -> Subscriber | None:
    """The subscriber with this address, whatever its capitals."""
    index = house.vault.address_index(address)
    return session.scalars(select(Subscriber).where(Subscriber.address_index == index)).one_or_none()


def add(
    session: Session,
    house: House,
    *,
    address: str,
    name: str | None,
    languages: Sequence[str],
    zone: str | None,
    now: datetime,
) -> Subscriber:
    """A new subscriber with nothing subscribed; a suppressed address stays suppressed."""
    row = new_id()
    suppression = session.get(Suppression, house.vault.suppression_index(address))
    subscriber = Subscriber(
        id=row,
        address=house.vault.seal(ADDRESS, row, address),
        address_index=house.vault.address_index(address),
        domain_index=house.vault.domain_index(address),
        name=house.vault.seal(NAME, row, name) if name else None,
        languages=list(languages),
        zone=zone,
        suppressed=suppression.reason if suppression else None,
        created_at=now,
    )
    session.add(subscriber)
    return subscriber


def suppress(session: Session, house: House, address: str, reason: SuppressionReason, now: datetime) -> None:
    """Never mail this address again, also after the person is erased."""
    key = house.vault.suppression_index(address)
    if session.get(Suppression, key) is None:
        session.add(Suppression(address_hash=key, reason=reason, created_at=now))
    subscriber = find(session, house, address)
    if subscriber is not None:
        subscriber.suppressed = reason


def lift(session: Session, house: House, subscriber: Subscriber) -> None:
    """Take off the list again whom their own fresh opt-in brings back; never after a bounce."""
    if subscriber.suppressed not in LIFTABLE:
        return
    address = house.vault.open(ADDRESS, subscriber.id, subscriber.address)
    session.execute(
        delete(Suppression).where(Suppression.address_hash == house.vault.suppression_index(address))
    )
    subscriber.suppressed = None


def topic(session: Session, key: str) -> Topic:
    """The topic with this key. Raises UnknownTopic naming the known ones."""
    found = session.scalars(select(Topic).where(Topic.key == key)).one_or_none()
    if found is None:
        known = ", ".join(session.scalars(select(Topic.key).order_by(Topic.key))) or "none yet"
        raise UnknownTopic(f'There is no topic "{key}". Known topics: {known}.')
    return found


def add_topic(session: Session, key: str, names: dict[str, str]) -> Topic:
    """The topic with this key, made when it is new; its names are brought up to date."""
    found = session.scalars(select(Topic).where(Topic.key == key)).one_or_none()
    if found is None:
        found = Topic(key=key, names=names)
        session.add(found)
        session.flush()
    elif names:
        found.names = {**found.names, **names}
    return found


def name_of(topic: Topic) -> TopicName:
    """What a page may know of a topic."""
    return TopicName(key=topic.key, names=dict(topic.names), has_statements=has_statements(topic))


def has_statements(topic: Topic) -> bool:
    """True for a topic that statements are published under."""
    return topic.key == STATEMENTS


def public_topics(session: Session) -> tuple[TopicName, ...]:
    """The topics anybody may subscribe to, in a steady order."""
    found = session.scalars(select(Topic).where(Topic.public.is_(True)).order_by(Topic.key))
    return tuple(name_of(topic) for topic in found)
