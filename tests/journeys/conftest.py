"""The real processes, started as docker-compose.yml starts them, on a real Redis and PostgreSQL."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

from drills.compose import commands, free_port
from mailer import settings
from mailer.services.house import House, open_house
from tests.conftest import Databases
from tests.smtp_server import MailServer

MAILER = Path(sys.executable).with_name("mailer")
PATIENCE = 90.0  # seconds until a state that does not come is given up


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look again and again until the condition holds; fails with `what` when it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"it never came to this: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real Redis server that keeps nothing on disk."""
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed; install Debian's redis-server.")
        pytest.skip("redis-server is not installed; install Debian's redis-server to run this.")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    with redis.Redis(port=port) as client:
        wait_until(lambda: _answers(client), "Redis answers")
    yield port
    process.terminate()
    process.wait()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@dataclass
class Installation:
    """Separate processes around one house; their logs are in files."""

    house: House
    environment: dict[str, str]
    folder: Path
    redis_port: int
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, service: str) -> None:
        with (self.folder / f"{service}.log").open("ab") as log:
            self.running[service] = subprocess.Popen(
                [str(MAILER), *commands()[service][1:]], env=self.environment, stdout=log, stderr=log
            )

    def stop(self, service: str, how: signal.Signals = signal.SIGTERM) -> int:
        process = self.running.pop(service)
        process.send_signal(how)
        return process.wait(timeout=60)

    def run(self, *words: str) -> str:
        """Run one command of staff's; gives what it printed."""
        done = subprocess.run(
            [str(MAILER), *words], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


@pytest.fixture
def installation(
    tmp_path: Path,
    sqlite_template: Path,
    postgresql_template: str,
    databases: Databases,
    redis_port: int,
    server: MailServer,
) -> Iterator[Installation]:
    """Web, both workers, beat and inbound, running; everything stops at the end."""
    shutil.copy(sqlite_template / "keys.json", tmp_path / "keys.json")
    values = {
        "data": str(tmp_path),
        "database_url": databases.make(postgresql_template),
        "broker_url": f"redis://127.0.0.1:{redis_port}/0",
        "keys_file": str(tmp_path / "keys.json"),
        "smtp_url": server.url,
        "web_port": str(free_port()),
        "mx_port": str(free_port()),
        "sweep_seconds": "0.5",
        "slice_size": "25",
    }
    variables = {f"MAILER_{name.upper()}": value for name, value in values.items()}
    chosen = settings.load(**values)
    settings.use(chosen)
    house = open_house(chosen)
    installation = Installation(house, {**os.environ, **variables}, tmp_path, redis_port)
    for service in ("web", "worker-send", "worker-plan", "beat", "inbound"):
        installation.start(service)
    yield installation
    for service in list(installation.running):
        installation.stop(service)
    house.database.engine.dispose()
