"""What one attendee's mail says differently from another's: the date they know, links, calendar."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Registration, Symposium, SymposiumDate
from mailer.services.house import House
from mailer.services.sending.content import language_of
from mailer.services.sending.invitation import has_day
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import MailingKind, RegistrationState

JOINING = timedelta(hours=24)  # before the start: from then on a confirmation holds the way into the room
CANCELS = frozenset({MailingKind.CANCELLATION, MailingKind.WITHDRAWAL})


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a mailing speaks to an attendee; attendees of one manner and language share a form.

    `told` is the date they heard of last, where the mail or its calendar part is about the difference.
    `invited`: the mail brings an entry for their calendar or takes it back, where there is a day for one.
    """

    told: int | None = None
    joining: bool = False
    invited: bool = False


def manner_of(
    mailing: Mailing, symposium: Symposium | None, registration: Registration | None, now: datetime
) -> Manner:
    """The manner of one mail. To subscribers there is only one."""
    if symposium is None:
        return Manner()
    return Manner(
        told=_told(mailing, symposium, registration),
        joining=_joining(mailing, symposium, now),
        invited=_invited(mailing, registration),
    )


def _told(mailing: Mailing, symposium: Symposium, registration: Registration | None) -> int | None:
    heard = registration.told_generation if registration else None
    if mailing.kind in CANCELS and not has_day(symposium):
        return heard  # their calendar may hold a day that the symposium itself no longer has
    if mailing.kind is not MailingKind.CHANGE:
        return None
    return heard or int(mailing.facts.get("told_generation", 1))


def _joining(mailing: Mailing, symposium: Symposium, now: datetime) -> bool:
    if mailing.kind is not MailingKind.REGISTRATION_CONFIRMATION or symposium.room is None:
        return False
    near = symposium.starts_at is not None and symposium.starts_at - now < JOINING
    return near or bool(mailing.facts.get("joining"))


def withdrawn_date(session: Session, symposium: Symposium | None, manner: Manner) -> SymposiumDate | None:
    """The date this attendee's calendar holds, where the symposium itself has no day any more.

    Its entry has to be taken back: no calendar can hold what has only a month.
    """
    if symposium is None or not manner.invited or manner.told is None or has_day(symposium):
        return None
    told = session.scalars(
        select(SymposiumDate).where(
            SymposiumDate.symposium_id == symposium.id, SymposiumDate.generation == manner.told
        )
    ).one_or_none()
    return told if told is not None and has_day(told) else None


def _invited(mailing: Mailing, registration: Registration | None) -> bool:
    """RFC 5546: a REQUEST goes to whoever holds a place, and a CANCEL follows a REQUEST."""
    if registration is None or not TRAITS[mailing.kind].calendar:
        return False
    if mailing.kind is MailingKind.WITHDRAWAL:
        return bool(mailing.facts.get("invited"))
    return registration.state is RegistrationState.CONFIRMED


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
