"""Claim: lease a slice of due deliveries, after asking once more whether each may leave.

The questions (is the consent still there, is the symposium still on, is it not too
late) are asked under the rows' locks and in the transaction that takes the lease.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from mailer.db import outbox
from mailer.db.outbox import Candidate
from mailer.db.people import Subscriber
from mailer.services.house import House
from mailer.vocabulary import (
    LIFTABLE,
    DeliveryState,
    MailingKind,
    RegistrationState,
    SkipReason,
    SubscriptionState,
    SymposiumState,
)

TO_ATTENDEES = frozenset(
    {
        MailingKind.REGISTRATION_CONFIRMATION,
        MailingKind.REMINDER,
        MailingKind.CHANGE,
        MailingKind.CANCELLATION,
    }
)
OF_A_DATE = frozenset({MailingKind.REMINDER, MailingKind.CHANGE})


@dataclass(frozen=True)
class Slice:
    """What one claim holds: rows detached from the database, and the fence they are held under."""

    fence: int
    held: tuple[Candidate, ...]
    left_out: int

    @property
    def worked(self) -> bool:
        """True when the claim found something, so that it is worth asking again."""
        return bool(self.held) or self.left_out > 0


def claim(session: Session, house: House, *, worker: str, now: datetime) -> Slice:
    """Lease the next slice for this worker, settling on the way what must not leave."""
    candidates = outbox.lock_due(session, now=now, limit=house.settings.slice_size)
    if not candidates:
        return Slice(0, (), 0)
    held: list[Candidate] = []
    out: defaultdict[tuple[DeliveryState, SkipReason], list[int]] = defaultdict(list)
    for candidate in candidates:
        reason = reason_to_leave_out(candidate, now)
        if reason is None:
            held.append(candidate)
        else:
            out[(_state_for(reason), reason)].append(candidate.delivery.id)
    for (state, reason), ids in out.items():
        outbox.leave_out(session, ids, state, reason.value, now)
    fence = _take(session, house, held, worker=worker, now=now)
    return Slice(fence, tuple(held), len(candidates) - len(held))


def _take(session: Session, house: House, held: Iterable[Candidate], *, worker: str, now: datetime) -> int:
    ids = [candidate.delivery.id for candidate in held]
    if not ids:
        return 0
    leased_until = now + timedelta(seconds=house.settings.lease_seconds)
    fence = outbox.open_claim(session, worker=worker, now=now, leased_until=leased_until)
    outbox.take(session, ids, fence)
    return fence


def _state_for(reason: SkipReason) -> DeliveryState:
    if reason is SkipReason.TOO_LATE:
        return DeliveryState.EXPIRED
    if reason in {SkipReason.SYMPOSIUM_CANCELLED, SkipReason.MAILING_CANCELLED, SkipReason.DATE_MOVED}:
        return DeliveryState.CANCELLED
    return DeliveryState.SKIPPED


def reason_to_leave_out(candidate: Candidate, now: datetime) -> SkipReason | None:
    """Why this delivery must not leave now, or None when it may. The first reason that holds is told."""
    if candidate.subscriber is None:
        return SkipReason.ERASED
    if candidate.subscriber.suppressed is not None and not _asks_to_come_back(
        candidate.subscriber, candidate
    ):
        return SkipReason.SUPPRESSED
    if now >= candidate.delivery.not_after:
        return SkipReason.TOO_LATE
    if candidate.mailing.kind in TO_ATTENDEES:
        return _reason_for_attendee(candidate)
    return _reason_for_subscriber(candidate)


def _asks_to_come_back(subscriber: Subscriber, candidate: Candidate) -> bool:
    return candidate.mailing.kind is MailingKind.OPT_IN and subscriber.suppressed in LIFTABLE


def _reason_for_subscriber(candidate: Candidate) -> SkipReason | None:
    subscription = candidate.subscription
    if subscription is None or subscription.state is SubscriptionState.UNSUBSCRIBED:
        return SkipReason.UNSUBSCRIBED
    asks = candidate.mailing.kind is MailingKind.OPT_IN
    if subscription.state is SubscriptionState.PENDING and not asks:
        return SkipReason.UNCONFIRMED
    if subscription.state is SubscriptionState.CONFIRMED and asks:
        return SkipReason.NOTHING_CHANGED
    return None


def _reason_for_attendee(candidate: Candidate) -> SkipReason | None:
    mailing, registration, symposium = candidate.mailing, candidate.registration, candidate.symposium
    if registration is None or symposium is None or registration.state is RegistrationState.WITHDRAWN:
        return SkipReason.WITHDRAWN
    if mailing.kind is MailingKind.CANCELLATION:
        return None if symposium.state is SymposiumState.CANCELLED else SkipReason.NOTHING_CHANGED
    if symposium.state is not SymposiumState.ANNOUNCED:
        return SkipReason.SYMPOSIUM_CANCELLED
    if symposium.questions:
        return SkipReason.DATE_UNCONFIRMED
    if mailing.kind in OF_A_DATE and mailing.generation != symposium.generation:
        return SkipReason.DATE_MOVED
    if mailing.kind is MailingKind.CHANGE and registration.told_generation == symposium.generation:
        return SkipReason.NOTHING_CHANGED
    if mailing.kind is MailingKind.REMINDER and not registration.reminders:
        return SkipReason.UNSUBSCRIBED
    return None
