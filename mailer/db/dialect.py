"""The differences between PostgreSQL and SQLite that queries must know: INSERT ... ON CONFLICT, and how a
thousand ids are named in one statement."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, any_, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session


def insert(session: Session, table: Any) -> Any:
    """An INSERT of the session's dialect, which offers on_conflict_do_nothing and on_conflict_do_update."""
    if is_postgresql(session):
        return postgresql.insert(table)
    return sqlite.insert(table)


def one_of(
    session: Session,
    column: InstrumentedAttribute[int] | InstrumentedAttribute[int | None],
    ids: Collection[int],
) -> ColumnElement[bool]:
    """True for rows whose id is among these; one array on PostgreSQL spares a parameter for each."""
    if not is_postgresql(session):
        return column.in_(ids)
    array = bindparam(None, list(ids), type_=postgresql.ARRAY(BigInteger))
    return column == any_(array)


def is_postgresql(session: Session) -> bool:
    return session.get_bind().dialect.name == "postgresql"
