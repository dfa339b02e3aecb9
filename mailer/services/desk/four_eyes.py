"""Four eyes: what one of the staff wants, another approves - as far as there is another.

Who is staff is known from the audit log: everybody who ever did something at the desk. A
house with one pair of eyes approves its own wishes, and the audit entry says so.
"""

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from mailer.db.staff import AuditEntry

STAFF = ("cli:%", "staff:%")  # actors that are people; the others are programs


class SameEyes(Exception):
    """Somebody else has to approve this; the message says who asked."""


def is_alone(session: Session, actor: str) -> bool:
    """True when nobody else has ever done anything in this house."""
    people = or_(*(AuditEntry.actor.like(pattern) for pattern in STAFF))
    return session.scalar(select(AuditEntry.id).where(people, AuditEntry.actor != actor).limit(1)) is None


def check(session: Session, *, asked_by: str | None, actor: str) -> bool:
    """Raise SameEyes when the one who asked wants to approve; True when there is nobody else to do it."""
    if asked_by != actor:
        return False
    if not is_alone(session, actor):
        raise SameEyes(f"{asked_by} asked for this, so somebody else has to approve it.")
    return True
