"""Register: one attendee for one symposium, at once, because somebody who may says so.

Strangers come through a form and confirm by mail (services/registration); both end
here, in a place or on the waiting list.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import places
from mailer.services.programme.dates import is_over
from mailer.services.programme.symposia import SymposiumRefusal, lock
from mailer.vocabulary import RegistrationState, SymposiumState

FALLBACK_LANGUAGES = ("en",)
HELD = frozenset({RegistrationState.CONFIRMED, RegistrationState.WAITING})


@dataclass(frozen=True, kw_only=True)
class Attendee:
    """Who registers. `languages` and `zone` are what they chose, empty where they did not; never guessed."""

    address: str
    name: str | None = None
    languages: tuple[str, ...] = ()
    zone: str | None = None


def register(
    session: Session,
    house: House,
    symposium: Symposium,
    attendee: Attendee,
    now: datetime,
    *,
    mail: bool = True,
) -> Registration:
    """Register somebody and announce their confirmation. Registering twice is one registration.

    Beyond the capacity they wait. Raises SymposiumRefusal when the symposium is not announced,
    is over, or is full and nobody can wait. While it runs it takes people.
    """
    lock(session, symposium)
    refuse_unless_open(symposium, now)
    subscriber = person_of(session, house, attendee, now)
    registration = registration_of(session, symposium, subscriber, now)
    if places.holds(registration, now):
        return registration
    remember_choices(registration, attendee)
    if not places.seat(session, house, symposium, registration, now, mail=mail):
        raise SymposiumRefusal(_full(symposium, now))
    return registration


def _full(symposium: Symposium, now: datetime) -> str:
    taken = f"All {symposium.capacity} places are taken"
    if places.has_begun(symposium, now):
        return (
            f"{taken}, and as it has begun nobody waits for one any more. Raise the capacity: "
            f"mailer symposium set {symposium.slug} --capacity {(symposium.capacity or 0) + 1}"
        )
    return (
        f"{taken} and there is no waiting list. Raise the capacity or open one: "
        f"mailer symposium set {symposium.slug} --waiting-list"
    )


def refuse_unless_open(symposium: Symposium, now: datetime) -> None:
    """Raise SymposiumRefusal for a symposium nobody can register for; its window is not asked here."""
    if symposium.state is not SymposiumState.ANNOUNCED:
        raise SymposiumRefusal(
            f"This symposium is {symposium.state}; people can register once it is announced: "
            f"mailer symposium announce {symposium.slug}"
        )
    if is_over(symposium, now):
        raise SymposiumRefusal("This symposium is over; nobody can register any more.")


def person_of(session: Session, house: House, attendee: Attendee, now: datetime) -> Subscriber:
    """The subscriber with this address, added when there is none."""
    found = people.find(session, house, attendee.address)
    if found is not None:
        return found
    try:
        with session.begin_nested():
            return people.add(
                session,
                house,
                address=attendee.address,
                name=attendee.name,
                languages=attendee.languages or FALLBACK_LANGUAGES,
                zone=attendee.zone,
                now=now,
            )
    except IntegrityError:  # the same address came through another door at the same moment
        found = people.find(session, house, attendee.address)
        if found is None:
            raise
        return found


def registration_of(
    session: Session, symposium: Symposium, subscriber: Subscriber, now: datetime
) -> Registration:
    """Their registration for the symposium, made as pending when there is none: it holds no place yet."""
    found = session.scalars(
        select(Registration).where(
            Registration.symposium_id == symposium.id, Registration.subscriber_id == subscriber.id
        )
    ).one_or_none()
    if found is None:
        found = Registration(
            symposium_id=symposium.id,
            subscriber_id=subscriber.id,
            state=RegistrationState.PENDING,
            sequence_bump=0,
            join_generation=1,
            registered_at=now,
        )
        session.add(found)
        session.flush()
    return found


def zone_of(registration: Registration, person: Subscriber) -> str | None:
    """The zone they chose for this symposium, else their own; one they took back is none."""
    return (person.zone if registration.zone is None else registration.zone) or None


def remember_choices(registration: Registration, attendee: Attendee) -> None:
    """Note language and zone for this symposium, where they chose any."""
    if attendee.languages:
        registration.languages = list(attendee.languages)
    if attendee.zone:
        registration.zone = attendee.zone
