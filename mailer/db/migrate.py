"""Brings a database to the tables this code knows, in one transaction, whoever else tries at once.

Running it twice changes nothing. Two processes that start together wait for each
other: PostgreSQL by an advisory lock, SQLite by its single writer.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

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
        _upgrade(connection)
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
    known = _known()
    if not known:
        raise DatabaseVersionError("This installation carries no migrations. Install it again.")
    return known[-1]


def _refuse_newer(revision: str | None) -> None:
    if revision is not None and revision not in _known():
        raise DatabaseVersionError(
            f"The database is newer than this program (revision {revision}). "
            f"Install the version of mailer that last ran here, or a later one."
        )


def _known() -> list[str]:
    """The revisions this code carries, oldest first: each migration's file name begins with its own."""
    return sorted(path.name[:4] for path in (FOLDER / "versions").glob("[0-9]*.py"))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _upgrade(connection: Connection) -> None:
    from alembic import command  # ten megabytes, which every worker would carry for a look at its start
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
