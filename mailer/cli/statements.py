"""Commands for statements: list, show, publish."""

from typing import Annotated

import typer
from sqlalchemy import select

from mailer.cli import terminal, undo
from mailer.db.programme import Statement
from mailer.services.programme import statements
from mailer.services.sending.content import text_for

statement = typer.Typer(help="Statements: publishing one alerts everybody who asked.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(help="The statement's slug or number.")]


@statement.command("list")
@terminal.command
def list_() -> None:
    """All statements, newest first."""
    with terminal.house().database.read() as session:
        found = session.scalars(select(Statement).order_by(Statement.dated.desc())).all()
        rows = [
            (
                str(one.id),
                one.dated.isoformat(),
                one.state.value,
                one.slug,
                text_for(session, one, "en").title,
            )
            for one in found
        ]
    terminal.table("Statements", ("id", "date", "state", "slug", "title"), rows)


@statement.command("show")
@terminal.command
def show(which: Which) -> None:
    """One statement's text, as Markdown."""
    with terminal.house().database.read() as session:
        found = statements.find(session, which)
        text = text_for(session, found, found.language)
        terminal.say(f"# {text.title}\n\n{found.dated.isoformat()}\n\n{text.body}")


@statement.command("publish")
@terminal.command
def publish(which: Which, undo_seconds: undo.Undo = None) -> None:
    """Make a statement public and alert its subscribers. Publishing twice alerts once."""
    house = terminal.house()
    with house.database.write() as session:
        found = statements.find(session, which)
        mailing = statements.publish(
            session, house, found, actor=terminal.actor(), now=terminal.now(), undo_seconds=undo_seconds
        )
    terminal.say(f"Published. Follow its alert with: mailer mailing show {mailing.key}")
    undo.tell(mailing, house.settings.zone, terminal.now())
