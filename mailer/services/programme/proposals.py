"""Proposals: what a re-read page would change, decided by a person, one at a time."""

from datetime import date, datetime, time

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Proposal, Symposium
from mailer.services import audit
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.services.programme.dates import Moment, moment_of, set_moment
from mailer.vocabulary import Precision, ProposalState, SymposiumState


class ProposalRefusal(Exception):
    """The proposal does not exist, is decided, or cannot be accepted so; the message says what to do."""


def open_ones(session: Session) -> list[Proposal]:
    """Proposals that wait for a person, oldest first."""
    waiting = select(Proposal).where(Proposal.state == ProposalState.OPEN).order_by(Proposal.id)
    return list(session.scalars(waiting))


def find(session: Session, number: int) -> Proposal:
    found = session.get(Proposal, number)
    if found is None or found.state is not ProposalState.OPEN:
        raise ProposalRefusal(
            f"No open proposal has the number {number}. List them with: mailer proposal list"
        )
    return found


def accept(
    session: Session, house: House, proposal: Proposal, *, actor: str, now: datetime
) -> Mailing | None:
    """Make the change; attendees of an announced symposium are told of a new date. Returns that notice."""
    if proposal.symposium_id is None:
        raise ProposalRefusal(
            "A published statement is corrected by people, not by a page: an edit here alerts nobody. "
            "Reject the proposal once you have seen it."
        )
    symposium = session.get_one(Symposium, proposal.symposium_id)
    if "title" in proposal.changes:
        symposium.title, symposium.changed_at = proposal.changes["title"][1], now
    notice = _new_date(session, house, symposium, proposal, actor=actor, now=now)
    symposium.raw = proposal.raw
    _decide(session, proposal, ProposalState.ACCEPTED, actor, now)
    return notice


def _new_date(
    session: Session, house: House, symposium: Symposium, proposal: Proposal, *, actor: str, now: datetime
) -> Mailing | None:
    moment = moment_with(moment_of(symposium), proposal)
    if moment == moment_of(symposium):
        return None
    if symposium.state is SymposiumState.ANNOUNCED:
        return symposia.move(session, house, symposium, moment, actor=actor, now=now)
    set_moment(session, symposium, moment, now)
    return None


def moment_with(old: Moment, proposal: Proposal) -> Moment:
    """The old date with what the page says in its place."""
    new = {field: pair[1] for field, pair in proposal.changes.items()}
    old_time = old.wall_time.isoformat() if old.wall_time else None
    day, month = new.get("day"), new.get("month")
    read_day = date.fromisoformat(day) if day else date.fromisoformat(f"{month}-01") if month else old.day
    wall = new.get("time", old_time)
    return Moment(
        precision=Precision(new["precision"]) if new.get("precision") else old.precision,
        day=read_day,
        wall_time=time.fromisoformat(wall) if wall else None,
        zone=new.get("zone", old.zone),
    )


def reject(session: Session, proposal: Proposal, *, actor: str, now: datetime) -> None:
    """Leave everything as it is; the same proposal is not made again."""
    _decide(session, proposal, ProposalState.REJECTED, actor, now)


def _decide(session: Session, proposal: Proposal, state: ProposalState, actor: str, now: datetime) -> None:
    proposal.state = state
    audit.record(
        session, actor=actor, action=f"proposal-{state.value}", subject=f"proposal:{proposal.id}", now=now
    )
