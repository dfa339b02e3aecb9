"""Watched sources: addresses that are read now and then, and what each of them held.

`next_check_at` says what is due; whoever checks a source leases it with a number that
grows, so that a worker that comes back late changes nothing.
"""

from datetime import date, datetime

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db.base import Base, BigId, Instant, word
from mailer.vocabulary import ItemFate, Medium, SourceKind, SourceState


class Source(Base):
    """One watched address. `asked_kind` is what staff expect there, `kind` what the last fetch gave."""

    __tablename__ = "sources"
    __table_args__ = (Index("ix_sources_state_next_check_at", "state", "next_check_at"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    url: Mapped[str] = mapped_column(String(1000), unique=True)
    asked_kind: Mapped[SourceKind] = mapped_column(word(SourceKind), default=SourceKind.AUTO)
    kind: Mapped[SourceKind | None] = mapped_column(word(SourceKind))
    zone: Mapped[str] = mapped_column(String(64))
    zone_names: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)  # as it prints them -> IANA
    language: Mapped[str] = mapped_column(String(16))
    every_seconds: Mapped[int]
    state: Mapped[SourceState] = mapped_column(word(SourceState), default=SourceState.WATCHED)
    take_old: Mapped[bool] = mapped_column(
        default=False
    )  # the first fetch makes drafts of old statements too

    etag: Mapped[str | None] = mapped_column(String(500))
    modified: Mapped[str | None] = mapped_column(String(500))
    next_check_at: Mapped[datetime] = mapped_column(Instant)
    leased_until: Mapped[datetime | None] = mapped_column(Instant)
    lease: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)  # fetches in a row that gave nothing
    trouble: Mapped[str] = mapped_column(Text, default="")  # why the last one gave nothing
    suspect: Mapped[str] = mapped_column(Text, default="")  # why the last one was not believed
    notes: Mapped[str] = mapped_column(Text, default="")  # what the last one could not read, by lines
    checked_at: Mapped[datetime | None] = mapped_column(Instant)  # whatever came of it
    read_at: Mapped[datetime | None] = mapped_column(Instant)  # read whole, not only "unchanged"
    imported_at: Mapped[datetime | None] = mapped_column(Instant)  # the first fetch, which marks all as seen
    created_at: Mapped[datetime] = mapped_column(Instant)


class SourceItem(Base):
    """One statement or event of a source, known by a key that stays, and what became of it."""

    __tablename__ = "source_items"
    __table_args__ = (UniqueConstraint("source_id", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(300))
    digest: Mapped[str] = mapped_column(String(64))  # of its facts, as last read
    title: Mapped[str] = mapped_column(Text)
    day: Mapped[date | None]
    sequence: Mapped[int | None]  # a calendar's own count of changes
    medium: Mapped[Medium] = mapped_column(word(Medium))
    fate: Mapped[ItemFate] = mapped_column(word(ItemFate))
    why: Mapped[str] = mapped_column(Text, default="")
    statement_id: Mapped[int | None] = mapped_column(ForeignKey("statements.id"), index=True)
    symposium_id: Mapped[int | None] = mapped_column(ForeignKey("symposia.id"), index=True)
    first_seen: Mapped[datetime] = mapped_column(Instant)
    last_seen: Mapped[datetime] = mapped_column(Instant)
    gone_at: Mapped[datetime | None] = mapped_column(Instant)


class RobotsFile(Base):
    """A site's robots.txt as it was last fetched; empty where it has none."""

    __tablename__ = "robots_files"

    origin: Mapped[str] = mapped_column(String(300), primary_key=True)  # scheme://host:port
    text: Mapped[str] = mapped_column(Text)
    usable: Mapped[bool] = mapped_column(default=True)  # False: the server failed, so nothing is fetched
    fetched_at: Mapped[datetime] = mapped_column(Instant)
