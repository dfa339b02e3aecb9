"""The fetcher against real servers on loopback, which only the test's own argument lets it reach."""

import gzip
import ipaddress
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailer.ingest.errors import FetchError
from mailer.ingest.fetch import REDIRECTS, Fetched, Limits, fetch
from mailer.ingest.page import PAGE_BYTES
from mailer.networks import Address

LOOPBACK = (ipaddress.ip_network("127.0.0.1/32"),)
OPEN = Limits(plain_http=True, allow=LOOPBACK)
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n"
Script = Callable[[socket.socket, bytes], None]


class Server:
    """One loopback server: each connection's request is kept, and the script answers it."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._script = script
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._tls.wrap_socket(plain, server_side=True) if self._tls else plain as connection:
                    request = connection.recv(65536)
                    self.requests.append(request)
                    self._script(connection, request)
            except OSError:
                plain.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    with ExitStack() as stack:
        server = Server(script, tls)
        stack.callback(server.close)
        yield server


def answer(octets: bytes) -> Script:
    return lambda connection, _: connection.sendall(octets)


def page(body: bytes, *headers: bytes) -> bytes:
    return PAGE + b"".join(header + b"\r\n" for header in headers) + b"\r\n" + body


def at(*addresses: str) -> Callable[[str, int], list[Address]]:
    return lambda _host, _port: [ipaddress.ip_address(address) for address in addresses]


def get(server: Server, path: str = "/", **more: object) -> Fetched:
    settings = {"limits": OPEN, "resolve": at("127.0.0.1")} | more
    return fetch(f"http://site.example:{server.port}{path}", **settings)  # type: ignore[arg-type]


def test_a_page_arrives() -> None:
    with serving(answer(page(b"<p>Hello</p>", b"Content-Length: 12"))) as server:
        found = get(server, "/a?b=c#d")
    assert found.body == b"<p>Hello</p>"
    assert found.charset == "utf-8"
    request = server.requests[0].decode()
    assert request.startswith("GET /a?b=c HTTP/1.1\r\n")
    assert f"Host: site.example:{server.port}\r\n" in request
    assert "Cookie" not in request
    assert "Authorization" not in request


def test_without_the_tests_own_argument_loopback_is_refused_and_not_contacted() -> None:
    with serving(answer(page(b"x"))) as server:
        with pytest.raises(FetchError, match="Port"):
            get(server, limits=Limits(plain_http=True))
        with pytest.raises(FetchError, match="not public"):
            fetch("http://site.example/", limits=Limits(plain_http=True), resolve=at("127.0.0.1"))
    assert server.requests == []


def test_one_private_address_among_public_ones_refuses_the_host() -> None:
    with serving(answer(page(b"x"))) as server, pytest.raises(FetchError, match="not public"):
        get(server, resolve=at("127.0.0.1", "10.0.0.1"))
    assert server.requests == []


def test_a_rebinding_resolver_is_asked_once() -> None:
    answers = iter((["127.0.0.1"], ["10.0.0.1"]))
    asked: list[str] = []

    def resolve(host: str, _port: int) -> list[Address]:
        asked.append(host)
        return [ipaddress.ip_address(address) for address in next(answers)]

    with serving(answer(page(b"pinned"))) as server:
        assert get(server, resolve=resolve).body == b"pinned"
    assert asked == ["site.example"]


def moved(location: str) -> Script:
    return answer(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())


def test_a_redirect_is_followed_and_the_last_address_told() -> None:
    def script(connection: socket.socket, request: bytes) -> None:
        (answer(page(b"there")) if request.startswith(b"GET /there") else moved("/there?x=1"))(
            connection, request
        )

    with serving(script) as server:
        found = get(server)
    assert found.url.endswith("/there?x=1")
    assert found.body == b"there"


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2/",
        "http://10.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "http://localhost/",
        "http://2130706433/",
        "file:///etc/passwd",
        "ftp://site.example/",
        "http://user@site.example/",
        "//10.0.0.1/",
    ],
)
def test_a_redirect_to_a_private_place_is_refused(location: str) -> None:
    def resolve(host: str, _port: int) -> list[Address]:
        return [ipaddress.ip_address("127.0.0.1" if host == "site.example" else host)]

    with serving(moved(location)) as server, pytest.raises(FetchError):
        get(server, resolve=resolve)
    assert len(server.requests) == 1


def test_a_redirect_from_https_to_http_is_refused(tmp_path: Path) -> None:
    server_tls, client_tls = contexts(tmp_path, "site.example")
    with (
        serving(moved("http://site.example/"), server_tls) as server,
        pytest.raises(FetchError, match="https"),
    ):
        fetch(
            f"https://site.example:{server.port}/",
            limits=Limits(allow=LOOPBACK, tls=client_tls),
            resolve=at("127.0.0.1"),
        )


def test_redirects_end() -> None:
    with serving(moved("/again")) as server, pytest.raises(FetchError, match="more than 3 times"):
        get(server)
    assert len(server.requests) == REDIRECTS + 1


def test_a_silent_server_is_left_at_the_deadline() -> None:
    def wait_for_the_end(connection: socket.socket, _: bytes) -> None:
        connection.recv(1)

    limits = Limits(plain_http=True, allow=LOOPBACK, seconds=0.2)
    with serving(wait_for_the_end) as server, pytest.raises(FetchError, match="too long"):
        get(server, limits=limits)


@pytest.mark.parametrize("start", [b"", PAGE + b"\r\n"])
def test_a_dripping_server_is_left_at_the_deadline(start: bytes) -> None:
    def drip(connection: socket.socket, _: bytes) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(b"x" * 7000)  # always in time for the next read, never done

    ticks = itertools.count()
    limits = Limits(plain_http=True, allow=LOOPBACK, seconds=4)
    with serving(drip) as server, pytest.raises(FetchError, match=r"too long|more than a page"):
        get(server, limits=limits, clock=lambda: float(next(ticks)))
    assert next(ticks) < 40


def test_an_endless_body_stops_at_the_limit() -> None:
    def endless(connection: socket.socket, _: bytes) -> None:
        connection.sendall(PAGE + b"\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    with serving(endless) as server, pytest.raises(FetchError, match=r"larger than|more than a page"):
        get(server)


def test_endless_headers_stop_at_the_limit() -> None:
    def endless(connection: socket.socket, _: bytes) -> None:
        connection.sendall(PAGE)
        for number in itertools.count():
            connection.sendall(b"X-%d: " % number + b"y" * 20_000 + b"\r\n")

    with serving(endless) as server, pytest.raises(FetchError):
        get(server)


def test_a_packed_page_is_unpacked() -> None:
    packed = gzip.compress(b"<p>Hello</p>")
    with serving(answer(page(packed, b"Content-Encoding: gzip"))) as server:
        assert get(server).body == b"<p>Hello</p>"


def test_a_bomb_never_unfolds() -> None:
    bomb = gzip.compress(b"\0" * (64 * PAGE_BYTES))
    unfolding = answer(page(bomb, b"Content-Encoding: gzip"))
    with serving(unfolding) as server, pytest.raises(FetchError, match="larger than 2 MiB"):
        get(server)


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (page(b"half", b"Content-Length: 100"), "cut off"),
        (page(gzip.compress(b"x" * 5000)[:-9], b"Content-Encoding: gzip"), "cut off"),
        (page(b"no gzip", b"Content-Encoding: gzip"), "cannot be read"),
        (page(b"5\r\nhal", b"Transfer-Encoding: chunked"), "cannot be read"),
        (page(b"x", b"Content-Encoding: br"), "packed as br"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n<p>No", "answered 404"),
        (b"HTTP/1.1 500 No\r\n\r\n", "answered 500"),
        (b"HTTP/1.1 302 Found\r\n\r\n", "answered 302"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n%PDF", "application/pdf"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n", "image/png"),
        (b"SSH-2.0-OpenSSH\r\n", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_an_answer_that_is_no_whole_page_is_refused(octets: bytes, words: str) -> None:
    with serving(answer(octets)) as server, pytest.raises(FetchError, match=words):
        get(server)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(FetchError, match="does not answer"):
        fetch(f"http://site.example:{port}/", limits=OPEN, resolve=at("127.0.0.1"))


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    with serving(answer(page(b"direct"))) as server:
        assert get(server).body == b"direct"


def contexts(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for `name`, and a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.pem")
    client = ssl.create_default_context(cadata=pem.decode())
    return server, client


def test_https_asks_for_the_name_at_the_checked_address(tmp_path: Path) -> None:
    server_tls, client_tls = contexts(tmp_path, "site.example")
    names: list[str | None] = []
    server_tls.sni_callback = lambda _socket, name, _context: names.append(name)
    with serving(answer(page(b"secret page")), server_tls) as server:
        found = fetch(
            f"https://site.example:{server.port}/",
            limits=Limits(allow=LOOPBACK, tls=client_tls),
            resolve=at("127.0.0.1"),
        )
    assert found.body == b"secret page"
    assert names == ["site.example"]


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    server_tls, client_tls = contexts(tmp_path, "other.example")
    with serving(answer(page(b"x")), server_tls) as server, pytest.raises(FetchError, match="certificate"):
        fetch(
            f"https://site.example:{server.port}/",
            limits=Limits(allow=LOOPBACK, tls=client_tls),
            resolve=at("127.0.0.1"),
        )
    assert server.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "10.0.0.1", "[::ffff:127.0.0.1]"])
def test_what_the_systems_resolver_finds_is_checked_too(host: str) -> None:
    with pytest.raises(FetchError, match="not public"):
        fetch(f"https://{host}/")
