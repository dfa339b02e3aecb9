"""Roll: sign-ups that come as a list. A dry run foresees what it would come to and changes nothing.

Staff vouch for a list: its people are registered at once, and hear of it only when staff
ask for that. Nobody is brought back who withdrew, nobody is mailed twice, and no bad row
undoes a good one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.people import Suppression
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
    AnswerProblem,
    check,
    read_questions,
    text_problem,
)
from mailer.vocabulary import RegistrationState

MOST_ROWS = 10_000
SLICE = 50  # rows in one transaction
UNSAID = "und"  # the language of rows that name none (BCP 47): what the person reads otherwise holds
ACCESS = "access"  # the column of access needs

SENTENCE_OF = {  # a list need not answer what the form must
    AnswerProblem.TOO_LONG: f"is longer than {LONGEST_ANSWER} letters. Shorten it.",
    AnswerProblem.NOT_OFFERED: "is not one of the answers the form offers.",
    AnswerProblem.CONTROL_CHARACTERS: "holds a control character. Take it out.",
}


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
    progress: Callable[[int], None] = lambda _rows: None,
) -> Rolled:
    """Register everyone on the list, the first line first; with `keep` False only say what would happen.

    A few rows at a time, so that mails and forms go on meanwhile; a list that is too long, or cannot be
    read to its end, is refused before the first. Of a list that was interrupted the rest is imported by
    importing it again. `mail`: everyone who gets a place or a wait by it is told, once. Raises
    SymposiumRefusal.
    """
    listed, rolled = whole(rows), Rolled()
    with house.database.read() as session:
        symposium = find(session, slug)
        refuse_unless_open(symposium, now)
        left = _left(session, symposium, now)
    for start in range(0, len(listed), SLICE):
        with house.database.read() as session:
            symposium = find(session, slug)
            new = _newcomers(session, house, symposium, listed[start : start + SLICE], rolled)
            if not keep:
                left = _foresee(session, house, symposium, new, left, rolled, now, mail=mail)
        if keep and new:
            _take_in(house, slug, new, rolled, now, mail=mail)
        progress(min(start + SLICE, len(listed)))
    if keep:
        with house.database.write() as session:
            came = rolled.confirmed + rolled.waiting
            note(session, find(session, slug), "registrations-imported", came, actor, now)
    return rolled


def _take_in(
    house: House, slug: str, new: Sequence[Person], rolled: Rolled, now: datetime, *, mail: bool
) -> None:
    with house.database.write() as session:
        symposium = find(session, slug)
        lock(session, symposium)
        refuse_unless_open(symposium, now)
        places.move_up(session, house, symposium, now)  # who waits goes before who is on the list
        for row in new:
            _sign_up(session, house, symposium, row, rolled, now, mail=mail)


def whole(rows: Iterable[Person | Reject]) -> list[Person | Reject]:
    """All rows of a list. Raises TooLong, and whatever reading them raises, before anything is kept."""
    found = list(islice(rows, MOST_ROWS + 1))
    if len(found) > MOST_ROWS:
        raise TooLong(f"The list has more than {MOST_ROWS:,} rows; nothing of it was kept. Split it.")
    return found


class TooLong(Exception):
    """A list longer than a symposium's can be; the message says what to do."""


def _newcomers(
    session: Session, house: House, symposium: Symposium, rows: Sequence[Person | Reject], rolled: Rolled
) -> list[Person]:
    """The rows of whom the symposium has not heard; what the others come to is counted. Changes nothing."""
    found = []
    for row in rows:
        bad = row.sentence if isinstance(row, Reject) else _problem(symposium, row)
        if bad is not None:
            rolled.refused.append((row.line, bad))
        elif isinstance(row, Person) and not _is_settled(_of(session, house, symposium, row), rolled):
            found.append(row)
    return found


def _of(session: Session, house: House, symposium: Symposium, row: Person) -> Registration | None:
    person = people.find(session, house, row.address)
    if person is None:
        return None
    theirs = (Registration.symposium_id == symposium.id) & (Registration.subscriber_id == person.id)
    return session.scalars(select(Registration).where(theirs)).one_or_none()


def _is_settled(registration: Registration | None, rolled: Rolled) -> bool:
    """Count who is there already, and who left: only they can come back."""
    if registration is None:
        return False
    left = places.has_left(registration)
    rolled.withdrew += left
    rolled.known += registration.state in HELD
    return left or registration.state in HELD


def _left(session: Session, symposium: Symposium, now: datetime) -> int | None:
    """Places for newcomers, once those whose turn comes have theirs; None without a limit."""
    free = places.free(session, symposium)
    if free is None or places.has_begun(symposium, now):
        return free
    return max(0, free - places.queue(session, symposium))


def _foresee(
    session: Session,
    house: House,
    symposium: Symposium,
    new: Sequence[Person],
    left: int | None,
    rolled: Rolled,
    now: datetime,
    *,
    mail: bool,
) -> int | None:
    """Count what importing these would come to; the places left after them."""
    for row in new:
        has_place = left is None or left > 0
        if not has_place and not places.may_wait(symposium, now):
            rolled.full += 1
            continue
        if left is not None and has_place:
            left -= 1
        barred = session.get(Suppression, house.vault.suppression_index(row.address)) is not None
        _count(rolled, has_place=has_place, barred=barred, mail=mail)
    return left


def _count(rolled: Rolled, *, has_place: bool, barred: bool, mail: bool) -> None:
    rolled.confirmed += has_place
    rolled.waiting += not has_place
    rolled.suppressed += barred
    rolled.mailed += mail and not barred


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
    if _is_settled(_of(session, house, symposium, row), rolled):
        return  # they came by another door just now
    if not places.takes(session, symposium, now):
        rolled.full += 1  # nothing is kept of whom it turns away
        return
    languages = () if row.languages == (UNSAID,) else row.languages
    attendee = Attendee(address=row.address, name=row.name, languages=languages, zone=row.zone)
    person = person_of(session, house, attendee, now)
    registration = registration_of(session, symposium, person, now)
    remember_choices(registration, attendee)
    access = row.others.get(ACCESS, "").strip() if symposium.asks_access else None
    answers = check(read_questions(symposium.form_fields), row.others).answers
    details.keep(house, registration, Details(name=row.name, access=access, answers=answers))
    places.seat(session, house, symposium, registration, now, mail=mail)
    has_place = registration.state is RegistrationState.CONFIRMED
    _count(rolled, has_place=has_place, barred=person.suppressed is not None, mail=mail)


def _problem(symposium: Symposium, row: Person) -> str | None:
    """What is wrong with a row's further columns, in a sentence."""
    bad = dict(check(read_questions(symposium.form_fields), row.others).problems)
    access = text_problem(row.others.get(ACCESS, "").strip()) if symposium.asks_access else None
    if access is not None:
        bad[ACCESS] = access
    said = (f"The column {key} {SENTENCE_OF[why]}" for key, why in bad.items() if why in SENTENCE_OF)
    return next(said, None)


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
