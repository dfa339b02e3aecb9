"""Real servers for the engine's tests: a well-behaved one (aiosmtpd) and one that misbehaves to the byte.

Both listen on loopback only, and keep what they received, so that a test can
count at the server which letter arrived, and how often.
"""

import asyncio
import contextlib
import datetime
import ipaddress
import re
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import settings

from mailer.smtp.engine import Engine
from mailer.smtp.journal import Journal
from mailer.smtp.letter import Letter
from mailer.smtp.limits import Limits
from mailer.smtp.relay import Relay

# A machine that runs other things too may take long over one example; no test here is about time.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

QUICK = Limits(
    connect=5, tls=5, greeting=5, ehlo=5, auth=5, mail=5, rcpt=5, data=5, block=5, dot=5, reset=5, quit=5
)
_ID = re.compile(rb"^X-Id: (\d+)\r\n", re.MULTILINE)


def make_letter(number: int, **changes: Any) -> Letter:
    """A small letter whose id can be read from its bytes at the server."""
    recipient = changes.get("recipient", f"reader{number}@example.org")
    size = changes.pop("size", 0)
    text = b"".join(b"%076d\r\n" % line for line in range(size // 78))
    facts: dict[str, Any] = {
        "id": number,
        "fence": 7,
        "sender": f"b+{number}@bounces.example.org",
        "recipient": recipient,
        "data": b"X-Id: %d\r\nSubject: hello\r\n\r\n%bEnd.\r\n" % (number, text),
    }
    return Letter(**(facts | changes))


@pytest.fixture
def letter() -> Callable[..., Letter]:
    return make_letter


@pytest.fixture
def letters() -> Callable[[int], list[Letter]]:
    return lambda count: [make_letter(number) for number in range(1, count + 1)]


@pytest.fixture
def engine() -> Iterator[Callable[..., Engine]]:
    """Makes engines with short limits, and closes them."""
    made: list[Engine] = []

    def make(url: str, **options: Any) -> Engine:
        facts: dict[str, Any] = {"ehlo_name": "mail.example.org", "limits": QUICK, "connections": 1}
        made.append(Engine(Relay.parse(url), **(facts | options)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journals", "send@test") as opened:
        yield opened


# --- the well-behaved server


@dataclass
class Arrived:
    """One mail as the server took it."""

    id: int
    sender: str
    recipient: str
    options: list[str]
    content: bytes
    connection: int


@dataclass
class Inbox:
    """An aiosmtpd server whose replies can be set per phase and recipient."""

    port: int = 0
    arrived: list[Arrived] = field(default_factory=list)
    replies: dict[tuple[str, str], str] = field(default_factory=dict)
    connections: int = 0
    quits: int = 0
    ehlo_names: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    envelopes: int = 0
    """How often MAIL was said, whatever came of it."""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def ids(self) -> list[int]:
        return sorted(mail.id for mail in self.arrived)


class _Handler:
    def __init__(self, inbox: Inbox, *, pipelining: bool) -> None:
        self.inbox = inbox
        self.pipelining = pipelining
        self.recipients: list[str] = []

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.inbox.ehlo_names.append(hostname)
        if self.pipelining:
            responses.insert(1, "250-PIPELINING")
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.inbox.envelopes += 1
        refusal = self.inbox.replies.get(("MAIL", address))
        if refusal is not None:
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 sender ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        refusal = self.inbox.replies.get(("RCPT", address))
        if refusal is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        recipient = envelope.rcpt_tos[0]
        refusal = self.inbox.replies.get(("DOT", recipient))
        if refusal is not None:
            return refusal
        content = bytes(envelope.original_content or b"")
        found = _ID.search(content)
        self.inbox.arrived.append(
            Arrived(
                id=int(found[1]) if found else 0,
                sender=envelope.mail_from or "",
                recipient=recipient,
                options=list(envelope.mail_options),
                content=content,
                connection=session.number,  # type: ignore[attr-defined]
            )
        )
        return "250 2.0.0 taken"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.inbox.quits += 1
        return "221 2.0.0 bye"


class _Server(SMTP):
    """aiosmtpd's own, counting its connections."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.session is not None and not hasattr(self.session, "number"):
            inbox = self.event_handler.inbox
            inbox.connections += 1
            self.session.number = inbox.connections  # type: ignore[attr-defined]

    def _create_session(self) -> Session:
        before = getattr(self.session, "number", None)
        session = super()._create_session()
        if before is not None:
            session.number = before  # type: ignore[attr-defined]
        return session


def _authenticator(inbox: Inbox) -> Callable[..., AuthResult]:
    def check(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        inbox.logins.append(mechanism)
        right = isinstance(data, LoginPassword) and data.password == b"right password"
        return AuthResult(success=right, handled=False)

    return check


@pytest.fixture
def inbox_server() -> Iterator[Callable[..., Inbox]]:
    """Starts well-behaved servers; each has its own port and its own list of arrived mails."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers: list[asyncio.Server] = []

    def start(
        *,
        pipelining: bool = True,
        smtputf8: bool = True,
        login: bool = False,
        starttls: ssl.SSLContext | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Inbox:
        inbox = Inbox()

        def serve() -> SMTP:
            with (
                warnings.catch_warnings()
            ):  # aiosmtpd warns of a login in clear text, which is on purpose here
                warnings.simplefilter("ignore", UserWarning)
                return make_server()

        def make_server() -> SMTP:
            return _Server(
                _Handler(inbox, pipelining=pipelining),
                hostname="sink.example.org",
                enable_SMTPUTF8=smtputf8,
                tls_context=starttls,
                authenticator=_authenticator(inbox) if login else None,
                auth_required=login,
                auth_require_tls=False,
                loop=loop,
            )

        async def listen() -> asyncio.Server:
            return await loop.create_server(serve, "127.0.0.1", 0, ssl=tls)

        server = asyncio.run_coroutine_threadsafe(listen(), loop).result(5)
        servers.append(server)
        inbox.port = server.sockets[0].getsockname()[1]
        return inbox

    yield start

    async def stop() -> None:
        for server in servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(stop(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.fixture
def inbox(inbox_server: Callable[..., Inbox]) -> Inbox:
    return inbox_server()


# --- the server that misbehaves


class Wire:
    """One connection seen from a script: what the client sent, and bytes, closes and resets back."""

    def __init__(self, sock: socket.socket, server: "RawServer", number: int) -> None:
        self.sock = sock
        self.server = server
        self.number = number
        self._buffer = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def line(self) -> bytes:
        """The next line without its CRLF; raises EOFError when the client is gone."""
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        self.server.lines.append(line)
        return line

    def expect(self, word: bytes) -> bytes:
        line = self.line()
        if not line.upper().startswith(word):
            self.server.surprises.append(line)
        return line

    def body(self) -> bytes:
        """A message up to its final dot, which counts as arrived."""
        while b"\r\n.\r\n" not in self._buffer:
            self._more()
        content, _, self._buffer = self._buffer.partition(b"\r\n.\r\n")
        content += b"\r\n"
        found = _ID.search(content)
        self.server.bodies.append(int(found[1]) if found else 0)
        return content

    def skip(self, octets: int) -> None:
        """Read that many octets of whatever comes."""
        while len(self._buffer) < octets:
            self._more()
        self._buffer = self._buffer[octets:]

    def greet(self, *extensions: bytes) -> None:
        """Greeting and EHLO; PIPELINING is offered unless other extensions are given."""
        self.send(b"220 sink.example.org ESMTP\r\n")
        self.expect(b"EHLO")
        lines = [b"sink.example.org", *(extensions or (b"PIPELINING", b"8BITMIME"))]
        for line in lines[:-1]:
            self.send(b"250-" + line + b"\r\n")
        self.send(b"250 " + lines[-1] + b"\r\n")

    def envelope(self, data: bytes = b"354 go ahead\r\n") -> None:
        """MAIL, RCPT and DATA, all accepted."""
        self.expect(b"MAIL")
        self.send(b"250 2.1.0 ok\r\n")
        self.expect(b"RCPT")
        self.send(b"250 2.1.5 ok\r\n")
        self.expect(b"DATA")
        self.send(data)

    def take(self, count: int) -> None:
        """Take that many mails in good order."""
        for _ in range(count):
            self.envelope()
            self.body()
            self.send(b"250 2.0.0 taken\r\n")

    def take_all(self) -> None:
        """Behave until the client quits or goes."""
        while True:
            line = self.line().upper()
            if line == b"QUIT":
                self.send(b"221 bye\r\n")
                return
            if line == b"DATA":
                self.send(b"354 go ahead\r\n")
                self.body()
            self.send(b"250 2.0.0 ok\r\n")

    def octets(self, count: int) -> bytes:
        """Exactly that many octets: a BDAT chunk."""
        while len(self._buffer) < count:
            self._more()
        chunk, self._buffer = self._buffer[:count], self._buffer[count:]
        return chunk

    def chunks(self, say: Callable[[str, int], bytes | None] | None = None) -> None:
        """Take whole letters by BDAT until the client quits or goes; strict about what is in order.

        `say(step, letter)` is the reply to a step of a letter, None for the usual one. What is in
        order and got a yes counts as taken, with the letters its sender, recipient and body name.
        A refused letter leaves its sender behind until RSET, as servers do that are strict about it.
        """
        sender = recipient = 0
        answer = say or (lambda step, letter: None)
        while True:
            line = self.line()
            word = line.split()[0].decode().upper()
            if word == "RSET":
                reply = answer("rset", 0) or b"250 2.0.0 flushed\r\n"
                sender = recipient = 0
            elif word == "MAIL":
                letter = int(line.partition(b"+")[2].partition(b"@")[0])
                reply = answer("mail", letter) or b"250 2.1.0 sender ok\r\n"
                reply = b"503 5.5.1 sender already given\r\n" if sender else reply
                sender = sender or (letter if reply.startswith(b"2") else 0)
            elif word == "RCPT":
                letter = int(line.partition(b"reader")[2].partition(b"@")[0])
                reply = answer("rcpt", letter) or b"250 2.1.5 recipient ok\r\n"
                reply = reply if sender else b"503 5.5.1 sender first\r\n"
                recipient = letter if reply.startswith(b"2") else recipient
            elif word == "BDAT":
                found = _ID.search(self.octets(int(line.split()[1])))
                letter = int(found[1]) if found else 0
                reply = answer("last", letter) or b"250 2.0.0 taken %d\r\n" % letter
                if not recipient:
                    reply = b"503 5.5.1 no valid recipients\r\n" if reply.startswith(b"250 2.0.0") else reply
                elif reply.startswith(b"2"):
                    self.server.taken.append((sender, recipient, letter))
                    sender = recipient = 0
            elif word == "DATA" and not recipient:
                reply = b"503 5.5.1 no valid recipients\r\n"
            elif word == "DATA":
                self.send(b"354 go ahead\r\n")
                self.body()
                letter = self.server.bodies.pop()
                reply = answer("last", letter) or b"250 2.0.0 taken %d\r\n" % letter
                if reply.startswith(b"2"):
                    self.server.taken.append((sender, recipient, letter))
                sender = recipient = 0
            else:
                reply = b"221 bye\r\n"
            self.send(reply)
            if word == "QUIT":
                return

    def wait_for_close(self) -> None:
        """Say nothing until the client hangs up."""
        with contextlib.suppress(EOFError):
            while True:
                self._more()

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _more(self) -> None:
        data = self.sock.recv(65536)
        if not data:
            raise EOFError
        self._buffer += data


Script = Callable[[Wire], None]


class RawServer:
    """Connection 1 runs script 1, and so on; the last script serves all that follow."""

    def __init__(self, scripts: tuple[Script, ...]) -> None:
        self.scripts = scripts
        self.lines: list[bytes] = []
        self.bodies: list[int] = []
        self.surprises: list[bytes] = []
        self.taken: list[tuple[int, int, int]] = []  # by BDAT: the letters that sender, recipient, body name
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)  # a connection that it takes just now is among those below
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                self._sockets.append(sock)
                wire = Wire(sock, self, self.connections)
                script = self.scripts[min(self.connections, len(self.scripts)) - 1]
                thread = threading.Thread(target=self._run, args=(script, wire), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _run(self, script: Script, wire: Wire) -> None:
        with contextlib.suppress(EOFError, OSError):
            script(wire)
        wire.sock.close()


@pytest.fixture
def raw_server() -> Iterator[Callable[..., RawServer]]:
    made: list[RawServer] = []

    def start(*scripts: Script) -> RawServer:
        made.append(RawServer(scripts))
        return made[-1]

    yield start
    for server in made:
        server.close()


# --- certificates


@dataclass(frozen=True)
class Certificates:
    """A private authority and server contexts signed by it, for 127.0.0.1 or for another name."""

    ca: Path
    good: ssl.SSLContext
    wrong_name: ssl.SSLContext


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    ca = _certificate(ca_name, ca_name, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=0))
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))

    def server(label: str, names: list[x509.GeneralName]) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, label)])
        certificate = _certificate(subject, ca_name, key, ca_key, x509.SubjectAlternativeName(names))
        file = folder / f"{label}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context

    return Certificates(
        ca=ca_file,
        good=server("good", [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
        wrong_name=server("wrong", [x509.DNSName("other.example.org")]),
    )


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    extension: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(extension, critical=False)
        .sign(signer, hashes.SHA256())
    )
