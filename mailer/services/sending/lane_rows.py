"""Lane rows as values: what a row says in the words of pace and caution, and how a change is written.

The one place that knows which column holds what. Reading takes no lock unless it is asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, or_, select, update
from sqlalchemy.orm import Session

from mailer.db.lanes import EVERYONE_ELSE, Lane
from mailer.smtp import caution, pace
from mailer.smtp.caution import FOREVER, Caution, Trust
from mailer.smtp.pace import Bucket, LaneLimits, Room, Usage, Window

RELAY = "relay:"

TABLE = Lane.__table__

# Asked at every claim: built once, because building it costs more than the answer.
_LIMITED = (
    select(TABLE)
    .where(
        or_(
            *(TABLE.c[name].is_not(None) for name in ("per_second", "per_hour", "per_day", "warm_from")),
            TABLE.c.slowness > 1,
            TABLE.c.closed_until > bindparam("now", type_=TABLE.c.closed_until.type),
        )
    )
    .order_by(TABLE.c.id)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """One lane as it is stored: its limits, what was used of them, and how careful it is."""

    id: int
    key: str
    limits: LaneLimits
    usage: Usage
    caution: Caution
    warm_from: datetime | None

    @property
    def trust(self) -> Trust:
        """How far one reply speaks for the whole lane."""
        if self.key.startswith(RELAY):
            return caution.RELAY
        return caution.MANY_SITES if self.id == EVERYONE_ELSE else caution.SITE

    def room(self, now: datetime) -> Room | None:
        """What the lane takes now; None when nothing limits it."""
        if self.caution.is_closed(now):
            until = self.caution.closed_until
            return Room(urgent=0, bulk=0, opens_at=None if until == FOREVER else until)
        slowness = self.caution.slowness_at(now)
        cap = pace.warm_cap(self.warm_from, now)
        return pace.room(self.limits, self.usage, now, slowness=slowness, warm_cap=cap)


def standings(session: Session) -> list[Standing]:
    """All lanes as they stand, for the desk."""
    return [standing(row) for row in session.execute(select(TABLE).order_by(TABLE.c.id))]


def limited(session: Session, now: datetime) -> list[Standing]:
    """Lanes that may have less than any number to give, unlocked. Most houses have none."""
    return [standing(row) for row in session.connection().execute(_LIMITED, {"now": now})]


def hold_lanes(session: Session) -> None:
    """Wait for everybody else who is about to lock lanes, until the end of this transaction.

    One transaction locks lanes in several steps (what was said, what is given back), so no order of
    the rows alone keeps two of them from waiting for each other.
    """
    session.execute(select(TABLE.c.id).where(TABLE.c.id == EVERYONE_ELSE).with_for_update())


def lock(session: Session, ids: Iterable[int]) -> list[Standing]:
    """These lanes, locked in the order of their ids; for none nothing is locked and nobody waited for."""
    wanted = sorted(ids)
    if not wanted:
        return []
    hold_lanes(session)
    found = select(TABLE).where(TABLE.c.id.in_(wanted)).order_by(TABLE.c.id).with_for_update()
    return [standing(row) for row in session.execute(found)]


def standing(row: Row[Any]) -> Standing:
    """A row of the table of lanes; a limit it does not name is the one its site starts with."""
    start = pace.limits_of(row.key)
    return Standing(
        id=row.id,
        key=row.key,
        limits=LaneLimits(
            connections=start.connections if row.connections is None else row.connections,
            mails_per_connection=row.mails_per_connection or start.mails_per_connection,
            per_second=row.per_second or start.per_second,
            per_hour=row.per_hour or start.per_hour,
            per_day=row.per_day or start.per_day,
        ),
        usage=Usage(
            bucket=Bucket(tokens=row.tokens, at=row.refilled_at),
            hour=Window(at=row.hour_at, count=row.hour_count),
            day=Window(at=row.day_at, count=row.day_count),
        ),
        caution=Caution(
            slowness=row.slowness,
            closed_until=row.closed_until,
            closed_why=row.closed_why,
            faults=row.faults,
        ),
        warm_from=row.warm_from,
    )


def of_usage(usage: Usage) -> dict[str, Any]:
    """Usage as columns."""
    return {
        "tokens": usage.bucket.tokens,
        "refilled_at": usage.bucket.at,
        "hour_at": usage.hour.at,
        "hour_count": usage.hour.count,
        "day_at": usage.day.at,
        "day_count": usage.day.count,
    }


def of_caution(changed: Caution) -> dict[str, Any]:
    """Caution as columns."""
    return {
        "slowness": changed.slowness,
        "closed_until": changed.closed_until,
        "closed_why": changed.closed_why,
        "faults": changed.faults,
    }


def write(session: Session, lane_id: int, values: dict[str, Any]) -> None:
    """Write columns of a lane whose row this transaction holds."""
    session.execute(
        update(Lane).where(Lane.id == lane_id).values(values).execution_options(synchronize_session=False)
    )
