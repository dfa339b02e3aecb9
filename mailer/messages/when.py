"""When something is: wall time and zone to an instant, and days before it.

The truth is a local wall time in an IANA zone; UTC is derived from it. Days and
weeks are civil (the same clock time), hours and minutes are absolute. Nothing
here reads a clock, guesses a zone, or lets a time without a zone pass. How a
time is said to a reader is in words.py.
"""

import datetime as dt
import re
import zoneinfo
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


class UnknownZone(ValueError):
    """A zone name that is not a place of the IANA time zone database."""


class WallTime(StrEnum):
    """How often a wall time occurs on its day: staff choose when it is not once."""

    ONCE = "once"
    SKIPPED = "skipped"  # clocks jump over it in spring
    TWICE = "twice"  # clocks pass it again in autumn


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """True for `Area/City` names of the database and for UTC.

    Abbreviations such as EST are refused although the database holds them: its
    `EST` is five hours behind UTC all year, which no city of that name is. So
    are the `Etc/GMT+5` names, whose sign means the opposite of what it says.
    """
    if name in {"UTC", "Etc/UTC"}:
        return True
    return "/" in name and not name.startswith("Etc/") and name in _zone_names()


def zone_named(name: str) -> zoneinfo.ZoneInfo:
    """The zone of this name; raises UnknownZone with what to write instead."""
    if not is_zone(name):
        raise UnknownZone(
            f"{name[:60]!r} is not a time zone this program can use: write an IANA name such as "
            "'America/New_York' or 'Asia/Yerevan', or 'UTC'"
        )
    return zoneinfo.ZoneInfo(name)


def in_utc(moment: dt.datetime) -> dt.datetime:
    """The same instant in UTC; raises ValueError for a time without a zone."""
    if moment.utcoffset() is None:
        raise ValueError("a time without a zone is no instant: give it a zone before passing it on")
    return moment.astimezone(dt.UTC)


def wall_time(day: dt.date, time: dt.time, zone: str) -> WallTime:
    """Whether this wall time occurs once, twice or not at all on that day in that zone."""
    wall = _wall(day, time, zone)
    first, later = wall.utcoffset(), wall.replace(fold=1).utcoffset()
    if first is None or later is None or first == later:
        return WallTime.ONCE
    return WallTime.SKIPPED if first < later else WallTime.TWICE


def instant(day: dt.date, time: dt.time, zone: str, *, fold_later: bool = False) -> dt.datetime:
    """The UTC instant of a wall time in a zone.

    A time skipped in spring is shifted forward by the length of the gap. A time
    that occurs twice in autumn is the first one, as reminders want it, or the
    later one with `fold_later`, as embargoes want it (never early).
    Raises UnknownZone; raises ValueError for a `time` that carries its own zone.
    """
    wall = _wall(day, time, zone)
    if fold_later and wall_time(day, time, zone) is WallTime.TWICE:
        wall = wall.replace(fold=1)
    # fold=0 inside a gap takes the offset before the jump, which is the shift forward.
    return wall.astimezone(dt.UTC)


def local(moment: dt.datetime, zone: str) -> dt.datetime:
    """An instant on the clocks of a zone; raises UnknownZone or ValueError."""
    return in_utc(moment).astimezone(zone_named(zone))


def offset_at(moment: dt.datetime, zone: str) -> dt.timedelta:
    """The zone's distance from UTC at that instant, not today's."""
    return local(moment, zone).utcoffset() or dt.timedelta()


def minus_days(day: dt.date, time: dt.time, zone: str, n: int) -> dt.datetime:
    """The UTC instant `n` civil days earlier: the same clock time, whatever the clocks did between.

    Noon minus seven days is noon. Raises as `instant` does.
    """
    return instant(day - dt.timedelta(days=n), time, zone)


def minus_exactly(moment: dt.datetime, lead: dt.timedelta) -> dt.datetime:
    """The UTC instant that lies `lead` of real, elapsed time earlier (hours and minutes, not days)."""
    return in_utc(moment) - lead


@lru_cache(maxsize=1)
def tzdata_version() -> str:
    """The release of the time zone database in use, for example `2026a`.

    zoneinfo prefers the system's copy to the installed package; so does this.
    A copy that does not say its release is called `system` or `package`.
    """
    for folder in map(Path, zoneinfo.TZPATH):
        if not (folder / "Etc" / "UTC").is_file():
            continue
        for name in ("tzdata.zi", "+VERSION"):
            if found := _release_in(folder / name):
                return found
        return "system"
    return _release_in(files("tzdata") / "zoneinfo" / "tzdata.zi") or "package"


def _release_in(path: Traversable) -> str | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            first_line = file.readline(200)
    except OSError:
        return None
    found = re.search(r"\b(\d{4}[a-z]+)", first_line)
    return found.group(1) if found else None


def _wall(day: dt.date, time: dt.time, zone: str) -> dt.datetime:
    if time.tzinfo is not None:
        raise ValueError("a wall time carries no zone of its own: the zone is the third argument")
    if isinstance(day, dt.datetime):
        raise ValueError("the day of a wall time is a date, not a date with a time")
    return dt.datetime.combine(day, time.replace(fold=0), tzinfo=zone_named(zone))
