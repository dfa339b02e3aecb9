"""From connect to login: TLS is verified or nothing is sent, and a relay that refuses is asked once."""

import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict

Make = Callable[..., Any]
IMPATIENT = Limits(connect=0.3, tls=0.3, greeting=0.3, ehlo=0.3, auth=0.3)


def all_deferred_by_relay(outcomes: list[tuple[int, Outcome]], count: int) -> Outcome:
    """Every letter is deferred for the relay's sake and told when to come back; returns their outcome."""
    assert sorted(number for number, _ in outcomes) == list(range(1, count + 1))
    for _, outcome in outcomes:
        assert (outcome.verdict, outcome.fault) == (Verdict.DEFERRED, Fault.RELAY)
        assert outcome.retry_after is not None
        assert outcome.retry_after > 0
    assert len({outcome for _, outcome in outcomes}) == 1
    return outcomes[0][1]


# --- TLS


def test_starttls_is_verified_and_used(
    inbox_server: Make, engine: Make, letters: Make, certificates: Any
) -> None:
    inbox = inbox_server(starttls=certificates.good)
    sender = engine(f"{inbox.url}?tls=starttls&ca={certificates.ca}")
    outcomes = list(sender.send(letters(20)))
    assert {outcome.verdict for _, outcome in outcomes} == {Verdict.SENT}
    assert inbox.ids == list(range(1, 21))
    assert len(inbox.ehlo_names) == 2  # once in clear, once inside


def test_implicit_tls_is_verified_and_used(
    inbox_server: Make, engine: Make, letters: Make, letter: Make, certificates: Any
) -> None:
    inbox = inbox_server(tls=certificates.good)
    sender = engine(f"smtps://127.0.0.1:{inbox.port}?ca={certificates.ca}")
    outcomes = list(sender.send(letters(20)))
    outcomes += list(sender.send([letter(21, size=1_000_000)]))
    assert {outcome.verdict for _, outcome in outcomes} == {Verdict.SENT}
    assert inbox.ids == list(range(1, 22))
    assert inbox.connections == 1


@pytest.mark.parametrize("case", ["unknown authority", "wrong name"])
@pytest.mark.parametrize("implicit", [True, False])
def test_a_certificate_that_does_not_verify_sends_nothing(
    inbox_server: Make, engine: Make, letters: Make, certificates: Any, case: str, implicit: bool
) -> None:
    context = certificates.wrong_name if case == "wrong name" else certificates.good
    option = f"ca={certificates.ca}" if case == "wrong name" else ""
    inbox = inbox_server(tls=context) if implicit else inbox_server(starttls=context)
    url = f"smtps://127.0.0.1:{inbox.port}?{option}" if implicit else f"{inbox.url}?tls=starttls&{option}"
    outcome = all_deferred_by_relay(list(engine(url).send(letters(5))), 5)
    assert (outcome.phase, outcome.reason) == (Phase.TLS, Reason.NO_TLS)
    assert "certificate" in outcome.text or "mismatch" in outcome.text
    assert inbox.arrived == []


def test_a_relay_without_starttls_gets_no_letter_and_no_password(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.greet(b"PIPELINING", b"AUTH PLAIN LOGIN")
        wire.wait_for_close()

    server = raw_server(script)
    url = server.url.replace("smtp://", "smtp://user:canary-password@") + "?tls=starttls"
    outcome = all_deferred_by_relay(list(engine(url).send(letters(5))), 5)
    assert (outcome.phase, outcome.reason) == (Phase.TLS, Reason.NO_TLS)
    assert server.lines == [b"EHLO mail.example.org"]
    assert server.connections == 1


def test_what_was_offered_before_tls_is_forgotten(
    raw_server: Make, engine: Make, letters: Make, certificates: Any
) -> None:
    """An attacker on the wire may add words before TLS; after it only the relay's own count."""

    def script(wire: Any) -> None:
        wire.greet(b"STARTTLS", b"PIPELINING", b"SMTPUTF8", b"SIZE 1000")
        wire.expect(b"STARTTLS")
        wire.send(b"220 go ahead\r\n")
        wire.sock = certificates.good.wrap_socket(wire.sock, server_side=True)
        wire.expect(b"EHLO")
        wire.send(b"250-sink\r\n250 8BITMIME\r\n")
        line = wire.expect(b"MAIL")
        assert b"SIZE" not in line
        assert wire._buffer == b""
        wire.send(b"250 ok\r\n")
        wire.take_all()

    server = raw_server(script)
    outcomes = list(engine(f"{server.url}?tls=starttls&ca={certificates.ca}").send(letters(3)))
    assert {outcome.verdict for _, outcome in outcomes} == {Verdict.SENT}
    assert server.bodies == [1, 2, 3]


def test_words_injected_before_tls_are_thrown_away(
    raw_server: Make, engine: Make, letters: Make, certificates: Any
) -> None:
    def script(wire: Any) -> None:
        wire.greet(b"STARTTLS")
        wire.expect(b"STARTTLS")
        wire.send(b"220 go ahead\r\n250-evil\r\n250 PIPELINING\r\n")
        wire.sock = certificates.good.wrap_socket(wire.sock, server_side=True)
        wire.expect(b"EHLO")
        wire.send(b"250-sink\r\n250 8BITMIME\r\n")
        wire.take_all()

    server = raw_server(script)
    outcomes = list(engine(f"{server.url}?tls=starttls&ca={certificates.ca}").send(letters(2)))
    # The injected bytes are either dropped, or break the TLS handshake; they are never believed.
    assert {outcome.verdict for _, outcome in outcomes} <= {Verdict.SENT, Verdict.DEFERRED}
    assert server.bodies in ([], [1, 2])


def test_refused_starttls(raw_server: Make, engine: Make, letters: Make) -> None:
    def script(wire: Any) -> None:
        wire.greet(b"STARTTLS")
        wire.expect(b"STARTTLS")
        wire.send(b"454 4.3.0 TLS not available\r\n")
        wire.wait_for_close()

    server = raw_server(script)
    outcome = all_deferred_by_relay(list(engine(server.url + "?tls=starttls").send(letters(3))), 3)
    assert (outcome.phase, outcome.code, outcome.reason) == (Phase.TLS, 454, Reason.NO_TLS)


def test_a_ca_file_that_is_no_certificate(
    inbox_server: Make, engine: Make, letters: Make, certificates: Any, tmp_path: Any
) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("not a certificate")
    inbox = inbox_server(starttls=certificates.good)
    outcome = all_deferred_by_relay(list(engine(f"{inbox.url}?tls=starttls&ca={ca}").send(letters(2))), 2)
    assert outcome.reason is Reason.NO_TLS
    assert "ca" in outcome.text
    assert inbox.connections == 0


# --- login


@pytest.mark.parametrize("implicit", [True, False])
def test_login_then_letters(
    inbox_server: Make, engine: Make, letters: Make, certificates: Any, implicit: bool
) -> None:
    tls = {"tls": certificates.good} if implicit else {"starttls": certificates.good}
    inbox = inbox_server(login=True, **tls)
    scheme = "smtps" if implicit else "smtp"
    option = f"ca={certificates.ca}" + ("" if implicit else "&tls=starttls")
    url = f"{scheme}://staff%40example.org:right%20password@127.0.0.1:{inbox.port}?{option}"
    outcomes = list(engine(url).send(letters(3)))
    assert {outcome.verdict for _, outcome in outcomes} == {Verdict.SENT}
    assert len(inbox.logins) == 1


def test_a_refused_login_is_tried_once_and_shows_no_secret(
    inbox_server: Make, engine: Make, letters: Make
) -> None:
    inbox = inbox_server(login=True)
    url = f"smtp://canary-user:canary-password@127.0.0.1:{inbox.port}"
    outcome = all_deferred_by_relay(list(engine(url, connections=4).send(letters(50))), 50)
    assert (outcome.phase, outcome.code, outcome.reason) == (Phase.AUTH, 535, Reason.AUTH)
    assert len(inbox.logins) == 1
    assert inbox.connections == 1
    assert "canary" not in repr(outcome)


def test_a_server_that_repeats_the_login_does_not_bring_it_into_the_outcome(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.greet(b"AUTH PLAIN")
        line = wire.expect(b"AUTH PLAIN")
        wire.send(b"535 5.7.8 no: " + line + b" canary-user/canary-password\r\n")
        wire.wait_for_close()

    server = raw_server(script)
    url = server.url.replace("smtp://", "smtp://canary-user:canary-password@")
    outcome = all_deferred_by_relay(list(engine(url).send(letters(1))), 1)
    assert outcome.text == "no: AUTH PLAIN <secret> <secret>/<secret>"


@pytest.mark.parametrize("methods", [b"AUTH XOAUTH2", b"PIPELINING"])
def test_a_relay_without_a_known_login(raw_server: Make, engine: Make, letters: Make, methods: bytes) -> None:
    def script(wire: Any) -> None:
        wire.greet(methods)
        wire.wait_for_close()

    server = raw_server(script)
    url = server.url.replace("smtp://", "smtp://user:password@")
    outcome = all_deferred_by_relay(list(engine(url).send(letters(1))), 1)
    assert (outcome.phase, outcome.reason) == (Phase.AUTH, Reason.AUTH)


@pytest.mark.parametrize("challenge", [b"334 !!!not base64!!!\r\n", b"334\r\n", b"334 =\r\n"])
@pytest.mark.parametrize("method", [b"AUTH CRAM-MD5", b"AUTH LOGIN"])
def test_a_nonsense_challenge_is_an_outcome(
    raw_server: Make, engine: Make, letters: Make, challenge: bytes, method: bytes
) -> None:
    def script(wire: Any) -> None:
        wire.greet(method)
        wire.expect(b"AUTH")
        wire.send(challenge)
        wire.line()
        wire.send(b"535 no\r\n")
        wire.wait_for_close()

    server = raw_server(script)
    url = server.url.replace("smtp://", "smtp://user:password@")
    outcome = all_deferred_by_relay(list(engine(url).send(letters(1))), 1)
    assert outcome.phase is Phase.AUTH


def test_words_nobody_asked_for_after_the_login_end_the_connection(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.send(b"220 hello\r\n")
        wire.expect(b"EHLO")
        wire.send(b"250-sink\r\n250 PIPELINING\r\n250 and more\r\n")
        wire.wait_for_close()

    server = raw_server(script)
    outcome = all_deferred_by_relay(list(engine(server.url).send(letters(2))), 2)
    assert outcome.reason is Reason.PROTOCOL
    assert server.bodies == []


# --- a relay that is not there, or does not want us


def test_nobody_listens(engine: Make, letters: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = all_deferred_by_relay(list(engine(f"smtp://127.0.0.1:{port}").send(letters(100))), 100)
    assert (outcome.phase, outcome.reason, outcome.text) == (
        Phase.CONNECT,
        Reason.CONNECT,
        "Connection refused",
    )


def test_an_unknown_host(engine: Make, letters: Make) -> None:
    outcome = all_deferred_by_relay(list(engine("smtp://relay.invalid").send(letters(3))), 3)
    assert outcome.phase is Phase.CONNECT


def test_localhost_is_this_machine_without_a_resolver(inbox: Any, engine: Make, letters: Make) -> None:
    outcomes = list(engine(f"smtp://localhost:{inbox.port}").send(letters(2)))
    assert {outcome.verdict for _, outcome in outcomes} == {Verdict.SENT}


@pytest.mark.parametrize(
    ("greeting", "reason", "code"),
    [
        (b"554 5.7.1 we do not talk to you\r\n", Reason.REFUSED, 554),
        (b"421 4.3.2 too busy\r\n", Reason.CLOSING, 421),
        (b"220-half\r\n", Reason.TIMEOUT, None),
        (b"SSH-2.0-OpenSSH\r\n", Reason.PROTOCOL, None),
        (b"220 " + b"x" * 1_000_000, Reason.PROTOCOL, None),
        (b"\xff\xfe\r\n", Reason.PROTOCOL, None),
        (b"", Reason.TIMEOUT, None),
    ],
    ids=["554", "421", "half", "ssh", "1MB", "binary", "silence"],
)
def test_greetings_that_are_no_welcome(
    raw_server: Make, engine: Make, letters: Make, greeting: bytes, reason: Reason, code: int | None
) -> None:
    def script(wire: Any) -> None:
        wire.send(greeting)
        wire.wait_for_close()

    server = raw_server(script)
    outcome = all_deferred_by_relay(list(engine(server.url, limits=IMPATIENT).send(letters(9))), 9)
    assert (outcome.phase, outcome.reason, outcome.code) == (Phase.GREETING, reason, code)
    assert server.connections == 1


def test_a_refused_ehlo_is_the_senders_fault(raw_server: Make, engine: Make, letters: Make) -> None:
    def script(wire: Any) -> None:
        wire.send(b"220 hello\r\n")
        wire.expect(b"EHLO")
        wire.send(b"550 5.7.1 your name is not your address's\r\n")
        wire.wait_for_close()

    server = raw_server(script)
    outcomes = list(engine(server.url).send(letters(3)))
    assert {(o.verdict, o.fault, o.phase) for _, o in outcomes} == {
        (Verdict.DEFERRED, Fault.SENDER, Phase.EHLO)
    }
    assert server.connections == 1


@pytest.mark.parametrize("phase", [Phase.GREETING, Phase.EHLO, Phase.AUTH])
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_handshake_that_breaks_off(
    raw_server: Make, engine: Make, letters: Make, phase: Phase, leave: str
) -> None:
    def script(wire: Any) -> None:
        if phase is not Phase.GREETING:
            wire.send(b"220 hello\r\n")
            wire.expect(b"EHLO")
        if phase is Phase.AUTH:
            wire.send(b"250-sink\r\n250 AUTH PLAIN\r\n")
            wire.expect(b"AUTH")
        wire.reset() if leave == "reset" else wire.sock.close()

    server = raw_server(script)
    url = server.url.replace("smtp://", "smtp://user:password@")
    outcome = all_deferred_by_relay(list(engine(url).send(letters(5))), 5)
    possible = {(phase, Reason.LOST)}
    if phase is Phase.GREETING and leave == "reset":
        possible.add((Phase.CONNECT, Reason.CONNECT))  # the reset may be there before connect() has returned
    assert (outcome.phase, outcome.reason) in possible
    assert server.connections == 1


def test_a_tls_handshake_without_an_end(raw_server: Make, engine: Make, letters: Make) -> None:
    server = raw_server(lambda wire: wire.wait_for_close())
    url = server.url.replace("smtp://", "smtps://")
    outcome = all_deferred_by_relay(list(engine(url, limits=IMPATIENT).send(letters(2))), 2)
    assert (outcome.phase, outcome.reason) == (Phase.TLS, Reason.TIMEOUT)


def test_after_a_refusal_the_next_call_tries_again(raw_server: Make, engine: Make, letter: Make) -> None:
    def refuse(wire: Any) -> None:
        wire.send(b"554 not now\r\n")

    server = raw_server(refuse, lambda wire: (wire.greet(), wire.take_all()))
    sender = engine(server.url)
    assert [outcome.fault for _, outcome in sender.send([letter(1)])] == [Fault.RELAY]
    assert [outcome.verdict for _, outcome in sender.send([letter(1)])] == [Verdict.SENT]


def test_a_relay_that_lets_in_fewer_connections_than_wished(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def refuse(wire: Any) -> None:
        wire.send(b"421 4.7.0 too many connections from you\r\n")

    server = raw_server(lambda wire: (wire.greet(), wire.take_all()), refuse)
    outcomes = list(engine(server.url, connections=4).send(letters(200)))
    assert {outcome.verdict for _, outcome in outcomes} == {Verdict.SENT}
    assert sorted(server.bodies) == list(range(1, 201))
    assert server.connections <= 4


def test_the_context_verifies() -> None:
    from mailer.smtp.relay import Relay
    from mailer.smtp.session import tls_context

    context = tls_context(Relay.parse("smtps://relay.example.org"))
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert tls_context(Relay.parse("smtp://127.0.0.1")) is None
