"""Migrations: repeatable, safe for two at once, and never onto a database that is newer."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from mailer import keys, settings
from mailer.db import migrate
from mailer.db.tables import metadata
from mailer.services.house import House, open_house
from tests.conftest import Databases

MAILER = Path(sys.executable).with_name("mailer")


def test_migrating_again_changes_nothing(house: House) -> None:
    assert migrate.migrate(house.database) is None
    migrate.check(house.database)


def test_the_migrations_make_exactly_the_tables_of_the_code(house: House) -> None:
    with house.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []


def test_a_newer_database_is_refused_and_left_alone(house: House) -> None:
    with house.database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refused in (migrate.migrate, migrate.check):
        with pytest.raises(migrate.DatabaseVersionError, match="newer than this program"):
            refused(house.database)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_processes_that_migrate_at_once_wait_for_each_other(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = ""
    if kind == "postgresql":
        databases: Databases = request.getfixturevalue("databases")
        url = databases.make()
    keys.create(tmp_path / "keys.json")
    environment = {**os.environ, "MAILER_DATA": str(tmp_path), "MAILER_DATABASE_URL": url}
    started = [
        subprocess.Popen([str(MAILER), "migrate"], env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    results = [(process.communicate()[1], process.returncode) for process in started]
    assert [code for _, code in results] == [0, 0, 0], results
    chosen = settings.load(data=tmp_path, database_url=url)
    house = open_house(chosen)
    migrate.check(house.database)
    house.database.engine.dispose()


def test_an_old_database_names_the_command(tmp_path: Path) -> None:
    keys.create(tmp_path / "keys.json")
    house = open_house(settings.load(data=tmp_path), checked=False)
    with pytest.raises(migrate.DatabaseVersionError, match="mailer migrate"):
        migrate.check(house.database)
    house.database.engine.dispose()
