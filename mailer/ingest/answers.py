"""What a person answers about a held draft, and what is open after that.

Pure. A held draft and the answers together are a draft again; what nobody has said stays
open, and nothing is chosen in a person's place.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, time

from mailer.ingest.draft import SymposiumDraft
from mailer.ingest.programme import symposium_key
from mailer.ingest.zones import clock_change
from mailer.vocabulary import FieldSource, Precision

_DATES = ("day", "month", "year", "undated")


class NoAnswer(Exception):
    """The answer does not fit what is asked; the message says what would."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """All that persons have said so far. Of day, month, year and undated at most one is set.

    `as_read`: it is right as it stands there. `same_as`: it is this known one (its number), which stays
    as it is.
    """

    day: date | None = None
    month: tuple[int, int] | None = None
    year: int | None = None
    undated: bool = False
    hour: time | None = None
    zone: str | None = None
    later: bool | None = None  # of an hour that the clocks pass twice or skip
    minutes: int | None = None
    title: str | None = None
    as_read: bool = False
    same_as: int | None = None

    @property
    def dated(self) -> bool:
        """True when a person said the date, or that there is none yet."""
        return self.undated or any((self.day, self.month, self.year))

    def with_(self, new: "Answers") -> "Answers":
        """These answers with the new ones in their place."""
        given = {one.name: getattr(new, one.name) for one in fields(new)}
        said = {name: value for name, value in given.items() if value is not None and value is not False}
        if new.dated:
            said = {**{name: given[name] for name in _DATES}, **said}
        if new.same_as is not None:
            return replace(Answers(), same_as=new.same_as)
        return replace(self, **said, same_as=None)


def chosen(draft: SymposiumDraft, number: int) -> date:
    """The reading of this number, counted from 1. Raises NoAnswer."""
    if not draft.readings:
        raise NoAnswer("It offers no readings to choose from. Say the date with --date, such as 2024-09-27.")
    if not 1 <= number <= len(draft.readings):
        raise NoAnswer(f"It has the readings 1 to {len(draft.readings)}. See them with: mailer proposal show")
    return draft.readings[number - 1]


def in_year(draft: SymposiumDraft, year: int) -> Answers:
    """The printed day or month in this year; the year alone where neither is known. Raises NoAnswer."""
    month, day = draft.month_day or (draft.month[1] if draft.month else None, None)
    if month is None:
        return Answers(year=year)
    if day is None:
        return Answers(month=(year, month))
    try:
        return Answers(day=date(year, month, day))
    except ValueError:
        raise NoAnswer(
            f"There is no {month:02}-{day:02} in {year}. Say the date with --date YYYY-MM-DD."
        ) from None


def open_about(draft: SymposiumDraft, answers: Answers) -> list[str]:
    """What is still open, each with how to answer it; nothing when the draft may be accepted."""
    if answers.same_as is not None:
        return []
    missing = [
        words
        for words in (
            None if answers.title or draft.title else "Its title is not known: --title",
            _open_date(draft, answers),
            *_open_hour(draft, answers),
        )
        if words
    ]
    if missing or answers != Answers():
        return missing
    return ["If it is right as it was read: --as-read; else say what is right"]


def _open_date(draft: SymposiumDraft, answers: Answers) -> str | None:
    if answers.dated:
        return None
    if len(draft.readings) > 1 and not (answers.as_read and draft.day):
        numbers = ", ".join(f"{at} for {day:%a} {day}" for at, day in enumerate(draft.readings, start=1))
        return f"Which date is right? --reading {numbers}; or another with --date"
    if draft.day is None and draft.month is None:
        year = "--year, " if draft.month_day else ""
        return f"Its date is not known: {year}--date, --month, or --undated while nobody has said"
    return None


def _open_hour(draft: SymposiumDraft, answers: Answers) -> list[str]:
    day, at, zone = _day(draft, answers), _time(draft, answers), answers.zone or draft.zone
    if day is None:
        return ["An hour needs its day: --date"] if answers.hour else []
    if at is None:
        return []
    if zone is None:
        return [f"Where is {at:%H:%M} meant? --zone, such as America/New_York"]
    change = clock_change(day, at, zone)
    return (
        [f"{change} --fold first, --fold later, or another hour with --time"]
        if _unsaid(change, answers)
        else []
    )


def _unsaid(change: str | None, answers: Answers) -> bool:
    return change is not None and answers.later is None


def _day(draft: SymposiumDraft, answers: Answers) -> date | None:
    return answers.day if answers.dated else draft.day


def _time(draft: SymposiumDraft, answers: Answers) -> time | None:
    return answers.hour or draft.time or draft.printed_time


def answered(draft: SymposiumDraft, answers: Answers) -> SymposiumDraft:
    """The draft as it stands after the answers. What a person said has the source `staff`.

    For a month or a year alone `day` is None, as in every draft; of a year the caller knows more.
    """
    day, month = _day(draft, answers), draft.month
    if answers.dated:
        month = answers.month or ((day.year, day.month) if day else None)
    at = _time(draft, answers) if day else None
    zone = (answers.zone or draft.zone) if at else None
    exact = at is not None and zone is not None
    settled = answers.dated or answers.as_read
    title = answers.title or draft.title
    return replace(
        draft,
        key=draft.key if draft.uid else symposium_key(title, month),
        title=title,
        precision=_precision(day, month, answers, exact=exact),
        day=day,
        month=month,
        time=at if exact else None,
        zone=zone if exact else None,
        minutes=answers.minutes or draft.minutes,
        sources={**draft.sources, **dict.fromkeys(_said(draft, answers), FieldSource.STAFF)},
        needs_confirmation=() if settled else draft.needs_confirmation,
        held=None,
        readings=(),
    )


def _precision(
    day: date | None, month: tuple[int, int] | None, answers: Answers, *, exact: bool
) -> Precision:
    if day:
        return Precision.DATETIME if exact else Precision.DATE
    if answers.year:
        return Precision.YEAR
    return Precision.MONTH if month else Precision.NONE


def _said(draft: SymposiumDraft, answers: Answers) -> Sequence[str]:
    """The fields that a person settled: what they said, or all that they said to be right as read."""
    date_fields = ("day", "month", "year") if answers.dated or answers.as_read else ()
    named = {
        "time": answers.hour or answers.later is not None or (answers.as_read and draft.time),
        "zone": answers.zone or (answers.as_read and draft.zone),
        "minutes": answers.minutes,
        "title": answers.title,
    }
    return (*date_fields, *(name for name, value in named.items() if value))
