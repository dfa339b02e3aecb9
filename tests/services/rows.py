"""A mailing whose deliveries stand where a test wants them: claims and states are set by hand."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from mailer.db.mailings import Attempt, Claim, Delivery, Mailing
from mailer.db.programme import Statement
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.services.sending.expand import expand_mailing
from mailer.vocabulary import DeliveryState, MailingState

Subscribe = Callable[..., int]


def alert(house: House, subscribe: Subscribe, statement: int, now: datetime, readers: int) -> int:
    """A published alert, expanded for so many new readers; the mailing's id."""
    for number in range(readers):
        subscribe(f"reader{number}@example.org")
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        mailing = statements.publish(session, house, found, actor="test", now=now).id
    with house.database.write() as session:
        expand_mailing(session, mailing, now)
    return mailing


def ids(house: House, mailing: int) -> list[int]:
    """Its deliveries, in the order of its readers."""
    with house.database.read() as session:
        statement = select(Delivery.id).where(Delivery.mailing_id == mailing).order_by(Delivery.subscriber_id)
        return list(session.scalars(statement))


def claimed(house: House, some: list[int], at: datetime, *, released: bool = False) -> int:
    """These deliveries are claimed by a worker; the fence."""
    with house.database.write() as session:
        claim = Claim(
            worker="send-test-1-aaaaaa",
            claimed_at=at,
            leased_until=at + timedelta(minutes=2),
            released_at=at + timedelta(seconds=5) if released else None,
        )
        session.add(claim)
        session.flush()
        change(session, some, state=DeliveryState.CLAIMED, fence=claim.id, attempts=1)
        return claim.id


def settled(
    house: House, some: list[int], state: DeliveryState, at: datetime, *, claimed_at: datetime
) -> int:
    """These deliveries were claimed and came to this; the fence of their claim."""
    fence = claimed(house, some, claimed_at, released=True)
    with house.database.write() as session:
        change(session, some, state=state, settled_at=at)
        if state is DeliveryState.IN_DOUBT:
            session.add_all(_doubtful(number, fence, at) for number in some)
    return fence


def _doubtful(number: int, fence: int, at: datetime) -> Attempt:
    return Attempt(
        delivery_id=number, fence=fence, at=at, verdict="in_doubt", fault="none", phase="dot", reason="lost"
    )


def change(session: Any, some: list[int], **values: Any) -> None:
    session.execute(update(Delivery).where(Delivery.id.in_(some)).values(**values))


def closed(house: House, mailing: int, at: datetime, state: MailingState = MailingState.DONE) -> None:
    """The mailing is over."""
    with house.database.write() as session:
        found = session.get_one(Mailing, mailing)
        found.state, found.finished_at = state, at


def states(house: House, mailing: int) -> list[str]:
    """Where its deliveries stand, in the order of its readers."""
    with house.database.read() as session:
        statement = select(Delivery).where(Delivery.mailing_id == mailing).order_by(Delivery.subscriber_id)
        return [one.state.value for one in session.scalars(statement)]
