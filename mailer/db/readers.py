"""Audiences of mails about a statement that was sent before: who has a text of it, and in which language.

Everyone who has, or may have, what a correction is about gets a row. Who must not be
mailed any more gets one that is skipped with the reason, the erased as well: they are
counted, and nobody knows any more who they were.
"""

from typing import Any

from sqlalchemy import ColumnElement, Select, String, case, cast, func, literal, null, or_, select, union_all

from mailer.db import digests, texts
from mailer.db.audience import Slot, rows
from mailer.db.base import Instant, word
from mailer.db.lanes import EVERYONE_ELSE
from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Registration
from mailer.vocabulary import DeliveryState, MailingKind, SkipReason, SubscriptionState

_ALERT = frozenset({MailingKind.STATEMENT_ALERT})


def holders(mailing: Mailing, slot: Slot) -> Select[Any]:
    """Everyone who has a text of the mailing's statement; with `before` among its facts an older one.

    Whom a digest told of it so far was told of an older one: from a correction on digests tell of the new.
    """
    before = mailing.facts.get("before")
    statement_id = mailing.statement_id or 0
    has = select(Delivery.subscriber_id).where(
        Delivery.mailing_id.in_(texts.mailings_of(statement_id)),
        Delivery.subscriber_id.is_not(None),
        texts.holds_text(before),
    )
    living = _rows(mailing, slot).where(
        Subscriber.id.in_(has) | Subscriber.id.in_(digests.told_of(statement_id))
    )
    everyone = union_all(living, _erased(mailing, slot, before)).subquery()
    return select(*everyone.columns).where(literal(1) == 1)  # SQLite takes ON CONFLICT only after a WHERE


def readers_of_another_language(mailing: Mailing, slot: Slot) -> Select[Any]:
    """Who wishes most for the language among the mailing's facts and got the alert in another."""
    language = str(mailing.facts["language"])
    has = select(Delivery.subscriber_id).where(
        Delivery.mailing_id.in_(texts.mailings_of(mailing.statement_id or 0, _ALERT)),
        texts.holds_text(None),
        func.coalesce(Delivery.language, "") != language,
    )
    return _rows(mailing, slot).where(Subscriber.id.in_(has), wishes_most_for(language))


def wishes_most_for(language: str) -> ColumnElement[bool]:
    """A person whose list begins with the language, or with a region of it."""
    wishes = cast(Subscriber.languages, String)
    return or_(wishes.like(f'["{language}"%'), wishes.like(f'["{language}-%'))


def _rows(mailing: Mailing, slot: Slot) -> Select[Any]:
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


def _erased(mailing: Mailing, slot: Slot, before: int | None) -> Select[Any]:
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
        texts.holds_text(before),
    )
