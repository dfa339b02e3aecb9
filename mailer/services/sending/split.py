"""Split: what an announced correction or retraction makes of the rows of a statement's mailings.

Nothing older leaves since the announcement: the claim gives out the corrected text, or
none. What was on the wire then is awaited. After that, in one transaction and so exactly
once, the mailing to those who have an older text is announced, what must not leave any
more is cancelled, and what was paused goes on. The sweep calls this until it is done.
"""

from datetime import datetime

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db import digest_texts, readers, texts
from mailer.db.audience import UNFINISHED
from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import Correction, Statement
from mailer.db.session import hint_after_commit
from mailer.services.house import House
from mailer.services.sending.announce import Announcement, announce
from mailer.vocabulary import (
    CorrectionKind,
    CorrectionState,
    DeliveryState,
    MailingKind,
    MailingState,
    SkipReason,
)
from mailer.wake import Task

KIND_OF = {
    CorrectionKind.CORRECTION: MailingKind.CORRECTION,
    CorrectionKind.RETRACTION: MailingKind.RETRACTION,
}

log = structlog.get_logger()


def split_announced(house: House, now: datetime) -> int:
    """Carry on every announced correction whose older mails have landed; returns how many are done now."""
    with house.database.read() as session:
        settling = session.scalars(
            select(Correction.id).where(Correction.state == CorrectionState.SETTLING).order_by(Correction.id)
        ).all()
    done = 0
    for correction_id in settling:
        with house.database.write() as session:
            done += split(session, house, correction_id, now)
    return done


def split(session: Session, house: House, correction_id: int, now: datetime) -> bool:
    """Do it once, if nothing older is on the wire any more; False when it is not yet time or was done."""
    correction = session.scalars(
        select(Correction).where(Correction.id == correction_id).with_for_update()
    ).one()
    if correction.state is not CorrectionState.SETTLING:
        return False
    statement = session.get_one(Statement, correction.statement_id)
    before, language = correction.to_version, correction.language
    if readers.on_the_wire(session, statement.id, before=before, language=language):
        return False
    digest_texts.tell_no_more_of_what_may_have_arrived(session, statement.id, before, language)
    if correction.kind is CorrectionKind.RETRACTION:
        _call_off(session, statement.id, now)
    else:
        _close_what_may_have_arrived(session, correction, now)
        _go_on(session, correction)
    _announce(session, house, correction, now)
    correction.state, correction.done_at = CorrectionState.DONE, now
    log.info("correction-split", statement=statement.id, number=correction.number)
    return True


def _announce(session: Session, house: House, correction: Correction, now: datetime) -> None:
    topic_id = session.scalar(
        select(Mailing.topic_id).where(
            Mailing.statement_id == correction.statement_id, Mailing.kind == MailingKind.STATEMENT_ALERT
        )
    )
    if topic_id is None:  # nobody was ever mailed
        return
    announcement = Announcement(
        key=f"statement:{correction.statement_id}:{correction.kind.value}:{correction.number}",
        kind=KIND_OF[correction.kind],
        topic_id=topic_id,
        statement_id=correction.statement_id,
        undo_seconds=house.settings.undo_seconds,
        facts={
            "correction": correction.id,
            "before": correction.to_version,
            "language": correction.language,
        },
    )
    announce(session, house, announcement, now)


def _call_off(session: Session, statement_id: int, now: datetime) -> None:
    """Nothing with the retracted text leaves any more."""
    of_it = texts.mailings_of(statement_id)
    session.execute(
        update(Delivery)
        .where(Delivery.mailing_id.in_(of_it), Delivery.state.in_(WAITING))
        .values(state=DeliveryState.CANCELLED, reason=SkipReason.RETRACTED.value, settled_at=now)
        .execution_options(synchronize_session=False)
    )
    session.execute(
        update(Mailing)
        .where(Mailing.id.in_(of_it), Mailing.state.in_(UNFINISHED))
        .values(state=MailingState.CANCELLED, finished_at=now)
        .execution_options(synchronize_session=False)
    )


def _close_what_may_have_arrived(session: Session, correction: Correction, now: datetime) -> None:
    """Rows that staff released from doubt: an older text may be there, so a correction goes instead."""
    of_it = Delivery.mailing_id.in_(texts.mailings_of(correction.statement_id))
    session.execute(
        update(Delivery)
        .where(of_it, texts.may_have_arrived(correction.to_version or 0, correction.language))
        .values(state=DeliveryState.CANCELLED, reason=SkipReason.CORRECTED.value, settled_at=now)
        .execution_options(synchronize_session=False)
    )


def _go_on(session: Session, correction: Correction) -> None:
    """Resume what the announcement paused, unless staff have decided otherwise since."""
    paused = session.scalars(
        select(Mailing)
        .where(Mailing.id.in_(correction.paused), Mailing.state == MailingState.PAUSED)
        .with_for_update()
    )
    for mailing in paused:
        expanded = mailing.expanded_at is not None
        mailing.state = MailingState.SENDING if expanded else MailingState.EXPANDING
        task, number = (Task.SEND_DUE, None) if expanded else (Task.EXPAND_MAILING, mailing.id)
        hint_after_commit(session, task, number)
