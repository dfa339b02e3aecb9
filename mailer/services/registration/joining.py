"""Joining: one attendee's door to the room where a symposium takes place.

The mail holds the door's address, never the room's, so the room may change without a
mail, and a door that was passed on can be shut for one person. Nothing notes that a
door was used: attendance is what staff say.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.db.seal import ROOM
from mailer.messages.tokens import Purpose, read
from mailer.services.house import House
from mailer.services.programme import public
from mailer.services.programme.public import SymposiumPage
from mailer.vocabulary import RegistrationState, SymposiumState

AFTERWARDS = timedelta(hours=3)  # beyond the end, which is often only assumed: people stay and talk


class Door(StrEnum):
    """Where a join link stands."""

    OPEN = "open"
    NOT_YET = "not_yet"  # nobody has said yet where the room is
    OVER = "over"
    CALLED_OFF = "called_off"
    SHUT = "shut"  # revoked, withdrawn, or no place: a newer mail knows more
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Joining:
    """What the page of a join link shows. `languages` are the attendee's own; no word of the room."""

    door: Door
    symposium: SymposiumPage | None = None
    languages: tuple[str, ...] = ()


def look(session: Session, house: House, token: str, now: datetime) -> Joining:
    """Where the link leads. Changes nothing, and notes nothing."""
    door, registration = _door(session, house, token, now)
    if registration is None:
        return Joining(door=door)
    person = session.get_one(Subscriber, registration.subscriber_id)
    return Joining(
        door=door,
        symposium=public.page_of(registration.symposium, now),
        languages=tuple(registration.languages or person.languages),
    )


def room_of(session: Session, house: House, token: str, now: datetime) -> str | None:
    """The room's URL for whom the door stands open; else None. Notes nothing."""
    door, registration = _door(session, house, token, now)
    if door is not Door.OPEN or registration is None:
        return None
    return open_room(house, registration.symposium)


def open_room(house: House, symposium: Symposium) -> str | None:
    """The URL of a symposium's room, for staff and for the door; None while there is none."""
    return house.vault.open(ROOM, symposium.id, symposium.room) if symposium.room else None


def _door(session: Session, house: House, token: str, now: datetime) -> tuple[Door, Registration | None]:
    numbers = read(house.tokens, Purpose.JOIN, token, 2)
    registration = session.get(Registration, numbers[0]) if numbers else None
    if registration is None or numbers is None:
        return Door.UNKNOWN, None
    symposium = registration.symposium
    if registration.state is not RegistrationState.CONFIRMED or registration.join_generation != numbers[1]:
        return Door.SHUT, registration
    if symposium.state is not SymposiumState.ANNOUNCED:
        return Door.CALLED_OFF, registration
    if _is_over(symposium, now):
        return Door.OVER, registration
    return (Door.OPEN if symposium.room else Door.NOT_YET), registration


def _is_over(symposium: Symposium, now: datetime) -> bool:
    if symposium.starts_at is None:
        return public.page_of(symposium, now).over
    return symposium.starts_at + timedelta(minutes=symposium.minutes) + AFTERWARDS <= now


def revoke(session: Session, registration: Registration) -> int:
    """Shut the doors that were given to this attendee so far; the generation of the next one."""
    session.refresh(registration, with_for_update={"of": Registration})
    registration.join_generation += 1
    return registration.join_generation
