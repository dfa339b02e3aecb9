"""Runs `mailer` as a person does: a real process on a data folder of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

MAILER = Path(sys.executable).with_name("mailer")
Run = Callable[..., subprocess.CompletedProcess[str]]


def runner(data: Path) -> Run:
    """A function that runs `mailer` with these words, and further variables when given."""

    def run(*words: str, given: bytes | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MAILER_DATA": str(data), **variables}
        done = subprocess.run(
            [str(MAILER), *words], env=environment, input=given, capture_output=True, check=False, timeout=120
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return run


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One clear message, no traceback, and an exit code that is not 0."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.count("Error:") == 1, done.stderr
    for word in words:
        assert word in done.stderr
