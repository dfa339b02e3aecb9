"""The sink's script: when a rule applies, and what the sink then says."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills.script import Act, Count, Rule, Script
from drills.sink_process import SinkProcess


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(at="dot", act=Act.RESET), "xxxxxxxx"),
        (Rule(at="dot", act=Act.RESET, after=3), "...xxxxx"),
        (Rule(at="dot", act=Act.RESET, after=1, times=2), ".xx....."),
        (Rule(at="dot", act=Act.RESET, every=3), "x..x..x."),
        (Rule(at="dot", act=Act.RESET, after=2, every=2, times=2), "..x.x..."),
    ],
)
def test_when_a_rule_applies(rule: Rule, expected: str) -> None:
    count = Count()
    assert "".join("x" if count.applies(rule) else "." for _ in expected) == expected


def test_a_rule_per_connection_counts_on_each_anew() -> None:
    script = Script()
    script.replace([Rule(at="rcpt", act=Act.SAY, after=1, per_connection=True).as_json()])
    first: dict[int, Count] = {}
    second: dict[int, Count] = {}
    asked = [script.act_at("rcpt", own) is not None for own in (first, first, second, second)]
    assert asked == [False, True, False, True]
    assert script.applied == 2


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SinkProcess]:
    sink = SinkProcess(tmp_path, chunking=True)
    yield sink
    sink.close()


def talk(sink: SinkProcess, words: bytes, replies: int) -> list[bytes]:
    """Say everything at once; gives so many reply lines, fewer when the sink hangs up."""
    with socket.create_connection(("127.0.0.1", sink.port), timeout=10) as connection:
        connection.sendall(words)
        found = b""
        while found.count(b"\n") < replies and (data := connection.recv(65536)):
            found += data
    return found.split(b"\r\n")[:-1]


MAIL = b"RSET\r\nMAIL FROM:<b+one@example.org>\r\nRCPT TO:<reader@example.org>\r\n"
BODY = b"Message-ID: <one@example.org>\r\nTo: <reader@example.org>\r\n\r\nWords.\r\n"
BDAT = MAIL + b"BDAT %d LAST\r\n" % len(BODY) + BODY


def codes(lines: list[bytes]) -> list[bytes]:
    return [line[:3] for line in lines]


def test_both_ways_of_a_body_are_taken_and_written_down_without_an_address(sink: SinkProcess) -> None:
    said = talk(sink, MAIL + b"DATA\r\n" + BODY + b".\r\n" + BDAT, 10)
    yes = b"250"
    assert codes(said) == [b"220", yes, yes, yes, b"354", yes, yes, yes, yes, yes]
    assert sink.accepted == 2
    assert "example.org" not in sink.log.read_text()


def test_a_refused_recipient_makes_its_bdat_fail_until_the_next_reset(sink: SinkProcess) -> None:
    sink.misbehave(Rule(at="rcpt", act=Act.SAY, text="450 4.2.0 later", times=1))
    said = talk(sink, BDAT + BDAT, 9)
    assert codes(said) == [b"220", b"250", b"250", b"450", b"503", b"250", b"250", b"250", b"250"]
    assert sink.accepted == 1


def test_a_mail_is_written_down_although_its_reply_is_lost(sink: SinkProcess) -> None:
    sink.misbehave(Rule(at="dot", act=Act.CLOSE, times=1))
    assert codes(talk(sink, BDAT, 9)) == [b"220", b"250", b"250", b"250"]
    assert sink.accepted == 1


def test_a_refusal_at_the_dot_is_not_written_down(sink: SinkProcess) -> None:
    sink.misbehave(Rule(at="dot", act=Act.SAY, text="452 4.3.1 full", times=1))
    assert codes(talk(sink, BDAT, 5)) == [b"220", b"250", b"250", b"250", b"452"]
    assert sink.accepted == 0


def test_nobody_listens_once_it_is_stopped_and_then_on_the_same_port_again(sink: SinkProcess) -> None:
    sink.stop()
    with pytest.raises(ConnectionRefusedError):
        talk(sink, BDAT, 1)
    sink.start()
    talk(sink, BDAT, 5)
    assert sink.accepted == 1
