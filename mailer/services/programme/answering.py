"""Questions that a source leaves open: kept as they were read, answered by persons, then made drafts.

A question is a proposal that changes nothing before it is answered and accepted. What a person
said is kept with the source `staff`; a later fetch neither asks again nor undoes it.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.base import JsonObject
from mailer.db.mailings import Mailing
from mailer.db.programme import Proposal, Symposium
from mailer.db.sources import SourceItem
from mailer.ingest.answers import Answers, answered, open_about
from mailer.ingest.draft import StatementDraft, SymposiumDraft
from mailer.ingest.text import plain_title
from mailer.services import audit
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.services.programme.dates import Moment, moment_of
from mailer.services.programme.drafts import add_statement, add_symposium, free_key, moment_of_draft
from mailer.services.programme.symposia import Edit
from mailer.vocabulary import ItemFate, Precision, SymposiumState


class AnswerRefusal(Exception):
    """It cannot be answered or accepted so; the message says what is open."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What was held, and what persons have said of it. `key` is its item's at the source; none for a line."""

    key: str = ""
    symposium: SymposiumDraft | None = None
    statement: StatementDraft | None = None
    answers: Answers = field(default_factory=Answers)

    @property
    def title(self) -> str:
        draft = self.symposium or self.statement
        return (self.answers.title or draft.title or draft.raw) if draft else ""


_KEPT = TypeAdapter(Question)


def kept(question: Question) -> JsonObject:
    """The question as its proposal keeps it."""
    return dict(_KEPT.dump_python(question, mode="json"))


def question_of(proposal: Proposal) -> Question:
    """What a proposal asks. Raises AnswerRefusal for one that asks nothing."""
    if proposal.question is None:
        raise AnswerRefusal(
            "This proposal asks nothing: it changes what is known. Decide with: "
            f"mailer proposal accept {proposal.id}, or reject {proposal.id}"
        )
    return _KEPT.validate_python(proposal.question)


def open_in(proposal: Proposal) -> list[str]:
    """What is still open in a question, each with how to answer it."""
    question = question_of(proposal)
    if question.symposium is not None:
        return open_about(question.symposium, question.answers)
    if question.answers.as_read or question.answers.same_as is not None:
        return []
    return ["If it is another all the same: --as-read; if it is that one: --is SLUG"]


def standing(question: Question) -> SymposiumDraft | StatementDraft | None:
    """The draft as it stands with the answers so far."""
    if question.symposium is None:
        return question.statement
    return answered(question.symposium, question.answers)


def answer(session: Session, proposal: Proposal, said: Answers, *, actor: str, now: datetime) -> list[str]:
    """Keep what a person says; returns what is open after it. Accepting is a step of its own."""
    question = question_of(proposal)
    if said == Answers():
        raise AnswerRefusal("Say the answer, such as --date 2024-09-27. See: mailer proposal answer --help")
    if question.statement is not None and not (said.as_read or said.same_as is not None):
        raise AnswerRefusal("This asks about a statement: answer with --as-read or --is SLUG.")
    answers = question.answers.with_(said)
    proposal.question = kept(replace(question, answers=answers))
    audit.record(
        session,
        actor=actor,
        action="proposal-answered",
        subject=f"proposal:{proposal.id}",
        now=now,
        detail=_told(said),
    )
    return open_in(proposal)


def _told(said: Answers) -> dict[str, object]:
    """The answer for the audit log: its facts, never a stranger's title."""
    facts = TypeAdapter(Answers).dump_python(said, mode="json", exclude_defaults=True)
    return {name: "set" if name == "title" else value for name, value in facts.items()}


def settle(
    session: Session, house: House, proposal: Proposal, *, actor: str, now: datetime
) -> Mailing | None:
    """Make of an answered question what it is: a draft, a change of the known one, or nothing new.

    Returns the notice that attendees of an announced symposium are owed. Raises AnswerRefusal while
    something is open.
    """
    left = open_in(proposal)
    if left:
        raise AnswerRefusal(
            f"Nobody has answered all of it. {proposal.note} {'. '.join(left)}. "
            f"Answer with: mailer proposal answer {proposal.id} ..."
        )
    question = question_of(proposal)
    notice = None
    if question.answers.same_as is not None:
        _link(proposal, question, question.answers.same_as)
    elif question.statement is not None:
        proposal.statement_id = add_statement(session, question.statement, now).id
    elif question.symposium is not None:
        notice = _settle_symposium(session, house, proposal, question, actor=actor, now=now)
    _mark(session, proposal, question.key, ItemFate.TAKEN, "")
    return notice


def let_go(session: Session, proposal: Proposal) -> None:
    """Nothing is made of it: its item is no longer held."""
    _mark(
        session, proposal, question_of(proposal).key, ItemFate.SEEN, "You decided that nothing is made of it."
    )


def _link(proposal: Proposal, question: Question, number: int) -> None:
    if question.statement is not None:
        proposal.statement_id = number
    else:
        proposal.symposium_id = number


def _settle_symposium(
    session: Session, house: House, proposal: Proposal, question: Question, *, actor: str, now: datetime
) -> Mailing | None:
    if question.symposium is None:
        return None
    after = answered(question.symposium, question.answers)
    moment = _moment(after, question.answers)
    if proposal.symposium_id is None:
        after = replace(after, key=free_key(session, after.key))
        _refuse_twin(session, proposal, after, moment, question.answers)
        proposal.symposium_id = add_symposium(session, after, now, moment=moment).id
        return None
    known = session.get_one(Symposium, proposal.symposium_id)
    new = Edit(
        title=after.title if after.title != known.title else None,
        place=after.place if after.place != known.place else None,
        minutes=after.minutes if after.minutes != known.minutes else None,
        moment=moment if moment != moment_of(known) else None,
    )
    notice = symposia.edit(session, house, known, new, actor=actor, now=now)
    known.raw = after.raw
    return notice


def _moment(after: SymposiumDraft, answers: Answers) -> Moment:
    if after.precision is Precision.YEAR and answers.year is not None:
        return Moment(precision=Precision.YEAR, day=date(answers.year, 1, 1))
    return replace(moment_of_draft(after), later=bool(answers.later))


def _refuse_twin(
    session: Session, proposal: Proposal, after: SymposiumDraft, moment: Moment, answers: Answers
) -> None:
    if answers.as_read or moment.day is None:
        return
    same_day = select(Symposium).where(
        Symposium.day == moment.day, Symposium.state != SymposiumState.CANCELLED
    )
    for one in session.scalars(same_day):
        if plain_title(one.title) == plain_title(after.title):
            raise AnswerRefusal(
                f"A symposium of this title and date is there already. If it is this one: mailer proposal "
                f"answer {proposal.id} --is {one.slug}; if it is another: --as-read"
            )


def _mark(session: Session, proposal: Proposal, key: str, fate: ItemFate, why: str) -> None:
    """Write down at the source's item what became of it."""
    wanted = select(SourceItem).where(SourceItem.source_id == proposal.source_id, SourceItem.key == key)
    item = session.scalars(wanted).one_or_none() if key else None
    if item is None:
        return
    item.fate, item.why = fate, why
    if fate is ItemFate.TAKEN:
        item.symposium_id = proposal.symposium_id
        item.statement_id = proposal.statement_id
