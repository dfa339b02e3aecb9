"""Receipts in words, and the wait until nothing of a stopped mailing is on the wire any more.

The wait only looks. It has an end: a server may think about one mail for ten minutes,
and then the receipt says how many are still out.
"""

import time
from typing import Annotated

import typer

from mailer.cli import terminal
from mailer.db.mailings import Mailing
from mailer.db.receipts import Receipt
from mailer.services.desk import mailings
from mailer.services.house import House

LOOK_SECONDS = 0.2

Wait = Annotated[
    float, typer.Option(min=0, max=660, help="Seconds to wait for what is on the wire before the receipt.")
]


def await_calm(house: House, seconds: float, mailing: Mailing | None = None) -> int:
    """Look until nothing is on the wire, of one mailing or of all; returns what still is at the end."""
    end = time.monotonic() + seconds
    told = 0
    while True:
        with house.database.read() as session:
            flying = mailings.in_flight(session, mailing)
        if not flying or time.monotonic() >= end:
            return flying
        if flying != told:
            terminal.notes.print(f"{flying:,} on the wire; waiting for their servers' answers.")
            told = flying
        time.sleep(LOOK_SECONDS)


def tell(house: House, key: str) -> None:
    """Print one mailing's receipt."""
    with house.database.read() as session:
        found = mailings.find(session, key)
        receipt = mailings.receipt(session, found)
    terminal.say(in_words(key, receipt))


def in_words(key: str, receipt: Receipt) -> str:
    """Who got it, who did not, who is in doubt, and what can be done with each part."""
    if not receipt.audience:
        return f"Receipt of {key}\n  got it:         nobody; no recipients had been written down for it"
    still = f", of whom {receipt.waiting:,} still wait for it" if receipt.waiting else ""
    lines = [
        f"Receipt of {key}",
        f"  got it:         {receipt.reached:,}" if receipt.reached else "  got it:         nobody",
        f"  did not get it: {receipt.unreached:,}{still}",
        f"  in doubt:       {receipt.doubtful:,}",
    ]
    if receipt.in_flight:
        lines.append(f"  on the wire:    {receipt.in_flight:,}; ask again with: mailer mailing receipt {key}")
    else:
        lines.append(f"To write to one part of them: mailer campaign draft ... --to {key} --part unreached")
    return "\n".join(lines)


def summary(mailing: Mailing, receipt: Receipt) -> dict[str, object]:
    """The same for programs."""
    return {
        "key": mailing.key,
        "state": mailing.state.value,
        "audience": receipt.audience,
        "reached": receipt.reached,
        "unreached": receipt.unreached,
        "waiting": receipt.waiting,
        "doubtful": receipt.doubtful,
        "in_flight": receipt.in_flight,
    }
