"""Closing: which mailings are over, and which deliveries in doubt get another try.

A mailing is done only when nothing of it is open; doubt stays shown.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from mailer.db import outbox
from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import Symposium
from mailer.services.sending.traits import BY_RULE
from mailer.vocabulary import DeliveryState, DoubtPolicy, MailingState, SkipReason, SymposiumState

OF_LATE = timedelta(hours=1)


def finish(session: Session, now: datetime) -> int:
    """Close every mailing that has nothing open any more; doubt stays shown. Returns how many.

    A reminder stays open until it is over, because whoever registers still joins it; of a date that was left
    nobody does.
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
            Mailing.kind.not_in(BY_RULE) | (Mailing.expires_at <= now),
            # Two questions, so that each is answered by its own partial index.
            ~outbox.has_waiting(),
            ~exists().where(Delivery.mailing_id == Mailing.id, Delivery.state == DeliveryState.CLAIMED),
        )
        .values(state=MailingState.DONE, finished_at=now)
        .execution_options(synchronize_session=False)
    )
    closed = int(session.execute(closing).rowcount)  # type: ignore[attr-defined]
    close_overtaken(session, now, _LEFT_BEHIND)
    return closed


def close_overtaken(session: Session, now: datetime, *which: ColumnElement[bool]) -> None:
    """Close reminders of which nothing is open and nothing will be, unless their date or rule comes back."""
    session.execute(
        update(Mailing)
        .where(
            Mailing.kind.in_(BY_RULE),
            Mailing.state.in_([MailingState.SCHEDULED, MailingState.SENDING]),
            *which,
            ~outbox.has_waiting(),
            ~exists().where(Delivery.mailing_id == Mailing.id, Delivery.state == DeliveryState.CLAIMED),
        )
        .values(state=MailingState.DONE, finished_at=now)
        .execution_options(synchronize_session="fetch")
    )


# Their symposium has another date now, or will not be.
_LEFT_BEHIND = exists().where(
    Symposium.id == Mailing.symposium_id,
    (Symposium.generation != Mailing.generation) | (Symposium.state == SymposiumState.CANCELLED),
)


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
        .returning(Delivery.mailing_id)
        .execution_options(synchronize_session=False)
    )
    mailings = session.scalars(again).all()
    if mailings:
        _reopen(session, Mailing.id.in_(set(mailings)))
    # Two transactions that did not see each other may have closed a mailing while something of it came
    # back, so every sweep looks at what was closed of late.
    _reopen(session, outbox.has_waiting() & (Mailing.finished_at > now - OF_LATE))
    return len(mailings)


def _reopen(session: Session, which: ColumnElement[bool]) -> None:
    session.execute(
        update(Mailing)
        .where(Mailing.state == MailingState.DONE, which)
        .values(state=MailingState.SENDING, finished_at=None)
        .execution_options(synchronize_session=False)
    )
