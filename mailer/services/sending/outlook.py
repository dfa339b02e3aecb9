"""Outlook: when each rule of a symposium falls due, for the readers of each zone.

Stored times are its cache.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.audience import READER_ZONE, Slot, Turn
from mailer.db.people import Subscriber
from mailer.db.programme import Registration, ReminderRule, Symposium
from mailer.messages import due
from mailer.settings import current
from mailer.vocabulary import RuleTiming

A_MOMENT = timedelta(seconds=1)
RECORDING_FRESH = timedelta(hours=1)  # so long its answer is believed


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """One rule of one symposium. `rest`: for whoever has no other turn; `lead`: its distance to the start."""

    rule: ReminderRule
    rest: Turn
    zones: dict[str, Turn]
    lead: timedelta

    @property
    def turns(self) -> list[Turn]:
        return [self.rest, *self.zones.values()]

    @property
    def opens_at(self) -> datetime:
        return min(turn.due_at for turn in self.turns)

    @property
    def ends_at(self) -> datetime:
        return max(turn.not_after for turn in self.turns)

    def is_ahead(self, now: datetime) -> bool:
        """True when at least some readers' turn is still to come."""
        return any(turn.due_at > now for turn in self.turns)

    def slot(self, now: datetime) -> Slot:
        return Slot(
            now=now,
            due_at=self.rest.due_at,
            not_after=self.rest.not_after,
            superseded=self.rest.superseded,
            zones=self.zones,
        )


def rules_for(session: Session, symposium: Symposium) -> list[ReminderRule]:
    """The symposium's own rules, else its series', else the organisation's default ones."""
    nothing = ReminderRule.symposium_id.is_(None) & ReminderRule.series_id.is_(None)
    for owner in (
        ReminderRule.symposium_id == symposium.id,
        ReminderRule.series_id == symposium.series_id,
        nothing,
    ):
        rules = session.scalars(
            select(ReminderRule).where(owner, ReminderRule.enabled.is_(True)).order_by(ReminderRule.id)
        ).all()
        if rules:
            return list(rules)
    return []


def night() -> due.Night:
    """The organisation's quiet hours."""
    chosen = current()
    return due.Night(chosen.quiet_from, chosen.quiet_until)


def event_of(symposium: Symposium) -> due.Event:
    return due.Event(
        precision=symposium.precision,
        day=symposium.day,
        wall_time=symposium.wall_time,
        zone=symposium.zone,
        minutes=symposium.minutes,
        later=symposium.later,
    )


def words_of(rule: ReminderRule) -> due.Rule:
    """The rule as the pure function takes it."""
    return due.Rule(
        key=rule.key,
        timing=rule.timing,
        days=rule.days,
        minutes=rule.minutes,
        clock=rule.clock,
        at_day=rule.at_day,
        zone=rule.zone,
        later=rule.later,
        quiet=rule.quiet,
    )


def zones_of(session: Session, symposium: Symposium, registration_id: int | None = None) -> list[str]:
    """The zones that attendees, or one of them, have told."""
    whose = (
        Registration.symposium_id == symposium.id
        if registration_id is None
        else Registration.id == registration_id
    )
    found = session.scalars(
        select(READER_ZONE)
        .join(Subscriber, Subscriber.id == Registration.subscriber_id)
        .where(whose, READER_ZONE.is_not(None))
        .distinct()
    )
    return sorted(found)


def outlooks(symposium: Symposium, rules: Sequence[ReminderRule], zones: Iterable[str] = ()) -> list[Outlook]:
    """When each of the rules falls due. A rule whose moment does not exist for this symposium is left out,
    and so is a follow-up that nobody has approved."""
    event, worded, quiet = event_of(symposium), [words_of(rule) for rule in rules], night()
    overtaken = due.superseded(worded, event)
    elsewhere = {zone: due.superseded(worded, event, zone, quiet) for zone in zones}
    found = []
    for rule, words in zip(rules, worded, strict=True):
        rest = due.due(words, event)
        if rest is None:
            continue
        if words.after:
            if symposium.follow_up_at is not None:
                found.append(_follow_up(rule, rest, symposium, symposium.follow_up_at))
            continue
        turn = _turn(words, rest, overtaken)
        others = {
            zone: _turn(words, due.due(words, event, zone, quiet) or rest, gone)
            for zone, gone in elsewhere.items()
        }
        own = {zone: other for zone, other in others.items() if other != turn}
        found.append(Outlook(rule=rule, rest=turn, zones=own, lead=rest.lead))
    return found


def _turn(words: due.Rule, one: due.Due, overtaken: Collection[str]) -> Turn:
    return Turn(one.at, one.until, words.key in overtaken)


def _follow_up(rule: ReminderRule, planned: due.Due, symposium: Symposium, approved_at: datetime) -> Outlook:
    # Who approves it after its time sends it then, and so does a recording that answers late: a moment
    # later, so that it is ahead when it is planned. While it is held it is due when it is asked for again.
    opens = [planned.at, approved_at + A_MOMENT]
    if symposium.recording_trouble and symposium.recording_next_at:
        opens.append(symposium.recording_next_at)
    elif symposium.recording_seen_at:
        opens.append(symposium.recording_seen_at + A_MOMENT)
    at = max(opens)
    return Outlook(rule=rule, rest=Turn(at, at + due.GRACE), zones={}, lead=planned.lead)


def recording_answers(symposium: Symposium, now: datetime) -> bool:
    """Whether a follow-up may leave: it names no recording, or one that answered just now or is vouched."""
    if symposium.recording_url is None:
        return True
    if symposium.recording_seen_at is None:
        return False
    return symposium.recording_next_at is None or now - symposium.recording_seen_at <= RECORDING_FRESH


def is_draft(symposium: Symposium, rule: ReminderRule) -> bool:
    """A follow-up that waits for a person, who has the recording or says that there is none."""
    return rule.timing is RuleTiming.AFTER_END and symposium.follow_up_at is None


def nearness(outlook: Outlook) -> timedelta:
    """Dates nearer to each other than this are not worth a second reminder."""
    return min(outlook.lead, timedelta(days=1))
