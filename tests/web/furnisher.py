"""Furnishes the first house of its kind by hand and every later one as a copy of it."""

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mailer.services.house import House
from tests.conftest import Databases
from tests.web.scene import Scene, furnish


class Furnisher:
    """Keeps, for each kind of database, what a furnished house holds. The house is empty and unused yet."""

    def __init__(self, folder: Path, databases: Callable[[], Databases]) -> None:
        self._folder, self._databases = folder, databases
        self._scenes: dict[tuple[str, datetime], Scene] = {}

    def furnish(self, house: House, now: datetime) -> Scene:
        kind = (house.database.engine.dialect.name, now)
        kept = f"furnished_{kind[0]}_{now:%Y%m%d%H%M%S}"
        if scene := self._scenes.get(kind):
            house.database.engine.dispose()
            self._copy(house, kept)
            return scene
        scene = self._scenes[kind] = furnish(house, now)
        house.database.engine.dispose()
        self._keep(house, kept)
        return scene

    def _keep(self, house: House, name: str) -> None:
        shutil.copytree(house.settings.data, self._folder / name)
        if url := house.settings.database_url:
            self._databases().make(Databases.name(url), name)

    def _copy(self, house: House, name: str) -> None:
        shutil.rmtree(house.settings.data)
        shutil.copytree(self._folder / name, house.settings.data)
        if url := house.settings.database_url:
            self._databases().drop(url)
            self._databases().make(name, Databases.name(url))
