"""Asking: which questions stand on a symposium's registration form. Staff add, reword and take away."""

from collections.abc import Sequence
from datetime import datetime
from itertools import chain

from sqlalchemy.orm import Session

from mailer.db.programme import Symposium
from mailer.ingest.people import COLUMNS, REASON
from mailer.services import audit
from mailer.services.programme.symposia import SymposiumRefusal, lock
from mailer.services.registration.questions import (
    MOST_QUESTIONS,
    Question,
    checked,
    read_questions,
    write_questions,
)
from mailer.vocabulary import FieldSource

# Columns of a list of sign-ups, which also has one for each question.
TAKEN = frozenset(chain.from_iterable(COLUMNS.values())) | {"access", "attended", REASON}


def put_question(
    session: Session, symposium: Symposium, question: Question, *, actor: str, now: datetime
) -> bool:
    """Add a question to the form, or give one with the same key new words; True when it is new."""
    if question.key in TAKEN:
        raise SymposiumRefusal(
            f'"{question.key}" is a column of lists of sign-ups already. Call the question by another word.'
        )
    lock(session, symposium)
    others = [one for one in read_questions(symposium.form_fields) if one.key != question.key]
    is_new = len(others) == len(symposium.form_fields)
    if is_new and len(others) >= MOST_QUESTIONS:
        raise SymposiumRefusal(f"A form has at most {MOST_QUESTIONS} questions. Take one away first.")
    _write(session, symposium, [*others, checked(question)], actor=actor, now=now)
    return is_new


def drop_question(session: Session, symposium: Symposium, key: str, *, actor: str, now: datetime) -> None:
    """Take a question off the form; the answers that were given stay with those who gave them."""
    lock(session, symposium)
    others = [one for one in read_questions(symposium.form_fields) if one.key != key]
    if len(others) == len(symposium.form_fields):
        known = ", ".join(one.key for one in others) or "none"
        raise SymposiumRefusal(f'There is no question "{key[:40]}". The form has: {known}.')
    _write(session, symposium, others, actor=actor, now=now)


def _write(
    session: Session, symposium: Symposium, questions: Sequence[Question], *, actor: str, now: datetime
) -> None:
    symposium.form_fields = write_questions(questions)
    symposium.sources = {**symposium.sources, "form_fields": FieldSource.STAFF.value}
    symposium.changed_at = now
    audit.record(
        session,
        actor=actor,
        action="symposium-questions-set",
        subject=f"symposium:{symposium.id}",
        now=now,
        detail={"questions": [one.key for one in questions]},
    )
