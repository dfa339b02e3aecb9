"""A proposal is opened once for the same suggestion, and withdrawn when its source takes it back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db.dialect import insert
from mailer.db.programme import Proposal, Symposium
from mailer.ingest.likely import EditedStatement, PerhapsSame, StatementVerdict
from mailer.ingest.verdict import CalledOff, Change, Retitle, Verdict
from mailer.vocabulary import Medium, ProposalState

Changes = Mapping[str, tuple[str | None, str | None]]
WAITING = (ProposalState.OPEN, ProposalState.HELD)
NOT_LISTED = "listed"  # the field of a notice that something is no longer at its source


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """What a source suggests, about a symposium or a statement."""

    fingerprint: str
    changes: Changes
    raw: str
    symposium_id: int | None = None
    statement_id: int | None = None
    source_id: int | None = None
    medium: Medium | None = None
    note: str = ""


def suggestion_of(verdict: Verdict | StatementVerdict, changes: Changes, raw: str) -> Suggestion | None:
    """What a verdict suggests; None for one that suggests nothing."""
    match verdict:
        case Change(known=known) | Retitle(known=known) | CalledOff(known=known):
            return Suggestion(
                fingerprint=verdict.fingerprint, changes=changes, raw=raw, symposium_id=known.id
            )
        case EditedStatement(known=statement) | PerhapsSame(known=statement):
            words = f"statement:{statement.id}:{sorted(changes.items())}"
            return Suggestion(
                fingerprint=sha256(words.encode()).hexdigest(),
                changes=changes,
                raw=raw,
                statement_id=statement.id,
            )
        case _:
            return None


def open_proposal(session: Session, wanted: Suggestion, now: datetime, *, held: bool = False) -> bool:
    """Open a proposal; False when the same is open, or was rejected.

    One that was accepted or withdrawn is opened again: things have changed since, or it would not be made.
    """
    about = select(Symposium.generation).where(Symposium.id == wanted.symposium_id)
    facts = {
        "generation": session.scalar(about) if wanted.symposium_id else None,
        "source_id": wanted.source_id,
        "medium": wanted.medium,
        "note": wanted.note,
        "changes": {name: list(pair) for name, pair in wanted.changes.items()},
        "raw": wanted.raw,
        "state": ProposalState.HELD if held else ProposalState.OPEN,
        "created_at": now,
    }
    fresh = insert(session, Proposal).values(
        fingerprint=wanted.fingerprint,
        symposium_id=wanted.symposium_id,
        statement_id=wanted.statement_id,
        **facts,
    )
    made = fresh.on_conflict_do_nothing(index_elements=["fingerprint"]).returning(Proposal.id)
    if session.scalar(made) is not None:
        return True
    again = (
        update(Proposal)
        .where(
            Proposal.fingerprint == wanted.fingerprint,
            Proposal.state.in_((ProposalState.ACCEPTED, ProposalState.WITHDRAWN)),
        )
        .values(facts)
        .returning(Proposal.id)
    )
    return session.scalar(again) is not None


def withdraw(
    session: Session,
    source_id: int,
    *,
    symposium_id: int | None = None,
    statement_id: int | None = None,
    but: str = "",
    notices_only: bool = False,
) -> int:
    """Take back what a source suggested about one thing, except the suggestion of this fingerprint.

    `notices_only`: only that it was no longer there. What is asked is another's to withdraw.
    """
    theirs = select(Proposal).where(
        Proposal.source_id == source_id,
        Proposal.state.in_(WAITING),
        Proposal.fingerprint != but,
        Proposal.question.is_(None),
        Proposal.symposium_id == symposium_id if symposium_id else Proposal.statement_id == statement_id,
    )
    found = [one for one in session.scalars(theirs).all() if not notices_only or NOT_LISTED in one.changes]
    for proposal in found:
        proposal.state = ProposalState.WITHDRAWN
    return len(found)
