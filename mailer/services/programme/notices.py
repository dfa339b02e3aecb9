"""Notices: attendees are told what has changed, once for all that staff saved in one go.

The mailing only says that something may have changed. What a person is told, if anything, is
the difference between the facts of their last mail and the live ones, read at the claim.
"""

from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from mailer.db import audience
from mailer.db.audience import Slot
from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import Symposium
from mailer.services.house import House
from mailer.services.programme.facts import KeyFacts
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.expand import expand_mailing
from mailer.services.sending.notice import notice_kind
from mailer.services.sending.outlook import event_of
from mailer.services.sending.traits import NOTICES
from mailer.vocabulary import DeliveryState, MailingState, SkipReason

LIFETIME = timedelta(days=3)


def tell(
    session: Session,
    house: House,
    symposium: Symposium,
    *,
    before: KeyFacts,
    after: KeyFacts,
    told: int,
    now: datetime,
) -> Mailing:
    """See to it that attendees hear of a change; `told` numbers the facts as they were before it."""
    waiting = _waiting(session, symposium, now)
    due_at = _due_at(house, waiting, before, after, now)
    expires_at = _expires_at(symposium, due_at)
    _overtake(session, symposium, waiting, now)
    if waiting is None:
        waiting = announce(
            session, house, _announcement(session, symposium, before, after, told, due_at), now
        )
        waiting.expires_at = expires_at
        expand_mailing(session, waiting.id, now)
        return waiting
    waiting.due_at, waiting.expires_at = due_at, expires_at
    waiting.opens_at = min(waiting.opens_at, due_at)  # announced by a clock that was ahead, and is set back
    waiting.kind = notice_kind(before.precision, after.precision)
    slot = Slot(now=now, due_at=due_at, not_after=expires_at)
    audience.expand(session, waiting, slot, audience.attendees(waiting, slot))  # who came since the last save
    audience.retime(session, waiting, slot)
    if due_at <= now:
        waiting.state = MailingState.SENDING
    return waiting


def _waiting(session: Session, symposium: Symposium, now: datetime) -> Mailing | None:
    """The notice that has not begun to leave."""
    return session.scalars(
        select(Mailing)
        .where(
            Mailing.symposium_id == symposium.id,
            Mailing.kind.in_(NOTICES),
            Mailing.state.in_([MailingState.SCHEDULED, MailingState.EXPANDING]),
            Mailing.due_at > now,
        )
        .with_for_update()
    ).first()


def _due_at(
    house: House, waiting: Mailing | None, before: KeyFacts, after: KeyFacts, now: datetime
) -> datetime:
    """A pause after the last save, a longer one after the first at most; at once where the start is near."""
    chosen = house.settings
    near = timedelta(hours=chosen.notice_near_hours)
    known = [one for one in (before.starts_at, after.starts_at) if one is not None]
    starts = [one for one in known if one > now]
    if (starts and min(starts) - now <= near) or _has_begun(after, now):
        return now
    pause, patience = (timedelta(minutes=one) for one in (chosen.notice_pause, chosen.notice_patience))
    return min(now + pause, (waiting.created_at if waiting else now) + patience)


def _has_begun(facts: KeyFacts, now: datetime) -> bool:
    return facts.starts_at is not None and facts.starts_at <= now


def _expires_at(symposium: Symposium, due_at: datetime) -> datetime:
    """The start; while it runs, its end."""
    event = event_of(symposium)
    ends = [one for one in (event.starts_at, event.over_at) if one is not None and one > due_at]
    return min([due_at + LIFETIME, *ends])


def _announcement(
    session: Session,
    symposium: Symposium,
    before: KeyFacts,
    after: KeyFacts,
    told: int,
    due_at: datetime,
) -> Announcement:
    earlier = select(func.count()).where(Mailing.symposium_id == symposium.id, Mailing.kind.in_(NOTICES))
    number = (session.scalar(earlier) or 0) + 1
    return Announcement(
        key=f"symposium:{symposium.id}:change:{number}",
        kind=notice_kind(before.precision, after.precision),
        symposium_id=symposium.id,
        generation=symposium.generation,
        due_at=due_at,
        facts={"told": told},
    )


def _overtake(session: Session, symposium: Symposium, waiting: Mailing | None, now: datetime) -> None:
    """What still waits of earlier notices is told by this one."""
    earlier = select(Mailing.id).where(
        Mailing.symposium_id == symposium.id,
        Mailing.kind.in_(NOTICES),
        Mailing.id != (waiting.id if waiting else 0),
    )
    session.execute(
        update(Delivery)
        .where(Delivery.state.in_(WAITING), Delivery.mailing_id.in_(earlier))
        .values(state=DeliveryState.CANCELLED, reason=SkipReason.SUPERSEDED.value, settled_at=now)
        .execution_options(synchronize_session=False)
    )
