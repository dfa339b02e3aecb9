"""A furnished house with real mails in its inbox, for tests that only look."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from mailer import settings
from mailer.services.desk.inbox import Inbox
from mailer.services.house import House, open_house
from mailer.web.app import create_app
from tests.conftest import NOON
from tests.web.scene import Scene, furnish
from tests.web.visitor import HOST


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    house: House
    scene: Scene
    inbox: Inbox
    app: FastAPI


@contextmanager
def open_exhibit(template: Path, folder: Path) -> Iterator[Exhibit]:
    """A copy of the migrated SQLite house, furnished."""
    data = folder / "house"
    shutil.copytree(template, data)
    chosen = settings.load(data=data, base_url=HOST, organisation="Institute for Prevention")
    settings.use(chosen)
    house = open_house(chosen)
    inbox = Inbox(data / "inbox")
    scene = furnish(house, NOON, inbox)
    app = create_app(house, clock=lambda: NOON, inbox=inbox)
    yield Exhibit(house=house, scene=scene, inbox=inbox, app=app)
    house.database.engine.dispose()
