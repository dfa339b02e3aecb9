"""Starts sinks as processes of their own and asks ours what it counted."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.database import NotInstalled
from bench.fast_sink import Count
from bench.net import free_port, wait_for

_SBIN = "/usr/sbin:/sbin"
_BACKLOG = 1000


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running sink or proxy."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


def postfix_program(name: str) -> str:
    """Where smtp-sink or smtp-source is; raises NotInstalled."""
    found = shutil.which(name) or shutil.which(name, path=_SBIN)
    if found is None:
        raise NotInstalled(
            f"{name} is not installed. Debian: apt-get install --no-install-recommends postfix"
        )
    return found


def install_postfix() -> None:
    """As root on Debian, install the postfix package for its smtp-sink; elsewhere NotInstalled says so."""
    try:
        postfix_program("smtp-sink")
    except NotInstalled:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            raise
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "postfix"]):
            subprocess.run(["apt-get", *words], check=False, env=environment, stdout=subprocess.DEVNULL)
        postfix_program("smtp-sink")


@contextmanager
def _running(words: list[str], port: int) -> Iterator[Server]:
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[1])
    try:
        wait_for(port)
        yield Server(port=port, pid=process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def smtp_sink() -> Iterator[Server]:
    """Postfix's smtp-sink, which offers PIPELINING and no CHUNKING."""
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    with _running([postfix_program("smtp-sink"), *user, f"127.0.0.1:{port}", str(_BACKLOG)], port) as server:
        yield server


@contextmanager
def fast_sink(*, pipelining: bool = True, chunking: bool = True) -> Iterator[Server]:
    """Our own sink."""
    port = free_port()
    without = [*["no-pipelining"] * (not pipelining), *["no-chunking"] * (not chunking)]
    with _running([sys.executable, "-m", "bench.fast_sink", str(port), *without], port) as server:
        yield server


@contextmanager
def proxy(to: int, *, one_way: float) -> Iterator[Server]:
    """A byte proxy before the server at this port, which delays each direction by so many seconds."""
    port = free_port()
    words = [sys.executable, "-m", "bench.proxy", str(port), str(to), str(one_way)]
    with _running(words, port) as server:
        yield server


def counted(sink: Server, *, reset: bool = False) -> Count:
    """What our sink took since the last reset."""
    return _ordered(sink, b"XBENCH RESET\r\n" if reset else b"XBENCH\r\n")


def nothing_before(sink: Server, moment: float) -> None:
    """From now on it counts what comes before that moment (seconds since 1970)."""
    _ordered(sink, b"XBENCH UNTIL %f\r\n" % moment)


def _ordered(sink: Server, order: bytes) -> Count:
    with socket.create_connection(("127.0.0.1", sink.port), timeout=30) as connection:
        stream = connection.makefile("rwb")
        stream.readline()
        stream.write(order)
        stream.flush()
        return Count(**json.loads(stream.readline()[4:]))
