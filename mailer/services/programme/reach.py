"""Reach: whom a drafted correction or retraction would reach if it were announced now. Nothing is changed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.db import digests, readers, texts
from mailer.db.audience import Slot
from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import Correction, Statement
from mailer.services.sending.texts import choose_text
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import CorrectionKind, DeliveryState, MailingKind


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Whom an announcement would reach now. `mailed` get the mail about it, `instead` the corrected text
    in place of the old one, `called_off` nothing any more; `left_out` had it and must not be mailed."""

    mailed: int
    left_out: Mapping[str, int]
    on_the_wire: int
    instead: int
    called_off: int


def reach(session: Session, correction: Correction, statement: Statement, now: datetime) -> Reach:
    """Count whom it would reach if it were announced now."""
    stand_in = _stand_in(session, correction)
    slot = Slot(now=now, due_at=now, not_after=now)
    audience = readers.holders(stand_in, slot).subquery()
    counted = session.execute(
        select(audience.c.state, audience.c.reason, func.count()).group_by(
            audience.c.state, audience.c.reason
        )
    ).all()
    waiting = _waiting(session, correction, statement)
    corrects = correction.kind is CorrectionKind.CORRECTION
    return Reach(
        mailed=sum(count for _, reason, count in counted if reason is None),
        left_out={reason: count for _, reason, count in counted if reason is not None},
        on_the_wire=_flying(session, correction),
        instead=waiting if corrects else 0,
        called_off=0 if corrects else waiting,
    )


def _stand_in(session: Session, correction: Correction) -> Mailing:
    """The mailing that it would be; never stored."""
    topic_id = session.scalar(
        select(Mailing.topic_id).where(
            Mailing.statement_id == correction.statement_id, Mailing.kind == MailingKind.STATEMENT_ALERT
        )
    )
    rank = TRAITS[MailingKind.CORRECTION].rank
    facts = {"before": correction.to_version, "language": correction.language}
    return Mailing(id=0, rank=rank, statement_id=correction.statement_id, topic_id=topic_id, facts=facts)


def _flying(session: Session, correction: Correction) -> int:
    of_it = (
        Delivery.mailing_id.in_(texts.mailings_of(correction.statement_id)),
        Delivery.state == DeliveryState.CLAIMED,
        *texts.older(Delivery.version, Delivery.language, None, correction.language),
    )
    return session.scalar(select(func.count()).where(*of_it)) or 0


def _waiting(session: Session, correction: Correction, statement: Statement) -> int:
    """Who has not been mailed yet; for a correction of one language those who would get that language."""
    of_it = Delivery.mailing_id.in_(texts.mailings_of(statement.id)), Delivery.state.in_(WAITING)
    if correction.language is None:
        mails = session.scalar(select(func.count()).where(*of_it)) or 0
        return mails + sum(digests.owed(session, statement.id).values())
    counts = [*texts.wishes_of(session, of_it).items(), *digests.owed(session, statement.id).items()]
    standing = texts.standings(session, [statement.id], lock=False)[statement.id]
    return sum(
        count
        for wishes, count in counts
        if choose_text(standing, json.loads(wishes)).language == correction.language
    )
