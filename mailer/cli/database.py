"""Commands for the ground everything stands on: tables, keys, and signs of life."""

from typing import Annotated
from urllib.error import URLError
from urllib.request import urlopen

import typer

from mailer import keys as rings
from mailer.cli import terminal
from mailer.db import migrate as migrations
from mailer.keys import Family
from mailer.services.desk import health as signs
from mailer.services.desk import switches
from mailer.services.desk.rotation import reseal
from mailer.services.house import found_ring, open_house
from mailer.services.incidents import open_incidents
from mailer.settings import current

keys = typer.Typer(help="The key ring: without it nobody in the database can be read.", no_args_is_help=True)

ROTATING = (Family.SEAL, Family.TOKEN, Family.MESSAGE)


@terminal.command
def migrate() -> None:
    """Bring the database's tables up to date. Safe to repeat, and for two processes at once."""
    found_ring(current())
    reached = migrations.migrate(open_house(current(), checked=False).database)
    terminal.say(f"The database is now at revision {reached}." if reached else "The database was up to date.")


@keys.command("create")
@terminal.command
def create() -> None:
    """Make a new key ring (0600) for a new database. An existing ring is never touched."""
    path = current().key_ring
    rings.create(path)
    terminal.say(f"A new key ring is at {path}. Back it up apart from the database: neither is of use alone.")


@keys.command("rotate")
@terminal.command
def rotate(
    family: Annotated[Family, typer.Argument(help="Which keys to renew.")] = Family.SEAL,
) -> None:
    """Add a new key that writes from now on; old keys go on reading. `seal` also seals every value anew.

    Stop the other processes first, or restart them afterwards: they read the ring when they start.
    """
    settings = current()
    if settings.keys:
        terminal.fail("The ring comes from MAILER_KEYS, which cannot be rewritten. Use MAILER_KEYS_FILE.")
    if family not in ROTATING:
        terminal.fail(f"The family {family.value} has one key for life: it is what makes one person one row.")
    ring = rings.read(settings.key_ring).rotated(family)
    rings.replace(settings.key_ring, ring)
    terminal.say(f"Key {ring[family].current} of the family {family.value} writes from now on.")
    if family is Family.SEAL:
        count = reseal(open_house(settings))
        terminal.say(f"{count} values were sealed anew. Back the ring up again.")


@terminal.command
def health(
    name: Annotated[
        str | None, typer.Argument(help="web, or a process: worker-send, worker-plan, beat, inbound.")
    ] = None,
) -> None:
    """Exit code 0 when the process has given a sign of life within the last minute, else 1.

    Without a name it asks about the whole house: 0 when no incident is open and mail may go out.
    """
    if name is None:
        _whole_house()
        return
    settings = current()
    if name == "web":
        host = "127.0.0.1" if settings.web_host in {"0.0.0.0", "::"} else settings.web_host  # noqa: S104
        try:
            with urlopen(f"http://{host}:{settings.web_port}/healthz", timeout=3):
                return
        except (URLError, OSError):
            terminal.fail("The web app does not answer. Look at its log, then restart it.")
    with terminal.house().database.read() as session:
        if not signs.alive(session, name, terminal.now()):
            terminal.fail(f"No sign of life from {name} within a minute. Look at its log, then restart it.")


def _whole_house() -> None:
    with terminal.house().database.read() as session:
        position = switches.sending(session)
        found = open_incidents(session)
    if not position.on:
        terminal.say(f"All mail is stopped since {position.since:%Y-%m-%d %H:%M} UTC. Go on with: mailer go")
    for one in found:
        terminal.say(f"{one.key}: {one.words}")
    if found:
        terminal.fail(f"Open incidents: {len(found):,}. Each goes away by itself once it is mended.")
    if not position.on:
        terminal.fail("Nothing goes out until somebody lets it.")
    terminal.say("No incident is open, and mail goes out.")
