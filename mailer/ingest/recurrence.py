"""The days on which a repeated event falls, within a year and within bounds.

Rules from outside can ask for a date that never comes, or for one in each second since
1900; the libraries look for it until the year 9999. Here days are walked, each at most
once, and a rule with finer or rarer parts than those below is left to a person.
"""

import calendar
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

MOST_DAYS = 366 * 10  # walked for one rule: a count must be counted from its beginning
MOST_OCCURRENCES = 100  # of one event within the window
_PARTS = frozenset(("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "WKST"))
_WEEKDAYS = {name: number for number, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))}


class NotExpanded(Exception):
    """The rule is left to a person; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The parts of an RRULE (RFC 5545 3.3.10) that are read here."""

    start: date
    every: str
    interval: int
    count: int | None
    until: date | None
    weekdays: tuple[tuple[int, int], ...]  # (0 or which of the month, weekday)
    month_days: tuple[int, ...]
    months: tuple[int, ...]
    week_start: int


def read_rule(parts: Mapping[str, Sequence[object]], start: date) -> Rule:
    """Read an RRULE's parts. Raises NotExpanded for what is not read."""
    strange = sorted(set(map(str, parts)) - _PARTS)
    if strange:
        raise NotExpanded(f"It repeats by a rule with {strange[0]}, which is not read.")
    every = str(_one(parts, "FREQ", ""))
    if every not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        raise NotExpanded("It repeats more often than daily, or its rule cannot be read.")
    until = _one(parts, "UNTIL", None)
    rule = Rule(
        start=start,
        every=every,
        interval=_number(_one(parts, "INTERVAL", 1)),
        count=_number(parts["COUNT"][0]) if parts.get("COUNT") else None,
        until=until.date() if isinstance(until, datetime) else until if isinstance(until, date) else None,
        weekdays=tuple(_weekday(str(day)) for day in parts.get("BYDAY", ())),
        month_days=tuple(int(str(day)) for day in parts.get("BYMONTHDAY", ())),
        months=tuple(int(str(month)) for month in parts.get("BYMONTH", ())),
        week_start=_WEEKDAYS.get(str(_one(parts, "WKST", "MO")), 0),
    )
    if every == "WEEKLY" and rule.month_days:
        raise NotExpanded("It repeats weekly on days of the month, which no rule may.")
    if any(nth for nth, _ in rule.weekdays) and (every not in ("MONTHLY", "YEARLY") or not _by_month(rule)):
        raise NotExpanded("It repeats on a numbered weekday of something that is no month.")
    return rule


def days_of(rule: Rule, first: date, last: date) -> list[date]:
    """Return the rule's days from `first` to `last`. Raises NotExpanded when they are too many or too far."""
    found: list[date] = []
    count = 0
    begin, end = _span(rule, first, last)
    if (end - begin).days > MOST_DAYS:
        raise NotExpanded("It began so long ago that its repetitions were not counted.")
    for day in _walk(begin, end):
        if not (day == rule.start or _falls_on(rule, day)):
            continue
        count += 1
        if rule.count is not None and count > rule.count:
            break
        if day >= first:
            found.append(day)
        if len(found) > MOST_OCCURRENCES:
            raise NotExpanded(f"It repeats more than {MOST_OCCURRENCES} times within a year.")
    return found


def days_walked(rule: Rule, first: date, last: date) -> int:
    """Return what `days_of` would cost, in days."""
    begin, end = _span(rule, first, last)
    return min(max((end - begin).days, 0), MOST_DAYS)


def _span(rule: Rule, first: date, last: date) -> tuple[date, date]:
    begin = rule.start if rule.count is not None else max(rule.start, first)
    return begin, min(last, rule.until or last)


def _walk(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=step) for step in range((last - first).days + 1))


def _falls_on(rule: Rule, day: date) -> bool:
    start = rule.start
    if rule.every == "DAILY":
        return (day - start).days % rule.interval == 0 and _fits(rule, day)
    if rule.every == "WEEKLY":
        weeks = (_week(day, rule.week_start) - _week(start, rule.week_start)).days // 7
        wanted = {weekday for _, weekday in rule.weekdays} or {start.weekday()}
        return weeks % rule.interval == 0 and day.weekday() in wanted and _fits(rule, day)
    if rule.every == "MONTHLY":
        months = (day.year - start.year) * 12 + day.month - start.month
        return months % rule.interval == 0 and _fits(rule, day, by_default=day.day == start.day)
    same_day = (day.month, day.day) == (start.month, start.day)
    by_default = day.day == start.day if rule.months else same_day
    return (day.year - start.year) % rule.interval == 0 and _fits(rule, day, by_default=by_default)


def _fits(rule: Rule, day: date, *, by_default: bool = True) -> bool:
    """True when the day passes the rule's lists; without lists of days, what the start's day says."""
    if rule.months and day.month not in rule.months:
        return False
    if not rule.weekdays and not rule.month_days:
        return by_default
    length = calendar.monthrange(day.year, day.month)[1]
    if rule.month_days and not {day.day, day.day - length - 1} & set(rule.month_days):
        return False
    if not rule.weekdays:
        return True
    which = (0, (day.day - 1) // 7 + 1, -((length - day.day) // 7 + 1))
    return any(weekday == day.weekday() and nth in which for nth, weekday in rule.weekdays)


def _by_month(rule: Rule) -> bool:
    return rule.every == "MONTHLY" or bool(rule.months)


def _week(day: date, week_start: int) -> date:
    return day - timedelta(days=(day.weekday() - week_start) % 7)


def _one(parts: Mapping[str, Sequence[object]], name: str, default: object) -> object:
    values = parts.get(name)
    return values[0] if values else default


def _number(value: object) -> int:
    number = int(str(value))
    if not 1 <= number <= 10_000:
        raise NotExpanded("Its rule holds a number that cannot be meant.")
    return number


def _weekday(text: str) -> tuple[int, int]:
    number, name = text[:-2], text[-2:].upper()
    if name not in _WEEKDAYS:
        raise NotExpanded("Its rule names a weekday that does not exist.")
    nth = int(number or 0)
    if abs(nth) > 5:
        raise NotExpanded("Its rule counts weekdays beyond a month.")
    return nth, _WEEKDAYS[name]
