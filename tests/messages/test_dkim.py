"""DKIM: an independent verifier agrees with every signature and with none that was touched."""

import datetime as dt
import functools
import re

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.messages.dkim import OVERSIGNED, NotSignable, Signer

AT = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
MAIL = (
    b"From: Example Institute <news@example.org>\r\n"
    b"To: reader@example.net\r\n"
    b"Subject: =?utf-8?q?A_?=\r\n =?utf-8?q?statement?=\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    b"Message-ID: <abc@example.org>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain;\r\n\tcharset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n"
    b"List-Id: Statements <statements.lists.example.org>\r\n"
    b"List-Unsubscribe: <https://example.org/u/token>,\r\n"
    b" <mailto:u+token@bounces.example.org?subject=unsubscribe>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"Feedback-ID: 12:statements:alert:example\r\n"
    b"Precedence: list\r\n"
    b"\r\n"
    b"Dear reader,  two blanks\tand a tab \r\n\r\nThe end\r\n\r\n\r\n"
)


def pem(key, encryption=None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@functools.cache
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def signer() -> Signer:
    return Signer("example.org", "m2026a", pem(key()))


def verifies(data: bytes, record: str | None = None) -> bool:
    asked = []

    def dns(name, timeout=5):
        asked.append(name.decode() if isinstance(name, bytes) else name)
        return (record or signer().dns_record).encode()

    result = dkim.verify(data, dnsfunc=dns)
    assert asked in ([], ["m2026a._domainkey.example.org."])
    return result


def signed(mail: bytes = MAIL) -> bytes:
    return signer().sign(mail, signed_at=AT)


def signature_of(data: bytes) -> dict[str, str]:
    raw = re.match(rb"DKIM-Signature:(.*?)\r\n(?![ \t])", data, re.DOTALL).group(1).decode()
    return dict(tag.strip().split("=", 1) for tag in re.sub(r"\r\n\s+", "", raw).split(";"))


def test_an_independent_verifier_agrees_and_the_mail_is_untouched():
    data = signed()
    assert verifies(data)
    assert data.endswith(MAIL)
    assert data.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org;\r\n")


def test_tags():
    tags = signature_of(signed())
    assert tags["a"] == "rsa-sha256"
    assert tags["c"] == "relaxed/relaxed"
    assert (tags["d"], tags["s"]) == ("example.org", "m2026a")
    assert int(tags["t"]) == int(AT.timestamp())
    assert not {"l", "x", "i", "z"} & tags.keys()
    assert list(tags)[-1] == "b"


def test_every_named_header_is_named_once_more_than_it_occurs():
    names = signature_of(signed())["h"].split(":")
    present = [line.split(b":")[0].decode().lower() for line in MAIL.split(b"\r\n\r\n")[0].split(b"\r\n")]
    assert {name: names.count(name) for name in OVERSIGNED} == {
        name: present.count(name) + 1 for name in OVERSIGNED
    }
    assert {"list-unsubscribe", "list-unsubscribe-post", "from", "subject", "reply-to", "cc"} <= set(names)


def test_the_signature_is_short_ascii_lines_and_the_same_every_time():
    data = signed()
    head = data[: -len(MAIL)]
    assert all(len(line) <= 78 for line in head.split(b"\r\n"))
    assert head.isascii()
    assert not any(line.startswith(b".") for line in head.split(b"\r\n"))
    assert data == signed()


@pytest.mark.parametrize(
    "added",
    [
        b"Subject: Another\r\n",
        b"From: Someone <x@example.com>\r\n",
        b"Reply-To: <x@example.com>\r\n",
        b"Cc: <x@example.com>\r\n",
        b"List-Unsubscribe: <https://example.com/>\r\n",
        b"List-Post: <mailto:x@example.com>\r\n",
        b"Auto-Submitted: no\r\n",
        b"Content-Type: text/html\r\n",
    ],
)
@pytest.mark.parametrize("place", ["top", "bottom"])
def test_an_added_header_breaks_the_signature(added, place):
    data = signed()
    assert verifies(data)
    touched = added + data if place == "top" else data.replace(b"\r\n\r\n", b"\r\n" + added + b"\r\n", 1)
    assert not verifies(touched)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Dear reader", b"Dear Reader"),
        (b"The end", b"The end\r\n\r\nP.S."),
        (b"To: reader@", b"To: writer@"),
        (b"u/token", b"u/other"),
        (b"One-Click", b"Two-Click"),
    ],
)
def test_a_changed_mail_breaks_the_signature(old, new):
    assert not verifies(signed().replace(old, new, 1))


def test_what_relays_do_on_the_way_does_not_break_it():
    data = signed()
    travelled = (
        b"Received: from a by b; Mon, 23 Nov 2026 12:00:01 +0000\r\n"
        + data.replace(b"Subject: =?", b"SUBJECT:   =?", 1).removesuffix(b"\r\n\r\n")
    )  # fmt: skip
    assert verifies(travelled)


def test_another_key_does_not_verify():
    other = Signer(
        "example.org", "m2026a", pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    )
    assert not verifies(signed(), other.dns_record)


BODIES = st.lists(
    st.text(st.sampled_from("ab .\t=é"), max_size=12).map(lambda line: line.encode()), max_size=8
).map(b"\r\n".join)


@settings(max_examples=60, deadline=None)  # the first call makes a key
@given(body=BODIES, subject=st.text(st.sampled_from("ab \t"), max_size=20))
def test_the_verifier_agrees_on_every_kind_of_blank(body, subject):
    head, _, _ = MAIL.partition(b"\r\n\r\n")
    mail = head + b"\r\nComments:" + subject.encode() + b"x\r\n\r\n" + body + b"\r\n"
    assert verifies(signed(mail))


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n", b" \r\n\t\r\n", b"x \t\r\n"])
def test_the_ends_of_bodies(body):
    assert verifies(signed(MAIL.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"Dear reader", b"Dear\nreader", "CR LF"),
        (b"Dear reader", b"Dear\rreader", "CR LF"),
        (b"The end\r\n\r\n\r\n", b"The end", "CR LF"),
        (b"From: Example Institute <news@example.org>\r\n", b"", "exactly one From"),
        (b"To: ", b"From: x@example.org\r\nTo: ", "exactly one From"),
        (b"news@example.org>", b"news@example.com>", "not at the signing domain"),
        (b"news@example.org>", b"news@badexample.org>", "not at the signing domain"),
        (b"To: reader", b"To reader", "no header field"),
    ],
)
def test_what_must_not_be_signed_is_refused(old, new, says):
    with pytest.raises(NotSignable, match=says):
        signed(MAIL.replace(old, new, 1))


def test_a_header_alone_is_no_mail():
    with pytest.raises(NotSignable, match="empty line"):
        signed(MAIL.partition(b"\r\n\r\n")[0] + b"\r\n")


@pytest.mark.parametrize("sender", [b"<news@Example.ORG>", b"news@example.org", b"A <n@lists.example.org>"])
def test_a_sender_at_or_below_the_domain_is_signed(sender):
    assert verifies(signed(MAIL.replace(b"Example Institute <news@example.org>", sender)))


def test_the_time_of_signing_needs_a_zone():
    with pytest.raises(NotSignable, match="zone"):
        signer().sign(MAIL, signed_at=dt.datetime(2026, 11, 23))


UNUSABLE_KEYS = {
    "text": lambda: "no key at all é",
    "small": lambda: pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
    "elliptic": lambda: pem(ec.generate_private_key(ec.SECP256R1())),
    "encrypted": lambda: pem(key(), BestAvailableEncryption(b"secret")),
}


@pytest.mark.parametrize("made", UNUSABLE_KEYS.values(), ids=UNUSABLE_KEYS.keys())
def test_unusable_keys_are_refused_in_plain_words(made):
    with pytest.raises(NotSignable, match="the DKIM key") as refused:
        Signer("example.org", "m2026a", made())
    assert refused.value.__cause__ is None
    assert "BEGIN" not in str(refused.value)


@pytest.mark.parametrize(
    ("domain", "selector"), [("no domain", "m"), ("example.org", "a b"), ("example.org", "a;")]
)
def test_domain_and_selector_are_checked(domain, selector):
    with pytest.raises(NotSignable):
        Signer(domain, selector, pem(key()))


def test_the_key_shows_in_no_repr():
    assert repr(signer()) == "Signer(domain='example.org', selector='m2026a')"


def test_dns_record():
    assert signer().dns_name == "m2026a._domainkey.example.org"
    assert signer().dns_record.startswith("v=DKIM1; k=rsa; p=MII")
