"""The key ring: every secret key of the house, kept outside the database.

One ring holds a family of keys per purpose; each key has an id (1..255) that is
stored beside what it made, so an old key goes on reading while a new one writes.
The ring is a file readable by its owner only, or one variable. Keys are never
printed, logged or stored in SQL.
"""

import base64
import hmac
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

KEY_BYTES = 32
HIGHEST_ID = 255


class Family(StrEnum):
    """What a key is for. One family never does another's work."""

    SEAL = "seal"  # AES-256-GCM of addresses, names and raw returned mail
    INDEX = "index"  # blind index of addresses and domains
    SUPPRESSION = "suppression"  # keyed hash that outlives an erased person
    TOKEN = "token"  # noqa: S105 - a purpose, not a secret: links and return addresses
    MESSAGE = "message"  # Message-IDs


class KeyRingError(Exception):
    """The ring is missing, unreadable, broken or too open; the message says what to do."""


@dataclass(frozen=True)
class KeyFamily:
    """Keys of one purpose: `current` writes, all of them read."""

    current: int
    keys: dict[int, bytes] = field(repr=False)

    def key(self, key_id: int) -> bytes:
        """The 32 bytes of a key. Raises KeyRingError when the ring does not hold that id."""
        try:
            return self.keys[key_id]
        except KeyError:
            raise KeyRingError(
                f"The key ring lacks key {key_id} that this data was made with. "
                f"Restore the ring that belongs to this database."
            ) from None

    def digest(self, value: bytes, key_id: int | None = None) -> bytes:
        """HMAC-SHA256 of the value under a key (the current one unless told)."""
        return hmac.digest(self.key(key_id or self.current), value, sha256)


@dataclass(frozen=True)
class KeyRing:
    families: dict[Family, KeyFamily] = field(repr=False)

    def __getitem__(self, family: Family) -> KeyFamily:
        return self.families[family]

    @classmethod
    def fresh(cls) -> "KeyRing":
        """A ring of new random keys, one per family."""
        return cls({family: KeyFamily(1, {1: secrets.token_bytes(KEY_BYTES)}) for family in Family})

    def rotated(self, family: Family) -> "KeyRing":
        """The same ring with one more key in a family, which writes from now on."""
        old = self[family]
        new_id = max(old.keys) + 1
        if new_id > HIGHEST_ID:
            raise KeyRingError(f"The family {family} has used all {HIGHEST_ID} key ids.")
        keys = {**old.keys, new_id: secrets.token_bytes(KEY_BYTES)}
        return KeyRing({**self.families, family: KeyFamily(new_id, keys)})

    def to_json(self) -> str:
        ring = {
            family.value: {
                "current": part.current,
                "keys": {str(i): base64.b64encode(key).decode() for i, key in part.keys.items()},
            }
            for family, part in self.families.items()
        }
        return json.dumps(ring, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "KeyRing":
        """Read a ring. Raises KeyRingError without repeating any of its content."""
        try:
            return cls({family: _family(json.loads(text)[family.value]) for family in Family})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise KeyRingError(
                "The key ring is not complete. Restore it from its backup; "
                "`mailer keys create` makes a new one for a new database only."
            ) from None


def _family(part: dict[str, object]) -> KeyFamily:
    current, raw = part["current"], part["keys"]
    if not isinstance(current, int) or not isinstance(raw, dict):
        raise ValueError("not a key family")
    keys = {int(i): base64.b64decode(value, validate=True) for i, value in raw.items()}
    if current not in keys or any(
        len(key) != KEY_BYTES or not 0 < i <= HIGHEST_ID for i, key in keys.items()
    ):
        raise ValueError("not a key family")
    return KeyFamily(current, keys)


def read(path: Path, variable: str = "") -> KeyRing:
    """The ring from the variable when given, else from the file.

    Raises KeyRingError when the file is missing, unreadable or open to others.
    """
    if variable:
        return KeyRing.from_json(variable)
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise KeyRingError(
            f"There is no key ring at {path}. If this database is new, run `mailer keys create`; "
            f"if it holds people, restore the ring from its backup: without it nobody can be read."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyRingError(f"The key ring at {path} cannot be read ({type(error).__name__}).") from None
    if stat.S_IMODE(mode) & 0o077 and not _is_mounted_secret(path):
        raise KeyRingError(f"The key ring at {path} is open to other users. Run: chmod 600 {path}")
    return KeyRing.from_json(text)


def create(path: Path, ring: KeyRing | None = None) -> KeyRing:
    """Write a new ring, readable by its owner only (0600). Never replaces an existing file."""
    ring = ring or KeyRing.fresh()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        _write_private(draft, ring.to_json())
        os.link(draft, path)  # fails when another process was first: its ring stays
    except FileExistsError:
        raise KeyRingError(f"There is a key ring at {path} already; it was left as it is.") from None
    finally:
        draft.unlink(missing_ok=True)
    return ring


def replace(path: Path, ring: KeyRing) -> None:
    """Put a rotated ring in place of the old one, at once or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    _write_private(draft, ring.to_json())
    draft.replace(path)


def _write_private(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _is_mounted_secret(path: Path) -> bool:
    # Docker and Kubernetes mount secrets world-readable inside a container that holds one user.
    return path.is_relative_to("/run/secrets")
