"""Incidents: what must not be and is, told in words, open until it is gone.

One row per thing that is wrong: raising the same key again only says that it was seen
again. Words are for staff and never hold an address. Nothing here mends anything.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db.dialect import insert
from mailer.db.staff import Incident


def raise_incident(session: Session, key: str, words: str, now: datetime) -> bool:
    """Open an incident, or renew the words of the open one; True when it is new."""
    table = Incident.__table__
    known = session.execute(
        update(Incident)
        .where(Incident.key == key, Incident.closed_at.is_(None))
        .values(words=words, seen_at=now)
        .execution_options(synchronize_session=False)
    )
    if known.rowcount:  # type: ignore[attr-defined]
        return False
    is_open = table.c.closed_at.is_(None)
    fresh = insert(session, table).values(key=key, words=words, opened_at=now, seen_at=now)
    fresh = fresh.on_conflict_do_nothing(index_elements=[table.c.key], index_where=is_open)
    # Told by the row and not by rowcount: two workers may see the same thing in the same moment.
    return session.execute(fresh.returning(table.c.id)).first() is not None


def close_incident(session: Session, key: str, now: datetime) -> bool:
    """Close an open incident; False when none was open under the key."""
    closed = session.execute(
        update(Incident)
        .where(Incident.key == key, Incident.closed_at.is_(None))
        .values(closed_at=now)
        .execution_options(synchronize_session=False)
    )
    return bool(closed.rowcount)  # type: ignore[attr-defined]


def close_all_but(session: Session, prefix: str, standing: Iterable[str], now: datetime) -> None:
    """Close every open incident whose key begins with the prefix and is not among those still seen."""
    session.execute(
        update(Incident)
        .where(
            Incident.key.startswith(prefix, autoescape=True),
            Incident.closed_at.is_(None),
            Incident.key.not_in(list(standing)),
        )
        .values(closed_at=now)
        .execution_options(synchronize_session=False)
    )


def open_incidents(session: Session) -> list[Incident]:
    """What is wrong now, the oldest first."""
    return list(
        session.scalars(
            select(Incident).where(Incident.closed_at.is_(None)).order_by(Incident.opened_at, Incident.id)
        )
    )
