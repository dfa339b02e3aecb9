"""Foresight: what the claim will say of the mails about a symposium that wait, if nothing changes until then.

It asks the claim's own questions, as of the moment when each mail falls due. Of mails that wait
for one person the earlier one changes what the later one may still tell.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from mailer.db import follow_ups, outbox
from mailer.db.follow_ups import FollowUp, audience_of
from mailer.db.outbox import Candidate, Surroundings
from mailer.services.sending.attendees import CONFIRMING, followed_up, rules_of
from mailer.services.sending.claim import reason_to_leave_out
from mailer.services.sending.follow_ups import is_told
from mailer.services.sending.traits import BY_RULE, NOTICES
from mailer.vocabulary import MailingKind, SkipReason


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """One mail that waits: when it is looked at, and why it will not leave then; None: it will."""

    mailing_id: int
    at: datetime
    zone: str | None
    reason: SkipReason | None


def foresee(session: Session, symposium_id: int, now: datetime) -> list[Foreseen]:
    """Everything about the symposium that waits, in the order in which it is looked at."""
    waiting = [(one, max(due_at, now), zone) for one, due_at, zone in outbox.waiting(session, symposium_id)]
    around = outbox.surroundings(session, [one for one, _, _ in waiting])
    around = replace(
        around,
        ended_rules=outbox.ended_rules(session, rules_of(around)),
        follow_ups=follow_ups.had(session, followed_up([one for one, _, _ in waiting], around)),
    )
    others = _by_person(waiting, around)
    told: defaultdict[int, list[FollowUp]] = defaultdict(list)
    found = []
    for one, at, zone in sorted(waiting, key=lambda each: (each[1], each[0].not_after, each[0].id)):
        reason = _reason(one, at, around, others[one.registration_id or 0])
        if reason is None and around.mailings[one.mailing_id].kind is MailingKind.FOLLOW_UP:
            reason = _after_another(one, around, told[one.registration_id or 0])
        found.append(Foreseen(mailing_id=one.mailing_id, at=at, zone=zone, reason=reason))
    return found


def _after_another(one: Candidate, around: Surroundings, told: list[FollowUp]) -> SkipReason | None:
    """Of two mails after the end the one that leaves first is the one they get."""
    mailing = around.mailings[one.mailing_id]
    if is_told(mailing, told):
        return SkipReason.ALREADY_TOLD
    told.append(FollowUp(mailing.id, mailing.generation, audience_of(mailing.facts), False))
    return None


_Others = list[tuple[MailingKind, datetime]]


def _by_person(
    waiting: list[tuple[Candidate, datetime, str | None]], around: Surroundings
) -> Mapping[int, _Others]:
    found: defaultdict[int, _Others] = defaultdict(list)
    for one, at, _ in waiting:
        found[one.registration_id or 0].append((around.mailings[one.mailing_id].kind, at))
    return found


def _reason(one: Candidate, at: datetime, around: Surroundings, others: _Others) -> SkipReason | None:
    kind = around.mailings[one.mailing_id].kind
    reason = reason_to_leave_out(one, _with_notices(one, at, kind, around, others), at)
    if reason is None and kind in NOTICES and any(other in CONFIRMING for other, _ in others):
        return SkipReason.NOTHING_CHANGED  # their confirmation goes first, and tells what holds
    return reason


def _with_notices(
    one: Candidate, at: datetime, kind: MailingKind, around: Surroundings, others: _Others
) -> Surroundings:
    """A notice that leaves after a reminder falls due takes the word from it."""
    registration = around.registrations.get(one.registration_id or 0)
    symposium = around.symposia.get(around.mailings[one.mailing_id].symposium_id or 0)
    if registration is None or symposium is None or kind not in BY_RULE:
        return around
    if registration.told_version == symposium.facts_version or any(k in CONFIRMING for k, _ in others):
        return around
    later = frozenset(other for other, moment in others if other in NOTICES and moment >= at)
    return replace(around, on_the_way={registration.id: later}) if later else around
