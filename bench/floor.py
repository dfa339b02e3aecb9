"""The floor: Postfix's smtp-source, written in C, pushing ready-made messages of the same size.

It composes nothing, keeps no books and reads no database; it also waits for the reply
to each command, as any plain client does. Runs of it are mixed among those of the
corridor, on the same sink and over as many connections, because a machine has moods.
"""

import resource
import subprocess
import time
from dataclasses import dataclass

from bench.accounting import cpu_of
from bench.sinks import Server, postfix_program

_HEADERS = 112  # octets of headers that smtp-source adds to what -l asks for


@dataclass(frozen=True, kw_only=True)
class Floor:
    """One run. CPU in microseconds a mail, of the sink and of smtp-source."""

    rate: float
    cpu_sink: float
    cpu_source: float


def floor(sink: Server, *, mails: int, size: int, connections: int) -> Floor:
    """Push so many messages of `size` octets; each connection is kept open."""
    words = [postfix_program("smtp-source"), "-d", "-s", str(connections), "-m", str(mails)]
    words += ["-l", str(size - _HEADERS)]
    words += ["-f", "news@example.org", "-t", "reader@example.org", f"127.0.0.1:{sink.port}"]
    before, started = cpu_of([sink.pid]), time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    own = _cpu_until_its_end(process)
    seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise RuntimeError(f"smtp-source ended with {process.returncode}")
    return Floor(
        rate=mails / seconds,
        cpu_sink=(cpu_of([sink.pid]) - before) * 1e6 / mails,
        cpu_source=own * 1e6 / mails,
    )


def _cpu_until_its_end(process: subprocess.Popen[bytes]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
