"""Statements: publishing one alerts everybody who asked for them, once."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Statement
from mailer.services import audit
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.sending.announce import Announcement, announce
from mailer.vocabulary import MailingKind, StatementState

TOPIC = people.STATEMENTS


class UnknownStatement(Exception):
    """No statement has this slug or number; the message says how to list them."""


def find(session: Session, reference: str) -> Statement:
    """A statement by its slug or its number."""
    wanted = Statement.id == int(reference) if reference.isdecimal() else Statement.slug == reference
    found = session.scalars(select(Statement).where(wanted)).one_or_none()
    if found is None:
        raise UnknownStatement(f'There is no statement "{reference}". List them with: mailer statement list')
    return found


def publish(
    session: Session,
    house: House,
    statement: Statement,
    *,
    actor: str,
    now: datetime,
    undo_seconds: int | None = None,
) -> Mailing:
    """Make a statement public and announce its alert. Publishing twice is one alert.

    `undo_seconds`: how long the alert's first mail is held back, else the house's setting.
    """
    if statement.state is not StatementState.PUBLISHED:
        statement.state, statement.published_at = StatementState.PUBLISHED, now
        audit.record(
            session, actor=actor, action="statement-published", subject=f"statement:{statement.id}", now=now
        )
    announcement = Announcement(
        key=f"statement:{statement.id}:alert",
        kind=MailingKind.STATEMENT_ALERT,
        topic_id=people.topic(session, TOPIC).id,
        statement_id=statement.id,
        undo_seconds=house.settings.undo_seconds if undo_seconds is None else undo_seconds,
    )
    return announce(session, house, announcement, now)
