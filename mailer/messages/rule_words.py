"""Rules as staff write them: "before 1 day at 09:00", "after end 30 minutes attended".

Pure: words to a rule and back. The key of a rule says everything that makes its moment, so that the
same moment is one rule, whoever makes it.
"""

import datetime as dt
import re

from mailer.messages import when
from mailer.messages.due import Rule
from mailer.vocabulary import RuleAudience, RuleTiming

LONGEST = 400  # characters of a rule's words
MOST_DAYS = 366
MOST_MINUTES = 60 * 24 * 31
HOW = (
    'Write it like "before 1 day", "before 2 weeks at 09:00", "before 90 minutes", '
    '"at 2024-02-20 18:00 Asia/Yerevan" or "after end 30 minutes attended".'
)
_BEFORE = re.compile(r"before (\d{1,5}) (day|week|hour|minute)s?(?: at (\d{1,2}:\d{2}))?")
_AT = re.compile(r"at (\d{4}-\d{2}-\d{2}) (\d{1,2}:\d{2}) (\S+)(?: (first|later))?")
_AFTER = re.compile(r"after end (\d{1,5}) minutes?(?: (attended|no-show|all))?")
_AUDIENCES = {
    None: RuleAudience.ALL,
    "all": RuleAudience.ALL,
    "attended": RuleAudience.ATTENDED,
    "no-show": RuleAudience.NO_SHOW,
}


class RuleUnread(ValueError):
    """These words are no rule; the message says how to write one."""


def read(words: str) -> tuple[Rule, RuleAudience]:
    """The rule these words mean, and for whom of the attendees it is. Raises RuleUnread, UnknownZone."""
    text = " ".join(words[:LONGEST].lower().split())
    if found := _BEFORE.fullmatch(text):
        return _before(int(found[1]), found[2], found[3]), RuleAudience.ALL
    if _AT.fullmatch(text):
        found = _AT.fullmatch(" ".join(words[:LONGEST].split()))  # zones are written with capitals
        if found:
            return _at(found[1], found[2], found[3], found[4]), RuleAudience.ALL
    if found := _AFTER.fullmatch(text):
        minutes, audience = _bounded(int(found[1]), MOST_MINUTES), _AUDIENCES[found[2]]
        tail = "" if audience is RuleAudience.ALL else f"-{audience.value.replace('_', '-')}"
        return Rule(key=f"after{minutes}m{tail}", timing=RuleTiming.AFTER_END, minutes=minutes), audience
    raise RuleUnread(f'"{words[:80]}" is no rule. {HOW}')


def _before(number: int, unit: str, clock: str | None) -> Rule:
    if unit in {"hour", "minute"}:
        if clock is not None:
            raise RuleUnread(f'Hours and minutes are counted from the start and take no "at {clock}". {HOW}')
        minutes = _bounded(number * (60 if unit == "hour" else 1), MOST_MINUTES)
        key = f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
        return Rule(key=key, timing=RuleTiming.MINUTES_BEFORE, minutes=minutes)
    days = number * (7 if unit == "week" else 1)
    if clock is None or days:
        days = _bounded(days, MOST_DAYS)
    hour = _clock(clock) if clock else None
    key = f"{days // 7}w" if days and days % 7 == 0 else f"{days}d"
    return Rule(
        key=key + (f"-{hour:%H%M}" if hour else ""), timing=RuleTiming.DAYS_BEFORE, days=days, clock=hour
    )


def _at(day: str, clock: str, zone: str, which: str | None) -> Rule:
    when.zone_named(zone)
    try:
        on = dt.date.fromisoformat(day)
    except ValueError:
        raise RuleUnread(f'"{day}" is no day of the calendar. {HOW}') from None
    hour = _clock(clock)
    occurs = when.wall_time(on, hour, zone)
    if occurs is not when.WallTime.ONCE and which is None:
        raise RuleUnread(choose(on, hour, zone, 'add "first" or "later" to the rule'))
    later = which == "later"
    tail = "-later" if later and occurs is when.WallTime.TWICE else ""
    return Rule(
        key=f"at-{on:%Y%m%d}T{hour:%H%M}-{zone.replace('/', '.')}{tail}"[:64],
        timing=RuleTiming.AT,
        at_day=on,
        clock=hour,
        zone=zone,
        later=later,
    )


def choose(day: dt.date, hour: dt.time, zone: str, how: str) -> str:
    """The question for a wall time that comes twice on its day or not at all, with both readings."""
    first = when.instant(day, hour, zone)
    if when.wall_time(day, hour, zone) is when.WallTime.SKIPPED:
        shown = when.local(first, zone)
        return (
            f"On {day} the clocks of {zone} jump over {hour:%H:%M}: there it becomes {shown:%H:%M} "
            f"({first:%H:%M} UTC). Write that hour, or {how} to mean it."
        )
    later = when.instant(day, hour, zone, fold_later=True)
    return (
        f"On {day} the clocks of {zone} show {hour:%H:%M} twice: first at {first:%H:%M} UTC, later at "
        f"{later:%H:%M} UTC. Choose one: {how}."
    )


def _clock(text: str) -> dt.time:
    try:
        return dt.time.fromisoformat(text.zfill(5))
    except ValueError:
        raise RuleUnread(f'"{text}" is no time of day. Write it with 24 hours, such as 09:00.') from None


def _bounded(number: int, most: int) -> int:
    if 1 <= number <= most:
        return number
    raise RuleUnread(f"A rule counts from 1 to {MOST_DAYS} days, or to {MOST_MINUTES} minutes. {HOW}")


def say(rule: Rule, audience: RuleAudience = RuleAudience.ALL) -> str:
    """The rule in the words that make it."""
    match rule.timing:
        case RuleTiming.DAYS_BEFORE:
            weeks = rule.days and rule.days % 7 == 0
            number = _many(rule.days // 7 if weeks else rule.days, "week" if weeks else "day")
            return f"before {number}" + (f" at {rule.clock:%H:%M}" if rule.clock else "")
        case RuleTiming.MINUTES_BEFORE:
            hours = rule.minutes % 60 == 0
            number = _many(rule.minutes // 60, "hour") if hours else _many(rule.minutes, "minute")
            return f"before {number}"
        case RuleTiming.AT:
            return f"at {rule.at_day} {rule.clock:%H:%M} {rule.zone}" + (" later" if rule.later else "")
        case RuleTiming.AFTER_END:
            return f"after end {_many(rule.minutes, 'minute')} {audience.value.replace('_', '-')}"


def _many(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
