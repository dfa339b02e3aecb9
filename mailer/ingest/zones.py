"""Zone names as pages print them, and what the clocks do on a given day.

A printed name means a place's civil time, never a fixed offset. Pure: the IANA
tables are read, the clock is not.
"""

from collections.abc import Mapping
from datetime import date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

# On a US page ET, EST and EDT all mean New York's civil time; the IANA zone "EST" is a fixed -5: never that.
ZONES: Mapping[str, str] = {
    "ET": "America/New_York",
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "UTC": "UTC",
    "GMT": "UTC",
}


def is_place(zone: str) -> bool:
    """True for UTC and the `Area/City` names of the tables; their fixed offsets are no place's time."""
    if zone in ("UTC", "Etc/UTC"):
        return True
    return "/" in zone and not zone.startswith("Etc/") and zone in _names()


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def zone_of(word: str, zones: Mapping[str, str] = ZONES) -> str | None:
    """Return the IANA zone a printed name means in this source; None for unknown or ambiguous (CST, IST)."""
    return next((zone for name, zone in zones.items() if name.casefold() == word.casefold()), None)


def clock_change(day: date, at: time, zone: str) -> str | None:
    """Return a sentence when this wall time does not exist in the zone, or happens twice; else None."""
    place = ZoneInfo(zone)
    first, second = (datetime.combine(day, at.replace(fold=fold), place).utcoffset() for fold in (0, 1))
    if first is None or second is None or first == second:
        return None
    happens = "happens twice" if first > second else "does not exist"
    return f"{at:%H:%M} on {day} {happens} in {zone}: the clocks change. A person must choose the time."


def wrong_season(day: date, at: time, zone: str, zone_word: str | None) -> str | None:
    """Return a warning when a page prints EST in summer or EDT in winter; New York's own time is kept."""
    if zone_word not in ("EST", "EDT") or zone != ZONES[zone_word]:
        return None
    name = datetime.combine(day, at, ZoneInfo(zone)).tzname()
    if name == zone_word:
        return None
    return f"The line says {zone_word}, but New York has {name} on {day}; it is read as New York's own time."
