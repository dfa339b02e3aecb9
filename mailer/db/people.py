"""People: subscribers, topics, subscriptions, consent and suppression.

An address or a name stands here only sealed. An attendee is a subscriber with a
registration (programme.py); a subscriber without subscriptions gets no alert.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.types import JSON

from mailer.db.base import Base, BigId, Instant, new_id, word
from mailer.vocabulary import ConsentKind, ConsentSource, Frequency, SubscriptionState, SuppressionReason


class Subscriber(Base):
    """A person who can be mailed. `languages` is their ordered wish, `zone` only what they chose."""

    __tablename__ = "subscribers"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False, default=new_id)
    address: Mapped[bytes] = mapped_column(LargeBinary)
    address_index: Mapped[bytes] = mapped_column(LargeBinary(16), unique=True)
    domain_index: Mapped[bytes] = mapped_column(LargeBinary(16))
    name: Mapped[bytes | None] = mapped_column(LargeBinary)
    languages: Mapped[list[str]] = mapped_column(JSON)
    zone: Mapped[str | None] = mapped_column(String(64))
    suppressed: Mapped[SuppressionReason | None] = mapped_column(word(SuppressionReason))
    created_at: Mapped[datetime] = mapped_column(Instant)

    subscriptions: Mapped[list["Subscription"]] = relationship(
        back_populates="subscriber", cascade="all, delete-orphan", passive_deletes=True
    )


class Topic(Base):
    """What one subscribes to. `key` is for ever: it is the List-Id. Names are per language."""

    __tablename__ = "topics"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    names: Mapped[dict[str, str]] = mapped_column(JSON)
    public: Mapped[bool] = mapped_column(default=True)


class Subscription(Base):
    """One person's wish for one topic. Confirmed means: they said yes themselves."""

    __tablename__ = "subscriptions"
    __table_args__ = (
        UniqueConstraint("subscriber_id", "topic_id"),
        Index("ix_subscriptions_topic_state", "topic_id", "state"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"))
    state: Mapped[SubscriptionState] = mapped_column(word(SubscriptionState))
    frequency: Mapped[Frequency] = mapped_column(word(Frequency), default=Frequency.AT_ONCE)
    changed_at: Mapped[datetime] = mapped_column(Instant)  # of its state

    subscriber: Mapped[Subscriber] = relationship(back_populates="subscriptions")
    topic: Mapped[Topic] = relationship()


class Consent(Base):
    """One entry of the consent ledger: append-only, the proof of who asked for what, when and how."""

    __tablename__ = "consents"
    __table_args__ = (Index("ix_consents_subscriber", "subscriber_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"))
    kind: Mapped[ConsentKind] = mapped_column(word(ConsentKind))
    source: Mapped[ConsentSource] = mapped_column(word(ConsentSource))
    note: Mapped[str | None] = mapped_column(String(200))  # staff's words on where an imported yes was given
    at: Mapped[datetime] = mapped_column(Instant)


class Suppression(Base):
    """An address that must not be mailed, as a keyed hash: it outlives the erased person."""

    __tablename__ = "suppressions"

    address_hash: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    reason: Mapped[SuppressionReason] = mapped_column(word(SuppressionReason))
    created_at: Mapped[datetime] = mapped_column(Instant)
