"""The `mailer` command: everything of mailer.cli, and the commands that start processes.

It lives here because arrows point down: a command that starts workers knows them.
"""

import os
import signal
import threading
from typing import Annotated

import typer

from mailer import settings
from mailer.cli import (
    api_tokens,
    campaigns,
    database,
    embargoes,
    entering,
    incidents,
    ingest,
    lanes,
    mailings,
    proposals,
    registrations,
    rules,
    sources,
    subscribers,
    switches,
    symposia,
    symposium_facts,
    terminal,
    timeline,
    topics,
)
from mailer.wake import Queue
from workers import logs

app = typer.Typer(
    help="Statement alerts, symposium reminders and campaigns: each to everyone, once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("ingest")(ingest.ingest)
embargoes.statement.command("add")(entering.add_statement)
symposia.symposium.command("add")(entering.add_symposium)
app.command("migrate")(database.migrate)
app.command("health")(database.health)
app.command("audit")(topics.audit)
app.command("stop")(switches.stop)
app.command("go")(switches.go)
app.add_typer(embargoes.statement, name="statement")
app.add_typer(symposia.symposium, name="symposium")
symposia.symposium.command("set")(symposium_facts.set_)
symposia.symposium.add_typer(symposium_facts.question, name="question")
symposia.symposium.command("registrations")(registrations.registrations)
symposia.symposium.command("withdraw")(registrations.withdraw)
symposia.symposium.command("import")(registrations.import_)
symposia.symposium.command("attendance")(registrations.attendance)
symposia.symposium.command("join-link")(registrations.join_link)
app.add_typer(api_tokens.api_token, name="api-token")
app.add_typer(rules.rule, name="rule")
app.command("timeline")(timeline.show)
app.add_typer(proposals.proposal, name="proposal")
app.add_typer(sources.source, name="source")
app.add_typer(subscribers.subscribers, name="subscribers")
app.add_typer(topics.topic, name="topic")
app.add_typer(campaigns.campaign, name="campaign")
app.add_typer(mailings.mailing, name="mailing")
app.add_typer(incidents.incident, name="incident")
app.add_typer(lanes.lane, name="lane")
app.add_typer(database.keys, name="keys")


@app.callback()
def _start() -> None:
    """Read the settings once; a wrong one ends every command with a sentence."""
    try:
        chosen = settings.current()
    except settings.SettingsError as problem:
        terminal.fail(str(problem))
    logs.configure(chosen.log_level)


@app.command()
@terminal.command
def demo(
    page: Annotated[
        str | None, typer.Option(help="A page file, URL or - to read; else the sample page.")
    ] = None,
    leave: Annotated[
        bool, typer.Option("--exit", help="End after the story instead of serving the inbox.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the outcome as the last line, for programs.")
    ] = False,
) -> None:
    """Live through the organisation's day with sample people. No mail leaves this machine."""
    from workers import demo_command  # processes are imported by the command that starts them

    demo_command.run(page, leave=leave, as_json=as_json)


@app.command()
@terminal.command
def serve() -> None:
    """Run the whole house in this process: web, worker, beat and inbound, on the data folder.

    Without MAILER_SMTP_URL no mail leaves this machine: all of it lands in the inbox page.
    """
    from workers.embedded import CannotStart, running

    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_signal: over.set())
    try:
        with running(settings.current()) as embedded:
            terminal.notes.print(f"The house is open: {embedded.base_url}")
            if embedded.inbox is not None:
                terminal.notes.print(f"No relay is named; every mail lands in {embedded.base_url}/inbox")
            over.wait()
            terminal.notes.print("Closing: what is on the wire is awaited.")
    except CannotStart as problem:
        terminal.fail(str(problem))


@app.command()
@terminal.command
def web() -> None:
    """Run the web app alone, for installations of several processes."""
    from workers import processes

    processes.web()


@app.command()
@terminal.command
def worker(
    queues: Annotated[str, typer.Option(help="Comma-separated: send, plan, sweep.")] = "send,plan,sweep",
) -> None:
    """Run a worker on these queues, for installations of several processes."""
    from workers import processes

    try:
        chosen = frozenset(Queue(part.strip()) for part in queues.split(","))
    except ValueError:
        terminal.fail(f'"{queues}" names a queue that does not exist. There are: send, plan, sweep.')
    processes.worker(chosen)


@app.command()
@terminal.command
def beat() -> None:
    """Run the beat, which says when to look for due work."""
    from workers import processes

    processes.beat()


@app.command()
@terminal.command
def inbound() -> None:
    """Run the door for returned mail and mailto unsubscribes."""
    from workers import processes

    processes.inbound()


def main() -> None:
    """Entry point of the `mailer` command."""
    # Secrets may be in our environment; a child process or a crash report must not inherit a core of them.
    os.umask(0o077)
    app()
