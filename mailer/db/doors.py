"""Doors of other tools, and how often the public forms were used: API tokens, sign-ups, counts.

A token stands here only as its hash; what a tool calls a sign-up and where a form came
from stand here only as keyed hashes.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON

from mailer.db.base import Base, BigId, Instant


class ApiToken(Base):
    """What another tool shows to be let in. `scopes` say what it may do."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)


class SignUp(Base):
    """One sign-up that came from another tool, under the id that the tool has for it."""

    __tablename__ = "sign_ups"
    __table_args__ = (UniqueConstraint("token_id", "external"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    token_id: Mapped[int] = mapped_column(ForeignKey("api_tokens.id"))
    external: Mapped[bytes] = mapped_column(LargeBinary(16))  # keyed hash of the tool's own id
    content: Mapped[bytes] = mapped_column(LargeBinary(16))  # keyed hash of what was sent under it
    registration_id: Mapped[int | None] = mapped_column(ForeignKey("registrations.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(Instant)


class FormCount(Base):
    """How often the forms were sent from one network, or in all, within one hour since 1970."""

    __tablename__ = "form_counts"

    bucket: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int]
