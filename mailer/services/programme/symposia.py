"""Symposia: confirming, announcing, moving and calling off, each followed by the mail it owes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Symposium
from mailer.messages import when
from mailer.services import audit
from mailer.services.house import House
from mailer.services.incidents import close_incident
from mailer.services.programme import facts, notices, reminders
from mailer.services.programme.dates import Moment, mark_announced, moment_of, set_moment
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.outlook import event_of
from mailer.vocabulary import EndSource, FieldSource, MailingKind, Precision, SkipReason, SymposiumState


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
        mark_announced(session, symposium)
        audit.record(
            session, actor=actor, action="symposium-announced", subject=f"symposium:{symposium.id}", now=now
        )
    return reminders.plan(session, house, symposium, now)


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What staff set anew about a symposium; None leaves it as it is. `minutes` is its announced length."""

    moment: Moment | None = None
    title: str | None = None
    place: str | None = None
    minutes: int | None = None
    online: bool | None = None


def move(
    session: Session, house: House, symposium: Symposium, moment: Moment, *, actor: str, now: datetime
) -> Mailing | None:
    """Give an announced symposium another date: reminders follow it and attendees are told.

    Returns the change notice's mailing, or None when the date is what it was.
    """
    lock(session, symposium)
    if symposium.state is not SymposiumState.ANNOUNCED:
        raise SymposiumRefusal(f"This symposium is {symposium.state}; only an announced one can move.")
    return edit(session, house, symposium, Edit(moment=moment), actor=actor, now=now)


def edit(
    session: Session, house: House, symposium: Symposium, new: Edit, *, actor: str, now: datetime
) -> Mailing | None:
    """Set facts of a symposium anew; attendees of an announced one are told, once for all that is saved
    within half an hour. Returns that notice, or None when there is nothing to tell.

    Raises SymposiumRefusal for a date that is past, and for a symposium that was called off.
    """
    lock(session, symposium)
    if symposium.state is SymposiumState.CANCELLED:
        raise SymposiumRefusal("This symposium was called off; its attendees were told that it will not be.")
    starts_at = new.moment.starts_at if new.moment else None
    if symposium.state is SymposiumState.ANNOUNCED and starts_at is not None and starts_at <= now:
        raise SymposiumRefusal("That date is past already. Look at its day, its hour and its zone.")
    return _set(session, house, symposium, new, actor=actor, now=now)


def _set(
    session: Session, house: House, symposium: Symposium, new: Edit, *, actor: str, now: datetime
) -> Mailing | None:
    told, before = facts.stamp(session, symposium, now), facts.facts_of(symposium)
    _apply(session, symposium, new, now)
    return follow(session, house, symposium, before=before, told=told, actor=actor, now=now)


def follow(
    session: Session,
    house: House,
    symposium: Symposium,
    *,
    before: facts.KeyFacts,
    told: int,
    actor: str,
    now: datetime,
) -> Mailing | None:
    """See to what a change of the facts owes: the calendar's number, the reminders, the notice.

    `before` are the facts as they stood and `told` their number. Returns the notice, or None when there is
    nothing to tell. The row must be held.
    """
    after = facts.facts_of(symposium)
    if after == before:
        return None
    if after.differs_in(before, facts.CALENDAR):
        symposium.sequence += 1
    symposium.changed_at = now
    facts.stamp(session, symposium, now)
    changed = [field for field in facts.FIELDS if getattr(before, field) != getattr(after, field)]
    audit.record(
        session,
        actor=actor,
        action="symposium-moved" if before.differs_in(after, ("starts_at", "day")) else "symposium-edited",
        subject=f"symposium:{symposium.id}",
        now=now,
        detail={"changed": changed, "from": told, "to": symposium.facts_version},
    )
    if symposium.state is not SymposiumState.ANNOUNCED:
        return None
    reminders.plan(session, house, symposium, now)
    if is_over(symposium, now):
        return None  # nobody could still come to it
    return notices.tell(session, house, symposium, before=before, after=after, told=told, now=now)


def is_over(symposium: Symposium, now: datetime) -> bool:
    """True once its end is past, or the day of one whose hour is not known."""
    over_at = event_of(symposium).over_at
    return over_at is not None and over_at <= now


def _apply(session: Session, symposium: Symposium, new: Edit, now: datetime) -> None:
    sources = dict(symposium.sources)
    if new.moment is not None:
        set_moment(session, symposium, new.moment, now)
        sources |= dict.fromkeys(("day", "month", "year", "time", "zone"), FieldSource.STAFF.value)
    if new.title is not None:
        symposium.title = new.title
    if new.place is not None:
        symposium.place = new.place or None
    if new.minutes is not None:
        symposium.minutes, symposium.end_source = new.minutes, EndSource.ANNOUNCED
    if new.online is not None:
        symposium.online = new.online
    named = {name for name in ("title", "place", "minutes", "online") if getattr(new, name) is not None}
    symposium.sources = sources | dict.fromkeys(named, FieldSource.STAFF.value)


def rederive_all(session: Session, house: House, now: datetime) -> int:
    """Derive the instants of coming symposia anew where the time zone database is another than it was.

    The wall time is the truth: where its instant moved, calendars and attendees are told. Returns how many
    moved.
    """
    moved = 0
    for number in reminders.outdated(session, now):
        symposium = session.get_one(Symposium, number)
        lock(session, symposium)
        # Not as staff edit: an instant that turns out to be past already is told all the same.
        if _set(session, house, symposium, Edit(moment=moment_of(symposium)), actor="tzdata", now=now):
            moved += 1
        symposium.tzdata = when.tzdata_version()
        reminders.plan(session, house, symposium, now)  # a rule's own wall time may have moved too
    return moved


def call_off(
    session: Session, house: House, symposium: Symposium, *, reason: str | None, actor: str, now: datetime
) -> Mailing:
    """Call a symposium off: reminders stop, attendees get the notice and the calendar's CANCEL. Once."""
    if symposium.state is SymposiumState.DRAFT:
        raise SymposiumRefusal("This symposium was never announced, so there is nobody to tell.")
    lock(session, symposium)
    if symposium.state is not SymposiumState.CANCELLED:
        if is_over(symposium, now):
            raise SymposiumRefusal("This symposium is over, so there is nothing left to call off.")
        symposium.state, symposium.changed_at = SymposiumState.CANCELLED, now
        symposium.sequence += 1
        reminders.drop(session, symposium, SkipReason.SYMPOSIUM_CANCELLED, now)
        audit.record(
            session, actor=actor, action="symposium-called-off", subject=f"symposium:{symposium.id}", now=now
        )
    return _cancellation(session, house, symposium, reason, now)


def _cancellation(
    session: Session, house: House, symposium: Symposium, reason: str | None, now: datetime
) -> Mailing:
    known = [moment for moment in (symposium.starts_at,) if moment is not None and moment > now]
    announcement = Announcement(
        key=f"symposium:{symposium.id}:cancellation:s{symposium.sequence}",
        kind=MailingKind.CANCELLATION,
        symposium_id=symposium.id,
        generation=symposium.generation,
        expires_at=min([*known, now + timedelta(days=3)]) if known else None,
        facts={"reason": reason} if reason else {},
    )
    return announce(session, house, announcement, now)


def approve_follow_up(
    session: Session,
    house: House,
    symposium: Symposium,
    *,
    recording_url: str | None,
    actor: str,
    now: datetime,
) -> int:
    """Let the follow-up go, with the recording or without one; returns how many mailings that makes.

    It leaves after the end, or at once when that is over, and only while the recording answers. What has
    left is not sent again. Approved once more it reaches whom it was too late for.
    """
    lock(session, symposium)
    if symposium.state is not SymposiumState.ANNOUNCED:
        raise SymposiumRefusal(
            f"This symposium is {symposium.state}; only one that took place has a follow-up."
        )
    if symposium.starts_at is None:
        raise SymposiumRefusal("This symposium has no hour yet, so nothing can follow it.")
    symposium.recording_url = recording_url
    symposium.recording_seen_at, symposium.recording_trouble = None, None
    symposium.recording_next_at = now if recording_url else None  # services/programme/recordings.py asks it
    close_incident(session, f"recording:{symposium.id}", now)
    symposium.follow_up_at = now  # once more: who was noted too late for it gets it now
    symposium.changed_at = now
    audit.record(
        session, actor=actor, action="follow-up-approved", subject=f"symposium:{symposium.id}", now=now
    )
    return reminders.plan(session, house, symposium, now)


def release_follow_up(
    session: Session, house: House, symposium: Symposium, *, actor: str, now: datetime
) -> None:
    """Let a follow-up go although its recording does not answer to us: a person has looked at it."""
    lock(session, symposium)
    if symposium.follow_up_at is None or symposium.recording_url is None:
        raise SymposiumRefusal(
            "There is no follow-up with a recording to release. Approve it first: mailer symposium follow-up "
            f"{symposium.slug} --recording URL"
        )
    symposium.recording_seen_at, symposium.recording_next_at, symposium.recording_trouble = now, None, None
    symposium.changed_at = now
    close_incident(session, f"recording:{symposium.id}", now)
    audit.record(
        session, actor=actor, action="follow-up-released", subject=f"symposium:{symposium.id}", now=now
    )
    reminders.plan(session, house, symposium, now)


def month_start(symposium: Symposium) -> str:
    """A short, sortable word for lists: 2024-09-27, 2024-12 or nothing."""
    if symposium.day is None:
        return ""
    exact = symposium.precision in {Precision.DATETIME, Precision.DATE}
    return symposium.day.isoformat() if exact else symposium.day.strftime("%Y-%m")
