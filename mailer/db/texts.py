"""The queries about a statement's texts: what holds now, who has which, and who waits for one.

A claim reads what holds under a lock that it shares with other claims. Announcing a
correction writes the same row, so it waits for the claims before it, and those after it
see the corrected text.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, or_, select, update
from sqlalchemy.orm import Session

from mailer.db.dialect import one_of
from mailer.db.mailings import REACHED, WAITING, Attempt, Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Correction, Statement, StatementText
from mailer.vocabulary import (
    CorrectionState,
    DeliveryState,
    MailingKind,
    SkipReason,
    StatementState,
    SubscriptionState,
    TextState,
)

OF_A_STATEMENT = frozenset(
    {
        MailingKind.STATEMENT_ALERT,
        MailingKind.CORRECTION,
        MailingKind.RETRACTION,
        MailingKind.TRANSLATION,
    }
)
"""Kinds that carry a statement's text, or its end."""
WITH_TEXT = OF_A_STATEMENT - {MailingKind.RETRACTION}
UNTIL_WOKEN = datetime(9999, 1, 1, tzinfo=UTC)  # when a row falls due that waits for a translation
_UNFOLDED = {"synchronize_session": False}


class Standing(NamedTuple):
    """One statement as it stands: its own language, its version, and what can be read in that version."""

    statement_id: int
    original: str
    version: int
    retracted: bool
    holds: frozenset[str]
    ready: frozenset[str]


def standings(session: Session, statement_ids: Collection[int], *, lock: bool) -> dict[int, Standing]:
    """These statements as they stand. With `lock` nobody corrects or retracts them before the commit."""
    if not statement_ids:
        return {}
    columns = (Statement.id, Statement.language, Statement.version, Statement.state, Statement.holds)
    found = select(*columns).where(Statement.id.in_(sorted(statement_ids))).order_by(Statement.id)
    rows = session.execute(found.with_for_update(read=True) if lock else found).all()
    # A question of its own, after the lock: a joined one would see the texts of before it.
    ready = session.execute(
        select(StatementText.statement_id, StatementText.version, StatementText.language).where(
            StatementText.statement_id.in_(sorted(statement_ids)), StatementText.state == TextState.READY
        )
    ).all()
    return {
        number: Standing(
            number,
            original,
            version,
            state is StatementState.RETRACTED,
            frozenset(holds),
            frozenset(language for of, at, language in ready if (of, at) == (number, version)),
        )
        for number, original, version, state, holds in rows
    }


def text(session: Session, statement_id: int, language: str, version: int) -> StatementText:
    """One text, by its place. Raises NoResultFound."""
    return session.scalars(
        select(StatementText).where(
            StatementText.statement_id == statement_id,
            StatementText.language == language,
            StatementText.version == version,
        )
    ).one()


def hold(session: Session, ids: Collection[int]) -> None:
    """Locked deliveries wait for a translation: due only when somebody wakes them."""
    if not ids:
        return
    session.execute(
        update(Delivery)
        .where(one_of(session, Delivery.id, ids), Delivery.state.in_(WAITING))
        .values(reason=SkipReason.AWAITING_TRANSLATION.value, due_at=UNTIL_WOKEN)
        .execution_options(**_UNFOLDED)
    )


_awaits_text = and_(Delivery.state.in_(WAITING), Delivery.reason == SkipReason.AWAITING_TRANSLATION.value)


def waiting_for_text(mailing_ids: Iterable[int]) -> ColumnElement[bool]:
    """Rows of these mailings that wait for a translation."""
    return Delivery.mailing_id.in_(list(mailing_ids)) & _awaits_text


def wake(
    session: Session,
    mailing_ids: Iterable[int],
    *,
    due_at: datetime,
    not_after: datetime,
) -> int:
    """Let them be looked at again, with a life of its own from now on; returns how many."""
    return _wake(session, waiting_for_text(mailing_ids), due_at, not_after)


def wake_reader(session: Session, subscriber_id: int, *, due_at: datetime, not_after: datetime) -> int:
    """The same for all that waits for one person, who may wish for another language now."""
    return _wake(session, (Delivery.subscriber_id == subscriber_id) & _awaits_text, due_at, not_after)


def _wake(session: Session, which: ColumnElement[bool], due_at: datetime, not_after: datetime) -> int:
    woken = session.execute(
        update(Delivery)
        .where(which)
        .values(reason=None, due_at=due_at, not_after=not_after)
        .execution_options(**_UNFOLDED)
    )
    return int(woken.rowcount)  # type: ignore[attr-defined]


def older(
    version: Any, language: Any, before: int | None, only: str | None = None
) -> list[ColumnElement[bool]]:
    """A text of a version under `before`, when that is given, and of one language only, when that is.

    Rows of before texts were written down count as the first version.
    """
    conditions = [] if before is None else [func.coalesce(version, 1) < before]
    return conditions if only is None else [*conditions, language == only]


def corrected_since(statement_id: Any, version: Any, language: Any) -> ColumnElement[bool]:
    """A text that no longer holds: since its version the statement was corrected, or this language alone."""
    return exists().where(
        Correction.statement_id == statement_id,
        Correction.state != CorrectionState.DRAFT,
        Correction.to_version > func.coalesce(version, 1),
        or_(Correction.language.is_(None), Correction.language == language),
    )


def holds_text(before: int | None, language: str | None = None) -> ColumnElement[bool]:
    """A delivery whose reader has, or may have, a text of the statement; with `before` an older one, with
    `language` one in it."""
    maybe = and_(Delivery.state == DeliveryState.CANCELLED, Delivery.reason == SkipReason.CORRECTED.value)
    has = or_(Delivery.state.in_(REACHED | {DeliveryState.IN_DOUBT}), maybe)
    return and_(has, *older(Delivery.version, Delivery.language, before, language))


def mailings_of(statement_id: int, kinds: Collection[MailingKind] = WITH_TEXT) -> Any:
    """The ids of a statement's mailings of these kinds, as a subquery."""
    return select(Mailing.id).where(Mailing.statement_id == statement_id, Mailing.kind.in_(list(kinds)))


def on_the_wire(
    session: Session,
    statement_id: int,
    *,
    before: int | None,
    language: str | None = None,
) -> bool:
    """True while a worker holds a text of the statement, or one older than `before`."""
    claimed = exists().where(
        Delivery.mailing_id.in_(mailings_of(statement_id)),
        Delivery.state == DeliveryState.CLAIMED,
        *older(Delivery.version, Delivery.language, before, language),
    )
    return session.scalar(select(claimed)) is True


def may_have_arrived(before: int, language: str | None) -> ColumnElement[bool]:
    """A waiting row of which nobody knows whether an older text arrived: staff released it from doubt."""
    doubted = exists().where(
        Attempt.delivery_id == Delivery.id, Attempt.verdict == DeliveryState.IN_DOUBT.value
    )
    written = Delivery.version.is_not(None)
    return and_(
        Delivery.state.in_(WAITING),
        written,
        doubted,
        *older(Delivery.version, Delivery.language, before, language),
    )


def wishes_of_topic(session: Session, topic_id: int) -> dict[str, int]:
    """How many people who would get a mail of the topic wish for which languages, as their rows hold them."""
    wishes = cast(Subscriber.languages, String)
    rows = session.execute(
        select(wishes, func.count())
        .join(Subscription, Subscription.subscriber_id == Subscriber.id)
        .where(
            Subscription.topic_id == topic_id,
            Subscription.state == SubscriptionState.CONFIRMED,
            Subscriber.suppressed.is_(None),
        )
        .group_by(wishes)
    )
    return {row[0]: int(row[1]) for row in rows}


def wishes_of(session: Session, which: Iterable[ColumnElement[bool]]) -> dict[str, int]:
    """How many of these deliveries are for people with which languages, as their rows hold them."""
    wishes = cast(Subscriber.languages, String)
    rows = session.execute(
        select(wishes, func.count())
        .join(Delivery, Delivery.subscriber_id == Subscriber.id)
        .where(*which)
        .group_by(wishes)
    )
    return {row[0]: int(row[1]) for row in rows}


def who_has_what(session: Session, statement_id: int) -> list[tuple[str, int | None, str | None, str, int]]:
    """(kind of mail, version, language, state, how many) over all mailings of a statement."""
    rows = session.execute(
        select(Mailing.kind, Delivery.version, Delivery.language, Delivery.state, func.count())
        .join(Delivery, Delivery.mailing_id == Mailing.id)
        .where(Mailing.statement_id == statement_id)
        .group_by(Mailing.kind, Delivery.version, Delivery.language, Delivery.state)
        .order_by(Mailing.kind, Delivery.version, Delivery.language, Delivery.state)
    )
    return [
        (kind.value, version, language, state.value, count) for kind, version, language, state, count in rows
    ]
