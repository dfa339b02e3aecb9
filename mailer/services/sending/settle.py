"""Settle: what an outcome means for its delivery, and the small transactions that write it down."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from mailer.db import outbox
from mailer.db.mailings import OPEN, WAITING, Attempt, Delivery, Mailing
from mailer.db.outbox import Candidate, Settlement
from mailer.db.programme import Registration
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict, decided_here
from mailer.vocabulary import DeliveryState, DoubtPolicy, MailingKind, MailingState, SkipReason

LADDER_MINUTES = (5, 15, 30, 60, 120, 240)
JITTER = 0.2
DOUBT_PAUSE = timedelta(minutes=15)  # before a doubtful delivery of policy `retry` is tried again
RELAY_PAUSE = timedelta(seconds=30)  # the relay's fault costs a recipient nothing but this

STATE_OF = {
    Verdict.SENT: DeliveryState.SENT,
    Verdict.DEFERRED: DeliveryState.DEFERRED,
    Verdict.FAILED: DeliveryState.FAILED,
    Verdict.IN_DOUBT: DeliveryState.IN_DOUBT,
}

# Claimed and not offered to any server, so it may simply be claimed again.
GIVEN_BACK = decided_here(Verdict.DEFERRED, Fault.NONE, Reason.STOPPED, retry_after=0.0)
UNFIT = decided_here(Verdict.FAILED, Fault.SENDER, Reason.RENDER)  # the mail could not be composed


def settle(session: Session, outcomes: Sequence[tuple[Candidate, int, Outcome]], now: datetime) -> None:
    """Write a group of outcomes; each counts only while its fence still holds the delivery."""
    outbox.settle(session, [_settlement(c.delivery, fence, outcome, now) for c, fence, outcome in outcomes])
    attempts = [
        _attempt(c.delivery.id, fence, outcome, now)
        for c, fence, outcome in outcomes
        if outcome.verdict is not Verdict.SENT
    ]
    outbox.record_attempts(session, attempts)
    _remember_what_was_told(session, outcomes)


def _settlement(delivery: Delivery, fence: int, outcome: Outcome, now: datetime) -> Settlement:
    charged = outcome.fault is not Fault.RELAY and outcome.reason is not Reason.STOPPED
    return Settlement(
        id=delivery.id,
        fence=fence,
        attempts_back=0 if charged else 1,
        state=STATE_OF[outcome.verdict],
        reason=None if outcome.verdict is Verdict.SENT else outcome.reason.value,
        due_at=_next_try(delivery, outcome, now),
        settled_at=None if outcome.verdict is Verdict.DEFERRED else now,
    )


def _next_try(delivery: Delivery, outcome: Outcome, now: datetime) -> datetime:
    """When the row is looked at again: never later than its end of life, which then is written down."""
    if outcome.verdict is Verdict.IN_DOUBT:
        return now + DOUBT_PAUSE
    if outcome.verdict is not Verdict.DEFERRED:
        return delivery.due_at
    asked = timedelta(seconds=outcome.retry_after or 0)
    if outcome.reason is Reason.STOPPED:
        return now
    if outcome.fault is Fault.RELAY:
        return min(now + max(RELAY_PAUSE, asked), delivery.not_after)
    step = LADDER_MINUTES[min(delivery.attempts, len(LADDER_MINUTES) - 1)]
    # The same delivery jitters the same way at every look; neighbours spread.
    chance = random.Random(f"{delivery.id}:{delivery.attempts}").uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
    return min(now + max(timedelta(minutes=step * chance), asked), delivery.not_after)


def _attempt(delivery_id: int, fence: int, outcome: Outcome, now: datetime) -> Attempt:
    return Attempt(
        delivery_id=delivery_id,
        fence=fence,
        at=now,
        verdict=outcome.verdict.value,
        fault=outcome.fault.value,
        phase=outcome.phase.value,
        code=outcome.code,
        enhanced=outcome.enhanced,
        reason=outcome.reason.value,
        reply=outcome.text,
    )


def _remember_what_was_told(session: Session, outcomes: Sequence[tuple[Candidate, int, Outcome]]) -> None:
    """Note which date an attendee has heard of; after doubt it is unknown, and the next change is told."""
    told: dict[int, int | None] = {}
    for candidate, _, outcome in outcomes:
        registration_id, symposium = candidate.delivery.registration_id, candidate.symposium
        generation = symposium.generation if symposium else candidate.mailing.generation
        if registration_id is None:
            continue
        if outcome.verdict is Verdict.SENT and generation is not None:
            told[registration_id] = generation
        elif outcome.verdict is Verdict.IN_DOUBT:
            told[registration_id] = None
    for registration_id in sorted(told):
        session.execute(
            update(Registration)
            .where(Registration.id == registration_id)
            .values(told_generation=told[registration_id])
            .execution_options(synchronize_session=False)
        )


def finish(session: Session, now: datetime) -> int:
    """Close every mailing that has nothing open any more; doubt stays shown. Returns how many.

    A reminder stays open until it is over, because whoever registers still joins it.
    """
    session.execute(
        update(Mailing)
        .where(Mailing.state == MailingState.SCHEDULED, Mailing.due_at <= now)
        .values(state=MailingState.SENDING)
        .execution_options(synchronize_session=False)
    )
    # What a worker gave back after staff had stopped the mailing.
    session.execute(
        update(Delivery)
        .where(
            Delivery.state.in_(WAITING),
            Delivery.mailing_id.in_(select(Mailing.id).where(Mailing.state == MailingState.CANCELLED)),
        )
        .values(state=DeliveryState.CANCELLED, reason=SkipReason.MAILING_CANCELLED.value, settled_at=now)
        .execution_options(synchronize_session=False)
    )
    closing = (
        update(Mailing)
        .where(
            Mailing.state == MailingState.SENDING,
            (Mailing.kind != MailingKind.REMINDER) | (Mailing.expires_at <= now),
            ~exists().where(Delivery.mailing_id == Mailing.id, Delivery.state.in_(OPEN)),
        )
        .values(state=MailingState.DONE, finished_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(session.execute(closing).rowcount)  # type: ignore[attr-defined]


def retry_doubtful(session: Session, now: datetime) -> int:
    """Give doubtful deliveries of policy `retry` another try, with the same Message-ID, after their pause."""
    of_retry = select(Mailing.id).where(Mailing.policy == DoubtPolicy.RETRY)
    again = (
        update(Delivery)
        .where(
            Delivery.state == DeliveryState.IN_DOUBT,
            Delivery.due_at <= now,
            Delivery.not_after > now,
            Delivery.mailing_id.in_(of_retry.where(Mailing.state != MailingState.CANCELLED)),
        )
        .values(state=DeliveryState.PENDING)
        .execution_options(synchronize_session=False)
    )
    count = int(session.execute(again).rowcount)  # type: ignore[attr-defined]
    if count:
        _reopen(session)
    return count


def _reopen(session: Session) -> None:
    waiting = exists().where(Delivery.mailing_id == Mailing.id, Delivery.state == DeliveryState.PENDING)
    session.execute(
        update(Mailing)
        .where(Mailing.state == MailingState.DONE, waiting)
        .values(state=MailingState.SENDING, finished_at=None)
        .execution_options(synchronize_session=False)
    )
