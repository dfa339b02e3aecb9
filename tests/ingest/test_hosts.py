"""Only the public internet, in one spelling."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.ingest.errors import FetchError
from mailer.ingest.hosts import read_host, read_url, refuse_private
from mailer.networks import is_public

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
]
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "192.0.1.1",
    "100.128.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450::1",
    "2620:fe::fe",
]


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    found = ipaddress.ip_address(address)
    assert not is_public(found)
    with pytest.raises(FetchError, match="not public"):
        refuse_private([ipaddress.ip_address("8.8.8.8"), found])


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_taken(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))
    refuse_private([ipaddress.ip_address(address)])


def test_no_address_at_all_is_refused() -> None:
    with pytest.raises(FetchError, match="no address"):
        refuse_private([])


@settings(deadline=None)
@given(st.ip_addresses())
def test_we_are_stricter_than_the_standard_library(address: ipaddress.IPv4Address) -> None:
    assert address.is_global or not is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        "127.1",
        "0177.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0x",
        "127.0.0.01",
        "127.0.0.1.",
        "1.2.3",
        "１２７.０.０.１",
        "127。0。0。1",
        "①②⑦.0.0.1",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "a.localhost",
        "printer.local",
        "db.internal",
        "intranet",
        "example.org.",
        "example..org",
        ".example.org",
        "exa mple.org",
        "-a.example",
        "a.example-",
        "example.123",
        "example.0x7f",
        "",
        ".",
        "[::1",
        "::1%25eth0%",
        "a" * 64 + ".org",
        "a." * 200 + "org",
        "münchen",
        "exam_ple.o_g",
    ],
)
def test_every_other_spelling_of_a_host_is_refused(host: str) -> None:
    with pytest.raises(FetchError):
        read_host(host)


@pytest.mark.parametrize(
    ("host", "read"),
    [
        ("example.org", "example.org"),
        ("WWW.Example.ORG", "www.example.org"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("عرب.example", "xn--ngbrx.example"),
        ("8.8.8.8", "8.8.8.8"),
        ("2606:4700::1111", "2606:4700::1111"),
        ("4u.example", "4u.example"),
        ("123.example.org", "123.example.org"),
    ],
)
def test_a_plain_host_is_taken(host: str, read: str) -> None:
    assert read_host(host) == read


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "example.org",
        "https://user@example.org/",
        "https://user:pass@example.org/",
        "https://@example.org/",
        "https://example.org:8443/",
        "https://example.org:80/",
        "https://example.org:0/",
        "https://example.org:99999/",
        "https:///page",
        "https://",
        "https://exa mple.org/",
        "https://example.org/a b",
        "https://example.org\\@10.0.0.1/",
        "https://example.org/\r\nHost: other",
        "https://[::1",
        "https://2130706433/",
        "https://localhost/",
        "",
    ],
)
def test_a_web_address_that_must_not_be_fetched(url: str) -> None:
    with pytest.raises(FetchError):
        read_url(url)


def test_a_web_address_is_taken_apart() -> None:
    target = read_url("https://Bücher.Example:443/seite/ä?q=ö&x=%20#teil")
    assert (target.scheme, target.host, target.port) == ("https", "xn--bcher-kva.example", 443)
    assert target.path == "/seite/%C3%A4?q=%C3%B6&x=%20"


def test_plain_http_only_where_it_is_allowed() -> None:
    assert read_url("http://example.org", plain_http=True).path == "/"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_refusal(text: str) -> None:
    try:
        target = read_url(f"https://{text}")
    except FetchError:
        return
    assert target.host.isascii()
    assert target.path.isascii()
