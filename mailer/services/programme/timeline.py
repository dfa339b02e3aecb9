"""Timeline: what will go to whom about a symposium, when, and why not. Counted from the rows, with
the questions that the claim will ask of them; never kept.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import ReminderRule, Symposium
from mailer.messages import due, rule_words
from mailer.services.desk.reasons import sentence
from mailer.services.programme.reminders import key_of
from mailer.services.sending import rooms
from mailer.services.sending.foresight import Foreseen, foresee
from mailer.services.sending.outlook import (
    Outlook,
    event_of,
    is_draft,
    outlooks,
    rules_for,
    words_of,
    zones_of,
)
from mailer.services.sending.traits import BY_RULE
from mailer.vocabulary import DeliveryState, MailingKind, MailingState

_LEFT_OUT = frozenset({DeliveryState.SKIPPED, DeliveryState.CANCELLED, DeliveryState.EXPIRED})
_ABOUT_ONE = frozenset(
    {
        MailingKind.REGISTRATION_CONFIRMATION,
        MailingKind.REGISTRATION_REQUEST,
        MailingKind.WAITING_LIST,
        MailingKind.WITHDRAWAL,
    }
)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """So many wait for this moment; `zones` names them where it is not everybody's."""

    due_at: datetime
    count: int
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the timeline. `why_not`: the sentence for one that sends nothing."""

    name: str
    words: str
    due_at: datetime | None
    waiting: tuple[Waiting, ...] = ()
    doomed: tuple[tuple[str, int], ...] = ()  # who waits and will be left out: why, and how many
    others: tuple[tuple[str, int], ...] = ()  # what became of the rest: a word or a sentence, and how many
    why_not: str | None = None


def timeline(session: Session, symposium: Symposium, now: datetime) -> list[Entry]:
    """Everything about a symposium that goes to many, in the order of time; what has no time comes last."""
    mailings = {
        mailing.key: mailing
        for mailing in session.scalars(
            select(Mailing).where(Mailing.symposium_id == symposium.id, Mailing.kind.not_in(_ABOUT_ONE))
        )
    }
    rules = rules_for(session, symposium)
    found = {one.rule.id: one for one in outlooks(symposium, rules, zones_of(session, symposium))}
    ahead: defaultdict[int, list[Foreseen]] = defaultdict(list)
    for one in foresee(session, symposium.id, now):
        ahead[one.mailing_id].append(one)
    entries = []
    for rule in rules:
        mailing = mailings.get(key_of(symposium, rule.key))
        outlook = found.get(rule.id)
        entries.append(_of_rule(session, symposium, rule, outlook, mailing, ahead, now))
    of_rules = {key_of(symposium, rule.key) for rule in rules}
    entries += [
        Entry(
            name=mailing.key.split(":", 2)[2],
            words=_words(mailing, symposium),
            due_at=mailing.due_at,
            waiting=_waiting(ahead[mailing.id], None),
            doomed=_doomed(ahead[mailing.id]),
            others=_others(session, mailing),
            why_not=_stopped(mailing),
        )
        for mailing in mailings.values()
        if mailing.key not in of_rules
    ]
    return sorted(entries, key=lambda one: (one.due_at is None, one.due_at or now, one.name))


def _of_rule(
    session: Session,
    symposium: Symposium,
    rule: ReminderRule,
    outlook: Outlook | None,
    mailing: Mailing | None,
    ahead: Mapping[int, Sequence[Foreseen]],
    now: datetime,
) -> Entry:
    planned = due.due(words_of(rule), event_of(symposium))
    at = outlook.rest.due_at if outlook else planned.at if planned else None
    words = rule_words.say(words_of(rule), rule.audience)
    if mailing is None:
        return Entry(name=rule.key, words=words, due_at=at, why_not=_why_not(symposium, rule, at, now))
    return Entry(
        name=rule.key,
        words=words,
        due_at=at,
        waiting=_waiting(ahead.get(mailing.id, ()), outlook),
        doomed=_doomed(ahead.get(mailing.id, ())),
        others=_others(session, mailing),
        why_not=_stopped(mailing) or _held(symposium, mailing, now),
    )


def _words(mailing: Mailing, symposium: Symposium) -> str:
    """What it is; for a reminder that no rule plans now, why it stands here all the same."""
    kind = mailing.kind.value.replace("_", " ")
    if mailing.kind not in BY_RULE:
        return kind
    _, _, generation = mailing.key.rpartition(":r")
    return (
        f"{kind}, its rule removed"
        if generation == str(symposium.generation)
        else f"{kind} of an earlier date"
    )


def _stopped(mailing: Mailing) -> str | None:
    if mailing.state is not MailingState.PAUSED:
        return None
    return f"Paused. It goes on with: mailer mailing resume {mailing.key}"


def _held(symposium: Symposium, mailing: Mailing, now: datetime) -> str | None:
    """Why what waits of a rule does not leave when it is due."""
    if mailing.due_at <= now and rooms.must_wait(mailing, symposium, mailing.expires_at, now):
        return (
            "Waits for the way into the room. Say where it is with: "
            f"mailer symposium set {symposium.slug} --join-url URL"
        )
    if mailing.kind is not MailingKind.FOLLOW_UP or symposium.recording_trouble is None:
        return None
    return (
        f"Held: its recording does not answer. {symposium.recording_trouble} It is asked again by itself; "
        f"send it all the same with: mailer symposium follow-up {symposium.slug} --release"
    )


def _why_not(symposium: Symposium, rule: ReminderRule, at: datetime | None, now: datetime) -> str:
    if symposium.questions:
        return "Waits: its date has to be confirmed by a person first."
    if at is None:
        return (
            "Will not be sent: the date or the hour it counts from is not known, or it would come too late."
        )
    if is_draft(symposium, rule):
        return f"A draft. Approve it with: mailer symposium follow-up {symposium.slug} --recording URL"
    if at <= now:
        return "Will not be sent: its time was past already when it was planned."
    return "Not planned yet: the symposium is not announced, or the sweep has not come to it."


def _waiting(foreseen: Sequence[Foreseen], outlook: Outlook | None) -> tuple[Waiting, ...]:
    counts = Counter(one.at for one in foreseen if one.reason is None)
    zones: dict[datetime, set[str]] = {}
    for one in foreseen:
        if outlook is not None and one.at in counts and one.at != outlook.rest.due_at and one.zone:
            zones.setdefault(one.at, set()).add(one.zone)
    return tuple(
        Waiting(due_at=at, count=counts[at], zones=tuple(sorted(zones.get(at, ())))) for at in sorted(counts)
    )


def _doomed(foreseen: Sequence[Foreseen]) -> tuple[tuple[str, int], ...]:
    counts = Counter(sentence(one.reason) for one in foreseen if one.reason is not None)
    return tuple(sorted(counts.items()))


def _others(session: Session, mailing: Mailing) -> tuple[tuple[str, int], ...]:
    rows = session.execute(
        select(Delivery.state, Delivery.reason, func.count())
        .where(Delivery.mailing_id == mailing.id, Delivery.state.not_in(WAITING))
        .group_by(Delivery.state, Delivery.reason)
    ).all()
    counts: dict[str, int] = {}
    for state, reason, count in rows:
        word = sentence(reason) if state in _LEFT_OUT and reason else state.value.replace("_", " ")
        counts[word] = counts.get(word, 0) + count
    return tuple(sorted(counts.items()))
