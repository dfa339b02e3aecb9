"""Notes on a published statement: its corrections and its retraction, as the public reads them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailer.db.programme import Correction, Statement, StatementText
from mailer.messages.changes import Paragraph, changes
from mailer.vocabulary import CorrectionKind, CorrectionState, TextState


@dataclass(frozen=True, kw_only=True)
class Note:
    """One correction or retraction. `language` is that of its words, and of the texts that are compared.

    `old_title` and `old_body` (Markdown) are the text before it; a retraction shows none.
    """

    number: int
    retracts: bool
    day: date
    language: str
    words: dict[str, str]
    changes: tuple[Paragraph, ...] = ()
    old_title: str = ""
    old_body: str = ""


def notes(session: Session, statement: Statement, language: str, *, zone: str) -> tuple[Note, ...]:
    """What was announced about the statement, the newest first, in the language where it was said in it.

    A correction of another language's text alone is no news on the page in this one.
    After a retraction only that is left: the old texts are not shown any more.
    """
    announced = session.scalars(
        select(Correction)
        .where(
            Correction.statement_id == statement.id,
            Correction.state != CorrectionState.DRAFT,
            or_(Correction.language.is_(None), Correction.language == language),
        )
        .order_by(Correction.number.desc())
    ).all()
    retractions = [one for one in announced if one.kind is CorrectionKind.RETRACTION]
    return tuple(_note(one, statement, language, zone) for one in retractions or announced)


class Changes:
    """When statements were last corrected or retracted, as a whole or in one language."""

    def __init__(self, rows: Iterable[tuple[int, str | None, datetime | None]]) -> None:
        self._at = {(statement_id, language): at for statement_id, language, at in rows if at is not None}

    def of(self, statement_id: int, language: str) -> datetime | None:
        """When what a reader of this language reads was changed last; None when it never was."""
        known = [self._at.get((statement_id, None)), self._at.get((statement_id, language))]
        return max((at for at in known if at is not None), default=None)


def changes_of(session: Session, statement_ids: Sequence[int]) -> Changes:
    """What is known of these statements."""
    rows = session.execute(
        select(Correction.statement_id, Correction.language, Correction.announced_at)
        .where(Correction.statement_id.in_(list(statement_ids)), Correction.announced_at.is_not(None))
        .order_by(Correction.announced_at)
    )
    return Changes((row[0], row[1], row[2]) for row in rows)


def _note(one: Correction, statement: Statement, language: str, zone: str) -> Note:
    said = language if language in one.words else one.language or statement.language
    old = _text(statement, said, one.from_version)
    new = _text(statement, said, one.to_version)
    if old is None or new is None:  # the translation came later; the original shows the change
        old = _text(statement, statement.language, one.from_version)
        new = _text(statement, statement.language, one.to_version)
    day = (one.announced_at or one.created_at).astimezone(ZoneInfo(zone)).date()
    note = Note(
        number=one.number,
        retracts=one.kind is CorrectionKind.RETRACTION,
        day=day,
        language=said,
        words=one.words[said],
    )
    if old is None or new is None:
        return note
    return Note(
        **{
            **vars(note),
            "changes": (*_title(old, new), *changes(old.body, new.body)),
            "old_title": old.title,
            "old_body": old.body,
        }
    )


def _title(old: StatementText, new: StatementText) -> tuple[Paragraph, ...]:
    return changes(old.title, new.title) if old.title != new.title else ()


def _text(statement: Statement, language: str, version: int | None) -> StatementText | None:
    return next(
        (
            text
            for text in statement.texts
            if (text.language, text.version, text.state) == (language, version, TextState.READY)
        ),
        None,
    )
