"""Commands for proposals: what a re-read page would change."""

from typing import Annotated

import typer

from mailer.cli import terminal
from mailer.services.programme import proposals
from mailer.vocabulary import ProposalState

proposal = typer.Typer(
    help="Proposals: changes a source suggests and a person decides.", no_args_is_help=True
)

Number = Annotated[int, typer.Argument(help="The proposal's number.")]

LONGEST_SHOWN = 80  # characters of a value in the list; a statement's text is long


@proposal.command("list")
@terminal.command
def list_() -> None:
    """Proposals that wait for a decision, and those held because too many came at once."""
    with terminal.house().database.read() as session:
        rows = [
            (
                str(one.id),
                _short(proposals.subject_of(session, one)),
                field,
                _short(old),
                _short(new),
                one.medium.value if one.medium else "",
                f"HELD. {one.note}" if one.state is ProposalState.HELD else one.note,
            )
            for one in proposals.open_ones(session)
            for field, (old, new) in one.changes.items()
        ]
    terminal.table(
        "Open proposals", ("number", "about", "field", "now", "proposed", "read from", "note"), rows
    )


def _short(value: str | None) -> str:
    text = value or "none"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


@proposal.command("show")
@terminal.command
def show(
    number: Number,
    field: Annotated[str | None, typer.Option(help="Only what is proposed for this field, whole.")] = None,
) -> None:
    """One proposal, with both values of every field in full."""
    with terminal.house().database.read() as session:
        one = proposals.find(session, number)
        about = proposals.subject_of(session, one)
    if field is not None and field not in one.changes:
        terminal.fail(f'This proposal changes no "{field}". It changes: {", ".join(one.changes)}.')
    if field is not None:
        terminal.say(one.changes[field][1] or "")
        return
    terminal.say(f"About “{about}”. {one.note}".rstrip())
    for name, (old, new) in one.changes.items():
        terminal.say(f"\n{name}, now:\n{old or 'none'}\n\n{name}, proposed:\n{new or 'none'}")
    terminal.say(f"\nAs it was read: {one.raw}")


@proposal.command("accept")
@terminal.command
def accept(
    number: Number,
    held: Annotated[bool, typer.Option("--held", help="Also one that came with too many others.")] = False,
) -> None:
    """Make the change. Attendees of an announced symposium are told of a new date."""
    house = terminal.house()
    with house.database.write() as session:
        found = proposals.find(session, number)
        notice = proposals.accept(
            session, house, found, actor=terminal.actor(), now=terminal.now(), held_too=held
        )
        key = notice.key if notice else None
    terminal.say(f"Accepted. Follow the notice with: mailer mailing show {key}" if key else "Accepted.")


@proposal.command("reject")
@terminal.command
def reject(number: Number) -> None:
    """Leave everything as it is; the same proposal is not made again."""
    with terminal.house().database.write() as session:
        found = proposals.find(session, number)
        proposals.reject(session, found, actor=terminal.actor(), now=terminal.now())
    terminal.say("Rejected.")
