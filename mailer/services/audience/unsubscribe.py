"""Unsubscribe: out before the answer is written, by whichever door, as often as asked.

A token names a delivery. Of a topic mail it ends the subscription to that topic; of
a reminder it ends the reminders of that symposium and leaves the registration.
Deliveries of the topic that nobody has claimed yet are skipped in the same transaction.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.people import Subscriber, Subscription, Topic
from mailer.db.programme import Registration, Symposium
from mailer.messages.tokens import Purpose, read
from mailer.services.audience import people
from mailer.services.audience.people import TopicName
from mailer.services.audience.subscribe import note
from mailer.services.house import House
from mailer.services.sending.traits import BY_RULE
from mailer.vocabulary import (
    ConsentKind,
    ConsentSource,
    DeliveryState,
    MailingKind,
    SkipReason,
    SubscriptionState,
)

UNDO = timedelta(hours=24)  # for a slip of the hand; later only the person's own fresh yes brings them back


class Left(StrEnum):
    """What a person left, or would leave."""

    TOPIC = "topic"
    REMINDERS = "reminders"
    NOTHING = "nothing"


@dataclass(frozen=True, kw_only=True)
class Door:
    """What the link of one mail leads out of. `languages` are the reader's, for the page's words."""

    left: Left
    topic: Topic | None = None
    symposium: Symposium | None = None
    subscription: Subscription | None = None
    registration: Registration | None = None
    subscriber_id: int | None = None
    languages: tuple[str, ...] = ()

    @property
    def closed(self) -> bool:
        """True when the person is out already."""
        if self.subscription is not None:
            return self.subscription.state is SubscriptionState.UNSUBSCRIBED
        return self.registration is not None and not self.registration.reminders


NOWHERE = Door(left=Left.NOTHING)


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """What the page of an unsubscribe link says: what would end or has ended, in plain values.

    `topic` for a topic mail; `symposium` (its title, in `spoken`) for a reminder.
    """

    left: Left
    topic: TopicName | None
    symposium: str | None
    spoken: str | None
    closed: bool
    undo: bool
    languages: tuple[str, ...]


def show(session: Session, house: House, token: str, now: datetime) -> Leaving | None:
    """What the link of a mail would end, for its page; None where there is nothing. Changes nothing."""
    door = look(session, house, token)
    if door.left is Left.NOTHING:
        return None
    return Leaving(
        left=door.left,
        topic=people.name_of(door.topic) if door.topic else None,
        symposium=door.symposium.title if door.symposium else None,
        spoken=door.symposium.language if door.symposium else None,
        closed=door.closed,
        undo=_undoable(door, now),
        languages=door.languages,
    )


def _undoable(door: Door, now: datetime) -> bool:
    if not door.closed:
        return False
    return door.subscription is None or now - door.subscription.changed_at <= UNDO


def look(session: Session, house: House, token: str) -> Door:
    """What this token would end; NOWHERE for a forged token or an erased person. Changes nothing."""
    # A forged token is looked up too, as a delivery that is none: the time it takes must not tell it apart.
    numbers = read(house.tokens, Purpose.UNSUBSCRIBE, token, 1) or (0,)
    row = session.execute(
        select(Delivery, Mailing, Subscriber)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(Delivery.id == numbers[0])
    ).one_or_none()
    if row is None:
        return NOWHERE
    delivery, mailing, subscriber = row
    if mailing.kind in BY_RULE:
        return _reminders(session, delivery, mailing, subscriber)
    return _topic(session, mailing, subscriber)


def _reminders(session: Session, delivery: Delivery, mailing: Mailing, subscriber: Subscriber) -> Door:
    registration = session.get(Registration, delivery.registration_id or 0)
    if registration is None:
        return NOWHERE
    return Door(
        left=Left.REMINDERS,
        symposium=session.get(Symposium, mailing.symposium_id or 0),
        registration=registration,
        subscriber_id=subscriber.id,
        languages=tuple(subscriber.languages),
    )


def _topic(session: Session, mailing: Mailing, subscriber: Subscriber) -> Door:
    subscription = session.scalars(
        select(Subscription).where(
            Subscription.subscriber_id == subscriber.id, Subscription.topic_id == mailing.topic_id
        )
    ).one_or_none()
    if subscription is None:
        return NOWHERE
    return Door(
        left=Left.TOPIC,
        topic=session.get(Topic, mailing.topic_id or 0),
        subscription=subscription,
        subscriber_id=subscriber.id,
        languages=tuple(subscriber.languages),
    )


def leave(session: Session, house: House, token: str, source: ConsentSource, now: datetime) -> Door:
    """Let the person out of what the token names. A forged or repeated token changes nothing."""
    door = look(session, house, token)
    held = door.subscription or door.registration
    if held is not None:
        session.refresh(held, with_for_update=True)  # a hundred clicks at once are one
    if door.closed:
        return door
    if door.subscription is not None:
        leave_topic(session, door.subscription, source, now)
    elif door.registration is not None:
        door.registration.reminders = False
        _skip(session, now, Delivery.registration_id == door.registration.id, kinds=BY_RULE)
    return door


def leave_topic(session: Session, subscription: Subscription, source: ConsentSource, now: datetime) -> None:
    """End one subscription and skip what of its topic still waits for this person."""
    subscription.state, subscription.changed_at = SubscriptionState.UNSUBSCRIBED, now
    note(session, subscription, ConsentKind.WITHDRAWN, source, now)
    of_topic = select(Mailing.id).where(Mailing.topic_id == subscription.topic_id)
    _skip(
        session,
        now,
        (Delivery.subscriber_id == subscription.subscriber_id) & Delivery.mailing_id.in_(of_topic),
    )


def undo(session: Session, house: House, token: str, now: datetime) -> Door:
    """Take a person back who left within the last day and says it was a mistake.

    Alerts skipped meanwhile stay skipped; reminders that are still ahead are taken up again.
    """
    door = look(session, house, token)
    if not _undoable(door, now):
        return door
    if door.subscription is not None:
        door.subscription.state, door.subscription.changed_at = SubscriptionState.CONFIRMED, now
        note(session, door.subscription, ConsentKind.CONFIRMED, ConsentSource.PREFERENCES, now)
    elif door.registration is not None:
        door.registration.reminders = True
        _take_up(session, door.registration, now)
    return door


def _take_up(session: Session, registration: Registration, now: datetime) -> None:
    of_rules = select(Mailing.id).where(Mailing.kind.in_(BY_RULE))
    session.execute(
        update(Delivery)
        .where(
            Delivery.registration_id == registration.id,
            Delivery.state == DeliveryState.SKIPPED,
            Delivery.reason == SkipReason.UNSUBSCRIBED.value,
            Delivery.due_at > now,
            Delivery.mailing_id.in_(of_rules),
        )
        .values(state=DeliveryState.PENDING, reason=None, settled_at=None)
        .execution_options(synchronize_session=False)
    )


def _skip(session: Session, now: datetime, whose: object, *, kinds: Collection[MailingKind] = ()) -> None:
    statement = update(Delivery).where(Delivery.state.in_(WAITING), whose)  # type: ignore[arg-type]
    if kinds:
        statement = statement.where(
            Delivery.mailing_id.in_(select(Mailing.id).where(Mailing.kind.in_(kinds)))
        )
    session.execute(
        statement.values(
            state=DeliveryState.SKIPPED, reason=SkipReason.UNSUBSCRIBED.value, settled_at=now
        ).execution_options(synchronize_session=False)
    )
