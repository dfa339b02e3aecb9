"""The rows of an alert under embargo: their times when it is set, moved, or comes back after it was dropped.

A row's Date is the embargo's moment. It is written anew only while nobody has claimed it.
"""

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Statement
from mailer.db.session import hint_after_commit
from mailer.services.sending.announce import Announcement
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import DeliveryState, MailingKind, MailingState, SkipReason
from mailer.wake import Task

DROPPED = "embargo_dropped"  # in a mailing's facts
TEXTS = "texts"  # there, too: which texts were approved
MOVABLE = frozenset({DeliveryState.PENDING, DeliveryState.SKIPPED, DeliveryState.CANCELLED})


def alert_key(statement_id: int) -> str:
    """The key of a statement's alert: one for ever."""
    return f"statement:{statement_id}:alert"


def lock(session: Session, statement: Statement) -> None:
    """Lock a statement, and before it its alert if there is one: the order of the claims, so none deadlocks.

    Claims that hold either end first, and those to come see what is changed here. It is read anew.
    """
    session.scalars(
        select(Mailing.id).where(Mailing.key == alert_key(statement.id)).with_for_update()
    ).first()
    session.refresh(statement, with_for_update=True)


def expiry(moment: datetime, minutes: int | None) -> datetime:
    """Until when an alert of that moment may leave."""
    lifetime = TRAITS[MailingKind.STATEMENT_ALERT].lifetime
    return moment + (lifetime if minutes is None else timedelta(minutes=minutes))


def rebase(session: Session, mailing: Mailing, moment: datetime, expires_at: datetime) -> None:
    """Give the mailing and its rows another moment. Its row is locked, and nothing of it was claimed yet."""
    mailing.due_at = mailing.opens_at = mailing.embargo_at = moment
    mailing.expires_at = expires_at
    _redate(session, mailing, moment, expires_at)


def revive(session: Session, mailing: Mailing, announcement: Announcement) -> Mailing:
    """A dropped alert gets a new moment: the same rows, of which none was ever sent. Others stay as they are.

    `announcement` is what it is announced as now, with or without an embargo.
    """
    if mailing.state is not MailingState.CANCELLED or not mailing.facts.get(DROPPED):
        return mailing
    dropped = Delivery.reason == SkipReason.EMBARGO_DROPPED.value
    moment = announcement.due_at or announcement.embargo_at
    if moment is None:
        raise ValueError("a mailing comes back for a moment that is named")
    mailing.facts = {name: value for name, value in mailing.facts.items() if name != DROPPED}
    mailing.state, mailing.finished_at = MailingState.EXPANDING, None
    mailing.due_at, mailing.embargo_at = moment, announcement.embargo_at
    mailing.opens_at = moment + timedelta(seconds=announcement.undo_seconds)
    mailing.expires_at = announcement.expires_at or expiry(moment, None)
    _redate(session, mailing, moment, mailing.expires_at)
    session.execute(
        update(Delivery)
        .where(Delivery.mailing_id == mailing.id, Delivery.state == DeliveryState.CANCELLED, dropped)
        .values(state=DeliveryState.PENDING, reason=None, settled_at=None)
        .execution_options(synchronize_session=False)
    )
    hint_after_commit(session, Task.EXPAND_MAILING, mailing.id)
    return mailing


def _redate(session: Session, mailing: Mailing, moment: datetime, not_after: datetime) -> None:
    session.execute(
        update(Delivery)
        .where(
            Delivery.mailing_id == mailing.id,
            Delivery.state.in_(MOVABLE),
            Delivery.attempts == 0,
            Delivery.created_at != moment,
        )
        .values(created_at=moment, due_at=moment, not_after=not_after)
        .execution_options(synchronize_session=False)
    )
