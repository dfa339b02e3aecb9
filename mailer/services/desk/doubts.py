"""Deliveries in doubt, one by one: since when, after how many tries, and what was seen last.

A delivery is named by its number. Whose it is stays sealed; the reply that is shown was
kept without addresses.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from mailer.db.mailings import Attempt, Delivery, Mailing
from mailer.vocabulary import DeliveryState


@dataclass(frozen=True, kw_only=True)
class Doubtful:
    """One delivery of which nobody knows whether it arrived."""

    delivery: int
    since: datetime | None
    until: datetime
    tries: int
    phase: str | None
    why: str | None


def doubtful(session: Session, mailing: Mailing, limit: int = 1_000) -> list[Doubtful]:
    """The mailing's deliveries in doubt, the oldest doubt first."""
    tried = aliased(Attempt)
    latest = select(func.max(tried.id)).where(tried.delivery_id == Delivery.id).correlate(Delivery)
    rows = session.execute(
        select(Delivery, Attempt)
        .outerjoin(Attempt, Attempt.id == latest.scalar_subquery())
        .where(Delivery.mailing_id == mailing.id, Delivery.state == DeliveryState.IN_DOUBT)
        .order_by(Delivery.settled_at, Delivery.id)
        .limit(limit)
    )
    return [
        Doubtful(
            delivery=delivery.id,
            since=delivery.settled_at,
            until=delivery.not_after,
            tries=delivery.attempts,
            phase=attempt.phase if attempt else None,
            why=attempt.reason if attempt else None,
        )
        for delivery, attempt in rows
    ]
