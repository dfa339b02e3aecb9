"""Lanes as staff see them: what stands, what limits are set, and the switches open and close.

Each change is in the audit log. A lane is never made here: sites and relays have theirs.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.lanes import Lane
from mailer.db.session import hint_after_commit
from mailer.services import audit
from mailer.services.incidents import close_incident
from mailer.services.sending import lane_words, relay_lanes
from mailer.services.sending.lane_rows import Standing, standings
from mailer.smtp import pace
from mailer.smtp.caution import FOREVER, STAFF, Alarm, Caution
from mailer.wake import Task


class UnknownLane(Exception):
    """No lane has this key; the message says how to list them."""


class LaneRefusal(Exception):
    """The change makes no sense; the message says what would."""


@dataclass(frozen=True, kw_only=True)
class NewLimits:
    """Limits to set; None leaves one as it is."""

    connections: int | None = None
    mails_per_connection: int | None = None
    per_second: float | None = None
    per_hour: int | None = None
    per_day: int | None = None


@dataclass(frozen=True, kw_only=True)
class LaneReport:
    """One lane for a table: `used_*` is None where nothing is counted, because nothing limits it."""

    key: str
    state: str
    limits: pace.LaneLimits
    warm_cap: int | None
    used_this_hour: int | None
    used_today: int | None


def reports(session: Session, now: datetime) -> list[LaneReport]:
    """All lanes, in the order in which they were made."""
    return [_report(lane, now) for lane in standings(session)]


def _report(lane: Standing, now: datetime) -> LaneReport:
    usage = lane.usage
    counted = usage.day.at is not None and lane.room(now) is not None
    return LaneReport(
        key=lane.key,
        state=lane_words.state(lane.caution, now),
        limits=lane.limits,
        warm_cap=pace.warm_cap(lane.warm_from, now),
        used_this_hour=pace.current(usage.hour, now, pace.HOUR).count if counted else None,
        used_today=pace.current(usage.day, now, pace.DAY).count if counted else None,
    )


def find(session: Session, key: str) -> Lane:
    """The lane, under its lock."""
    found = session.scalars(select(Lane).where(Lane.key == key).with_for_update()).one_or_none()
    if found is None:
        raise UnknownLane(f'There is no lane "{key}". List them with: mailer lane list')
    return found


def set_limits(
    session: Session, lane: Lane, new: NewLimits, *, warm_up: bool = False, actor: str, now: datetime
) -> None:
    """Set the limits that are given; `warm_up` begins today. Raises LaneRefusal for nothing, or for zero."""
    chosen = {name: value for name, value in asdict(new).items() if value is not None}
    if not chosen and not warm_up:
        raise LaneRefusal("Nothing was given to set; name a limit, --warm-up or --no-limit.")
    if any(value <= 0 for value in chosen.values()):
        raise LaneRefusal("A limit is more than zero; to stop a lane use: mailer lane close")
    for name, value in chosen.items():
        setattr(lane, name, value)
    if warm_up:
        lane.warm_from = now
    _audit(session, lane, "lane-limited", actor, now, {**chosen, **({"warm_up": True} if warm_up else {})})


def remove_limits(session: Session, lane: Lane, *, actor: str, now: datetime) -> None:
    """Go back to the limits the lane started with, and end warming up."""
    lane.connections = lane.mails_per_connection = None
    lane.per_second = lane.per_hour = lane.per_day = lane.warm_from = None
    hint_after_commit(session, Task.SEND_DUE)
    _audit(session, lane, "lane-unlimited", actor, now, {})


def open_lane(session: Session, lane: Lane, *, actor: str, now: datetime) -> None:
    """Open a lane at its full pace, whatever closed or slowed it, and close its incidents."""
    was = lane.closed_why
    lane.closed_until, lane.closed_why, lane.slowness, lane.faults = None, None, 1.0, 0
    for kind in (Alarm.BLOCKED, Alarm.BREAKER, relay_lanes.AUTH, relay_lanes.DOWN):
        close_incident(session, lane_words.incident_key(kind, lane.key), now)
    hint_after_commit(session, Task.SEND_DUE)
    _audit(session, lane, "lane-opened", actor, now, {"was": was} if was else {})


def close_lane(
    session: Session, lane: Lane, *, minutes: int | None = None, actor: str, now: datetime
) -> datetime:
    """Close a lane for so many minutes, or until somebody opens it; what is on the wire arrives."""
    before = Caution(slowness=lane.slowness, closed_until=lane.closed_until)
    lane.slowness = before.slowness_at(now)  # time decides how slow a lane is, counted from its closing
    lane.closed_until = FOREVER if minutes is None else now + timedelta(minutes=minutes)
    lane.closed_why = STAFF
    _audit(session, lane, "lane-closed", actor, now, {"minutes": minutes} if minutes is not None else {})
    return lane.closed_until


def _audit(
    session: Session, lane: Lane, action: str, actor: str, now: datetime, detail: dict[str, object]
) -> None:
    audit.record(session, actor=actor, action=action, subject=f"lane:{lane.key}", now=now, detail=detail)
