"""Commands on a data folder of their own."""

from pathlib import Path

import pytest

from tests.cli.running import Run, runner


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `mailer` on a data folder of its own, with further variables when given."""
    return runner(tmp_path / "data")
