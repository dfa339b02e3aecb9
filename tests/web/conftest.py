"""Fixtures of the pages: a furnished house to act on, and one with mails that is only looked at."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import structlog
from structlog.testing import LogCapture

from mailer.services.house import House
from mailer.web.app import create_app
from tests.web.exhibit import Exhibit, open_exhibit
from tests.web.furnisher import Furnisher
from tests.web.scene import Scene
from tests.web.visitor import Visitor


class Clock:
    """What the app takes for the present moment."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def scene(house: House, now: datetime, furnisher: Furnisher) -> Scene:
    return furnisher.furnish(house, now)


@pytest.fixture(scope="session")
def furnisher(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Furnisher:
    return Furnisher(tmp_path_factory.mktemp("furnished"), lambda: request.getfixturevalue("databases"))


@pytest.fixture
def visitor(house: House, clock: Clock) -> Visitor:
    return Visitor(create_app(house, clock=clock, inbox=None))


@pytest.fixture(scope="session")
def exhibit(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exhibit]:
    """A furnished house on SQLite with an inbox full of real mails. Tests look at it and change nothing."""
    with open_exhibit(sqlite_template, tmp_path_factory.mktemp("exhibit")) as exhibit:
        yield exhibit


@pytest.fixture
def looker(exhibit: Exhibit) -> Visitor:
    return Visitor(exhibit.app)


@pytest.fixture
def log() -> Iterator[LogCapture]:
    """Every structured log line written during the test."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(**before)
