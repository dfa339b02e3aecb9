"""The nursery: starts `mailer` processes quickly, by forking an interpreter that has imported everything.

A worker's start costs two seconds of imports; a table of faults starts hundreds. The
child then runs the command as a fresh interpreter would: its own environment, its own
session, failpoints read anew. It ends with the nursery, which ends with the drill.
Whatever must be in place before the interpreter starts (LD_PRELOAD) is executed instead.
"""

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PRELOADED = (
    "celery.apps.worker",
    "celery.beat",
    "celery.concurrency.thread",
    "celery.worker.consumer",
    "kombu.transport.redis",
    "sqlalchemy.dialects.postgresql.psycopg",
    "uvloop",
    "workers.console",
    "workers.entry",
    "workers.process_commands",
    "workers.processes",
)


class Process:
    """One process started by a nursery, as its drill sees it."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self.status: int | None = None
        """Exit code, or minus the signal that ended it; None while it lives."""

    def poll(self) -> int | None:
        if self.status is None:
            self.status = self._nursery.ask(poll=self.pid)["status"]
        return self.status

    def send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Its exit code; raises TimeoutError when it is still alive after `seconds`."""
        end = time.monotonic() + seconds
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise TimeoutError(f"process {self.pid} did not end within {seconds:.0f} s")
            time.sleep(0.02)
        return status


class Nursery:
    """The drill's end: asks the forking process for children and for what became of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "drills.nursery", str(theirs.fileno())], pass_fds=[theirs.fileno()]
        )
        theirs.close()
        self._file = ours.makefile("rwb")

    def start(
        self,
        words: list[str],
        *,
        environment: dict[str, str],
        log: Path,
        errors: Path | None = None,
        given: Path | None = None,
        execute: bool = False,
    ) -> Process:
        """Start `mailer` with these words; `execute` runs it in a fresh interpreter.

        It reads what is `given`, and says everything into `log`, or its errors into a file of their own.
        """
        streams = [str(given or os.devnull), str(log), str(errors or log)]
        answer = self.ask(words=words, environment=environment, streams=streams, execute=execute)
        return Process(self, answer["pid"])

    def ask(self, **order: Any) -> dict[str, Any]:
        with self._lock:
            self._file.write(json.dumps(order).encode() + b"\n")
            self._file.flush()
            answer: dict[str, Any] = json.loads(self._file.readline())
        return answer

    def close(self) -> None:
        """End the nursery and every child that is left."""
        self._file.close()
        self._process.wait()


def _serve(orders: Any, answers: Any) -> dict[str, Any] | None:
    """Answer orders; returns in the child, with what it must become, or None in the nursery at the end."""
    living: set[int] = set()
    while line := orders.readline():
        order = json.loads(line)
        if "poll" in order:
            answer: dict[str, Any] = {"status": _status(order["poll"], living)}
        else:
            child = os.fork()
            if child == 0:
                return dict(order)
            living.add(child)
            answer = {"pid": child}
        answers.write(json.dumps(answer).encode() + b"\n")
    for child in living:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return None


def _status(pid: int, living: set[int]) -> int | None:
    if pid not in living:
        return None
    done, status = os.waitpid(pid, os.WNOHANG)
    if not done:
        return None
    living.discard(pid)
    return os.waitstatus_to_exitcode(status)


def _become(words: list[str], environment: dict[str, str], streams: list[str], execute: bool) -> None:
    """In the child: be a fresh process with this environment, which reads and writes these files."""
    os.setsid()
    given, *said = streams
    os.dup2(os.open(given, os.O_RDONLY), 0)
    for number, path in enumerate(said, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(environment)
    program = str(Path(sys.executable).with_name("mailer"))
    if execute:
        os.execv(program, [program, *words])  # never returns
    sys.argv = [program, *words]
    from mailer import failpoints

    importlib.reload(failpoints)  # it reads the environment when it is imported


def main() -> None:
    """Import what a worker imports, then fork on demand."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    number = int(sys.argv[1])
    # Never closed by these objects: a child gives the number to another file.
    with (
        open(number, "rb", closefd=False) as orders,
        open(number, "wb", buffering=0, closefd=False) as answers,
    ):
        child = _serve(orders, answers)
    if child is None:
        return
    _become(**child)
    from workers import entry

    entry.main()


if __name__ == "__main__":
    main()
