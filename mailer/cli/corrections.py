"""Commands for corrections and retractions: write one, see whom it reaches, announce it."""

from pathlib import Path
from typing import Annotated

import typer

from mailer.cli import files, terminal
from mailer.db.programme import Correction, Statement
from mailer.services.desk.reasons import sentence
from mailer.services.house import House
from mailer.services.programme import corrections, statements
from mailer.services.programme.reach import Reach, reach
from mailer.services.sending.split import split_announced
from mailer.vocabulary import CorrectionKind, CorrectionState

Which = Annotated[str, typer.Argument(help="The statement's slug or number.")]
Language = Annotated[
    str | None,
    typer.Option(help="Say the draft in this language too; without it, in the statement's own."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Announce it at once, without asking.")]
Anyway = Annotated[bool, typer.Option("--anyway", help="In place of the draft of somebody else.")]


@terminal.command
def correct(
    which: Which,
    file: Annotated[Path, typer.Option(help="The whole corrected text in Markdown.")],
    wrong: Annotated[str, typer.Option(help="What was wrong, in a sentence.")],
    right: Annotated[str, typer.Option(help="What is right, in a sentence.")],
    title: Annotated[str | None, typer.Option(help="The corrected title; else it stays.")] = None,
    language: Language = None,
    only: Annotated[
        bool,
        typer.Option("--only", help="The mistake is in the text of --language alone; its readers are told."),
    ] = False,
    yes: Yes = False,
    anyway: Anyway = False,
) -> None:
    """Write a correction and show whom it would reach. Nothing leaves before it is announced."""
    body, house = files.read_text(file), terminal.house()
    with house.database.write() as session:
        found, now = statements.find(session, which), terminal.now()
        if only or language is None or language == found.language:
            corrections.draft_correction(
                session,
                found,
                title=title,
                body=body,
                wrong=wrong,
                right=right,
                actor=terminal.actor(),
                now=now,
                only=(language or found.language) if only else None,
                anyway=anyway,
            )
        else:
            draft = corrections.draft_of(session, found)
            corrections.add_language(
                session,
                draft,
                found,
                language=language,
                now=now,
                title=title,
                body=body,
                wrong=wrong,
                right=right,
            )
    _show_or_announce(house, which, yes=yes)


@terminal.command
def retract(
    which: Which,
    reason: Annotated[str, typer.Option(help="Why it is taken back, in a sentence or two.")],
    language: Language = None,
    yes: Yes = False,
    anyway: Anyway = False,
) -> None:
    """Write a retraction and show whom it would reach. Nothing leaves before it is announced."""
    house = terminal.house()
    with house.database.write() as session:
        found, now = statements.find(session, which), terminal.now()
        if language is None or language == found.language:
            actor = terminal.actor()
            corrections.draft_retraction(session, found, reason=reason, actor=actor, now=now, anyway=anyway)
        else:
            draft = corrections.draft_of(session, found)
            corrections.add_language(session, draft, found, language=language, now=now, reason=reason)
    _show_or_announce(house, which, yes=yes)


def _show_or_announce(house: House, which: str, *, yes: bool) -> None:
    with house.database.read() as session:
        found = statements.find(session, which)
        draft = corrections.draft_of(session, found)
        _tell(draft, found, reach(session, draft, found, terminal.now()))
    if yes:
        _announce(house, which, corrections.seen(draft))
    else:
        terminal.say(f"Nothing has left. Announce it with: mailer statement announce {which}")


@terminal.command
def announce(which: Which, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Announce the correction or retraction that was written, to everyone who has the older text."""
    house = terminal.house()
    with house.database.read() as session:
        found = statements.find(session, which)
        draft = corrections.draft_of(session, found)
        reached = reach(session, draft, found, terminal.now())
        _tell(draft, found, reached)
    if not yes:
        typer.confirm(f"Send the {draft.kind.value} to {reached.mailed:,} people?", abort=True)
    _announce(house, which, corrections.seen(draft))


def _announce(house: House, which: str, as_seen: corrections.Seen) -> None:
    with house.database.write() as session:
        found = statements.find(session, which)
        draft = corrections.draft_of(session, found)
        corrections.announce(
            session, draft, found, actor=terminal.actor(), now=terminal.now(), as_seen=as_seen
        )
        key = f"statement:{found.id}:{draft.kind.value}:{draft.number}"
    if split_announced(house, terminal.now()):
        terminal.say(f"Announced. Follow it with: mailer mailing show {key}")
    else:
        terminal.say(
            f"Announced. Nothing older leaves any more; once what is on the wire has landed, the mails go "
            f"out by themselves. Follow them with: mailer mailing show {key}"
        )


def _tell(draft: Correction, statement: Statement, reached: Reach) -> None:
    first = draft.language or statement.language
    words = draft.words[first]
    alone = f", of its {draft.language} text alone" if draft.language else ""
    terminal.say(f"{draft.kind.value.capitalize()} {draft.number} of {statement.slug}{alone}")
    for name, text in words.items():
        terminal.say(f"  {name}: {text}")
    if others := sorted(set(draft.words) - {first}):
        terminal.say(f"  also said in: {', '.join(others)}")
    terminal.say(f"{reached.mailed:,} people have the older text and get a mail about it.")
    for reason, count in sorted(reached.left_out.items()):
        terminal.say(f"{count:,} had it and are not mailed: {sentence(reason)}")
    if reached.on_the_wire:
        terminal.say(f"{reached.on_the_wire:,} are on the wire now; who gets the older text is told as well.")
    if draft.kind is CorrectionKind.CORRECTION:
        terminal.say(f"{reached.instead:,} have not been mailed yet and get the corrected text instead.")
    else:
        terminal.say(f"{reached.called_off:,} have not been mailed yet and get nothing.")


@terminal.command
def list_corrections(which: Which) -> None:
    """A statement's corrections and its retraction, with who announced them and when."""
    with terminal.house().database.read() as session:
        found = statements.find(session, which)
        rows = [
            (
                str(one.number),
                one.kind.value,
                one.language or "all",
                "waits for the wire" if one.state is CorrectionState.SETTLING else one.state.value,
                "" if one.to_version is None else f"{one.from_version} -> {one.to_version}",
                f"{one.announced_at:%Y-%m-%d %H:%M}" if one.announced_at else "",
                one.actor,
                " / ".join(one.words[one.language or found.language].values()),
            )
            for one in corrections.all_of(session, found)
        ]
    columns = ("number", "kind", "texts", "state", "version", "announced (UTC)", "by", "words")
    terminal.table(f"Corrections of {which}", columns, rows)
