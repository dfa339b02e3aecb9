"""Editing: a change to a statement's texts, made so that an embargo and its end cannot be missed.

Whoever changes a text does it inside `editing`. The embargo is held in the same transaction, not
when a sweep next comes by; and once the moment has passed the statement counts as published,
whether or not a sweep has written that down, and is changed by the rules for published ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db.embargoes import Embargo
from mailer.db.programme import Statement
from mailer.services.sending.embargo_fitness import why_hold
from mailer.services.sending.embargo_rows import lock
from mailer.services.sending.embargo_watch import write_down
from mailer.services.sending.gate import OPEN_BY_NOW
from mailer.vocabulary import StatementState


@contextmanager
def editing(session: Session, statement: Statement, now: datetime) -> Iterator[None]:
    """Change the statement's texts inside; its row is locked, and read anew."""
    begin(session, statement, now)
    yield
    session.flush()
    if statement.state is StatementState.SCHEDULED:
        embargo = session.get_one(Embargo, statement.id)
        embargo.held = embargo.held or why_hold(session, statement, embargo)


def begin(session: Session, statement: Statement, now: datetime) -> None:
    """Lock the statement. One whose embargo is over is written down as published first."""
    lock(session, statement)
    if statement.id in OPEN_BY_NOW.opened(session, now):
        write_down(session, statement, session.get_one(Embargo, statement.id), now)
        session.flush()
