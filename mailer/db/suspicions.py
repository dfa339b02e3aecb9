"""Rows that contradict themselves: the questions of the audit, each one statement, each of one moment.

Only mailings that are not over, or ended within the last hour, are counted through, and
those with an incident still open; the rest is asked of indexes that hold no settled row.
Nothing is mended here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, String, exists, func, inspect, or_, select, type_coerce, union_all
from sqlalchemy.orm import Session, aliased

from mailer.db.audience import UNFINISHED
from mailer.db.mailings import OPEN, REACHED, WAITING, Claim, Delivery, Mailing
from mailer.db.people import Consent, Subscriber, Subscription
from mailer.db.texts import OF_A_STATEMENT
from mailer.vocabulary import ConsentKind, DeliveryState, MailingKind, MailingState, SubscriptionState

RECENT = timedelta(hours=1)
BEFORE = timedelta(days=1)  # of a mailing: who left its topic earlier was never written down for it
LATELY = timedelta(minutes=15)  # claims whose times are compared; the audit comes every minute
NEWEST = 20_000  # deliveries whose people are looked for
MOST = 1_000  # rows read by one question

# Expand writes a skipped row without the moment of settling; every other end has one.
ENDED = REACHED | {DeliveryState.FAILED, DeliveryState.CANCELLED, DeliveryState.EXPIRED}
BY_TOPIC = OF_A_STATEMENT | {MailingKind.DIGEST, MailingKind.CAMPAIGN, MailingKind.WELCOME}


@dataclass(kw_only=True)
class Tally:
    """One mailing's rows, counted through once."""

    mailing_id: int
    key: str
    state: MailingState
    rows: int = 0
    known: int = 0  # stand in a state that exists
    open: int = 0
    unsettled: int = 0  # ended without a moment
    unclaimed: int = 0  # reached without a claim

    def add(self, state: str, count: int, *, settled: bool, held: bool) -> None:
        """Count rows that stand alike; a state that does not exist is a word like any other here."""
        self.rows += count
        self.known += count if state in _KNOWN else 0
        self.open += count if state in OPEN else 0
        self.unsettled += count if state in ENDED and not settled else 0
        self.unclaimed += count if state in REACHED and not held else 0


_KNOWN = frozenset(DeliveryState)


@dataclass(frozen=True, kw_only=True)
class Mailed:
    """Somebody who had left and was mailed all the same."""

    mailing_id: int
    key: str
    left_at: datetime
    claimed_at: datetime


def watched(session: Session, now: datetime, also: Collection[int]) -> list[int]:
    """The mailings that are counted through."""
    statement = select(Mailing.id).where(
        or_(Mailing.state.in_(UNFINISHED), Mailing.finished_at >= now - RECENT, Mailing.id.in_(list(also)))
    )
    return list(session.scalars(statement))


def tallies(session: Session, mailings: Collection[int]) -> list[Tally]:
    """The mailings' rows, each looked at once."""
    named = session.execute(
        select(Mailing.id, Mailing.key, Mailing.state).where(Mailing.id.in_(list(mailings)))
    )
    found = {number: Tally(mailing_id=number, key=key, state=state) for number, key, state in named}
    alike = (
        Delivery.mailing_id,
        type_coerce(Delivery.state, String),
        Delivery.settled_at.is_not(None),
        Delivery.fence.is_not(None),
    )
    rows = select(*alike, func.count()).where(Delivery.mailing_id.in_(list(found))).group_by(*alike)
    for mailing_id, state, settled, held, count in session.execute(rows):
        found[mailing_id].add(state, count, settled=settled, held=held)
    return list(found.values())


def untimely(
    session: Session, mailings: Collection[int], now: datetime, also: Collection[int]
) -> dict[int, tuple[int, int]]:
    """How many reached people were claimed too late, and before the mailing opened, by mailing.

    Of recent claims, and of all claims of `also`.
    """
    late, early = Claim.claimed_at > Delivery.not_after, Claim.claimed_at < Mailing.opens_at
    rows = session.execute(
        select(Delivery.mailing_id, func.count().filter(late), func.count().filter(early))
        .join(Claim, Claim.id == Delivery.fence)
        .join(Mailing, Mailing.id == Delivery.mailing_id)
        .where(
            Delivery.mailing_id.in_(list(mailings)),
            or_(Claim.claimed_at > now - LATELY, Delivery.mailing_id.in_(list(also))),
            Delivery.state.in_(REACHED),
            or_(late, early),
        )
        .group_by(Delivery.mailing_id)
    )
    return {mailing_id: (of_late, of_early) for mailing_id, of_late, of_early in rows}


def without_claim(session: Session) -> dict[int, int]:
    """Deliveries that are claimed under a claim which is closed or does not exist, by mailing."""
    return _by_mailing(
        session,
        select(Delivery.mailing_id, func.count())
        .outerjoin(Claim, Claim.id == Delivery.fence)
        .where(
            Delivery.state == DeliveryState.CLAIMED,
            or_(Claim.id.is_(None), Claim.released_at.is_not(None)),
        ),
    )


def without_mailing(session: Session) -> dict[int, int]:
    """Open and doubtful deliveries whose mailing does not exist, by its id: nobody would ever send them."""
    missing = ~exists().where(Mailing.id == Delivery.mailing_id)
    parts = (
        Delivery.state.in_(WAITING),
        Delivery.state == DeliveryState.CLAIMED,
        Delivery.state == DeliveryState.IN_DOUBT,
    )
    rows = union_all(*(select(Delivery.mailing_id).where(part, missing) for part in parts)).subquery()
    return _by_mailing(session, select(rows.c.mailing_id, func.count()))


def without_person(session: Session, also: Collection[int]) -> dict[int, int]:
    """The newest deliveries, and those of `also`, that name a subscriber who does not exist, by mailing.

    A join of a million rows with a million people would take the audit's whole second.
    """
    newest = (session.scalar(select(func.max(Delivery.id))) or 0) - NEWEST
    missing = ~exists().where(Subscriber.id == Delivery.subscriber_id)
    looked_at = (
        or_(Delivery.id > newest, Delivery.mailing_id.in_(list(also))) if also else Delivery.id > newest
    )
    named = Delivery.subscriber_id.is_not(None)
    return _by_mailing(session, select(Delivery.mailing_id, func.count()).where(looked_at, named, missing))


def _by_mailing(session: Session, statement: Select[int, int]) -> dict[int, int]:
    mailing_id = statement.selected_columns[0]
    return {row[0]: row[1] for row in session.execute(statement.group_by(mailing_id).limit(MOST))}


def mailed_after_leaving(session: Session, mailings: Collection[int]) -> list[Mailed]:
    """Who withdrew their consent to the topic before the claim, did not come back, and was mailed."""
    by_topic = Mailing.id.in_(list(mailings)) & Mailing.kind.in_(BY_TOPIC)
    oldest = session.scalar(select(func.min(Mailing.created_at)).where(by_topic))
    if oldest is None:
        return []
    withdrawn, back = aliased(Consent), aliased(Consent)
    came_back = exists().where(
        back.subscriber_id == withdrawn.subscriber_id,
        back.topic_id == withdrawn.topic_id,
        back.kind == ConsentKind.CONFIRMED,
        back.at >= withdrawn.at,
        back.at <= Claim.claimed_at,
    )
    rows = session.execute(
        select(Mailing.id, Mailing.key, withdrawn.at, Claim.claimed_at)
        .join(
            Subscription,
            (Subscription.topic_id == Mailing.topic_id)
            & (Subscription.state == SubscriptionState.UNSUBSCRIBED),
        )
        .join(
            Delivery,
            (Delivery.mailing_id == Mailing.id) & (Delivery.subscriber_id == Subscription.subscriber_id),
        )
        .join(Claim, Claim.id == Delivery.fence)
        .join(
            withdrawn,
            (withdrawn.subscriber_id == Subscription.subscriber_id)
            & (withdrawn.topic_id == Subscription.topic_id),
        )
        .where(
            by_topic,
            Subscription.changed_at >= oldest - BEFORE,
            Delivery.state.in_(REACHED | {DeliveryState.IN_DOUBT}),
            withdrawn.kind == ConsentKind.WITHDRAWN,
            withdrawn.at < Claim.claimed_at,
            ~came_back,
        )
        .limit(MOST)
    )
    return [
        Mailed(mailing_id=mailing_id, key=key, left_at=left_at, claimed_at=claimed_at)
        for mailing_id, key, left_at, claimed_at in rows
    ]


def missing_guards(session: Session) -> list[str]:
    """Which of the two rules that make one person one row, and one mailing one mail, the database lacks."""
    wanted: dict[str, set[str | None]] = {
        "deliveries": {"mailing_id", "subscriber_id"},
        "subscribers": {"address_index"},
    }
    look = inspect(session.connection())
    lacking: list[str] = []
    for table, columns in wanted.items():
        unique: list[set[str | None]] = [
            set(one["column_names"]) for one in look.get_unique_constraints(table)
        ]
        unique += [set(one["column_names"]) for one in look.get_indexes(table) if one["unique"]]
        if columns not in unique:
            lacking.append(table)
    return lacking


def twice(session: Session, mailings: Sequence[int]) -> dict[int, int]:
    """How many addresses have more than one delivery, by mailing. Dear: asked only when a guard is gone."""
    doubled = (
        select(Delivery.mailing_id)
        .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
        .where(Delivery.mailing_id.in_(list(mailings)))
        .group_by(Delivery.mailing_id, Subscriber.address_index)
        .having(func.count() > 1)
        .subquery()
    )
    return _by_mailing(session, select(doubled.c.mailing_id, func.count()))
