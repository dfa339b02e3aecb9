"""A question of a source, as a person reads, answers and accepts it in the terminal."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailer.ingest.content import Content, read_content
from mailer.services.house import found_house
from mailer.services.sources import registry
from mailer.services.sources.registry import Wanted
from mailer.services.sources.taking import take_page
from mailer.settings import Settings
from mailer.vocabulary import SourceKind
from tests.cli.running import Run, refused, runner

pytestmark = pytest.mark.journey


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `mailer` on a data folder whose one source has left two things open."""
    house = found_house(Settings(data=tmp_path / "data"))
    now = datetime.now(UTC)
    year = (now + timedelta(days=400)).year
    lines = (
        "Our programme",
        "",
        "October 4, 12noon ET, “Talk about law”",
        f"October 11, {year}, 12noon CST, “Talk about aid”",
        f"October 18, {year}, 12noon ET, “Talk about memory”",
    )
    page = read_content(
        Content(text="\n".join(lines), kind=SourceKind.PAGE),
        fetched_on=now.date(),
        source="https://site.example/p",
        zone="UTC",
    )
    with house.database.write() as session:
        wanted = Wanted(url="https://site.example/p", every=timedelta(hours=1), zone="UTC")
        take_page(session, registry.add(session, wanted, actor="t", now=now), page, now, today=now.date())
    house.database.engine.dispose()
    return runner(tmp_path / "data")


def test_a_question_is_shown_answered_and_accepted(run: Run) -> None:
    listed = run("proposal", "list").stdout
    assert listed.count("question") >= 2
    assert "proposal show 1" in listed
    assert '"question": 1' in run("source", "show", "1", "--json").stdout
    shown = run("proposal", "show", "1").stdout
    for words in ("Which year is it?", "October 4, 12noon ET", "--year", "proposal answer 1", "reject 1"):
        assert words in shown
    refused(run("proposal", "accept", "1"), "proposal answer 1")
    refused(run("proposal", "answer", "1"), "--help")
    refused(run("proposal", "answer", "1", "--reading", "2"), "no readings", "--date")
    refused(run("proposal", "answer", "1", "--year", "2030", "--undated"), "Give one of")
    refused(run("proposal", "answer", "1", "--zone", "Mars/Base"), "IANA")
    refused(run("proposal", "answer", "1", "--time", "9 o'clock"), "24 hours")
    refused(run("proposal", "answer", "1", "--is", "nothing"), "symposium list")
    answered = run("proposal", "answer", "1", "--year", "2030").stdout
    assert "Friday 2030-10-04 12:00 America/New_York" in answered
    assert "proposal accept 1" in answered
    assert "symposium show talk-about-law" in run("proposal", "accept", "1").stdout
    assert '"year": "staff"' in run("symposium", "show", "talk-about-law").stdout
    assert "--zone" in run("proposal", "answer", "2", "--minutes", "90").stdout
    assert "America/Chicago, 90 minutes" in run("proposal", "answer", "2", "--zone", "America/Chicago").stdout
    assert run("proposal", "reject", "2").returncode == 0
    refused(run("proposal", "answer", "2", "--as-read"), "proposal list")
    assert "proposal-answered" in run("audit").stdout
