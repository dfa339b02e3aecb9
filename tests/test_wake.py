"""Hints: lost without harm, never in the way, and about nobody."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailer import settings, wake
from mailer.wake import Task


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has applications of its own settings."""
    for cached in (wake.app, wake._giver):
        cached.cache_clear()
    monkeypatch.setattr(wake._Broker, "silent_until", 0.0)
    yield
    for cached in (wake.app, wake._giver):
        cached.cache_clear()


def use_broker(tmp_path: Path, port: int) -> None:
    settings.use(settings.load(data=tmp_path, broker_url=f"redis://127.0.0.1:{port}/0"))


@pytest.mark.slow
def test_a_broker_that_is_gone_costs_a_hint_and_nothing_else(tmp_path: Path) -> None:
    use_broker(tmp_path, 1)
    assert wake.hint(Task.SWEEP) is False
    assert wake.hint(Task.SWEEP) is False


@pytest.mark.slow
def test_a_broker_that_takes_the_connection_and_says_nothing_is_given_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_broker(tmp_path, silent.getsockname()[1])
        assert wake.hint(Task.EXPAND_MAILING, 7) is False


def test_every_task_has_a_queue() -> None:
    assert set(wake.ROUTES) == set(Task)
