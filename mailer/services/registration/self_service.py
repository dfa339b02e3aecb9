"""Self-service: what an attendee sees and changes of one registration by the link in their mail.

The link is the key, so it opens one registration and nothing else. Looking changes
nothing; once the symposium is over nothing can be changed any more.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.people import Subscriber
from mailer.db.programme import Registration
from mailer.messages.templates import LANGUAGES
from mailer.messages.tokens import Purpose, read
from mailer.messages.when import is_zone
from mailer.services.house import House
from mailer.services.programme import places, public
from mailer.services.programme.public import SymposiumPage
from mailer.services.programme.register import zone_of
from mailer.services.programme.symposia import lock
from mailer.services.registration import details
from mailer.services.registration.details import Details
from mailer.services.registration.questions import Question, read_questions
from mailer.services.sending import replan
from mailer.services.sending.announce import Announcement, announce
from mailer.vocabulary import MailingKind, RegistrationState, SymposiumState

AGAIN = timedelta(hours=24)
MOST_AGAIN = 3  # copies of the invitation within that time

KIND_OF_COPY = {
    RegistrationState.CONFIRMED: MailingKind.REGISTRATION_CONFIRMATION,
    RegistrationState.WAITING: MailingKind.WAITING_LIST,
}


@dataclass(frozen=True, kw_only=True)
class Own:
    """What an attendee's own page shows. `told` is what they answered themselves."""

    symposium: SymposiumPage
    state: RegistrationState
    languages: tuple[str, ...]
    zone: str | None
    changeable: bool
    told: Details = field(repr=False)
    questions: tuple[Question, ...] = ()


def look(session: Session, house: House, token: str, now: datetime) -> Own | None:
    """One registration as its owner sees it; None for a forged link and for an erased person."""
    registration = _find(session, house, token)
    if registration is None:
        return None
    person = session.get_one(Subscriber, registration.subscriber_id)
    return Own(
        symposium=public.page_of(registration.symposium, now),
        state=registration.state,
        languages=tuple(registration.languages or person.languages),
        zone=zone_of(registration, person),
        changeable=_is_changeable(registration, now),
        told=details.read(house, registration),
        questions=read_questions(registration.symposium.form_fields),
    )


def _is_changeable(registration: Registration, now: datetime) -> bool:
    symposium = registration.symposium
    return (
        registration.state in KIND_OF_COPY
        and symposium.state is SymposiumState.ANNOUNCED
        and not public.page_of(symposium, now).over
    )


def cancel(session: Session, house: House, token: str, now: datetime) -> bool:
    """Withdraw: confirmed by mail, and the place goes to whoever waits. Doing it twice is doing it once."""
    registration = _find(session, house, token)
    if registration is None:
        return False
    lock(session, registration.symposium)
    session.refresh(registration)
    if not _is_changeable(registration, now):
        return False
    places.give_back(session, house, registration.symposium, registration, now)
    return True


def change(session: Session, house: House, token: str, *, language: str, zone: str, now: datetime) -> bool:
    """Save language and zone for this symposium's mails; an empty zone is none, an unknown one no change.

    Reminders that wait are timed anew, since they keep off the night of the zone.
    """
    registration = _find(session, house, token)
    if registration is None or not _is_changeable(registration, now):
        return False
    person = session.get_one(Subscriber, registration.subscriber_id)
    if language in LANGUAGES:
        wished = registration.languages or person.languages
        registration.languages = [language, *(one for one in wished if one != language)]
    if (not zone or is_zone(zone)) and zone != (zone_of(registration, person) or ""):
        registration.zone = zone
        replan.registration_changed(session, registration)
    return True


def again(session: Session, house: House, token: str, now: datetime) -> bool:
    """Mail the invitation once more, a few times a day at most."""
    registration = _find(session, house, token)
    if registration is None or not _is_changeable(registration, now):
        return False
    return send_again(session, house, registration, now)


def send_again(
    session: Session,
    house: House,
    registration: Registration,
    now: datetime,
    *,
    joining: bool = False,
) -> bool:
    """Send an attendee what they were told of their place once more; False beyond a few in a day.

    `joining`: with the way into the room also when the start is far, because the old one was shut.
    """
    lately = session.scalar(
        select(func.count()).where(_copies(registration, "again"), Mailing.created_at > now - AGAIN)
    )
    if (lately or 0) >= MOST_AGAIN and not joining:
        return False
    return copy(session, house, registration, "again", now, {"joining": True} if joining else {})


def copy(
    session: Session,
    house: House,
    registration: Registration,
    word: str,
    now: datetime,
    facts: dict[str, object] | None = None,
) -> bool:
    """Mail what an attendee was told of their place; `word` says by which door it was asked for.

    How often is for the door to decide. False for who has neither a place nor one to wait for.
    """
    kind = KIND_OF_COPY.get(registration.state)
    if kind is None or not places.holds(registration, now):
        return False
    number = session.scalar(select(func.count()).where(_copies(registration, word))) or 0
    announcement = Announcement(
        key=f"registration:{registration.id}:{word}:{number + 1}",
        kind=kind,
        symposium_id=registration.symposium_id,
        registration_id=registration.id,
        expires_at=places.last_call([registration.symposium], kind, now),
        facts=facts or {},
    )
    announce(session, house, announcement, now)
    return True


def _copies(registration: Registration, word: str) -> ColumnElement[bool]:
    return (Mailing.registration_id == registration.id) & Mailing.key.like(
        f"registration:{registration.id}:{word}:%"
    )


def _find(session: Session, house: House, token: str) -> Registration | None:
    numbers = read(house.tokens, Purpose.REGISTRATION, token, 1)
    return session.get(Registration, numbers[0]) if numbers else None
