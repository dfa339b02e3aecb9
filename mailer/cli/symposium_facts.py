"""Commands for what staff say of a symposium beside its date: its facts, and the questions of its form."""

from datetime import datetime
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from mailer.cli import terminal
from mailer.cli.symposia import Preview, Which
from mailer.cli.timeline import show_preview
from mailer.db.programme import Symposium
from mailer.services.programme import symposia
from mailer.services.registration import asking, setting
from mailer.services.registration.questions import Question
from mailer.services.registration.setting import Facts, Set, Window
from mailer.vocabulary import QuestionKind

NONE = "none"
WALL = "%Y-%m-%dT%H:%M"

question = typer.Typer(help="The questions of a symposium's registration form.", no_args_is_help=True)


@terminal.command
def set_(
    which: Which,
    duration: Annotated[int | None, typer.Option(help="Its length in minutes.")] = None,
    ends: Annotated[str | None, typer.Option(help="Its end, local: 14:00 or 2024-09-28T01:00.")] = None,
    speaker: Annotated[list[str] | None, typer.Option(help="Who speaks; repeatable. '' for none.")] = None,
    language: Annotated[list[str] | None, typer.Option(help="A language spoken there; repeatable.")] = None,
    title: Annotated[str | None, typer.Option(help="Its title.")] = None,
    place: Annotated[str | None, typer.Option(help="Where it is, in words. '' takes it away.")] = None,
    online: Annotated[bool | None, typer.Option("--online/--in-person", help="Whether it is online.")] = None,
    join_url: Annotated[
        str | None, typer.Option(help="The room's address, or 'none'. Attendees get links of their own.")
    ] = None,
    capacity: Annotated[str | None, typer.Option(help="How many people, or 'none'.")] = None,
    waiting_list: Annotated[
        bool | None, typer.Option("--waiting-list/--no-waiting-list", help="Whether people can wait.")
    ] = None,
    opens: Annotated[str | None, typer.Option(help="The form opens: 2024-02-01T09:00, or 'none'.")] = None,
    closes: Annotated[str | None, typer.Option(help="When it closes: 2024-02-22T18:00, or 'none'.")] = None,
    window_zone: Annotated[
        str | None, typer.Option(help="The IANA zone of those two times; the symposium's own when not given.")
    ] = None,
    access_needs: Annotated[
        bool | None, typer.Option("--access-needs/--no-access-needs", help="Whether the form asks for them.")
    ] = None,
    register_url: Annotated[
        str | None, typer.Option(help="Another site where people register, or 'none' for our form.")
    ] = None,
    preview: Preview = False,
) -> None:
    """Set what is known of a symposium. Nothing is kept when one of the values is wrong.

    Attendees are told of another title, place, end or way of taking part, half an hour after the last
    such change.
    """
    house, now = terminal.house(), terminal.now()

    def change(session: Session, one: Symposium) -> Set:
        facts = Facts(
            minutes=duration,
            ends=None if ends is None else _end(one, ends),
            speakers=None if speaker is None else tuple(speaker),
            languages=None if language is None else tuple(language),
            title=title,
            place=place,
            online=online,
            room=_without_none(join_url),
            capacity=None if capacity is None else _capacity(capacity),
            waiting_list=waiting_list,
            window=_window(one, opens, closes, window_zone),
            asks_access=access_needs,
            register_url=_without_none(register_url),
        )
        if facts == Facts():
            terminal.fail("Say what to set, for example --capacity 80. See: mailer symposium set --help")
        return setting.set_facts(session, house, one, facts, actor=terminal.actor(), now=now)

    if preview:
        show_preview(house, which, change, now)
        return
    with house.database.write() as session:
        came = change(session, symposia.find(session, which))
    terminal.say(_told(came))


def _told(came: Set) -> str:
    if not came.changed and not came.moved_up:
        return "That is how it was already; nothing was changed."
    told = [f"Set: {', '.join(came.changed)}."] if came.changed else []
    if came.told_at is not None:
        told.append(f"Attendees are told at {came.told_at:%Y-%m-%d %H:%M} UTC what they must know of it.")
    if came.moved_up:
        told.append(f"{came.moved_up:,} moved up from the waiting list and are told by mail.")
    if came.over:
        told.append(f"{came.over:,} more people have a place than there are now; they keep it.")
    return " ".join(told)


def _without_none(text: str | None) -> str | None:
    return "" if text is not None and text.casefold() == NONE else text


def _capacity(text: str) -> int:
    if text.casefold() == NONE:
        return 0
    if not (text.isascii() and text.isdecimal()) or not int(text[:9]) > 0 or len(text) > 9:
        terminal.fail("A capacity is a number of people from 1 on, or none for no limit.")
    return int(text)


def _end(one: Symposium, text: str) -> datetime:
    day = "" if "T" in text else f"{one.day}T"
    return _wall(f"{day}{text}", "--ends")


def _window(one: Symposium, opens: str | None, closes: str | None, zone: str | None) -> Window | None:
    """The old window with what was given in its place; None when nothing of it was given."""
    if opens is None and closes is None and zone is None:
        return None
    old = one.registration_window
    return Window(
        opens=_limit(opens, old.get("opens"), "--opens"),
        closes=_limit(closes, old.get("closes"), "--closes"),
        zone=zone or str(old.get("zone") or one.zone or "UTC"),
    )


def _limit(given: str | None, old: object, option: str) -> datetime | None:
    if given is not None and given.casefold() == NONE:
        return None
    text = given if given is not None else old
    return None if text is None else _wall(str(text), option)


def _wall(text: str, option: str) -> datetime:
    try:
        return datetime.strptime(text, WALL)  # noqa: DTZ007 - a wall time; its zone stands beside it
    except ValueError:
        terminal.fail(f"{option}: write day and time with 24 hours, such as 2024-02-22T18:00.")


@question.command("put")
@terminal.command
def put(
    which: Which,
    key: Annotated[str, typer.Argument(help="A short word for it, such as diet.")],
    label: Annotated[list[str], typer.Option(help="Its words, by language: 'en=Do you eat meat?'")],
    kind: Annotated[QuestionKind, typer.Option(help="What answer it takes.")] = QuestionKind.TEXT,
    choice: Annotated[list[str] | None, typer.Option(help="An answer that is offered; repeatable.")] = None,
    required: Annotated[bool, typer.Option("--required", help="The form is not taken without it.")] = False,
) -> None:
    """Add a question to the form, or give one new words. The answers are stored encrypted."""
    labels = dict(_label(one) for one in label)
    asked = Question(key=key, kind=kind, labels=labels, required=required, choices=tuple(choice or ()))
    with terminal.house().database.write() as session:
        one = symposia.find(session, which)
        is_new = asking.put_question(session, one, asked, actor=terminal.actor(), now=terminal.now())
    terminal.say(f'The question "{key}" is {"on the form" if is_new else "changed"}.')


def _label(text: str) -> tuple[str, str]:
    language, sign, words = text.partition("=")
    if not sign:
        terminal.fail('Write a label as language=words: --label "en=Will you eat with us?"')
    return language.strip(), words.strip()


@question.command("drop")
@terminal.command
def drop(which: Which, key: Annotated[str, typer.Argument(help="The question's key.")]) -> None:
    """Take a question off the form."""
    with terminal.house().database.write() as session:
        one = symposia.find(session, which)
        asking.drop_question(session, one, key, actor=terminal.actor(), now=terminal.now())
    terminal.say(f'The question "{key}" is off the form.')
