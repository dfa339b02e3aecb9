"""Commands for watched sources: which addresses are read by themselves, and what came of it."""

from datetime import datetime
from typing import Annotated

import typer

from mailer.cli import terminal
from mailer.db.sources import Source, SourceItem
from mailer.messages import when
from mailer.services.sources import registry
from mailer.settings import current
from mailer.vocabulary import SourceKind, SourceState

source = typer.Typer(
    help="Sources: pages, feeds and calendars that are read now and then. They mail nobody.",
    no_args_is_help=True,
)

Which = Annotated[str, typer.Argument(help="The source's name or number.")]


@source.command("add")
@terminal.command
def add(
    url: Annotated[str, typer.Argument(help="The https address of a page, a feed or a calendar.")],
    every: Annotated[str, typer.Option(help="How often it is read: 30m, 1h, 2d.")] = "1h",
    kind: Annotated[SourceKind, typer.Option(help="What must be found there.")] = SourceKind.AUTO,
    name: Annotated[str | None, typer.Option(help="A short name for it.")] = None,
    zone: Annotated[str | None, typer.Option(help="The place its times are told in (IANA zone).")] = None,
    language: Annotated[str, typer.Option(help="Its language, where it does not say.")] = "en",
    zone_name: Annotated[
        list[str] | None,
        typer.Option(help="What a zone's word means there: CST=America/Chicago; repeatable."),
    ] = None,
    take_old: Annotated[
        bool, typer.Option("--take-old", help="Make drafts of the statements that are there already.")
    ] = False,
) -> None:
    """Watch an address. What it holds at first is marked as seen; what is new later becomes a draft."""
    where = zone or current().zone
    when.zone_named(where)
    interval = registry.read_every(every)
    zone_names = dict(registry.read_zone_name(each) for each in zone_name or ())
    house = terminal.house()
    with house.database.write() as session:
        made = registry.add(
            session,
            registry.Wanted(
                url=url,
                every=interval,
                kind=kind,
                zone=where,
                zone_names=zone_names,
                language=language,
                name=name,
                take_old=take_old,
            ),
            actor=terminal.actor(),
            now=terminal.now(),
        )
        told = made.name
    terminal.say(
        f"Watched as {told}. It is read within a minute, or at once with: mailer source check {told}"
    )


@source.command("list")
@terminal.command
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """All watched sources, with what is wrong with them."""
    with terminal.house().database.read() as session:
        found = registry.all_sources(session)
        held = registry.held_counts(session, terminal.now().date())
    if as_json:
        terminal.as_json([{**_summary(one), "held": held.get(one.id, 0)} for one in found])
        return
    rows = [
        (
            one.name,
            _kind(one),
            _every(one),
            one.state.value,
            _time(one.checked_at),
            str(held.get(one.id, "")),
            _wrong(one),
            one.url,
        )
        for one in found
    ]
    columns = ("name", "kind", "every", "state", "last read (UTC)", "held", "wrong", "address")
    terminal.table("Sources", columns, rows)


@source.command("show")
@terminal.command
def show(
    which: Which,
    as_json: Annotated[bool, typer.Option("--json", help="Print it for programs.")] = False,
) -> None:
    """One source, and what became of everything it holds or held."""
    with terminal.house().database.read() as session:
        one = registry.find(session, which)
        items = registry.items_of(session, one)
        asked = registry.questions_of(session, one)
    if as_json:
        terminal.as_json({**_summary(one), "items": [_item(each, asked.get(each.key)) for each in items]})
        return
    next_at = f"next {_time(one.next_check_at)} UTC" if one.state is SourceState.WATCHED else "paused"
    terminal.say(f"{one.name}: {one.url}\n{_kind(one)}, every {_every(one)}, {next_at}")
    for words in (one.trouble, one.suspect and f"Not believed: {one.suspect}", *one.notes.splitlines()):
        if words:
            terminal.say(words)
    rows = [
        (
            each.day.isoformat() if each.day else "",
            each.title,
            "gone" if each.gone_at else each.fate.value,
            each.medium.value,
            _why(each, asked.get(each.key)),
        )
        for each in items
    ]
    terminal.table("What it holds", ("date", "title", "state", "read from", "why"), rows)


@source.command("check")
@terminal.command
def check(
    which: Which,
    believe: Annotated[
        bool, typer.Option("--believe", help="You have looked: what is gone is gone, what is new is new.")
    ] = False,
) -> None:
    """Read a source now, whether it is due or not. Mails nobody."""
    from mailer.services.sources.check import check_now  # readers of all kinds, for the command that reads

    house = terminal.house()
    with house.database.read() as session:
        found = registry.find(session, which)
    checked = check_now(house, found.id, terminal.now(), believe=believe)
    if checked is None:
        terminal.fail(f"A worker reads it at this moment. Look in a minute: mailer source show {found.name}")
    if checked.trouble:
        terminal.fail(checked.trouble)
    taken = checked.taken
    if taken is None:
        terminal.say("Nothing has changed there.")
        return
    if taken.suspect:
        terminal.fail(
            f"Not believed, so nothing follows from it: {taken.suspect} "
            f"If it is right so: mailer source check {found.name} --believe"
        )
    first = "First read, so what is there is marked as seen. " if taken.first else ""
    terminal.say(
        f"{first}{taken.drafts} new drafts, {taken.proposals} proposals and notices, {taken.held} held, "
        f"{taken.seen} only seen, {taken.unchanged} unchanged. Nobody was mailed."
    )
    if taken.proposals or taken.held:
        terminal.say("Decide and answer with: mailer proposal list")
    terminal.say(f"See all of it with: mailer source show {found.name}")


@source.command("zone-name")
@terminal.command
def zone_name(
    which: Which,
    meaning: Annotated[str, typer.Argument(help="The source's word and the place: CST=America/Chicago.")],
) -> None:
    """Say what a source means by a zone's word, for all of its times; what it held for that is read anew."""
    word, zone = registry.read_zone_name(meaning)
    with terminal.house().database.write() as session:
        one = registry.find(session, which)
        registry.name_zone(session, one, word, zone, actor=terminal.actor(), now=terminal.now())
        name = one.name
    terminal.say(
        f"{word} means {zone} there. It is read again within a minute, or: mailer source check {name}"
    )


@source.command("pause")
@terminal.command
def pause(which: Which) -> None:
    """Read a source no more until it is resumed."""
    with terminal.house().database.write() as session:
        registry.pause(session, registry.find(session, which), actor=terminal.actor(), now=terminal.now())
    terminal.say(f"Paused. Go on with: mailer source resume {which}")


@source.command("resume")
@terminal.command
def resume(which: Which) -> None:
    """Read a paused source again, within a minute."""
    with terminal.house().database.write() as session:
        registry.resume(session, registry.find(session, which), actor=terminal.actor(), now=terminal.now())
    terminal.say("Resumed.")


@source.command("remove")
@terminal.command
def remove(which: Which) -> None:
    """Forget a source. The statements and symposia that came from it stay."""
    with terminal.house().database.write() as session:
        registry.remove(session, registry.find(session, which), actor=terminal.actor(), now=terminal.now())
    terminal.say("Removed. What was made from it stays.")


def _summary(one: Source) -> dict[str, object]:
    return {
        "id": one.id,
        "name": one.name,
        "url": one.url,
        "kind": _kind(one),
        "every_seconds": one.every_seconds,
        "state": one.state.value,
        "zone": one.zone,
        "zone_names": one.zone_names,
        "checked_at": one.checked_at.isoformat() if one.checked_at else None,
        "next_check_at": one.next_check_at.isoformat(),
        "failures": one.failures,
        "trouble": one.trouble,
        "suspect": one.suspect,
        "notes": one.notes.splitlines(),
    }


def _why(each: SourceItem, question: int | None) -> str:
    return f"{each.why} Answer it: mailer proposal show {question}" if question else each.why


def _item(each: SourceItem, question: int | None) -> dict[str, object]:
    return {
        "key": each.key,
        "title": each.title,
        "date": each.day.isoformat() if each.day else None,
        "state": each.fate.value,
        "read_from": each.medium.value,
        "why": each.why,
        "question": question,
        "statement": each.statement_id,
        "symposium": each.symposium_id,
        "first_seen": each.first_seen.isoformat(),
        "last_seen": each.last_seen.isoformat(),
        "gone_at": each.gone_at.isoformat() if each.gone_at else None,
    }


def _kind(one: Source) -> str:
    return (one.kind or one.asked_kind).value


def _every(one: Source) -> str:
    units = ((86_400, "d"), (3_600, "h"), (60, "m"))
    return next(f"{one.every_seconds // each}{unit}" for each, unit in units if one.every_seconds % each == 0)


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "never"


def _wrong(one: Source) -> str:
    return one.trouble or (f"not believed: {one.suspect}" if one.suspect else "")
