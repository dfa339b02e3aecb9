"""Preview: what a change of a symposium would send and cancel, found by making it and taking it back."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import Registration, ReminderRule, Symposium, SymposiumVersion
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.services.sending.expand import expand_mailing
from mailer.services.sending.traits import BY_RULE, NOTICES
from mailer.vocabulary import DeliveryState, MailingKind, MailingState


@dataclass(frozen=True, kw_only=True)
class ToldBefore:
    """So many attendees know these facts; None: nobody knows what they were told."""

    count: int
    facts: SymposiumVersion | None


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What would happen. `notice`: what would be told, to `told`, at `leaves_at`."""

    notice: MailingKind | None
    leaves_at: datetime | None
    told: tuple[ToldBefore, ...]
    cancelled: tuple[tuple[str, int], ...]  # the rule's key, and how many rows
    planned: tuple[tuple[str, datetime, int], ...]  # the rule's key, its new due time, and how many rows

    @property
    def people(self) -> int:
        return sum(one.count for one in self.told)


class _TakeBack(Exception):
    """Rolls the change back."""


def preview(
    house: House, reference: str, change: Callable[[Session, Symposium], object], now: datetime
) -> Preview:
    """Make the change, look at what it did, and take it back. Nothing stays, nobody is told, no hint goes."""
    found: list[Preview] = []
    try:
        with house.database.write() as session:
            symposium = symposia.find(session, reference)
            change(session, symposium)
            session.flush()
            found.append(_look(session, symposium, now))
            session.expunge_all()
            raise _TakeBack
    except _TakeBack:
        return found[0]


def _look(session: Session, symposium: Symposium, now: datetime) -> Preview:
    speaks = session.scalars(
        select(Mailing)
        .where(
            Mailing.symposium_id == symposium.id,
            Mailing.kind.in_([*NOTICES, MailingKind.CANCELLATION]),
            Mailing.state.in_([MailingState.EXPANDING, MailingState.SCHEDULED, MailingState.SENDING]),
        )
        .order_by(Mailing.id.desc())
    ).first()
    if speaks is not None and speaks.state is MailingState.EXPANDING:
        expand_mailing(session, speaks.id, now)
    told = _told(session, symposium, speaks) if speaks is not None else ()
    return Preview(
        notice=speaks.kind if speaks is not None and told else None,
        leaves_at=max(speaks.due_at, now) if speaks is not None and told else None,
        told=told,
        cancelled=_cancelled(session, symposium, now),
        planned=_planned(session, symposium),
    )


def _told(session: Session, symposium: Symposium, speaks: Mailing) -> tuple[ToldBefore, ...]:
    version = Registration.told_version
    differs = or_(version.is_(None), version != symposium.facts_version)
    rows = session.execute(
        select(version, func.count())
        .select_from(Delivery)
        .join(Registration, Registration.id == Delivery.registration_id)
        .where(Delivery.mailing_id == speaks.id, Delivery.state.in_(WAITING))
        .where(*([] if speaks.kind is MailingKind.CANCELLATION else [differs]))
        .group_by(version)
        .order_by(func.count().desc())
    ).all()
    known = {
        one.version: one
        for one in session.scalars(
            select(SymposiumVersion).where(SymposiumVersion.symposium_id == symposium.id)
        )
    }
    return tuple(ToldBefore(count=count, facts=known.get(number or 0)) for number, count in rows)


def _cancelled(session: Session, symposium: Symposium, now: datetime) -> tuple[tuple[str, int], ...]:
    rows = session.execute(
        select(ReminderRule.key, func.count())
        .select_from(Delivery)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .join(ReminderRule, ReminderRule.id == Mailing.rule_id)
        .where(
            Mailing.symposium_id == symposium.id,
            Mailing.kind.in_(BY_RULE),
            Delivery.state == DeliveryState.CANCELLED,
            Delivery.settled_at == now,
        )
        .group_by(ReminderRule.key)
        .order_by(ReminderRule.key)
    ).all()
    return tuple((key, count) for key, count in rows)


def _planned(session: Session, symposium: Symposium) -> tuple[tuple[str, datetime, int], ...]:
    rows = session.execute(
        select(ReminderRule.key, Delivery.due_at, func.count())
        .select_from(Delivery)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .join(ReminderRule, ReminderRule.id == Mailing.rule_id)
        .where(
            Mailing.symposium_id == symposium.id,
            Mailing.generation == symposium.generation,
            Mailing.kind.in_(BY_RULE),
            Delivery.state.in_(WAITING),
        )
        .group_by(ReminderRule.key, Delivery.due_at)
        .order_by(Delivery.due_at)
    ).all()
    return tuple((key, due_at, count) for key, due_at, count in rows)
