"""Which text each item of a digest got, who waits for one, and who may have an older one.

Services choose the texts at the claim, under a lock that a correction waits for. What is
written then is what corrections and later translations ask for.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, String, and_, cast, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from mailer.db import texts
from mailer.db.dialect import one_of
from mailer.db.digests import DigestItem, may_be_told
from mailer.db.mailings import REACHED, WAITING, Attempt, Delivery
from mailer.db.people import Subscriber
from mailer.db.texts import UNTIL_WOKEN
from mailer.vocabulary import DeliveryState

_UNFOLDED = {"synchronize_session": False}


class Entry(NamedTuple):
    """One statement as a digest tells it: in which text, and whether that is not the language they wish for
    most. `again`: they had it before, in another language."""

    statement_id: int
    version: int
    language: str
    fallback: bool
    again: bool


Told = tuple[Entry, ...]
"""What one digest tells of, by the statements' order. Who are told the same share a form."""


class Item(NamedTuple):
    """An item that a delivery has taken."""

    delivery_id: int
    statement_id: int
    translation: str


def statements_of(session: Session, deliveries: Collection[int]) -> Sequence[int]:
    """The statements that these deliveries would tell of."""
    theirs = one_of(session, DigestItem.delivery_id, deliveries)
    return session.scalars(select(DigestItem.statement_id).where(theirs).distinct()).all()


def items(session: Session, deliveries: Collection[int], now: datetime) -> list[Item]:
    """What these deliveries have to tell of. What may not be told of now is owed again, for a later digest.

    A translation is forgotten whose reader has got it by the statement's own item meanwhile.
    """
    theirs = one_of(session, DigestItem.delivery_id, deliveries), DigestItem.perhaps_told.is_(False)
    session.execute(
        update(DigestItem)
        .where(*theirs, ~may_be_told(now))
        .values(delivery_id=None)
        .execution_options(**_UNFOLDED)
    )
    first = aliased(DigestItem)
    had = exists().where(
        first.subscriber_id == DigestItem.subscriber_id,
        first.statement_id == DigestItem.statement_id,
        first.translation == "",
        first.delivery_id.is_not(None),
        first.delivery_id != DigestItem.delivery_id,
        first.language == DigestItem.translation,
    )
    session.execute(
        delete(DigestItem).where(*theirs, DigestItem.translation != "", had).execution_options(**_UNFOLDED)
    )
    columns = DigestItem.delivery_id, DigestItem.statement_id, DigestItem.translation
    found = session.execute(select(*columns).where(*theirs).order_by(*columns[1:]))
    return [Item(row[0] or 0, row[1], row[2]) for row in found]


def write(session: Session, chosen: Mapping[Entry, Sequence[Item]]) -> None:
    """Write down which text these items are told in."""
    for entry, some in chosen.items():
        session.execute(
            _these(session, some)
            .values(version=entry.version, language=entry.language)
            .execution_options(**_UNFOLDED)
        )


def hold(session: Session, some: Sequence[Item]) -> None:
    """These items wait for a translation: owed, and to no digest before somebody wakes them."""
    for of_one in _by_statement(some):
        session.execute(
            _these(session, of_one)
            .values(delivery_id=None, owed_at=UNTIL_WOKEN)
            .execution_options(**_UNFOLDED)
        )


def drop(session: Session, some: Sequence[Item]) -> None:
    """These translations are not wished for any more."""
    for of_one in _by_statement(some):
        theirs = one_of(session, DigestItem.delivery_id, [item.delivery_id for item in of_one])
        session.execute(delete(DigestItem).where(theirs, *_same(of_one[0])).execution_options(**_UNFOLDED))


def _by_statement(some: Sequence[Item]) -> list[list[Item]]:
    groups: dict[tuple[int, str], list[Item]] = {}
    for item in some:
        groups.setdefault((item.statement_id, item.translation), []).append(item)
    return list(groups.values())


def _these(session: Session, some: Sequence[Item]) -> Any:
    """An UPDATE of items of one statement, all of them first tellings or all of one translation."""
    theirs = one_of(session, DigestItem.delivery_id, [item.delivery_id for item in some])
    return update(DigestItem).where(theirs, *_same(some[0]))


def _same(item: Item) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return DigestItem.statement_id == item.statement_id, DigestItem.translation == item.translation


def hold_owed(
    session: Session, statement_id: int, moment: datetime, wishes: Collection[str], translation: str = ""
) -> None:
    """Let readers who wish for these languages, as their rows hold them, wait with what they are owed."""
    people = select(Subscriber.id).where(cast(Subscriber.languages, String).in_(list(wishes)))
    session.execute(
        update(DigestItem)
        .where(
            DigestItem.statement_id == statement_id,
            DigestItem.translation == translation,
            DigestItem.delivery_id.is_(None),
            DigestItem.owed_at <= moment,
            DigestItem.subscriber_id.in_(people),
        )
        .values(owed_at=UNTIL_WOKEN)
        .execution_options(**_UNFOLDED)
    )


def owed_wishes(session: Session, moment: datetime) -> list[tuple[int, str, str]]:
    """(statement, translation, languages of readers as their rows hold them) of all that is owed by then."""
    columns = DigestItem.statement_id, DigestItem.translation, cast(Subscriber.languages, String)
    found = session.execute(
        select(*columns)
        .join(Subscriber, Subscriber.id == DigestItem.subscriber_id)
        .where(DigestItem.delivery_id.is_(None), DigestItem.owed_at <= moment)
        .group_by(*columns)
    )
    return [(row[0], row[1], row[2]) for row in found]


_waits = and_(DigestItem.delivery_id.is_(None), DigestItem.owed_at == UNTIL_WOKEN)


def wake(
    session: Session, now: datetime, *, statement_id: int | None = None, subscriber_id: int | None = None
) -> int:
    """Owe again from now on what waits for a translation, of one statement or to one person; how many."""
    which = [DigestItem.statement_id == statement_id] if statement_id is not None else []
    which += [DigestItem.subscriber_id == subscriber_id] if subscriber_id is not None else []
    woken = session.execute(
        update(DigestItem).where(_waits, *which).values(owed_at=now).execution_options(**_UNFOLDED)
    )
    return int(woken.rowcount)  # type: ignore[attr-defined]


def waiting(session: Session, statement_id: int) -> int:
    """How many items of the statement wait for a translation."""
    return session.scalar(select(func.count()).where(DigestItem.statement_id == statement_id, _waits)) or 0


def _older(before: int | None, language: str | None) -> list[ColumnElement[bool]]:
    return texts.older(DigestItem.version, DigestItem.language, before, language)


def holding(statement_id: int, before: int | None, language: str | None = None) -> Select[*tuple[Any, ...]]:
    """The items of digests that told, or may have told, of a text of the statement, or an older one."""
    return (
        select(DigestItem.subscriber_id, Delivery.id, Delivery.mailing_id)
        .join(Delivery, Delivery.id == DigestItem.delivery_id)
        .where(
            DigestItem.statement_id == statement_id,
            or_(Delivery.state.in_(REACHED | {DeliveryState.IN_DOUBT}), DigestItem.perhaps_told),
            *_older(before, language),
        )
    )


def on_the_wire(
    session: Session, statement_id: int, *, before: int | None, language: str | None = None
) -> bool:
    """True while a worker holds a digest that tells of the statement, or of a text older than `before`."""
    claimed = exists().where(
        DigestItem.statement_id == statement_id,
        Delivery.id == DigestItem.delivery_id,
        Delivery.state == DeliveryState.CLAIMED,
        *_older(before, language),
    )
    return session.scalar(select(claimed)) is True


def tell_no_more_of_what_may_have_arrived(
    session: Session, statement_id: int, before: int | None, language: str | None
) -> None:
    """Older texts in digests that are, or were, in doubt: who may have them is told of the correction."""
    doubted = exists().where(
        Attempt.delivery_id == Delivery.id, Attempt.verdict == DeliveryState.IN_DOUBT.value
    )
    perhaps = exists().where(
        Delivery.id == DigestItem.delivery_id,
        or_(Delivery.state == DeliveryState.IN_DOUBT, and_(Delivery.state.in_(WAITING), doubted)),
    )
    session.execute(
        update(DigestItem)
        .where(DigestItem.statement_id == statement_id, perhaps, *_older(before, language))
        .values(perhaps_told=True)
        .execution_options(**_UNFOLDED)
    )


def who_has_what(session: Session, statement_id: int) -> list[tuple[int | None, str | None, str, int]]:
    """(version, language, state, how many) over all digests that took the statement."""
    columns = DigestItem.version, DigestItem.language, Delivery.state
    found = session.execute(
        select(*columns, func.count())
        .join(Delivery, Delivery.id == DigestItem.delivery_id)
        .where(DigestItem.statement_id == statement_id)
        .group_by(*columns)
        .order_by(*columns)
    )
    return [(version, language, state.value, count) for version, language, state, count in found]
