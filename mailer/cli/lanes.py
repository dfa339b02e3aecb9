"""Commands for lanes: what each receiving site and relay is given, and the switches."""

from typing import Annotated, Any

import typer

from mailer.cli import terminal
from mailer.services.desk import lanes
from mailer.services.desk.lanes import LaneReport, NewLimits
from mailer.smtp.caution import FOREVER

lane = typer.Typer(help="Lanes: how fast each receiving site and relay is given mail.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The lane's key, such as google.com or relay:mail.example.org:587.")]

MOST = 1_000_000_000
COLUMNS = ("key", "conns", "mails/conn", "per second", "per hour", "per day", "this hour", "today", "state")


def row(report: LaneReport) -> tuple[str, ...]:
    """One line of the table of lanes."""
    limits = report.limits
    per_day = _number(limits.per_day)
    if report.warm_cap is not None:
        per_day = f"{report.warm_cap:,} (warming up)"
    return (
        report.key,
        _number(limits.connections),
        _number(limits.mails_per_connection),
        _number(limits.per_second),
        _number(limits.per_hour),
        per_day,
        _number(report.used_this_hour),
        _number(report.used_today),
        report.state,
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,g}" if isinstance(value, float) else f"{value:,}"


def summary(report: LaneReport) -> dict[str, Any]:
    """The same for programs."""
    limits = report.limits
    return {
        "key": report.key,
        "state": report.state,
        "connections": limits.connections,
        "mails_per_connection": limits.mails_per_connection,
        "per_second": limits.per_second,
        "per_hour": limits.per_hour,
        "per_day": limits.per_day,
        "warm_cap": report.warm_cap,
        "used_this_hour": report.used_this_hour,
        "used_today": report.used_today,
    }


@lane.command("list")
@terminal.command
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print a list for programs.")] = False,
) -> None:
    """All lanes with their limits. A dash is no limit, or nothing counted because nothing limits it."""
    with terminal.house().database.read() as session:
        found = lanes.reports(session, terminal.now())
    if as_json:
        terminal.as_json([summary(report) for report in found])
        return
    terminal.table("Lanes", COLUMNS, [row(report) for report in found], numbers=COLUMNS[1:8])


@lane.command("set")
@terminal.command
def set_(
    key: Key,
    connections: Annotated[
        int | None, typer.Option(min=1, max=1_000, help="Connections at once, of all workers.")
    ] = None,
    mails_per_connection: Annotated[
        int | None, typer.Option(min=1, max=MOST, help="Mails on one connection.")
    ] = None,
    per_second: Annotated[
        float | None, typer.Option(min=0.001, max=MOST, help="Mails per second; 0.5 is one in two.")
    ] = None,
    per_hour: Annotated[int | None, typer.Option(min=1, max=MOST, help="Mails per clock hour.")] = None,
    per_day: Annotated[int | None, typer.Option(min=1, max=MOST, help="Mails per day of UTC.")] = None,
    warm_up: Annotated[
        bool, typer.Option("--warm-up", help="Begin today with 200 a day, doubled each good day.")
    ] = False,
    no_limit: Annotated[
        bool, typer.Option("--no-limit", help="Forget all limits set here; those of the site itself stay.")
    ] = False,
) -> None:
    """Limit a lane for all workers together, also after a restart; bulk mail leaves a fifth to the rest."""
    new = NewLimits(
        connections=connections,
        mails_per_connection=mails_per_connection,
        per_second=per_second,
        per_hour=per_hour,
        per_day=per_day,
    )
    now, actor = terminal.now(), terminal.actor()
    with terminal.house().database.write() as session:
        found = lanes.find(session, key)
        if no_limit:
            lanes.remove_limits(session, found, actor=actor, now=now)
        if not no_limit or new != NewLimits() or warm_up:
            lanes.set_limits(session, found, new, warm_up=warm_up, actor=actor, now=now)
    terminal.say("Limited." if not no_limit or new != NewLimits() or warm_up else "No limits of our own.")


@lane.command("open")
@terminal.command
def open_(key: Key) -> None:
    """Open a lane at its full pace, whatever closed or slowed it."""
    with terminal.house().database.write() as session:
        lanes.open_lane(session, lanes.find(session, key), actor=terminal.actor(), now=terminal.now())
    terminal.say("Open.")


@lane.command("close")
@terminal.command
def close(
    key: Key,
    minutes: Annotated[
        int | None, typer.Option(min=1, max=5_000_000, help="For so long; else until it is opened.")
    ] = None,
) -> None:
    """Give a lane nothing more; what is on the wire arrives, the rest waits."""
    with terminal.house().database.write() as session:
        until = lanes.close_lane(
            session, lanes.find(session, key), minutes=minutes, actor=terminal.actor(), now=terminal.now()
        )
    if until == FOREVER:
        terminal.say(f"Closed until: mailer lane open {key}")
    else:
        terminal.say(f"Closed until {until:%Y-%m-%d %H:%M} UTC.")
