"""Commands for incidents: what is wrong now, in words."""

from typing import Annotated

import typer

from mailer.cli import terminal
from mailer.db.staff import Incident
from mailer.services.incidents import open_incidents

incident = typer.Typer(help="Incidents: what must not be and is, and what to do.", no_args_is_help=True)


@incident.command("list")
@terminal.command
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """What is wrong now, the oldest first."""
    with terminal.house().database.read() as session:
        found = open_incidents(session)
    if as_json:
        terminal.as_json([_summary(one) for one in found])
        return
    if not found:
        terminal.say("Nothing is wrong that anybody noticed.")
        return
    rows = [
        (f"{one.opened_at:%Y-%m-%d %H:%M}", f"{one.seen_at:%H:%M:%S}", one.key, one.words) for one in found
    ]
    terminal.table("Open incidents (UTC)", ("since", "last seen", "what", "in words"), rows)


def _summary(one: Incident) -> dict[str, object]:
    return {
        "key": one.key,
        "words": one.words,
        "opened_at": one.opened_at.isoformat(),
        "seen_at": one.seen_at.isoformat(),
    }
