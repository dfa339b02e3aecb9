"""The one difference between PostgreSQL and SQLite that queries must know: INSERT ... ON CONFLICT."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert(session: Session, table: Any) -> Any:
    """An INSERT of the session's dialect, which offers on_conflict_do_nothing and on_conflict_do_update."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
