"""Sources, feeds, calendars and entries by hand, as a person types them."""

import json
from pathlib import Path

import pytest

from tests.cli.running import Run, refused

FIXTURES = Path(__file__).parents[1] / "ingest" / "fixtures"

pytestmark = pytest.mark.journey


def test_feeds_and_calendars_are_read_like_pages(run: Run) -> None:
    for name in ("statements.rss", "statements.json", "statements.atom"):
        shown = json.loads(run("ingest", str(FIXTURES / name), "--json").stdout)
        assert {row["kind"] for row in shown} == {"statement"}
    assert "2 new" in run("ingest", str(FIXTURES / "statements.rss"), "--apply").stdout
    assert (
        "0 new, 0 proposed, 2 unchanged" in run("ingest", str(FIXTURES / "statements.rss"), "--apply").stdout
    )
    shown = run("ingest", "-", given=(FIXTURES / "symposia.ics").read_bytes())
    assert "Middle Earth" in shown.stdout
    assert "Left out" in shown.stdout
    assert shown.returncode == 0
    done = run("ingest", str(FIXTURES / "symposia.ics"), "--apply")
    assert done.returncode == 0, done.stderr
    again = run("ingest", str(FIXTURES / "symposia.ics"), "--apply")
    assert "Stored: 0 new, 0 proposed" in again.stdout
    assert run("mailing", "list", "--json").stdout.strip() in ("[]", "")


def test_a_source_is_added_listed_shown_paused_and_removed(run: Run) -> None:
    done = run("source", "add", "https://www.source.invalid/feed", "--every", "2h")
    assert "Watched as source-feed" in done.stdout, done.stderr
    refused(run("source", "add", "https://www.source.invalid/feed"), "watched already")
    refused(run("source", "add", "http://example.org/feed"), "https")
    refused(run("source", "add", "https://10.0.0.1:99/feed"), "Port 99")
    refused(run("source", "add", "https://example.org/", "--every", "1m"), "15m")
    refused(run("source", "add", "https://example.org/", "--zone", "EST"), "IANA")
    refused(run("source", "add", "https://example.org/", "--zone-name", "CST"), "CST=America/Chicago")
    refused(run("source", "zone-name", "source-feed", "CST=Texas"), "CST=America/Chicago")
    assert "America/Chicago" in run("source", "zone-name", "source-feed", "CST=America/Chicago").stdout
    refused(run("source", "check", "source-feed"), "robots.txt")
    (listed,) = json.loads(run("source", "list", "--json").stdout)
    assert (listed["every_seconds"], listed["failures"]) == (7200, 1)
    assert "every 2h" in run("source", "show", "source-feed").stdout
    assert run("source", "pause", "source-feed").returncode == 0
    assert json.loads(run("source", "show", "source-feed", "--json").stdout)["state"] == "paused"
    assert run("source", "resume", "source-feed").returncode == 0
    assert run("source", "remove", "source-feed").returncode == 0
    refused(run("source", "show", "source-feed"), "source list")
    assert "source-removed" in run("audit").stdout


def test_staff_enter_a_statement_and_symposia(run: Run, tmp_path: Path) -> None:
    text = tmp_path / "statement.md"
    text.write_text("First paragraph.\n\n- one\n- two\n")
    words = ("statement", "add", "--title", "On prisoners", "--file", str(text), "--date", "2024-07-26")
    assert "statement show on-prisoners" in run(*words).stdout
    assert "- two" in run("statement", "show", "on-prisoners").stdout
    refused(run(*words), "already")
    add = ("symposium", "add", "--title")
    for title, more in (
        ("Exact", ("--date", "2030-09-27", "--time", "12:00", "--zone", "Europe/Kyiv", "--minutes", "90")),
        ("A day", ("--date", "2030-09-28")),
        ("A month", ("--month", "2030-12")),
        ("A year", ("--year", "2031")),
        ("Some time", ()),
    ):
        done = run(*add, title, *more)
        assert done.returncode == 0, done.stderr
    listed = {row["title"]: row for row in json.loads(run("symposium", "list", "--json").stdout)}
    assert [listed[title]["precision"] for title in ("Exact", "A day", "A month", "A year", "Some time")] == [
        *("datetime", "date", "month", "year", "none"),
    ]
    assert listed["Exact"]["when"] == "Fri 2030-09-27 12:00 Europe/Kyiv"
    refused(run(*add, "Exact", "--date", "2030-09-27"), "--anyway")
    refused(run(*add, "X", "--time", "12:00"), "needs its day")
    refused(run(*add, "X", "--date", "2030-09-27", "--time", "12:00+02:00"), "24 hours")
    refused(run(*add, "X", "--month", "2030-13"), "no month")
    refused(run(*add, "X", "--date", "2030-01-01", "--year", "2030"), "most exact")
    assert "Announced." in run("symposium", "announce", "exact").stdout


def test_a_stranger_s_words_do_not_command_the_terminal(run: Run) -> None:
    feed = {
        "version": "https://jsonfeed.org/version/1",
        "items": [{"id": "1", "title": "\x1b[31mRed [bold]x", "content_text": "a\x1b]0;owned\x07b"}],
    }
    shown = run("ingest", "-", given=json.dumps(feed).encode())
    assert shown.returncode == 0, shown.stderr
    assert "\x1b" not in shown.stdout
    assert "[bold]" in shown.stdout
