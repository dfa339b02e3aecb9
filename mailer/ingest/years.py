"""Which date a programme's lines mean: the missing year by its weekday, and contradictions.

A year is inferred only from a weekday that fits one year near the programme's own,
and only when the date then stands in its place among its dated neighbours. "The next
such date" is never the answer, and of two readings none is chosen.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from mailer.ingest.dates import MONTHS, WEEKDAYS, DateLine
from mailer.vocabulary import FieldSource

# A date meets its weekday again after 5 years at the earliest, so five years hold it at most once.
WINDOW = range(-2, 3)
_Span = tuple[date, date]


@dataclass(frozen=True, kw_only=True)
class Dated:
    """What a line's date is. With `held`, it is unknown and `readings` are what it could be."""

    day: date | None = None
    month: tuple[int, int] | None = None
    year_source: FieldSource | None = None
    held: str | None = None
    readings: tuple[date, ...] = ()
    inferred: str | None = None  # the sentence a person must confirm


def date_lines(lines: Sequence[DateLine], *, fetched_on: date) -> list[Dated]:
    """Date every line of one block, in its order. `fetched_on` is used when no line names a year."""
    explicit = [_explicit(line) for line in lines]
    return [
        dated if dated is not None else _infer(index, lines, explicit, fetched_on)
        for index, dated in enumerate(explicit)
    ]


def _explicit(line: DateLine) -> Dated | None:
    if line.year is None:
        return None
    if line.day is None:
        return Dated(month=(line.year, line.month), year_source=FieldSource.EXPLICIT)
    day = date(line.year, line.month, line.day)
    if line.weekday is None or line.weekday == day.weekday():
        return Dated(day=day, month=(day.year, day.month), year_source=FieldSource.EXPLICIT)
    before = day - timedelta(days=(day.weekday() - line.weekday) % 7)
    after = before + timedelta(days=7)
    return Dated(
        held=(
            f"The line says {WEEKDAYS[line.weekday]}, but {spell(day)} is a {WEEKDAYS[day.weekday()]}. "
            f"Either the date is right, or a {WEEKDAYS[line.weekday]} is meant: "
            f"{spell(before)} or {spell(after)}."
        ),
        readings=(day, before, after),
    )


def _infer(
    index: int, lines: Sequence[DateLine], explicit: Sequence[Dated | None], fetched_on: date
) -> Dated:
    line = lines[index]
    said = f"{MONTHS[line.month]} {line.day}"
    if line.weekday is None:
        return Dated(held=f"The line gives {said} without a year and without a weekday. Which year is it?")
    bases = {span[0].year for span in _neighbours(index, explicit) if span} or {fetched_on.year}
    fits = sorted({day for base in bases for day in _days_near(base, line)})
    if not fits:
        near = " or ".join(str(base) for base in sorted(bases))
        return Dated(held=f"{said} is no {WEEKDAYS[line.weekday]} in any year near {near}. Which date is it?")
    if len(fits) > 1:
        return Dated(held=f"{said} has no year, and more than one fits. Which is it?", readings=tuple(fits))
    day = fits[0]
    if not _in_its_place(day, index, explicit):
        held = f"{said} would be in {day.year} by its weekday, but then it stands out of order. Which year?"
        return Dated(held=held, readings=(day,))
    return Dated(
        day=day,
        month=(day.year, day.month),
        year_source=FieldSource.WEEKDAY,
        inferred=(
            f"The year {day.year} is inferred: {said} is a {WEEKDAYS[line.weekday]} in {day.year}. "
            f"Is it {WEEKDAYS[line.weekday]}, {spell(day)}?"
        ),
    )


def _neighbours(index: int, explicit: Sequence[Dated | None]) -> tuple[_Span | None, _Span | None]:
    """What the nearest dated line above and the nearest below can mean: first and last day."""
    above = next((span for dated in reversed(explicit[:index]) if (span := _span(dated))), None)
    below = next((span for dated in explicit[index + 1 :] if (span := _span(dated))), None)
    return above, below


def _days_near(base: int, line: DateLine) -> list[date]:
    return [
        day
        for year in (base + step for step in WINDOW)
        if line.day is not None
        and line.day <= calendar.monthrange(year, line.month)[1]
        and (day := date(year, line.month, line.day)).weekday() == line.weekday
    ]


def _in_its_place(day: date, index: int, explicit: Sequence[Dated | None]) -> bool:
    known = [span[0] for dated in explicit if (span := _span(dated))]
    # One dated line shows no order: programmes run forward, so that is what it must fit.
    rising = known == sorted(known)
    falling = len(set(known)) > 1 and known == sorted(known, reverse=True)
    if not rising and not falling:
        return True  # the list has no order that the date could break
    above, below = _neighbours(index, explicit)
    after_above = above is None or above[0] <= day
    before_below = below is None or day <= below[1]
    before_above = above is None or day <= above[1]
    after_below = below is None or below[0] <= day
    return (rising and after_above and before_below) or (falling and before_above and after_below)


def _span(dated: Dated | None) -> _Span | None:
    if dated is None or dated.month is None:
        return None
    if dated.day:
        return dated.day, dated.day
    return date(*dated.month, 1), date(*dated.month, calendar.monthrange(*dated.month)[1])


def spell(day: date) -> str:
    """Return the date in English words, for sentences to staff."""
    return f"{MONTHS[day.month]} {day.day}, {day.year}"
