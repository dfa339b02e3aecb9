"""Commands for subscribers: import a list, see the figures, erase a person."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from sqlalchemy import func, select

from mailer.addresses import normalise_address
from mailer.cli import terminal
from mailer.db.people import Subscriber, Subscription, Topic
from mailer.ingest.people import read_people, write_rejects
from mailer.services import audit
from mailer.services.audience import people
from mailer.services.audience.importing import Imported, import_people
from mailer.services.audience.preferences import erase_person, set_frequency
from mailer.vocabulary import Frequency

subscribers = typer.Typer(help="Subscribers: no command prints an address.", no_args_is_help=True)

SHOWN = 20  # rejected rows told on the terminal; all of them are in the reject file


@subscribers.command("import")
@terminal.command
def import_(
    file: Annotated[str, typer.Argument(help="A CSV file in UTF-8, or - for standard input.")],
    consent: Annotated[
        str | None,
        typer.Option(help="Where and when these people said yes; without it each is asked by mail first."),
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where bad rows go, to be mended and imported again.")
    ] = None,
    language: Annotated[str, typer.Option(help="Language of rows that name none.")] = "en",
) -> None:
    """Import a list. Columns: email (needed), name, language, topics, zone, frequency.

    Bad rows undo no good one.
    """
    house = terminal.house()
    with house.database.read() as session:
        topics = frozenset(session.scalars(select(Topic.key)))
    target = rejects or _beside(file)
    with _opened(file) as stream:
        rows = read_people(stream, known_topics=topics, default_language=language)
        result = import_people(
            house,
            rows,
            consent=consent,
            actor=terminal.actor(),
            now=terminal.now(),
            progress=terminal.progress,
        )
    _report(result)
    if result.rejects:
        with target.open("wb") as out:
            write_rejects(out, result.rejects)
        terminal.say(f"The rejected rows are in {target}: mend them there and import that file.")
        raise typer.Exit(2)


def _beside(file: str) -> Path:
    return Path("rejects.csv") if file == "-" else Path(f"{file}.rejects.csv")


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(file).open("rb") as stream:
            yield stream
    except OSError as error:
        terminal.fail(f"{file} cannot be read ({error.strerror}). Check the path.")


def _report(result: Imported) -> None:
    terminal.say(f"{result.added:,} people added, {result.known:,} known already.")
    if result.asked:
        terminal.say(f"{result.asked:,} were asked by mail to confirm, as far as they had not been already.")
    if result.left_before:
        terminal.say(f"{result.left_before:,} subscriptions stay ended: these people had left.")
    if result.suppressed:
        terminal.say(f"{result.suppressed:,} are suppressed and will not be mailed.")
    for reject in result.rejects[:SHOWN]:
        terminal.say(f"line {reject.line}: {reject.sentence}")
    if len(result.rejects) > SHOWN:
        terminal.say(f"and {len(result.rejects) - SHOWN:,} more rejected rows.")


@subscribers.command("count")
@terminal.command
def count() -> None:
    """How many there are, by topic and state."""
    with terminal.house().database.read() as session:
        total = session.scalar(select(func.count()).select_from(Subscriber)) or 0
        rows = [
            (key, state.value, frequency.value.replace("_", " "), f"{number:,}")
            for key, state, frequency, number in session.execute(
                select(Topic.key, Subscription.state, Subscription.frequency, func.count())
                .join(Subscription, Subscription.topic_id == Topic.id)
                .group_by(Topic.key, Subscription.state, Subscription.frequency)
                .order_by(Topic.key, Subscription.state, Subscription.frequency)
            )
        ]
    columns = ("topic", "state", "how often", "people")
    terminal.table(f"{total:,} subscribers", columns, rows, numbers=("people",))


@subscribers.command("frequency")
@terminal.command
def frequency(
    often: Annotated[Frequency, typer.Argument(help="At once, or in one mail a day or a week.")],
    address: Annotated[
        str, typer.Option(prompt=True, help="Asked for when not given: a shell keeps its history.")
    ],
    topic: Annotated[str, typer.Option(help="The topic it is for.")] = people.STATEMENTS,
) -> None:
    """Set how often a person hears of a topic's statements, when they asked for it."""
    house = terminal.house()
    with house.database.write() as session:
        subscriber = people.find(session, house, normalise_address(address))
        wanted = people.topic(session, topic)
        if subscriber is None or not set_frequency(session, subscriber.id, wanted.key, often):
            terminal.fail(f'Nobody with this address ever asked for the topic "{topic}".')
        audit.record(
            session,
            actor=terminal.actor(),
            action="frequency-changed",
            subject=f"subscriber:{subscriber.id}",
            now=terminal.now(),
            detail={"topic": wanted.key, "frequency": often.value},
        )
    terminal.say("Saved. What is owed to them from before still comes with a digest.")


@subscribers.command("erase")
@terminal.command
def erase(
    address: Annotated[
        str, typer.Option(prompt=True, help="Asked for when not given: a shell keeps its history.")
    ],
) -> None:
    """Delete everything about a person who asked for it, at once and for good."""
    house = terminal.house()
    with house.database.write() as session:
        subscriber = people.find(session, house, normalise_address(address))
        if subscriber is None:
            terminal.fail("Nobody with this address is held here, so there is nothing to erase.")
        number = subscriber.id
        erase_person(session, house, subscriber, terminal.now())
        audit.record(
            session,
            actor=terminal.actor(),
            action="subscriber-erased",
            subject=f"subscriber:{number}",
            now=terminal.now(),
        )
    terminal.say("Erased. A keyed hash stays, so that no import brings the person back.")
