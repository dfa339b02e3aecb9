"""Statements: publishing one alerts everybody who asked for them, once."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Statement
from mailer.services import audit
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import review
from mailer.services.programme.alike import ask_about_repeat
from mailer.services.programme.refusals import StatementRefusal, UnknownStatement
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.embargo_rows import alert_key, lock, revive
from mailer.vocabulary import MailingKind, StatementState

TOPIC = people.STATEMENTS


class PublishRefusal(Exception):
    """The statement cannot be published now; the message says what can be done."""


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
    anyway: bool = False,
) -> Mailing:
    """Make a statement public and announce its alert. Publishing twice is one alert.

    `undo_seconds`: how long the alert's first mail is held back, else the house's setting. Raises
    StatementRefusal for one that was retracted, and unless `anyway` for one much like one sent before;
    PublishRefusal for one under embargo, ReviewRefusal for one in review that nobody has approved.
    """
    lock(session, statement)  # two of the staff at once: the second sees what the first has done
    if statement.state is StatementState.RETRACTED:
        raise StatementRefusal("This statement was retracted, so it is not published again.")
    if statement.state is StatementState.SCHEDULED:
        raise PublishRefusal(
            f"This statement is under embargo. Lift it early with: mailer statement lift {statement.slug}"
        )
    if statement.state is StatementState.IN_REVIEW:
        review.check_approved(session, statement)
    if statement.state is not StatementState.PUBLISHED:
        ask_about_repeat(session, statement, anyway=anyway, now=now)
        statement.state, statement.published_at = StatementState.PUBLISHED, now
        audit.record(
            session, actor=actor, action="statement-published", subject=f"statement:{statement.id}", now=now
        )
    announcement = Announcement(
        key=alert_key(statement.id),
        kind=MailingKind.STATEMENT_ALERT,
        topic_id=people.topic(session, TOPIC).id,
        statement_id=statement.id,
        due_at=now,
        undo_seconds=house.settings.undo_seconds if undo_seconds is None else undo_seconds,
    )
    return revive(session, announce(session, house, announcement, now), announcement)
