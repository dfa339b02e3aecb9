"""The symposium that most tests are about."""

from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db.programme import Symposium
from mailer.services.programme.dates import Moment, set_moment
from mailer.vocabulary import Precision, SymposiumState


def announced(session: Session, moment: Moment, now: datetime) -> Symposium:
    """An announced symposium at that moment."""
    symposium = Symposium(
        key="identify",
        slug="identify",
        title="How to Identify Genocide",
        precision=Precision.NONE,
        state=SymposiumState.ANNOUNCED,
        sources={},
        questions=[],
        generation=0,
        changed_at=now,
        created_at=now,
    )
    session.add(symposium)
    session.flush()
    set_moment(session, symposium, moment, now)
    return symposium
