"""Sealed values: AES-256-GCM per value, bound to its table, column and row.

A value copied to another row, column or table cannot be opened there, because
the place is authenticated with it. Look-ups go through the blind index, a keyed
hash of the normalised address. This module never logs and never caches a value.
"""

import os
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailer.addresses import normalise_address
from mailer.keys import Family, KeyRing

NONCE_BYTES = 12
INDEX_BYTES = 16


class SealBroken(Exception):
    """A sealed value does not belong to its place or its key: altered, moved, or from another ring."""


@dataclass(frozen=True)
class Place:
    """Where a sealed value lives."""

    table: str
    column: str

    def bound_to(self, row: int, key_id: int) -> bytes:
        return b"\0".join((self.table.encode(), self.column.encode(), b"%d" % row, b"%d" % key_id))


ADDRESS = Place("subscribers", "address")
NAME = Place("subscribers", "name")
RETURNED = Place("returned_mails", "raw")
ROOM = Place("symposia", "room")
DETAILS = Place("registrations", "details")


@dataclass(frozen=True)
class Vault:
    """Seals and opens values with the ring's keys, and makes blind indexes."""

    ring: KeyRing = field(repr=False)

    @cached_property
    def _ciphers(self) -> dict[int, AESGCM]:
        return {key_id: AESGCM(key) for key_id, key in self.ring[Family.SEAL].keys.items()}

    def seal(self, place: Place, row: int, value: str) -> bytes:
        return self.seal_bytes(place, row, value.encode())

    def open(self, place: Place, row: int, sealed: bytes) -> str:
        return self.open_bytes(place, row, sealed).decode()

    def seal_bytes(self, place: Place, row: int, value: bytes) -> bytes:
        """Key id (1 octet), nonce (12), ciphertext and tag."""
        key_id = self.ring[Family.SEAL].current
        nonce = os.urandom(NONCE_BYTES)
        ciphertext = self._ciphers[key_id].encrypt(nonce, value, place.bound_to(row, key_id))
        return bytes((key_id,)) + nonce + ciphertext

    def open_bytes(self, place: Place, row: int, sealed: bytes) -> bytes:
        """The value. Raises SealBroken when it was altered or moved, KeyRingError when its key is missing."""
        key_id = sealed[0] if sealed else 0
        self.ring[Family.SEAL].key(key_id)
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._ciphers[key_id].decrypt(nonce, ciphertext, place.bound_to(row, key_id))
        except (InvalidTag, ValueError):
            raise SealBroken(
                f"A sealed value in {place.table}.{place.column}, row {row}, does not open there: "
                f"it was altered or moved, or the key ring is another database's."
            ) from None

    def is_current(self, sealed: bytes) -> bool:
        """True when the newest key made this value."""
        return bool(sealed) and sealed[0] == self.ring[Family.SEAL].current

    def address_index(self, address: str) -> bytes:
        """Blind index of an address: equal for equal people, meaningless without the key."""
        return self._index(b"address\0", normalise_address(address))

    def domain_index(self, address: str) -> bytes:
        """Blind index of the receiving domain, the key of its lane."""
        return self._index(b"domain\0", normalise_address(address).rpartition("@")[2])

    def suppression_index(self, address: str) -> bytes:
        """Keyed hash for the suppression list, under a key of its own: it outlives an erased person."""
        family = self.ring[Family.SUPPRESSION]
        return family.digest(b"address\0" + normalise_address(address).encode(), 1)[:INDEX_BYTES]

    def hidden_index(self, what: str, value: str) -> bytes:
        """Blind index of anything else that must be compared and not be read, such as a tool's own id."""
        return self._index(what.encode() + b"\0", value)

    def _index(self, kind: bytes, value: str) -> bytes:
        # The index family has one key for life: with two, one person could be listed twice.
        return self.ring[Family.INDEX].digest(kind + value.encode(), 1)[:INDEX_BYTES]
