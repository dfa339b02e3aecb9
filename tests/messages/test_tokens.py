"""Tokens, Message-IDs and return addresses: what is genuine is read, everything else is None."""

import base64
import hmac
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.addresses import AddressError
from mailer.messages import tokens
from mailer.messages.tokens import (
    Purpose,
    TokenKeys,
    message_id,
    mint,
    read,
    read_return_address,
    return_address,
    token_of_address,
)

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
KEYS = TokenKeys(current=1, keys={1: OLD})
ROTATED = TokenKeys(current=2, keys={1: OLD, 2: NEW})
DOMAIN = "bounces.example.org"
NUMBERS = st.integers(min_value=0, max_value=2**63 - 1)


@given(purpose=st.sampled_from(Purpose), numbers=st.lists(NUMBERS, max_size=4).map(tuple))
def test_what_was_minted_is_read(purpose, numbers):
    token = mint(KEYS, purpose, *numbers)
    assert re.fullmatch(r"[a-z2-7]+", token)
    assert read(KEYS, purpose, token, len(numbers)) == numbers
    assert read(KEYS, purpose, token, len(numbers) + 1) is None


@given(numbers=st.tuples(NUMBERS, NUMBERS), bit=st.integers(min_value=0))
def test_no_flipped_bit_of_the_octets_is_read(numbers, bit):
    token = mint(KEYS, Purpose.UNSUBSCRIBE, *numbers)
    octets = bytearray(base64.b32decode(token.upper() + "=" * (-len(token) % 8)))
    octets[bit // 8 % len(octets)] ^= 1 << bit % 8
    forged = base64.b32encode(bytes(octets)).decode().rstrip("=").lower()
    assert read(KEYS, Purpose.UNSUBSCRIBE, forged, 2) is None


def test_no_changed_character_is_read():
    token = mint(KEYS, Purpose.UNSUBSCRIBE, 4711, 12)
    for at, letter in enumerate(token):
        for bit in range(8):
            forged = token[:at] + chr(ord(letter) ^ 1 << bit) + token[at + 1 :]
            assert read(KEYS, Purpose.UNSUBSCRIBE, forged, 2) is None, forged
    for forged in (token[:-1], token + "a", token + "=", token.upper(), f" {token}", token + "\n"):
        assert read(KEYS, Purpose.UNSUBSCRIBE, forged, 2) is None, forged


def test_a_token_has_one_spelling_only():
    token = mint(KEYS, Purpose.UNSUBSCRIBE, 5)
    spellings = [token[:-1] + letter for letter in "abcdefghijklmnopqrstuvwxyz234567"]
    assert [spelling for spelling in spellings if read(KEYS, Purpose.UNSUBSCRIBE, spelling, 1)] == [token]


def test_a_token_opens_no_other_door():
    for made in Purpose:
        token = mint(KEYS, made, 7)
        opened = [door for door in Purpose if read(KEYS, door, token, 1) is not None]
        assert opened == [made]


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300).map(lambda raw: raw.decode("latin-1"))))
def test_garbage_is_none(text):
    assert read(KEYS, Purpose.VIEW, text, 1) is None
    assert read_return_address(KEYS, text) is None
    assert read_return_address(KEYS, f"b+{text}@{DOMAIN}") is None


@pytest.mark.parametrize("size", [10_000, 5_000_000])
def test_huge_input_is_none_and_is_not_decoded(size, monkeypatch):
    monkeypatch.setattr(tokens.base64, "b32decode", lambda *_: pytest.fail("decoded"))
    assert read(KEYS, Purpose.VIEW, "a" * size, 1) is None
    assert read_return_address(KEYS, "b+" + "a" * size + "@" + DOMAIN) is None
    assert read_return_address(KEYS, "=" * size) is None


def test_old_tokens_read_after_a_rotation_and_none_after_the_key_is_gone():
    token = mint(KEYS, Purpose.UNSUBSCRIBE, 4711)
    assert read(ROTATED, Purpose.UNSUBSCRIBE, token, 1) == (4711,)
    newer = mint(ROTATED, Purpose.UNSUBSCRIBE, 4711)
    assert newer != token
    assert read(ROTATED, Purpose.UNSUBSCRIBE, newer, 1) == (4711,)
    assert read(KEYS, Purpose.UNSUBSCRIBE, newer, 1) is None
    assert read(TokenKeys(current=2, keys={2: NEW}), Purpose.UNSUBSCRIBE, token, 1) is None
    assert read(TokenKeys(current=1, keys={1: NEW}), Purpose.UNSUBSCRIBE, token, 1) is None


def test_comparison_is_in_constant_time(monkeypatch):
    seen, real = [], hmac.compare_digest

    def compare(left, right):
        seen.append((len(left), len(right)))
        return real(left, right)

    monkeypatch.setattr(tokens.hmac, "compare_digest", compare)
    token = mint(KEYS, Purpose.VIEW, 1)
    assert read(KEYS, Purpose.VIEW, token, 1) == (1,)
    assert read(KEYS, Purpose.CONFIRM, token, 1) is None
    assert seen == [(16, 16), (16, 16)]


def test_tokens_are_short_and_their_mac_is_long_enough():
    assert len(mint(KEYS, Purpose.UNSUBSCRIBE, 50_000, 12)) <= 36
    assert tokens.MAC_OCTETS * 8 >= 96


@pytest.mark.parametrize("number", [-1, 2**63])
def test_numbers_no_database_has_are_refused(number):
    with pytest.raises(ValueError, match=r"2\*\*63"):
        mint(KEYS, Purpose.VIEW, number)


@pytest.mark.parametrize(
    ("current", "keys", "says"),
    [(2, {1: OLD}, "current"), (1, {1: b"short"}, "octets"), (256, {256: OLD}, "0 to 255")],
)
def test_unusable_keys_are_refused_without_showing_them(current, keys, says):
    with pytest.raises(ValueError, match=says) as refused:
        TokenKeys(current=current, keys=keys)
    assert "short" not in str(refused.value)


def test_keys_show_in_no_repr():
    assert repr(ROTATED) == "TokenKeys(current=2)"


def test_message_ids_are_stable_and_tell_nothing():
    first = message_id(ROTATED, 1, 4711, "Example.org")
    assert re.fullmatch(r"<[a-z2-7]{26}@example\.org>", first)
    assert first == message_id(KEYS, 1, 4711, "example.org")
    assert (
        first == "<b3gxli2vpkpzuc6ilyvtckjsa4@example.org>"
    )  # a change here breaks threads of mails already out
    assert len({message_id(ROTATED, key, number, "example.org") for key in (1, 2) for number in (1, 2)}) == 4


def test_return_addresses_are_stable_and_fit():
    address = return_address(ROTATED, 1, 2**63 - 1, DOMAIN)
    assert address == return_address(KEYS, 1, 2**63 - 1, DOMAIN)
    local, _, domain = address.rpartition("@")
    assert domain == DOMAIN
    assert len(local) <= 64
    assert local == local.lower()


def test_a_key_that_is_not_there_makes_nothing():
    with pytest.raises(ValueError, match="no token key 9"):
        return_address(KEYS, 9, 1, DOMAIN)
    with pytest.raises(ValueError, match="no token key 9"):
        message_id(KEYS, 9, 1, DOMAIN)
    with pytest.raises(AddressError):
        return_address(KEYS, 1, 1, "evil>\r\n.example")


def _local(number: int = 4711) -> str:
    return return_address(KEYS, 1, number, DOMAIN).rpartition("@")[0]


TRAVELLED = {
    "as sent": "{local}@bounces.example.org",
    "angle brackets": "<{local}@bounces.example.org>",
    "quoted": '"{local}"@bounces.example.org',
    "upper case": "{upper}@BOUNCES.EXAMPLE.ORG",
    "plus to minus": "{minus}@bounces.example.org",
    "plus to equals": "{equals}@bounces.example.org",
    "BATV": "prvs=2057f3a1c4={local}@bounces.example.org",
    "BATV upper case": "PRVS=2057F3A1C4={upper}@bounces.example.org",
    "BATV, minus": "prvs=2057f3a1c4={minus}@bounces.example.org",
    "Barracuda": "btv1==0123456789==={local}@bounces.example.org",
    "Momentum": "msprvs1=18abcDEF={local}@bounces.example.org",
    "SRS0": "SRS0=HHHH=TT=bounces.example.org={local}@forwarder.example",
    "SRS0 plus": "SRS0+HHHH=TT=bounces.example.org={local}@forwarder.example",
    "SRS0 minus": "srs0-hhhh=tt=bounces.example.org={minus}@forwarder.example",
    "SRS1": "SRS1=GGGG=forwarder.example==HHHH=TT=bounces.example.org={local}@second.example",
    "SRS1, equals": "SRS1=GGGG=forwarder.example==HHHH=TT=bounces.example.org={equals}@second.example",
    "SRS around BATV": "SRS0=HHHH=TT=bounces.example.org=prvs=2057f3a1c4={local}@forwarder.example",
}


@pytest.mark.parametrize("shape", TRAVELLED.values(), ids=TRAVELLED.keys())
def test_return_addresses_are_known_again_after_their_travels(shape):
    local = _local()
    address = shape.format(
        local=local, upper=local.upper(), minus=local.replace("+", "-"), equals=local.replace("+", "=")
    )
    assert read_return_address(KEYS, address) == 4711


@pytest.mark.parametrize(
    "address",
    [
        "", "@", "b+@bounces.example.org", "postmaster@bounces.example.org", "{local}",
        "xb{token}@bounces.example.org",
        "u+{token}@bounces.example.org", "{local}x@bounces.example.org", "{local}-more@bounces.example.org",
        "b+{unsubscribe}@bounces.example.org",
    ],
)  # fmt: skip
def test_other_addresses_name_no_delivery(address):
    local = _local()
    token, unsubscribe = local.removeprefix("b+"), mint(KEYS, Purpose.UNSUBSCRIBE, 4711)
    told = address.format(local=local, token=token, unsubscribe=unsubscribe)
    assert read_return_address(KEYS, told) is None


def test_a_token_in_an_unsubscribe_address():
    token = mint(KEYS, Purpose.UNSUBSCRIBE, 4711)
    assert token_of_address(f"U+{token.upper()}@{DOMAIN}", "u") == token
    assert token_of_address(f"b+{token}@{DOMAIN}", "u") is None
