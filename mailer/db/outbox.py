"""The queries of the corridor: which deliveries are due, who holds them, what became of them.

Every write here names the states it may leave (mailings.MOVES) and, after a claim,
the fencing token it was made under: a worker whose lease has passed on changes
nothing. No query decides who may be mailed; services do, inside the same transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, exists, select, update
from sqlalchemy.orm import Session

from mailer.db.mailings import WAITING, Attempt, Claim, Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Registration, Symposium
from mailer.vocabulary import DeliveryState, MailingState

CLAIMABLE = frozenset({MailingState.SCHEDULED, MailingState.SENDING})


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One due delivery with everything that decides whether it may leave, read under its lock."""

    delivery: Delivery
    mailing: Mailing
    subscriber: Subscriber | None
    subscription: Subscription | None
    registration: Registration | None
    symposium: Symposium | None


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """The new place of one claimed delivery. `attempts_back`: 1 when the try is not the recipient's."""

    id: int
    fence: int
    attempts_back: int = 0
    state: DeliveryState
    reason: str | None
    due_at: datetime
    settled_at: datetime | None


def open_claim(session: Session, *, worker: str, now: datetime, leased_until: datetime) -> int:
    """Start a claim; its id is the fencing token."""
    claim = Claim(worker=worker, claimed_at=now, leased_until=leased_until)
    session.add(claim)
    session.flush()
    return claim.id


def lock_due(session: Session, *, now: datetime, limit: int) -> list[Candidate]:
    """Lock up to `limit` due deliveries, most urgent first, passing over what others hold."""
    ids = session.scalars(_due(now).limit(limit).with_for_update(of=Delivery, skip_locked=True)).all()
    if not ids:
        return []
    rows = session.execute(
        select(Delivery, Mailing, Subscriber, Subscription, Registration, Symposium)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .outerjoin(
            Subscription,
            (Subscription.subscriber_id == Delivery.subscriber_id)
            & (Subscription.topic_id == Mailing.topic_id),
        )
        .outerjoin(Registration, Registration.id == Delivery.registration_id)
        .outerjoin(Symposium, Symposium.id == Mailing.symposium_id)
        .where(Delivery.id.in_(ids))
        .order_by(Delivery.rank, Delivery.due_at, Delivery.id)
    )
    return [
        Candidate(
            delivery=delivery,
            mailing=mailing,
            subscriber=subscriber,
            subscription=subscription,
            registration=registration,
            symposium=symposium,
        )
        for delivery, mailing, subscriber, subscription, registration, symposium in rows
    ]


def _due(now: datetime) -> Select[int]:
    return (
        select(Delivery.id)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            Delivery.state.in_(WAITING),
            Delivery.due_at <= now,
            Mailing.state.in_(CLAIMABLE),
            Mailing.opens_at <= now,
        )
        .order_by(Delivery.rank, Delivery.due_at, Delivery.id)
    )


def take(session: Session, ids: Sequence[int], fence: int) -> None:
    """Mark locked deliveries as claimed under the fence."""
    _change(session, ids, {"state": DeliveryState.CLAIMED, "fence": fence, "attempts": Delivery.attempts + 1})


def leave_out(session: Session, ids: Sequence[int], state: DeliveryState, reason: str, now: datetime) -> None:
    """Settle locked deliveries that must not leave: skipped, cancelled or expired, with the reason."""
    _change(session, ids, {"state": state, "reason": reason, "settled_at": now})


def _change(session: Session, ids: Sequence[int], values: dict[str, Any]) -> None:
    if not ids:
        return
    statement = update(Delivery).where(Delivery.id.in_(ids), Delivery.state.in_(WAITING)).values(values)
    session.execute(statement.execution_options(synchronize_session=False))


def settle(session: Session, settlements: Sequence[Settlement]) -> None:
    """Write outcomes, only where the delivery is still claimed under the same fence."""
    if not settlements:
        return
    settlements = sorted(settlements, key=lambda one: one.id)  # two writers lock rows in one order
    table = Delivery.__table__
    statement = (
        update(Delivery)
        .where(
            table.c.id == bindparam("of_id"),
            table.c.fence == bindparam("of_fence"),
            table.c.state == DeliveryState.CLAIMED,
        )
        .values(
            state=bindparam("to_state"),
            reason=bindparam("to_reason"),
            due_at=bindparam("to_due_at"),
            attempts=table.c.attempts - bindparam("back", type_=table.c.attempts.type),
            settled_at=bindparam("to_settled_at"),
        )
    )
    session.connection().execute(
        statement,
        [
            {
                "of_id": one.id,
                "of_fence": one.fence,
                "to_state": one.state,
                "to_reason": one.reason,
                "to_due_at": one.due_at,
                "back": one.attempts_back,
                "to_settled_at": one.settled_at,
            }
            for one in settlements
        ],
    )


def record_attempts(session: Session, attempts: Sequence[Attempt]) -> None:
    """Keep what was said about tries that did not simply succeed."""
    session.add_all(attempts)


def renew(session: Session, fence: int, leased_until: datetime) -> bool:
    """Prolong a lease; False when the claim was released or has passed to the sweep."""
    statement = (
        update(Claim)
        .where(Claim.id == fence, Claim.released_at.is_(None))
        .values(leased_until=leased_until)
        .execution_options(synchronize_session=False)
    )
    return bool(session.execute(statement).rowcount)  # type: ignore[attr-defined]


def release(session: Session, fence: int, now: datetime) -> None:
    """Close a claim, but only when all its deliveries are settled; an open one stays the sweep's business."""
    held = exists().where(Delivery.fence == fence, Delivery.state == DeliveryState.CLAIMED)
    session.execute(
        update(Claim)
        .where(Claim.id == fence, ~held)
        .values(released_at=now)
        .execution_options(synchronize_session=False)
    )


def lapsed_claims(session: Session, now: datetime) -> list[Claim]:
    """Claims whose lease is over and that nobody closed: their worker is gone or cut off."""
    statement = select(Claim).where(Claim.released_at.is_(None), Claim.leased_until < now).order_by(Claim.id)
    return list(session.scalars(statement.with_for_update(skip_locked=True)))


def held_by(session: Session, fence: int) -> list[tuple[Delivery, Mailing]]:
    """Deliveries still claimed under a fence."""
    rows = session.execute(
        select(Delivery, Mailing)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(Delivery.fence == fence, Delivery.state == DeliveryState.CLAIMED)
    )
    return [(delivery, mailing) for delivery, mailing in rows]


def has_due(session: Session, now: datetime) -> bool:
    """True when at least one delivery could be claimed now."""
    return session.scalar(_due(now).limit(1)) is not None
