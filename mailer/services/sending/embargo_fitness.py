"""Whether an embargo may open by itself: the text is the approved one, the wall time still that instant."""

from sqlalchemy.orm import Session

from mailer.db.embargoes import Embargo, texts_digest
from mailer.db.programme import Statement
from mailer.messages.when import tzdata_version
from mailer.services.sending.embargo_time import derive
from mailer.vocabulary import EmbargoHold, StatementState


def why_hold(session: Session, statement: Statement, embargo: Embargo) -> EmbargoHold | None:
    """Why a person has to look first; None when it may open. What is public already is not asked again."""
    if statement.state is StatementState.PUBLISHED:
        return None
    if statement.approved_digest != texts_digest(session, statement.id):
        return EmbargoHold.EDITED
    if embargo.tzdata == tzdata_version():
        return None
    instant = derive(embargo.day, embargo.wall_time, embargo.zone, later=embargo.later)
    return None if instant == embargo.opens_at else EmbargoHold.TZDATA
