"""Attendance: who was there, as a list says; never what the use of a link says. A dry run keeps nothing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Registration, Symposium
from mailer.ingest.people import Person, Reject
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import places, reminders
from mailer.services.programme.symposia import SymposiumRefusal, find, lock
from mailer.services.registration.following import following
from mailer.services.registration.roll import note, whole
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
    follow_ups: tuple[str, ...] = ()  # who is thanked or missed by mail for it, and who not, in sentences


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
    listed, marked = whole(rows), Marked()
    with house.database.read() as session:
        symposium = find(session, slug)
        _refuse_early(symposium, now)
        said = _said(session, house, symposium, listed, marked)
    with house.database.write() if keep else house.database.read() as session:
        symposium = find(session, slug)
        if keep:
            lock(session, symposium)
        changed: dict[int, Attendance] = {}
        for registration in _with_places(session, symposium):
            word = said.get(registration.id, Attendance.ABSENT if others_absent else None)
            if word is not None and _set(registration, word, marked, keep=keep):
                changed[registration.id] = word
        marked.follow_ups = tuple(following(session, symposium, changed, now))
        if keep:
            note(session, symposium, "attendance-imported", len(said), actor, now)
            reminders.plan(session, house, symposium, now)  # who is thanked has changed
    return marked


def _refuse_early(symposium: Symposium, now: datetime) -> None:
    today = now.astimezone(ZoneInfo(symposium.zone or "UTC")).date()
    is_today = symposium.precision is Precision.DATE and symposium.day == today
    if not (is_today or places.has_begun(symposium, now)):
        raise SymposiumRefusal(
            "This symposium has not begun, so nobody can have been there. Look at its date, or wait for it: "
            f"mailer symposium show {symposium.slug}"
        )


def _said(
    session: Session, house: House, symposium: Symposium, rows: Iterable[Person | Reject], marked: Marked
) -> dict[int, Attendance]:
    """What the list says, by registration; who has no place, and what cannot be read, is counted."""
    by_person = {one.subscriber_id: one.id for one in _with_places(session, symposium)}
    said: dict[int, Attendance] = {}
    for row in rows:
        if isinstance(row, Reject):
            marked.refused.append((row.line, row.sentence))
            continue
        word = row.others.get("attended", "").strip().casefold()
        if word and word not in WORDS_OF:
            sentence = "The column attended says neither attended, absent nor unknown."
            marked.refused.append((row.line, sentence))
            continue
        person = people.find(session, house, row.address)
        if person is None or person.id not in by_person:
            marked.strangers += 1
        else:
            said[by_person[person.id]] = WORDS_OF[word] if word else Attendance.ATTENDED
    return said


def _with_places(session: Session, symposium: Symposium) -> Sequence[Registration]:
    return session.scalars(
        select(Registration).where(
            Registration.symposium_id == symposium.id, Registration.state == RegistrationState.CONFIRMED
        )
    ).all()


def _set(registration: Registration, said: Attendance, marked: Marked, *, keep: bool) -> bool:
    if registration.attendance is said:
        marked.unchanged += 1
        return False
    if keep:
        registration.attendance = said
    setattr(marked, said.value, getattr(marked, said.value) + 1)
    return True
