"""Details: what an attendee told us beside their address, sealed as one value and forgotten in time.

Name as given on the form, access needs and answers may say what puts a person at risk:
they are opened only for the person and for staff who prepare the symposium, and wiped
a month after it, or when nobody confirmed them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from mailer.db.programme import Registration, Symposium
from mailer.db.seal import DETAILS
from mailer.services.house import House
from mailer.services.registration.questions import plain
from mailer.vocabulary import RegistrationState

KEPT_DAYS = 30  # after the symposium; the form says so
UNCONFIRMED = timedelta(days=7)  # the link in the mail is long dead by then


@dataclass(frozen=True, kw_only=True)
class Details:
    """What one attendee told. Nothing of it is ever logged."""

    name: str | None = field(default=None, repr=False)
    access: str | None = field(default=None, repr=False)
    answers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.name or self.access or self.answers)


def keep(house: House, registration: Registration, details: Details) -> None:
    """Seal the details onto the registration, which has its id already; nothing told is nothing kept.

    Signs that nobody sees are left out.
    """
    if not details:
        registration.details = None
        return
    answers = {key: plain(answer) for key, answer in details.answers.items()}
    name, access = plain(details.name or "") or None, plain(details.access or "") or None
    told = {"name": name, "access": access, "answers": answers}
    registration.details = house.vault.seal(DETAILS, registration.id, json.dumps(told, ensure_ascii=False))


def read(house: House, registration: Registration) -> Details:
    """The details of a registration; empty when nothing was told, or when it is forgotten."""
    if registration.details is None:
        return Details()
    return Details(**json.loads(house.vault.open(DETAILS, registration.id, registration.details)))


def forget(session: Session, now: datetime) -> int:
    """Wipe details of symposia that are a month past, of the withdrawn, and of what nobody confirmed."""
    past = select(Symposium.id).where(
        or_(
            Symposium.starts_at < now - timedelta(days=KEPT_DAYS),
            Symposium.starts_at.is_(None) & (Symposium.day < (now - timedelta(days=KEPT_DAYS)).date()),
        )
    )
    stale = (Registration.state == RegistrationState.PENDING) & (
        Registration.registered_at < now - UNCONFIRMED
    )
    wiped = session.execute(
        update(Registration)
        .where(
            Registration.details.is_not(None),
            or_(
                Registration.symposium_id.in_(past),
                Registration.state == RegistrationState.WITHDRAWN,
                stale,
            ),
        )
        .values(details=None)
        .execution_options(synchronize_session=False)
    )
    return int(wiped.rowcount)  # type: ignore[attr-defined]
