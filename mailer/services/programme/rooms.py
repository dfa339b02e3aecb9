"""Rooms: staff are told in time that nobody has said where an online symposium will be."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Symposium
from mailer.services.incidents import close_all_but, raise_incident
from mailer.services.sending.rooms import lacks_room
from mailer.vocabulary import SymposiumState

AHEAD = timedelta(hours=27)  # two hours before the reminder of a day, as long as a civil day may be
PREFIX = "room:"


def look(session: Session, now: datetime) -> int:
    """Open an incident for each online symposium of the next day without a room, and close those that have
    one now or have begun; returns how many stand."""
    coming = select(Symposium).where(
        Symposium.state == SymposiumState.ANNOUNCED,
        Symposium.starts_at > now,
        Symposium.starts_at <= now + AHEAD,
        Symposium.online.is_(True),
    )
    without = [one for one in session.scalars(coming).unique() if lacks_room(one)]
    for one in without:
        raise_incident(session, f"{PREFIX}{one.id}", words(one), now)
    close_all_but(session, PREFIX, [f"{PREFIX}{one.id}" for one in without], now)
    return len(without)


def words(symposium: Symposium) -> str:
    return (
        f"The symposium {symposium.slug} is online and begins within a day, and nobody has said where its "
        "room is. Its reminders of the last day wait for that while they can, and then leave without a link. "
        f"Say it with: mailer symposium set {symposium.slug} --join-url URL"
    )
