"""The `mailer` command: everything of mailer.cli, and the commands that start processes.

It lives here because arrows point down: a command that starts workers knows them.
"""

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
    series,
    sources,
    subscribers,
    switches,
    symposia,
    symposium_facts,
    terminal,
    timeline,
    topics,
)
from workers import process_commands

app = typer.Typer(
    help="Statement alerts, symposium reminders and campaigns: each to everyone, once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("ingest")(ingest.ingest)
embargoes.statement.command("add")(entering.add_statement)
embargoes.statement.command("edit")(entering.edit_statement)
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
app.add_typer(series.series, name="series")
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


app.callback()(terminal.command(process_commands.start))


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


for run in process_commands.COMMANDS:
    app.command()(run)
