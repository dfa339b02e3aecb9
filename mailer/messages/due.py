"""When a reminder falls due for one reader: a pure function of the rule, the event and the reader's zone.

Stored due times are a cache of it. Days and weeks are civil (the same clock time), hours and
minutes are absolute. Nothing "before" lies at or after the start; nothing is later than
its grace. Nights are kept free where the reader's zone is known.
"""

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mailer.messages import when
from mailer.vocabulary import Precision, RuleTiming

GRACE = dt.timedelta(hours=6)  # the most a mail of a rule may be late
LONG_LEAD = dt.timedelta(hours=12)  # from this lead on a reminder keeps off the night by itself
CLOSE = dt.timedelta(minutes=60)  # two reminders so near to each other are one too many
DAY_HOUR = dt.time(9)  # for a symposium whose hour is not known yet


@dataclass(frozen=True)
class Night:
    """The hours in which nobody is written to, on the reader's clock; both ends are allowed. Two equal ends
    make no night."""

    begins: dt.time = dt.time(22)
    ends: dt.time = dt.time(8)

    def __str__(self) -> str:
        return f"{self.begins:%H:%M}-{self.ends:%H:%M}"

    def holds(self, clock: dt.time) -> bool:
        if self.begins > self.ends:
            return clock > self.begins or clock < self.ends
        return self.begins < clock < self.ends

    def around(self, moment: dt.datetime, zone: str) -> tuple[dt.datetime, dt.datetime]:
        """Beginning and end of the night in which a moment lies."""
        local = when.local(moment, zone)
        evening = morning = local.date()
        if self.begins > self.ends:
            evening = local.date() if local.time() > self.begins else local.date() - dt.timedelta(days=1)
            morning = evening + dt.timedelta(days=1)
        return when.instant(evening, self.begins, zone), when.instant(morning, self.ends, zone)


NIGHT = Night()


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule's own words. `clock`, `at_day`, `zone` and `later` are the wall time of an AT rule; `clock` of
    a DAYS_BEFORE rule is the hour instead of the event's own. `quiet` None: as its lead has it."""

    key: str
    timing: RuleTiming
    days: int = 0
    minutes: int = 0
    clock: dt.time | None = None
    at_day: dt.date | None = None
    zone: str | None = None
    later: bool = False
    quiet: bool | None = None

    @property
    def after(self) -> bool:
        return self.timing is RuleTiming.AFTER_END


@dataclass(frozen=True, kw_only=True)
class Event:
    """When something is, as exactly as it is known; `minutes` is its length."""

    precision: Precision
    day: dt.date | None
    wall_time: dt.time | None
    zone: str | None
    minutes: int = 60
    later: bool = False  # the second of a time that comes twice on its day

    @property
    def starts_at(self) -> dt.datetime | None:
        if self.precision is not Precision.DATETIME or not (self.day and self.zone) or self.wall_time is None:
            return None
        return when.instant(self.day, self.wall_time, self.zone, fold_later=self.later)

    @property
    def over_at(self) -> dt.datetime | None:
        """When it has ended, as far as is known: its end, or that of its day."""
        if self.precision is Precision.DATE and self.day and self.zone:
            return when.instant(self.day + dt.timedelta(days=1), dt.time(0), self.zone)
        starts_at = self.starts_at
        return starts_at and starts_at + dt.timedelta(minutes=self.minutes)

    @property
    def limit(self) -> dt.datetime | None:
        """What no reminder may reach: the start, or the first moment of a day whose hour is not known."""
        if self.precision is Precision.DATE and self.day and self.zone:
            return when.instant(self.day, dt.time(0), self.zone)
        return self.starts_at


@dataclass(frozen=True)
class Due:
    """`at`: when it falls due. `until`: when it is too late. `lead`: how long before the start it was
    meant; negative after it."""

    at: dt.datetime
    until: dt.datetime
    lead: dt.timedelta


def due(rule: Rule, event: Event, reader_zone: str | None = None, night: Night = NIGHT) -> Due | None:
    """When this rule falls due for a reader; None where the event is not known exactly enough for it, or
    the moment would not lie before the start."""
    limit = event.limit
    planned = _planned(rule, event)
    if planned is None or limit is None:
        return None
    lead = limit - planned
    if rule.after:
        return Due(planned, planned + GRACE, lead)
    if lead <= dt.timedelta(0):
        return None
    at = planned
    if reader_zone is not None and when.is_zone(reader_zone) and _keeps_nights(rule, lead):
        at = by_day(planned, reader_zone, limit, night)
    return Due(at, min(limit, at + min((limit - at) / 2, GRACE)), lead)


def fell_due(until: dt.datetime, limit: dt.datetime) -> dt.datetime:
    """When a reminder fell due whose grace ends at `until`: what `due` did, backwards."""
    return until - GRACE if limit - until >= GRACE else until - (limit - until)


def _planned(rule: Rule, event: Event) -> dt.datetime | None:
    starts_at = event.starts_at
    match rule.timing:
        case RuleTiming.DAYS_BEFORE:
            return _days_before(rule, event)
        case RuleTiming.MINUTES_BEFORE:
            return starts_at and when.minus_exactly(starts_at, dt.timedelta(minutes=rule.minutes))
        case RuleTiming.AT:
            if rule.at_day is None or rule.clock is None or rule.zone is None:
                return None
            return when.instant(rule.at_day, rule.clock, rule.zone, fold_later=rule.later)
        case RuleTiming.AFTER_END:
            return starts_at and starts_at + dt.timedelta(minutes=event.minutes + rule.minutes)


def _days_before(rule: Rule, event: Event) -> dt.datetime | None:
    if event.day is None or event.zone is None or event.limit is None:
        return None
    hour = rule.clock or (event.wall_time if event.precision is Precision.DATETIME else DAY_HOUR) or DAY_HOUR
    return when.minus_days(event.day, hour, event.zone, rule.days)


def _keeps_nights(rule: Rule, lead: dt.timedelta) -> bool:
    return lead >= LONG_LEAD if rule.quiet is None else rule.quiet


def by_day(moment: dt.datetime, zone: str, limit: dt.datetime, night: Night = NIGHT) -> dt.datetime:
    """The moment, or the next one outside the reader's night; the last one before it where that is not
    before `limit`."""
    if not night.holds(when.local(moment, zone).time()):
        return moment
    evening, morning = night.around(moment, zone)
    return morning if morning < limit else evening


def superseded(
    rules: Iterable[Rule], event: Event, reader_zone: str | None = None, night: Night = NIGHT
) -> frozenset[str]:
    """Keys of the reminders that another one with a shorter lead makes needless: both fall within an hour.

    Of two with the same lead one stays.
    """
    found = [
        (rule.key, one) for rule in rules if not rule.after and (one := due(rule, event, reader_zone, night))
    ]
    return frozenset(key for key, one in found if _overtaken(key, one, found))


def _overtaken(key: str, one: Due, others: Collection[tuple[str, Due]]) -> bool:
    return any(
        (other.lead, name) < (one.lead, key) and abs(other.at - one.at) < CLOSE for name, other in others
    )
