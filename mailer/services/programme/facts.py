"""Facts: what attendees of a symposium must know, in numbered versions, so that a difference can be told."""

from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Symposium, SymposiumVersion
from mailer.vocabulary import EndSource, Precision

FIELDS = (
    "title",
    "precision",
    "day",
    "wall_time",
    "zone",
    "starts_at",
    "minutes",
    "end_source",
    "place",
    "online",
)
CALENDAR = ("precision", "day", "starts_at", "minutes", "place")  # what raises a calendar's SEQUENCE


@dataclass(frozen=True, kw_only=True)
class KeyFacts:
    """The facts as plain values."""

    title: str
    precision: Precision
    day: date | None
    wall_time: time | None
    zone: str | None
    starts_at: datetime | None
    minutes: int
    end_source: EndSource
    place: str | None
    online: bool | None

    def differs_in(self, other: "KeyFacts", fields: tuple[str, ...]) -> bool:
        return any(getattr(self, field) != getattr(other, field) for field in fields)


def facts_of(row: Symposium | SymposiumVersion) -> KeyFacts:
    """The facts as attendees know them: an end that nobody announced is none."""
    values: dict[str, Any] = {field: getattr(row, field) for field in FIELDS}
    if row.end_source is EndSource.ASSUMED or row.starts_at is None:
        values |= {"minutes": 0, "end_source": EndSource.ASSUMED}
    return KeyFacts(**values)


def stamp(session: Session, symposium: Symposium, now: datetime) -> int:
    """Number the facts as they are now: facts that once were the same take their old number again.

    The symposium's row must be held, so that two never number at once.
    """
    session.flush()
    known = versions(session, symposium.id)
    live = facts_of(symposium)
    same = next((one for one in known if facts_of(one) == live), None)
    number = same.version if same else max((one.version for one in known), default=0) + 1
    if same is None:
        values: dict[str, Any] = {field: getattr(live, field) for field in FIELDS}
        session.add(SymposiumVersion(symposium_id=symposium.id, version=number, **values))
    if number != symposium.facts_version:
        symposium.facts_version, symposium.facts_changed_at = number, now
    session.flush()
    return number


def versions(session: Session, symposium_id: int) -> list[SymposiumVersion]:
    """All versions, oldest first."""
    return list(
        session.scalars(
            select(SymposiumVersion)
            .where(SymposiumVersion.symposium_id == symposium_id)
            .order_by(SymposiumVersion.version)
        )
    )
