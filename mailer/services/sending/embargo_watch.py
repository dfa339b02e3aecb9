"""The watch over embargoes: part of every sweep.

Whoever joins the list before the moment joins the alert; a changed text or a changed
clock holds the embargo for a person; and what is over is written down as published.
That nothing leaves early does not depend on it.
"""

from datetime import datetime, timedelta

from sqlalchemy import Select, exists, select, update
from sqlalchemy.orm import Session

from mailer.db import audience, digests
from mailer.db.audience import Slot
from mailer.db.digests import DigestItem
from mailer.db.embargoes import Embargo
from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Statement
from mailer.db.session import hint_after_commit
from mailer.messages.when import tzdata_version
from mailer.services import audit
from mailer.services.house import House
from mailer.services.incidents import close_all_but, raise_incident
from mailer.services.sending.embargo_fitness import why_hold
from mailer.services.sending.embargo_time import derive, in_words
from mailer.services.sending.gate import EmbargoGate
from mailer.vocabulary import (
    DeliveryState,
    EmbargoHold,
    MailingState,
    SkipReason,
    StatementState,
    SubscriptionState,
)
from mailer.wake import Task

ACTOR = "embargo"
JOIN_EVERY = timedelta(seconds=60)
JOINABLE = frozenset({MailingState.SCHEDULED, MailingState.SENDING, MailingState.DONE})
UNDONE = frozenset({SkipReason.UNCONFIRMED, SkipReason.UNSUBSCRIBED, SkipReason.SUPPRESSED})


def watch(house: House, now: datetime, gate: EmbargoGate) -> int:
    """Look at every embargo once; returns how many rows late readers brought."""
    with house.database.read() as session:
        if session.scalar(select(Embargo.statement_id).limit(1)) is None:
            return 0
        waiting = session.scalars(_to_be_joined(now)).all()
    added = 0
    for mailing_id in waiting:
        with house.database.write() as session:
            added += join_late(session, mailing_id, now)
    with house.database.write() as session:
        _look_at_all(session, now, gate)
    return added


# --- who joins


def _to_be_joined(now: datetime) -> Select[int]:
    """Each minute until the moment, and once after it."""
    return select(Mailing.id).where(
        Mailing.embargo_at.is_not(None),
        Mailing.state.in_(JOINABLE),
        (Mailing.expanded_at < now - JOIN_EVERY) | (Mailing.embargo_at <= now),
        Mailing.expanded_at < Mailing.embargo_at,
    )


def join_late(session: Session, mailing_id: int, now: datetime) -> int:
    """Add whoever has joined the topic since the expansion and before the embargo's end."""
    # A weaker lock than the claim's rival: mail goes on leaving meanwhile.
    mailing = session.scalars(
        select(Mailing).where(Mailing.id == mailing_id).with_for_update(key_share=True)
    ).one()
    if mailing.embargo_at is None or mailing.state not in JOINABLE:
        return 0
    slot = Slot(
        now=now,
        due_at=mailing.embargo_at,
        not_after=mailing.expires_at,
        dated=mailing.embargo_at,
    )
    known = exists().where(Delivery.mailing_id == mailing.id, Delivery.subscriber_id == Subscriber.id)
    digests.owe(session, mailing, now, joined_by=mailing.embargo_at)
    people = digests.readers_at_once(mailing, slot).where(
        Subscription.changed_at <= mailing.embargo_at, ~known
    )
    added = audience.expand(session, mailing, slot, people) + _back_in(session, mailing, slot)
    if added and mailing.state is MailingState.DONE:
        mailing.state, mailing.finished_at = MailingState.SENDING, None
    if added and mailing.embargo_at <= now:
        hint_after_commit(session, Task.SEND_DUE)
    return added


def _back_in(session: Session, mailing: Mailing, slot: Slot) -> int:
    """Readers who were left out at the expansion and have said yes before the embargo's end."""
    wants_it = exists().where(
        Subscription.subscriber_id == Delivery.subscriber_id,
        Subscription.topic_id == mailing.topic_id,
        Subscription.state == SubscriptionState.CONFIRMED,
        Subscription.changed_at <= mailing.embargo_at,
        Subscriber.id == Subscription.subscriber_id,
        Subscriber.suppressed.is_(None),
    )
    told_by_digest = exists().where(
        DigestItem.subscriber_id == Delivery.subscriber_id, DigestItem.statement_id == mailing.statement_id
    )
    back = session.execute(
        update(Delivery)
        .where(
            Delivery.mailing_id == mailing.id,
            Delivery.state == DeliveryState.SKIPPED,
            Delivery.reason.in_([reason.value for reason in UNDONE]),
            Delivery.attempts == 0,
            wants_it,
            ~told_by_digest,
        )
        .values(state=DeliveryState.PENDING, reason=None, settled_at=None, due_at=slot.due_at)
        .execution_options(synchronize_session=False)
    )
    return int(back.rowcount)  # type: ignore[attr-defined]


# --- what holds one, and what is over


def _look_at_all(session: Session, now: datetime, gate: EmbargoGate) -> None:
    rows = session.execute(
        select(Statement, Embargo)
        .join(Embargo, Embargo.statement_id == Statement.id)
        .where(Statement.state == StatementState.SCHEDULED)
        .with_for_update()
    ).all()
    standing = []
    opened = gate.opened(session, now)
    for statement, embargo in rows:
        embargo.held = embargo.held or why_hold(session, statement, embargo)
        if embargo.held is None:
            embargo.tzdata = tzdata_version()
        if embargo.held is not None:
            key = f"embargo-held:{statement.id}"
            raise_incident(session, key, _words(statement, embargo), now)
            standing.append(key)
        elif statement.id in opened:
            _write_down(session, statement, embargo, now)
    close_all_but(session, "embargo-held:", standing, now)


def _write_down(session: Session, statement: Statement, embargo: Embargo, now: datetime) -> None:
    """The page has been open since the moment; from now on the row says so by itself."""
    statement.state, statement.published_at = StatementState.PUBLISHED, embargo.opens_at
    subject = f"statement:{statement.id}"
    audit.record(session, actor=ACTOR, action="statement-published", subject=subject, now=now)


def _words(statement: Statement, embargo: Embargo) -> str:
    """By number: the slug of a statement under embargo says too much."""
    until = in_words(embargo.opens_at, embargo.zone)
    head = f"The embargo of statement {statement.id} (until {until}) does not open by itself: "
    match embargo.held:
        case EmbargoHold.EDITED:
            return (
                f"{head}the text was changed after it was approved. Read it again, then: "
                f"mailer statement approve {statement.id}"
            )
        case EmbargoHold.TZDATA:
            new = derive(embargo.day, embargo.wall_time, embargo.zone, later=embargo.later)
            return (
                f"{head}the clocks of {embargo.zone} were changed by a newer time zone database, and its "
                f"wall time is {in_words(new, embargo.zone)} now. Choose with: "
                f"mailer statement move-embargo {statement.id}"
            )
        case _:
            return (
                f"{head}somebody asked to move or drop it. Decide with: mailer statement approve "
                f"{statement.id}, or mailer statement refuse {statement.id}"
            )
