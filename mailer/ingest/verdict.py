"""What a read fact means for a known symposium, in words that services and staff share."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from mailer.vocabulary import FieldSource, Precision


@dataclass(frozen=True, kw_only=True)
class Known:
    """The stored facts. `month` is (year, month), also for a full day; `raw` is the line as last read."""

    id: int
    key: str
    title: str
    precision: Precision
    day: date | None
    month: tuple[int, int] | None
    time: time | None
    zone: str | None
    sources: Mapping[str, FieldSource]
    raw: str
    minutes: int | None = None
    place: str | None = None
    announced: bool = False
    called_off: bool = False
    year: int | None = None  # where no more than that is known

    @property
    def starts_at(self) -> datetime | None:
        """The moment in UTC, when day, hour and zone are known."""
        if self.day is None or self.time is None or self.zone is None:
            return None
        return datetime.combine(self.day, self.time, ZoneInfo(self.zone)).astimezone(UTC)

    def is_over(self, today: date) -> bool:
        """True when its day, or all its month or year, has passed."""
        if self.day:
            return self.day < today
        if self.year is not None:
            return self.year < today.year
        return self.month is not None and self.month < (today.year, today.month)

    def settled(self, name: str) -> bool:
        """True when a person decided this fact."""
        return self.sources.get(name) is FieldSource.STAFF


@dataclass(frozen=True, kw_only=True)
class FieldChange:
    """Old and new value as text (ISO 8601 for dates and times). `settled`: a person set the old one."""

    old: str | None
    new: str | None
    settled: bool = False


@dataclass(frozen=True, kw_only=True)
class Same:
    """The page says nothing new about this symposium."""

    known: Known


@dataclass(frozen=True, kw_only=True)
class Change:
    """Its source gives this symposium other facts.

    Fields: day, month, time, zone, precision; where it is known by its own key also title, minutes, place.
    """

    known: Known
    fields: Mapping[str, FieldChange]

    @property
    def fingerprint(self) -> str:
        """64 hex digits: the same proposal, read again, has the same."""
        return _fingerprint("change", self.known, {name: each.new for name, each in self.fields.items()})


@dataclass(frozen=True, kw_only=True)
class Retitle:
    """On this symposium's date the page has a similar title."""

    known: Known
    title: FieldChange

    @property
    def fingerprint(self) -> str:
        """64 hex digits: the same proposal, read again, has the same."""
        return _fingerprint("retitle", self.known, {"title": self.title.new})


@dataclass(frozen=True, kw_only=True)
class CalledOff:
    """Its source says that this symposium does not take place."""

    known: Known

    @property
    def fingerprint(self) -> str:
        """64 hex digits: the same proposal, read again, has the same."""
        return _fingerprint("call-off", self.known, {"state": "cancelled"})


@dataclass(frozen=True, kw_only=True)
class New:
    """Nothing known is meant: a new draft."""


@dataclass(frozen=True, kw_only=True)
class Suspicious:
    """A person must look before anything is proposed. `known` is the symposium it may be about."""

    why: str
    known: Known | None = None


Verdict = Same | Change | Retitle | CalledOff | New | Suspicious


def _fingerprint(kind: str, known: Known, new: Mapping[str, str | None]) -> str:
    words = json.dumps([kind, known.id, sorted(new.items(), key=lambda item: item[0])])
    return hashlib.sha256(words.encode()).hexdigest()
