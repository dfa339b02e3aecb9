"""Digests: which statements a subscriber is still owed, and which delivery told of them.

When a statement's alert is expanded, everyone who wants a digest gets one item in place of a delivery.
An item is owed until a digest's delivery takes it. Who is written to at once and who is owed is settled
there and then, so that a later change of mind neither loses a statement nor repeats one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Index,
    ScalarSelect,
    Select,
    SmallInteger,
    String,
    case,
    cast,
    delete,
    exists,
    false,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from mailer.db.audience import Slot, rows, subscribers_of_topic
from mailer.db.base import Base, BigId, Instant
from mailer.db.dialect import insert, one_of
from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Registration, Statement
from mailer.vocabulary import (
    DeliveryState,
    Frequency,
    MailingKind,
    MailingState,
    SkipReason,
    StatementState,
    SubscriptionState,
)

OUT = frozenset({MailingState.SCHEDULED, MailingState.SENDING, MailingState.DONE})
_UNFOLDED = {"synchronize_session": False}


class DigestItem(Base):
    """One statement for one subscriber of digests: owed while `delivery_id` is empty.

    `translation`: empty for a statement that they first hear of; else the language in which one that they
    got in another is there now. `version` and `language` are of the text that the last claim gave it.
    `perhaps_told`: a try in doubt may have brought an older text, so a correction goes and the item does not
    again. Without foreign keys, as a delivery is: an alert to many would look each of them up.
    """

    __tablename__ = "digest_items"

    subscriber_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    statement_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    translation: Mapped[str] = mapped_column(String(16), primary_key=True, default="", server_default="")
    topic_id: Mapped[int] = mapped_column(BigId)
    owed_at: Mapped[datetime] = mapped_column(Instant)
    delivery_id: Mapped[int | None] = mapped_column(BigId)
    version: Mapped[int | None] = mapped_column(SmallInteger)
    language: Mapped[str | None] = mapped_column(String(16))
    perhaps_told: Mapped[bool] = mapped_column(default=False, server_default=false())


_owed = DigestItem.delivery_id.is_(None)
Index(
    "ix_digest_items_owed",
    DigestItem.topic_id,
    DigestItem.subscriber_id,
    postgresql_where=_owed,
    sqlite_where=_owed,
)
Index("ix_digest_items_delivery", DigestItem.delivery_id)

_their_zone = func.coalesce(Subscriber.zone, "")
# Who wants each statement at once and is still owed one gets it with the daily digest.
_their_digest = case(
    (Subscription.frequency == Frequency.WEEKLY, literal(Frequency.WEEKLY.value)),
    else_=literal(Frequency.DAILY.value),
)


def owe(session: Session, alert: Mailing, now: datetime, *, joined_by: datetime | None = None) -> int:
    """Owe the alert's statement to everyone who wants digests of its topic; returns to how many.

    Before the alert's own rows are written: these pass over whoever is owed it. With `joined_by` to those
    who have joined by then, also when the alert had to skip them because they had not confirmed yet.
    """
    theirs = exists().where(Delivery.mailing_id == alert.id, Delivery.subscriber_id == Subscriber.id)
    late: tuple[ColumnElement[bool], ...] = ()
    if joined_by is not None:
        theirs = theirs.where(Delivery.state != DeliveryState.SKIPPED)
        late = (Subscription.changed_at <= joined_by,)
    people = (
        select(
            Subscription.subscriber_id,
            literal(alert.statement_id, BigId),
            literal(alert.topic_id, BigId),
            literal(now, Instant),
            literal(""),
        )
        .join(Subscriber, Subscriber.id == Subscription.subscriber_id)
        .where(
            Subscription.topic_id == alert.topic_id,
            Subscription.state == SubscriptionState.CONFIRMED,
            Subscription.frequency != Frequency.AT_ONCE,
            Subscriber.suppressed.is_(None),
            ~theirs,
            *late,
        )
    )
    return owe_to(session, people)


def owe_to(session: Session, people: Select[*tuple[Any, ...]]) -> int:
    """Add an item for each of the people: person, statement, topic, moment and, if any, translation."""
    columns = ["subscriber_id", "statement_id", "topic_id", "owed_at", "translation"]
    statement = insert(session, DigestItem.__table__).from_select(columns, people)
    added = session.connection().execute(
        statement.on_conflict_do_nothing(index_elements=["subscriber_id", "statement_id", "translation"]),
        execution_options={"preserve_rowcount": True},
    )
    return added.rowcount


def readers_at_once(mailing: Mailing, slot: Slot) -> Select[Any]:
    """The subscribers of an alert's topic whom no digest will tell of its statement."""
    return subscribers_of_topic(mailing, slot).where(
        ~exists().where(
            DigestItem.subscriber_id == Subscriber.id, DigestItem.statement_id == mailing.statement_id
        )
    )


def readers_of_digest(mailing: Mailing, slot: Slot) -> Select[Any]:
    """Everyone in the mailing's zones and frequency who is owed something at the moment it speaks of."""
    reason = case((Subscriber.suppressed.is_not(None), SkipReason.SUPPRESSED.value), else_=null())
    return (
        rows(mailing, slot, reason, registration_id=cast(null(), Registration.id.type))
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(
            Subscription.topic_id == mailing.topic_id,
            Subscription.state == SubscriptionState.CONFIRMED,
            _their_digest == mailing.facts["frequency"],
            _their_zone.in_(mailing.facts["zones"]),
            exists().where(
                DigestItem.subscriber_id == Subscriber.id, *_owed_by(mailing.topic_id, mailing.due_at)
            ),
        )
    )


def _owed_by(topic_id: int | None, moment: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        DigestItem.topic_id == topic_id,
        DigestItem.delivery_id.is_(None),
        DigestItem.owed_at <= moment,
        may_be_told(moment),
    )


def may_be_told(moment: datetime) -> ColumnElement[bool]:
    """Items of statements that are out; of a translation also only while its own mailing is not stopped."""
    about_it = aliased(Mailing)
    announced = exists().where(
        about_it.statement_id == DigestItem.statement_id,
        about_it.kind == MailingKind.TRANSLATION,
        about_it.state.in_(OUT),
        about_it.opens_at <= moment,
        about_it.facts["language"].as_string() == DigestItem.translation,
    )
    return DigestItem.statement_id.in_(_out_by(moment)) & ((DigestItem.translation == "") | announced)


def _out_by(moment: datetime) -> Select[int | None]:
    """The statements that are public and whose alert staff have neither paused nor stopped."""
    return (
        select(Mailing.statement_id)
        .join(Statement, Statement.id == Mailing.statement_id)
        .where(
            Mailing.kind == MailingKind.STATEMENT_ALERT,
            Mailing.state.in_(OUT),
            Mailing.opens_at <= moment,
            Mailing.due_at <= moment,
            Statement.state == StatementState.PUBLISHED,
            Statement.published_at <= moment,
        )
    )


def take(session: Session, mailing: Mailing) -> None:
    """Give the owed items to the deliveries of an expanded digest; each item goes to one delivery only."""
    theirs = (Delivery.mailing_id == mailing.id, Delivery.subscriber_id == DigestItem.subscriber_id)
    session.execute(
        update(DigestItem)
        .where(*_owed_by(mailing.topic_id, mailing.due_at), exists().where(*theirs))
        .values(delivery_id=_one(select(Delivery.id).where(*theirs)))
        .execution_options(**_UNFOLDED)
    )


def _one(query: Select[int]) -> ScalarSelect[int]:
    return query.correlate(DigestItem).scalar_subquery()


@dataclass(frozen=True)
class Waiting:
    """People of one zone ("" for none chosen) who are owed something; `since` is the oldest of it."""

    topic_id: int
    frequency: Frequency
    zone: str
    since: datetime


def waiting(session: Session) -> list[Waiting]:
    """Where something is owed, by topic, frequency and zone."""
    statement = (
        select(
            DigestItem.topic_id,
            cast(_their_digest, String).label("digest"),
            _their_zone.label("place"),
            func.min(DigestItem.owed_at, type_=Instant()),
        )
        .join(
            Subscription,
            (Subscription.subscriber_id == DigestItem.subscriber_id)
            & (Subscription.topic_id == DigestItem.topic_id),
        )
        .join(Subscriber, Subscriber.id == DigestItem.subscriber_id)
        .where(DigestItem.delivery_id.is_(None), Subscription.state == SubscriptionState.CONFIRMED)
        .group_by(DigestItem.topic_id, "digest", "place")
        .order_by(DigestItem.topic_id, "digest", "place")
    )
    return [
        Waiting(topic_id, Frequency(frequency), zone, since)
        for topic_id, frequency, zone, since in session.execute(statement)
    ]


def is_owed(session: Session, topic_id: int, moment: datetime) -> bool:
    """True when anything of the topic is owed that was out by that moment."""
    return bool(session.scalar(select(exists().where(*_owed_by(topic_id, moment)))))


def owed(session: Session, statement_id: int) -> dict[str, int]:
    """How many people with which languages, as their rows hold them, will hear of it by a digest to come."""
    wishes = cast(Subscriber.languages, String)
    rows_of = session.execute(
        select(wishes, func.count())
        .join(DigestItem, DigestItem.subscriber_id == Subscriber.id)
        .where(DigestItem.statement_id == statement_id, _owed)
        .group_by(wishes)
    )
    return {row[0]: int(row[1]) for row in rows_of}


def owe_again(session: Session, deliveries: Collection[int]) -> None:
    """These deliveries will not leave: what they would have told of is for a later digest."""
    session.execute(
        update(DigestItem)
        .where(one_of(session, DigestItem.delivery_id, deliveries), DigestItem.perhaps_told.is_(False))
        .values(delivery_id=None)
        .execution_options(**_UNFOLDED)
    )


def forget(session: Session, subscriber_id: int, topic_id: int | None = None) -> None:
    """Owe this person nothing more of the topic; without a topic delete all about them."""
    statement = delete(DigestItem).where(DigestItem.subscriber_id == subscriber_id)
    if topic_id is not None:
        statement = statement.where(DigestItem.topic_id == topic_id, DigestItem.delivery_id.is_(None))
    session.execute(statement.execution_options(**_UNFOLDED))
