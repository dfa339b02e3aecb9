"""The wall time of an embargo: what staff typed, made into one instant or shown to them to choose.

A time that clocks skip in spring or pass twice in autumn has two readings. Nobody guesses
which was meant: both are shown, and staff type the command again with their choice.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum

from mailer.messages.when import WallTime, instant, local, tzdata_version, wall_time, zone_named


class Which(StrEnum):
    """The reading staff choose of a wall time that has two."""

    FIRST = "first"
    LATER = "later"


class TimeRefusal(Exception):
    """This wall time is no single instant, or lies in the past; the message shows what can be chosen."""


@dataclass(frozen=True, kw_only=True)
class WallMoment:
    """A wall time that exists, its zone, and the instant it is. `later`: of two equal ones in autumn."""

    day: date
    time: time
    zone: str
    later: bool
    instant: datetime
    tzdata: str


def moment(day: date, at: time, zone: str, which: Which | None = None) -> WallMoment:
    """The one instant that is meant. Raises TimeRefusal with both readings, or UnknownZone."""
    kind = wall_time(day, at, zone)
    if kind is WallTime.ONCE:
        return _made(instant(day, at, zone), zone, later=True)
    first, later = _readings(day, at, zone)
    if which is None:
        raise TimeRefusal(_question(kind, day, at, zone, first, later))
    return _made(first if which is Which.FIRST else later, zone, later=which is Which.LATER)


def at_instant(instant_: datetime, zone: str) -> WallMoment:
    """An instant on the clocks of a zone."""
    wall = local(instant_, zone)
    return _made(instant_, zone, later=wall.fold == 1 or not _is_twice(wall, zone))


def derive(day: date, at: time, zone: str, *, later: bool) -> datetime:
    """The instant of a stored wall time by the clocks of today's tzdata."""
    return instant(day, at, zone, fold_later=later)


def in_words(instant_: datetime, zone: str) -> str:
    """An instant as staff read it: `Sunday 3 November 2024, 01:30:00 EST (America/New_York)`."""
    wall = local(instant_, zone)
    return f"{wall:%A} {wall.day} {wall:%B %Y, %H:%M:%S %Z} ({zone})"


def _made(instant_: datetime, zone: str, *, later: bool) -> WallMoment:
    wall = local(instant_, zone)
    return WallMoment(
        day=wall.date(),
        time=wall.time().replace(fold=0),
        zone=zone,
        later=later,
        instant=instant_,
        tzdata=tzdata_version(),
    )


def _is_twice(wall: datetime, zone: str) -> bool:
    return wall_time(wall.date(), wall.time().replace(fold=0), zone) is WallTime.TWICE


def _readings(day: date, at: time, zone: str) -> tuple[datetime, datetime]:
    """Both readings in the order of time: by the clocks before the change and by those after it."""
    wall = datetime.combine(day, at, tzinfo=zone_named(zone))
    both = [wall.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
    return min(both), max(both)


def _question(kind: WallTime, day: date, at: time, zone: str, first: datetime, later: datetime) -> str:
    why = "is passed twice" if kind is WallTime.TWICE else "does not exist"
    return (
        f"On {day.isoformat()} the time {at:%H:%M:%S} {why} in {zone}, because the clocks change. Choose "
        f"with --which first: {in_words(first, zone)}, or with --which later: {in_words(later, zone)}."
    )
