"""The near-duplicate guard of publishing: a statement much like one that was sent is asked about first."""

from datetime import datetime, timedelta

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session

from mailer.db.programme import Statement, StatementText
from mailer.ingest.likely import TEXT_DAYS, Alike, alike
from mailer.services.programme.refusals import StatementRefusal
from mailer.vocabulary import StatementState, TextState

_WORDS = {Alike.TITLE: "It has the title of", Alike.TEXT: "Its text is almost that of"}


def ask_about_repeat(session: Session, statement: Statement, *, anyway: bool, now: datetime) -> None:
    """Raise StatementRefusal for a statement much like one that was sent, unless a person says it is new."""
    same = None if anyway else published_before(session, statement, now)
    if same is not None:
        raise StatementRefusal(
            f"Perhaps it was sent before: {same} An edit is announced as a correction of that one. If it is "
            f"new, say so with --anyway."
        )


def published_before(session: Session, statement: Statement, now: datetime) -> str | None:
    """In words, which statement published or under embargo this one repeats; None when it repeats none.

    Looked at by the dates of both and by when the other was published: whichever is nearer counts, and one
    under embargo is near. Texts
    are compared with those of the same language.
    """
    ours = _texts(session, statement)
    window = timedelta(days=TEXT_DAYS)
    others = session.scalars(
        select(Statement)
        .where(
            Statement.id != statement.id,
            or_(
                Statement.state == StatementState.SCHEDULED,
                Statement.published_at >= now - window,
                and_(
                    Statement.published_at.is_not(None),
                    Statement.dated.between(statement.dated - window, statement.dated + window),
                ),
            ),
        )
        .order_by(Statement.published_at.desc())
    )
    for other in others:
        days = min(abs((statement.dated - other.dated).days), abs((now - (other.published_at or now)).days))
        for language, theirs in _texts(session, other).items():
            found = alike(ours[language], theirs, days=days) if language in ours else None
            if found is not None:
                waits = ", which waits under embargo" if other.state is StatementState.SCHEDULED else ""
                return f"{_WORDS[found]} “{theirs[0]}” of {other.dated} ({other.slug}){waits}."
    return None


def _texts(session: Session, statement: Statement) -> dict[str, tuple[str, str]]:
    rows = session.scalars(
        select(StatementText).where(
            StatementText.statement_id == statement.id,
            StatementText.version == statement.version,
            StatementText.state == TextState.READY,
        )
    )
    return {text.language: (text.title, text.body) for text in rows}
