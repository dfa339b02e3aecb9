"""A real web server on loopback that tests fill with pages and ask what was requested."""

import ipaddress
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from mailer.ingest.fetch import Limits
from mailer.networks import Address
from mailer.services.sources.manners import Web

LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"),)
HOST = "site.example"


@dataclass(frozen=True)
class Reply:
    """What the server answers."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[Mapping[str, str]], Reply]


class WebServer:
    """Serves `pages` by path; a path without a page is a 404. `requests` holds (path, headers)."""

    def __init__(self) -> None:
        self.pages: dict[str, Reply | Answer] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.requests.append((self.path, headers))
                page = outer.pages.get(self.path, Reply(status=404))
                reply = page if isinstance(page, Reply) else page(headers)
                self.send_response(reply.status)
                named = {"content-type": "text/html; charset=utf-8", "content-length": str(len(reply.body))}
                for name, value in {**named, **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> "WebServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}{path}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    @property
    def web(self) -> Web:
        """The way to this server, which only a test's own argument opens; every other host is private."""
        return Web(limits=Limits(plain_http=True, allow=LOOPBACK), resolve=_resolve)


def _resolve(host: str, _port: int) -> list[Address]:
    return [ipaddress.ip_address("127.0.0.1" if host in (HOST, f"www.{HOST}") else "10.0.0.1")]
