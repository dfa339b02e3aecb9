"""Lanes in SQL: what each may take now, what was taken, and what servers made of it.

Called inside the transactions of claim and settle, so that all workers together keep one limit
and a restart grants no fresh burst. A lane that nothing limits is never written, because all
workers would wait for its row. The arithmetic is in mailer.smtp.pace and mailer.smtp.caution.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from mailer.db.mailings import Attempt, Delivery
from mailer.services.incidents import close_incident, raise_incident
from mailer.services.sending.lane_rows import (
    TABLE,
    Standing,
    limited,
    lock,
    of_caution,
    of_usage,
    standing,
    write,
)
from mailer.services.sending.lane_words import incident_key, told
from mailer.smtp import caution, pace
from mailer.smtp.caution import Alarm
from mailer.smtp.outcome import Fault, Outcome, Verdict
from mailer.smtp.pace import LaneLimits, Room

LOOKED_THROUGH = 100_000  # of the newest attempts, when a warming lane's day is judged


# Lanes in which an acceptance changes something.
_CLEARABLE = select(TABLE.c.id).where(or_(TABLE.c.faults > 0, TABLE.c.closed_why == Alarm.BREAKER.why))


@dataclass(frozen=True, kw_only=True)
class Allowances:
    """What the lanes take now. Lanes that are not named here take anything."""

    rooms: Mapping[int, Room] = field(default_factory=dict)
    closed_lanes: frozenset[int] = frozenset()
    next_opening: datetime | None = None
    """When the first of the lanes that take no bulk now may take something again; None: nobody knows."""

    def of(self, lane_id: int, bulk: bool) -> int | None:
        """How many mails the lane takes now; None is any number."""
        found = self.rooms.get(lane_id)
        return None if found is None else found.of(bulk=bulk)

    def shut(self, bulk: bool) -> frozenset[int]:
        """Lanes that take nothing now: closed ones, and those whose tokens are used up."""
        return frozenset(lane_id for lane_id, room in self.rooms.items() if room.of(bulk=bulk) == 0)

    @property
    def limited_lanes(self) -> frozenset[int]:
        """Lanes that take a number, the closed ones among them."""
        return frozenset(self.rooms)


def allowances(session: Session, now: datetime) -> Allowances:
    """What the lanes take now, without a lock: one look at those that have a limit or are closed."""
    return _allowances(limited(session, now), now)


def lock_and_allow(session: Session, now: datetime, lanes: Collection[int] | None = None) -> Allowances:
    """The same under the rows' locks, held to the end of the transaction, in which `spend` belongs."""
    ids = (lane.id for lane in limited(session, now) if lanes is None or lane.id in lanes)
    return _allowances([_refreshed(session, lane, now) for lane in lock(session, ids)], now)


def spend(session: Session, now: datetime, counts: Mapping[int, int]) -> None:
    """Take so many mails from each lane, and count them; lanes that nothing limits are passed over."""
    for lane in _locked(session, now, counts):
        slowness = lane.caution.slowness_at(now)
        used = pace.spend(lane.limits, lane.usage, counts[lane.id], now, slowness=slowness)
        write(session, lane.id, of_usage(used))


def give_back(
    session: Session, now: datetime, counts: Mapping[int, int], taken_at: datetime | None = None
) -> None:
    """Return what was claimed (at `taken_at`, else now) and offered to no server."""
    for lane in _locked(session, now, counts):
        returned = pace.give_back(lane.usage, counts[lane.id], taken_at or now)
        write(session, lane.id, of_usage(returned))


def react(session: Session, outcomes: Iterable[tuple[int, Outcome]], now: datetime) -> list[str]:
    """Slow, close or clear lanes after what servers said, in the order they said it; keys of new incidents.

    An outcome belongs to the lane whose server spoke: behind a relay that is the relay's lane.
    """
    by_lane: defaultdict[int, list[Outcome]] = defaultdict(list)
    for lane_id, outcome in outcomes:
        if caution.matters(outcome):
            by_lane[lane_id].append(outcome)
    raised: list[str] = []
    for lane in _moved(session, by_lane):
        change = caution.after(lane.caution, by_lane[lane.id], now, trust=lane.trust)
        if change.caution != lane.caution:
            write(session, lane.id, of_caution(change.caution))
        if change.all_clear:
            close_incident(session, incident_key(Alarm.BREAKER, lane.key), now)
        if change.alarm is not None and change.told_by is not None:
            key = incident_key(change.alarm, lane.key)
            if raise_incident(session, key, told(change.alarm, lane.key, change.told_by), now):
                raised.append(key)
    return raised


def limits_of_lanes(session: Session, now: datetime) -> dict[str, LaneLimits]:
    """The limits in force by lane key, with connections already fewer where a lane was slowed."""
    limits: dict[str, LaneLimits] = {}
    for row in session.execute(select(TABLE)):
        lane = standing(row)
        limits[lane.key] = LaneLimits(
            connections=pace.connections_of(lane.limits, lane.caution.slowness_at(now)),
            mails_per_connection=lane.limits.mails_per_connection,
            per_second=lane.limits.per_second,
            per_hour=lane.limits.per_hour,
            per_day=lane.limits.per_day,
        )
    return limits


def _allowances(lanes: Iterable[Standing], now: datetime) -> Allowances:
    rooms: dict[int, Room] = {}
    closed: set[int] = set()
    for lane in lanes:
        room = lane.room(now)
        if room is not None:
            rooms[lane.id] = room
        if lane.caution.is_closed(now):
            closed.add(lane.id)
    opening = [room.opens_at for room in rooms.values() if room.bulk == 0 and room.opens_at is not None]
    return Allowances(rooms=rooms, closed_lanes=frozenset(closed), next_opening=min(opening, default=None))


def _locked(session: Session, now: datetime, counts: Mapping[int, int]) -> list[Standing]:
    """Those of the counted lanes that something limits."""
    if not any(counts.values()):
        return []
    return lock(session, (lane.id for lane in limited(session, now) if counts.get(lane.id)))


def _moved(session: Session, by_lane: Mapping[int, list[Outcome]]) -> list[Standing]:
    """The lanes that these outcomes may change, locked. Plain acceptances find none, and lock none."""
    if not by_lane:
        return []
    clearable = set(session.connection().execute(_CLEARABLE).scalars())
    bad = {
        lane_id
        for lane_id, said in by_lane.items()
        if any(outcome.verdict is not Verdict.SENT for outcome in said)
    }
    return lock(session, bad | (clearable & by_lane.keys()))


def _refreshed(session: Session, lane: Standing, now: datetime) -> Standing:
    """The lane after what only time changes was written: it is fast again, or its day has ended."""
    if lane.caution.slowness > 1 and lane.caution.slowness_at(now) <= 1 and not lane.caution.is_closed(now):
        lane = replace(lane, caution=replace(lane.caution, slowness=1.0))
        write(session, lane.id, of_caution(lane.caution))
    return _new_day(session, lane, now)


def _new_day(session: Session, lane: Standing, now: datetime) -> Standing:
    """A warming lane on the first look of a day: yesterday decides whether its cap doubles."""
    day = lane.usage.day
    today = pace.current(day, now, pace.DAY)
    if lane.warm_from is None or pace.warm_cap(lane.warm_from, now) is None or today == day:
        return lane
    deferred = _deferred_since(session, lane.id, day.at) if day.at is not None else 0
    warm_from = pace.warm_from_after(lane.warm_from, day, deferred, now)
    lane = replace(lane, usage=replace(lane.usage, day=today), warm_from=warm_from)
    write(session, lane.id, {**of_usage(lane.usage), "warm_from": warm_from})
    return lane


def _deferred_since(session: Session, lane_id: int, since: datetime) -> int:
    """How often "later" was about the lane or the sender; greylisting and full mailboxes are normal."""
    newest = select(Attempt).order_by(Attempt.id.desc()).limit(LOOKED_THROUGH).subquery()
    statement = (
        select(func.count())
        .select_from(newest)
        .join(Delivery, Delivery.id == newest.c.delivery_id)
        .where(
            Delivery.lane_id == lane_id,
            newest.c.at >= since,
            newest.c.verdict == Verdict.DEFERRED.value,
            newest.c.fault.in_([Fault.LANE.value, Fault.SENDER.value]),
        )
    )
    return int(session.scalar(statement) or 0)
