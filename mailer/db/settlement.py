"""The queries that write what became of claimed deliveries.

Every write names the states it may leave (mailings.MOVES) and the fencing token it was
made under: a worker whose lease has passed on changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, or_, update
from sqlalchemy.orm import Session

from mailer.db.dialect import one_of
from mailer.db.mailings import Attempt, Delivery
from mailer.vocabulary import DeliveryState

# A reply that was read late still settles the doubt it had left, under the fence it was sent under.
_ANSWERABLE = (DeliveryState.CLAIMED, DeliveryState.IN_DOUBT)


@dataclass(frozen=True, kw_only=True)
class Settlement:
    """The new place of one claimed delivery. `attempts_back`: 1 when the try is not the recipient's."""

    id: int
    fence: int
    attempts_back: int = 0
    state: DeliveryState
    reason: str | None
    due_at: datetime | None  # None leaves it
    settled_at: datetime | None


def settle_sent(session: Session, fence: int, ids: Sequence[int], now: datetime) -> None:
    """Deliveries of one claim that were accepted: nearly all of them, so in one statement."""
    session.execute(
        update(Delivery)
        .where(one_of(session, Delivery.id, ids), Delivery.fence == fence, Delivery.state.in_(_ANSWERABLE))
        .values(state=DeliveryState.SENT, reason=None, settled_at=now)
        .execution_options(synchronize_session=False)
    )


def settle_others(session: Session, settlements: Sequence[Settlement]) -> None:
    """Every other outcome, row by row, in the order of their ids: two writers lock rows in one order."""
    for state in DeliveryState:
        rows = [one for one in settlements if one.state is state]
        if rows:
            _settle(session, state, sorted(rows, key=lambda one: one.id))


def _settle(session: Session, state: DeliveryState, rows: Sequence[Settlement]) -> None:
    table = Delivery.__table__
    leaves = _ANSWERABLE if state is DeliveryState.FAILED else (DeliveryState.CLAIMED,)
    statement = (
        update(Delivery)
        .where(
            table.c.id == bindparam("of_id"),
            table.c.fence == bindparam("of_fence"),
            or_(*(table.c.state == leave for leave in leaves)),  # one statement for many rows takes no list
        )
        .values(
            state=state,
            reason=bindparam("to_reason"),
            attempts=table.c.attempts - bindparam("back", type_=table.c.attempts.type),
            settled_at=bindparam("to_settled_at"),
        )
    )
    if rows[0].due_at is not None:
        statement = statement.values(due_at=bindparam("to_due_at"))
    session.connection().execute(
        statement,
        [
            {
                "of_id": one.id,
                "of_fence": one.fence,
                "to_reason": one.reason,
                "to_due_at": one.due_at,
                "back": one.attempts_back,
                "to_settled_at": one.settled_at,
            }
            for one in rows
        ],
    )


def record_attempts(session: Session, attempts: Sequence[Attempt]) -> None:
    """Keep what was said about tries that did not simply succeed."""
    session.add_all(attempts)
