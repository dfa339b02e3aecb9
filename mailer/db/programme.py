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
    RuleAudience,
    RuleTiming,
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

    `language`: the one language whose text was wrong; empty when the statement itself was. `words` holds, per
    language, `wrong` and `right`, or `reason`. `paused` are the mailings that its
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
    language: Mapped[str | None] = mapped_column(String(16))
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
    """One symposium on one date. `generation` counts dates, `sequence` what calendars must notice.

    `facts_version` numbers what attendees must know (SymposiumVersion). `planned_at` is null while the
    sweep has to plan its reminders anew.
    """

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
    later: Mapped[bool] = mapped_column(default=False)  # the second of a time that comes twice on its day
    starts_at: Mapped[datetime | None] = mapped_column(Instant, index=True)  # derived, see tzdata
    tzdata: Mapped[str | None] = mapped_column(String(16))
    minutes: Mapped[int] = mapped_column(default=60)
    end_source: Mapped[EndSource] = mapped_column(word(EndSource), default=EndSource.ASSUMED)

    place: Mapped[str | None] = mapped_column(Text)
    online: Mapped[bool | None]  # null: nobody has said
    room: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed: the URL that join links lead to
    speakers: Mapped[list[str]] = mapped_column(JSON, default=list)
    languages: Mapped[list[str]] = mapped_column(JSON, default=list)  # that will be spoken; tags
    recording_url: Mapped[str | None] = mapped_column(Text)
    follow_up_at: Mapped[datetime | None] = mapped_column(Instant)  # when a person approved the follow-up
    # When the recording last answered, or a person vouched for it; when it is asked next (null: not at all).
    recording_seen_at: Mapped[datetime | None] = mapped_column(Instant)
    recording_next_at: Mapped[datetime | None] = mapped_column(Instant)
    recording_trouble: Mapped[str | None] = mapped_column(Text)  # why the follow-up is held
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
    facts_version: Mapped[int] = mapped_column(default=0)  # 0: not looked at yet
    facts_changed_at: Mapped[datetime | None] = mapped_column(Instant)
    planned_at: Mapped[datetime | None] = mapped_column(Instant)
    nights: Mapped[str | None] = mapped_column(String(16))  # the quiet hours it was planned around
    changed_at: Mapped[datetime] = mapped_column(Instant)
    created_at: Mapped[datetime] = mapped_column(Instant)

    series: Mapped[Series | None] = relationship(lazy="joined")  # read with it: compose has no session
    dates: Mapped[list["SymposiumDate"]] = relationship(order_by="SymposiumDate.generation")


class SymposiumDate(Base):
    """Every date a symposium ever had: a return to an earlier date takes its old generation again.

    `announced`: the public was told of it. What a draft had before was a guess, and is nobody's business.
    """

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
    announced: Mapped[bool] = mapped_column(default=False)


_unplanned = Symposium.planned_at.is_(None) & (Symposium.state == SymposiumState.ANNOUNCED)
Index("ix_symposia_unplanned", Symposium.id, postgresql_where=_unplanned, sqlite_where=_unplanned)


class SymposiumVersion(Base):
    """What attendees must know, as it stood at one time: a change notice is the difference of two of these.

    Facts that are as they once were take their old number again. Version 0 is never written: it stands
    for "nobody knows what they were told".
    """

    __tablename__ = "symposium_versions"
    __table_args__ = (UniqueConstraint("symposium_id", "version"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    symposium_id: Mapped[int] = mapped_column(ForeignKey("symposia.id"))
    version: Mapped[int]
    title: Mapped[str] = mapped_column(Text)
    precision: Mapped[Precision] = mapped_column(word(Precision))
    day: Mapped[date | None]
    wall_time: Mapped[time | None]
    zone: Mapped[str | None] = mapped_column(String(64))
    starts_at: Mapped[datetime | None] = mapped_column(Instant)
    minutes: Mapped[int]
    end_source: Mapped[EndSource] = mapped_column(word(EndSource))
    place: Mapped[str | None] = mapped_column(Text)
    online: Mapped[bool | None]


class ReminderRule(Base):
    """When attendees are written to, before the start or after the end.

    It belongs to one symposium, to a series, or to nothing: then it is one of the default rules. Rules are
    never changed in place; one that was removed is kept disabled, because mailings name it.
    """

    __tablename__ = "reminder_rules"
    __table_args__ = (
        UniqueConstraint("symposium_id", "key"),
        Index("ix_reminder_rules_series_key", "series_id", "key", unique=True),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    symposium_id: Mapped[int | None] = mapped_column(ForeignKey("symposia.id"))
    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id"))
    key: Mapped[str] = mapped_column(String(64))  # '1d', '1h': stands in the mailing's key
    timing: Mapped[RuleTiming] = mapped_column(word(RuleTiming))
    days: Mapped[int] = mapped_column(default=0)  # civil days: same clock time
    minutes: Mapped[int] = mapped_column(default=0)  # absolute time, before the start or after the end
    clock: Mapped[time | None]  # of DAYS_BEFORE: at this hour instead of the symposium's own; of AT: the time
    at_day: Mapped[date | None]  # of AT
    zone: Mapped[str | None] = mapped_column(String(64))  # of AT
    later: Mapped[bool] = mapped_column(default=False)  # of AT: the second of a time that comes twice
    audience: Mapped[RuleAudience] = mapped_column(word(RuleAudience), default=RuleAudience.ALL)
    quiet: Mapped[bool | None]  # whether it keeps off people's nights; null: as its lead has it
    enabled: Mapped[bool] = mapped_column(default=True)


class Registration(Base):
    """One attendee of one symposium.

    `registered_at`: since when they hold this state. `languages` and `zone` are what they chose for this
    symposium; without it the subscriber's hold. `told_version` numbers the facts of the last mail that was
    accepted: null when none was, 0 when nobody knows. `invited`: a calendar REQUEST may stand in their
    calendar.
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
    told_version: Mapped[int | None]
    told_at: Mapped[datetime | None] = mapped_column(Instant)
    invited: Mapped[bool] = mapped_column(default=False)
    registered_at: Mapped[datetime] = mapped_column(Instant)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)  # their own last yes, by their mail's link
    languages: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    zone: Mapped[str | None] = mapped_column(String(64))
    attendance: Mapped[Attendance] = mapped_column(word(Attendance), default=Attendance.UNKNOWN)
    join_generation: Mapped[int] = mapped_column(default=1)  # of their join link; older ones are revoked
    details: Mapped[bytes | None] = mapped_column(LargeBinary)  # sealed: name, answers and access needs

    symposium: Mapped[Symposium] = relationship()


class Proposal(Base):
    """A change that a re-read source suggests, or a question it leaves open; a person decides."""

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
    # What was held, and what persons have answered: then nothing is changed, something is asked.
    question: Mapped[JsonObject | None] = mapped_column(JSON(none_as_null=True))
    generation: Mapped[int | None]  # the symposium's date when this was proposed
    state: Mapped[ProposalState] = mapped_column(word(ProposalState), default=ProposalState.OPEN)
    created_at: Mapped[datetime] = mapped_column(Instant)
