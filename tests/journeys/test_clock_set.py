"""The clock of a running house is set, and it believes neither that clock nor itself: nothing opens."""

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from sqlalchemy import text

from drills.clockwork import NoCompiler, SettableClock
from drills.compose import free_port
from mailer import settings
from mailer.services.house import House, found_house
from mailer.services.programme import embargo, review, statements
from mailer.services.sending.embargo_time import at_instant
from tests.journeys.conftest import MAILER, Installation, wait_until
from tests.journeys.test_processes import READERS, fill
from tests.smtp_server import MailServer

pytestmark = pytest.mark.journey
ARMED = 12.0  # seconds from setting the embargo to its end: time for the house to see that its clock was set


@pytest.fixture
def clock(tmp_path: Path) -> SettableClock:
    try:
        return SettableClock(tmp_path)
    except NoCompiler as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture
def web(tmp_path: Path, server: MailServer, clock: SettableClock) -> Iterator[tuple[House, str]]:
    """A house on SQLite whose every process is one, and its web address."""
    port = free_port()
    variables = {
        "MAILER_DATA": str(tmp_path / "house"),
        "MAILER_SMTP_URL": server.url,
        "MAILER_WEB_PORT": str(port),
        "MAILER_MX_PORT": "0",
        "MAILER_SWEEP_SECONDS": "0.3",
    }
    house = found_house(settings.load(data=tmp_path / "house"))
    environment = {**os.environ, **variables}
    fill(Installation(house, environment, tmp_path, 0))
    log_file = tmp_path / "serve.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [str(MAILER), "serve"], env={**environment, **clock.variables}, stdout=log, stderr=log
        )
    wait_until(lambda: "is open" in log_file.read_text(), "the house is open")
    yield house, f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0, log_file.read_text()
    house.database.engine.dispose()


def under_embargo(house: House) -> datetime:
    now = datetime.now(UTC)
    moment = now + timedelta(seconds=ARMED)
    with house.database.write() as session:
        found = statements.find(session, "s")
        review.ask(session, found, actor="cli:anna", now=now)
        review.approve(session, found, actor="cli:anna", now=now)
        embargo.schedule(session, house, found, at_instant(moment, "UTC"), actor="cli:anna", now=now)
    return moment


def incidents(house: House) -> list[str]:
    told = "SELECT words FROM incidents WHERE closed_at IS NULL AND key LIKE 'embargo-clock:%'"
    with house.database.read() as session:
        return list(session.scalars(text(told)))


def status(address: str) -> int:
    try:
        with urlopen(address, timeout=30) as answer:
            return int(answer.status)
    except HTTPError as refused:
        return refused.code


@pytest.mark.parametrize(("seconds", "said"), [(3_600, "ahead of"), (-3_600, "behind")])
def test_a_house_whose_clock_is_set_opens_no_embargo(
    web: tuple[House, str], server: MailServer, clock: SettableClock, seconds: int, said: str
) -> None:
    house, address = web
    moment = under_embargo(house)
    clock.set(seconds)
    wait_until(lambda: len(incidents(house)) == 1, "the house says that its clock was set")
    assert said in incidents(house)[0]
    wait_until(lambda: datetime.now(UTC) > moment + timedelta(seconds=1), "the moment has passed")
    assert status(f"{address}/statements/s") == 404
    assert server.mails == []

    clock.set(0)
    wait_until(lambda: len(server.mails) == READERS, "everybody has got it")
    assert min(server.envelopes) > moment.timestamp() + 1
    assert status(f"{address}/statements/s") == 200
    wait_until(lambda: incidents(house) == [], "the incident is closed")
