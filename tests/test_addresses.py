"""One mailbox, one index form; and nothing that could end an SMTP command."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.addresses import AddressError, a_labels, normalise_address, wire_address


@pytest.mark.parametrize(
    ("written", "wire", "index"),
    [
        ("Anna@Example.ORG", "Anna@example.org", "anna@example.org"),
        (" anna@example.org ", "anna@example.org", "anna@example.org"),
        ("anna@example.org.", "anna@example.org", "anna@example.org"),
        ("anna@Bücher.example", "anna@xn--bcher-kva.example", "anna@xn--bcher-kva.example"),
        ("anna@XN--BCHER-KVA.example", "anna@xn--bcher-kva.example", "anna@xn--bcher-kva.example"),
        ("anna@عرب.example", "anna@xn--ngbrx.example", "anna@xn--ngbrx.example"),
        ("anna@例え．テスト", "anna@xn--r8jz45g.xn--zckzah", "anna@xn--r8jz45g.xn--zckzah"),
        ("Jose\u0301@example.net", "José@example.net", "josé@example.net"),
        ('"A@B"@example.org', '"A@B"@example.org', '"a@b"@example.org'),
        ("o'Brien+Tag@x.test", "o'Brien+Tag@x.test", "o'brien+tag@x.test"),
        ("postmaster@one-label", "postmaster@one-label", "postmaster@one-label"),
    ],
)
def test_one_mailbox_has_one_form(written: str, wire: str, index: str) -> None:
    assert wire_address(written) == wire
    assert normalise_address(written) == index


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "anna",
        "anna@",
        "@example.org",
        "anna@.",
        "anna@..org",
        "anna@ex ample.org",
        "anna@[127.0.0.1]",
        "anna@" + "a" * 64 + ".org",
        "anna@" + "é" * 300 + ".org",
        "anna@" + "a." * 130 + "org",
        "anna@xn--é.org",
        "anna\r\nRCPT TO:<x@example.org>@example.org",
        "anna\x00@example.org",
        "anna@example.org\x00",
        "anna@a\u200b..b",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(AddressError) as refused:
        normalise_address(text)
    assert len(text) < 6 or text not in str(refused.value)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=64), st.sampled_from(["example.org", "Bücher.EXAMPLE", "عرب.example"]))
def test_the_index_form_is_a_fixed_point(local: str, domain: str) -> None:
    try:
        form = normalise_address(f"{local}@{domain}")
    except AddressError:
        return
    assert normalise_address(form) == form
    assert unicodedata.is_normalized("NFC", form.rpartition("@")[0])


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_gives_a_name_or_an_address_error(text: str) -> None:
    try:
        labels = a_labels(text)
    except AddressError:
        return
    assert labels.isascii()
    assert len(labels) <= 253
