"""Tokens that stand in addresses and links: short, lower-case, unforgeable, nobody's name in them.

A token is base32 of (key id, numbers, MAC). The MAC is HMAC-SHA256 over purpose, key
id and numbers, cut to 128 bits, so a token made for one door opens no other, and a new
key can be put in use while tokens of the old one still read. Reading compares in
constant time, never raises and never says why it refused. Nothing here is secret but
the keys; they stay out of every repr.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, unique
from functools import lru_cache

from mailer.addresses import a_labels

MAC_OCTETS = 16
KEY_OCTETS = 32
LOCAL_PART_OCTETS = 64  # RFC 5321 4.5.3.1.1
RETURN_TAG = "b"
_LONGEST_TOKEN = 200
_LONGEST_ADDRESS = 1000
_LARGEST_NUMBER = 2**63 - 1  # what a database key can be
_ALPHABET = re.compile(r"[a-z2-7]+")
_VARINT_MORE = 0x80
_VARINT_BITS = 7
_BASE32_BLOCK = 8
_SHA256_BLOCK = 64
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]  # by ten bits
_SHIFTS = [range(10 * (-(-letters // 2) - 1), -1, -10) for letters in range(_LONGEST_TOKEN)]


@unique
class Purpose(IntEnum):
    """The door a token opens. A value that has landed is never given another meaning."""

    UNSUBSCRIBE = 1
    CONFIRM = 2
    PREFERENCES = 3
    RETURN = 4
    MESSAGE_ID = 5
    NONCE = 6
    VIEW = 7
    REGISTRATION = 11
    JOIN = 12
    ATTEND = 13


@dataclass(frozen=True)
class TokenKeys:
    """The keys that tokens are read with, by key id, and the id of the one that new ones are made with."""

    current: int
    keys: Mapping[int, bytes] = field(repr=False)

    def __post_init__(self) -> None:
        if self.current not in self.keys:
            raise ValueError(f"the current token key {self.current} is not among the keys given")
        for key_id, key in self.keys.items():
            if not 0 <= key_id <= 255:
                raise ValueError(f"a token key id is a number from 0 to 255, not {key_id}")
            if len(key) != KEY_OCTETS:
                raise ValueError(f"token key {key_id} has {len(key)} octets; it needs {KEY_OCTETS}")


def mint(keys: TokenKeys, purpose: Purpose, *numbers: int) -> str:
    """A new token of the current key for this door and these numbers (ids, versions, seconds).

    Raises ValueError for a number below 0 or beyond what a database key can be.
    """
    return _mint(keys, keys.current, purpose, numbers)


def read(keys: TokenKeys, purpose: Purpose, token: str, count: int) -> tuple[int, ...] | None:
    """The `count` numbers of a genuine token of this purpose, else None. Never raises.

    Exact: upper case, padding, or another spelling of the same octets is refused. Where
    a mail server may have changed the case, lower it before reading.
    """
    octets = _decode(token)
    if octets is None or len(octets) < 1 + MAC_OCTETS:
        return None
    key = keys.keys.get(octets[0])
    if key is None:
        return None
    body, mac = octets[:-MAC_OCTETS], octets[-MAC_OCTETS:]
    if not hmac.compare_digest(mac, _mac(key, purpose, body)):
        return None
    return _unpack(body[1:], count)


def message_id(keys: TokenKeys, key_id: int, delivery_id: int, domain: str) -> str:
    """The Message-ID of a delivery, with its angle brackets: the same for ever for (key id, delivery).

    It is a MAC alone: it tells nothing, not even the delivery's number, and is looked up
    by the row it was stored on. Raises ValueError for an unknown key id and AddressError
    for a domain that is none.
    """
    mac = _mac(_key(keys, key_id), Purpose.MESSAGE_ID, bytes((key_id,)) + _pack((delivery_id,)))
    return f"<{_encode(mac)}@{_domain(domain)}>"


def return_address(keys: TokenKeys, key_id: int, delivery_id: int, domain: str) -> str:
    """The envelope sender (VERP) of a delivery, `b+TOKEN@domain`; the local part is <= 64 octets.

    The same for ever for (key id, delivery). Raises as `message_id` does.
    """
    token = _mint(keys, key_id, Purpose.RETURN, (delivery_id,))
    return f"{RETURN_TAG}+{token}@{_domain(domain)}"


def read_return_address(keys: TokenKeys, address: str) -> int | None:
    """The delivery that a returned mail's recipient address names, else None. Never raises.

    Accepts what mail systems do to an address on its way: any case, angle brackets,
    `+` turned into `-` or `=`, BATV (`prvs=...=`, `btv1==...==`) and SRS0/SRS1 around it.
    The domain is not looked at: the MAC proves whose address it was.
    """
    token = token_of_address(address, RETURN_TAG)
    numbers = None if token is None else read(keys, Purpose.RETURN, token, 1)
    return None if numbers is None else numbers[0]


def token_of_address(address: str, tag: str) -> str | None:
    """The token behind `tag` in a local part such as `b+TOKEN` or `u+TOKEN`, in lower case, unverified.

    It is looked for at the end of the local part, behind the start or a separator, because
    BATV and SRS put their own parts before the original one (SRS: `SRS0=hash=day=host=local`).
    """
    if len(address) > _LONGEST_ADDRESS:
        return None
    local, at, _ = address.strip().strip("<>").rpartition("@")
    if not at:
        return None
    found = re.search(rf"(?:^|[=+/-]){re.escape(tag)}[+=-]([a-z2-7]+)$", local.strip('"').lower())
    return found.group(1) if found else None


_domain = lru_cache(maxsize=16)(a_labels)


def _mint(keys: TokenKeys, key_id: int, purpose: Purpose, numbers: tuple[int, ...]) -> str:
    key = _key(keys, key_id)
    body = bytes((key_id,)) + _pack(numbers)
    return _encode(body + _mac(key, purpose, body))


def _key(keys: TokenKeys, key_id: int) -> bytes:
    if key_id not in keys.keys:
        raise ValueError(f"there is no token key {key_id}: keep old keys until their last mail has aged out")
    return keys.keys[key_id]


def _mac(key: bytes, purpose: Purpose, body: bytes) -> bytes:
    begun, outer = _begun(key, purpose)
    inner = begun.copy()
    inner.update(body)
    finished = outer.copy()
    finished.update(inner.digest())
    return finished.digest()[:MAC_OCTETS]


@lru_cache(maxsize=64)
def _begun(key: bytes, purpose: Purpose) -> tuple["hashlib._Hash", "hashlib._Hash"]:
    """HMAC-SHA256 (RFC 2104) as far as it is the same for every token of this door: four of them stand in
    each mail, and a copied state costs half of a new one."""
    block = key.ljust(_SHA256_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(octet ^ 0x36 for octet in block))
    inner.update(b"mailer token 1\x00" + bytes((purpose,)))
    return inner, hashlib.sha256(bytes(octet ^ 0x5C for octet in block))


def _encode(octets: bytes) -> str:
    """Base32 in lower case without padding (RFC 4648 6), two letters at a time."""
    bits = 8 * len(octets)
    letters = -(-bits // 5)
    shifts = _SHIFTS[letters]
    number = int.from_bytes(octets) << (shifts[0] + 10 - bits) if shifts else 0
    return "".join([_PAIRS[number >> shift & 1023] for shift in shifts])[:letters]


def _decode(token: str) -> bytes | None:
    if len(token) > _LONGEST_TOKEN or not _ALPHABET.fullmatch(token):
        return None
    padding = "=" * (-len(token) % _BASE32_BLOCK)
    try:
        octets = base64.b32decode(token.upper() + padding)
    except binascii.Error:
        return None
    # The last character has spare bits; only the spelling that `_encode` gives is the token.
    return octets if _encode(octets) == token else None


@lru_cache(maxsize=16)  # three tokens of one mail hold the same number
def _pack(numbers: tuple[int, ...]) -> bytes:
    """Each number in groups of seven bits, low ones first: a small id stays a short address."""
    octets = bytearray()
    for number in numbers:
        if not 0 <= number <= _LARGEST_NUMBER:
            raise ValueError("a token holds whole numbers from 0 to 2**63 - 1")
        rest = number
        while rest >= _VARINT_MORE:
            octets.append(rest % _VARINT_MORE | _VARINT_MORE)
            rest >>= _VARINT_BITS
        octets.append(rest)
    return bytes(octets)


def _unpack(octets: bytes, count: int) -> tuple[int, ...] | None:
    """The numbers, if there are exactly `count`; `octets` are already proved to be our own."""
    numbers, number, shift = [], 0, 0
    for octet in octets:
        number |= (octet & ~_VARINT_MORE) << shift
        shift += _VARINT_BITS
        if octet < _VARINT_MORE:
            numbers.append(number)
            number, shift = 0, 0
    return tuple(numbers) if len(numbers) == count else None
