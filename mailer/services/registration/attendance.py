"""Attendance: who was there, as a list says; never what the use of a link says. A dry run keeps nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.ingest.people import Person, Reject
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import places, reminders
from mailer.services.programme.symposia import SymposiumRefusal, find, lock
from mailer.services.registration.roll import DryRun, note, refuse_longer
from mailer.vocabulary import Attendance, Precision, RegistrationState

WORDS_OF: Mapping[str, Attendance] = {
    **dict.fromkeys(("attended", "yes", "y", "1", "true", "present", "x"), Attendance.ATTENDED),
    **dict.fromkeys(("absent", "no", "n", "0", "false"), Attendance.ABSENT),
    **dict.fromkeys(("unknown", "?"), Attendance.UNKNOWN),
}


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
            _refuse_early(symposium, now)
            listed: set[int] = set()
            for number, row in enumerate(rows):
                refuse_longer(number)
                _mark(session, house, symposium, row, marked, listed)
            if others_absent:
                _mark_others(session, symposium, listed, marked)
            note(session, symposium, "attendance-imported", len(listed), actor, now)
            reminders.plan(session, house, symposium, now)  # who is thanked has changed
            if not keep:
                raise DryRun
    except DryRun:
        pass
    return marked


def _refuse_early(symposium: Symposium, now: datetime) -> None:
    today = now.astimezone(ZoneInfo(symposium.zone or "UTC")).date()
    is_today = symposium.precision is Precision.DATE and symposium.day == today
    if not (is_today or places.has_begun(symposium, now)):
        raise SymposiumRefusal(
            "This symposium has not begun, so nobody can have been there. Look at its date, or wait for it: "
            f"mailer symposium show {symposium.slug}"
        )


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
