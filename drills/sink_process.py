"""The sink as its drill sees it: a process to start and stop, and a script to change while it runs."""

import json
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from drills.script import Act, Rule


class SinkProcess:
    """One sink; after `stop` it can be started again on the same port, with the same log."""

    def __init__(self, folder: Path, *, chunking: bool) -> None:
        self.log = folder / "sink.mails"
        self.log.touch(mode=0o600)
        self._folder = folder
        self._command = [sys.executable, "-m", "drills.sink", str(folder)]
        if chunking:
            self._command.append("--chunking")
        self._lock = threading.Lock()
        self.port = 0
        self.start()

    def start(self) -> None:
        words = [*self._command, "--port", str(self.port)]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(self._folder / "sink.control"))
        self._file = self._socket.makefile("rwb")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it: connections are refused from now on."""
        self._process.send_signal(how)
        self._process.wait()
        self._file.close()
        self._socket.close()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def order(self, **order: Any) -> dict[str, int]:
        """Give one order; the answer counts accepted mails, visits, and how often rules applied."""
        with self._lock:
            self._file.write(json.dumps(order).encode() + b"\n")
            self._file.flush()
            answer: dict[str, int] = json.loads(self._file.readline())
        return answer

    def misbehave(self, *rules: Rule) -> None:
        self.order(rules=[rule.as_json() for rule in rules])

    def behave(self) -> None:
        """No rule any more; what is open stays open."""
        self.order(rules=[])

    def slow_down(self, seconds: float) -> None:
        """Let each final dot wait so long for its reply, so that a fault can meet mails on their way."""
        self.order(dot_delay=seconds)

    def close(self) -> None:
        if self._process.poll() is None:
            self.stop()

    @property
    def accepted(self) -> int:
        return self.order()["accepted"]

    @property
    def applied(self) -> int:
        return self.order()["applied"]


__all__ = ["Act", "Rule", "SinkProcess"]
