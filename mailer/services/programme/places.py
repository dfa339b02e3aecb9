"""Places: who has one, who waits for one, who gives one back and who moves up.

Every function works under the symposium's lock (`symposia.lock`), so that two who come
at once are counted one after the other and there is never one too many.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.services.house import House
from mailer.services.programme import reminders
from mailer.services.programme.dates import is_day_over
from mailer.services.programme.symposia import lock
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.attendees import helps_until
from mailer.services.sending.invitation import has_day
from mailer.services.sending.told import ENDS_THE_ENTRY
from mailer.services.sending.traits import TRAITS
from mailer.vocabulary import DeliveryState, MailingKind, RegistrationState, SymposiumState

INVITING = frozenset(kind for kind, traits in TRAITS.items() if traits.calendar) - ENDS_THE_ENTRY


def count(session: Session, symposium: Symposium, state: RegistrationState) -> int:
    """How many registrations of the symposium are in this state."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Registration)
            .where(Registration.symposium_id == symposium.id, Registration.state == state)
        )
        or 0
    )


def free(session: Session, symposium: Symposium) -> int | None:
    """Places that nobody has, 0 when more have one than there are now; None without a limit."""
    if symposium.capacity is None:
        return None
    return max(0, symposium.capacity - count(session, symposium, RegistrationState.CONFIRMED))


def has_begun(symposium: Symposium, now: datetime) -> bool:
    """True once its start is past; one without an hour may begin until its day is over."""
    return is_day_over(symposium, now) if symposium.starts_at is None else symposium.starts_at <= now


def takes(session: Session, symposium: Symposium, now: datetime) -> bool:
    """True while whoever comes gets a place, or may wait for one."""
    return may_wait(symposium, now) or free(session, symposium) != 0


def may_wait(symposium: Symposium, now: datetime) -> bool:
    """True while its waiting list takes people: not once it has begun, since nobody moves up any more."""
    return symposium.waiting_list and not has_begun(symposium, now)


def holds(registration: Registration, now: datetime) -> bool:
    """True for who has a place, or waits for one; once it has begun nobody waits, and who comes again may
    take what is free."""
    if registration.state is RegistrationState.WAITING:
        return not has_begun(registration.symposium, now)
    return registration.state is RegistrationState.CONFIRMED


def seat(
    session: Session,
    house: House,
    symposium: Symposium,
    registration: Registration,
    now: datetime,
    *,
    mail: bool = True,
) -> bool:
    """Give a place, or one on the waiting list behind those who wait; False when there is neither.

    `mail`: the attendee is told of it. Who comes back after a withdrawal raises their calendar's number.
    """
    move_up(session, house, symposium, now)
    if not takes(session, symposium, now):
        return False
    room = free(session, symposium)
    if registration.sequence_bump % 2:
        registration.sequence_bump += 1  # even again: they are here
    if room == 0:
        registration.state, registration.registered_at = RegistrationState.WAITING, now
        session.flush()
        if mail:
            _tell(session, house, symposium, registration, MailingKind.WAITING_LIST, "waiting", now)
        return True
    _confirm(session, house, symposium, registration, now, mail=mail)
    return True


def _confirm(
    session: Session,
    house: House,
    symposium: Symposium,
    registration: Registration,
    now: datetime,
    *,
    mail: bool,
    promoted: bool = False,
) -> None:
    registration.state, registration.registered_at = RegistrationState.CONFIRMED, now
    session.flush()
    came_back = registration.sequence_bump > 0
    reminders.join(session, symposium, registration.id, now, came_back=came_back)
    if mail:
        facts: dict[str, object] = {"promoted": True} if promoted else {}
        kind = MailingKind.REGISTRATION_CONFIRMATION
        _tell(session, house, symposium, registration, kind, "confirmation", now, facts)


def give_back(
    session: Session,
    house: House,
    symposium: Symposium,
    registration: Registration,
    now: datetime,
    *,
    mail: bool = True,
) -> None:
    """Withdraw a registration: its place goes to whoever waits longest, in this same transaction.

    The calendar's CANCEL goes to this person alone, and only when an invitation may have reached them.
    """
    before = registration.state
    if before is RegistrationState.WITHDRAWN:
        return
    if not has_left(registration):
        registration.sequence_bump += 1
    registration.state, registration.registered_at = RegistrationState.WITHDRAWN, now
    session.flush()
    reminders.leave(session, symposium, registration.id, now)
    if mail and before is not RegistrationState.PENDING:
        facts: dict[str, object] = {"invited": _was_invited(session, symposium, registration)}
        _tell(session, house, symposium, registration, MailingKind.WITHDRAWAL, "withdrawal", now, facts)
    move_up(session, house, symposium, now)


def has_left(registration: Registration) -> bool:
    """True for who withdrew and has not come back since, whatever a form has asked for in their name.

    A form makes a withdrawn registration pending; that it was withdrawn still shows in its odd number.
    """
    if registration.state is RegistrationState.PENDING:
        return registration.sequence_bump % 2 == 1
    return registration.state is RegistrationState.WITHDRAWN


def _was_invited(session: Session, symposium: Symposium, registration: Registration) -> bool:
    """Whether their calendar may hold it: by a mail that was taken, or by one that is leaving just now."""
    if registration.invited or not has_day(symposium):
        return registration.invited
    leaving = session.scalar(
        select(Delivery.id)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            Delivery.subscriber_id == registration.subscriber_id,
            Delivery.registration_id == registration.id,
            Delivery.state == DeliveryState.CLAIMED,
            Mailing.kind.in_(INVITING),
        )
        .limit(1)
    )
    if leaving is not None:
        return True
    # Read anew and last: a mail that was taken between the two looks is seen here.
    return bool(session.scalar(select(Registration.invited).where(Registration.id == registration.id)))


def _whose_turn_comes(symposium: Symposium) -> tuple[ColumnElement[bool], ...]:
    return (
        Registration.symposium_id == symposium.id,
        Registration.state == RegistrationState.WAITING,
        Subscriber.suppressed.is_(None),
    )


def queue(session: Session, symposium: Symposium) -> int:
    """How many wait whose turn would come: those who can be told."""
    waiting = select(func.count(Registration.id)).join(
        Subscriber, Subscriber.id == Registration.subscriber_id
    )
    return session.scalar(waiting.where(*_whose_turn_comes(symposium))) or 0


def move_up(session: Session, house: House, symposium: Symposium, now: datetime) -> int:
    """Give free places to those who wait, the longest waiting first; returns how many. None after the start.

    Who cannot be mailed keeps their place in the queue and is passed over: nobody could tell them.
    """
    if symposium.state is not SymposiumState.ANNOUNCED or has_begun(symposium, now):
        return 0
    room = free(session, symposium)
    if room == 0:
        return 0
    next_ones = session.scalars(
        select(Registration)
        .join(Subscriber, Subscriber.id == Registration.subscriber_id)
        .where(*_whose_turn_comes(symposium))
        .order_by(Registration.registered_at, Registration.id)
        .limit(room)
    ).all()
    for registration in next_ones:
        _confirm(session, house, symposium, registration, now, mail=True, promoted=True)
    return len(next_ones)


def move_up_everywhere(house: House, now: datetime) -> int:
    """What a lost moment left undone: each symposium in whose queue somebody waits is looked at once."""
    with house.database.read() as session:
        waited_for = session.scalars(
            select(Registration.symposium_id)
            .where(Registration.state == RegistrationState.WAITING)
            .distinct()
            .order_by(Registration.symposium_id)
        ).all()
    moved = 0
    for symposium_id in waited_for:
        with house.database.write() as session:
            symposium = session.get_one(Symposium, symposium_id)
            lock(session, symposium)
            moved += move_up(session, house, symposium, now)
    return moved


def _tell(
    session: Session,
    house: House,
    symposium: Symposium,
    registration: Registration,
    kind: MailingKind,
    word: str,
    now: datetime,
    facts: dict[str, object] | None = None,
) -> None:
    # One mail per coming and going: the number in the key rises with each, and announcing twice is once.
    announcement = Announcement(
        key=f"registration:{registration.id}:{word}:{registration.sequence_bump}",
        kind=kind,
        symposium_id=registration.symposium_id,
        registration_id=registration.id,
        expires_at=None if kind is MailingKind.WITHDRAWAL else last_call([symposium], kind, now),
        facts=facts or {},
    )
    announce(session, house, announcement, now)


def last_call(symposia: Iterable[Symposium], kind: MailingKind, now: datetime) -> datetime:
    """Until when a mail that helps to take part in one of these may leave."""
    ends = [helps_until(kind, one) for one in symposia]
    known = [end for end in ends if end is not None]
    lifetime = now + TRAITS[kind].lifetime
    return min(lifetime, max(known)) if len(known) == len(ends) else lifetime
