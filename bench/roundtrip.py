"""The engine alone over a distance: 5 ms there and back, ten connections, ready-made letters.

Three rows by what the server offers: nothing (each command waits for its reply),
PIPELINING (the next envelope rides with the body), PIPELINING and CHUNKING (several
mails in flight). The distance is measured through the proxy before it is believed.
"""

import socket
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import median
from bench.letter import ready_made
from bench.sinks import Server, counted, fast_sink, proxy
from mailer.smtp.engine import Engine
from mailer.smtp.journal import Journal
from mailer.smtp.outcome import Verdict
from mailer.smtp.relay import Relay

ONE_WAY = 0.0025
CONNECTIONS = 10
PINGS = 50
WARM_UP = 100


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """One row. `rtt` in seconds; `by_bdat` of the letters came as BDAT."""

    offered: str
    rate: float
    rtt: float
    by_bdat: int
    cpu: float  # microseconds a letter of the process that drives the engine


def lock_step(letters: int, one_way: float = ONE_WAY) -> RoundTrip:
    return _measured("nothing", letters, one_way, pipelining=False, chunking=False)


def data(letters: int, one_way: float = ONE_WAY) -> RoundTrip:
    return _measured("PIPELINING", letters, one_way, pipelining=True, chunking=False)


def bdat(letters: int, one_way: float = ONE_WAY) -> RoundTrip:
    return _measured("PIPELINING, CHUNKING", letters, one_way, pipelining=True, chunking=True)


def _measured(offered: str, letters: int, one_way: float, *, pipelining: bool, chunking: bool) -> RoundTrip:
    with (
        fast_sink(pipelining=pipelining, chunking=chunking) as sink,
        proxy(sink.port, one_way=one_way) as road,
    ):
        rtt = ping(road)
        rate, cpu = _rate(road, letters)
        count = counted(sink)
    if count.mails != letters + WARM_UP or count.twice:
        raise RuntimeError(f"the sink took {count.mails:,} of {letters + WARM_UP:,} letters")
    return RoundTrip(offered=offered, rate=rate, rtt=rtt, by_bdat=max(0, count.bdat - WARM_UP), cpu=cpu)


def _rate(road: Server, letters: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="mailer-bench-journal-") as folder:
        journal = Journal.open(Path(folder), "bench")
        engine = Engine(
            Relay.parse(road.url), ehlo_name="localhost", journal=journal, connections=CONNECTIONS
        )
        try:
            _send(engine, WARM_UP)
            prepared = ready_made(letters, first=WARM_UP + 1)
            before, started = time.process_time(), time.perf_counter()
            for delivery_id, outcome in engine.send(prepared):
                if outcome.verdict is not Verdict.SENT:
                    raise RuntimeError(f"letter {delivery_id} came back as {outcome.verdict}")
            seconds = time.perf_counter() - started
            return letters / seconds, (time.process_time() - before) * 1e6 / letters
        finally:
            engine.close()
            journal.close()


def _send(engine: Engine, letters: int) -> None:
    for _ in engine.send(ready_made(letters)):
        pass


def ping(road: Server) -> float:
    """How long a NOOP takes to come back: the median of PINGS, in seconds."""
    took = []
    with socket.create_connection(("127.0.0.1", road.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        stream.readline()
        for _ in range(PINGS):
            started = time.perf_counter()
            connection.sendall(b"NOOP\r\n")
            stream.readline()
            took.append(time.perf_counter() - started)
    return median(took) or 0.0
