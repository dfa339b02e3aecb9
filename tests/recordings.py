"""A web server on loopback that holds a recording, or does not; what it is asked is kept."""

import ipaddress
from collections.abc import Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

from mailer.ingest.fetch import Limits
from mailer.networks import Address
from tests.ingest.test_fetch import contexts

LOOPBACK = ipaddress.ip_address("127.0.0.1")
NAME = "recordings.example.org"
LIMITS = Limits(seconds=5.0, plain_http=True, allow=(ipaddress.ip_network("127.0.0.1/32"),))


class RecordingServer:
    """`status` answers GET, `head` HEAD; `location` sends both elsewhere."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is where a certificate may be kept; without one it speaks plain HTTP."""
        self.status, self.head = 200, 200
        self.location: str | None = None
        self.asked: list[str] = []
        self.agents: list[str] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self, status: int) -> None:
                owner.asked.append(self.command)
                owner.agents.append(self.headers["User-Agent"])
                onwards = owner.location if self.path == "/moved" else None
                self.send_response(302 if onwards else status)
                if onwards:
                    self.send_header("Location", onwards)
                self.send_header("Content-Length", str(10**12))  # nobody may wait for it
                self.end_headers()

            def do_HEAD(self) -> None:
                self._answer(owner.head)

            def do_GET(self) -> None:
                self._answer(owner.status)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        self.limits = LIMITS
        if folder is not None:
            secret, client = contexts(folder, NAME)
            self._server.socket = secret.wrap_socket(self._server.socket, server_side=True)
            self.limits = replace(LIMITS, tls=client)
        self.url = f"{'http' if folder is None else 'https'}://{NAME}:{self.port}/r/1"

    def resolve(self, _host: str, _port: int) -> Sequence[Address]:
        return [LOOPBACK]

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
