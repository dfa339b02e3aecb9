"""A programme of a thousand symposia under measurement: finding what is due, and planning one anew.

The registrations are made by one INSERT ... SELECT, everything else by the program itself: each
symposium has five rules, so a million reminders wait while it is measured.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from functools import partial

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from bench.database import postgresql, redis_server
from bench.figures import median
from bench.plant import plant
from mailer.db.mailings import Delivery
from mailer.db.programme import ReminderRule, Symposium
from mailer.services.house import House
from mailer.services.programme import reminders, symposia
from mailer.services.programme.dates import Moment, set_moment
from mailer.services.sending.sweep import sweep
from mailer.vocabulary import Precision, RegistrationState, RuleTiming, SymposiumState

SYMPOSIA = 1_000
EACH = 200  # registrations of one symposium
PEOPLE = 20_000
MOVES = 9
SWEEPS = 15


@dataclass(frozen=True, kw_only=True)
class Planning:
    """`sweep_ms`: finding what is due and what is to be planned, when nothing is. `replan_ms`: one symposium
    of EACH attendees moved, with its reminders planned anew and its notice made, committed. `plan_s`: all
    of them planned for the first time."""

    waiting: int
    plan_s: float
    sweep_ms: float | None
    replan_ms: float | None


def measure(house: House) -> Planning:
    """Fill a house that has PEOPLE subscribers with a programme, and measure it."""
    now = datetime.now(UTC)
    with house.database.write() as session:
        _write_rules(session)
        _write_symposia(session, now)
        _register(session, now)
    started = time.perf_counter()
    _plan_everything(house, now)
    plan_s = time.perf_counter() - started
    with house.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    with house.database.read() as session:
        waiting = session.scalar(select(func.count()).select_from(Delivery)) or 0
        ids = list(session.scalars(select(Symposium.id).order_by(Symposium.id).limit(MOVES)))
    return Planning(
        waiting=waiting,
        plan_s=plan_s,
        sweep_ms=median(_milliseconds(partial(_sweep, house, now)) for _ in range(SWEEPS)),
        replan_ms=median(_milliseconds(partial(_move, house, number, now)) for number in ids),
    )


def _milliseconds(what: Callable[[], object]) -> float:
    started = time.perf_counter()
    what()
    return (time.perf_counter() - started) * 1000


def _write_rules(session: Session) -> None:
    """Two more than a house begins with: five before the start."""
    for key, timing, days, minutes in (
        ("3d", RuleTiming.DAYS_BEFORE, 3, 0),
        ("15m", RuleTiming.MINUTES_BEFORE, 0, 15),
    ):
        session.add(ReminderRule(key=key, timing=timing, days=days, minutes=minutes))


def _write_symposia(session: Session, now: datetime) -> None:
    for number in range(SYMPOSIA):
        one = Symposium(
            key=f"bench-{number}",
            slug=f"bench-{number}",
            title=f"Symposium {number}",
            precision=Precision.NONE,
            state=SymposiumState.ANNOUNCED,
            sources={},
            questions=[],
            generation=0,
            changed_at=now,
            created_at=now,
        )
        session.add(one)
        session.flush()
        set_moment(session, one, _moment(now, number), now)


def _moment(now: datetime, number: int) -> Moment:
    day = (now + timedelta(days=30 + number % 300)).date()
    return Moment(
        precision=Precision.DATETIME, day=day, wall_time=clock_time(8 + number % 12), zone="America/New_York"
    )


def _register(session: Session, now: datetime) -> None:
    """EACH attendees for each symposium, in one statement."""
    session.execute(
        text(
            "INSERT INTO registrations (symposium_id, subscriber_id, state, reminders, sequence_bump,"
            " registered_at, told_version, invited, attendance, join_generation)"
            " SELECT s.id, p.id, :state, true, 0, :now, 1, true, 'unknown', 1"
            " FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM symposia) s"
            " JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM subscribers) p"
            " ON (p.n + s.n * 7) % :groups = 0"
        ),
        {"state": RegistrationState.CONFIRMED.value, "now": now, "groups": PEOPLE // EACH},
    )


def _plan_everything(house: House, now: datetime) -> None:
    for _ in range(SYMPOSIA // reminders.AT_ONCE):
        with house.database.write() as session:
            reminders.plan_all(session, house, now)


def _sweep(house: House, now: datetime) -> None:
    with house.database.write() as session:
        symposia.rederive_all(session, house, now)
    with house.database.write() as session:
        reminders.plan_all(session, house, now)
    sweep(house, now)


def _move(house: House, number: int, now: datetime) -> None:
    with house.database.write() as session:
        one = session.get_one(Symposium, number)
        symposia.move(session, house, one, _moment(now + timedelta(days=7), number), actor="bench", now=now)


def main() -> int:
    """`python -m bench.programme`: this part alone."""
    with postgresql() as database, redis_server() as redis, plant(database, redis, PEOPLE) as house:
        found = measure(house.house)
    print(
        f"{found.waiting:,} reminders wait; planned in {found.plan_s:.0f} s; "
        f"sweep {found.sweep_ms or 0:.1f} ms, replan {found.replan_ms or 0:.0f} ms"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
