"""Who is told that a statement is now there in their language: those who got it in another one.

What counts is the newest text that a person has, or may have, by whichever mail: the alert, a digest,
a correction. Who hears at once gets a mail, who chose digests an item of their next one.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ScalarSelect,
    Select,
    String,
    case,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.orm import Session, aliased

from mailer.db import digest_texts, texts
from mailer.db.audience import Slot
from mailer.db.base import BigId, Instant
from mailer.db.digests import DigestItem, owe_to
from mailer.db.mailings import OPEN, REACHED, Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Correction
from mailer.db.readers import about_statement
from mailer.vocabulary import CorrectionState, DeliveryState, Frequency, MailingKind, SubscriptionState

TELLING = frozenset({MailingKind.STATEMENT_ALERT, MailingKind.TRANSLATION})
"""Kinds that bring a statement to its readers, each in the language they wish most for where there is one."""


def readers_of_another_language(mailing: Mailing, slot: Slot) -> Select[Any]:
    """Who wishes most for the language among the mailing's facts and has the statement in another.

    Without those who are told by an item of their next digest.
    """
    item = aliased(DigestItem)
    taken = exists().where(Delivery.id == item.delivery_id, Delivery.state.in_(OPEN))
    by_digest = exists().where(
        item.subscriber_id == Subscriber.id,
        item.statement_id == mailing.statement_id,
        item.translation == _language(mailing),
        or_(item.delivery_id.is_(None), taken),
    )
    return about_statement(mailing, slot).where(*_to_be_told(mailing), ~by_digest)


def owe_translation(session: Session, mailing: Mailing, now: datetime) -> int:
    """Owe the translation to those of them who chose digests; before the mailing's own rows are written."""
    return owe_to(
        session,
        select(
            Subscriber.id,
            literal(mailing.statement_id, BigId),
            literal(mailing.topic_id, BigId),
            literal(now, Instant),
            literal(_language(mailing)),
        )
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(
            Subscription.topic_id == mailing.topic_id,
            Subscription.state == SubscriptionState.CONFIRMED,
            Subscription.frequency != Frequency.AT_ONCE,
            Subscriber.suppressed.is_(None),
            *_to_be_told(mailing),
        ),
    )


def told_otherwise(mailing: Mailing) -> ColumnElement[bool] | None:
    """The mailing's rows whose readers have, or are about to get, the text in the language they wish most
    for by another mail: sent again, the row would bring them the same. None for mails of other kinds."""
    if mailing.kind not in TELLING or mailing.statement_id is None:
        return None
    other, reader = aliased(Delivery), aliased(Subscriber)
    # An older text is not the same, also in the same language.
    version = func.coalesce(Delivery.version, 1)
    as_new = func.coalesce(other.version, 1) >= version
    reached = other.state.in_(REACHED) & _begins_with(reader.languages, other.language) & as_new
    by_mail = (
        exists()
        .where(
            other.subscriber_id == Delivery.subscriber_id,
            other.id != Delivery.id,
            other.mailing_id.in_(texts.mailings_of(mailing.statement_id, TELLING)),
            reader.id == other.subscriber_id,
        )
        .where(or_(other.state.in_(OPEN), reached))
    )
    by_digest = exists().where(
        DigestItem.subscriber_id == Delivery.subscriber_id,
        DigestItem.statement_id == mailing.statement_id,
        DigestItem.translation != "",
        reader.id == Delivery.subscriber_id,
        _begins_with(reader.languages, DigestItem.translation),
        or_(DigestItem.delivery_id.is_(None), func.coalesce(DigestItem.version, 1) >= version),
    )
    return or_(by_mail, by_digest)


def tell_no_more_of_what_came_since(session: Session, mailing: Mailing, delivery_id: int | None) -> None:
    """Digests in doubt, before they are sent again: what their readers have since got in the language they
    wish most for is told no more. What is only owed to them in it is forgotten when its turn comes."""
    doubtful = select(Delivery.id).where(
        Delivery.mailing_id == mailing.id, Delivery.state == DeliveryState.IN_DOUBT
    )
    if delivery_id is not None:
        doubtful = doubtful.where(Delivery.id == delivery_id)
    later, sent, reader, of_it = aliased(DigestItem), aliased(Delivery), aliased(Subscriber), aliased(Mailing)
    by_digest = exists().where(
        later.subscriber_id == DigestItem.subscriber_id,
        later.statement_id == DigestItem.statement_id,
        sent.id == later.delivery_id,
        sent.state.in_(REACHED),
        reader.id == DigestItem.subscriber_id,
        _begins_with(reader.languages, later.translation),
    )
    by_mail = exists().where(
        of_it.statement_id == DigestItem.statement_id,
        of_it.kind == MailingKind.TRANSLATION,
        sent.mailing_id == of_it.id,
        sent.subscriber_id == DigestItem.subscriber_id,
        sent.state.in_(REACHED),
        reader.id == DigestItem.subscriber_id,
        _begins_with(reader.languages, sent.language),
    )
    session.execute(
        update(DigestItem)
        .where(DigestItem.delivery_id.in_(doubtful), DigestItem.translation == "", or_(by_digest, by_mail))
        .values(perhaps_told=True)
        .execution_options(synchronize_session=False)
    )


def _begins_with(languages: Any, language: Any) -> ColumnElement[bool]:
    """Whether the list of languages begins with this one, or with a region of it."""
    wishes, opened = cast(languages, String), literal('["').concat(language)
    return or_(wishes.like(opened.concat('"%')), wishes.like(opened.concat("-%")))


def _to_be_told(mailing: Mailing) -> tuple[ColumnElement[bool], ...]:
    return (
        wishes_most_for(_language(mailing)),
        Subscriber.id.in_(_with_another(mailing.statement_id or 0, _language(mailing))),
        ~_on_its_way(mailing),
    )


def _language(mailing: Mailing) -> str:
    return str(mailing.facts["language"])


def _with_another(statement_id: int, language: str) -> Select[Any]:
    """The people whose newest text is in another language; versions whose language nobody wrote down, in
    digests of long ago, count for neither."""
    by_mail = select(
        Delivery.subscriber_id.label("person"),
        func.coalesce(Delivery.version, 1).label("version"),
        func.coalesce(Delivery.language, "").label("language"),
    ).where(Delivery.mailing_id.in_(texts.mailings_of(statement_id)), texts.holds_text(None))
    by_digest = (
        digest_texts.holding(statement_id, None)
        .where(DigestItem.language.is_not(None))
        .with_only_columns(
            DigestItem.subscriber_id, func.coalesce(DigestItem.version, 1), DigestItem.language
        )
    )
    held = union_all(by_mail, by_digest).subquery()
    own = _meets(held.c.language, language)
    in_own = func.max(case((own, held.c.version), else_=0))
    in_another = func.max(case((own, 0), else_=held.c.version))
    return (
        select(held.c.person)
        .where(held.c.person.is_not(None))
        .group_by(held.c.person)
        .having(in_own < in_another, in_own < _holds_since(statement_id, language))
    )


def _holds_since(statement_id: int, language: str) -> ScalarSelect[int]:
    """The version since which the text in this language stands: no correction of another touches it."""
    return (
        select(func.coalesce(func.max(Correction.to_version), 1))
        .where(
            Correction.statement_id == statement_id,
            Correction.state != CorrectionState.DRAFT,
            or_(Correction.language.is_(None), Correction.language == language),
        )
        .scalar_subquery()
    )


def _meets(written: ColumnElement[str], language: str) -> ColumnElement[bool]:
    """A text that is no fallback for who wishes most for the language: hy and hy-AM meet each other."""
    return or_(written.in_([language, language.partition("-")[0]]), written.like(f"{language}-%"))


def _on_its_way(mailing: Mailing) -> ColumnElement[bool]:
    """An earlier mail about this very translation has not left yet."""
    earlier = aliased(Mailing)
    return exists().where(
        earlier.statement_id == mailing.statement_id,
        earlier.kind == MailingKind.TRANSLATION,
        earlier.id != mailing.id,
        earlier.facts["language"].as_string() == _language(mailing),
        Delivery.mailing_id == earlier.id,
        Delivery.subscriber_id == Subscriber.id,
        Delivery.state.in_(OPEN),
    )


def wishes_most_for(language: str) -> ColumnElement[bool]:
    """A person whose list begins with the language, or with a region of it."""
    return _begins_with(Subscriber.languages, language)
