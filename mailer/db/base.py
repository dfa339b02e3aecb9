"""The declarative base, column types shared by all tables, and ids made by the application.

Times are stored as UTC instants and refused when naive; words are stored as the
values of their enums, so that a dump can be read by a person.
"""

import enum
import secrets
import threading
import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Enum, Integer, MetaData
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}

# SQLite counts rows only in INTEGER columns, PostgreSQL wants BIGINT for a million deliveries a week.
BigId = BigInteger().with_variant(Integer(), "sqlite")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. Naive datetimes are refused on the way in, none comes out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A naive datetime reached the database; give it a zone first.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def word(kind: type[enum.StrEnum]) -> Enum:
    """A column that holds one of an enum's values, as text."""
    return Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


class _Ids:
    lock = threading.Lock()
    last = 0


EPOCH_MS = 1_704_067_200_000  # 2024-01-01; 41 bits of milliseconds last until 2093


def new_id() -> int:
    """A 63-bit id that grows with time, known before the row exists.

    A sealed value is bound to its row, so the row's id must be there before the
    value is sealed. 41 bits of milliseconds and 22 of chance, counted up within one
    millisecond, make two processes meet about once in four million simultaneous rows.
    """
    candidate = ((time.time_ns() // 1_000_000 - EPOCH_MS) << 22) | secrets.randbits(22)
    with _Ids.lock:
        _Ids.last = max(candidate, _Ids.last + 1)
        return _Ids.last


JsonObject = dict[str, Any]
