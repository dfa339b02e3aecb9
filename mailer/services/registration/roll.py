"""Roll: sign-ups that come as a list, and who was there. A dry run does all of it and keeps nothing.

Staff vouch for a list: its people are registered at once, and hear of it only when staff
ask for that. Nobody is brought back who withdrew, nobody is mailed twice, and no bad row
undoes a good one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.ingest.people import Person, Reject
from mailer.services import audit
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import places, reminders
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
from mailer.services.registration.questions import LONGEST_ANSWER, AnswerProblem, check, read_questions
from mailer.vocabulary import Attendance, RegistrationState

MOST_ROWS = 10_000
UNSAID = "und"  # the language of rows that name none (BCP 47): what the person reads otherwise holds
ACCESS = "access"  # the column of access needs

WORDS_OF: Mapping[str, Attendance] = {
    **dict.fromkeys(("attended", "yes", "y", "1", "true", "present", "x"), Attendance.ATTENDED),
    **dict.fromkeys(("absent", "no", "n", "0", "false"), Attendance.ABSENT),
    **dict.fromkeys(("unknown", "?"), Attendance.UNKNOWN),
}
SENTENCE_OF = {
    AnswerProblem.MISSING: "is required and empty. Fill it in.",
    AnswerProblem.TOO_LONG: f"is longer than {LONGEST_ANSWER} letters. Shorten it.",
    AnswerProblem.NOT_OFFERED: "is not one of the answers the form offers.",
    AnswerProblem.CONTROL_CHARACTERS: "holds a control character. Take it out.",
}


class _DryRun(Exception):
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
            for number, row in enumerate(rows):
                _refuse_longer(number)
                if isinstance(row, Reject):
                    rolled.refused.append((row.line, row.sentence))
                else:
                    _sign_up(session, house, symposium, row, rolled, now, mail=mail)
            _note(session, symposium, "registrations-imported", rolled.confirmed + rolled.waiting, actor, now)
            if not keep:
                raise _DryRun
    except _DryRun:
        pass
    return rolled


def _refuse_longer(number: int) -> None:
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
    bad = {key: why for key, why in answered.problems.items() if why is not AnswerProblem.MISSING}
    if bad:
        key, why = next(iter(bad.items()))
        rolled.refused.append((row.line, f"The column {key} {SENTENCE_OF[why]}"))
        return
    languages = () if row.languages == (UNSAID,) else row.languages
    attendee = Attendee(address=row.address, name=row.name, languages=languages, zone=row.zone)
    person = person_of(session, house, attendee, now)
    registration = registration_of(session, symposium, person, now)
    if registration.state in HELD:
        rolled.known += 1
        return
    if registration.state is RegistrationState.WITHDRAWN:
        rolled.withdrew += 1  # they left; only they can come back
        return
    remember_choices(registration, attendee)
    told = Details(name=row.name, access=_access(row, symposium), answers=answered.answers)
    details.keep(house, registration, told)
    if not places.seat(session, house, symposium, registration, now, mail=mail):
        rolled.full += 1
        details.keep(house, registration, Details())
        return
    has_place = registration.state is RegistrationState.CONFIRMED
    rolled.confirmed += has_place
    rolled.waiting += not has_place
    rolled.suppressed += person.suppressed is not None
    rolled.mailed += mail and person.suppressed is None


def _access(row: Person, symposium: Symposium) -> str | None:
    said = row.others.get(ACCESS, "").strip()
    return said[:LONGEST_ANSWER] if said and symposium.asks_access else None


@dataclass
class Marked:
    """What a list of who was there came to. `strangers` have no place at this symposium."""

    attended: int = 0
    absent: int = 0
    unknown: int = 0
    unchanged: int = 0
    strangers: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


def mark_attendance(
    house: House,
    slug: str,
    rows: Iterable[Person | Reject],
    *,
    others_absent: bool,
    keep: bool,
    actor: str,
    now: datetime,
) -> Marked:
    """Note who was there, as the list says; a row without a word was there.

    Who is not on the list stays as they are, or is absent when the list is said to be whole.
    Nobody is added, and nothing is ever taken from the use of a link.
    """
    marked = Marked()
    try:
        with house.database.write() as session:
            symposium = find(session, slug)
            lock(session, symposium)
            listed: set[int] = set()
            for number, row in enumerate(rows):
                _refuse_longer(number)
                _mark(session, house, symposium, row, marked, listed)
            if others_absent:
                _mark_others(session, symposium, listed, marked)
            _note(session, symposium, "attendance-imported", len(listed), actor, now)
            reminders.plan(session, house, symposium, now)  # who is thanked has changed
            if not keep:
                raise _DryRun
    except _DryRun:
        pass
    return marked


def _mark(
    session: Session,
    house: House,
    symposium: Symposium,
    row: Person | Reject,
    marked: Marked,
    listed: set[int],
) -> None:
    if isinstance(row, Reject):
        marked.refused.append((row.line, row.sentence))
        return
    word = row.others.get("attended", "").strip().casefold()
    said = WORDS_OF.get(word) if word else Attendance.ATTENDED
    if said is None:
        marked.refused.append((row.line, "The column attended says neither attended, absent nor unknown."))
        return
    person = people.find(session, house, row.address)
    registration = None if person is None else _with_place(session, symposium, person)
    if registration is None:
        marked.strangers += 1
        return
    listed.add(registration.id)
    _set(registration, said, marked)


def _with_place(session: Session, symposium: Symposium, person: Subscriber) -> Registration | None:
    return session.scalars(
        select(Registration).where(
            Registration.symposium_id == symposium.id,
            Registration.subscriber_id == person.id,
            Registration.state == RegistrationState.CONFIRMED,
        )
    ).one_or_none()


def _set(registration: Registration, said: Attendance, marked: Marked) -> None:
    if registration.attendance is said:
        marked.unchanged += 1
        return
    registration.attendance = said
    setattr(marked, said.value, getattr(marked, said.value) + 1)


def _mark_others(session: Session, symposium: Symposium, listed: set[int], marked: Marked) -> None:
    others = session.scalars(
        select(Registration).where(
            Registration.symposium_id == symposium.id,
            Registration.state == RegistrationState.CONFIRMED,
            Registration.id.not_in(listed),
        )
    )
    for registration in others:
        _set(registration, Attendance.ABSENT, marked)


def _note(session: Session, symposium: Symposium, action: str, count: int, actor: str, now: datetime) -> None:
    audit.record(
        session,
        actor=actor,
        action=action,
        subject=f"symposium:{symposium.id}",
        now=now,
        detail={"people": count},
    )
