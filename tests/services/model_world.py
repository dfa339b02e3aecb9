"""Where the corridor's model takes place: one house in memory, put back before each example.

Making a house costs a second and an example a fraction of that, so the database engine and
the compiled forms are kept, and only what is in the tables and the journals' folder goes back.
"""

import shutil
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer import settings
from mailer.db.base import Base
from mailer.db.mailings import Mailing
from mailer.db.session import Database
from mailer.messages.form import Form
from mailer.services.house import House, open_house
from mailer.services.sending.sweep import journal_folder
from tests.services.model_truth import Truth

MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Watched(Database):
    """A database of which every commit is looked at."""

    look: Callable[[], None] = lambda: None

    @contextmanager
    def write(self) -> Iterator[Session]:
        with super().write() as session:
            yield session
        self.look()


@dataclass
class World:
    """A house that is made once and put back before each example."""

    house: House
    boot_id: Path
    put_back: Callable[[], None]
    forms: OrderedDict[tuple[object, ...], Form] = field(default_factory=OrderedDict)
    boots: int = 0

    def fresh(self, now: datetime) -> tuple[House, Truth]:
        """The house as it was made, with a book of what is in it."""
        self.put_back()
        shutil.rmtree(journal_folder(self.house), ignore_errors=True)
        self.new_boot()
        database = self.house.database
        truth = Truth(database, now)
        truth.look()
        with database.read() as session:
            truth.policy = {one.id: one.policy for one in session.scalars(select(Mailing))}
        watched = Watched(database.engine, database.vault, truth.look)
        return replace(self.house, database=watched), truth

    def new_boot(self) -> None:
        self.boots += 1
        self.boot_id.write_text(f"{self.boots:036d}\n")


@contextmanager
def in_memory(made: House, otherwise: Path) -> Iterator[World]:
    """The house as it is now, in a folder that is memory where the system has one."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else otherwise) as folder:
        data = Path(folder) / "house"
        shutil.copytree(made.settings.data, data)
        url = made.settings.database_url
        house = open_house(settings.load(data=data, database_url=url, base_url=made.settings.base_url))
        put_back = _table_copier(house) if url else _file_copier(house, made.settings.data / "mailer.db")
        yield World(house, Path(folder) / "boot_id", put_back)
        house.database.engine.dispose()


def _file_copier(house: House, made: Path) -> Callable[[], None]:
    """Puts the house's SQLite file back to the one that was made."""

    def put_back() -> None:
        house.database.engine.dispose()
        shutil.copyfile(made, house.settings.data / "mailer.db")

    return put_back


def _table_copier(house: House) -> Callable[[], None]:
    """Puts every table of the house's PostgreSQL database back to what it holds now."""
    names = [table.name for table in Base.metadata.sorted_tables]
    keep = [f"CREATE TABLE kept_{name} AS TABLE {name}" for name in names]
    put = [f"INSERT INTO {name} SELECT * FROM kept_{name}" for name in names]
    restart = "TRUNCATE claims, deliveries RESTART IDENTITY CASCADE"
    empty = f"TRUNCATE {', '.join(names)} CASCADE"

    def run(*statements: str) -> None:
        with house.database.engine.begin() as connection:
            connection.exec_driver_sql("; ".join(statements))

    run(*keep)
    return lambda: run(restart, empty, *put)
