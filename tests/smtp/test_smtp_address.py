"""Addresses on the wire: what may stand in an SMTP command, and in which octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.smtp.address import AddressSyntaxError, to_wire


@pytest.mark.parametrize(
    ("address", "octets"),
    [
        ("reader@example.org", b"reader@example.org"),
        ("Reader.Name+tag@Example.ORG", b"Reader.Name+tag@Example.ORG"),
        ("o'hara@example.org", b"o'hara@example.org"),
        ("!#$%&'*+-/=?^_`{|}~@example.org", b"!#$%&'*+-/=?^_`{|}~@example.org"),
        ('"quoted"@example.org', b'"quoted"@example.org'),
        ('"two words"@example.org', b'"two words"@example.org'),
        (r'"a\"b\\c"@example.org', rb'"a\"b\\c"@example.org'),
        ('"dots..here."@example.org', b'"dots..here."@example.org'),
        ("a" * 64 + "@example.org", b"a" * 64 + b"@example.org"),
        ("reader@bücher.example", b"reader@xn--bcher-kva.example"),
        ("reader@BÜCHER.example", b"reader@xn--bcher-kva.example"),
        ("reader@例え.テスト", b"reader@xn--r8jz45g.xn--zckzah"),
        ("reader@xn--bcher-kva.example", b"reader@xn--bcher-kva.example"),
        ("reader@localhost", b"reader@localhost"),
        ("x@a-b.example", b"x@a-b.example"),
    ],
)
def test_valid_addresses(address: str, octets: bytes) -> None:
    wire = to_wire(address)
    assert wire.octets == octets
    assert not wire.utf8


@pytest.mark.parametrize(
    "address", ["читач@example.org", "δοκιμή@παράδειγμα.δοκιμή", "خالد@مثال.إختبار", "用户@例え.テスト"]
)
def test_a_utf8_local_part_is_kept_and_marked(address: str) -> None:
    wire = to_wire(address)
    local, _, domain = wire.octets.rpartition(b"@")
    assert local.decode("utf-8") == address.rpartition("@")[0]
    assert domain.isascii()
    assert wire.utf8


INVALID = [
    "",
    "@",
    "reader",
    "reader@",
    "@example.org",
    "two words@example.org",
    "a@b@example.org",
    ".a@example.org",
    "a.@example.org",
    "a..b@example.org",
    "<a@example.org>",
    "a<b@example.org",
    '"a>b"@example.org',
    '"a<b"@example.org',
    '"a"b"@example.org',
    '"a@example.org',
    'a"b@example.org',
    "a\\b@example.org",
    "a,b@example.org",
    "a;b@example.org",
    "a:b@example.org",
    "a(b)@example.org",
    "a\r\nb@example.org",
    "a\nb@example.org",
    "a\0b@example.org",
    '"a\tb"@example.org',
    '"a\r\nb"@example.org',
    "a\x7fb@example.org",
    "a\x85б@example.org",
    "б\u2028@example.org",
    "б\u00a0в@example.org",
    "б\ue000@example.org",
    "б\ud800@example.org",
    "б<@example.org",
    "б..в@example.org",
    "б.@example.org",
    "a" * 65 + "@example.org",
    "б" * 33 + "@example.org",
    "a@" + "b" * 64 + ".org",
    "a@" + ".".join(["b" * 61] * 4) + ".example",
    "a@-b.example",
    "a@b-.example",
    "a@b..example",
    "a@.example",
    "a@example.org.",
    "a@exa mple.org",
    "a@ example.org",
    "a@example.org ",
    "a@example.org\r\n",
    "a@bücher .example",
    "a@ bücher.example",
    "a@under_score.example",
    "a@[127.0.0.1]",
    "a@[IPv6:::1]",
    "a@example.org>",
    "a@example.org> SIZE=1",
    "a@☃☃☃\u0000.example",
]


@pytest.mark.parametrize("address", INVALID)
def test_invalid_addresses_are_refused_without_being_repeated(address: str) -> None:
    with pytest.raises(AddressSyntaxError) as caught:
        to_wire(address)
    assert address == "" or len(address) < 3 or address not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text(max_size=80) | st.text(alphabet='ab@.<>" \\\r\n\0б', max_size=30))
def test_whatever_passes_fits_between_angle_brackets(text: str) -> None:
    try:
        octets = to_wire(text).octets
    except AddressSyntaxError:
        return
    assert len(octets) <= 254
    assert not set(octets) & set(b"<>\r\n\0\x7f")
    assert min(octets) >= 0x20
    assert octets.rpartition(b"@")[2].isascii()
    if b" " in octets:
        assert octets.startswith(b'"')
