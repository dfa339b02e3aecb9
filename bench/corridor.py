"""The whole corridor, measured: from a published statement to the last settled row.

The rate is mails by the seconds from the first claim to the last settle, both as the
database has them. Expanding and the lag of the start are told apart. A run whose books
do not balance is an error, not a figure.
"""

import itertools
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text

from bench.accounting import Memory, cpu_of, forget_peak, machine, memory_of
from bench.fast_sink import Count
from bench.letter import write_statement
from bench.plant import Crew, Plant
from bench.sinks import Server, counted
from mailer.services.programme import statements

LOOK = 0.02  # seconds between two looks while the mailing is expanded, then
LOOK_RARELY = 0.1
SILENCE = 60.0  # seconds without any progress after which a run is given up
_numbers = itertools.count(1)


class RunFailed(Exception):
    """A run came to no good end; the message says what its books were."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run. Times in seconds, CPU in microseconds a mail, memory in MB."""

    mails: int
    seconds: float
    expand_seconds: float
    start_lag: float | None  # from the commit of the announcement to the sink's first mail; our sink knows
    cpu_ours: float
    cpu_sender: float
    cpu_postgresql: float
    cpu_redis: float
    cpu_sink: float
    memory: Memory  # of the largest send worker
    others: float  # share of the machine that programs outside the bench took, and its host
    arrived: Count | None  # at our own sink
    senders: int

    @property
    def rate(self) -> float:
        return self.mails / self.seconds


def run(plant: Plant, crew: Crew, sink: Server, *, own_sink: bool = False) -> Run:
    """Publish a new statement, wait until every row is settled, and read what it cost."""
    if own_sink:
        counted(sink, reset=True)
    plant.postgresql.settle_down()
    for process in crew.senders:
        forget_peak(process.pid)
    claim_before = _one(plant, "SELECT coalesce(max(id), 0) FROM claims")
    before = _Meter.read(plant, crew, sink)
    mailing_id, announced_at = _publish(plant)
    expand_seconds = until_expanded(plant, mailing_id, crew)
    until_done(plant, mailing_id, crew)
    used = _Meter.read(plant, crew, sink).since(before)
    mails = check_books(plant, mailing_id)
    first = _one(plant, "SELECT min(claimed_at) FROM claims WHERE id > :id", id=claim_before)
    last = _one(plant, "SELECT max(settled_at) FROM deliveries WHERE mailing_id = :id", id=mailing_id)
    arrived = counted(sink) if own_sink else None
    check_arrived(arrived, mails)
    return Run(
        mails=mails,
        seconds=(last - first).total_seconds(),
        expand_seconds=expand_seconds,
        start_lag=arrived.first_at - announced_at if arrived else None,
        **{f"cpu_{name}": seconds * 1e6 / mails for name, seconds in used.parts.items()},
        memory=max((memory_of(process.pid) for process in crew.senders), key=lambda one: one.peak),
        others=used.others,
        arrived=arrived,
        senders=len(crew.senders),
    )


@dataclass(frozen=True, kw_only=True)
class _Meter:
    """CPU seconds by part, of the bench with all that it started, and of the whole machine."""

    parts: dict[str, float]
    bench: float
    machine: float
    at: float

    @classmethod
    def read(cls, plant: Plant, crew: Crew, sink: Server) -> "_Meter":
        pids = {
            "ours": crew.pids,
            "sender": [process.pid for process in crew.senders],
            "postgresql": [plant.postgresql.pid],
            "redis": [plant.redis.pid],
            "sink": [sink.pid],
        }
        whole = machine()
        return cls(
            parts={name: cpu_of(some) for name, some in pids.items()},
            bench=cpu_of([os.getpid(), plant.postgresql.pid]),  # PostgreSQL is nobody's child
            machine=whole.busy + whole.stolen,
            at=time.monotonic(),
        )

    def since(self, before: "_Meter") -> "_Meter":
        return _Meter(
            parts={name: seconds - before.parts[name] for name, seconds in self.parts.items()},
            bench=self.bench - before.bench,
            machine=self.machine - before.machine,
            at=self.at - before.at,
        )

    @property
    def others(self) -> float:
        return max(0.0, (self.machine - self.bench) / (self.at * (os.cpu_count() or 1)))


def _publish(plant: Plant) -> tuple[int, float]:
    now = datetime.now(UTC)
    with plant.house.database.write() as session:
        statement = write_statement(session, f"bench-{next(_numbers)}", now)
        session.flush()
        key = statement.key
    with plant.house.database.write() as session:
        found = statements.find(session, key)
        mailing = statements.publish(
            session, plant.house, found, actor="bench", now=datetime.now(UTC), anyway=True
        )
        session.flush()
        announced_at = time.time()  # the commit follows at once, then the hint
    return mailing.id, announced_at


def until_expanded(plant: Plant, mailing_id: int, crew: Crew) -> float:
    """Wait until every recipient has a row; the seconds that took."""
    started = time.monotonic()
    while _state(plant, mailing_id) == "expanding":
        _check_crew(crew)
        if time.monotonic() - started > 10 * SILENCE:
            raise RunFailed("the mailing was not expanded in ten minutes")
        time.sleep(LOOK)
    return time.monotonic() - started


def until_done(plant: Plant, mailing_id: int, crew: Crew) -> None:
    """Wait until the mailing is over; RunFailed when nothing moves for a minute."""
    moved, seen = time.monotonic(), -1
    while _state(plant, mailing_id) != "done":
        _check_crew(crew)
        # Every slice has a claim of its own, and to count claims costs nothing.
        claims = int(_one(plant, "SELECT coalesce(max(id), 0) FROM claims"))
        if claims != seen:
            moved, seen = time.monotonic(), claims
        elif time.monotonic() - moved > SILENCE:
            raise RunFailed(
                f"nothing moved for {SILENCE:.0f} s with {_open(plant, mailing_id):,} deliveries open"
            )
        time.sleep(LOOK_RARELY)


def _check_crew(crew: Crew) -> None:
    if crew.fallen():
        raise RunFailed(f"a process ended by itself, with {crew.fallen()}")


def check_books(plant: Plant, mailing_id: int) -> int:
    """How many were mailed: everybody, or RunFailed."""
    with plant.house.database.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT state, count(*) FROM deliveries WHERE mailing_id = :id GROUP BY state"),
            {"id": mailing_id},
        ).all()
    states = {str(state): int(count) for state, count in rows}
    if states != {"sent": plant.people}:
        raise RunFailed(f"of {plant.people:,} recipients the books say {states}")
    return plant.people


def check_arrived(arrived: Count | None, mails: int) -> None:
    """Raise RunFailed unless our sink took each mail once."""
    if arrived is not None and (arrived.mails != mails or arrived.twice):
        raise RunFailed(
            f"the sink took {arrived.mails:,} of {mails:,} mails, {arrived.twice:,} of them twice"
        )


def _state(plant: Plant, mailing_id: int) -> str:
    return str(_one(plant, "SELECT state FROM mailings WHERE id = :id", id=mailing_id))


def _open(plant: Plant, mailing_id: int) -> int:
    where = "mailing_id = :id AND state IN ('pending', 'deferred', 'claimed')"
    return int(_one(plant, f"SELECT count(*) FROM deliveries WHERE {where}", id=mailing_id))


def _one(plant: Plant, query: str, **values: object) -> Any:
    with plant.house.database.engine.connect() as connection:
        return connection.execute(text(query), values).scalar_one()
