"""Following: what a list of who was there changes about the mails after the end, in sentences for staff.

A rule may be for those who came, or for those who did not. Who is noted so in time, or within the
rule's grace, gets its mail; who is noted later does not by itself, and staff are told.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db import follow_ups
from mailer.db.audience import ATTENDANCE_OF, Turn
from mailer.db.follow_ups import FollowUp
from mailer.db.mailings import REACHED, Delivery, Mailing
from mailer.db.programme import ReminderRule, Symposium
from mailer.services.programme.reminders import key_of
from mailer.services.sending.outlook import is_draft, outlooks, rules_for
from mailer.vocabulary import Attendance, DeliveryState


def following(
    session: Session, symposium: Symposium, changed: Mapping[int, Attendance], now: datetime
) -> Iterator[str]:
    """What those who are noted otherwise now, by registration, will get for it and what not."""
    rules = rules_for(session, symposium)
    turns = {one.rule.id: one.rest for one in outlooks(symposium, rules)}
    had = follow_ups.had(session, changed.keys())
    for rule in rules:
        came = ATTENDANCE_OF.get(rule.audience.value)
        reached = _reached(session, symposium, rule)
        concerned = {number for number, word in changed.items() if word is came} - reached
        if came is None or not concerned:
            continue
        told = {number for number in concerned if _is_told(had.get(number, ()), symposium, rule)}
        if told:
            yield f"{len(told):,} had another mail after the end already and will not get the {_name(rule)}."
        if concerned - told:
            yield f"{len(concerned - told):,} {_outcome(symposium, rule, turns.get(rule.id), now)}"


def _reached(session: Session, symposium: Symposium, rule: ReminderRule) -> set[int | None]:
    """Who has this very mail already."""
    rows = (
        select(Delivery.registration_id)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            Mailing.key == key_of(symposium, rule.key),
            Delivery.state.in_(REACHED | {DeliveryState.IN_DOUBT}),
        )
    )
    return set(session.scalars(rows))


def _is_told(found: tuple[FollowUp, ...], symposium: Symposium, rule: ReminderRule) -> bool:
    return any(
        one.generation == symposium.generation and one.audience != rule.audience.value for one in found
    )


def _name(rule: ReminderRule) -> str:
    return f"follow-up {rule.key}"


def _outcome(symposium: Symposium, rule: ReminderRule, turn: Turn | None, now: datetime) -> str:
    approve = f"mailer symposium follow-up {symposium.slug} --recording URL"
    if is_draft(symposium, rule) or turn is None:
        return f"will get the {_name(rule)} once it is approved: {approve}"
    if turn.due_at > now:
        return f"will get the {_name(rule)} when it is due."
    if turn.not_after > now:
        return f"will get the {_name(rule)} now."
    return (
        f"will not get the {_name(rule)}: its time is past. To send it all the same, approve it once more: "
        f"{approve}"
    )
