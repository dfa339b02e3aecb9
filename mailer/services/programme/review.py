"""Review: a statement is put before the staff, and one of them approves exactly the text that stands there.

An approval holds a hash of all texts. Whatever changes them afterwards takes it away.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db.embargoes import texts_digest
from mailer.db.programme import Statement
from mailer.services import audit
from mailer.services.desk import four_eyes
from mailer.vocabulary import StatementState

MARK_LETTERS = 10


class ReviewRefusal(Exception):
    """The statement is not in a state for this; the message says what to do first."""


def ask(session: Session, statement: Statement, *, actor: str, now: datetime) -> None:
    """Put a draft before the staff. Asking again is no mistake and takes an earlier approval away."""
    if statement.state not in {StatementState.DRAFT, StatementState.IN_REVIEW}:
        raise ReviewRefusal(f"This statement is {statement.state.value}; only a draft can go into review.")
    statement.state, statement.review_asked_by = StatementState.IN_REVIEW, actor
    statement.approved_by = statement.approved_digest = None
    note(session, statement, "statement-in-review", actor, now)


def mark(session: Session, statement: Statement) -> str:
    """A few letters that stand for the texts as they are now; other texts have other letters."""
    return texts_digest(session, statement.id).hex()[:MARK_LETTERS]


def approve(
    session: Session, statement: Statement, *, actor: str, now: datetime, as_read: str | None = None
) -> None:
    """Approve the texts as they are now, or only those whose mark is `as_read`.

    Raises ReviewRefusal, or SameEyes for the one who asked.
    """
    if statement.state not in {StatementState.IN_REVIEW, StatementState.SCHEDULED}:
        raise ReviewRefusal(
            f"This statement is {statement.state.value}. Put it into review first: "
            f"mailer statement review {statement.slug}"
        )
    alone = four_eyes.check(session, asked_by=statement.review_asked_by, actor=actor)
    if as_read is not None and as_read.strip().casefold() != mark(session, statement):
        raise ReviewRefusal(
            f"The text is not the one with the mark {as_read[:MARK_LETTERS]} any more. Read it again: "
            f"mailer statement show {statement.slug}"
        )
    statement.approved_by, statement.approved_digest = actor, texts_digest(session, statement.id)
    note(session, statement, "statement-approved", actor, now, {"alone": alone})


def send_back(session: Session, statement: Statement, *, actor: str, now: datetime) -> None:
    """Out of review: it is a draft again."""
    if statement.state is not StatementState.IN_REVIEW:
        raise ReviewRefusal(f"This statement is {statement.state.value} and not in review.")
    statement.state, statement.review_asked_by = StatementState.DRAFT, None
    statement.approved_by = statement.approved_digest = None
    note(session, statement, "statement-sent-back", actor, now)


def check_approved(session: Session, statement: Statement) -> None:
    """Raise ReviewRefusal unless what would be published is what was approved."""
    if statement.approved_digest is None:
        raise ReviewRefusal(
            f"Nobody has approved this statement yet. Another of the staff does it with: "
            f"mailer statement approve {statement.slug}"
        )
    if statement.approved_digest != texts_digest(session, statement.id):
        raise ReviewRefusal(
            f"The text was changed after it was approved. Look at it again, then: "
            f"mailer statement approve {statement.slug}"
        )


def note(
    session: Session,
    statement: Statement,
    action: str,
    actor: str,
    now: datetime,
    detail: dict[str, object] | None = None,
) -> None:
    """An audit entry about a statement, by its number alone: a slug tells what it is about."""
    subject = f"statement:{statement.id}"
    audit.record(session, actor=actor, action=action, subject=subject, now=now, detail=detail)
