"""What one attendee's mail says differently from another's: the date they know, links, calendar."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Registration, Symposium, SymposiumDate
from mailer.services.house import House
from mailer.services.sending.invitation import EntryDay, has_day
from mailer.services.sending.texts import language_of
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import MailingKind, RegistrationState

JOINING = timedelta(hours=24)  # before the start: from then on a confirmation holds the way into the room
CANCELS = frozenset({MailingKind.CANCELLATION, MailingKind.WITHDRAWAL})


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a mailing speaks to an attendee; attendees of one manner and language share a form.

    `told` is the date they heard of last, where the mail is about the difference. `calendar`: the mail
    brings an entry for their calendar or takes it back; `stood_on` is the day it stands on, where the
    symposium itself has none any more.
    """

    told: int | None = None
    joining: bool = False
    calendar: bool = False
    stood_on: EntryDay | None = None


def manner_of(
    session: Session,
    mailing: Mailing,
    symposium: Symposium | None,
    registration: Registration | None,
    now: datetime,
) -> Manner:
    """The manner of one mail. To subscribers there is only one."""
    if symposium is None:
        return Manner()
    invited = registration is not None and _invited(mailing, registration)
    stood_on = _stood_on(session, symposium, registration) if invited and not has_day(symposium) else None
    return Manner(
        told=_told(mailing, registration),
        joining=_joining(mailing, symposium, now),
        calendar=invited and (has_day(symposium) or stood_on is not None),
        stood_on=stood_on,
    )


def _told(mailing: Mailing, registration: Registration | None) -> int | None:
    if mailing.kind is not MailingKind.CHANGE:
        return None
    told = registration.told_generation if registration else None
    return told or int(mailing.facts.get("told_generation", 1))


def _joining(mailing: Mailing, symposium: Symposium, now: datetime) -> bool:
    if mailing.kind is not MailingKind.REGISTRATION_CONFIRMATION or symposium.room is None:
        return False
    near = symposium.starts_at is not None and symposium.starts_at - now < JOINING
    return near or bool(mailing.facts.get("joining"))


def _invited(mailing: Mailing, registration: Registration) -> bool:
    """RFC 5546: a REQUEST goes to whoever holds a place, and a CANCEL follows a REQUEST."""
    if not TRAITS[mailing.kind].calendar:
        return False
    if mailing.kind is MailingKind.WITHDRAWAL:
        return bool(mailing.facts.get("invited"))
    return registration.state is RegistrationState.CONFIRMED


def _stood_on(session: Session, symposium: Symposium, registration: Registration | None) -> EntryDay | None:
    """The day this attendee's calendar holds, if the date they heard of last had one."""
    told = session.scalars(
        select(SymposiumDate).where(
            SymposiumDate.symposium_id == symposium.id,
            SymposiumDate.generation == (registration.told_generation if registration else None),
        )
    ).one_or_none()
    if told is None or not has_day(told):
        return None
    return EntryDay(precision=told.precision, day=told.day, starts_at=told.starts_at)


def language_for(registration: Registration | None, languages: str | None) -> str:
    """The language of one mail: what they chose for this symposium, else what they read otherwise."""
    if registration is not None and registration.languages:
        return language_of(json.dumps(registration.languages))
    return language_of(languages or "[]")


def links(house: House, mailing: Mailing, registration: Registration, now: datetime) -> dict[str, str]:
    """The slots that lead an attendee to their own registration, and into the room."""
    found = {
        "registration_url": house.registration_url(registration.id),
        "join_url": house.join_url(registration.id, registration.join_generation),
    }
    if mailing.kind is MailingKind.REGISTRATION_REQUEST:
        found["attend_url"] = house.attend_url(registration.id, now)
    return found
