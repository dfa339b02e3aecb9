"""Lanes from a terminal: limit, close and open them, and what is refused with which words."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.running import runner

pytestmark = pytest.mark.journey  # each command is a real process


def lane(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return runner(data)("lane", *words)


def everyone_else(data: Path) -> dict[str, object]:
    rows = json.loads(lane(data, "list", "--json").stdout)
    return next(row for row in rows if row["key"] == "everyone-else")


def test_a_lane_is_limited_closed_and_opened(tmp_path: Path) -> None:
    data = tmp_path / "data"
    done = lane(data, "set", "everyone-else", "--per-second", "0.5", "--per-hour", "900", "--warm-up")
    assert done.returncode == 0, done.stderr
    assert "Closed until 2" in lane(data, "close", "everyone-else", "--minutes", "5").stdout

    row = everyone_else(data)
    assert (row["per_second"], row["per_hour"], row["warm_cap"]) == (0.5, 900, 200)
    assert str(row["state"]).startswith("closed until 2")
    assert "staff closed it" in str(row["state"])

    assert lane(data, "open", "everyone-else").stdout == "Open.\n"
    assert lane(data, "set", "everyone-else", "--no-limit").returncode == 0
    row = everyone_else(data)
    assert (row["state"], row["per_second"], row["warm_cap"]) == ("open", None, None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("set", "everyone-else"), "--no-limit"),
        (("open", "nowhere"), "mailer lane list"),
        (("set", "everyone-else", "--per-hour", "0"), "--per-hour"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    done = lane(tmp_path / "data", *words)
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr
