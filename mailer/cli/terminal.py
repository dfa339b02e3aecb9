"""What all commands share: the house, the clock, the actor, tables and clear errors."""

import getpass
import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, time
from functools import wraps
from typing import Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console
from sqlalchemy.exc import OperationalError

from mailer.addresses import AddressError
from mailer.cli import tables
from mailer.db.migrate import DatabaseVersionError
from mailer.db.seal import SealBroken
from mailer.ingest.answers import NoAnswer
from mailer.ingest.errors import IngestError
from mailer.keys import KeyRingError
from mailer.messages.refusal import FormError
from mailer.messages.rule_words import RuleUnread
from mailer.messages.slots import MarkerInText, UnknownPlaceholder
from mailer.messages.when import UnknownZone
from mailer.services.audience.people import UnknownTopic
from mailer.services.desk.campaigns import CampaignRefusal, UnknownCampaign
from mailer.services.desk.four_eyes import SameEyes
from mailer.services.desk.lanes import LaneRefusal, UnknownLane
from mailer.services.desk.mailings import MailingRefusal, UnknownMailing
from mailer.services.desk.switches import SwitchRefusal
from mailer.services.house import House, found_house, open_house
from mailer.services.programme.answering import AnswerRefusal
from mailer.services.programme.embargo import EmbargoRefusal
from mailer.services.programme.entering import EntryRefusal
from mailer.services.programme.ingesting import PageHeld
from mailer.services.programme.proposals import ProposalRefusal
from mailer.services.programme.refusals import StatementRefusal, UnknownStatement
from mailer.services.programme.review import ReviewRefusal
from mailer.services.programme.rules import RuleRefusal
from mailer.services.programme.statements import PublishRefusal
from mailer.services.programme.symposia import SymposiumRefusal, UnknownSymposium
from mailer.services.registration.api_tokens import TokenRefusal
from mailer.services.registration.roll import TooLong
from mailer.services.sending.embargo_time import TimeRefusal
from mailer.services.sources.registry import SourceRefusal, UnknownSource
from mailer.settings import Settings, SettingsError, current
from mailer.smtp.relay import RelayError

EXPECTED: tuple[type[Exception], ...] = (
    AddressError,
    AnswerRefusal,
    CampaignRefusal,
    DatabaseVersionError,
    EntryRefusal,
    EmbargoRefusal,
    FormError,
    IngestError,
    KeyRingError,
    LaneRefusal,
    MailingRefusal,
    MarkerInText,
    NoAnswer,
    PageHeld,
    ProposalRefusal,
    PublishRefusal,
    RelayError,
    ReviewRefusal,
    SameEyes,
    RuleRefusal,
    RuleUnread,
    SealBroken,
    SettingsError,
    SourceRefusal,
    StatementRefusal,
    SwitchRefusal,
    SymposiumRefusal,
    TokenRefusal,
    TooLong,
    TimeRefusal,
    UnknownCampaign,
    UnknownLane,
    UnknownMailing,
    UnknownPlaceholder,
    UnknownSource,
    UnknownStatement,
    UnknownSymposium,
    UnknownTopic,
    UnknownZone,
)

P = ParamSpec("P")
R = TypeVar("R")

notes = Console(stderr=True, highlight=False, soft_wrap=True)


def command(function: Callable[P, R]) -> Callable[P, R]:
    """Turn expected failures into one message on standard error and exit code 1."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except EXPECTED as problem:
            fail(str(problem))
        except OSError as problem:
            why = problem.strerror or type(problem).__name__
            fail(
                f"{problem.filename or 'A file'} cannot be used ({why}). "
                f"Check MAILER_DATA and the paths that were given, and that this user may write there."
            )
        except OperationalError as problem:
            # The driver's own words may hold a password or a host: only the kind is told.
            kind = type(problem.orig).__name__
            fail(
                f"The database cannot be reached or refuses ({kind}). Check MAILER_DATABASE_URL, that the "
                f"server runs, and that `mailer migrate` has been run."
            )

    return wrapped


def fail(message: str) -> NoReturn:
    """Say what is wrong and what to do, and end with exit code 1."""
    notes.print(f"[bold red]Error:[/] {_plain(message)}")
    raise typer.Exit(1)


class _Opened:
    house: House | None = None  # the last one this command opened


def house() -> House:
    """The house named by the settings; the embedded one is founded by whatever command comes first."""
    settings = current()
    embedded = settings.embedded and not settings.database_url
    _Opened.house = found_house(settings) if embedded else open_house(settings)
    return _Opened.house


def house_exists(settings: Settings) -> bool:
    """True when there is something to compare with: a named database, or the embedded one's file."""
    return bool(settings.database_url) or (settings.data / "mailer.db").exists()


def now() -> datetime:
    """The moment by the database's clock, as the workers have it; this machine's may be an hour off."""
    told = _Opened.house.database.clock() if _Opened.house is not None else None
    return told or datetime.now(UTC)


def actor() -> str:
    """Who is at the keyboard, for the audit log."""
    try:
        return f"cli:{getpass.getuser()}"[:64]
    except (OSError, KeyError):
        return "cli"


def say(message: str) -> None:
    """A result in words, on standard output."""
    typer.echo("".join("�" if _is_control(letter) else letter for letter in message))


def as_json(value: Any) -> None:
    """A result for programs, on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def progress(rows: int) -> None:
    """How far a long list is: one line on standard error, written over, and only where a person looks."""
    if sys.stderr.isatty():
        notes.print(f"{rows:,} rows", end="\r")


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[str] = ()
) -> None:
    """A result for people: a table as wide as the terminal, or as it needs when it is piped."""
    told = [[_plain(cell) for cell in row] for row in rows]
    if not told:
        say(f"{title}: none.")
        return
    tables.draw(title, columns, told, numbers, None if sys.stdout.isatty() else 160)


def hour(text: str) -> time:
    """A wall time to the minute. Raises ValueError, also for an offset: the place's zone says that."""
    read = time.fromisoformat(text)
    if read.tzinfo is not None or read.second or read.microsecond:
        raise ValueError(text)
    return read


def _is_control(letter: str) -> bool:
    # A terminal obeys them, and what is said may come from a stranger's page.
    return unicodedata.category(letter) == "Cc" and letter not in "\n\t"


def _plain(text: str) -> str:
    # What comes from pages and people is text, never the terminal's markup or control codes.
    visible = "".join(
        character if character.isprintable() or character == "\n" else "�" for character in text
    )
    return visible.replace("[", r"\[")
