"""The commands that run one process of a larger installation, without what only staff's commands need.

They run for months: all that the other commands know, 12 MB of it, is read only to say an error.
"""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, ParamSpec

import typer

from mailer import settings
from mailer.wake import Queue
from workers import logs

P = ParamSpec("P")


def _clearly(function: Callable[P, None]) -> Callable[P, None]:
    """Say expected failures in the words that all commands have for them."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            function(*args, **kwargs)
        except Exception as problem:
            from mailer.cli import terminal

            raised = problem

            @terminal.command
            def again() -> None:
                raise raised

            again()

    return wrapped


def start() -> None:
    """Read the settings once; a wrong one ends every command with a sentence."""
    logs.configure(settings.current().log_level)


@_clearly
def web() -> None:
    """Run the web app alone, for installations of several processes."""
    from workers import processes

    processes.web()


@_clearly
def worker(
    queues: Annotated[str, typer.Option(help="Comma-separated: send, plan, sweep.")] = "send,plan,sweep",
) -> None:
    """Run a worker on these queues, for installations of several processes."""
    from workers import processes

    try:
        chosen = frozenset(Queue(part.strip()) for part in queues.split(","))
    except ValueError:
        raise settings.SettingsError(
            f'"{queues}" names a queue that does not exist. There are: send, plan, sweep.'
        ) from None
    processes.worker(chosen)


@_clearly
def beat() -> None:
    """Run the beat, which says when to look for due work."""
    from workers import processes

    processes.beat()


@_clearly
def inbound() -> None:
    """Run the door for returned mail and mailto unsubscribes."""
    from workers import processes

    processes.inbound()


COMMANDS: tuple[Callable[..., None], ...] = (web, worker, beat, inbound)
NAMES = frozenset(command.__name__ for command in COMMANDS)

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
app.callback()(_clearly(start))
for command in COMMANDS:
    app.command()(command)
