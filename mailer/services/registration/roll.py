"""Roll: sign-ups that come as a list. A dry run does all of it and keeps nothing.

Staff vouch for a list: its people are registered at once, and hear of it only when staff
ask for that. Nobody is brought back who withdrew, nobody is mailed twice, and no bad row
undoes a good one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Registration, Symposium
from mailer.ingest.people import Person, Reject
from mailer.services import audit
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import places
from mailer.services.programme.register import (
    HELD,
    Attendee,
    person_of,
    refuse_unless_open,
    registration_of,
    remember_choices,
)
from mailer.services.programme.symposia import find, lock
from mailer.services.registration import details
from mailer.services.registration.details import Details
from mailer.services.registration.questions import (
    LONGEST_ANSWER,
    Answered,
    AnswerProblem,
    check,
    read_questions,
    text_problem,
)
from mailer.vocabulary import RegistrationState

MOST_ROWS = 10_000
UNSAID = "und"  # the language of rows that name none (BCP 47): what the person reads otherwise holds
ACCESS = "access"  # the column of access needs

SENTENCE_OF = {  # a list need not answer what the form must
    AnswerProblem.TOO_LONG: f"is longer than {LONGEST_ANSWER} letters. Shorten it.",
    AnswerProblem.NOT_OFFERED: "is not one of the answers the form offers.",
    AnswerProblem.CONTROL_CHARACTERS: "holds a control character. Take it out.",
}


class DryRun(Exception):
    """Ends a transaction of which nothing is to be kept."""


@dataclass
class Rolled:
    """What a list came to. `refused`: line and why. A dry run says what would come of it."""

    confirmed: int = 0
    waiting: int = 0
    known: int = 0
    withdrew: int = 0
    full: int = 0
    suppressed: int = 0
    mailed: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def import_sign_ups(
    house: House,
    slug: str,
    rows: Iterable[Person | Reject],
    *,
    mail: bool,
    keep: bool,
    actor: str,
    now: datetime,
) -> Rolled:
    """Register everyone on the list, the first line first; with `keep` False only say what would happen.

    `mail`: everyone who gets a place or a wait by this list is told, once. Raises SymposiumRefusal.
    """
    rolled = Rolled()
    try:
        with house.database.write() as session:
            symposium = find(session, slug)
            lock(session, symposium)
            refuse_unless_open(symposium, now)
            places.move_up(session, house, symposium, now)  # who waits goes before who is on the list
            for number, row in enumerate(rows):
                refuse_longer(number)
                if isinstance(row, Reject):
                    rolled.refused.append((row.line, row.sentence))
                else:
                    _sign_up(session, house, symposium, row, rolled, now, mail=mail)
            note(session, symposium, "registrations-imported", rolled.confirmed + rolled.waiting, actor, now)
            if not keep:
                raise DryRun
    except DryRun:
        pass
    return rolled


def refuse_longer(number: int) -> None:
    """Raise TooLong at the row that is one too many, counted from 0."""
    if number >= MOST_ROWS:
        raise TooLong(f"The list has more than {MOST_ROWS:,} rows; nothing of it was kept. Split it.")


class TooLong(Exception):
    """A list longer than a symposium's can be; the message says what to do."""


def _sign_up(
    session: Session,
    house: House,
    symposium: Symposium,
    row: Person,
    rolled: Rolled,
    now: datetime,
    *,
    mail: bool,
) -> None:
    answered = check(read_questions(symposium.form_fields), row.others)
    bad = _problem(symposium, row, answered)
    if bad is not None:
        rolled.refused.append((row.line, bad))
        return
    languages = () if row.languages == (UNSAID,) else row.languages
    attendee = Attendee(address=row.address, name=row.name, languages=languages, zone=row.zone)
    if not places.takes(session, symposium) and not _is_on_it(session, house, symposium, row.address):
        rolled.full += 1  # nothing is kept of whom it turns away
        return
    person = person_of(session, house, attendee, now)
    registration = registration_of(session, symposium, person, now)
    if registration.state in HELD:
        rolled.known += 1
        return
    if places.has_left(registration):
        rolled.withdrew += 1  # only they can come back
        return
    remember_choices(registration, attendee)
    access = row.others.get(ACCESS, "").strip() if symposium.asks_access else None
    details.keep(house, registration, Details(name=row.name, access=access, answers=answered.answers))
    places.seat(session, house, symposium, registration, now, mail=mail)
    has_place = registration.state is RegistrationState.CONFIRMED
    rolled.confirmed += has_place
    rolled.waiting += not has_place
    rolled.suppressed += person.suppressed is not None
    rolled.mailed += mail and person.suppressed is None


def _problem(symposium: Symposium, row: Person, answered: Answered) -> str | None:
    """What is wrong with a row's further columns, in a sentence."""
    bad = dict(answered.problems)
    access = text_problem(row.others.get(ACCESS, "").strip()) if symposium.asks_access else None
    if access is not None:
        bad[ACCESS] = access
    said = (f"The column {key} {SENTENCE_OF[why]}" for key, why in bad.items() if why in SENTENCE_OF)
    return next(said, None)


def _is_on_it(session: Session, house: House, symposium: Symposium, address: str) -> bool:
    person = people.find(session, house, address)
    held = select(Registration.state).where(
        Registration.symposium_id == symposium.id,
        Registration.subscriber_id == (None if person is None else person.id),
        Registration.state != RegistrationState.PENDING,
    )
    return person is not None and session.scalar(held) is not None


def note(session: Session, symposium: Symposium, action: str, count: int, actor: str, now: datetime) -> None:
    """Leave an entry in the audit log: how many people a list was about, and nobody's address."""
    audit.record(
        session,
        actor=actor,
        action=action,
        subject=f"symposium:{symposium.id}",
        now=now,
        detail={"people": count},
    )
