"""Commands for statements: list, show, publish; what else is done with them stands in modules of its own."""

from typing import Annotated

import typer
from sqlalchemy import select

from mailer.cli import corrections, terminal, translations, undo
from mailer.db.programme import Statement
from mailer.services.programme import review, statements
from mailer.services.programme.preflight import preflight
from mailer.services.sending.statement_content import text_for

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
        terminal.notes.print(f"Its mark, by which it is approved: {review.mark(session, found)}")


@statement.command("publish")
@terminal.command
def publish(
    which: Which,
    undo_seconds: undo.Undo = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Also when it is much like a statement that was sent before.")
    ] = False,
) -> None:
    """Make a statement public and alert its subscribers. Publishing twice alerts once."""
    house = terminal.house()
    with house.database.write() as session:
        found = statements.find(session, which)
        mailing = statements.publish(
            session,
            house,
            found,
            actor=terminal.actor(),
            now=terminal.now(),
            undo_seconds=undo_seconds,
            anyway=anyway,
        )
        lines = preflight(session, found)
    translations.tell(lines, found.slug)
    terminal.say(f"Published. Follow its alert with: mailer mailing show {mailing.key}")
    undo.tell(mailing, house.settings.zone, terminal.now())


statement.command("preflight")(translations.languages)
statement.command("translate")(translations.translate)
statement.command("hold")(translations.hold)
statement.command("send-now")(translations.send_now)
statement.command("available")(translations.available)
statement.command("texts")(translations.texts)
statement.command("correct")(corrections.correct)
statement.command("retract")(corrections.retract)
statement.command("announce")(corrections.announce)
statement.command("corrections")(corrections.list_corrections)
