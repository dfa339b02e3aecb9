"""The strict date grammar: one line of a programme is read whole, or not at all.

    line  = [weekday ","] month day ["," year] ["," time [zone]] "," title
          | month year "(date TBA)" "," title
    time  = "12noon" | "12 noon" | "noon" | h[":"mm] ("am"|"pm"|"a.m."|"p.m.") | hh":"mm
    zone  = ET | EST | EDT | UTC | GMT | a name the source's settings list
    title = "..." | “...” | rest of line

Pure: text in, facts out. It never looks at a clock, never completes a year (years.py
does, from the neighbours) and never takes the first date it can find in a sentence.
"""

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Literal

from mailer.ingest.zones import ZONES, zone_of
from mailer.visible import one_line

TITLE_LETTERS = 300  # longer is prose that happens to start with a date
LEAP_YEAR = 2024  # February has 29 days while the year is unknown

WEEKDAYS = tuple(calendar.day_name)
MONTHS = tuple(calendar.month_name)

_WEEKDAY = (
    r"(?:mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:r(?:s(?:day)?)?)?"
    r"|fri(?:day)?|sat(?:urday)?|sun(?:day)?)"
)
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_YEAR = r"(?:19|20|21)\d\d"
_HEAD = re.compile(
    rf"(?:(?P<weekday>{_WEEKDAY})\.?, ?)?(?P<month>{_MONTH})\.? (?P<day>\d{{1,2}})(?P<rest>,.*)?",
    re.I | re.A,
)
_TBA = re.compile(rf"(?P<month>{_MONTH})\.? (?P<year>{_YEAR}) ?\(date TBA\), ?(?P<title>.+)", re.I | re.A)
_TIME = re.compile(
    r"(?:(?P<noon>(?:12 ?)?noon)|(?P<midnight>(?:12 ?)?midnight)"
    r"|(?P<hour>\d{1,2})(?::(?P<minute>\d\d))? ?(?P<half>[ap])(?:m|\.m\.)"
    r"|(?P<hours>\d\d):(?P<minutes>\d\d))(?: (?P<zone>[A-Za-z][A-Za-z/_+-]*))?",
    re.I | re.A,
)
_LIKE_TIME = re.compile(
    r"(?:\d{1,2}(?:[:.]\d\d)? ?(?:[ap]\.?m\b|noon\b|midnight\b)|noon\b|midnight\b|\d{1,2}:\d\d\b)",
    re.I | re.A,
)
_LIKE_DATE = re.compile(
    rf"(?:{_WEEKDAY}\b.{{0,25}}?(?:\b{_MONTH}\b|\d)"
    rf"|{_MONTH}\b\.? ?(?:\d|\()"
    rf"|\d{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTH}\b"
    r"|\d{1,4}[./-]\d{1,2}[./-]\d{1,4}\b"
    r"|.{0,60}\(date TBA\))",
    re.I | re.A,
)
_ALONE = re.compile(
    rf"(?:(?:published|posted|date)(?: on)?:? )?(?:(?:(?P<weekday>{_WEEKDAY})\.?, ?)?"
    rf"(?:(?P<month>{_MONTH})\.? (?P<day>\d{{1,2}}), (?P<year>{_YEAR})"
    rf"|(?P<day2>\d{{1,2}}) (?P<month2>{_MONTH})\.?,? (?P<year2>{_YEAR}))|(?P<iso>{_YEAR}-\d\d-\d\d))",
    re.I | re.A,
)
_NOT_A_DATE = "It starts like a date but is not written like the programme's other lines."


@dataclass(frozen=True, kw_only=True)
class DateLine:
    """One line of a programme. What the line does not say is None; `held` says what it leaves open."""

    weekday: int | None  # Monday is 0
    month: int
    day: int | None  # None: "(date TBA)"
    year: int | None
    time: time | None
    zone: str | None  # IANA
    zone_word: str | None  # as printed
    title: str
    quoted: bool
    held: str | None = None

    @property
    def to_be_announced(self) -> bool:
        return self.day is None

    @property
    def certain_event(self) -> bool:
        """True when the line is a programme's beyond doubt, not a sentence that starts with a date."""
        return self.quoted or self.to_be_announced or self.time is not None or self.held is not None


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """The line starts like a date and is not one of the grammar's. `why` is a sentence for staff."""

    why: str


@dataclass(frozen=True, kw_only=True)
class Contradiction:
    """The line says two things that cannot both be true. `why` is a sentence for staff."""

    why: str


@dataclass(frozen=True, kw_only=True)
class _Clock:
    at: time | None = None
    zone: str | None = None
    zone_word: str | None = None
    held: str | None = None


def read_line(text: str, zones: Mapping[str, str] = ZONES) -> DateLine | Unreadable | None:
    """Read one line by the grammar above; None when it does not even start like a date."""
    line = one_line(text)
    to_be_announced = _TBA.fullmatch(line)
    if to_be_announced:
        return _announced_later(to_be_announced)
    head = _HEAD.fullmatch(line)
    if not head:
        return Unreadable(why=_NOT_A_DATE) if starts_like_date(line) else None
    day, month = int(head["day"]), month_number(head["month"])
    year, rest = _take_year(head["rest"] or "")
    if not 1 <= day <= calendar.monthrange(year or LEAP_YEAR, month)[1]:
        return Unreadable(why=f"{MONTHS[month]} {f'{year} ' if year else ''}has no day {day}.")
    clock, rest = _take_time(rest, zones)
    if isinstance(clock, Unreadable):
        return clock
    title = _title(rest)
    if isinstance(title, Unreadable):
        return title
    return DateLine(
        weekday=weekday_number(head["weekday"]) if head["weekday"] else None,
        month=month,
        day=day,
        year=year,
        time=clock.at,
        zone=clock.zone,
        zone_word=clock.zone_word,
        title=title[0],
        quoted=title[1],
        held=clock.held,
    )


def read_date_alone(text: str) -> date | Contradiction | None:
    """Read a line that is a full date and nothing else: the date of a statement.

    Takes `July 17, 2021`, `17 July 2021` and `2021-07-17`, with a weekday or "Published" before it.
    """
    match = _ALONE.fullmatch(one_line(text))
    if not match:
        return None
    try:
        if match["iso"]:
            return date.fromisoformat(match["iso"])
        month = month_number(match["month"] or match["month2"])
        day = date(int(match["year"] or match["year2"]), month, int(match["day"] or match["day2"]))
    except ValueError:
        return Contradiction(why=f"There is no such day as “{one_line(text)}”.")
    if match["weekday"] and weekday_number(match["weekday"]) != day.weekday():
        return Contradiction(why=f"“{one_line(text)}” was a {WEEKDAYS[day.weekday()]}.")
    return day


def starts_like_date(text: str) -> bool:
    """True for a line that a reader would take for a dated entry, whether or not the grammar reads it."""
    return _LIKE_DATE.match(text) is not None


def month_number(word: str) -> int:
    """Return 1..12 for an English month, whole or abbreviated."""
    return next(n for n, month in enumerate(MONTHS) if n and month[:3].lower() == word[:3].lower())


def weekday_number(word: str) -> int:
    """Return 0 (Monday) .. 6 for an English weekday, whole or abbreviated."""
    return next(n for n, weekday in enumerate(WEEKDAYS) if weekday[:3].lower() == word[:3].lower())


def _announced_later(match: re.Match[str]) -> DateLine | Unreadable:
    title = _title(f",{match['title']}")
    if isinstance(title, Unreadable):
        return title
    return DateLine(
        weekday=None,
        month=month_number(match["month"]),
        day=None,
        year=int(match["year"]),
        time=None,
        zone=None,
        zone_word=None,
        title=title[0],
        quoted=title[1],
    )


def _take_year(rest: str) -> tuple[int | None, str]:
    match = re.fullmatch(rf", ?({_YEAR})(,.*)?", rest)
    if not match:
        return None, rest
    return int(match[1]), match[2] or ""


def _take_time(rest: str, zones: Mapping[str, str]) -> tuple[_Clock | Unreadable, str]:
    match = re.fullmatch(r", ?([^,]*)(,.*)?", rest)
    if not match or not _LIKE_TIME.match(match[1]):
        return _Clock(), rest
    parts = _TIME.fullmatch(match[1].strip())
    if not parts:
        why = f"“{match[1].strip()}” is not a time like “12 noon ET” or “5:30 p.m. ET”."
        return Unreadable(why=why), rest
    return _clock(parts, zones), match[2] or ""


def _clock(parts: re.Match[str], zones: Mapping[str, str]) -> _Clock | Unreadable:
    said = parts[0]
    at = _wall_time(parts)
    if at is None:
        return Unreadable(why=f"“{said}” is not a time of day.")
    if isinstance(at, str):
        return _Clock(held=f"“{said}” can be the start or the end of the day. Which is meant?")
    word = parts["zone"]
    if word is None:
        return _Clock(at=at, held=f"“{said}” names no time zone. Which is meant?")
    zone = zone_of(word, zones)
    if zone is None:
        held = f"“{word}” is not one of this source's time zones. Which is meant?"
        return _Clock(at=at, zone_word=word, held=held)
    return _Clock(at=at, zone=zone, zone_word=word.upper())


def _wall_time(parts: re.Match[str]) -> time | Literal["midnight"] | None:
    if parts["noon"]:
        return time(12)
    if parts["midnight"] or parts["hours"] == "24":
        return "midnight"
    if parts["hours"]:
        return _time_of_day(int(parts["hours"]), int(parts["minutes"]))
    hour, minute = int(parts["hour"]), int(parts["minute"] or 0)
    if not 1 <= hour <= 12:
        return None
    if hour == 12 and parts["half"] in "aA":
        return "midnight"
    return _time_of_day(hour % 12 + (12 if parts["half"] in "pP" else 0), minute)


def _time_of_day(hour: int, minute: int) -> time | None:
    return time(hour, minute) if hour < 24 and minute < 60 else None


def _title(rest: str) -> tuple[str, bool] | Unreadable:
    title = rest.removeprefix(",").strip()
    if not rest.startswith(",") or not title:
        return Unreadable(why="A comma and a title are missing after the date.")
    if len(title) > TITLE_LETTERS:
        return Unreadable(why=f"What follows the date is longer than a title ({TITLE_LETTERS} letters).")
    for opening, closing in ('""', "“”"):
        if title.startswith(opening):
            inside = title[1:-1].strip()
            if not title.endswith(closing) or not inside:
                return Unreadable(why="The title's quotation marks do not enclose it to the end of the line.")
            return inside, True
    if title.split(",")[0].isdigit():
        return Unreadable(why="A number stands where the year, the time or the title should be.")
    if any(_LIKE_TIME.match(part.strip()) for part in title.split(",")):
        return Unreadable(why="A time stands where the title should be.")
    return title, False
