"""Attendees: what the claim asks about a reminder or a follow-up, beyond what it asks about every mail."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db import outbox
from mailer.db.audience import came_of
from mailer.db.outbox import Candidate, Surroundings
from mailer.db.programme import Registration, Symposium
from mailer.messages.due import fell_due
from mailer.services.sending.follow_ups import is_told
from mailer.services.sending.outlook import event_of
from mailer.services.sending.traits import BY_RULE, NOTICES
from mailer.vocabulary import MailingKind, SkipReason

CONFIRMING = frozenset({MailingKind.REGISTRATION_CONFIRMATION, MailingKind.WAITING_LIST})


def on_the_way(
    session: Session, candidates: Sequence[Candidate], around: Surroundings
) -> dict[int, frozenset[MailingKind]]:
    """What else is open for those candidates who may not know the live facts; one question, and none at all
    where everybody knows them."""
    unsure = set()
    for one in candidates:
        mailing = around.mailings[one.mailing_id]
        registration = around.registrations.get(one.registration_id or 0)
        symposium = around.symposia.get(mailing.symposium_id or 0)
        if registration is None or symposium is None or mailing.kind not in BY_RULE | NOTICES:
            continue
        if registration.told_version != symposium.facts_version:
            unsure.add(registration.id)
    if not unsure:
        return {}
    return outbox.open_kinds(session, unsure, NOTICES | CONFIRMING)


def is_past(kind: MailingKind, symposium: Symposium, now: datetime) -> bool:
    """True for what only helps until a moment that has come: a confirmation until the end, a word about the
    waiting list until the start."""
    if kind not in CONFIRMING:
        return False
    ends = helps_until(kind, symposium)
    return ends is not None and ends <= now


def helps_until(kind: MailingKind, symposium: Symposium) -> datetime | None:
    """Until when a mail about somebody's place helps them; None where no hour and no day is known."""
    event = event_of(symposium)
    return (event.starts_at or event.over_at) if kind is MailingKind.WAITING_LIST else event.over_at


def followed_up(candidates: Sequence[Candidate], around: Surroundings) -> frozenset[int]:
    """The registrations that a mail after the end is for."""
    return frozenset(
        one.registration_id
        for one in candidates
        if one.registration_id and around.mailings[one.mailing_id].kind is MailingKind.FOLLOW_UP
    )


def rules_of(around: Surroundings) -> frozenset[int]:
    """The reminder rules by which the mailings among these were made."""
    return frozenset(mailing.rule_id for mailing in around.mailings.values() if mailing.rule_id is not None)


def reason_for_rule(
    candidate: Candidate,
    around: Surroundings,
    registration: Registration,
    symposium: Symposium,
    now: datetime,
) -> SkipReason | None:
    """Why a reminder or a follow-up must not leave."""
    mailing = around.mailings[candidate.mailing_id]
    if mailing.generation != symposium.generation:
        return SkipReason.DATE_MOVED
    if mailing.rule_id in around.ended_rules:  # and the sweep has not planned without it yet
        return SkipReason.RULE_REMOVED
    if not registration.reminders:
        return SkipReason.UNSUBSCRIBED
    if mailing.kind is MailingKind.FOLLOW_UP:
        if came_of(mailing) not in {None, registration.attendance}:
            return SkipReason.ATTENDANCE
        told = is_told(mailing, around.follow_ups.get(registration.id, ()))
        return SkipReason.ALREADY_TOLD if told else None
    limit = event_of(symposium).limit
    if limit is None or now >= limit:
        return SkipReason.TOO_LATE
    if NOTICES.intersection(around.on_the_way.get(registration.id, ())):
        return SkipReason.ALREADY_TOLD  # by the notice, which leaves after this was due
    told_at = registration.told_at
    if told_at is not None and told_at > fell_due(candidate.not_after, limit):
        return SkipReason.ALREADY_TOLD
    return None
