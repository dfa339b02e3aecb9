"""Who fetches what, and when: sources that are due, leased so that two workers never fetch the same.

What is due is SQL. A lease has a number that grows; what a worker writes counts only
while the number is still its own.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from mailer.db.sources import Source
from mailer.vocabulary import SourceState

LEASE = timedelta(minutes=3)  # names, robots.txt and the page take 20 s at most, then it is read and written
JITTER = 0.1  # share of the interval by which a check comes earlier or later, so that they spread
MOST_BACKOFF = timedelta(days=1)
DOUBLINGS = 6


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to check one source once."""

    source_id: int
    number: int


def take_due(session: Session, now: datetime) -> Lease | None:
    """Lease the source that has been due for longest; None when none is."""
    due = (
        select(Source)
        .where(Source.state == SourceState.WATCHED, Source.next_check_at <= now, _is_free(now))
        .order_by(Source.next_check_at, Source.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    source = session.scalars(due).first()
    return _leased(source, now) if source else None


def take(session: Session, source_id: int, now: datetime) -> Lease | None:
    """Lease this source, due or not; None while somebody else checks it."""
    wanted = select(Source).where(Source.id == source_id, _is_free(now)).with_for_update(skip_locked=True)
    source = session.scalars(wanted).first()
    return _leased(source, now) if source else None


def held(session: Session, lease: Lease) -> Source | None:
    """The leased source, locked until the commit; None when the lease is no longer ours."""
    ours = select(Source).where(Source.id == lease.source_id, Source.lease == lease.number)
    return session.scalars(ours.with_for_update()).first()


def give_back(source: Source, now: datetime, *, wait: timedelta | None = None) -> None:
    """End a lease: the next check is an interval away, or later where the server asked or keeps failing."""
    every = timedelta(seconds=source.every_seconds)
    after = min(every * 2 ** min(source.failures, DOUBLINGS), max(every, MOST_BACKOFF))
    spread = after * JITTER * _between(source.id, source.lease)
    source.leased_until = None
    source.next_check_at = now + max(after + spread, wait or timedelta(0))


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(Source.leased_until.is_(None), Source.leased_until <= now)


def _leased(source: Source, now: datetime) -> Lease:
    source.lease += 1
    source.leased_until = now + LEASE
    return Lease(source_id=source.id, number=source.lease)


def _between(source_id: int, number: int) -> float:
    """A number from -1 to 1 that looks like chance and needs none."""
    octets = sha256(f"{source_id}:{number}".encode()).digest()[:4]
    return int.from_bytes(octets, "big") / 2**31 - 1
