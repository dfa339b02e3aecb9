"""A real SMTP server for tests: it keeps what it takes, and can be told to answer otherwise."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP


@dataclass(frozen=True)
class Taken:
    """One mail as it arrived."""

    sender: str
    recipient: str
    data: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.data, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


class _FreePort(Controller):
    """aiosmtpd asks the port it was given whether the server is up; with port 0 that is another one."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class MailServer:
    """Use as a context manager; `mails` is what has been accepted, in order.

    `greeted` and `envelopes` are when somebody said EHLO and MAIL, in seconds since 1970.
    """

    def __init__(self) -> None:
        self.mails: list[Taken] = []
        self.greeted: list[float] = []
        self.envelopes: list[float] = []
        self.reply_to_recipient: Callable[[str], str | None] = lambda _recipient: None
        self.reply_to_data: Callable[[str], str | None] = lambda _recipient: None
        self._controller = _FreePort(_Handler(self), hostname="127.0.0.1", port=0, enable_SMTPUTF8=True)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self._controller.port}"

    def to(self, recipient: str) -> list[Taken]:
        return [mail for mail in self.mails if mail.recipient == recipient]

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()


class _Handler:
    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def handle_EHLO(
        self, _smtp: SMTP, session: Any, _envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self._server.greeted.append(time.time())
        return responses

    async def handle_MAIL(
        self, _smtp: SMTP, _session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self._server.envelopes.append(time.time())
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, _smtp: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        reply = self._server.reply_to_recipient(address)
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 2.1.5 OK"

    async def handle_DATA(self, _smtp: SMTP, _session: Any, envelope: Any) -> str:
        reply = self._server.reply_to_data(envelope.rcpt_tos[0])
        if reply is None:
            taken = [Taken(envelope.mail_from, to, envelope.original_content) for to in envelope.rcpt_tos]
            self._server.mails += taken
        return reply or "250 2.0.0 OK"
