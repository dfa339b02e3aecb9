"""Servers that do whatever comes to their mind: the invariants hold against what they wrote down.

Each seed is one whole mailing over several connections. The server's own log
is the truth: which letters it took, how often, and what it said about each.
"""

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from mailer.smtp.journal import Journal, read
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Outcome, Phase, Reason, Verdict

Make = Callable[..., Any]
LETTERS = 80
PATIENCE = Limits(mail=0.5, rcpt=0.5, data=0.5, dot=0.5, block=0.5, reset=0.5, quit=0.5, greeting=5, ehlo=5)


YES = {
    "rset": b"250 2.0.0 flushed",
    "mail": b"250 2.1.0 ok",
    "rcpt": b"250 2.1.5 ok",
    "data": b"354 go",
    "dot": b"250 2.0.0 taken",
}


class Whim:
    """What the server does next, and what it remembers of it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self.calm = False
        self.took: Counter[int] = Counter()
        self.said: dict[int, list[str]] = defaultdict(list)

    def choose(self) -> str:
        with self._lock:
            if self.calm:
                return "yes"
            whims = ["close", "reset", "421", "garbage", "half", "twice", "4xx", "5xx"]
            return self._random.choices(["yes", *whims], weights=[60, *[1] * len(whims)])[0]

    def note(self, letter: int, word: str) -> None:
        with self._lock:
            self.said[letter].append(word)
            if word == "dot":
                self.took[letter] += 1


def serve(whim: Whim, wire: Any, *offered: bytes) -> None:
    wire.greet(*offered)
    letter, refused = 0, False
    while True:
        line = wire.line()
        if line.startswith(b"QUIT"):
            wire.send(b"221 bye\r\n")
            return
        step = line.split()[0].lower().decode()
        if step == "mail":
            letter, refused = int(line.split(b"+")[1].split(b"@")[0]), False
        if step == "bdat":
            wire.octets(int(line.split()[1]))
            if not refused:
                whim.note(letter, "dot")
                answer(whim, wire, "dot", letter)
                continue
        if step in ("rcpt", "data", "bdat") and refused:
            wire.send(b"503 5.5.1 out of order\r\n")
            continue
        refused = not answer(whim, wire, step, letter) and step != "rset"
        if step == "data" and not refused:
            assert wire.body()
            whim.note(letter, "dot")
            answer(whim, wire, "dot", letter)


def answer(whim: Whim, wire: Any, step: str, letter: int) -> bool:
    """Say something about this step of this letter; True when it was a yes."""
    choice = "yes" if step == "rset" else whim.choose()
    yes = YES[step]
    said = f"{choice}:{step}"
    tail = f" {said} {letter}\r\n".encode()
    replies = {
        "yes": yes + tail,
        "421": b"421 4.3.2" + tail,
        "4xx": b"450 4.2.0" + tail,
        "5xx": b"550 5.5.0" + tail,
        "garbage": b"what" + tail,
        "half": b"250-" + tail,
        "twice": (yes + tail) * 2,
    }
    whim.note(letter, said)
    if choice == "reset":
        wire.reset()
    if choice not in replies:
        raise EOFError
    wire.send(replies[choice])
    if choice == "half":
        wire.wait_for_close()
    if choice in ("421", "half", "garbage"):
        raise EOFError
    return choice in ("yes", "twice")


def check(whim: Whim, number: int, outcome: Outcome, journal: Any) -> None:
    """One letter's outcome against what the server wrote down about it."""
    said = whim.said.get(number, [])
    if outcome.verdict is Verdict.SENT:
        assert "yes:dot" in said or "twice:dot" in said
    if outcome.verdict is Verdict.IN_DOUBT:
        # Its last word was no reply that can be believed, or none.
        assert not {"4xx:dot", "5xx:dot", "421:dot"} & set(said)
        assert journal[number].dot
        assert journal[number].reply is None
    if outcome.verdict is Verdict.FAILED:
        assert any(word.startswith("5xx") for word in said)
    if outcome.code is not None and outcome.reason is not Reason.CLOSING:
        assert outcome.text.split()[-1] == str(number), (
            outcome.text,
            said,
            whim.said.get(number + 1),
            whim.said.get(number - 1),
        )
    if "yes:dot" in said:
        # The reply may be lost with the connection, but it is never turned into its opposite.
        assert outcome.verdict in (Verdict.SENT, Verdict.IN_DOUBT)
    if outcome.verdict is Verdict.DEFERRED and outcome.phase is not Phase.DOT:
        assert whim.took[number] == 0
        assert number not in journal or journal[number].reply.verdict is Verdict.DEFERRED


@pytest.mark.slow
@pytest.mark.parametrize("offered", [(b"PIPELINING",), (b"8BITMIME",), (b"PIPELINING", b"CHUNKING")])
@pytest.mark.parametrize("seed", range(8))
def test_against_a_server_of_many_whims(
    raw_server: Make, engine: Make, letters: Make, journal: Journal, seed: int, offered: tuple[bytes, ...]
) -> None:
    whim = Whim(seed)
    server = raw_server(lambda wire: serve(whim, wire, *offered))
    sender = engine(server.url, connections=3, journal=journal, limits=PATIENCE)
    outcomes = list(sender.send(letters(LETTERS)))
    assert sorted(number for number, _ in outcomes) == list(range(1, LETTERS + 1))
    known = read(journal.path).records
    assert max(whim.took.values(), default=0) <= 1
    for number, outcome in outcomes:
        check(whim, number, outcome, known)
    # What was deferred may be sent again: still nothing arrives twice, and now everything arrives.
    whim.calm = True
    deferred = {number for number, outcome in outcomes if outcome.verdict is Verdict.DEFERRED}
    again = [letter for letter in letters(LETTERS) if letter.id in deferred]
    accepted_before = {number for number in deferred if whim.took[number]}
    assert {o.verdict for _, o in sender.send(again)} <= {Verdict.SENT}
    for number in range(1, LETTERS + 1):
        assert whim.took[number] <= 1 + (number in accepted_before)
