"""The kill switch as commands: `mailer stop` and `mailer go`."""

from typing import Annotated

import typer

from mailer.cli import receipts, terminal
from mailer.db.receipts import Receipt
from mailer.services.desk import mailings, switches

COLUMNS = ("mailing", "state", "got it", "did not", "in doubt", "on the wire")


@terminal.command
def stop(
    reason: Annotated[str, typer.Argument(help="Why, in a few words; it stands in the audit log.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: receipts.Wait = 5.0,
) -> None:
    """Stop everything that goes out, at once, until `mailer go`. Nothing is lost."""
    if not yes:
        typer.confirm("Stop all mail now?", abort=True, err=True)
    house = terminal.house()
    with house.database.write() as session:
        turned = switches.stop(session, reason=reason, actor=terminal.actor(), now=terminal.now())
    terminal.say("All mail is stopped." if turned else "All mail was stopped already.")
    flying = receipts.await_calm(house, wait)
    with house.database.read() as session:
        rows = [
            (one.key, one.state.value, *_counts(mailings.receipt(session, one)))
            for one in mailings.underway(session, limit=50)
        ]
    if rows:
        terminal.table("Held back", COLUMNS, rows, numbers=COLUMNS[2:])
    terminal.say(
        f"{flying:,} are still on the wire: their servers have them and have not answered."
        if flying
        else "Nothing is on the wire. Let it go again with: mailer go"
    )


def _counts(receipt: Receipt) -> tuple[str, ...]:
    counts = (receipt.reached, receipt.unreached, receipt.doubtful, receipt.in_flight)
    return tuple(f"{count:,}" for count in counts)


@terminal.command
def go() -> None:
    """Let mail go out again: whatever waited leaves, unless it is too late for it."""
    house = terminal.house()
    with house.database.write() as session:
        turned = switches.go(session, actor=terminal.actor(), now=terminal.now())
    terminal.say("Mail goes out again." if turned else "Nothing was stopped; mail goes out.")
