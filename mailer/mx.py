"""The SMTP doors of the house: one takes returned mail, one catches the demo's mail on loopback.

`Inbound` answers 250 only when what came is committed, and 451 when it could not be, so
that the other side keeps the mail. `CatchAll` refuses to listen beyond this machine.
Nothing is sent from here and no address is ever logged.
"""

import asyncio
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Protocol

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from mailer.services.audience import returned
from mailer.services.desk.inbox import Inbox
from mailer.services.house import House

LARGEST = 10 * 1024 * 1024  # octets of one mail
LONGEST_LINE = 1024 * 1024  # what comes back is often not well formed and must not be lost for it
MOST_RECIPIENTS = 100  # RFC 5321 4.5.3.1.8
PATIENCE = 300  # seconds a client may stay silent, RFC 5321 4.5.3.2.7
START_SECONDS = 10

OK = "250 2.0.0 Kept"
UNKNOWN = "550 5.1.1 Nobody reads mail at this address"
TOO_MANY = "452 4.5.3 Too many recipients in one mail"
LATER = "451 4.3.0 It could not be stored; please try again later"

log = structlog.get_logger("mailer.mx")


class Door(Protocol):
    """What an SMTP handler answers to each recipient and each mail, besides the protocol's own replies."""

    loopback_only: bool
    greeting: str

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, rcpt_options: list[str]
    ) -> str: ...

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str: ...


class CatchAll:
    """Keeps every mail for the inbox viewer, whoever it is for."""

    loopback_only = True
    greeting = "localhost"

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        try:
            self._inbox.store(envelope.mail_from or "", envelope.rcpt_tos, _octets(envelope))
        except OSError as problem:
            log.error("mail-not-kept", error=type(problem).__name__)
            return LATER
        return OK

    async def handle_exception(self, error: Exception) -> str:
        return _broken(error)


class Inbound:
    """Takes what comes back: unsubscribes by mail at once, everything else sealed for later reading."""

    loopback_only = False

    def __init__(self, house: House, clock: Callable[[], datetime]) -> None:
        self.greeting = house.settings.bounce_domain
        self._house = house
        self._clock = clock

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        if not returned.is_known(self._house, address):
            return UNKNOWN
        if len(envelope.rcpt_tos) >= MOST_RECIPIENTS:
            return TOO_MANY
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        recipients, data = list(envelope.rcpt_tos), _octets(envelope)
        try:
            taken = await asyncio.to_thread(self._take, recipients, data)
        except Exception as problem:  # whatever it was, the mail is not stored, so the sender must keep it
            log.error("returned-mail-not-stored", error=type(problem).__name__)
            return LATER
        for word in taken:
            log.info("returned-mail", taken=word.value, octets=len(data))
        return OK

    def _take(self, recipients: list[str], data: bytes) -> list[returned.Taken]:
        now = self._clock()
        with self._house.database.write() as session:
            return [returned.take(session, self._house, one, data, now) for one in recipients]

    async def handle_exception(self, error: Exception) -> str:
        return _broken(error)


class _Protocol(SMTP):
    line_length_limit = LONGEST_LINE


class Listener:
    """A running SMTP server: an event loop in a thread of its own. `port` is the one really in use."""

    def __init__(self, door: Door, bound: socket.socket) -> None:
        self.host, self.port = bound.getsockname()[:2]
        self._door, self._bound = door, bound
        self._loop = asyncio.new_event_loop()
        self._up: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name=f"smtp-{self.port}", daemon=True)
        self._thread.start()
        self._up.result(timeout=START_SECONDS)

    def stop(self) -> None:
        """Close the port and end the thread; a mail that was not yet confirmed stays with its sender."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(self._loop.create_server(self._protocol, sock=self._bound))
        except BaseException as problem:
            self._up.set_exception(problem)
            self._loop.close()
            return
        self._up.set_result(None)
        self._loop.run_forever()
        server.close()
        self._loop.run_until_complete(self._end_connections())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _end_connections(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _protocol(self) -> SMTP:
        return _Protocol(
            self._door,
            hostname=self._door.greeting,
            ident="mailer",
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
            timeout=PATIENCE,
            loop=self._loop,
        )


def start(door: Door, host: str, port: int) -> Listener:
    """Listen on host and port (0 picks a free one) until `stop()`.

    Raises OSError when the port is in use, ValueError when a catch-all is to listen beyond loopback.
    """
    if door.loopback_only and not _is_loopback(host):
        raise ValueError(
            f"The demo's inbox takes mail for anybody, so it listens on this machine only. "
            f"Use 127.0.0.1 instead of {host}."
        )
    _silence_library()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return Listener(door, socket.create_server((host, port), family=family, backlog=128))


def _octets(envelope: Envelope) -> bytes:
    content = envelope.content
    return content if isinstance(content, bytes) else (content or "").encode()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _silence_library() -> None:
    # aiosmtpd logs every sender and recipient as it goes; a log must never hold one.
    library = logging.getLogger("mail.log")
    library.setLevel(logging.CRITICAL)
    library.propagate = False


def _broken(error: Exception) -> str:
    log.error("smtp-session-broken", error=type(error).__name__)
    return LATER
