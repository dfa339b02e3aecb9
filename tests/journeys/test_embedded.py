"""One process on one folder: the demo, and `mailer serve` as a small organisation runs it."""

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from drills.compose import ROOT, free_port
from mailer import settings
from mailer.services.house import found_house
from tests.journeys.conftest import MAILER, Installation, wait_until
from tests.journeys.test_processes import READERS, fill
from tests.smtp_server import MailServer

pytestmark = pytest.mark.journey


def demo(folder: Path) -> dict[str, object]:
    done = subprocess.run(
        [str(MAILER), "demo", "--exit", "--json"],
        env={**os.environ, "MAILER_DATA": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_the_demo_tells_its_story_and_a_second_time_mails_nobody(tmp_path: Path) -> None:
    first = demo(tmp_path)
    assert (first["statements"], first["symposia"], first["subscribers"]) == (1, 7, 1000)
    assert first["balanced"] is True
    mailings = {mailing["key"]: mailing for mailing in first["mailings"]}
    alert = mailings["statement:1:alert"]
    assert alert["sent"] == alert["audience"] > 700
    assert mailings["symposium:1:reminder:1d:r1"]["sent"] == 40
    assert mailings["symposium:1:change:1"]["sent"] == 40
    inbox = sorted(path.name for path in (tmp_path / "demo" / "inbox").iterdir())
    assert len(inbox) == sum(mailing["sent"] for mailing in first["mailings"]) + 1  # and the test mail

    second = demo(tmp_path)
    assert [_books(mailing) for mailing in second["mailings"]] == [
        _books(mailing) for mailing in first["mailings"]
    ]
    assert sorted(path.name for path in (tmp_path / "demo" / "inbox").iterdir()) == inbox


def _books(mailing: dict[str, Any]) -> dict[str, Any]:
    """What became of whom. In the second telling a reminder that waited may have come due."""
    waits = mailing["kind"] == "reminder"
    return {name: value for name, value in mailing.items() if not (waits and name == "state")}


def test_serve_may_be_stopped_and_started_at_will(tmp_path: Path, server: MailServer) -> None:
    variables = {
        "MAILER_DATA": str(tmp_path),
        "MAILER_SMTP_URL": server.url,
        "MAILER_WEB_PORT": str(free_port()),
        "MAILER_MX_PORT": "0",
        "MAILER_SWEEP_SECONDS": "0.3",
        "MAILER_SLICE_SIZE": "20",
    }
    environment = {**os.environ, **variables}
    house = found_house(settings.load(data=tmp_path))
    installation = Installation(house, environment, tmp_path, 0)
    addresses = fill(installation)
    installation.run("statement", "publish", "s")
    log_file = tmp_path / "serve.log"
    for start, threshold in enumerate((30, 100, 200, READERS), start=1):
        with log_file.open("ab") as log:
            process = subprocess.Popen([str(MAILER), "serve"], env=environment, stdout=log, stderr=log)
        wait_until(lambda least=threshold: len(server.mails) >= least, f"{threshold} mails arrived")
        wait_until(lambda times=start: log_file.read_text().count("is open") == times, "the house is open")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, log_file.read_text()
    assert Counter(mail.recipient for mail in server.mails) == Counter(addresses)
    (books,) = json.loads(installation.run("mailing", "list", "--json"))
    assert (books["sent"], books["in_doubt"], books["open"]) == (READERS, 0, 0)
    assert "canary" not in log_file.read_text().lower()
    house.database.engine.dispose()


def test_an_installed_mailer_works_outside_the_checkout(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    wheels = tmp_path / "wheels"
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(ROOT)], check=True
    )
    (wheel,) = wheels.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for needed in (
        "mailer/templates/email/_base/layout.html",
        "mailer/templates/locale/ar/LC_MESSAGES/mail.po",
        "mailer/db/migrations/versions/0001_the_house_as_it_first_stood.py",
        "mailer/ingest/sample_page.txt",
        "mailer/web/static/app.css",
    ):
        assert needed in names
    installed = tmp_path / "installed"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(installed), str(wheel)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(installed), "MAILER_DATA": str(tmp_path / "data")}
    code = (
        "import mailer, workers.entry; "
        f"assert mailer.__file__.startswith({str(installed)!r}); workers.entry.main()"
    )
    for words in (
        ["migrate"],
        ["ingest", str(installed / "mailer/ingest/sample_page.txt"), "--apply"],
        ["audit"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
