"""The doors of hosts found by DNS: connect, greet, and secure as the host's policy asks.

No policy is lowered here. Only where clear text was allowed anyway does a handshake
that fails lead to a second attempt without TLS (RFC 7435).
"""

import asyncio
import socket
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from mailer.smtp.hosts import Host, TlsPolicy
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Phase, Reason, unanswered
from mailer.smtp.relay import Relay, Tls
from mailer.smtp.session import Refusal, Session, shake_hands
from mailer.smtp.tls import context_for, is_proven


class Doors:
    """Opens sessions to hosts."""

    def __init__(
        self,
        *,
        ehlo_name: str,
        limits: Limits,
        ca: Path | None = None,
        wall_clock: Callable[[], datetime],
    ) -> None:
        self._ehlo_name = ehlo_name
        self._limits = limits
        self._ca = ca
        self._wall_clock = wall_clock

    async def open(self, host: Host) -> Session:
        """A session whose TLS is what the host's policy asks; raises Refusal."""
        try:
            return await self._open(host, Tls.STARTTLS)
        except Refusal as refusal:
            if host.tls is not TlsPolicy.OPPORTUNISTIC or refusal.outcome.phase is not Phase.TLS:
                raise
        return await self._open(host, Tls.NONE)

    async def _open(self, host: Host, tls: Tls) -> Session:
        return await shake_hands(
            await self._connect(host),
            Relay(host=host.name, port=host.port, tls=tls),
            ehlo_name=self._ehlo_name,
            limits=self._limits,
            context=context_for(host.tls, ca=self._ca) if tls is Tls.STARTTLS else None,
            opportunistic=host.tls is TlsPolicy.OPPORTUNISTIC,
            is_proven=lambda secured: is_proven(host, secured, now=self._wall_clock()),
        )

    async def _connect(self, host: Host) -> socket.socket:
        loop = asyncio.get_running_loop()
        try:
            sock = socket.socket(host.family, socket.SOCK_STREAM)
        except OSError:  # a machine without IPv6
            raise Refusal(unanswered(Phase.CONNECT, Reason.CONNECT)) from None
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            async with asyncio.timeout(self._limits.connect):
                await loop.sock_connect(sock, (host.address, host.port))
        except BaseException as error:
            sock.close()
            if isinstance(error, TimeoutError):
                raise Refusal(unanswered(Phase.CONNECT, Reason.TIMEOUT)) from None
            if isinstance(error, OSError):
                raise Refusal(unanswered(Phase.CONNECT, Reason.CONNECT)) from None
            raise
        return sock
