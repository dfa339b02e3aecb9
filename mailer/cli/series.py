"""Commands for series: which there are, and what their pages say."""

from typing import Annotated

import typer
from sqlalchemy import func, select

from mailer.cli import terminal
from mailer.db.programme import Series, Symposium
from mailer.services.programme import series as programme

series = typer.Typer(help="Series: symposia with one page and one form.", no_args_is_help=True)


@series.command("list")
@terminal.command
def list_() -> None:
    """All series: key, name, how many symposia, and the page where people register for several dates."""
    house = terminal.house()
    with house.database.read() as session:
        counted = (
            select(Series.key, Series.name, func.count(Symposium.id))
            .outerjoin(Symposium, Symposium.series_id == Series.id)
            .group_by(Series.id, Series.key, Series.name)
            .order_by(Series.key)
        )
        rows = [
            (key, name, f"{count:,}", house.url("series", key))
            for key, name, count in session.execute(counted)
        ]
    terminal.table("Series", ("key", "name", "symposia", "page"), rows, numbers=("symposia",))


@series.command("set")
@terminal.command
def set_(
    key: Annotated[str, typer.Argument(help="The key, as the list shows it.")],
    name: Annotated[str | None, typer.Option(help="Its name, as pages and mails show it.")] = None,
    text: Annotated[str | None, typer.Option(help="What its page says of it. '' takes it away.")] = None,
) -> None:
    """Give a series another name or text. Mails nobody; the address of its page stays."""
    if name is None and text is None:
        terminal.fail("Say what to set: --name or --text")
    house = terminal.house()
    with house.database.write() as session:
        found = programme.describe(
            session, key, name=name, text=text, actor=terminal.actor(), now=terminal.now()
        )
        page = house.url("series", found.key)
    terminal.say(f"Set. Its page, once one of its symposia is announced: {page}")
