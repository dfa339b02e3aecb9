"""A process killed at each named point around the dot: the journal says what the server can confirm."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailer.smtp.journal import dead_journals, read

pytestmark = pytest.mark.slow

Make = Callable[..., Any]
SENDER = """
import sys
from pathlib import Path
from mailer.smtp.engine import Engine
from mailer.smtp.journal import Journal
from mailer.smtp.letter import Letter
from mailer.smtp.relay import Relay

text = b"".join(b"%076d\\r\\n" % line for line in range(40))
letters = [
    Letter(
        id=number,
        fence=7,
        sender=f"b+{number}@bounces.example.org",
        recipient=f"reader{number}@example.org",
        data=b"X-Id: %d\\r\\n\\r\\n" % number + text,
    )
    for number in range(1, 11)
]
journal = Journal.open(Path(sys.argv[2]), "victim")
with Engine(Relay.parse(sys.argv[1]), ehlo_name="localhost", journal=journal, connections=1) as engine:
    list(engine.send(letters))
"""


def die(url: str, folder: Path, failpoint: str) -> dict[int, tuple[bool, bool]]:
    """Send ten letters in a process that dies there; what its journal knows: (dot, reply) of each letter."""
    facts = os.environ | {"MAILER_FAILPOINTS": failpoint}
    ended = subprocess.run(
        [sys.executable, "-c", SENDER, url, str(folder)], env=facts, timeout=60, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    [path] = dead_journals(folder)
    return {n: (record.dot, record.reply is not None) for n, record in read(path).records.items()}


DONE, DOUBT = (True, True), (True, False)


@pytest.mark.parametrize(
    ("failpoint", "known", "taken"),
    [
        ("before-record:kill:3", {1: DONE, 2: DONE}, [1, 2]),
        ("after-record:kill:3", {1: DONE, 2: DONE, 3: DOUBT}, [1, 2]),
        ("after-dot:kill:3", {1: DONE, 2: DONE, 3: DOUBT}, [1, 2, 3]),
        ("mid-body:kill:1", {}, []),
        ("before-reply-record:kill:2", {1: DONE, 2: DOUBT}, [1, 2]),
        ("after-reply-record:kill:2", {1: DONE, 2: DONE}, [1, 2]),
    ],
)
def test_by_data(
    raw_server: Make,
    tmp_path: Path,
    failpoint: str,
    known: dict[int, tuple[bool, bool]],
    taken: list[int],
) -> None:
    server = raw_server(lambda wire: (wire.greet(), wire.take_all()))
    assert die(server.url, tmp_path, failpoint) == known
    server.close()
    assert server.bodies == taken


@pytest.mark.parametrize(
    ("failpoint", "known"),
    [
        ("before-record:kill:2", {1: DOUBT}),
        ("after-record:kill:2", {1: DONE} | dict.fromkeys(range(2, 6), DOUBT)),
        ("mid-body:kill:4", {1: DONE} | dict.fromkeys(range(2, 6), DOUBT)),
        ("after-dot:kill:2", {1: DONE} | dict.fromkeys(range(2, 6), DOUBT)),
    ],
)
def test_in_a_group_at_most_the_depth_is_in_doubt(
    raw_server: Make, tmp_path: Path, failpoint: str, known: dict[int, tuple[bool, bool]]
) -> None:
    """The server holds its tongue after the first letter, so that nothing but the group is on its way."""

    def script(wire: Any) -> None:
        wire.greet(b"PIPELINING", b"CHUNKING")
        wire.expect(b"RSET")  # the engine learns how this server words a RSET
        wire.send(b"250 2.0.0 flushed\r\n")
        wire.take(1)
        send = wire.send
        wire.send = lambda data: None
        try:
            wire.chunks()
        finally:
            wire.send = send

    server = raw_server(script)
    assert die(f"{server.url}?depth=4", tmp_path, failpoint) == known
    server.close()
    doubtful = {number for number, state in known.items() if state == DOUBT}
    arrived = {letter for _, _, letter in server.taken}
    assert arrived <= doubtful
    assert len(doubtful) <= 4
    if failpoint.startswith("after-dot"):
        assert arrived == doubtful
