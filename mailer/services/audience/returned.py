"""Returned mail: taken in whole and sealed before its sender hears 250, read afterwards by others.

A mail to `u+TOKEN` is an unsubscribe; its content is never looked at. Everything else is
stored with the delivery its return address proves, or with none when the proof fails:
a forged address changes nothing for anybody.
"""

from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from sqlalchemy.orm import Session

from mailer.addresses import AddressError, wire_address
from mailer.db.base import new_id
from mailer.db.dialect import insert
from mailer.db.mailings import Delivery, ReturnedMail
from mailer.db.seal import RETURNED
from mailer.messages.tokens import RETURN_TAG, read_return_address, token_of_address
from mailer.services.audience.unsubscribe import leave
from mailer.services.house import House
from mailer.vocabulary import ConsentSource

LEAVE_TAG = "u"
ALWAYS_OPEN = frozenset({"postmaster", "abuse"})  # RFC 5321 4.5.1, RFC 2142


class Taken(StrEnum):
    """What became of a mail for one recipient."""

    UNSUBSCRIBE = "unsubscribe"
    STORED = "stored"
    REPEATED = "repeated"


def is_known(house: House, recipient: str) -> bool:
    """True for the addresses this house has given out: return addresses, unsubscribe addresses, postmaster.

    A token is not verified here, so that the answer tells a stranger nothing.
    """
    try:
        local, _, domain = wire_address(recipient).rpartition("@")
    except AddressError:
        return _is_postmaster(recipient)
    if domain != house.settings.bounce_domain.lower():
        return False
    if local.lower() in ALWAYS_OPEN:
        return True
    return any(token_of_address(recipient, tag) is not None for tag in (LEAVE_TAG, RETURN_TAG))


def _is_postmaster(recipient: str) -> bool:
    """RFC 5321 4.1.1.3: `RCPT TO:<postmaster>` without a domain must be taken."""
    return recipient.strip("<> ").lower() == "postmaster"


def take(session: Session, house: House, recipient: str, data: bytes, now: datetime) -> Taken:
    """Act on one returned mail inside the session's transaction. The same mail twice is one."""
    token = token_of_address(recipient, LEAVE_TAG)
    if token is not None:
        leave(session, house, token, ConsentSource.MAILTO, now)
        return Taken.UNSUBSCRIBE
    number = new_id()
    statement = insert(session, ReturnedMail).values(
        id=number,
        digest=sha256(recipient.lower().encode() + b"\0" + data).digest(),
        raw=house.vault.seal_bytes(RETURNED, number, data),
        delivery_id=_delivery(session, house, recipient),
        received_at=now,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["digest"]).returning(ReturnedMail.id)
    return Taken.REPEATED if session.execute(statement).first() is None else Taken.STORED


def _delivery(session: Session, house: House, recipient: str) -> int | None:
    number = read_return_address(house.tokens, recipient)
    if number is None or session.get(Delivery, number) is None:
        return None
    return number
