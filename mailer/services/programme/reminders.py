"""Reminders: each rule becomes one mailing per date of a symposium, announced ahead of its time.

A rule whose time is past when it is first seen is never sent: nothing bursts out
because somebody edited a date or a machine was off. Days are civil (the same
clock time), hours and minutes are real time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import ReminderRule, Symposium
from mailer.messages import when
from mailer.services.house import House
from mailer.services.programme.dates import moment_of
from mailer.services.sending.announce import Announcement, announce
from mailer.services.sending.expand import expand_mailing
from mailer.vocabulary import DeliveryState, MailingKind, MailingState, SkipReason, SymposiumState

GRACE = timedelta(hours=6)  # the most a reminder may be late


@dataclass(frozen=True, kw_only=True)
class Planned:
    """When one rule's reminder falls due and until when it still helps (UTC)."""

    rule: ReminderRule
    due_at: datetime
    not_after: datetime


def rules_for(session: Session, symposium: Symposium) -> list[ReminderRule]:
    """The symposium's own rules, or the organisation's default ones when it has none."""
    for owner in (ReminderRule.symposium_id == symposium.id, ReminderRule.symposium_id.is_(None)):
        rules = list(session.scalars(select(ReminderRule).where(owner, ReminderRule.enabled.is_(True))))
        if rules:
            return rules
    return []


def planned(symposium: Symposium, rule: ReminderRule) -> Planned | None:
    """When the rule falls due for the symposium's date; None while its hour is not known."""
    moment = moment_of(symposium)
    starts_at = moment.starts_at
    if starts_at is None or moment.day is None or moment.wall_time is None or moment.zone is None:
        return None
    civil = when.minus_days(moment.day, moment.wall_time, moment.zone, rule.days)
    due_at = civil - timedelta(minutes=rule.minutes)
    lateness = min((starts_at - due_at) / 2, GRACE)
    return Planned(rule=rule, due_at=due_at, not_after=min(starts_at, due_at + lateness))


def plan(session: Session, house: House, symposium: Symposium, now: datetime) -> int:
    """Announce the reminders of a symposium's present date; returns how many are ahead.

    Repeating it adds nothing. A symposium with an open question has none.
    """
    if symposium.state is not SymposiumState.ANNOUNCED or symposium.questions:
        return 0
    ahead = 0
    for rule in rules_for(session, symposium):
        one = planned(symposium, rule)
        if one is None or one.not_after <= now:
            continue
        mailing = announce(session, house, _announcement(symposium, one), now)
        if mailing.state is not MailingState.EXPANDING:  # back on an earlier date: who came since joins too
            _revive(session, mailing)
            expand_mailing(session, mailing.id, now)
        ahead += 1
    return ahead


def _announcement(symposium: Symposium, one: Planned) -> Announcement:
    return Announcement(
        key=f"symposium:{symposium.id}:reminder:{one.rule.key}:r{symposium.generation}",
        kind=MailingKind.REMINDER,
        symposium_id=symposium.id,
        rule_id=one.rule.id,
        generation=symposium.generation,
        due_at=one.due_at,
        expires_at=one.not_after,
    )


def _revive(session: Session, mailing: Mailing) -> None:
    """Take back the rows that a move had cancelled, now that the symposium is on its old date again."""
    revived = session.execute(
        update(Delivery)
        .where(
            Delivery.mailing_id == mailing.id,
            Delivery.state == DeliveryState.CANCELLED,
            Delivery.reason == SkipReason.DATE_MOVED.value,
        )
        .values(state=DeliveryState.PENDING, reason=None, settled_at=None)
        .execution_options(synchronize_session=False)
    )
    if revived.rowcount and mailing.state is MailingState.DONE:  # type: ignore[attr-defined]
        mailing.state, mailing.finished_at = MailingState.SENDING, None


def join(session: Session, symposium: Symposium, registration_id: int, now: datetime) -> None:
    """Give a new attendee their rows in the reminders that are already announced."""
    for mailing_id in session.scalars(
        select(Mailing.id)
        .where(
            Mailing.symposium_id == symposium.id,
            Mailing.kind == MailingKind.REMINDER,
            Mailing.generation == symposium.generation,
        )
        .order_by(Mailing.id)  # two who register at once lock the mailings in one order
    ).all():
        expand_mailing(session, mailing_id, now, registration_id=registration_id)


def drop(session: Session, symposium: Symposium, reason: SkipReason, now: datetime) -> int:
    """Cancel what of a symposium's reminders and change notices still waits; returns how many rows."""
    concerned = select(Mailing.id).where(
        Mailing.symposium_id == symposium.id,
        Mailing.kind.in_([MailingKind.REMINDER, MailingKind.CHANGE]),
    )
    dropped = session.execute(
        update(Delivery)
        .where(Delivery.state.in_(WAITING), Delivery.mailing_id.in_(concerned))
        .values(state=DeliveryState.CANCELLED, reason=reason.value, settled_at=now)
        .execution_options(synchronize_session=False)
    )
    return int(dropped.rowcount)  # type: ignore[attr-defined]


def plan_all(session: Session, house: House, now: datetime) -> int:
    """Plan every announced symposium that lies ahead: the sweep's answer to a lost hint."""
    ahead = session.scalars(
        select(Symposium).where(Symposium.state == SymposiumState.ANNOUNCED, Symposium.starts_at > now)
    ).all()
    return sum(plan(session, house, symposium, now) for symposium in ahead)
