"""From a relay's name to a connection that is ready for letters: TCP, greeting, EHLO, TLS, login.

aiosmtplib speaks these steps, each within its own limit; then the bare
transport is handed to the pipeline. A relay that refuses is a value
(`Refusal`), never a traceback with its text. Nothing the server said before
TLS is believed after it, and no login goes out twice in one attempt.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import aiosmtplib

from mailer.smtp.judge import judge
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import HOST_PAUSE, Outcome, Phase, Reason, Verdict, unanswered
from mailer.smtp.relay import Relay, Tls
from mailer.smtp.reply import Reply, keepable


@dataclass(frozen=True, kw_only=True, slots=True)
class Features:
    """What the last EHLO offered. Nothing else may be used on the connection."""

    pipelining: bool
    size: bool
    eight_bit: bool
    smtputf8: bool
    chunking: bool
    dsn: bool

    @classmethod
    def of(cls, extensions: Mapping[str, str]) -> "Features":
        """From EHLO keywords in lower case."""
        return cls(
            pipelining="pipelining" in extensions,
            size="size" in extensions,
            eight_bit="8bitmime" in extensions,
            smtputf8="smtputf8" in extensions,
            chunking="chunking" in extensions,
            dsn="dsn" in extensions,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """A connection after its handshake, still without a reader of its own."""

    transport: asyncio.Transport
    features: Features


class Refusal(Exception):
    """The relay cannot be used now. `outcome` holds for every letter that was waiting for it."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(f"relay refused in phase {outcome.phase}: {outcome.reason}")
        self.outcome = outcome


def tls_context(relay: Relay) -> ssl.SSLContext | None:
    """The context that verifies the relay's certificate and name, TLS 1.2 at least; None without TLS."""
    if relay.tls is Tls.NONE:
        return None
    context = ssl.create_default_context(cafile=str(relay.ca) if relay.ca else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def open_session(
    relay: Relay, *, ehlo_name: str, limits: Limits, context: ssl.SSLContext | None
) -> Session:
    """Connect and greet, secure, log in; raises Refusal, and closes whatever was open then."""
    sock = await _connect(relay, limits)
    return await shake_hands(sock, relay, ehlo_name=ehlo_name, limits=limits, context=context)


async def shake_hands(
    sock: socket.socket,
    relay: Relay,
    *,
    ehlo_name: str,
    limits: Limits,
    context: ssl.SSLContext | None,
    opportunistic: bool = False,
    is_proven: Callable[[ssl.SSLObject | None], bool] = lambda _: True,
) -> Session:
    """Greet, secure and log in over a connected socket; raises Refusal, and closes it then.

    With `opportunistic` STARTTLS is used only where it is offered; `is_proven` has the last
    word on what came of it, before any letter.
    """
    handshake = _Handshake(relay, ehlo_name, limits, context, sock, opportunistic=opportunistic)
    try:
        session = await handshake.run()
        if not is_proven(cast(ssl.SSLObject | None, session.transport.get_extra_info("ssl_object"))):
            raise Refusal(unanswered(Phase.TLS, Reason.NO_TLS, text="the host cannot prove who it is"))
        return session
    except BaseException as error:
        handshake.abandon()
        if isinstance(error, Exception) and not isinstance(error, Refusal):
            raise Refusal(handshake.outcome_of(error)) from None
        raise


async def _connect(relay: Relay, limits: Limits) -> socket.socket:
    try:
        async with asyncio.timeout(limits.connect):
            return await _connect_to_any(relay)
    except TimeoutError:
        raise Refusal(unanswered(Phase.CONNECT, Reason.TIMEOUT)) from None
    except OSError as error:
        raise Refusal(unanswered(Phase.CONNECT, Reason.CONNECT, text=_words_of(error))) from None


async def _connect_to_any(relay: Relay) -> socket.socket:
    loop = asyncio.get_running_loop()
    # The name localhost never asks a resolver: what is exempt from TLS must be this machine.
    hosts = ("127.0.0.1", "::1") if relay.host == "localhost" else (relay.host,)
    last: OSError = OSError("no address")
    for host in hosts:
        found = await loop.getaddrinfo(host, relay.port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:  # a machine without IPv6
                last = error
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                await loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                last = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
    raise last


class _Handshake:
    """One attempt. `phase` is always the step that an error belongs to."""

    def __init__(
        self,
        relay: Relay,
        ehlo_name: str,
        limits: Limits,
        context: ssl.SSLContext | None,
        sock: socket.socket,
        *,
        opportunistic: bool,
    ) -> None:
        self.phase = Phase.TLS if relay.tls is Tls.IMPLICIT else Phase.GREETING
        self._relay = relay
        self._limits = limits
        self._context = context
        self._opportunistic = opportunistic
        self._sock = sock
        self._client = aiosmtplib.SMTP(
            # With a socket given, the host name is only what the certificate must carry.
            hostname=relay.host,
            local_hostname=ehlo_name,
            sock=sock,
            use_tls=relay.tls is Tls.IMPLICIT,
            start_tls=False,
            tls_context=context,
            timeout=limits.greeting,
        )

    async def run(self) -> Session:
        limits, client = self._limits, self._client
        await self._greet()
        self.phase = Phase.EHLO
        await client.ehlo(timeout=limits.ehlo)
        if self._relay.tls is Tls.STARTTLS:
            await self._start_tls()
        if self._relay.user is not None:
            await self._log_in(self._relay.user, self._relay.password or "")
        return self._hand_over()

    async def _greet(self) -> None:
        """aiosmtplib has one limit for the TLS handshake and the greeting; each gets its own here."""
        client, limits = self._client, self._limits
        opening = asyncio.ensure_future(client.connect(timeout=limits.greeting))
        try:
            if self._relay.tls is Tls.IMPLICIT:
                done, _ = await asyncio.wait({opening}, timeout=limits.tls)
                if not done and client.transport is None:
                    raise TimeoutError
                if client.transport is not None:
                    self.phase = Phase.GREETING
            await opening
        finally:
            opening.cancel()

    async def _start_tls(self) -> None:
        client = self._client
        self.phase = Phase.TLS
        if not client.supports_extension("starttls"):
            if self._opportunistic:
                return
            raise Refusal(
                unanswered(
                    Phase.TLS, Reason.NO_TLS, text="the relay does not offer STARTTLS", retry_after=HOST_PAUSE
                )
            )
        # aiosmtplib throws away what was buffered before TLS, and what the first EHLO offered.
        await client.starttls(timeout=self._limits.tls)
        self.phase = Phase.EHLO
        await client.ehlo(timeout=self._limits.ehlo)

    async def _log_in(self, user: str, password: str) -> None:
        """One method, tried once: `login()` would go through all of them and lock accounts."""
        self.phase = Phase.AUTH
        client, limit = self._client, self._limits.auth
        offered = client.server_auth_methods
        if "plain" in offered:
            await client.auth_plain(user, password, timeout=limit)
        elif "login" in offered:
            await client.auth_login(user, password, timeout=limit)
        elif "cram-md5" in offered:
            await client.auth_crammd5(user, password, timeout=limit)
        else:
            raise Refusal(
                unanswered(
                    Phase.AUTH, Reason.AUTH, text="the relay offers no login by PLAIN, LOGIN or CRAM-MD5"
                )
            )

    def _hand_over(self) -> Session:
        client = self._client
        protocol, transport = client.protocol, client.transport
        if protocol is None or transport is None or transport.is_closing():
            raise Refusal(unanswered(self.phase, Reason.LOST))
        # Bytes nobody asked for would be taken for the reply to the first MAIL.
        if getattr(protocol, "_buffer", b""):
            raise Refusal(unanswered(self.phase, Reason.PROTOCOL))
        return Session(
            transport=cast(asyncio.Transport, transport), features=Features.of(client.esmtp_extensions)
        )

    def abandon(self) -> None:
        transport = self._client.transport
        self._client.close()
        if transport is not None:
            cast(asyncio.Transport, transport).abort()
        self._sock.close()

    def outcome_of(self, error: Exception) -> Outcome:
        """What an error of the handshake means for the letters that wait. Keeps no secret and no address."""
        if isinstance(error, aiosmtplib.SMTPResponseException):
            return self._judge(error.code, error.message)
        if isinstance(error, TimeoutError):
            return unanswered(self.phase, Reason.TIMEOUT)
        tls_error = _tls_error_in(error)
        if tls_error is not None:
            return unanswered(Phase.TLS, Reason.NO_TLS, text=keepable(tls_error))
        if isinstance(error, OSError):
            return unanswered(self.phase, Reason.LOST, text=_words_of(error))
        return unanswered(self.phase, Reason.PROTOCOL)

    def _judge(self, code: int, message: str) -> Outcome:
        if code < 0:  # aiosmtplib's sign for bytes that are no reply
            return unanswered(self.phase, Reason.PROTOCOL)
        clean = self._relay.without_secrets(message).replace("\n", " ")
        reply = Reply(code, (clean.encode("utf-8", "replace"),))
        outcome = judge(self.phase, code, reply.enhanced, reply.text)
        if outcome.verdict is not Verdict.DEFERRED:  # a handshake decides about no letter
            return unanswered(self.phase, Reason.PROTOCOL)
        return outcome


def _tls_error_in(error: BaseException | None) -> str | None:
    """The reason of a TLS failure anywhere behind an error, for instance 'certificate has expired'."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        if isinstance(error, ssl.SSLError):
            return (error.reason or "TLS failed").replace("_", " ").lower()
        error = error.__cause__ or error.__context__
    return None


def _words_of(error: OSError) -> str:
    """The system's own words ('Connection refused'); a library's would quote hosts and ports."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "the relay's name is not known to the resolver"
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno)
        cause = cause.__cause__
    return ""
