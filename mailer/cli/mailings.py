"""Commands for mailings: the books, and the switches."""

from collections.abc import Callable
from typing import Annotated

import typer

from mailer.cli import terminal
from mailer.services.desk import mailings
from mailer.services.desk.mailings import Account
from mailer.services.desk.reasons import sentence

mailing = typer.Typer(help="Mailings: who got it, who did not and why.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The mailing's key, such as statement:1:alert.")]

COLUMNS = ("key", "kind", "state", "audience", "sent", "failed", "skipped", "in doubt", "open")
NUMBERS = COLUMNS[3:]


def row(account: Account) -> tuple[str, ...]:
    """One line of the table of mailings."""
    books = account.books
    counts = (
        books.audience,
        books.sent,
        books.failed,
        sum(books.skipped.values()),
        books.in_doubt,
        books.open,
    )
    return (account.key, account.kind, account.state.value, *(f"{count:,}" for count in counts))


def summary(account: Account) -> dict[str, object]:
    """The same for programs."""
    books = account.books
    return {
        "key": account.key,
        "kind": account.kind,
        "state": account.state.value,
        "audience": books.audience,
        "sent": books.sent,
        "failed": books.failed,
        "skipped": sum(books.skipped.values()),
        "skipped_by_reason": books.skipped,
        "in_doubt": books.in_doubt,
        "open": books.open,
    }


@mailing.command("list")
@terminal.command
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """The newest mailings with their books: audience = sent + failed + skipped + in doubt + open."""
    with terminal.house().database.read() as session:
        found = mailings.accounts(session)
    if as_json:
        terminal.as_json([summary(account) for account in found])
        return
    terminal.table("Mailings", COLUMNS, [row(account) for account in found], numbers=NUMBERS)


@mailing.command("show")
@terminal.command
def show(key: Key) -> None:
    """One mailing's books, with a sentence for every reason."""
    with terminal.house().database.read() as session:
        account = mailings.account(session, mailings.find(session, key))
    terminal.table(account.key, COLUMNS[1:], [row(account)[1:]], numbers=NUMBERS)
    for reason, count in sorted(account.books.skipped.items()):
        terminal.say(f"{count:,} skipped: {sentence(reason)}")


def _switch(key: str, service: Callable[..., object], told: str) -> None:
    house = terminal.house()
    with house.database.write() as session:
        found = mailings.find(session, key)
        count = service(session, found, actor=terminal.actor(), now=terminal.now())
    terminal.say(told.format(count=count))


@mailing.command("pause")
@terminal.command
def pause(key: Key) -> None:
    """Hold a mailing back; what is on the wire arrives."""
    _switch(key, mailings.pause, "Paused.")


@mailing.command("resume")
@terminal.command
def resume(key: Key) -> None:
    """Go on with exactly those who have not had it."""
    _switch(key, mailings.resume, "Resumed.")


@mailing.command("cancel")
@terminal.command
def cancel(key: Key) -> None:
    """Stop the rest for good. What is out cannot be called back."""
    _switch(key, mailings.cancel, "Stopped; {count} will not get it.")


@mailing.command("release")
@terminal.command
def release(key: Key) -> None:
    """Send once more to everyone in doubt: some of them may get it twice."""
    _switch(key, mailings.release, "Released {count} from doubt.")


@mailing.command("write-off")
@terminal.command
def write_off(key: Key) -> None:
    """Count everyone in doubt as not reached."""
    _switch(key, mailings.write_off, "Wrote off {count} in doubt.")
