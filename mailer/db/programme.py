"""The programme: statements, symposia, their dates, reminder rules and registrations.

Truth about time is the local wall time and its IANA zone; the UTC instant is
derived from them and kept with the tzdata version that derived it.
"""

import uuid
from datetime import date, datetime, time

from sqlalchemy import ForeignKey, Index, LargeBinary, SmallInteger, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.types import JSON

from mailer.db.base import Base, BigId, Instant, JsonObject, word
from mailer.vocabulary import (
    Attendance,
    CorrectionKind,
    CorrectionState,
    EndSource,
    Medium,
    Precision,
    ProposalState,
    RegistrationState,
    StatementState,
    SymposiumState,
    TextState,
)


class Statement(Base):
    """A public statement. `key` is what ingest knows it by; its texts are versions per language.

    `version` is the one that holds now: corrections raise it, and a text of an earlier one is never sent.
    """

    __tablename__ = "statements"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    slug: Mapped[str] = mapped_column(String(128), unique=True)
    state: Mapped[StatementState] = mapped_column(word(StatementState), default=StatementState.DRAFT)
    language: Mapped[str] = mapped_column(String(16))
    dated: Mapped[date]
    url: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(SmallInteger, default=1)
    holds: Mapped[list[str]] = mapped_column(JSON, default=list)  # languages whose readers wait for theirs
    created_at: Mapped[datetime] = mapped_column(Instant)
    published_at: Mapped[datetime | None] = mapped_column(Instant)
    review_asked_by: Mapped[str | None] = mapped_column(String(64))
    approved_by: Mapped[str | None] = mapped_column(String(64))
    approved_digest: Mapped[bytes | None] = mapped_column(LargeBinary(32))  # of the texts that were approved

    texts: Mapped[list["StatementText"]] = relationship(
        back_populates="statement", order_by="StatementText.version"
    )


class StatementText(Base):
    """One version of a statement in one language, as Markdown. A translation has its original's number."""

    __tablename__ = "statement_texts"
    __table_args__ = (UniqueConstraint("statement_id", "language", "version"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    statement_id: Mapped[int] = mapped_column(ForeignKey("statements.id"))
    language: Mapped[str] = mapped_column(String(16))
    version: Mapped[int] = mapped_column(default=1)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[TextState] = mapped_column(word(TextState), default=TextState.READY)
    created_at: Mapped[datetime] = mapped_column(Instant)

    statement: Mapped[Statement] = relationship(back_populates="texts")


class Correction(Base):
    """What was wrong with a published statement and what is right, or why it is taken back.

    `words` holds, per language, `wrong` and `right`, or `reason`. `paused` are the mailings that its
    announcement has paused and that go on once it is done.
    """

    __tablename__ = "corrections"
    __table_args__ = (UniqueConstraint("statement_id", "number"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    statement_id: Mapped[int] = mapped_column(ForeignKey("statements.id"))
    number: Mapped[int] = mapped_column(SmallInteger)
    kind: Mapped[CorrectionKind] = mapped_column(word(CorrectionKind))
    state: Mapped[CorrectionState] = mapped_column(word(CorrectionState), default=CorrectionState.DRAFT)
    from_version: Mapped[int] = mapped_column(SmallInteger)
    to_version: Mapped[int | None] = mapped_column(SmallInteger)  # a retraction leads to none
    words: Mapped[dict[str, dict[str, str]]] = mapped_column(JSON)
    paused: Mapped[list[int]] = mapped_column(JSON, default=list)
    actor: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(Instant)
    announced_at: Mapped[datetime | None] = mapped_column(Instant)
    done_at: Mapped[datetime | None] = mapped_column(Instant)


class Series(Base):
    """Symposia that belong together, with the sentence that announces them."""

    __tablename__ = "series"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(128), unique=True)
    name: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text, default="")


class Symposium(Base):
    """One symposium on one date. `generation` counts dates, `sequence` what calendars must notice."""

    __tablename__ = "symposia"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), unique=True)
    slug: Mapped[str] = mapped_column(String(128), unique=True)
    uid: Mapped[str] = mapped_column(String(36), unique=True, default=lambda: str(uuid.uuid4()))
    state: Mapped[SymposiumState] = mapped_column(word(SymposiumState), default=SymposiumState.DRAFT)
    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id"))
    title: Mapped[str] = mapped_column(Text)
    language: Mapped[str] = mapped_column(String(16), default="en")

    precision: Mapped[Precision] = mapped_column(word(Precision))
    day: Mapped[date | None]  # for month precision its first day, for none: null
    wall_time: Mapped[time | None]
    zone: Mapped[str | None] = mapped_column(String(64))
    starts_at: Mapped[datetime | None] = mapped_column(Instant, index=True)  # derived, see tzdata
    tzdata: Mapped[str | None] = mapped_column(String(16))
    minutes: Mapped[int] = mapped_column(default=60)
    end_source: Mapped[EndSource] = mapped_column(word(EndSource), default=EndSource.ASSUMED)

    place: Mapped[str | None] = mapped_column(Text)
    online: Mapped[bool | None]  # null: nobody has said
    room: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed: the URL that join links lead to
    speakers: Mapped[list[str]] = mapped_column(JSON, default=list)
    languages: Mapped[list[str]] = mapped_column(JSON, default=list)  # that will be spoken; tags
    register_url: Mapped[str | None] = mapped_column(Text)

    capacity: Mapped[int | None]  # null: as many as come
    waiting_list: Mapped[bool] = mapped_column(default=True)
    asks_access: Mapped[bool] = mapped_column(default=False)
    form_fields: Mapped[list[JsonObject]] = mapped_column(JSON, default=list)  # the registration questions
    registration_window: Mapped[JsonObject] = mapped_column(JSON, default=dict)  # opens, closes, zone
    registration_opens_at: Mapped[datetime | None] = mapped_column(Instant)  # derived from the window
    registration_closes_at: Mapped[datetime | None] = mapped_column(Instant)
    sources: Mapped[dict[str, str]] = mapped_column(JSON)  # field -> FieldSource
    raw: Mapped[str] = mapped_column(Text, default="")
    questions: Mapped[list[str]] = mapped_column(JSON)  # what a person must confirm before any mail leaves
    generation: Mapped[int] = mapped_column(default=1)
    sequence: Mapped[int] = mapped_column(default=0)
    changed_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)

    series: Mapped[Series | None] = relationship(lazy="joined")  # read with it: compose has no session
    dates: Mapped[list["SymposiumDate"]] = relationship(order_by="SymposiumDate.generation")


class SymposiumDate(Base):
    """Every date a symposium ever had: a return to an earlier date takes its old generation again."""

    __tablename__ = "symposium_dates"
    __table_args__ = (UniqueConstraint("symposium_id", "generation"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    symposium_id: Mapped[int] = mapped_column(ForeignKey("symposia.id"))
    generation: Mapped[int]
    precision: Mapped[Precision] = mapped_column(word(Precision))
    day: Mapped[date | None]
    wall_time: Mapped[time | None]
    zone: Mapped[str | None] = mapped_column(String(64))
    starts_at: Mapped[datetime | None] = mapped_column(Instant)


class ReminderRule(Base):
    """How long before its start people are reminded; the default when it names no symposium."""

    __tablename__ = "reminder_rules"
    __table_args__ = (UniqueConstraint("symposium_id", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    symposium_id: Mapped[int | None] = mapped_column(ForeignKey("symposia.id"))
    key: Mapped[str] = mapped_column(String(16))  # '1d', '1h': stands in the mailing's key
    days: Mapped[int] = mapped_column(default=0)  # civil days: same clock time
    minutes: Mapped[int] = mapped_column(default=0)  # absolute time
    enabled: Mapped[bool] = mapped_column(default=True)


class Registration(Base):
    """One attendee of one symposium. `told_generation` is the date they last heard of.

    `registered_at`: since when they hold this state. `languages` and `zone` are what they chose for this
    symposium; without it the subscriber's hold.
    """

    __tablename__ = "registrations"
    __table_args__ = (
        UniqueConstraint("symposium_id", "subscriber_id"),
        Index("ix_registrations_symposium_state", "symposium_id", "state"),
        Index("ix_registrations_subscriber", "subscriber_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    symposium_id: Mapped[int] = mapped_column(ForeignKey("symposia.id"))
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    state: Mapped[RegistrationState] = mapped_column(word(RegistrationState))
    reminders: Mapped[bool] = mapped_column(default=True)  # a reminder's unsubscribe turns only this off
    sequence_bump: Mapped[int] = mapped_column(default=0)
    told_generation: Mapped[int | None]
    registered_at: Mapped[datetime] = mapped_column(Instant)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)  # their own last yes, by their mail's link
    languages: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    zone: Mapped[str | None] = mapped_column(String(64))
    attendance: Mapped[Attendance] = mapped_column(word(Attendance), default=Attendance.UNKNOWN)
    join_generation: Mapped[int] = mapped_column(default=1)  # of their join link; older ones are revoked
    details: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed: name, answers and access needs

    symposium: Mapped[Symposium] = relationship()


class Proposal(Base):
    """A change that a re-read source suggests and a person accepts or rejects."""

    __tablename__ = "proposals"
    __table_args__ = (UniqueConstraint("fingerprint"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))  # the same suggestion is made once
    symposium_id: Mapped[int | None] = mapped_column(ForeignKey("symposia.id"))
    statement_id: Mapped[int | None] = mapped_column(ForeignKey("statements.id"))
    source_id: Mapped[int | None] = mapped_column(ForeignKey("sources.id", ondelete="SET NULL"))
    medium: Mapped[Medium | None] = mapped_column(word(Medium))  # what it was read from
    note: Mapped[str] = mapped_column(Text, default="")  # what staff should know before they decide
    changes: Mapped[JsonObject] = mapped_column(JSON)  # field -> [old, new]
    raw: Mapped[str] = mapped_column(Text)
    state: Mapped[ProposalState] = mapped_column(word(ProposalState), default=ProposalState.OPEN)
    created_at: Mapped[datetime] = mapped_column(Instant)
