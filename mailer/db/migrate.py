"""Brings a database to the tables this code knows, in one transaction, whoever else tries at once.

Running it twice changes nothing. Two processes that start together wait for each
other: PostgreSQL by an advisory lock, SQLite by its single writer.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from mailer.db.session import Database

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x6D61696C  # 'mail'


class DatabaseVersionError(Exception):
    """The database's tables are not this code's; the message says which side must move."""


def migrate(database: Database) -> str | None:
    """Apply what is missing; returns the revision reached, or None when nothing was missing.

    Raises DatabaseVersionError when the database is newer than this code.
    """
    with database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        before = _revision(connection)
        _refuse_newer(before)
        if before == head():
            return None
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return head()


def check(database: Database) -> None:
    """Raise DatabaseVersionError unless the tables are exactly the ones this code knows."""
    with database.read() as session:
        revision = _revision(session.connection())
    _refuse_newer(revision)
    if revision != head():
        raise DatabaseVersionError("The database is older than this program. Run: mailer migrate")


def head() -> str:
    """The newest revision this code carries."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:
        raise DatabaseVersionError("This installation carries no migrations. Install it again.")
    return revision


def _refuse_newer(revision: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise DatabaseVersionError(
            f"The database is newer than this program (revision {revision}). "
            f"Install the version of mailer that last ran here, or a later one."
        )


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    return config
