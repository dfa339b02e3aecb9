"""Receipts: who of a mailing got it, who did not, who is in doubt; counted, and as audiences.

Every delivery stands in exactly one part, or is on the wire at this moment. A part that
becomes an audience asks again what every audience asks: nobody is mailed because they
were mailed before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, case, cast, func, null, select
from sqlalchemy.orm import Session, aliased

from mailer.db.audience import Slot, rows
from mailer.db.mailings import LEFT_OUT, REACHED, WAITING, Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Registration
from mailer.vocabulary import DeliveryState, ReceiptPart, SkipReason, SubscriptionState

STATES: dict[ReceiptPart, frozenset[DeliveryState]] = {
    ReceiptPart.REACHED: REACHED,
    ReceiptPart.UNREACHED: WAITING | LEFT_OUT | {DeliveryState.FAILED},
    ReceiptPart.DOUBTFUL: frozenset({DeliveryState.IN_DOUBT}),
}
ON_THE_WIRE = frozenset({DeliveryState.CLAIMED})


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """The four counts of one mailing. `waiting`: those of the unreached who may still get it."""

    reached: int
    unreached: int
    doubtful: int
    in_flight: int
    waiting: int

    @property
    def audience(self) -> int:
        """Everyone the mailing was meant for."""
        return self.reached + self.unreached + self.doubtful + self.in_flight


def receipt(session: Session, mailing_id: int) -> Receipt:
    """Count the mailing's rows, all at the same moment."""
    counted = session.execute(
        select(Delivery.state, func.count()).where(Delivery.mailing_id == mailing_id).group_by(Delivery.state)
    )
    counts = {row[0]: int(row[1]) for row in counted}

    def total(states: frozenset[DeliveryState]) -> int:
        return sum(count for state, count in counts.items() if state in states)

    return Receipt(
        reached=total(STATES[ReceiptPart.REACHED]),
        unreached=total(STATES[ReceiptPart.UNREACHED]),
        doubtful=total(STATES[ReceiptPart.DOUBTFUL]),
        in_flight=total(ON_THE_WIRE),
        waiting=total(WAITING),
    )


def in_flight(session: Session, mailing_id: int | None = None) -> int:
    """How many deliveries workers hold now, of one mailing or of all; the index of held rows is enough."""
    held = select(func.count()).where(Delivery.state == DeliveryState.CLAIMED)
    if mailing_id is not None:
        held = held.where(Delivery.mailing_id == mailing_id)
    return session.scalar(held) or 0


def members(mailing_id: int, part: ReceiptPart) -> Select[Any]:
    """The ids of the subscribers in a part of a mailing's receipt; the erased are in none any more."""
    return select(Delivery.subscriber_id).where(
        Delivery.mailing_id == mailing_id,
        Delivery.state.in_(STATES[part]),
        Delivery.subscriber_id.is_not(None),
    )


def audience_of(mailing_id: int, part: ReceiptPart) -> Callable[[Mailing, Slot], Select[Any]]:
    """An audience as in audience.py: the part's people, skipped by name where the topic is not theirs."""

    def people(mailing: Mailing, slot: Slot) -> Select[Any]:
        earlier = aliased(Delivery)
        reason = case(
            (Subscriber.suppressed.is_not(None), SkipReason.SUPPRESSED.value),
            (Subscription.state == SubscriptionState.PENDING, SkipReason.UNCONFIRMED.value),
            (_left_or_never_there(), SkipReason.UNSUBSCRIBED.value),
            else_=null(),
        )
        return (
            rows(mailing, slot, reason, registration_id=cast(null(), Registration.id.type))
            .join(earlier, earlier.subscriber_id == Subscriber.id)
            .outerjoin(
                Subscription,
                (Subscription.subscriber_id == Subscriber.id) & (Subscription.topic_id == mailing.topic_id),
            )
            .where(earlier.mailing_id == mailing_id, earlier.state.in_(STATES[part]))
        )

    return people


def _left_or_never_there() -> ColumnElement[bool]:
    return Subscription.id.is_(None) | (Subscription.state == SubscriptionState.UNSUBSCRIBED)
