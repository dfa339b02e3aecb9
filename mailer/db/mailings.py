"""Mailings, deliveries and what happened to them: the durable side of the corridor.

One delivery row per (mailing, recipient) exists before anything is sent and ends
in exactly one final state; MOVES is the whole table of allowed moves. Counters are
never kept: every figure is a count of these rows.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import JSON

from mailer.db.base import Base, BigId, Instant, JsonObject, word
from mailer.vocabulary import (
    CampaignState,
    DeliveryState,
    DoubtPolicy,
    MailingKind,
    MailingState,
    ReceiptPart,
)

_D = DeliveryState

MOVES: dict[DeliveryState, frozenset[DeliveryState]] = {
    _D.PENDING: frozenset({_D.CLAIMED, _D.SKIPPED, _D.CANCELLED, _D.EXPIRED}),
    _D.DEFERRED: frozenset({_D.CLAIMED, _D.SKIPPED, _D.CANCELLED, _D.EXPIRED}),
    _D.CLAIMED: frozenset({_D.SENT, _D.DEFERRED, _D.FAILED, _D.IN_DOUBT, _D.PENDING}),
    _D.IN_DOUBT: frozenset({_D.CLAIMED, _D.SENT, _D.FAILED, _D.CANCELLED, _D.EXPIRED, _D.PENDING}),
    _D.SENT: frozenset({_D.BOUNCED, _D.COMPLAINED}),
    _D.FAILED: frozenset({_D.PENDING}),  # a person may try again
    _D.SKIPPED: frozenset({_D.PENDING}),  # an attendee is back in the reminders, or what overtook one is gone
    _D.CANCELLED: frozenset(
        {_D.PENDING}
    ),  # the symposium is back on this date, its rule is back, a new embargo
    _D.EXPIRED: frozenset(),
    _D.BOUNCED: frozenset({_D.COMPLAINED}),
    _D.COMPLAINED: frozenset(),
}

OPEN = frozenset({_D.PENDING, _D.DEFERRED, _D.CLAIMED})
WAITING = frozenset({_D.PENDING, _D.DEFERRED})
REACHED = frozenset({_D.SENT, _D.BOUNCED, _D.COMPLAINED})
LEFT_OUT = frozenset({_D.SKIPPED, _D.CANCELLED, _D.EXPIRED})


class Campaign(Base):
    """A one-off mail by staff, in Markdown with ((placeholders)). Frozen once it is sent."""

    __tablename__ = "campaigns"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    topic_id: Mapped[int] = mapped_column(ForeignKey("topics.id"))
    state: Mapped[CampaignState] = mapped_column(word(CampaignState), default=CampaignState.DRAFT)
    language: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    receipt_of: Mapped[int | None] = mapped_column(BigId)  # its audience is a part of that mailing's
    receipt_part: Mapped[ReceiptPart | None] = mapped_column(
        word(ReceiptPart)
    )  # reached, unreached or doubtful
    created_at: Mapped[datetime] = mapped_column(Instant)


class Mailing(Base):
    """One decision to send one content to one audience. Its unique key makes announcing twice harmless."""

    __tablename__ = "mailings"
    __table_args__ = (Index("ix_mailings_state", "state"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    key: Mapped[str] = mapped_column(String(128), unique=True)
    kind: Mapped[MailingKind] = mapped_column(word(MailingKind))
    state: Mapped[MailingState] = mapped_column(word(MailingState))
    policy: Mapped[DoubtPolicy] = mapped_column(word(DoubtPolicy))
    rank: Mapped[int] = mapped_column(SmallInteger)  # the smaller leaves first

    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topics.id"))
    statement_id: Mapped[int | None] = mapped_column(ForeignKey("statements.id"))
    symposium_id: Mapped[int | None] = mapped_column(ForeignKey("symposia.id"))
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id"))
    rule_id: Mapped[int | None] = mapped_column(ForeignKey("reminder_rules.id"))
    subscription_id: Mapped[int | None] = mapped_column(ForeignKey("subscriptions.id", ondelete="SET NULL"))
    registration_id: Mapped[int | None] = mapped_column(ForeignKey("registrations.id", ondelete="SET NULL"))
    generation: Mapped[int | None]  # the symposium's date this mailing speaks of
    facts: Mapped[JsonObject] = mapped_column(
        JSON
    )  # what was true when it was announced, never about a person

    message_key: Mapped[int] = mapped_column(SmallInteger)  # key ids of Message-ID and return address,
    token_key: Mapped[int] = mapped_column(SmallInteger)  # fixed so that every attempt has the same
    opens_at: Mapped[datetime] = mapped_column(Instant)  # nothing can be claimed before
    due_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)  # nothing is sent after
    spread_seconds: Mapped[int] = mapped_column(default=0)  # its rows fall due over so long a window
    embargo_at: Mapped[datetime | None] = mapped_column(Instant)  # and the Date of its rows
    created_at: Mapped[datetime] = mapped_column(Instant)
    expanded_at: Mapped[datetime | None] = mapped_column(Instant)
    finished_at: Mapped[datetime | None] = mapped_column(Instant)


_embargoed = Mailing.embargo_at.is_not(None)
_of_one = Mailing.registration_id.is_not(None)  # a mail to one attendee: most mailings are none
Index("ix_mailings_registration", Mailing.registration_id, postgresql_where=_of_one, sqlite_where=_of_one)
Index("ix_mailings_embargo", Mailing.embargo_at, postgresql_where=_embargoed, sqlite_where=_embargoed)


class Delivery(Base):
    """One recipient of one mailing. Its Date header is created_at; Message-ID and VERP follow from its id.

    No foreign keys to mailing and subscriber: for a million rows PostgreSQL would look each of them up
    and lock every subscriber. Mailings are never deleted, erasing a person empties subscriber_id, and the
    audit looks for strays.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("mailing_id", "subscriber_id"),
        Index("ix_deliveries_subscriber", "subscriber_id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    mailing_id: Mapped[int] = mapped_column(BigId)
    subscriber_id: Mapped[int | None] = mapped_column(BigId)
    registration_id: Mapped[int | None] = mapped_column(ForeignKey("registrations.id", ondelete="SET NULL"))
    lane_id: Mapped[int] = mapped_column(SmallInteger, default=1)
    rank: Mapped[int] = mapped_column(SmallInteger)

    state: Mapped[DeliveryState] = mapped_column(word(DeliveryState))
    reason: Mapped[str | None] = mapped_column(String(32))  # SkipReason, or the outcome's word
    created_at: Mapped[datetime] = mapped_column(Instant)
    due_at: Mapped[datetime] = mapped_column(Instant)
    not_after: Mapped[datetime] = mapped_column(Instant)
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0)
    fence: Mapped[int | None] = mapped_column(BigId)  # the claim that holds or last held it
    settled_at: Mapped[datetime | None] = mapped_column(Instant)
    version: Mapped[int | None] = mapped_column(SmallInteger)  # which text of the statement the last
    language: Mapped[str | None] = mapped_column(String(16))  # claim gave it; who has which is a query


def _partial(name: str, condition: ColumnElement[bool], *columns: Any) -> None:
    Index(f"ix_deliveries_{name}", *columns, postgresql_where=condition, sqlite_where=condition)


# Partial, so that a row which is settled costs them nothing: what waits, what waits urgently, what is held,
# what is in doubt.
BULK_RANK = 40  # from this rank on mailings share by turns; the smaller ranks overtake them
URGENT_RANKS = (0, 10, 20, 30)  # all of these: named one by one, each is a seek to what is due
_waiting = Delivery.state.in_([_D.PENDING, _D.DEFERRED])
_urgent = _waiting & (Delivery.rank < BULK_RANK)
_partial("due", _waiting, Delivery.mailing_id, Delivery.lane_id, Delivery.due_at, Delivery.id)
_partial("urgent", _urgent, Delivery.rank, Delivery.due_at, Delivery.id)
_partial("held", Delivery.state == _D.CLAIMED, Delivery.fence, Delivery.mailing_id)
_partial("doubt", Delivery.state == _D.IN_DOUBT, Delivery.mailing_id, Delivery.due_at)
_partial("registration", Delivery.registration_id.is_not(None), Delivery.registration_id)


class Claim(Base):
    """One slice of deliveries held by one worker; its id is the fencing token."""

    __tablename__ = "claims"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    worker: Mapped[str] = mapped_column(String(64))
    claimed_at: Mapped[datetime] = mapped_column(Instant)
    leased_until: Mapped[datetime] = mapped_column(Instant, index=True)
    released_at: Mapped[datetime | None] = mapped_column(Instant)


_open = Claim.released_at.is_(None)
Index("ix_claims_open", Claim.worker, postgresql_where=_open, sqlite_where=_open)  # they are few


class Attempt(Base):
    """What became of one try that did not simply succeed. The reply is kept without any address."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_delivery", "delivery_id"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[int] = mapped_column(ForeignKey("deliveries.id"))
    fence: Mapped[int] = mapped_column(BigId)
    at: Mapped[datetime] = mapped_column(Instant)
    verdict: Mapped[str] = mapped_column(String(16))
    fault: Mapped[str] = mapped_column(String(16))
    phase: Mapped[str] = mapped_column(String(16))
    code: Mapped[int | None]
    enhanced: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(32))
    reply: Mapped[str] = mapped_column(Text, default="")


class ReturnedMail(Base):
    """A mail that came back, stored sealed before its sender is told 250, read afterwards."""

    __tablename__ = "returned_mails"

    id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey("deliveries.id"))
    verdict: Mapped[str | None] = mapped_column(String(32))
    received_at: Mapped[datetime] = mapped_column(Instant)
