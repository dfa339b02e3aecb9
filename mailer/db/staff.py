"""What staff did, and signs of life of the processes that serve them.

The audit log is append-only and chained: each entry holds the hash of the one
before, so that a removed or altered entry shows. It never holds an address.
"""

from datetime import datetime

from sqlalchemy import LargeBinary, String
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
