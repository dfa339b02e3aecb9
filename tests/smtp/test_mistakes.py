"""A mistake of our own, wherever it strikes: each letter has one outcome, and the engine ends when told."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from mailer.smtp import bdat, pipeline, waiting
from mailer.smtp.journal import Journal
from mailer.smtp.outcome import Verdict
from tests.smtp.test_stream import CHUNKED, collect

Make = Callable[..., Any]
LETTERS = 20
DEPTH = 8
PLAIN = (b"PIPELINING",)
PLACES: dict[str, list[tuple[Any, str]]] = {
    "a letter is made ready": [(waiting, "prepare")],
    "a command is written": [(pipeline, "mail_command"), (bdat, "mail_command")],
    "a reply is judged": [(pipeline, "judged")],
    "a letter is settled": [(waiting.Waiting, "settle")],
    "the journal is written": [(Journal, "record_group")],
}


class Mistake(Exception):
    """Of nobody's making but ours."""


def strike(monkeypatch: pytest.MonkeyPatch, places: list[tuple[Any, str]], at: int) -> None:
    """The function raises when it is called for the `at`th time; wherever it is known by that name."""
    calls = [0]
    original = getattr(*places[0])

    def mistaken(*args: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            raise Mistake
        return original(*args, **options)

    for holder, name in places:
        monkeypatch.setattr(holder, name, mistaken)


@pytest.mark.parametrize("at", [1, 3, 5])
@pytest.mark.parametrize("extensions", [CHUNKED, PLAIN])
@pytest.mark.parametrize("place", PLACES)
def test_each_letter_has_its_outcome(
    raw_server: Make,
    engine: Make,
    letters: Make,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    extensions: tuple[bytes, ...],
    at: int,
) -> None:
    def behave(wire: Any) -> None:
        wire.greet(*extensions)
        (wire.chunks if extensions is CHUNKED else wire.take_all)()

    server = raw_server(behave)
    strike(monkeypatch, PLACES[place], at)
    sender = engine(server.url, journal=journal)
    stream = sender.open()
    stream.feed(letters(LETTERS))
    outcomes = collect(stream, LETTERS)
    arrived = [body for _, _, body in server.taken] + server.bodies
    doubt = {number for number, outcome in outcomes.items() if outcome.verdict is Verdict.IN_DOUBT}
    sent = {number for number, outcome in outcomes.items() if outcome.verdict is Verdict.SENT}
    assert sent <= set(arrived) <= sent | doubt
    assert len(arrived) == len(set(arrived))
    assert 1 <= LETTERS - len(sent) <= 2 * DEPTH
    ended = threading.Thread(target=sender.close, daemon=True)
    ended.start()
    ended.join(20)
    assert not ended.is_alive()
