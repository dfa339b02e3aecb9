"""Expand: one delivery row for everyone a mailing is meant for. Expanding twice adds nothing."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from mailer.db import audience, digests, readers, receipts, translation_readers
from mailer.db.audience import Slot
from mailer.db.mailings import Campaign, Mailing
from mailer.db.programme import Symposium, SymposiumDate
from mailer.db.session import hint_after_commit
from mailer.messages import due
from mailer.services.sending.outlook import Outlook, nearness, outlooks, rules_for, zones_of
from mailer.services.sending.traits import BY_RULE
from mailer.vocabulary import MailingKind, MailingState
from mailer.wake import Task

Audience = Callable[[Mailing, Slot], Select[Any]]

AUDIENCES: dict[MailingKind, Audience] = {
    MailingKind.STATEMENT_ALERT: digests.readers_at_once,
    MailingKind.DIGEST: digests.readers_of_digest,
    MailingKind.CORRECTION: readers.holders,
    MailingKind.RETRACTION: readers.holders,
    MailingKind.TRANSLATION: translation_readers.readers_of_another_language,
    MailingKind.CAMPAIGN: audience.subscribers_of_topic,
    MailingKind.OPT_IN: audience.subscriber_of_subscription,
    MailingKind.WELCOME: audience.subscriber_of_subscription,
    MailingKind.REGISTRATION_REQUEST: audience.attendees,
    MailingKind.REGISTRATION_CONFIRMATION: audience.attendees,
    MailingKind.WAITING_LIST: audience.attendees,
    MailingKind.WITHDRAWAL: audience.attendees,
    MailingKind.REMINDER: audience.attendees,
    MailingKind.CHANGE: audience.attendees,
    MailingKind.DATE_FIXED: audience.attendees,
    MailingKind.POSTPONED: audience.attendees,
    MailingKind.CANCELLATION: audience.attendees,
    MailingKind.FOLLOW_UP: audience.attendees,
}


def expand_mailing(
    session: Session, mailing_id: int, now: datetime, *, registration_id: int | None = None
) -> int:
    """Write the mailing's delivery rows and open it for sending; returns how many rows are new.

    With `registration_id` only that attendee is added to a mailing that is expanded already.

    Nothing happens to a mailing that is paused, over or cancelled, except that a
    reminder takes in a late registration: it opens again, or stays paused.
    """
    mailing = session.scalars(select(Mailing).where(Mailing.id == mailing_id).with_for_update()).one_or_none()
    if mailing is None or not _may_expand(mailing, now) or _must_wait(session, mailing):
        return 0
    only = None if mailing.state is MailingState.EXPANDING else registration_id
    if mailing.kind in BY_RULE:
        outlook = _outlook(session, mailing, only)
        if outlook is not None:
            return expand_by_rule(session, mailing, outlook, now, only=only)
        _open(session, mailing, 0, now)  # its date or its rule is gone: nobody joins it any more
        return 0
    slot = Slot(
        now=now,
        due_at=_due_at(mailing, now),
        not_after=mailing.expires_at,
        dated=mailing.embargo_at,
        spread=timedelta(seconds=mailing.spread_seconds),
    )
    if mailing.kind is MailingKind.STATEMENT_ALERT:
        digests.owe(session, mailing, now)
    if mailing.kind is MailingKind.TRANSLATION:
        translation_readers.owe_translation(session, mailing, now)
    added = audience.expand(session, mailing, slot, _audience(session, mailing)(mailing, slot))
    if mailing.kind is MailingKind.DIGEST:
        digests.take(session, mailing)
    _open(session, mailing, added, now)
    return added


def expand_by_rule(
    session: Session, mailing: Mailing, outlook: Outlook, now: datetime, *, only: int | None = None
) -> int:
    """The same for a reminder or a follow-up, whose readers have turns of their own."""
    slot = outlook.slot(now)
    near = _near_generations(session, mailing, nearness(outlook))
    people = audience.attendees(mailing, slot, near=near, registration_id=only)
    added = audience.expand(session, mailing, slot, people)
    _open(session, mailing, added, now)
    return added


def _due_at(mailing: Mailing, now: datetime) -> datetime:
    """When the first of its rows is due; `now` only where they are spread, so that a late one is spread, too.

    Otherwise a clock that was ahead when they were written would hold them back once it is right again.
    """
    return max(mailing.due_at, now) if mailing.spread_seconds else mailing.due_at


def _open(session: Session, mailing: Mailing, added: int, now: datetime) -> None:
    if mailing.state is MailingState.PAUSED:
        return
    if mailing.state is MailingState.EXPANDING or added:
        ahead = mailing.due_at > now
        mailing.state, mailing.finished_at = MailingState.SCHEDULED if ahead else MailingState.SENDING, None
        hint_after_commit(session, Task.SEND_DUE)


def _outlook(session: Session, mailing: Mailing, only: int | None) -> Outlook | None:
    symposium = session.get_one(Symposium, mailing.symposium_id)
    if mailing.generation != symposium.generation:
        return None
    rules, zones = rules_for(session, symposium), zones_of(session, symposium, only)
    return next((one for one in outlooks(symposium, rules, zones) if one.rule.id == mailing.rule_id), None)


def _audience(session: Session, mailing: Mailing) -> Audience:
    campaign = session.get(Campaign, mailing.campaign_id) if mailing.campaign_id else None
    if campaign is None or campaign.receipt_of is None or campaign.receipt_part is None:
        return AUDIENCES[mailing.kind]
    return receipts.audience_of(campaign.receipt_of, campaign.receipt_part)


def _may_expand(mailing: Mailing, now: datetime) -> bool:
    if mailing.state is MailingState.EXPANDING:
        return True
    if mailing.kind not in BY_RULE or now > mailing.expires_at:
        return False
    return mailing.state is not MailingState.CANCELLED


def _must_wait(session: Session, mailing: Mailing) -> bool:
    """Who got the statement in which language is known only once no worker has a mail of it in hand."""
    if mailing.kind is not MailingKind.TRANSLATION:
        return False
    return readers.on_the_wire(session, mailing.statement_id or 0, before=None)


def _near_generations(session: Session, mailing: Mailing, nearness: timedelta) -> set[int]:
    """Other dates so near to this one that a second reminder would only repeat the first."""
    dates = session.scalars(
        select(SymposiumDate).where(SymposiumDate.symposium_id == mailing.symposium_id)
    ).all()
    moments = {one.generation: _moment(one) for one in dates}
    here = moments.pop(mailing.generation or 0, None)
    if here is None:
        return set()
    return {number for number, there in moments.items() if there is not None and abs(here - there) < nearness}


def _moment(one: SymposiumDate) -> datetime | None:
    """When it is, for one whose hour is not known the first moment of its day."""
    event = due.Event(precision=one.precision, day=one.day, wall_time=one.wall_time, zone=one.zone)
    return one.starts_at or event.limit
