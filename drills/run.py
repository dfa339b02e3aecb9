"""One run: a house in processes, as docker-compose.yml starts them, around one mailing and one sink.

A fault is a function that is given a run, breaks something in it, and returns what it
allows. Everything it needs is here: processes to signal, a sink to script, a clock to
move, a database to look into.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from celery import Celery
from sqlalchemy import text

from drills.compose import commands
from drills.nursery import Process
from drills.servers import wait_until
from drills.sink_process import SinkProcess
from drills.site import Site
from mailer.db.mailings import Mailing
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.smtp import journal
from mailer.wake import Queue, Task

CONNECTIONS = 4
DEPTH = 8  # mails with a dot and no reply that one connection may hold, over BDAT; DATA holds one
SLICE = 25
LEASE_SECONDS = 10
SERVICES = ("worker-send", "worker-plan", "beat")


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """What a fault may leave behind. `from_journal`: doubt must be exactly what the journals cannot tell.

    `doubt` is the most deliveries that may be in doubt, `failed` how many the sink refused for good.
    """

    doubt: int = 0
    failed: int = 0
    from_journal: bool = False


class Run:
    """Start it with `with`. `rng` is the run's only chance: the same seed breaks the same thing."""

    def __init__(
        self, site: Site, name: str, seed: int, *, readers: int, chunking: bool, quick: bool
    ) -> None:
        self.site, self.seed, self.readers, self.chunking = site, seed, readers, chunking
        self.storms = 10 if quick else 50
        self.drip = 0.05 if quick else 1.0
        self.rng = random.Random(f"{name}:{seed}")
        self.folder = site.folder / f"{re.sub('[^a-z]+', '-', name)}-{seed}-{'bdat' if chunking else 'data'}"
        self.data = self.folder / "data"
        self.data.mkdir(parents=True)
        self.database = site.fresh_database()
        self.house: House = site.open_house(self.data, self.database)
        self.sink = SinkProcess(self.folder, chunking=chunking)
        self.journals = Keeper(self.data / "journals", self.folder / "journals")
        self.processes: dict[str, Process] = {}
        self.mailing = self.published = 0
        self.healed_at = time.monotonic()
        self.recovery: float | None = None
        self.variables = {
            "data": str(self.data),
            "database_url": site.postgresql.url(self.database),
            "broker_url": site.redis.url(),
            "keys_file": str(site.ring),
            "smtp_url": f"smtp://127.0.0.1:{self.sink.port}",
            "smtp_connections": str(CONNECTIONS),
            "sweep_seconds": "0.5",
            "lease_seconds": str(LEASE_SECONDS),
            "slice_size": str(SLICE),
        }

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_everything()
        self.journals.close()
        self.sink.close()
        self.house.database.engine.dispose()
        self.site.mend()
        self.site.postgresql.drop(self.database)

    def forget(self) -> None:
        """Remove what the run has written; kept when something was found."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def key(self) -> str:
        """The key of the mailing, as staff write it."""
        return str(self.sql("SELECT key FROM mailings WHERE id = :id", id=self.mailing)[0][0])

    # --- processes

    @property
    def most_in_flight(self) -> int:
        """The most dots that can be open in one worker."""
        return CONNECTIONS * (DEPTH if self.chunking else 1)

    def start(
        self,
        *services: str,
        name: str = "",
        log: Path | None = None,
        execute: bool = False,
        variables: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Start services; `name` tells a second one of a kind apart. `variables` go into its environment."""
        for service in services or SERVICES:
            words = commands()[service][1:]
            place = log or self.folder / f"{name or service}.log"
            self.processes[name or service] = self._start(words, place, variables, execute=execute)

    def _start(self, words: list[str], log: Path, variables: Mapping[str, str], *, execute: bool) -> Process:
        outside = {key: value for key, value in os.environ.items() if not key.startswith("MAILER_")}
        settings = {f"MAILER_{key.upper()}": value for key, value in self.variables.items()}
        return self.site.nursery.start(
            words,
            environment={**outside, **settings, **variables},
            log=log,
            execute=execute,
        )

    def signal(self, name: str, number: signal.Signals) -> None:
        self.processes[name].send(number)
        if number is signal.SIGKILL:
            self.processes.pop(name).wait(10)

    def stop(self, name: str) -> int:
        """SIGTERM and wait; gives the exit code."""
        process = self.processes.pop(name)
        process.send(signal.SIGTERM)
        return process.wait(30)

    def died(self, name: str) -> bool:
        return self.processes[name].poll() is not None

    def ended_by_themselves(self) -> list[str]:
        """What should still run and does not, in words."""
        ended = [(name, process.poll()) for name, process in self.processes.items()]
        return [f"{name} ended by itself with {status}" for name, status in ended if status is not None]

    def stop_everything(self) -> None:
        """SIGKILL to all that runs, whatever it does."""
        for process in self.processes.values():
            process.send(signal.SIGKILL)
        while self.processes:
            self.processes.popitem()[1].wait(10)

    def ends_well(self, name: str) -> None:
        """SIGTERM, and it ends of its own accord with exit code 0."""
        status = self.stop(name)
        if status != 0:
            raise AssertionError(f"{name} ended with {status} on SIGTERM")

    def stands_still(self, name: str) -> bool:
        """True when SIGSTOP has reached it."""
        status = Path(f"/proc/{self.processes[name].pid}/stat").read_text()
        return status.rpartition(")")[2].split()[0] in "Tt"

    def command(self, *words: str) -> None:
        """Run one command of staff's."""
        process = self._start(list(words), self.folder / "commands.log", {}, execute=False)
        if process.wait(30) != 0:
            raise AssertionError(f"mailer {' '.join(words)} failed")

    # --- the corridor

    def publish(self, slug: str = "short", *, policy: str | None = None) -> None:
        """Publish a statement to all readers; the sweep finds the mailing. `policy` overrides the kind's."""
        with self.house.database.write() as session:
            found = statements.find(session, slug)
            mailing = statements.publish(
                session, self.house, found, actor="drill", now=self.now(), anyway=True
            )
            if policy:
                session.flush()
                session.get_one(Mailing, mailing.id).policy = policy  # type: ignore[assignment]
            self.mailing = mailing.id
        self.published += 1

    def now(self) -> datetime:
        return datetime.now(UTC)

    def hint(self, task: Task = Task.SEND_DUE, times: int = 1) -> None:
        """Give the same hint so often."""
        queue = {Task.SEND_DUE: Queue.SEND}.get(task, Queue.SWEEP)
        with Celery("drill", broker=self.site.redis.url(), set_as_current=False) as giver:
            for _ in range(times):
                giver.send_task(task.value, queue=queue.value, ignore_result=True)

    def wait_for(self, accepted: int) -> None:
        """Until the sink has accepted so many mails."""
        wait_until(lambda: self.sink.accepted >= accepted, f"{accepted} mails accepted")

    def some(self, low: float, high: float) -> int:
        """A random number of mails between these shares of all."""
        return self.rng.randint(int(self.readers * low), int(self.readers * high))

    def broken(self) -> None:
        """Recovery is counted from now: the fault is over."""
        self.healed_at = time.monotonic()

    # --- the database, and the clock that is moved in it

    def sql(self, statement: str, **values: Any) -> Sequence[Any]:
        """Run one statement in a transaction of its own; gives its rows."""
        with self.house.database.engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    def count(self, *states: str) -> int:
        """Deliveries in these states."""
        rows = self.sql("SELECT count(*) FROM deliveries WHERE state = ANY(:states)", states=list(states))
        return int(rows[0][0])

    def moved(self) -> bool:
        """Move the clock; False, so that it can stand in a condition that is waited for."""
        self.move_clock()
        return False

    def move_clock(self) -> None:
        """What waits for its next try waits no longer, and what rests is up again."""
        self.change(
            "due_at = now()",
            "due_at > now() AND (state = 'deferred' OR "
            "state = 'in_doubt' AND mailing_id IN (SELECT id FROM mailings WHERE policy = 'retry'))",
        )
        self.reopen()

    def change(self, values: str, where: str = "true") -> None:
        """Change deliveries, locking them in the order in which workers do."""
        self.sql(
            f"WITH chosen AS MATERIALIZED (SELECT id FROM deliveries WHERE {where} ORDER BY id FOR UPDATE) "
            f"UPDATE deliveries SET {values} FROM chosen WHERE deliveries.id = chosen.id"
        )

    def reopen(self) -> None:
        """Lanes and relays that rest have rested long enough."""
        self.sql("UPDATE lanes SET closed_until = now() WHERE closed_until > now()")

    def settled(self) -> bool:
        """True when nothing is open and no doubt waits to be tried again."""
        rows = self.sql(
            "SELECT count(*) FILTER (WHERE d.state IN ('pending', 'deferred', 'claimed')), "
            "count(*) FILTER (WHERE d.state = 'in_doubt' AND m.policy = 'retry' AND m.state <> 'cancelled'), "
            "count(*) FROM mailings m LEFT JOIN deliveries d ON d.mailing_id = m.id"
        )
        still_open, to_retry, known = rows[0]
        return known >= self.published * self.readers and not still_open and not to_retry

    def finish(self, seconds: float = 60.0) -> None:
        """Move the clock until everything is settled; notes how long that took after the fault was over."""
        end = time.monotonic() + seconds
        while not self.settled():
            if time.monotonic() > end:
                raise TimeoutError("not everything came to an end")
            self.move_clock()
            time.sleep(0.1)
        if self.recovery is None:
            self.recovery = time.monotonic() - self.healed_at

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


class Keeper:
    """Keeps a second name for every journal, so that it can be read after the sweep has done away with it."""

    def __init__(self, folder: Path, kept: Path) -> None:
        self._folder, self._kept = folder, kept
        kept.mkdir()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="journals", daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while not self._over.wait(0.01):
            for path in self._folder.glob("[!.]*"):
                with contextlib.suppress(OSError):
                    self._link(path, self._kept / path.name)

    def _link(self, path: Path, name: Path) -> None:
        if name.exists() and name.samefile(path):
            return
        draft = name.with_name(f".{name.name}")  # the owner may have put a shorter file in its place
        os.link(path, draft)
        draft.replace(name)

    def unanswered(self) -> set[int]:
        """Deliveries with a dot record and no reply record in the journal of a process that is dead."""
        found: set[int] = set()
        for path in journal.dead_journals(self._kept):
            contents = journal.read(path)
            found |= {one.id for one in contents.records.values() if one.dot and one.reply is None}
        return found

    def close(self) -> None:
        self._over.set()
        self._thread.join()
