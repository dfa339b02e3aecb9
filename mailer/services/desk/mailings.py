"""Mailings as staff see them: the books, the receipt, and what pauses, resumes, cancels or settles them.

A switch looks at the mailing under its row's lock, so that it never overwrites what a
worker has just decided. Nothing here waits: who wants to see calm asks again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from mailer.db import readers, receipts
from mailer.db.audience import UNFINISHED, Books, books
from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import Correction
from mailer.db.receipts import Receipt
from mailer.db.session import hint_after_commit
from mailer.db.translation_readers import tell_no_more_of_what_came_since, told_otherwise
from mailer.services import audit
from mailer.services.sending.traits import BY_RULE
from mailer.vocabulary import CorrectionState, DeliveryState, MailingKind, MailingState, SkipReason
from mailer.wake import Task

OUTDATED = (
    "The statement was corrected or retracted since, so this text is not sent again: who may have it is told "
    "so. Write the doubt off instead."
)
HAVE_IT = (
    "They have the statement in the language they wish most for by another mail, and would get it twice. "
    "Write the doubt off instead."
)
WRITTEN_OFF = "written_off"


class UnknownMailing(Exception):
    """No mailing has this key; the message says how to list them."""


class MailingRefusal(Exception):
    """The mailing is not in a state for this; the message says in which it is."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """One mailing and its books."""

    key: str
    kind: str
    state: MailingState
    due_at: datetime
    books: Books


def find(session: Session, key: str) -> Mailing:
    found = session.scalars(select(Mailing).where(Mailing.key == key)).one_or_none()
    if found is None:
        raise UnknownMailing(f'There is no mailing "{key}". List them with: mailer mailing list')
    return found


def account(session: Session, mailing: Mailing) -> Account:
    """The books of one mailing, counted now."""
    return Account(
        key=mailing.key,
        kind=mailing.kind.value,
        state=mailing.state,
        due_at=mailing.due_at,
        books=books(session, mailing.id),
    )


def accounts(session: Session, limit: int = 1_000) -> list[Account]:
    """The books of the newest mailings, oldest first."""
    newest = session.scalars(select(Mailing).order_by(Mailing.id.desc()).limit(limit)).all()
    return [account(session, mailing) for mailing in reversed(newest)]


def receipt(session: Session, mailing: Mailing) -> Receipt:
    """Who got it, who did not, who is in doubt and who is on the wire, counted now."""
    return receipts.receipt(session, mailing.id)


def in_flight(session: Session, mailing: Mailing | None = None) -> int:
    """How many deliveries are with a worker now, of one mailing or of all."""
    return receipts.in_flight(session, mailing.id if mailing else None)


def underway(session: Session, limit: int = 1_000) -> list[Mailing]:
    """Mailings that are not over, the oldest first: what the kill switch holds back."""
    found = select(Mailing).where(Mailing.state.in_(UNFINISHED)).order_by(Mailing.rank.desc(), Mailing.id)
    return list(session.scalars(found.limit(limit)))


def pause(session: Session, mailing: Mailing, *, actor: str, now: datetime) -> None:
    """Hold a mailing back: nothing of it is claimed any more, what is on the wire arrives.

    One that a correction holds back for the moment stays so when that is done.
    """
    held_by = _held_by(session, mailing)
    session.refresh(mailing, with_for_update=True)
    if held_by and mailing.state is MailingState.PAUSED:
        held_by.paused = [number for number in held_by.paused if number != mailing.id]
        _audit(session, mailing, "mailing-paused", actor, now)
        return
    if mailing.state not in UNFINISHED - {MailingState.PAUSED}:
        raise MailingRefusal(
            f"This mailing is {mailing.state.value}; only one that is being sent can be paused."
        )
    mailing.state = MailingState.PAUSED
    _audit(session, mailing, "mailing-paused", actor, now)


def _held_by(session: Session, mailing: Mailing) -> Correction | None:
    """The announced correction that will let the mailing go on; locked before the mailing, as it does."""
    settling = select(Correction).where(
        Correction.statement_id == mailing.statement_id, Correction.state == CorrectionState.SETTLING
    )
    found = session.scalars(settling.with_for_update().execution_options(populate_existing=True)).first()
    return found if found is not None and mailing.id in found.paused else None


def resume(session: Session, mailing: Mailing, *, actor: str, now: datetime) -> None:
    """Go on with exactly those who have not had it."""
    session.refresh(mailing, with_for_update=True)
    if mailing.state is not MailingState.PAUSED:
        raise MailingRefusal(f"This mailing is {mailing.state.value}; only a paused one can be resumed.")
    # A reminder is expanded again: whoever registered during the pause joins it.
    expanded = mailing.expanded_at is not None and mailing.kind not in BY_RULE
    mailing.state = MailingState.SENDING if expanded else MailingState.EXPANDING
    hint_after_commit(
        session, Task.SEND_DUE if expanded else Task.EXPAND_MAILING, None if expanded else mailing.id
    )
    _audit(session, mailing, "mailing-resumed", actor, now)


def cancel(session: Session, mailing: Mailing, *, actor: str, now: datetime) -> int:
    """Stop the rest for good; returns how many will not get it. What is out cannot be called back."""
    session.refresh(mailing, with_for_update=True)
    if mailing.state not in UNFINISHED:
        raise MailingRefusal(f"This mailing is {mailing.state.value}; there is nothing left to stop.")
    stopped = session.execute(
        update(Delivery)
        .where(Delivery.mailing_id == mailing.id, Delivery.state.in_(WAITING))
        .values(state=DeliveryState.CANCELLED, reason=SkipReason.MAILING_CANCELLED.value, settled_at=now)
        .execution_options(synchronize_session=False)
    )
    mailing.state, mailing.finished_at = MailingState.CANCELLED, now
    _audit(session, mailing, "mailing-cancelled", actor, now)
    return int(stopped.rowcount)  # type: ignore[attr-defined]


def release(
    session: Session, mailing: Mailing, *, actor: str, now: datetime, delivery_id: int | None = None
) -> int:
    """Send once more to everyone in doubt, or to one of them, with the same Message-ID; returns how many.

    Whose time is over stays in doubt: for them only the question is left whether to write it off.
    """
    session.refresh(mailing, with_for_update=True)
    if mailing.state is MailingState.CANCELLED:
        raise MailingRefusal("This mailing was stopped for good; write its doubt off instead.")
    again = {"state": DeliveryState.PENDING, "reason": None, "due_at": now, "settled_at": None}
    current = _worth_sending(session, mailing, delivery_id)
    if mailing.kind is MailingKind.DIGEST:
        tell_no_more_of_what_came_since(session, mailing, delivery_id)
    count = _out_of_doubt(session, mailing, again, delivery_id, Delivery.not_after > now, *current)
    if count and mailing.state is MailingState.DONE:
        mailing.state, mailing.finished_at = MailingState.SENDING, None
    hint_after_commit(session, Task.SEND_DUE)
    _audit(session, mailing, "doubt-released", actor, now, _which(count, delivery_id))
    return count


def _worth_sending(session: Session, mailing: Mailing, delivery_id: int | None) -> list[ColumnElement[bool]]:
    """What was corrected or retracted since is never sent again, nor what its reader has by another mail;
    refuses when nothing else is in doubt."""
    doubtful = select(Delivery.id).where(
        Delivery.mailing_id == mailing.id, Delivery.state == DeliveryState.IN_DOUBT
    )
    if delivery_id is not None:
        doubtful = doubtful.where(Delivery.id == delivery_id)
    worth: list[ColumnElement[bool]] = []
    for useless, why in ((readers.outdated(session, mailing), OUTDATED), (told_otherwise(mailing), HAVE_IT)):
        if useless is None:
            continue
        some = session.scalar(doubtful.where(*worth, useless).limit(1)) is not None
        worth.append(~useless)
        if some and session.scalar(doubtful.where(*worth).limit(1)) is None:
            raise MailingRefusal(why)
    return worth


def write_off(
    session: Session, mailing: Mailing, *, actor: str, now: datetime, delivery_id: int | None = None
) -> int:
    """Count everyone in doubt, or one of them, as not reached; returns how many."""
    off = {"state": DeliveryState.FAILED, "reason": WRITTEN_OFF, "settled_at": now}
    count = _out_of_doubt(session, mailing, off, delivery_id)
    _audit(session, mailing, "doubt-written-off", actor, now, _which(count, delivery_id))
    return count


def _out_of_doubt(
    session: Session,
    mailing: Mailing,
    values: Mapping[str, object],
    delivery_id: int | None,
    *conditions: ColumnElement[bool],
) -> int:
    doubtful = [Delivery.mailing_id == mailing.id, Delivery.state == DeliveryState.IN_DOUBT]
    if delivery_id is not None:
        doubtful.append(Delivery.id == delivery_id)
        if session.scalar(select(Delivery.id).where(*doubtful)) is None:
            raise MailingRefusal(
                f"Delivery {delivery_id} of this mailing is not in doubt. "
                f"List those that are with: mailer mailing doubtful {mailing.key}"
            )
    moved = session.execute(
        update(Delivery)
        .where(*doubtful, *conditions)
        .values(values)
        .execution_options(synchronize_session=False)
    )
    return int(moved.rowcount)  # type: ignore[attr-defined]


def _which(count: int, delivery_id: int | None) -> dict[str, int]:
    return {"deliveries": count} if delivery_id is None else {"deliveries": count, "delivery": delivery_id}


def _audit(
    session: Session,
    mailing: Mailing,
    action: str,
    actor: str,
    now: datetime,
    detail: dict[str, int] | None = None,
) -> None:
    audit.record(session, actor=actor, action=action, subject=f"mailing:{mailing.id}", now=now, detail=detail)
