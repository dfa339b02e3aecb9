"""Commands for mailings: the books, the receipt, and the switches, each of which ends with the receipt."""

from collections.abc import Callable
from typing import Annotated

import typer

from mailer.cli import doubts, receipts, terminal
from mailer.services.desk import mailings
from mailer.services.desk.mailings import Account
from mailer.services.desk.reasons import sentence
from mailer.vocabulary import MailingKind

mailing = typer.Typer(help="Mailings: who got it, who did not and why.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The mailing's key, such as statement:1:alert.")]

COLUMNS = ("key", "state", "audience", "sent", "failed", "skipped", "in doubt", "open")
NUMBERS = COLUMNS[2:]
TO_ONE_PERSON = frozenset(
    {
        MailingKind.OPT_IN,
        MailingKind.WELCOME,
        MailingKind.REGISTRATION_REQUEST,
        MailingKind.REGISTRATION_CONFIRMATION,
        MailingKind.WAITING_LIST,
        MailingKind.WITHDRAWAL,
    }
)


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
    return (account.key, account.state.value, *(f"{count:,}" for count in counts))


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
    everything: Annotated[
        bool, typer.Option("--all", help="Also confirmations and the like that went well.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """The newest mailings with their books: audience = sent + failed + skipped + in doubt + open."""
    with terminal.house().database.read() as session:
        found = mailings.accounts(session)
    if as_json:
        terminal.as_json([summary(account) for account in found])
        return
    told = [account for account in found if everything or not _unremarkable(account)]
    terminal.table("Mailings", COLUMNS, [row(account) for account in told], numbers=NUMBERS)
    if rest := len(found) - len(told):
        terminal.say(f"and {rest:,} to one person each that went well (--all lists them too).")


def _unremarkable(account: Account) -> bool:
    """A confirmation or the like that is sent: there are as many as people, and none needs a look."""
    books = account.books
    return MailingKind(account.kind) in TO_ONE_PERSON and books.sent == books.audience


@mailing.command("show")
@terminal.command
def show(key: Key) -> None:
    """One mailing's books, with a sentence for every reason."""
    with terminal.house().database.read() as session:
        account = mailings.account(session, mailings.find(session, key))
    title = f"{account.key} ({account.kind.replace('_', ' ')})"
    terminal.table(title, COLUMNS[1:], [row(account)[1:]], numbers=NUMBERS)
    for reason, count in sorted(account.books.skipped.items()):
        terminal.say(f"{count:,} skipped: {sentence(reason)}")


@mailing.command("receipt")
@terminal.command
def receipt(
    key: Key,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object for programs.")] = False,
) -> None:
    """Who got it, who did not, who is in doubt and what is on the wire, at this moment."""
    house = terminal.house()
    if not as_json:
        receipts.tell(house, key)
        return
    with house.database.read() as session:
        found = mailings.find(session, key)
        terminal.as_json(receipts.summary(found, mailings.receipt(session, found)))


def _switch(key: str, service: Callable[..., object], told: str, wait: float) -> None:
    house = terminal.house()
    with house.database.write() as session:
        found = mailings.find(session, key)
        service(session, found, actor=terminal.actor(), now=terminal.now())
    terminal.say(told)
    receipts.await_calm(house, wait, found)
    receipts.tell(house, key)


@mailing.command("pause")
@terminal.command
def pause(key: Key, wait: receipts.Wait = 5.0) -> None:
    """Hold a mailing back; what a server already has arrives."""
    _switch(key, mailings.pause, "Paused.", wait)


@mailing.command("resume")
@terminal.command
def resume(key: Key) -> None:
    """Go on with exactly those who have not had it."""
    _switch(key, mailings.resume, "Resumed.", 0.0)


@mailing.command("cancel")
@terminal.command
def cancel(key: Key, wait: receipts.Wait = 5.0) -> None:
    """Stop the rest for good. What is out cannot be called back."""
    _switch(key, mailings.cancel, "Stopped for good.", wait)


mailing.command("doubtful")(doubts.doubtful)
mailing.command("release")(doubts.release)
mailing.command("write-off")(doubts.write_off)
mailing.command("settle-doubt")(doubts.settle)
