"""Commands for API tokens: made and shown once, listed without their secret, revoked for good."""

from typing import Annotated

import typer
from sqlalchemy import select

from mailer.cli import terminal
from mailer.db.doors import ApiToken
from mailer.services.registration import api_tokens
from mailer.services.registration.api_tokens import Scope

api_token = typer.Typer(help="API tokens: how other tools are let in.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What the token is for, such as website-form.")]


@api_token.command("create")
@terminal.command
def create(
    name: Name,
    scope: Annotated[list[Scope], typer.Option(help="What it may do; repeatable.")],
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="It ends after so many days.")] = 365,
) -> None:
    """Make a token and print it, this once."""
    with terminal.house().database.write() as session:
        token = api_tokens.make(session, name, scope, days=days, actor=terminal.actor(), now=terminal.now())
    terminal.say(token)
    terminal.notes.print("Keep it now: it is stored as a hash only and cannot be shown again.")


@api_token.command("list")
@terminal.command
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """All tokens: their names, what they may do, and until when."""
    with terminal.house().database.read() as session:
        rows = [
            {
                "name": one.name,
                "scopes": one.scopes,
                "made": one.created_at,
                "expires": one.expires_at,
                "revoked": one.revoked_at,
            }
            for one in session.scalars(select(ApiToken).order_by(ApiToken.name))
        ]
    if as_json:
        terminal.as_json(rows)
        return
    columns = ("name", "scopes", "made", "expires", "revoked")
    terminal.table("API tokens", columns, [[_cell(row[name]) for name in columns] for row in rows])


def _cell(value: object) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value or "")[:16]


@api_token.command("revoke")
@terminal.command
def revoke(name: Name) -> None:
    """End a token at once and for good."""
    with terminal.house().database.write() as session:
        api_tokens.revoke(session, name, actor=terminal.actor(), now=terminal.now())
    terminal.say(f'The token "{name}" lets nobody in any more.')
