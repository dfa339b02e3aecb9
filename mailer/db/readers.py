"""Who has a statement's text, in which language, and by which mail: its alert, or a digest that told of it.

Everyone who has, or may have, what a correction is about gets a row. Who must not be
mailed any more gets one that is skipped with the reason, the erased as well: they are
counted, and nobody knows any more who they were.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    case,
    cast,
    exists,
    literal,
    null,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session

from mailer.db import digest_texts, texts
from mailer.db.audience import Slot, rows
from mailer.db.base import Instant, word
from mailer.db.dialect import one_of
from mailer.db.digests import DigestItem
from mailer.db.lanes import EVERYONE_ELSE
from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Registration, Statement
from mailer.vocabulary import DeliveryState, MailingKind, SkipReason, StatementState, SubscriptionState

_ALERT = frozenset({MailingKind.STATEMENT_ALERT})


def holders(mailing: Mailing, slot: Slot) -> Select[Any]:
    """Everyone who has a text of the mailing's statement; with `before` among its facts an older one, with
    `language` one in it."""
    before, language = mailing.facts.get("before"), mailing.facts.get("language")
    statement_id = mailing.statement_id or 0
    has = select(Delivery.subscriber_id).where(
        Delivery.mailing_id.in_(texts.mailings_of(statement_id)),
        Delivery.subscriber_id.is_not(None),
        texts.holds_text(before, language),
    )
    by_digest = digest_texts.holding(statement_id, before, language).with_only_columns(
        DigestItem.subscriber_id
    )
    has_it = or_(Subscriber.id.in_(has), Subscriber.id.in_(by_digest))
    living = about_statement(mailing, slot).where(has_it)
    everyone = union_all(living, _erased(mailing, slot, before, language)).subquery()
    return select(*everyone.columns).where(literal(1) == 1)  # SQLite takes ON CONFLICT only after a WHERE


class Original(NamedTuple):
    """The mail by which a person got a statement: what later mails about it answer to. `language`: in which
    they have its newest text."""

    delivery_id: int
    message_key: int
    language: str | None


def originals(session: Session, statement_id: int, subscribers: Collection[int]) -> dict[int, Original]:
    """By which mail each of these people got the statement: the alert where there is one, else a digest."""
    by_alert = (
        select(Delivery.subscriber_id, Delivery.id, Mailing.message_key)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            Mailing.statement_id == statement_id,
            Mailing.kind == MailingKind.STATEMENT_ALERT,
            one_of(session, Delivery.subscriber_id, subscribers),
        )
    )
    by_digest = (
        digest_texts.holding(statement_id, None)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(one_of(session, DigestItem.subscriber_id, subscribers), DigestItem.translation == "")
        .with_only_columns(DigestItem.subscriber_id, Delivery.id, Mailing.message_key)
    )
    mails = [*session.execute(by_digest).all(), *session.execute(by_alert).all()]
    languages = _newest_languages(session, statement_id, subscribers)
    return {row[0]: Original(row[1], row[2], languages.get(row[0])) for row in mails if row[0] is not None}


def _newest_languages(
    session: Session, statement_id: int, subscribers: Collection[int]
) -> dict[int, str | None]:
    """In which language each of these people has, or may have, the newest text."""
    by_mail = select(Delivery.subscriber_id, Delivery.id, Delivery.language).where(
        Delivery.mailing_id.in_(texts.mailings_of(statement_id)),
        texts.holds_text(None),
        one_of(session, Delivery.subscriber_id, subscribers),
    )
    by_digest = (
        digest_texts.holding(statement_id, None)
        .where(one_of(session, DigestItem.subscriber_id, subscribers))
        .with_only_columns(DigestItem.subscriber_id, Delivery.id, DigestItem.language)
    )
    mails = sorted((*session.execute(by_mail), *session.execute(by_digest)), key=lambda row: row[1])
    return {row[0]: row[2] for row in mails if row[0] is not None}


def on_the_wire(
    session: Session, statement_id: int, *, before: int | None, language: str | None = None
) -> bool:
    """True while a worker holds a mail with a text of the statement, or one older than `before`."""
    by_mail = texts.on_the_wire(session, statement_id, before=before, language=language)
    return by_mail or digest_texts.on_the_wire(session, statement_id, before=before, language=language)


def outdated(session: Session, mailing: Mailing) -> ColumnElement[bool] | None:
    """The mailing's rows with a text that must not leave again; None when every one may."""
    if mailing.kind is MailingKind.DIGEST:
        return exists().where(
            DigestItem.delivery_id == Delivery.id,
            Statement.id == DigestItem.statement_id,
            (Statement.state == StatementState.RETRACTED)
            | texts.corrected_since(Statement.id, DigestItem.version, DigestItem.language),
        )
    if mailing.statement_id is None or mailing.kind is MailingKind.RETRACTION:
        return None
    standing = texts.standings(session, [mailing.statement_id], lock=False)[mailing.statement_id]
    if standing.retracted:
        return true()
    return texts.corrected_since(mailing.statement_id, Delivery.version, Delivery.language)


def about_statement(mailing: Mailing, slot: Slot) -> Select[Any]:
    left = Subscription.id.is_(None) | (Subscription.state == SubscriptionState.UNSUBSCRIBED)
    reason = case(
        (Subscriber.suppressed.is_not(None), SkipReason.SUPPRESSED.value),
        (left, SkipReason.UNSUBSCRIBED.value),
        (Subscription.state == SubscriptionState.PENDING, SkipReason.UNCONFIRMED.value),
        else_=null(),
    )
    return rows(mailing, slot, reason, registration_id=cast(null(), Registration.id.type)).outerjoin(
        Subscription,
        (Subscription.subscriber_id == Subscriber.id) & (Subscription.topic_id == mailing.topic_id),
    )


def _erased(mailing: Mailing, slot: Slot, before: int | None, language: str | None) -> Select[Any]:
    return select(
        literal(mailing.id, Mailing.id.type).label("mailing_id"),
        cast(null(), Delivery.subscriber_id.type).label("subscriber_id"),
        cast(null(), Registration.id.type).label("registration_id"),
        literal(EVERYONE_ELSE).label("lane_id"),
        literal(mailing.rank).label("rank"),
        literal(DeliveryState.SKIPPED, word(DeliveryState)).label("state"),
        cast(SkipReason.ERASED.value, Delivery.reason.type).label("reason"),
        literal(slot.now, Instant).label("created_at"),
        literal(slot.due_at, Instant).label("due_at"),
        literal(slot.not_after, Instant).label("not_after"),
        literal(0).label("attempts"),
    ).where(
        Delivery.mailing_id.in_(texts.mailings_of(mailing.statement_id or 0, _ALERT)),
        Delivery.subscriber_id.is_(None),
        texts.holds_text(before, language),
    )
