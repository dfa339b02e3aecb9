"""Reminder rules: made and removed by staff, for one symposium, a series, or everything else.

A rule is never changed in place. One whose time is past already is kept, and sends nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from mailer.db.programme import ReminderRule, Series, Symposium
from mailer.messages import due, rule_words
from mailer.services import audit
from mailer.services.house import House
from mailer.services.programme import reminders
from mailer.services.programme.symposia import find, lock
from mailer.services.sending import replan
from mailer.services.sending.outlook import event_of, rules_for, words_of
from mailer.vocabulary import RuleAudience, RuleTiming, SymposiumState

MOST = 20  # rules of one owner


class RuleRefusal(Exception):
    """The rule cannot be made or removed so; the message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose rules: a symposium's, a series', or with neither the default ones."""

    symposium: Symposium | None = None
    series: Series | None = None

    @property
    def condition(self) -> ColumnElement[bool]:
        if self.symposium is not None:
            return ReminderRule.symposium_id == self.symposium.id
        if self.series is not None:
            return ReminderRule.series_id == self.series.id
        return ReminderRule.symposium_id.is_(None) & ReminderRule.series_id.is_(None)

    def __str__(self) -> str:
        if self.symposium is not None:
            return f"the symposium {self.symposium.slug}"
        return f"the series {self.series.key}" if self.series else "all others"


@dataclass(frozen=True, kw_only=True)
class Added:
    """A rule that was made. `notes` are what staff should know of it, in sentences."""

    key: str
    notes: tuple[str, ...] = ()


def owner(session: Session, *, symposium: str | None = None, series: str | None = None) -> Owner:
    """Whose rules these names mean."""
    if symposium is not None and series is not None:
        raise RuleRefusal("Name a symposium or a series, not both.")
    if symposium is not None:
        return Owner(symposium=find(session, symposium))
    if series is None:
        return Owner()
    found = session.scalars(select(Series).where(Series.key == series)).one_or_none()
    if found is None:
        known = ", ".join(session.scalars(select(Series.key).order_by(Series.key).limit(20))) or "none"
        raise RuleRefusal(f'There is no series "{series[:60]}". Known: {known}')
    return Owner(series=found)


def listed(session: Session, whose: Owner) -> list[ReminderRule]:
    """The rules this owner has itself, the longest lead first."""
    rules = session.scalars(select(ReminderRule).where(whose.condition, ReminderRule.enabled.is_(True)))
    return sorted(rules, key=lambda rule: (-rule.days, -rule.minutes, rule.key))


def add(
    session: Session,
    house: House,
    whose: Owner,
    words: str,
    *,
    quiet: bool | None = None,
    sure: bool = False,
    actor: str,
    now: datetime,
) -> Added:
    """Make a rule from its words. Raises RuleRefusal where it is there already, or is past for everybody
    and nobody has said that this is meant (`sure`); RuleUnread and UnknownZone for the words."""
    read, audience = rule_words.read(words)
    if quiet and read.after:
        raise RuleRefusal("A mail after the end keeps off no nights. Leave --quiet away.")
    known = session.scalars(select(ReminderRule).where(whose.condition)).all()
    same = next((rule for rule in known if rule.key == read.key), None)
    if same is not None and same.enabled:
        raise RuleRefusal(f"The rule {read.key} is there already for {whose}.")
    if sum(rule.enabled for rule in known) >= MOST:
        raise RuleRefusal(f"{MOST} rules are as many as one can have. Remove one first: mailer rule remove")
    past = _is_past_for_all(session, whose, read, now)
    if past and not sure:
        raise RuleRefusal(
            "Its time is past for everybody, so it will not be sent. Make it all the same with --yes."
        )
    first = not any(rule.enabled for rule in known)
    notes = _notes(session, whose, read, audience, first=first, past=past)
    rule = same or ReminderRule(key=read.key)
    rule.symposium_id = whose.symposium.id if whose.symposium else None
    rule.series_id = whose.series.id if whose.series else None
    _write(rule, read, audience, quiet)
    session.add(rule)
    _replan(session, house, whose, now)
    _audit(session, whose, "rule-added", read.key, actor, now)
    return Added(key=read.key, notes=notes)


def _write(rule: ReminderRule, read: due.Rule, audience: RuleAudience, quiet: bool | None) -> None:
    rule.timing, rule.days, rule.minutes = read.timing, read.days, read.minutes
    rule.clock, rule.at_day, rule.zone, rule.later = read.clock, read.at_day, read.zone, read.later
    rule.audience, rule.quiet, rule.enabled = audience, quiet, True


def remove(session: Session, house: House, whose: Owner, key: str, *, actor: str, now: datetime) -> None:
    """End a rule: what waits of it is cancelled. Raises RuleRefusal where there is none of this key."""
    rule = session.scalars(
        select(ReminderRule).where(whose.condition, ReminderRule.key == key, ReminderRule.enabled.is_(True))
    ).one_or_none()
    if rule is None:
        known = ", ".join(one.key for one in listed(session, whose)) or "none"
        raise RuleRefusal(f'There is no rule "{key[:64]}" for {whose}. It has: {known}')
    rule.enabled = False
    _replan(session, house, whose, now)
    _audit(session, whose, "rule-removed", key, actor, now)


def _replan(session: Session, house: House, whose: Owner, now: datetime) -> None:
    session.flush()
    if whose.symposium is not None:
        lock(session, whose.symposium)
        reminders.plan(session, house, whose.symposium, now)
    else:  # many symposia: the sweep plans them, a few at a time
        replan.unplan(session, *_concerned(whose))


def _concerned(whose: Owner) -> list[ColumnElement[bool]]:
    return [Symposium.series_id == whose.series.id] if whose.series is not None else []


def _is_past_for_all(session: Session, whose: Owner, rule: due.Rule, now: datetime) -> bool:
    if rule.after:
        return False  # a follow-up waits for a person
    if whose.symposium is not None:
        coming = [whose.symposium]
    else:
        ahead = select(Symposium).where(
            Symposium.state == SymposiumState.ANNOUNCED, Symposium.starts_at > now, *_concerned(whose)
        )
        coming = list(session.scalars(ahead.limit(1_000)).unique())
    found = [one for symposium in coming if (one := due.due(rule, event_of(symposium)))]
    return bool(found) and all(one.at <= now for one in found)


def _notes(
    session: Session, whose: Owner, read: due.Rule, audience: RuleAudience, *, first: bool, past: bool
) -> tuple[str, ...]:
    notes = []
    if past:
        notes.append("Its time is past: it will not be sent.")
    if first and (whose.symposium is not None or whose.series is not None):
        notes.append(f"From now on only its own rules hold for {whose}; the default ones do not.")
    if read.after:
        notes.append("It stays a draft until somebody approves it: mailer symposium follow-up")
    for other in listed(session, whose):
        if words_of(other).after and read.after:
            notes += _after_both(other, read, audience)
        elif _overlap(whose, words_of(other), read):
            notes.append(f"It falls within an hour of {other.key}: of the two only the later one is sent.")
    return tuple(notes)


def _after_both(other: ReminderRule, read: due.Rule, audience: RuleAudience) -> list[str]:
    if other.audience is audience:
        near = abs(other.minutes - read.minutes) < due.CLOSE.total_seconds() / 60
        return [f"It falls within an hour of {other.key}, and both are sent."] if near else []
    if RuleAudience.ALL in {other.audience, audience}:
        return [f"Who gets {other.key} does not get this one as well: they are for different people."]
    return []


def _overlap(whose: Owner, one: due.Rule, other: due.Rule) -> bool:
    if one.after or other.after:
        return False
    if whose.symposium is not None:
        event = event_of(whose.symposium)
        first, second = due.due(one, event), due.due(other, event)
        return first is not None and second is not None and abs(first.at - second.at) < due.CLOSE
    if RuleTiming.AT in {one.timing, other.timing} or one.clock or other.clock:
        return False  # depends on the symposium
    return abs(_lead(one) - _lead(other)) < due.CLOSE


def _lead(rule: due.Rule) -> timedelta:
    return timedelta(days=rule.days, minutes=rule.minutes)


def applying(session: Session, symposium: Symposium) -> list[ReminderRule]:
    """The rules that hold for a symposium, its own or inherited."""
    return rules_for(session, symposium)


def _audit(session: Session, whose: Owner, action: str, key: str, actor: str, now: datetime) -> None:
    subject = f"symposium:{whose.symposium.id}" if whose.symposium else "rules"
    detail = {"rule": key, "series": whose.series.key if whose.series else None}
    audit.record(session, actor=actor, action=action, subject=subject, now=now, detail=detail)
