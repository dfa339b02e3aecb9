"""The queries of the claim: which deliveries are due, in whose turn, and who holds them.

Rows that decide whether a mail may leave are read under the delivery's lock. No query
decides who may be mailed; services do, inside the same transaction. What came of a
claim is written by settlement.py.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Select, String, cast, exists, null, select, update
from sqlalchemy.orm import Session

from mailer.db.audience import READER_ZONE
from mailer.db.dialect import one_of
from mailer.db.digest_texts import Told
from mailer.db.follow_ups import FollowUp
from mailer.db.lanes import Lane
from mailer.db.mailings import BULK_RANK, OPEN, URGENT_RANKS, WAITING, Claim, Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Registration, ReminderRule, Symposium
from mailer.vocabulary import DeliveryState, MailingKind, MailingState, SubscriptionState, SuppressionReason

CLAIMABLE = frozenset({MailingState.SCHEDULED, MailingState.SENDING})
_UNFOLDED = {"synchronize_session": False}  # no object of the session stands for these rows


class Candidate(NamedTuple):
    """One due delivery with what decides whether it may leave, read under its lock. Plain values: an ORM
    object for each would cost more than its mail."""

    id: int
    mailing_id: int
    subscriber_id: int | None
    registration_id: int | None
    lane_id: int
    rank: int
    attempts: int
    created_at: datetime
    not_after: datetime
    address: bytes | None
    name: bytes | None
    languages: str | None
    zone: str | None
    suppressed: SuppressionReason | None
    subscription_id: int | None
    subscription_state: SubscriptionState | None


@dataclass(frozen=True)
class Surroundings:
    """What several candidates share, by id."""

    mailings: dict[int, Mailing] = field(default_factory=dict)
    registrations: dict[int, Registration] = field(default_factory=dict)
    symposia: dict[int, Symposium] = field(default_factory=dict)
    digests: Mapping[int, Told] | None = None  # by delivery, where there are digests among them
    # The kinds of mails that are open for a registration which may not know the live facts.
    on_the_way: dict[int, frozenset[MailingKind]] = field(default_factory=dict)
    follow_ups: Mapping[int, tuple[FollowUp, ...]] = field(default_factory=dict)  # by registration
    ended_rules: frozenset[int] = frozenset()  # of their mailings' reminder rules those that were removed


def urgent(session: Session, *, now: datetime, limit: int, closed: Collection[int]) -> list[Candidate]:
    """Lock due deliveries that overtake bulk, by rank and then the nearest deadline."""
    due = _of_open_mailings(_due(now), now).order_by(Delivery.rank, Delivery.due_at, Delivery.id)
    if closed:
        due = due.where(Delivery.lane_id.not_in(closed))
    found = _read(session, due, limit)
    return sorted(found, key=lambda one: (one.rank, one.not_after, one.id))


def has_waiting(*such: ColumnElement[bool]) -> ColumnElement[bool]:
    """True of a mailing of which rows wait, or `such` rows.

    The first one in the order of the index, not EXISTS: of that PostgreSQL makes a join, which reads every
    row of a large mailing when it believes that most of them wait (150 ms at a million, instead of 3).
    """
    first = (
        select(Delivery.id)
        .where(Delivery.mailing_id == Mailing.id, Delivery.state.in_(WAITING), *such)
        .order_by(Delivery.lane_id, Delivery.due_at, Delivery.id)
        .limit(1)
    )
    return first.correlate(Mailing).scalar_subquery().is_not(None)


def bulk_mailings(session: Session, now: datetime) -> list[tuple[int, int, bool]]:
    """(rank, id, was it under an embargo) of the bulk mailings that have something due."""
    statement = (
        select(Mailing.rank, Mailing.id, Mailing.embargo_at.is_not(None))
        .where(
            Mailing.state.in_(CLAIMABLE),
            Mailing.rank >= BULK_RANK,
            Mailing.opens_at <= now,
            Mailing.due_at <= now,
            has_waiting(Delivery.due_at <= now),
        )
        .order_by(Mailing.rank, Mailing.id)
    )
    return [(rank, mailing_id, bool(under)) for rank, mailing_id, under in session.execute(statement)]


def of_mailing(
    session: Session, mailing_id: int, lane_id: int, *, now: datetime, limit: int
) -> list[Candidate]:
    """Lock due deliveries of one mailing in one lane, oldest first, passing over what others hold."""
    due = (
        _due(now)
        .where(Delivery.mailing_id == mailing_id, Delivery.lane_id == lane_id)
        .order_by(Delivery.due_at, Delivery.id)
    )
    return _read(session, due, limit)


def lane_ids(session: Session) -> Sequence[int]:
    """The lanes of receiving sites."""
    return session.scalars(select(Lane.id).where(Lane.key.not_like("relay:%")).order_by(Lane.id)).all()


# What a candidate says of its delivery, in the order of its fields.
_OF_DELIVERY = (
    Delivery.id,
    Delivery.mailing_id,
    Delivery.subscriber_id,
    Delivery.registration_id,
    Delivery.lane_id,
    Delivery.rank,
    Delivery.attempts,
    Delivery.created_at,
    Delivery.not_after,
)


def _due(now: datetime) -> Select[*tuple[Any, ...]]:
    return select(*_OF_DELIVERY).where(Delivery.state.in_(WAITING), Delivery.due_at <= now)


def _read(session: Session, due: Select[Any], limit: int) -> list[Candidate]:
    # A common table with a row lock is never folded into the join around it, so it runs once. The topic is
    # compared as a sum, which no index holds: before PostgreSQL has counted a fresh import it would else
    # read all subscriptions of the topic for each person.
    held = due.limit(limit).with_for_update(of=Delivery, skip_locked=True).cte("due")
    statement = (
        select(
            held,
            Subscriber.address,
            Subscriber.name,
            cast(Subscriber.languages, String),
            Subscriber.zone,
            Subscriber.suppressed,
            Subscription.id,
            Subscription.state,
        )
        .select_from(held)
        .join(Mailing, Mailing.id == held.c.mailing_id)
        .outerjoin(Subscriber, Subscriber.id == held.c.subscriber_id)
        .outerjoin(
            Subscription,
            (Subscription.subscriber_id == held.c.subscriber_id)
            & (Subscription.topic_id + 0 == Mailing.topic_id),
        )
    )
    # The connection gives plain rows; the session would look for objects in each of them.
    return [Candidate._make(row) for row in session.connection().execute(statement)]


def surroundings(session: Session, candidates: Iterable[Candidate]) -> Surroundings:
    """The mailings of these candidates, and of attendees their registrations and symposia."""
    candidates = list(candidates)
    mailings = _by_id(session, Mailing, {one.mailing_id for one in candidates})
    registrations = _by_id(
        session, Registration, {one.registration_id for one in candidates if one.registration_id}
    )
    symposia = {mailing.symposium_id for mailing in mailings.values() if mailing.symposium_id}
    return Surroundings(mailings, registrations, _by_id(session, Symposium, symposia))


_Row = TypeVar("_Row", Mailing, Registration, Symposium)


def _by_id(session: Session, kind: type[_Row], ids: Collection[int]) -> dict[int, _Row]:
    if not ids:
        return {}
    rows = session.scalars(select(kind).where(one_of(session, kind.id, ids)))
    return {row.id: row for row in rows.unique()}


def open_claim(session: Session, *, worker: str, now: datetime, leased_until: datetime) -> int:
    """Start a claim; its id is the fencing token."""
    claim = Claim(worker=worker, claimed_at=now, leased_until=leased_until)
    session.add(claim)
    session.flush()
    return claim.id


def take(
    session: Session,
    ids: Sequence[int],
    fence: int,
    *,
    version: int | None = None,
    language: str | None = None,
) -> None:
    """Mark locked deliveries as claimed under the fence, with the statement's text that they get."""
    values = {"state": DeliveryState.CLAIMED, "fence": fence, "attempts": Delivery.attempts + 1}
    if language is not None:
        values |= {"version": version, "language": language}
    _change(session, ids, values)


def leave_out(session: Session, ids: Sequence[int], state: DeliveryState, reason: str, now: datetime) -> None:
    """Settle locked deliveries that must not leave: skipped, cancelled or expired, with the reason."""
    _change(session, ids, {"state": state, "reason": reason, "settled_at": now})


def postpone(session: Session, ids: Sequence[int], until: datetime) -> None:
    """Look at locked deliveries again at that time."""
    _change(session, ids, {"due_at": until})


def open_kinds(
    session: Session, registrations: Collection[int], kinds: Collection[MailingKind]
) -> dict[int, frozenset[MailingKind]]:
    """Of these registrations: the kinds, among those given, of mails that have not come to an end."""
    found: dict[int, set[MailingKind]] = {}
    rows = session.execute(
        select(Delivery.registration_id, Mailing.kind)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            one_of(session, Delivery.registration_id, registrations),
            Delivery.state.in_(OPEN),
            Mailing.kind.in_(kinds),
        )
    )
    for registration, kind in rows:
        found.setdefault(registration or 0, set()).add(kind)
    return {registration: frozenset(some) for registration, some in found.items()}


def waiting(session: Session, symposium_id: int) -> list[tuple[Candidate, datetime, str | None]]:
    """All that waits of a symposium's mailings, with its due time and its reader's zone. To be
    looked at: nothing is locked."""
    rows = session.execute(
        select(
            Delivery.due_at,
            READER_ZONE,
            *_OF_DELIVERY,
            Subscriber.address,
            Subscriber.name,
            cast(Subscriber.languages, String),
            Subscriber.zone,
            Subscriber.suppressed,
            null(),
            null(),
        )
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .outerjoin(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .outerjoin(Registration, Registration.id == Delivery.registration_id)
        .where(Mailing.symposium_id == symposium_id, Delivery.state.in_(WAITING))
    )
    return [(Candidate._make(row[2:]), row[0], row[1]) for row in rows]


def ended_rules(session: Session, rules: Collection[int]) -> frozenset[int]:
    """Those of these reminder rules that hold no more."""
    if not rules:
        return frozenset()
    ended = select(ReminderRule.id).where(
        one_of(session, ReminderRule.id, rules), ReminderRule.enabled.is_(False)
    )
    return frozenset(session.scalars(ended))


def _change(session: Session, ids: Sequence[int], values: dict[str, Any]) -> None:
    if not ids:
        return
    statement = update(Delivery).where(one_of(session, Delivery.id, ids), Delivery.state.in_(WAITING))
    session.execute(statement.values(values).execution_options(**_UNFOLDED))


def renew(session: Session, fences: Collection[int], leased_until: datetime) -> frozenset[int]:
    """Prolong leases; returns those that are still ours, without the ones that passed to the sweep."""
    statement = (
        update(Claim)
        .where(Claim.id.in_(fences), Claim.released_at.is_(None))
        .values(leased_until=leased_until)
        .returning(Claim.id)
        .execution_options(**_UNFOLDED)
    )
    return frozenset(session.scalars(statement))


def release(session: Session, fences: Collection[int], now: datetime) -> None:
    """Close claims, but only when all their deliveries are settled; open ones stay the sweep's business."""
    held = exists().where(Delivery.fence == Claim.id, Delivery.state == DeliveryState.CLAIMED)
    session.execute(
        update(Claim)
        .where(Claim.id.in_(fences), ~held)
        .values(released_at=now)
        .execution_options(**_UNFOLDED)
    )


def lapsed_claims(session: Session, now: datetime) -> list[Claim]:
    """Claims whose lease is over and that nobody closed: their worker is gone or cut off."""
    statement = select(Claim).where(Claim.released_at.is_(None), Claim.leased_until < now).order_by(Claim.id)
    return list(session.scalars(statement.with_for_update(skip_locked=True)))


def held_by(session: Session, fence: int) -> list[tuple[Delivery, Mailing]]:
    """Deliveries still claimed under a fence."""
    rows = session.execute(
        select(Delivery, Mailing)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(Delivery.fence == fence, Delivery.state == DeliveryState.CLAIMED)
    )
    return [(delivery, mailing) for delivery, mailing in rows]


def in_doubt(session: Session, ids: Collection[int]) -> list[tuple[Delivery, Mailing]]:
    """Those of these deliveries that are in doubt."""
    rows = session.execute(
        select(Delivery, Mailing)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(one_of(session, Delivery.id, ids), Delivery.state == DeliveryState.IN_DOUBT)
    )
    return [(delivery, mailing) for delivery, mailing in rows]


def has_due(session: Session, now: datetime) -> bool:
    """True when at least one delivery could be claimed now, lanes aside."""
    return bool(bulk_mailings(session, now)) or _has_urgent(session, now)


def has_open_claims(session: Session) -> bool:
    """True when some worker holds a claim, or held it when it was cut off from the database."""
    return session.scalar(select(Claim.id).where(Claim.released_at.is_(None)).limit(1)) is not None


def _has_urgent(session: Session, now: datetime) -> bool:
    return session.scalar(_of_open_mailings(_due(now), now).limit(1)) is not None


def _of_open_mailings(due: Select[*tuple[Any, ...]], now: datetime) -> Select[*tuple[Any, ...]]:
    # The sum keeps PostgreSQL from going through a bulk mailing's million rows in search of urgent ones:
    # these have an index of their own. Its ranks are named, or a million reminders far ahead would be
    # passed by on the way to what is due of each (PostgreSQL seeks past them by itself only from 18 on).
    return due.join(Mailing, Mailing.id == Delivery.mailing_id + 0).where(
        Delivery.rank < BULK_RANK,
        Delivery.rank.in_(URGENT_RANKS),
        Mailing.state.in_(CLAIMABLE),
        Mailing.opens_at <= now,
    )
