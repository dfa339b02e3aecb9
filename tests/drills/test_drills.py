"""The quick table of faults, as `make drill ARGS=quick` plays it: nothing is lost and nothing repeated."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.journey

ROOT = Path(__file__).parents[2]


def test_the_quick_table_of_faults() -> None:
    if shutil.which("redis-server") is None and os.environ.get("CI") != "true":
        pytest.skip("redis-server is not installed; install Debian's redis-server to run this.")
    command = [sys.executable, "-m", "drills", "quick"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    told = f"{run.stderr}\n{run.stdout}"  # what failed stands at the end: a long report is cut in the middle
    sums = json.loads(run.stdout.splitlines()[-1])
    assert (sums["lost"], sums["repeated"], sums["failed"]) == (0, 0, 0), told
    assert sums["faults"] >= 70, told
    assert run.returncode == 0, told
