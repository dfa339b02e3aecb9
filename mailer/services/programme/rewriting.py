"""Rewriting: staff change the words of a statement that no reader has yet.

Afterwards there is no rewriting: what readers may have is corrected, and they are told.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Statement, StatementText
from mailer.services import audit
from mailer.services.programme.editing import editing
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.programme.translations import check_text
from mailer.visible import one_line
from mailer.vocabulary import StatementState

UNREAD = frozenset({StatementState.DRAFT, StatementState.IN_REVIEW, StatementState.SCHEDULED})


def rewrite(
    session: Session, statement: Statement, *, title: str | None, body: str | None, actor: str, now: datetime
) -> list[str]:
    """Change the text in the statement's own language; returns the translations made of the earlier one.

    An approval is gone with it, and an embargo is held. Raises StatementRefusal.
    """
    with editing(session, statement, now):
        if statement.state not in UNREAD:
            raise StatementRefusal(
                f"This statement is {statement.state.value}, so readers may have it. Correct it, and they "
                f"are told: mailer statement correct {statement.slug}"
            )
        text, *translated = _texts(session, statement)
        wanted = (text.title if title is None else one_line(title), text.body if body is None else body)
        check_text(*wanted, statement.language)
        if wanted == (text.title, text.body):
            raise StatementRefusal("That is the text as it stands already. Nothing was changed.")
        text.title, text.body = wanted
        text.created_at = now
        audit.record(
            session, actor=actor, action="statement-rewritten", subject=f"statement:{statement.id}", now=now
        )
    return [one.language for one in translated]


def _texts(session: Session, statement: Statement) -> list[StatementText]:
    """Every text of the present version, the statement's own first."""
    found = session.scalars(
        select(StatementText)
        .where(StatementText.statement_id == statement.id, StatementText.version == statement.version)
        .order_by(StatementText.language != statement.language, StatementText.language)
    )
    return list(found)
