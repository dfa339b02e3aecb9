"""Commands for deliveries in doubt: list them, ask the relay's log, send once more, or write off."""

from typing import Annotated

import typer

from mailer.cli import receipts, terminal
from mailer.services.desk import doubts, mailings
from mailer.services.sending.doubt import Resolved, Undecided, resolve_doubt

Key = Annotated[str, typer.Argument(help="The mailing's key, such as statement:1:alert.")]
One = Annotated[int | None, typer.Option("--delivery", help="Only this delivery, by its number.")]

COLUMNS = ("delivery", "since (UTC)", "tries", "broke at", "why")

WHY: dict[Undecided, str] = {
    Undecided.NO_LOG: "no log is named. If the relay is a local Postfix, name its log in MAILER_POSTFIX_LOG.",
    Undecided.UNREADABLE: "the log cannot be read. Check the path in MAILER_POSTFIX_LOG and that this user "
    "may read it (on Debian: the group adm).",
    Undecided.TOO_EARLY: "the relay may still be working on it. Ask again in ten minutes.",
    Undecided.LOG_TOO_SHORT: "the log does not cover that time, or its clock is not this machine's. "
    "A person decides: release or write-off.",
    Undecided.LOG_SILENT: "the log has no line since, so its silence proves nothing. Any later mail through "
    "this relay makes it speak; then ask again.",
    Undecided.LINES_LOST: "the system dropped lines of the log. A person decides: release or write-off.",
    Undecided.OTHER_RELAYS: "it may have gone through another relay than the one whose log this is. "
    "A person decides: release or write-off.",
    Undecided.UNFINISHED: "the relay saw it and neither took nor refused it. See its queue: postqueue -p.",
    Undecided.KEY_LOST: "the key of its Message-ID is missing from the key ring. Restore the ring's backup.",
}


@terminal.command
def doubtful(
    key: Key,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """Deliveries of which nobody knows whether they arrived, by number."""
    with terminal.house().database.read() as session:
        found = doubts.doubtful(session, mailings.find(session, key))
    if as_json:
        terminal.as_json(
            [
                {
                    "delivery": one.delivery,
                    "since": one.since,
                    "tries": one.tries,
                    "phase": one.phase,
                    "why": one.why,
                }
                for one in found
            ]
        )
        return
    rows = [
        (
            str(one.delivery),
            f"{one.since:%Y-%m-%d %H:%M:%S}" if one.since else "",
            str(one.tries),
            one.phase or "",
            one.why or "",
        )
        for one in found
    ]
    terminal.table(f"In doubt: {key}", COLUMNS, rows, numbers=("delivery", "tries"))


@terminal.command
def release(key: Key, delivery: One = None) -> None:
    """Send once more to everyone in doubt, or to one: some of them may get it twice."""
    house = terminal.house()
    with house.database.write() as session:
        found = mailings.find(session, key)
        count = mailings.release(
            session, found, actor=terminal.actor(), now=terminal.now(), delivery_id=delivery
        )
    terminal.say(f"Released {count:,} from doubt.")
    with house.database.read() as session:
        left = mailings.receipt(session, found).doubtful if delivery is None else 0
    if left:
        terminal.say(f"{left:,} stay in doubt: it is too late to send to them. Write them off instead.")
    receipts.tell(house, key)


@terminal.command
def write_off(key: Key, delivery: One = None) -> None:
    """Count everyone in doubt, or one of them, as not reached."""
    house = terminal.house()
    with house.database.write() as session:
        found = mailings.find(session, key)
        count = mailings.write_off(
            session, found, actor=terminal.actor(), now=terminal.now(), delivery_id=delivery
        )
    terminal.say(f"Wrote off {count:,} in doubt.")
    receipts.tell(house, key)


@terminal.command
def settle(
    key: Annotated[str | None, typer.Argument(help="The mailing's key; without it, all mailings.")] = None,
) -> None:
    """Ask the log of the local Postfix what became of deliveries in doubt, and write it down."""
    house = terminal.house()
    mailing_id = None
    if key is not None:
        with house.database.read() as session:
            mailing_id = mailings.find(session, key).id
    terminal.say(
        in_words(resolve_doubt(house, terminal.now(), mailing_id=mailing_id, actor=terminal.actor()))
    )


def in_words(resolved: Resolved) -> str:
    """What the log settled, and why the rest stays in doubt."""
    if not resolved.asked:
        return "Nothing is in doubt."
    lines = [f"In doubt: {resolved.asked:,}."]
    if resolved.accepted:
        lines.append(f"{resolved.accepted:,} were accepted by the relay and count as sent.")
    if resolved.not_accepted:
        lines.append(
            f"{resolved.not_accepted:,} were certainly not accepted; they are sent again, once, "
            f"unless it is too late or the mailing was stopped."
        )
    lines += [f"{count:,} stay in doubt: {WHY[why]}" for why, count in sorted(resolved.undecided.items())]
    return "\n".join(lines)
