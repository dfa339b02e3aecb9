"""Register: one attendee for one symposium, confirmed by mail with an invitation for their calendar."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Registration, Symposium
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import reminders
from mailer.services.programme.symposia import SymposiumRefusal, lock
from mailer.services.sending.announce import Announcement, announce
from mailer.vocabulary import MailingKind, RegistrationState, SymposiumState


@dataclass(frozen=True, kw_only=True)
class Attendee:
    """Who registers. `zone` is what they chose; it is never guessed."""

    address: str
    name: str | None = None
    languages: tuple[str, ...] = ("en",)
    zone: str | None = None


def register(
    session: Session, house: House, symposium: Symposium, attendee: Attendee, now: datetime
) -> Registration:
    """Register somebody and announce their confirmation. Registering twice is one registration.

    Raises SymposiumRefusal when the symposium is not announced, or over.
    """
    lock(session, symposium)
    if symposium.state is not SymposiumState.ANNOUNCED:
        raise SymposiumRefusal(
            f"This symposium is {symposium.state}; people can register once it is announced: "
            f"mailer symposium announce {symposium.slug}"
        )
    if symposium.starts_at is not None and symposium.starts_at <= now:
        raise SymposiumRefusal("This symposium has begun already; nobody can register any more.")
    subscriber = people.find(session, house, attendee.address) or people.add(
        session,
        house,
        address=attendee.address,
        name=attendee.name,
        languages=attendee.languages,
        zone=attendee.zone,
        now=now,
    )
    session.flush()
    found = session.scalars(
        select(Registration).where(
            Registration.symposium_id == symposium.id, Registration.subscriber_id == subscriber.id
        )
    ).one_or_none()
    if found is not None and found.state is RegistrationState.CONFIRMED:
        return found
    registration = found or Registration(
        symposium_id=symposium.id,
        subscriber_id=subscriber.id,
        state=RegistrationState.CONFIRMED,
        registered_at=now,
    )
    if found is not None:
        registration.state, registration.registered_at = RegistrationState.CONFIRMED, now
        registration.sequence_bump += 1
    session.add(registration)
    session.flush()
    reminders.join(session, symposium, registration.id, now)
    _confirmation(session, house, registration, now)
    return registration


def _confirmation(session: Session, house: House, registration: Registration, now: datetime) -> None:
    announcement = Announcement(
        key=f"registration:{registration.id}:confirmation:{registration.sequence_bump}",
        kind=MailingKind.REGISTRATION_CONFIRMATION,
        symposium_id=registration.symposium_id,
        registration_id=registration.id,
    )
    announce(session, house, announcement, now)
