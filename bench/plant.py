"""One installation under measurement: a house with people, its worker processes, and what they cost.

The processes are those of docker-compose.yml: a send worker, a worker for plan and
sweep, and the beat, each started by its command with MAILER_* variables.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import people
from bench.accounting import cpu_of
from bench.database import PostgreSQL, Redis
from mailer import keys, settings, wake
from mailer.db import migrate
from mailer.services.house import House, open_house

MAILER = Path(sys.executable).with_name("mailer")
SEND = ("worker", "--queues", "send")
OTHERS = (("worker", "--queues", "plan,sweep"), ("beat",))
START = 60.0  # seconds until processes that do not come up are given up
STOP = 60.0


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A house on PostgreSQL with so many people in it, not running yet."""

    house: House
    folder: Path
    people: int
    fill_seconds: float
    postgresql: PostgreSQL
    redis: Redis


@contextmanager
def plant(postgresql: PostgreSQL, redis: Redis, count: int) -> Iterator[Plant]:
    """A fresh database with `count` confirmed subscribers; its folder goes when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="mailer-bench-house-"))
    try:
        keys.create(folder / "keys.json")
        chosen = settings.load(
            data=folder,
            database_url=postgresql.create(f"people{count}"),
            broker_url=redis.url,
            smtp_url="smtp://127.0.0.1:1",
        )
        settings.use(chosen)
        for app in (wake.app, wake._giver):  # remember the broker of the plant before
            app.cache_clear()
        house = open_house(chosen, checked=False)
        migrate.migrate(house.database)
        started = time.perf_counter()
        people.fill(house, count)
        took = time.perf_counter() - started
        yield Plant(
            house=house, folder=folder, people=count, fill_seconds=took, postgresql=postgresql, redis=redis
        )
        house.database.engine.dispose()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Crew:
    """The running processes of a plant."""

    senders: list[subprocess.Popen[bytes]] = field(default_factory=list)
    others: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in [*self.senders, *self.others]]

    def cpu(self) -> float:
        """CPU seconds of all our processes so far."""
        return cpu_of(self.pids)

    def fallen(self) -> list[int]:
        """Exit codes of processes that ended by themselves."""
        codes = [process.poll() for process in [*self.senders, *self.others]]
        return [code for code in codes if code is not None]


@contextmanager
def crew(
    plant: Plant,
    smtp_url: str,
    *,
    senders: int = 1,
    connections: int,
    extra: Mapping[str, str] | None = None,
    launcher: tuple[str, ...] = (str(MAILER),),
) -> Iterator[Crew]:
    """Start the processes and wait until their hearts beat; stop them in order at the end."""
    environment = _environment(plant, smtp_url, connections) | dict(extra or {})
    running = Crew()
    log_path = plant.folder / "log.txt"
    _still_hearts(plant)
    with log_path.open("ab") as log:
        try:
            for _ in range(senders):
                running.senders.append(_start((*launcher, *SEND), environment, log.fileno()))
            for words in OTHERS:
                running.others.append(_start((str(MAILER), *words), environment, log.fileno()))
            _wait_for_hearts(plant, running, log_path)
            yield running
        finally:
            for process in [*running.others, *running.senders]:
                process.terminate()
            for process in [*running.others, *running.senders]:
                try:
                    process.wait(STOP)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _start(words: tuple[str, ...], environment: Mapping[str, str], log: int) -> subprocess.Popen[bytes]:
    root = Path(__file__).parents[1]
    return subprocess.Popen(words, env=dict(environment), stdout=log, stderr=log, cwd=root)


def _environment(plant: Plant, smtp_url: str, connections: int) -> dict[str, str]:
    chosen = plant.house.settings
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAILER_")}
    return inherited | {
        "MAILER_DATA": str(plant.folder),
        "MAILER_DATABASE_URL": chosen.database_url,
        "MAILER_BROKER_URL": chosen.broker_url,
        "MAILER_SMTP_URL": smtp_url,
        "MAILER_SMTP_CONNECTIONS": str(connections),
    }


def _still_hearts(plant: Plant) -> None:
    with plant.house.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM heartbeats")


def _wait_for_hearts(plant: Plant, running: Crew, log: Path) -> None:
    end = time.monotonic() + START
    while _hearts(plant) < 3:  # send, plan, beat; a second sender shares the first one's
        if running.fallen() or time.monotonic() > end:
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the processes did not start. The end of their log:\n{tail}")
        time.sleep(0.05)
    time.sleep(1.0)  # they beat before they listen to the broker


def _hearts(plant: Plant) -> int:
    with plant.house.database.engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM heartbeats").scalar_one())
