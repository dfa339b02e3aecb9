"""The SMTP doors, spoken to over real sockets: what they take, what they refuse, and what they log."""

import smtplib
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import structlog
from sqlalchemy import func, select
from structlog.testing import LogCapture

from mailer import mx
from mailer.db.mailings import ReturnedMail
from mailer.messages.tokens import Purpose, mint
from mailer.services.audience import people
from mailer.services.desk.inbox import Inbox
from mailer.services.house import House
from mailer.vocabulary import SubscriptionState
from tests.web.scene import furnish

BOUNCED = b"Subject: returned\r\n\r\nanna@example.org does not exist\r\n"


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return Inbox(tmp_path / "inbox")


@pytest.fixture
def catching(inbox: Inbox) -> Iterator[mx.Listener]:
    listener = mx.start(mx.CatchAll(inbox), "127.0.0.1", 0)
    yield listener
    listener.stop()


@pytest.fixture
def inbound(house: House, now: datetime) -> Iterator[mx.Listener]:
    listener = mx.start(mx.Inbound(house, lambda: now), "127.0.0.1", 0)
    yield listener
    listener.stop()


@pytest.fixture
def log() -> Iterator[LogCapture]:
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture])
    yield capture
    structlog.configure(**before)


def client(listener: mx.Listener) -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", listener.port, timeout=30)


def kept(house: House) -> int:
    with house.database.read() as session:
        return session.scalar(select(func.count()).select_from(ReturnedMail)) or 0


def test_the_catch_all_keeps_every_mail_for_everybody(catching: mx.Listener, inbox: Inbox) -> None:
    data = b"Subject: x\r\n\r\n..dots\r\n.\tat the start\r\nend\r\n"
    with client(catching) as smtp:
        smtp.sendmail("b+t@bounces.example.org", ["a@example.org", "b@example.org"], data)
        smtp.sendmail("", ["c@example.org"], data)
    assert [entry.recipients for entry in inbox.list()] == [
        ("c@example.org",),
        ("a@example.org", "b@example.org"),
    ]
    caught = inbox.read(1)
    assert caught is not None
    assert caught.data == data


def test_the_catch_all_takes_addresses_in_every_script(catching: mx.Listener, inbox: Inbox) -> None:
    with client(catching) as smtp:
        smtp.ehlo()
        assert smtp.has_extn("smtputf8")
        smtp.sendmail("a@example.org", ["почта@example.org"], "Subject: Заява\r\n\r\n".encode(), ["SMTPUTF8"])
    assert inbox.list()[0].recipients == ("почта@example.org",)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "mail.example.org"])
def test_the_catch_all_never_listens_beyond_this_machine(inbox: Inbox, host: str) -> None:
    with pytest.raises(ValueError, match="listens on this machine only"):
        mx.start(mx.CatchAll(inbox), host, 0)


def test_a_full_disk_is_told_to_the_sender(catching: mx.Listener, inbox: Inbox, tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.rename(tmp_path / "away")
    with client(catching) as smtp, pytest.raises(smtplib.SMTPDataError) as refused:
        smtp.sendmail("a@example.org", ["b@example.org"], b"x")
    assert refused.value.smtp_code == 451
    assert inbox.count() == 0


def test_a_port_in_use_is_an_error_at_once(catching: mx.Listener, inbox: Inbox) -> None:
    with pytest.raises(OSError, match="in use"):
        mx.start(mx.CatchAll(inbox), "127.0.0.1", catching.port)


def test_stopping_ends_open_connections_and_frees_the_port(inbox: Inbox) -> None:
    listener = mx.start(mx.CatchAll(inbox), "127.0.0.1", 0)
    with client(listener) as smtp:
        smtp.ehlo()
        smtp.mail("a@example.org")
        listener.stop()
        listener.stop()
        with pytest.raises(smtplib.SMTPServerDisconnected):
            smtp.rcpt("b@example.org")
    again = mx.start(mx.CatchAll(inbox), "127.0.0.1", listener.port)
    again.stop()


def test_a_bounce_with_an_empty_sender_is_taken_once_it_is_stored(inbound: mx.Listener, house: House) -> None:
    token = mint(house.tokens, Purpose.RETURN, 7)
    with client(inbound) as smtp:
        assert smtp.sendmail("<>", [f"b+{token}@bounces.example.org"], BOUNCED) == {}
        smtp.sendmail("", ["postmaster@bounces.example.org"], BOUNCED)
    assert kept(house) == 2


def test_strangers_are_refused(inbound: mx.Listener, house: House) -> None:
    with client(inbound) as smtp:
        smtp.ehlo()
        smtp.mail("x@example.com")
        for stranger in (
            "anna@bounces.example.org",
            "b+abc@elsewhere.example",
            "postmaster@elsewhere.example",
        ):
            assert smtp.rcpt(stranger)[0] == 550
        assert smtp.rcpt("b+abc@bounces.example.org")[0] == 250
    assert kept(house) == 0


def test_a_mail_ends_a_subscription(
    inbound: mx.Listener, house: House, now: datetime, log: LogCapture
) -> None:
    token = furnish(house, now).leave
    with client(inbound) as smtp:
        smtp.sendmail("anna@example.org", [f"u+{token}@bounces.example.org"], b"Subject: unsubscribe\r\n\r\n")
    with house.database.read() as session:
        anna = people.find(session, house, "anna@example.org")
        assert anna is not None
        assert [one.state for one in anna.subscriptions] == [SubscriptionState.UNSUBSCRIBED]
    assert [line["taken"] for line in log.entries if line["event"] == "returned-mail"] == ["unsubscribe"]
    assert token not in str(log.entries)
    assert "anna" not in str(log.entries)


def test_what_cannot_be_stored_is_not_taken(house: House, now: datetime, log: LogCapture) -> None:
    def broken_clock() -> datetime:
        raise RuntimeError("secret@example.org")

    listener = mx.start(mx.Inbound(house, broken_clock), "127.0.0.1", 0)
    try:
        with client(listener) as smtp, pytest.raises(smtplib.SMTPDataError) as refused:
            smtp.sendmail("", ["b+abc@bounces.example.org"], BOUNCED)
    finally:
        listener.stop()
    assert refused.value.smtp_code == 451
    assert kept(house) == 0
    assert "secret" not in str(log.entries)
    assert any(line["event"] == "returned-mail-not-stored" for line in log.entries)


def test_ten_megabytes_is_the_limit(inbound: mx.Listener, house: House) -> None:
    with client(inbound) as smtp, pytest.raises(smtplib.SMTPResponseException) as refused:
        smtp.sendmail("", ["b+abc@bounces.example.org"], (b"x" * 998 + b"\r\n") * 10_600)
    assert refused.value.smtp_code == 552
    assert kept(house) == 0


def test_endless_lines_are_not_a_reason_to_lose_a_bounce(inbound: mx.Listener, house: House) -> None:
    with client(inbound) as smtp:
        smtp.sendmail("", ["b+abc@bounces.example.org"], b"Subject: x\r\n\r\n" + b"y" * 100_000 + b"\r\n")
    assert kept(house) == 1


def test_only_a_whole_end_of_data_ends_a_mail(inbound: mx.Listener, house: House) -> None:
    """No second mail can be smuggled in behind a bare line feed or carriage return."""
    smuggled = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<u+abc@bounces.example.org>\r\nDATA\r\nx\r\n"
    for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n.\x00\r\n"):
        with socket.create_connection(("127.0.0.1", inbound.port), timeout=30) as raw:
            lines = raw.makefile("rb")
            for line in (b"", b"HELO x", b"MAIL FROM:<>", b"RCPT TO:<b+abc@bounces.example.org>", b"DATA"):
                if line:
                    raw.sendall(line + b"\r\n")
                lines.readline()
            before = kept(house)
            raw.sendall(b"one" + end + smuggled + b"\r\n.\r\n")
            assert lines.readline().startswith(b"250")
            assert kept(house) == before + 1
