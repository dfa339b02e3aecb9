"""What staff did, and signs of life of the processes that serve them.

The audit log is append-only and chained: each entry holds the hash of the one
before, so that a removed or altered entry shows. It never holds an address.
"""

from datetime import datetime

from sqlalchemy import Index, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON

from mailer.db.base import Base, BigId, Instant, JsonObject


class AuditEntry(Base):
    """Who did what to which thing, and why."""

    __tablename__ = "audit_entries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)
    actor: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(128))  # 'symposium:5', 'campaign:2'
    detail: Mapped[JsonObject] = mapped_column(JSON)
    previous: Mapped[bytes] = mapped_column(LargeBinary(32))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)


class Heartbeat(Base):
    """The last sign of life of a process."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    at: Mapped[datetime] = mapped_column(Instant)


class Incident(Base):
    """Something that must not be, told in words: found by the audit or by a worker. Open until it is gone."""

    __tablename__ = "incidents"
    __table_args__ = (
        Index(
            "uq_incidents_open_key",
            "key",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
            sqlite_where=text("closed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(128))  # 'books:12', 'relay-auth:relay:host:587'
    words: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime] = mapped_column(Instant)
    seen_at: Mapped[datetime] = mapped_column(Instant)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)


class Switch(Base):
    """A switch for the whole house. `sending` off is the kill switch: nothing is claimed, open slices end."""

    __tablename__ = "switches"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    on: Mapped[bool]
    actor: Mapped[str] = mapped_column(String(64))
    changed_at: Mapped[datetime] = mapped_column(Instant)
