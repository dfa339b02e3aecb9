"""Commands for proposals: what a re-read page would change, and what it leaves open."""

import re
from datetime import datetime, time
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from mailer.cli import terminal
from mailer.db.programme import Proposal, Statement, Symposium
from mailer.ingest.answers import Answers, chosen, in_year
from mailer.ingest.draft import StatementDraft, SymposiumDraft
from mailer.ingest.statement import TITLE_LETTERS
from mailer.messages import when
from mailer.services.programme import answering, proposals, statements, symposia
from mailer.services.programme.answering import Question
from mailer.visible import one_line
from mailer.vocabulary import ProposalState

proposal = typer.Typer(
    help="Proposals: changes a source suggests, and questions it leaves open. A person decides.",
    no_args_is_help=True,
)

Number = Annotated[int, typer.Argument(help="The proposal's number.")]

LONGEST_SHOWN = 80  # characters of a value in the list; a statement's text is long


@proposal.command("list")
@terminal.command
def list_() -> None:
    """Proposals and questions that wait for a person, and those held because too many came at once."""
    with terminal.house().database.read() as session:
        found = proposals.open_ones(session)
        rows = [row for one in found for row in _rows(one, proposals.subject_of(session, one))]
    terminal.table(
        "Open proposals", ("number", "about", "field", "now", "proposed", "read from", "note"), rows
    )
    asked = next((one.id for one in found if one.question is not None), None)
    if asked is not None:
        terminal.say(f"How a question is answered: mailer proposal show {asked}")


def _rows(one: Proposal, about: str) -> list[tuple[str, ...]]:
    medium = one.medium.value if one.medium else ""
    if one.question is not None:
        left = answering.open_in(one)
        note = one.note if left else f"Answered. Accept it with: mailer proposal accept {one.id}"
        return [(str(one.id), _short(about), "question", "", _short(one.raw), medium, note)]
    note = f"HELD. {one.note}" if one.state is ProposalState.HELD else one.note
    return [
        (str(one.id), _short(about), field, _short(old), _short(new), medium, note)
        for field, (old, new) in one.changes.items()
    ]


def _short(value: str | None) -> str:
    text = value or "none"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


@proposal.command("show")
@terminal.command
def show(
    number: Number,
    field: Annotated[str | None, typer.Option(help="Only what is proposed for this field, whole.")] = None,
) -> None:
    """One proposal, with both values of every field in full; or one question, and how it is answered."""
    with terminal.house().database.read() as session:
        one = proposals.find(session, number)
        about = proposals.subject_of(session, one)
        of = session.get(Symposium, one.symposium_id) if one.symposium_id else None
    if one.question is not None:
        terminal.say(_question_in_words(one, of.slug if of else None))
        return
    if field is not None and field not in one.changes:
        terminal.fail(f'This proposal changes no "{field}". It changes: {", ".join(one.changes)}.')
    if field is not None:
        terminal.say(one.changes[field][1] or "")
        return
    terminal.say(f"About “{about}”. {one.note}".rstrip())
    for name, (old, new) in one.changes.items():
        terminal.say(f"\n{name}, now:\n{old or 'none'}\n\n{name}, proposed:\n{new or 'none'}")
    terminal.say(f"\nAs it was read: {one.raw}")


def _question_in_words(one: Proposal, known: str | None) -> str:
    question = answering.question_of(one)
    words = [f"A question about “{question.title}”: {one.note}", f"As it was read: {one.raw}"]
    if known:
        words.append(f"It is about the known symposium {known}, which is not changed before you accept.")
    draft = question.symposium
    readings = draft.readings if draft else ()
    words += [f"Reading {at}: {day:%A}, {day}" for at, day in enumerate(readings, start=1)]
    if question.answers != Answers():
        words.append(f"With the answers so far: {_draft_in_words(question)}")
    return "\n".join([*words, *_what_next(one)])


def _what_next(one: Proposal) -> list[str]:
    left = answering.open_in(one)
    if not left:
        return [f"Nothing is open any more. Accept it with: mailer proposal accept {one.id}"]
    return [
        *(f"Open: {each}" for each in left),
        f"Answer with: mailer proposal answer {one.id} ... (see: mailer proposal answer --help)",
        f"If nothing is to be made of it: mailer proposal reject {one.id}",
    ]


def _draft_in_words(question: Question) -> str:
    """What would be made of it, as it stands."""
    if question.answers.same_as is not None:
        return f"it is number {question.answers.same_as}, which stays as it is"
    draft = answering.standing(question)
    if draft is None or isinstance(draft, StatementDraft):
        return "a new draft"
    length = f", {draft.minutes} minutes" if draft.minutes else ""
    return f"“{draft.title}”, {_when(draft, question.answers)}{length}"


def _when(draft: SymposiumDraft, answers: Answers) -> str:
    if draft.day is not None:
        hour = f" {draft.time:%H:%M} {draft.zone}" if draft.time else ", no hour yet"
        return f"{draft.day:%A} {draft.day}{hour}"
    if draft.month is not None:
        return f"{draft.month[0]}-{draft.month[1]:02}, no day yet"
    return f"{answers.year}, no day yet" if answers.year else "no date yet"


@proposal.command("answer")
@terminal.command
def answer(
    number: Number,
    reading: Annotated[
        int | None, typer.Option(help="The date of this reading; proposal show lists them.")
    ] = None,
    day: Annotated[datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="The day.")] = None,
    month: Annotated[str | None, typer.Option(help="The month, if no day is known yet: 2024-12.")] = None,
    year: Annotated[
        int | None, typer.Option(min=1970, max=2100, help="The year of the printed day or month.")
    ] = None,
    undated: Annotated[bool, typer.Option("--undated", help="Nobody has said a date yet.")] = False,
    hour: Annotated[str | None, typer.Option("--time", help="Its local time, 24 hours: 12:00.")] = None,
    zone: Annotated[str | None, typer.Option(help="Its IANA zone, such as America/New_York.")] = None,
    fold: Annotated[
        str | None, typer.Option(help="first or later: for an hour that comes twice or not at all.")
    ] = None,
    minutes: Annotated[int | None, typer.Option(min=1, max=10_080, help="How long it lasts.")] = None,
    title: Annotated[str | None, typer.Option(help="Its title.")] = None,
    same_as: Annotated[
        str | None, typer.Option("--is", metavar="SLUG", help="It is this known one, which stays as it is.")
    ] = None,
    as_read: Annotated[
        bool, typer.Option("--as-read", help="It is right as it was read, and another than those known.")
    ] = False,
) -> None:
    """Answer what a source leaves open. Nothing is made of it before it is accepted; mails nobody."""
    if zone is not None:
        when.zone_named(zone)
    with terminal.house().database.write() as session:
        one = proposals.find(session, number)
        question = answering.question_of(one)
        said = Answers(
            hour=_time(hour),
            zone=zone,
            later=_later(fold),
            minutes=minutes,
            title=_title(title),
            as_read=as_read,
            same_as=_number(session, question, same_as),
            **_date(question.symposium, reading, day, month, year, undated=undated),
        )
        left = answering.answer(session, one, said, actor=terminal.actor(), now=terminal.now())
        told = _draft_in_words(answering.question_of(one))
        next_ = _what_next(one)
    terminal.say(f"Answered. It would be: {told}.")
    terminal.say("\n".join(next_[:1] if not left else next_[:-1]))


def _number(session: Session, question: Question, slug: str | None) -> int | None:
    if slug is None:
        return None
    if question.statement is not None:
        return statements.find(session, slug).id
    return symposia.find(session, slug).id


def _date(
    draft: SymposiumDraft | None,
    reading: int | None,
    day: datetime | None,
    month: str | None,
    year: int | None,
    *,
    undated: bool,
) -> dict[str, Any]:
    """The date that was said, in whichever way; nothing when none was."""
    if sum((reading is not None, day is not None, month is not None, year is not None, undated)) > 1:
        terminal.fail("Give one of --reading, --date, --month, --year and --undated.")
    if draft is None:
        return {}
    if reading is not None:
        return {"day": chosen(draft, reading)}
    if year is not None:
        said = in_year(draft, year)
        return {"day": said.day, "month": said.month, "year": said.year}
    if month is not None:
        return {"month": _month(month)}
    return {"day": day.date() if day else None, "undated": undated}


def _month(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"(19|20|21)\d\d-(0[1-9]|1[0-2])", text, re.A):
        terminal.fail(f'"{text[:20]}" is no month. Write it as 2024-12.')
    return int(text[:4]), int(text[5:])


def _time(text: str | None) -> time | None:
    if text is None:
        return None
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text, re.A):
        terminal.fail(f'"{text[:20]}" is no time of day. Write it with 24 hours, such as 12:00 or 18:30.')
    return time.fromisoformat(text)


def _later(text: str | None) -> bool | None:
    if text not in {None, "first", "later"}:
        terminal.fail("--fold is first or later.")
    return None if text is None else text == "later"


def _title(text: str | None) -> str | None:
    if text is None:
        return None
    title = one_line(text)
    if not 0 < len(title) <= TITLE_LETTERS:
        terminal.fail(f"A title has 1 to {TITLE_LETTERS} letters.")
    return title


@proposal.command("accept")
@terminal.command
def accept(
    number: Number,
    held: Annotated[bool, typer.Option("--held", help="Also one that came with too many others.")] = False,
) -> None:
    """Make the change, or a draft of what was answered. Attendees of an announced symposium are told."""
    house = terminal.house()
    with house.database.write() as session:
        found = proposals.find(session, number)
        notice = proposals.accept(
            session, house, found, actor=terminal.actor(), now=terminal.now(), held_too=held
        )
        key = notice.key if notice else None
        next_ = _made(session, found) if found.question is not None and key is None else ""
    terminal.say(
        f"Accepted. Follow the notice with: mailer mailing show {key}" if key else f"Accepted.{next_}"
    )


def _made(session: Session, found: Proposal) -> str:
    """What an answered question came to."""
    if found.statement_id is not None:
        return f" See: mailer statement show {session.get_one(Statement, found.statement_id).slug}"
    if found.symposium_id is not None:
        return f" See: mailer symposium show {session.get_one(Symposium, found.symposium_id).slug}"
    return ""


@proposal.command("reject")
@terminal.command
def reject(number: Number) -> None:
    """Leave everything as it is; the same proposal is not made again."""
    with terminal.house().database.write() as session:
        found = proposals.find(session, number)
        proposals.reject(session, found, actor=terminal.actor(), now=terminal.now())
    terminal.say("Rejected.")
