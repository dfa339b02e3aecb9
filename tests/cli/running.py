"""Runs `mailer` as a person does: a real process on a data folder of its own.

It is forked from an interpreter that has imported everything: there are hundreds of
them, and a second of imports each would be most of what these tests take.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path

from drills.nursery import Nursery

SAMPLE = Path(str(resources.files("mailer.ingest").joinpath("sample_page.txt")))
PATIENCE = 120.0  # seconds until a command that does not end is given up
Run = Callable[..., subprocess.CompletedProcess[str]]


@cache
def _nursery() -> Nursery:
    return Nursery()


def runner(data: Path) -> Run:
    """A function that runs `mailer` with these words, and further variables when given."""

    def run(*words: str, given: bytes | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MAILER_DATA": str(data), **variables}
        with tempfile.TemporaryDirectory() as folder:
            said, errors, read = (Path(folder) / name for name in ("said", "errors", "given"))
            read.write_bytes(given or b"")
            process = _nursery().start(
                list(words), environment=environment, log=said, errors=errors, given=read
            )
            status = process.wait(PATIENCE)
            return subprocess.CompletedProcess(words, status, said.read_text(), errors.read_text())

    return run


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """One clear message, no traceback, and an exit code that is not 0."""
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr.count("Error:") == 1, done.stderr
    for word in words:
        assert word in done.stderr
