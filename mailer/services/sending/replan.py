"""Replan: mark what the sweep has to plan anew. Nothing is planned here, and nothing is sent."""

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from mailer.db.programme import Registration, Symposium
from mailer.vocabulary import SymposiumState


def unplan(session: Session, *which: ColumnElement[bool]) -> int:
    """Have these announced symposia planned anew: their rules have changed. Returns how many."""
    touched = session.execute(
        update(Symposium)
        .where(Symposium.state == SymposiumState.ANNOUNCED, *which)
        .values(planned_at=None)
        .execution_options(synchronize_session=False)
    )
    return int(touched.rowcount)  # type: ignore[attr-defined]


def registration_changed(session: Session, registration: Registration) -> None:
    """An attendee has another zone for this symposium: what waits for them is timed anew."""
    unplan(session, Symposium.id == registration.symposium_id)


def reader_changed(session: Session, subscriber_id: int) -> None:
    """A reader has another zone: what waits for them is timed anew."""
    theirs = select(Registration.symposium_id).where(Registration.subscriber_id == subscriber_id)
    unplan(session, Symposium.id.in_(theirs), Symposium.planned_at.is_not(None))
