"""One Database per process: its engine, its vault, and the two ways to open a session.

`write()` is one transaction; hints asked for inside it leave only after its commit.
`read()` never writes. SQLite runs in WAL mode with full synchronisation, because a
forgotten claim would be a second mail.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.orm import Session

from mailer import wake
from mailer.db.base import Instant
from mailer.db.seal import Vault

BUSY_MS = 30_000  # how long SQLite's one writer may keep another waiting
HINTS = "hints"


@dataclass(frozen=True)
class Database:
    engine: Engine
    vault: Vault = field(repr=False)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that commits at the end of the block and rolls back on any exception."""
        with Session(self.engine, expire_on_commit=False) as session:
            with session.begin():
                yield session
            for task, number in dict.fromkeys(session.info.get(HINTS, [])):
                wake.hint(task, number)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for looking; whatever it would change is rolled back."""
        options = {"mailer_reading": True}
        with (
            self.engine.execution_options(**options).connect() as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            yield session
            session.expunge_all()  # what was read stays readable after the block
            session.rollback()

    def clock(self) -> datetime | None:
        """The moment by the database server's clock; None for SQLite, which has only this machine's."""
        if self.engine.dialect.name != "postgresql":
            return None
        with self.read() as session:
            return moment_of(session)

    @contextmanager
    def rehearsal(self) -> Iterator[Session]:
        """A transaction that may write and is undone at the end; its hints are given to nobody."""
        with Session(self.engine, expire_on_commit=False) as session:
            session.begin()
            yield session
            session.expunge_all()
            session.rollback()


def moment_of(session: Session) -> datetime | None:
    """The moment by the database server's clock, however long the transaction has lasted; None for SQLite."""
    if session.get_bind().dialect.name != "postgresql":
        return None
    return session.scalar(select(func.clock_timestamp(type_=Instant())))


def hint_after_commit(session: Session, task: wake.Task, number: int | None = None) -> None:
    """Ask for a hint once this session's transaction is committed; twice the same is one."""
    session.info.setdefault(HINTS, []).append((task, number))


def connect(url: str, vault: Vault) -> Database:
    """Open the database named by a SQLAlchemy URL. No connection is made before it is needed."""
    if url.startswith("sqlite"):
        return Database(_sqlite(url), vault)
    return Database(
        create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20, hide_parameters=True), vault
    )


def _sqlite(url: str) -> Engine:
    connect_args = {"timeout": BUSY_MS / 1000, "check_same_thread": False}
    engine = create_engine(url, connect_args=connect_args, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are opened below, not guessed by the driver
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A writer takes SQLite's one lock at once: a reader that turned writer would fail midway.
        reading = connection.get_execution_options().get("mailer_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine
