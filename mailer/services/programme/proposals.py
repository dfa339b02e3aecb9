"""Proposals: what a re-read source would change, decided by a person, one at a time."""

from dataclasses import replace
from datetime import date, datetime, time

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Proposal, Statement, StatementText, Symposium
from mailer.ingest.match import text_of
from mailer.services import audit
from mailer.services.house import House
from mailer.services.programme import answering, symposia
from mailer.services.programme.dates import Moment, moment_of
from mailer.services.programme.ingesting import known_facts
from mailer.services.programme.proposing import NOT_LISTED, WAITING
from mailer.services.programme.symposia import Edit
from mailer.vocabulary import Precision, ProposalState, StatementState, SymposiumState

_DATE_FIELDS = {"day", "month", "time", "zone", "precision"}


class ProposalRefusal(Exception):
    """The proposal does not exist, is decided, or cannot be accepted so; the message says what to do."""


def open_ones(session: Session) -> list[Proposal]:
    """Proposals that wait for a person, oldest first; those held as one of too many among them."""
    waiting = select(Proposal).where(Proposal.state.in_(WAITING)).order_by(Proposal.id)
    return list(session.scalars(waiting))


def subject_of(session: Session, proposal: Proposal) -> str:
    """The title of what a proposal is about, as it stands now."""
    if proposal.question is not None:
        return answering.question_of(proposal).title
    if proposal.symposium_id is not None:
        return session.get_one(Symposium, proposal.symposium_id).title
    if proposal.statement_id is not None:
        return _standing(session.get_one(Statement, proposal.statement_id)).title
    return ""


def find(session: Session, number: int) -> Proposal:
    """An open proposal, held until the commit: two people may decide at the same moment."""
    found = session.get(Proposal, number, with_for_update=True)
    if found is None or found.state not in WAITING:
        raise ProposalRefusal(
            f"No open proposal has the number {number}. List them with: mailer proposal list"
        )
    return found


def accept(
    session: Session,
    house: House,
    proposal: Proposal,
    *,
    actor: str,
    now: datetime,
    held_too: bool = False,
) -> Mailing | None:
    """Make the change; attendees of an announced symposium are told of a new date. Returns that notice.

    `held_too`: also one that was held because it came with too many others.
    """
    if proposal.state is ProposalState.HELD and not held_too:
        raise ProposalRefusal(
            f"{proposal.note} If it is right all the same: mailer proposal accept {proposal.id} --held"
        )
    if NOT_LISTED in proposal.changes:
        raise ProposalRefusal(
            "That a line is gone changes nothing by itself. If the symposium is off, use "
            f"mailer symposium call-off; else close this notice with: mailer proposal reject {proposal.id}"
        )
    notice = None
    if proposal.question is not None:
        notice = answering.settle(session, house, proposal, actor=actor, now=now)
    elif proposal.symposium_id is None:
        _edit_statement(session, proposal, now)
    else:
        symposium = session.get_one(Symposium, proposal.symposium_id)
        notice = _change_symposium(session, house, symposium, proposal, actor=actor, now=now)
    _decide(session, proposal, ProposalState.ACCEPTED, actor, now)
    return notice


def _edit_statement(session: Session, proposal: Proposal, now: datetime) -> None:
    """A draft takes its source's new words. What people have read is corrected by a person, in the open."""
    statement = session.get_one(Statement, proposal.statement_id)
    if statement.state is not StatementState.DRAFT:
        raise ProposalRefusal(
            f"The statement is {statement.state.value}: a page does not edit it; nobody is alerted. The "
            f"new text: mailer proposal show {proposal.id} --field body > corrected.md. If it is right: "
            f"mailer statement correct {statement.slug} --file corrected.md --wrong ... --right ...; "
            f"then close this with: mailer proposal reject {proposal.id}"
        )
    old, changes = _standing(statement), proposal.changes
    if "published_on" in changes:
        statement.dated = date.fromisoformat(changes["published_on"][1])
    statement.version += 1  # its translations are stale now, and an approval of the old words does not hold
    session.add(
        StatementText(
            statement_id=statement.id,
            language=old.language,
            version=statement.version,
            title=changes["title"][1] if "title" in changes else old.title,
            body=changes["body"][1] if "body" in changes else old.body,
            created_at=now,
        )
    )


def _standing(statement: Statement) -> StatementText:
    """The statement's text as it stands now, in its own language."""
    own = (statement.language, statement.version)
    return next(text for text in statement.texts if (text.language, text.version) == own)


def _change_symposium(
    session: Session, house: House, symposium: Symposium, proposal: Proposal, *, actor: str, now: datetime
) -> Mailing | None:
    changes = proposal.changes
    if "state" in changes:
        return _call_off(session, house, symposium, actor=actor, now=now)
    symposia.lock(session, symposium)
    _refuse_older(symposium, proposal)
    moment = moment_with(moment_of(symposium), proposal)
    new = Edit(
        title=changes["title"][1] if "title" in changes else None,
        place=(changes["place"][1] or "") if "place" in changes else None,
        minutes=int(changes["minutes"][1]) if "minutes" in changes else None,
        moment=moment if moment != moment_of(symposium) else None,
    )
    notice = symposia.edit(session, house, symposium, new, actor=actor, now=now)
    symposium.raw = proposal.raw
    return notice


def _refuse_older(symposium: Symposium, proposal: Proposal) -> None:
    """What was set since it was proposed stands. Raises ProposalRefusal."""
    facts = known_facts(symposium)
    now = {name: getattr(facts, name) for name in ("title", "place", "minutes", "day", "time", "zone")}
    for name, (old, _) in proposal.changes.items():
        if name in now and text_of(now[name]) != old:
            raise ProposalRefusal(_meanwhile(symposium, proposal, f"its {name} is {text_of(now[name])} now"))
    dated = _DATE_FIELDS & set(proposal.changes)
    if dated and proposal.generation not in {None, symposium.generation}:
        raise ProposalRefusal(_meanwhile(symposium, proposal, f"it has the date {facts.day} now"))


def _meanwhile(symposium: Symposium, proposal: Proposal, what: str) -> str:
    return (
        f"It was changed meanwhile: {what}, and that stands. Close this with: mailer proposal reject "
        f"{proposal.id}. If the source is right all the same: mailer symposium move {symposium.slug}, or set "
        f"{symposium.slug}"
    )


def _call_off(
    session: Session, house: House, symposium: Symposium, *, actor: str, now: datetime
) -> Mailing | None:
    """What was announced is called off with its notice; of a draft nobody was told."""
    if symposium.state is SymposiumState.DRAFT:
        symposium.state, symposium.changed_at = SymposiumState.CANCELLED, now
        return None
    return symposia.call_off(session, house, symposium, reason=None, actor=actor, now=now)


def moment_with(old: Moment, proposal: Proposal) -> Moment:
    """The old date with what the page says in its place."""
    new = {field: pair[1] for field, pair in proposal.changes.items()}
    old_time = old.wall_time.isoformat() if old.wall_time else None
    day, month = new.get("day"), new.get("month")
    read_day = date.fromisoformat(day) if day else date.fromisoformat(f"{month}-01") if month else old.day
    wall = new.get("time", old_time)
    precision = Precision(new["precision"]) if new.get("precision") else old.precision
    if precision is Precision.MONTH and read_day is not None:
        read_day = read_day.replace(day=1)
    exact = precision is Precision.DATETIME
    read = Moment(
        precision=precision,
        day=None if precision is Precision.NONE else read_day,
        wall_time=time.fromisoformat(wall) if wall and exact else None,
        zone=new.get("zone", old.zone) if exact else None,
    )
    same_wall = (read.day, read.wall_time, read.zone) == (old.day, old.wall_time, old.zone)
    return replace(read, later=old.later) if same_wall else read


def reject(session: Session, proposal: Proposal, *, actor: str, now: datetime) -> None:
    """Leave everything as it is; the same proposal is not made again."""
    if proposal.question is not None:
        answering.let_go(session, proposal)
    _decide(session, proposal, ProposalState.REJECTED, actor, now)


def _decide(session: Session, proposal: Proposal, state: ProposalState, actor: str, now: datetime) -> None:
    proposal.state = state
    audit.record(
        session, actor=actor, action=f"proposal-{state.value}", subject=f"proposal:{proposal.id}", now=now
    )
