"""The relay's URL: what it means, what is refused with a way out, and that no secret is ever shown."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.smtp.relay import Relay, RelayError, Tls, is_loopback, parse_all


@pytest.mark.parametrize(
    ("url", "host", "port", "tls", "text"),
    [
        ("smtp://relay.example.org", "relay.example.org", 587, Tls.STARTTLS, "smtp://relay.example.org:587"),
        ("smtp://relay.example.org:2525", "relay.example.org", 2525, Tls.STARTTLS, None),
        ("smtp://relay.example.org/", "relay.example.org", 587, Tls.STARTTLS, None),
        ("SMTP://Relay.Example.ORG?tls=starttls", "relay.example.org", 587, Tls.STARTTLS, None),
        (
            "smtps://relay.example.org",
            "relay.example.org",
            465,
            Tls.IMPLICIT,
            "smtps://relay.example.org:465",
        ),
        ("smtps://relay.example.org:4465", "relay.example.org", 4465, Tls.IMPLICIT, None),
        ("smtp://127.0.0.1:2525", "127.0.0.1", 2525, Tls.NONE, "smtp://127.0.0.1:2525"),
        ("smtp://127.9.9.9", "127.9.9.9", 25, Tls.NONE, None),
        ("smtp://localhost", "localhost", 25, Tls.NONE, None),
        ("smtp://[::1]:2525", "::1", 2525, Tls.NONE, "smtp://[::1]:2525"),
        ("smtp://localhost?tls=starttls", "localhost", 587, Tls.STARTTLS, None),
        ("smtp://localhost?tls=none", "localhost", 25, Tls.NONE, None),
        ("smtp://relay:25?tls=none&insecure=yes", "relay", 25, Tls.NONE, None),
        ("smtp://[2001:db8::1]", "2001:db8::1", 587, Tls.STARTTLS, "smtp://[2001:db8::1]:587"),
        ("smtp://bücher.example", "xn--bcher-kva.example", 587, Tls.STARTTLS, None),
    ],
)
def test_what_a_url_means(url: str, host: str, port: int, tls: Tls, text: str | None) -> None:
    relay = Relay.parse(url)
    assert (relay.host, relay.port, relay.tls) == (host, port, tls)
    assert relay.connections == 4
    assert (relay.user, relay.password) == (None, None)
    assert text is None or str(relay) == text


def test_user_and_password_are_decoded() -> None:
    relay = Relay.parse("smtps://staff%40example.org:p%2Fa%3As%25s%20w%C3%B6rd@relay.example.org")
    assert (relay.user, relay.password) == ("staff@example.org", "p/a:s%s wörd")


def test_a_user_may_hold_an_at_sign() -> None:
    relay = Relay.parse("smtps://staff@example.org:secret@relay.example.org")
    assert (relay.user, relay.password, relay.host) == ("staff@example.org", "secret", "relay.example.org")


def test_options(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text("x")
    relay = Relay.parse(f"smtp://relay.example.org?connections=12&ca={ca}")
    assert (relay.connections, relay.ca) == (12, ca)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "smtp:// or smtps://"),
        ("relay.example.org:587", "smtp:// or smtps://"),
        ("http://relay.example.org", "smtp:// or smtps://"),
        ("smtp:relay.example.org", "smtp:// or smtps://"),
        ("smtp://", "names no host"),
        ("smtp://:587", "names no host"),
        ("smtp://user:password@", "names no host"),
        ("smtp://relay.example.org:0", "port"),
        ("smtp://relay.example.org:70000", "port"),
        ("smtp://relay.example.org:smtp", "port"),
        ("smtp://relay.example.org:465", "smtps://"),
        ("smtps://relay.example.org:587", "smtp://"),
        ("smtps://relay.example.org:25", "smtp://"),
        ("smtp://relay.example.org/mail", "nothing may follow"),
        ("smtp://relay.example.org#x", "nothing may follow"),
        ("smtp://user@relay.example.org", "user and password together"),
        ("smtp://:password@relay.example.org", "user and password together"),
        ("smtp://us%0Aer:password@relay.example.org", "control character"),
        ("smtp://relay.example.org?tls=maybe", "starttls or none"),
        ("smtp://relay.example.org?tls=none", "insecure=yes"),
        ("smtp://relay.example.org?tls=none&insecure=no", "insecure=yes"),
        ("smtp://user:password@relay?tls=none&insecure=yes", "clear text"),
        ("smtps://relay.example.org?tls=none", "TLS already"),
        ("smtps://relay.example.org?tls=starttls", "TLS already"),
        ("smtp://relay.example.org?verify=no", "unknown option"),
        ("smtp://relay.example.org?tls=starttls&tls=none", "twice"),
        ("smtp://relay.example.org?connections=0", "from 1 to 50"),
        ("smtp://relay.example.org?connections=51", "from 1 to 50"),
        ("smtp://relay.example.org?connections=many", "from 1 to 50"),
        ("smtp://relay.example.org?ca=/no/such/file.pem", "no readable file"),
        ("smtp://127.0.0.1?ca=/etc/hosts", "needs TLS"),
        ("smtp://exa mple.org", "space"),
        ("smtp://example.org\r\n", "space or a control character"),
        ("smtp://-x.example.org", "not a host name"),
        ("smtp://a..b", "not a host name"),
        ("smtp://[::1", "port is not a number"),
        ("smtp://exa%20mple.org", "not a host name"),
    ],
)
def test_a_url_that_cannot_be_used_says_what_to_write_instead(url: str, says: str) -> None:
    with pytest.raises(RelayError) as caught:
        Relay.parse(url)
    assert says in str(caught.value)


@pytest.mark.parametrize("piece", ["/", "?", "#", "[", "]", ":", "@", " ", "%", "&", "\\", "ö"])
@pytest.mark.parametrize("rest", ["", ":587", "?tls=none", "?verify=no", ":99999", "/x"])
def test_no_error_and_no_repr_shows_the_password(piece: str, rest: str) -> None:
    url = f"smtp://canary-user:canary1{piece}canary2@relay.example.org{rest}"
    try:
        shown = repr(relay := Relay.parse(url)) + str(relay)
    except RelayError as error:
        shown = str(error) + repr(error) + repr(error.__cause__)
    assert "canary" not in shown


@given(st.text(max_size=60) | st.text(alphabet="smtp:/@?[]%.=&#123a", max_size=40).map("smtp://".__add__))
def test_any_text_is_a_relay_or_a_relay_error(text: str) -> None:
    try:
        relay = Relay.parse(text)
    except RelayError:
        return
    assert relay.host
    assert 1 <= relay.port <= 65535
    assert relay.tls is not Tls.NONE or relay.is_loopback or "insecure=yes" in text


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.255.0.3", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "localhost.example.org",
        "localhost.",
        "LOCALHOST.localdomain",
        "127.0.0.1.example.org",
        "127.1",
        "0.0.0.0",
        "::",
        "::ffff:127.0.0.1",
        "128.0.0.1",
        "10.0.0.1",
        "169.254.1.1",
        "2130706433",
        "relay",
        "",
    ],
)
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_secrets_are_taken_out_of_a_servers_text() -> None:
    relay = Relay.parse("smtps://canary-user:canary-pass@relay.example.org")
    text = "canary-user canary-pass Y2FuYXJ5LXVzZXI= Y2FuYXJ5LXBhc3M= AGNhbmFyeS11c2VyAGNhbmFyeS1wYXNz"
    assert relay.without_secrets(text) == " ".join(["<secret>"] * 5)


def test_options_of_what_is_in_flight_and_of_weight() -> None:
    relay = Relay.parse("smtp://relay.example.org?depth=32&chunking=no&weight=100")
    assert (relay.depth, relay.chunking, relay.weight) == (32, False, 100)
    relay = Relay.parse("smtp://relay.example.org")
    assert (relay.depth, relay.chunking, relay.weight) == (8, True, 1)


@pytest.mark.parametrize(
    "option", ["depth=0", "depth=33", "depth=x", "weight=0", "weight=101", "weight=", "chunking=maybe"]
)
def test_options_out_of_bounds_say_what_is_allowed(option: str) -> None:
    with pytest.raises(RelayError, match=option.partition("=")[0]):
        Relay.parse(f"smtp://relay.example.org?{option}")


def test_several_relays_are_separated_by_white_space() -> None:
    relays = parse_all("  smtp://one.example.org?weight=3\n\tsmtps://two.example.org  ")
    assert [(relay.host, relay.weight) for relay in relays] == [
        ("one.example.org", 3),
        ("two.example.org", 1),
    ]


@pytest.mark.parametrize("text", ["", "  \n"])
def test_no_relay_is_refused(text: str) -> None:
    with pytest.raises(RelayError, match="at least one"):
        parse_all(text)


def test_the_same_relay_twice_is_refused() -> None:
    with pytest.raises(RelayError, match="weight"):
        parse_all("smtp://one.example.org smtp://one.example.org?weight=2")
