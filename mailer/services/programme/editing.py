"""Editing: a change to a statement's texts, made so that an embargo and its end cannot be missed.

Whoever changes a text does it inside `editing`. The embargo is held in the same transaction, not
when a sweep next comes by; and in the seconds between the moment and the sweep that writes it
down nothing is changed: what is public does not vanish again, and what readers may have stays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db.embargoes import Embargo
from mailer.db.programme import Statement
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.sending.embargo_fitness import why_hold
from mailer.services.sending.embargo_rows import lock
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
    """Lock the statement. Raises StatementRefusal for one whose embargo is over and still to be written down.

    That is left to the house, whose clock is looked after; the clock of a command may be wrong.
    """
    lock(session, statement)
    if statement.id in OPEN_BY_NOW.opened(session, now):
        raise StatementRefusal(
            "Its embargo has ended this moment, and the house is about to write that down. Nothing was "
            "changed. Try again in some seconds; if this lasts, look at: mailer incident list"
        )
