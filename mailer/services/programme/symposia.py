"""Symposia: confirming, announcing, moving and calling off, each followed by the mail it owes."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Symposium
from mailer.services import audit
from mailer.services.house import House
from mailer.services.programme import reminders
from mailer.services.programme.dates import Moment, moment_of, set_moment
from mailer.services.sending.announce import Announcement, announce
from mailer.vocabulary import FieldSource, MailingKind, Precision, SkipReason, SymposiumState


class UnknownSymposium(Exception):
    """No symposium has this slug or number; the message says how to list them."""


class SymposiumRefusal(Exception):
    """The symposium is not in a state for this; the message says what to do first."""


def find(session: Session, reference: str) -> Symposium:
    """A symposium by its slug or its number."""
    wanted = Symposium.id == int(reference) if reference.isdecimal() else Symposium.slug == reference
    found = session.scalars(select(Symposium).where(wanted)).one_or_none()
    if found is None:
        raise UnknownSymposium(f'There is no symposium "{reference}". List them with: mailer symposium list')
    return found


def lock(session: Session, symposium: Symposium) -> None:
    """Hold the symposium until the commit: registering and moving must not pass each other unseen."""
    session.flush()
    session.refresh(symposium, with_for_update={"of": Symposium})


def confirm(
    session: Session,
    symposium: Symposium,
    *,
    actor: str,
    now: datetime,
    moment: Moment | None = None,
) -> None:
    """A person settles what was inferred: the date as it stands, or the given one instead."""
    settled = moment or moment_of(symposium)
    if symposium.state is not SymposiumState.DRAFT and settled != moment_of(symposium):
        raise SymposiumRefusal("This symposium is announced already. Move it with: mailer symposium move")
    set_moment(session, symposium, settled, now)
    fields = ("day", "month", "year", "time", "zone")
    inferred = [field for field in fields if symposium.sources.get(field) not in {None, FieldSource.EXPLICIT}]
    symposium.sources = {**symposium.sources, **dict.fromkeys(inferred, FieldSource.STAFF.value)}
    answered, symposium.questions = symposium.questions, []
    symposium.changed_at = now
    audit.record(
        session,
        actor=actor,
        action="symposium-confirmed",
        subject=f"symposium:{symposium.id}",
        now=now,
        detail={"answered": len(answered), "day": str(settled.day)},
    )


def announce_symposium(
    session: Session, house: House, symposium: Symposium, *, actor: str, now: datetime
) -> int:
    """Open a symposium for registration and plan its reminders; mails nobody. Returns reminders ahead."""
    if symposium.questions:
        raise SymposiumRefusal(
            f"A question about this symposium is open: {symposium.questions[0]} "
            f"Settle it with: mailer symposium confirm {symposium.slug}"
        )
    if symposium.state is SymposiumState.CANCELLED:
        raise SymposiumRefusal("This symposium was called off. A new one needs a line of its own.")
    if symposium.state is SymposiumState.DRAFT:
        symposium.state, symposium.changed_at = SymposiumState.ANNOUNCED, now
        audit.record(
            session, actor=actor, action="symposium-announced", subject=f"symposium:{symposium.id}", now=now
        )
    return reminders.plan(session, house, symposium, now)


def move(
    session: Session, house: House, symposium: Symposium, moment: Moment, *, actor: str, now: datetime
) -> Mailing | None:
    """Give an announced symposium another date: reminders follow it and attendees are told.

    Returns the change notice's mailing, or None when the date is what it was.
    """
    lock(session, symposium)
    if symposium.state is not SymposiumState.ANNOUNCED:
        raise SymposiumRefusal(f"This symposium is {symposium.state}; only an announced one can move.")
    told = symposium.generation
    if not set_moment(session, symposium, moment, now):
        return None
    symposium.sequence += 1
    for field in ("day", "month", "year", "time", "zone"):
        symposium.sources = {**symposium.sources, field: FieldSource.STAFF.value}
    reminders.drop(session, symposium, SkipReason.DATE_MOVED, now)
    audit.record(
        session,
        actor=actor,
        action="symposium-moved",
        subject=f"symposium:{symposium.id}",
        now=now,
        detail={"from": told, "to": symposium.generation},
    )
    reminders.plan(session, house, symposium, now)
    return _notice(session, house, symposium, MailingKind.CHANGE, {"told_generation": told}, now)


def call_off(
    session: Session, house: House, symposium: Symposium, *, reason: str | None, actor: str, now: datetime
) -> Mailing:
    """Call a symposium off: reminders stop, attendees get the notice and the calendar's CANCEL. Once."""
    if symposium.state is SymposiumState.DRAFT:
        raise SymposiumRefusal("This symposium was never announced, so there is nobody to tell.")
    if symposium.state is not SymposiumState.CANCELLED:
        symposium.state, symposium.changed_at = SymposiumState.CANCELLED, now
        symposium.sequence += 1
        reminders.drop(session, symposium, SkipReason.SYMPOSIUM_CANCELLED, now)
        audit.record(
            session, actor=actor, action="symposium-called-off", subject=f"symposium:{symposium.id}", now=now
        )
    facts: dict[str, object] = {"reason": reason} if reason else {}
    return _notice(session, house, symposium, MailingKind.CANCELLATION, facts, now)


def _notice(
    session: Session,
    house: House,
    symposium: Symposium,
    kind: MailingKind,
    facts: dict[str, object],
    now: datetime,
) -> Mailing:
    known = [moment for moment in (symposium.starts_at,) if moment is not None and moment > now]
    announcement = Announcement(
        key=f"symposium:{symposium.id}:{kind.value}:s{symposium.sequence}",
        kind=kind,
        symposium_id=symposium.id,
        generation=symposium.generation,
        expires_at=min([*known, now + timedelta(days=3)]) if known else None,
        facts=facts,
    )
    return announce(session, house, announcement, now)


def month_start(symposium: Symposium) -> str:
    """A short, sortable word for lists: 2024-09-27, 2024-12 or nothing."""
    if symposium.day is None:
        return ""
    exact = symposium.precision in {Precision.DATETIME, Precision.DATE}
    return symposium.day.isoformat() if exact else symposium.day.strftime("%Y-%m")
