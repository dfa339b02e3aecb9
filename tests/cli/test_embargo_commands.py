"""A statement's way to the public as staff type it: review, approval, embargo, and changing one's mind."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.cli.running import SAMPLE, Run, refused

pytestmark = pytest.mark.journey  # each command is a real process


def next_gap(today: date) -> date:
    """The next second Sunday in March, on which clocks in New York skip from 2 to 3."""
    found = [
        day
        for year in (today.year, today.year + 1)
        for day in (date(year, 3, number) for number in range(8, 15))
        if day.weekday() == 6 and day > today
    ]
    return found[0]


def test_an_embargo_is_set_moved_and_dropped(run: Run) -> None:
    run("ingest", str(SAMPLE), "--apply")
    refused(run("statement", "schedule", "1", "--at", "2099-01-05 09:00"), "review")
    assert "approve" in run("statement", "review", "1").stdout
    refused(run("statement", "publish", "1"), "approved")
    refused(run("statement", "approve", "1", "--text", "0123456789"), "not the one with the mark", "show")
    changed = run("statement", "edit", "1", "--title", "A better title")
    mark = re.search(r"approve 1 --text ([0-9a-f]{10})$", changed.stdout, re.MULTILINE)
    assert mark is not None, changed
    assert mark[1] in run("statement", "preview", "1").stderr
    assert run("statement", "approve", "1", "--text", mark[1]).returncode == 0
    refused(run("statement", "edit", "1"), "--title, --file, or both")
    refused(run("statement", "schedule", "1", "--at", "tomorrow"), "wall time")
    refused(run("statement", "schedule", "1", "--at", "2020-01-05 09:00"), "is over")
    refused(run("statement", "schedule", "1", "--at", "2099-11-01 01:30"), "EDT", "EST", "--which later")

    today = datetime.now(UTC).date()
    gap, zone = next_gap(today), ("--zone", "America/New_York")
    done = run("statement", "schedule", "1", "--at", f"{gap} 02:30", *zone, "--which", "later")
    assert f"Sunday {gap.day} March {gap.year}, 03:30:00 EDT (America/New_York)" in done.stdout, done.stderr
    refused(run("statement", "publish", "1"), "embargo", "lift")
    then = today + timedelta(days=7)
    moved = run("statement", "move-embargo", "1", "--at", f"{then} 09:00:30", "--zone", "Asia/Yerevan")
    assert "only one of the staff" in moved.stdout
    assert f"{then:%A} {then.day} {then:%B %Y}, 09:00:30" in run("statement", "embargo").stdout
    assert re.search(r"^Subject: \[test\] ", run("statement", "preview", "1").stdout)
    assert "Done" in run("statement", "drop", "1").stdout
    actions = run("audit").stdout
    for action in (
        "statement-in-review",
        "statement-approved",
        "embargo-set",
        "embargo-move",
        "embargo-drop",
    ):
        assert action in actions
