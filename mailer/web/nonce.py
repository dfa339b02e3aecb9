"""Page nonces: proof that a form was shown by us, for this purpose and link, not long ago.

They stop programs that post to addresses they found in a mail, and forms that were filled
in by no human hand. They hold no secret and nothing about a person.
"""

from datetime import datetime, timedelta
from enum import IntEnum, unique
from hashlib import sha256

from mailer.messages.tokens import Purpose, TokenKeys, mint, read

LIFE = timedelta(hours=24)
HASTE = timedelta(seconds=3)  # less than this is too fast for somebody who reads and types


@unique
class Form(IntEnum):
    """What a nonce was made for. A number that has been used keeps its meaning."""

    SUBSCRIBE = 1
    LEAVE = 2
    UNDO = 3
    CONFIRM = 4
    ERASE = 5
    REGISTER = 11
    ATTEND = 12
    REGISTRATION = 13


def make(keys: TokenKeys, form: Form, now: datetime, *, about: str = "") -> str:
    """A nonce for a form on a page; `about` binds it to the link the page was opened by."""
    return mint(keys, Purpose.NONCE, form.value, int(now.timestamp()), _mark(about))


def holds(
    keys: TokenKeys, form: Form, nonce: str, now: datetime, *, about: str = "", least: timedelta | None = None
) -> bool:
    """True for a nonce of this form and link that is younger than a day, and older than `least`."""
    numbers = read(keys, Purpose.NONCE, nonce, 3)
    if numbers is None or numbers[0] != form.value or numbers[2] != _mark(about):
        return False
    age = timedelta(seconds=int(now.timestamp()) - numbers[1])
    return (least or timedelta()) <= age <= LIFE


def _mark(about: str) -> int:
    return int.from_bytes(sha256(about.encode()).digest()[:6])
