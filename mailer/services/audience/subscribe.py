"""Subscribe and confirm: nobody is on a list who did not say yes twice.

The page, the command and later the API all come through here, so the limits that
protect strangers from being mailed hold for every door.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mailer.db import digests
from mailer.db.mailings import Mailing
from mailer.db.people import Consent, Subscriber, Subscription, Topic
from mailer.messages.tokens import Purpose, read
from mailer.services.audience import people
from mailer.services.audience.people import TopicName
from mailer.services.house import House
from mailer.services.sending.announce import Announcement, announce
from mailer.vocabulary import ConsentKind, ConsentSource, Frequency, Link, MailingKind, SubscriptionState

LINK_HOURS = 72
PAUSE = timedelta(hours=24)  # between two confirmation requests to one address, whatever the topic
MOST_REQUESTS = 3  # to one address, ever: a stranger cannot use the form to flood somebody


class Confirmed(StrEnum):
    """What a click on a confirmation link's button came to."""

    NOW = "now"
    BEFORE = "before"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody asked for on a form."""

    address: str
    topics: tuple[str, ...]
    languages: tuple[str, ...]
    zone: str | None = None
    name: str | None = None
    frequencies: Mapping[str, Frequency] = field(default_factory=dict)  # by topic; at once where none is said


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a confirmation link would bring, as its page shows it. `languages` are the reader's own."""

    link: Link
    topics: tuple[TopicName, ...] = ()
    languages: tuple[str, ...] = ()


def ask(session: Session, house: House, wish: Wish, source: ConsentSource, now: datetime) -> None:
    """Note the wish and send one confirmation request for all of it, within the limits.

    Says nothing about whether the address was known: the answer goes only to the address.
    The public form cannot ask for a topic that is not public.
    """
    subscriber = people.find(session, house, wish.address) or _add(session, house, wish, now)
    for key in wish.topics:
        topic = people.topic(session, key)
        if source is ConsentSource.FORM and not topic.public:
            continue
        subscription = _subscription(session, subscriber, topic, now)
        if subscription.state is SubscriptionState.CONFIRMED:
            continue
        subscription.state, subscription.changed_at = SubscriptionState.PENDING, now
        subscription.frequency = wish.frequencies.get(key, Frequency.AT_ONCE)
        _request(session, house, subscription, source, now)


def _add(session: Session, house: House, wish: Wish, now: datetime) -> Subscriber:
    try:
        with session.begin_nested():
            return people.add(
                session,
                house,
                address=wish.address,
                name=wish.name,
                languages=wish.languages,
                zone=wish.zone,
                now=now,
            )
    except IntegrityError:  # the same address came through another door at the same moment
        found = people.find(session, house, wish.address)
        if found is None:
            raise
        return found


def _subscription(session: Session, subscriber: Subscriber, topic: Topic, now: datetime) -> Subscription:
    found = session.scalars(
        select(Subscription).where(
            Subscription.subscriber_id == subscriber.id, Subscription.topic_id == topic.id
        )
    ).one_or_none()
    if found is None:
        found = Subscription(
            subscriber_id=subscriber.id, topic_id=topic.id, state=SubscriptionState.PENDING, changed_at=now
        )
        session.add(found)
        session.flush()
    return found


def _request(
    session: Session, house: House, subscription: Subscription, source: ConsentSource, now: datetime
) -> None:
    theirs = select(Subscription.id).where(Subscription.subscriber_id == subscription.subscriber_id)
    count, newest = session.execute(
        select(func.count(), func.max(Mailing.created_at)).where(
            Mailing.subscription_id.in_(theirs), Mailing.kind == MailingKind.OPT_IN
        )
    ).one()
    if count >= MOST_REQUESTS or (newest is not None and now - newest < PAUSE):
        return
    note(session, subscription, ConsentKind.ASKED, source, now)
    announcement = Announcement(
        key=f"subscription:{subscription.id}:opt-in:{count + 1}",
        kind=MailingKind.OPT_IN,
        topic_id=subscription.topic_id,
        subscription_id=subscription.id,
    )
    announce(session, house, announcement, now)


def look(session: Session, house: House, token: str, now: datetime) -> Asked:
    """What a confirmation link is about. Changes nothing."""
    subscription, age = find_request(session, house, token, now)
    if subscription is None:
        return Asked(link=Link.UNKNOWN)
    subscriber = session.get_one(Subscriber, subscription.subscriber_id)
    if subscription.state is SubscriptionState.CONFIRMED:
        link, asked = Link.CONFIRMED, [subscription]
    elif age > LINK_HOURS or subscription.state is not SubscriptionState.PENDING:
        link, asked = Link.EXPIRED, [subscription]
    else:
        link, asked = Link.OPEN, _pending(session, subscriber.id)
    topics = tuple(people.name_of(one.topic) for one in asked)
    return Asked(link=link, topics=topics, languages=tuple(subscriber.languages))


def _pending(session: Session, subscriber_id: int) -> list[Subscription]:
    statement = (
        select(Subscription)
        .where(Subscription.subscriber_id == subscriber_id, Subscription.state == SubscriptionState.PENDING)
        .order_by(Subscription.id)
    )
    return list(session.scalars(statement))


def confirm(
    session: Session, house: House, token: str, now: datetime, *, topics: Collection[str] = ()
) -> Confirmed:
    """Confirm a subscription by the token of its request. Repeating it changes nothing.

    `topics` are further topics the same person asked for and saw on the page before agreeing:
    one address gets one request, however many topics it was asked for.
    """
    subscription, age = find_request(session, house, token, now)
    if subscription is None:
        return Confirmed.UNKNOWN
    if subscription.state is SubscriptionState.CONFIRMED:
        return Confirmed.BEFORE
    if age > LINK_HOURS or subscription.state is not SubscriptionState.PENDING:
        return Confirmed.EXPIRED
    for other in _pending(session, subscription.subscriber_id):
        if other.id != subscription.id and other.topic.key in topics:
            settle_consent(session, house, other, ConsentSource.FORM, now, welcome=False)
    people.lift(session, house, session.get_one(Subscriber, subscription.subscriber_id))
    settle_consent(session, house, subscription, ConsentSource.FORM, now, welcome=True)
    return Confirmed.NOW


def ask_again(session: Session, house: House, token: str, now: datetime) -> None:
    """Send a new confirmation request in place of an expired one, within the same limits."""
    subscription, _ = find_request(session, house, token, now)
    if subscription is None or subscription.state is SubscriptionState.CONFIRMED:
        return
    subscription.state, subscription.changed_at = SubscriptionState.PENDING, now
    _request(session, house, subscription, ConsentSource.FORM, now)


def find_request(
    session: Session, house: House, token: str, now: datetime
) -> tuple[Subscription | None, int]:
    """The subscription a confirmation link is about, and the link's age in hours."""
    numbers = read(house.tokens, Purpose.CONFIRM, token, 2)
    if numbers is None:
        return None, 0
    subscription_id, hour = numbers
    return session.get(Subscription, subscription_id), int(now.timestamp()) // 3_600 - hour


def settle_consent(
    session: Session,
    house: House,
    subscription: Subscription,
    source: ConsentSource,
    now: datetime,
    *,
    welcome: bool,
) -> None:
    """Put a person on a topic for good, with the entry in the ledger, and welcome them if wanted.

    Of what they would have been told in digests before they left nothing is owed to them any more.
    """
    digests.forget(session, subscription.subscriber_id, subscription.topic_id)
    subscription.state, subscription.changed_at = SubscriptionState.CONFIRMED, now
    note(session, subscription, ConsentKind.CONFIRMED, source, now)
    if not welcome:
        return
    announcement = Announcement(
        key=f"subscription:{subscription.id}:welcome:{int(now.timestamp())}",
        kind=MailingKind.WELCOME,
        topic_id=subscription.topic_id,
        subscription_id=subscription.id,
    )
    announce(session, house, announcement, now)


def note(
    session: Session,
    subscription: Subscription,
    kind: ConsentKind,
    source: ConsentSource,
    now: datetime,
    words: str | None = None,
) -> None:
    """Append to the consent ledger; `words` say where an imported yes was given."""
    session.add(
        Consent(
            subscriber_id=subscription.subscriber_id,
            topic_id=subscription.topic_id,
            kind=kind,
            source=source,
            note=words,
            at=now,
        )
    )
