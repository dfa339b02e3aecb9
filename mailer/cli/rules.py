"""Commands for reminder rules: when attendees of a symposium, a series or any other are written to."""

from typing import Annotated

import typer

from mailer.cli import terminal
from mailer.messages import rule_words
from mailer.services.programme import rules
from mailer.services.programme.rules import Owner
from mailer.services.sending.outlook import words_of

rule = typer.Typer(help="Reminder rules: when attendees are written to.", no_args_is_help=True)

Of = Annotated[str | None, typer.Option("--symposium", help="Of this symposium (slug or number).")]
OfSeries = Annotated[str | None, typer.Option("--series", help="Of the symposia of this series (its key).")]


@rule.command("add")
@terminal.command
def add(
    words: Annotated[str, typer.Argument(help='Such as "before 1 day", "after end 30 minutes attended".')],
    symposium: Of = None,
    series: OfSeries = None,
    quiet: Annotated[
        bool | None,
        typer.Option("--quiet/--no-quiet", help="Keep off readers' nights; by itself from 12 hours on."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Make it although its time is past.")] = False,
) -> None:
    """Make a rule; without --symposium or --series it holds for all that have none of their own.

    "before 2 weeks", "before 1 day at 09:00" and "before 90 minutes" count from the start,
    "after end 30 minutes [attended|no-show|all]" from the end, and
    "at 2024-02-20 18:00 Asia/Yerevan [first|later]" is a time of its own.
    """
    house = terminal.house()
    with house.database.write() as session:
        whose = rules.owner(session, symposium=symposium, series=series)
        made = rules.add(
            session,
            house,
            whose,
            words,
            quiet=quiet,
            sure=yes,
            actor=terminal.actor(),
            now=terminal.now(),
        )
    terminal.say(f"The rule {made.key} is made for {whose}.")
    for note in made.notes:
        terminal.say(note)


@rule.command("list")
@terminal.command
def list_(
    symposium: Of = None,
    series: OfSeries = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """The rules that hold: of a symposium its own or the ones it inherits."""
    with terminal.house().database.read() as session:
        whose = rules.owner(session, symposium=symposium, series=series)
        own = rules.listed(session, whose)
        holding = rules.applying(session, whose.symposium) if whose.symposium else own
        rows = [
            {
                "key": one.key,
                "rule": rule_words.say(words_of(one), one.audience),
                "of": _of(one.symposium_id, one.series_id),
                "quiet": {None: "by its lead", True: "yes", False: "no"}[one.quiet],
            }
            for one in holding
        ]
    if as_json:
        terminal.as_json(rows)
        return
    terminal.table("Rules", ("key", "rule", "of", "quiet"), [tuple(row.values()) for row in rows])


def _of(symposium_id: int | None, series_id: int | None) -> str:
    if symposium_id is not None:
        return "this symposium"
    return "its series" if series_id is not None else "all"


@rule.command("remove")
@terminal.command
def remove(
    key: Annotated[str, typer.Argument(help="Its key, as in: mailer rule list")],
    symposium: Of = None,
    series: OfSeries = None,
) -> None:
    """End a rule; what waits of it is not sent. With its last own rule a symposium inherits again."""
    house = terminal.house()
    with house.database.write() as session:
        whose: Owner = rules.owner(session, symposium=symposium, series=series)
        rules.remove(session, house, whose, key, actor=terminal.actor(), now=terminal.now())
    terminal.say(f"The rule {key} is removed from {whose}.")
