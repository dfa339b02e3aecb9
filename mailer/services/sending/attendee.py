"""What one attendee's mail says differently from another's: the date they know, links, calendar."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailer.db.mailings import Mailing
from mailer.db.programme import Registration, Symposium
from mailer.services.house import House
from mailer.services.sending.texts import language_of
from mailer.services.sending.traits import NOTICES
from mailer.vocabulary import Attendance, MailingKind, RegistrationState

JOINING = timedelta(hours=24)  # before the start: from then on a confirmation holds the way into the room
OF_WHAT_THEY_KNOW = NOTICES | {MailingKind.CANCELLATION, MailingKind.WITHDRAWAL}
OF_A_MOMENT = frozenset({MailingKind.REGISTRATION_REQUEST, MailingKind.REGISTRATION_CONFIRMATION})


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How a mailing speaks to an attendee; attendees of one manner and language share a form.

    `told` numbers the facts they heard of last, where the mail is about the difference. `invited`: their
    calendar may hold it. `seated`: they have a place. `at`: when it leaves, of mails to one person whose
    words depend on that.
    """

    told: int | None = None
    came: Attendance = Attendance.UNKNOWN
    joining: bool = False
    invited: bool = False
    seated: bool = False
    at: datetime | None = None


def manner_of(
    mailing: Mailing, symposium: Symposium | None, registration: Registration | None, now: datetime
) -> Manner:
    """The manner of one mail. To subscribers there is only one."""
    if symposium is None or registration is None:
        return Manner()
    return Manner(
        told=registration.told_version if mailing.kind in OF_WHAT_THEY_KNOW else None,
        came=registration.attendance if mailing.kind is MailingKind.FOLLOW_UP else Attendance.UNKNOWN,
        joining=_joining(mailing, symposium, now),
        invited=registration.invited,
        seated=registration.state is RegistrationState.CONFIRMED,
        at=now if mailing.kind in OF_A_MOMENT else None,
    )


def _joining(mailing: Mailing, symposium: Symposium, now: datetime) -> bool:
    if symposium.room is None:
        return False
    if mailing.kind is MailingKind.REMINDER:  # of the last day: its rule says so
        return bool(mailing.facts.get("joining"))
    if mailing.kind is not MailingKind.REGISTRATION_CONFIRMATION:
        return False
    near = symposium.starts_at is not None and symposium.starts_at - now < JOINING
    return near or bool(mailing.facts.get("joining"))


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
