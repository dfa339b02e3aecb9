"""`mailer demo`: starts the embedded house on a folder of its own and tells the story in it."""

import json
import signal
import threading
import time
from typing import Any

import typer

from mailer import settings
from mailer.cli import terminal
from mailer.cli.mailings import COLUMNS, NUMBERS, row, summary
from mailer.services.desk import mailings
from mailer.services.desk.mailings import Account
from mailer.services.sending.departure import relays_of
from mailer.settings import Settings
from workers import logs
from workers.clock import clock
from workers.embedded import CannotStart, Embedded, running
from workers.story import Story, StoryFailed


def run(page: str | None, *, leave: bool, as_json: bool) -> None:
    """Tell the story, show the books, and serve the inbox until somebody ends it (unless `leave`)."""
    chosen = settings.current()
    if chosen.smtp_url and not _stays_here(chosen):
        terminal.fail(
            "The demo sends to this machine only. Unset MAILER_SMTP_URL, or name a relay on loopback."
        )
    settings.use(_for_the_demo(chosen, leave=leave))
    chosen = settings.current()
    if "log_level" not in chosen.model_fields_set:
        logs.configure("WARNING")  # the story tells what happens
    started = time.monotonic()
    try:
        with running(chosen) as embedded:
            story = Story(embedded.house, clock, page, _tell)
            for title, chapter in story.chapters():
                terminal.notes.print(f"[bold]{title}[/]")
                chapter()
            outcome = _outcome(embedded, story, time.monotonic() - started)
            _report(embedded, outcome, as_json=as_json)
            if not leave:
                _serve(embedded)
    except (CannotStart, StoryFailed) as problem:
        terminal.fail(str(problem))
    if not outcome["balanced"]:
        raise typer.Exit(1)


def _stays_here(chosen: Settings) -> bool:
    relays = relays_of(chosen)
    return bool(relays) and all(relay.is_loopback for relay in relays)


def _for_the_demo(chosen: Settings, *, leave: bool) -> Settings:
    """A folder of its own, hints inside the process, and any free port where nobody will look afterwards."""
    changes: dict[str, Any] = {
        "data": chosen.data / "demo",
        "broker_url": "",
        "database_url": "",
        "keys": "",
        "keys_file": None,
        "mx_port": 0,
        "undo_seconds": 0,
    }
    if leave and "web_port" not in chosen.model_fields_set:
        changes["web_port"] = 0
    return chosen.model_copy(update=changes)


def _tell(message: str) -> None:
    terminal.notes.print(f"  {message}", markup=False)


def _accounts(embedded: Embedded) -> list[Account]:
    with embedded.house.database.read() as session:
        return mailings.accounts(session)


def _outcome(embedded: Embedded, story: Story, seconds: float) -> dict[str, Any]:
    accounts = _accounts(embedded)
    return {
        "statements": story.statements,
        "symposia": story.symposia,
        "subscribers": story.subscribers,
        "mailings": [summary(account) for account in accounts],
        "inbox": f"{embedded.base_url}/inbox",
        "balanced": all(account.books.balanced for account in accounts),
        "seconds": round(seconds, 1),
    }


def _report(embedded: Embedded, outcome: dict[str, Any], *, as_json: bool) -> None:
    everything = _accounts(embedded)
    accounts = [account for account in everything if account.books.audience > 1]
    single = sum(account.books.audience == 1 for account in everything)
    terminal.table("Mailings", COLUMNS, [row(account) for account in accounts], numbers=NUMBERS)
    terminal.say(f"and {single} confirmations of one recipient each (mailer mailing list --all shows them).")
    terminal.say("The books balance." if outcome["balanced"] else "The books do NOT balance.")
    if as_json:
        terminal.say(json.dumps(outcome, ensure_ascii=False))


def _serve(embedded: Embedded) -> None:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: over.set())
    terminal.notes.print(f"Every mail can be read at {embedded.base_url}/inbox (Ctrl-C ends the demo).")
    over.wait()
