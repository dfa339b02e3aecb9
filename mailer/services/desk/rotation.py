"""Sealing everything anew after a new key joined the ring, in small steps that may be interrupted."""

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import select

from mailer.db.mailings import ReturnedMail
from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.db.seal import ADDRESS, DETAILS, NAME, RETURNED, ROOM
from mailer.services.house import House

STEP = 500

Row = TypeVar("Row", Subscriber, ReturnedMail, Symposium, Registration)


def reseal(house: House) -> int:
    """Seal every value with the newest key that an older one sealed; returns how many values."""
    changed = _through(house, Subscriber, _subscriber) + _through(house, ReturnedMail, _returned)
    return changed + _through(house, Symposium, _symposium) + _through(house, Registration, _registration)


def _through(house: House, table: type[Row], renew: Callable[[House, Row], int]) -> int:
    changed, last = 0, 0
    while True:
        with house.database.write() as session:
            rows = session.scalars(select(table).where(table.id > last).order_by(table.id).limit(STEP)).all()
            if not rows:
                return changed
            changed += sum(renew(house, row) for row in rows)
            last = rows[-1].id


def _subscriber(house: House, row: Subscriber) -> int:
    vault, changed = house.vault, 0
    if not vault.is_current(row.address):
        row.address = vault.seal(ADDRESS, row.id, vault.open(ADDRESS, row.id, row.address))
        changed += 1
    if row.name and not vault.is_current(row.name):
        row.name = vault.seal(NAME, row.id, vault.open(NAME, row.id, row.name))
        changed += 1
    return changed


def _returned(house: House, row: ReturnedMail) -> int:
    if house.vault.is_current(row.raw):
        return 0
    row.raw = house.vault.seal_bytes(RETURNED, row.id, house.vault.open_bytes(RETURNED, row.id, row.raw))
    return 1


def _symposium(house: House, row: Symposium) -> int:
    if row.room is None or house.vault.is_current(row.room):
        return 0
    row.room = house.vault.seal(ROOM, row.id, house.vault.open(ROOM, row.id, row.room))
    return 1


def _registration(house: House, row: Registration) -> int:
    if row.details is None or house.vault.is_current(row.details):
        return 0
    row.details = house.vault.seal(DETAILS, row.id, house.vault.open(DETAILS, row.id, row.details))
    return 1
