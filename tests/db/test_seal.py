"""Sealed values: bound to their place, readable only with the ring, unreadable in the database's files."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from mailer import keys
from mailer.db.people import Subscriber
from mailer.db.seal import ADDRESS, NAME, SealBroken, Vault
from mailer.keys import Family, KeyRing, KeyRingError
from mailer.services.audience import people
from mailer.services.desk.rotation import reseal
from mailer.services.house import House, open_house

RING = KeyRing.fresh()


@given(value=st.text(), row=st.integers(min_value=1, max_value=2**63 - 1))
def test_a_value_comes_back_from_its_own_place_and_from_no_other(value: str, row: int) -> None:
    vault = Vault(RING)
    sealed = vault.seal(ADDRESS, row, value)
    assert vault.open(ADDRESS, row, sealed) == value
    for place, other in ((ADDRESS, row + 1), (NAME, row)):
        with pytest.raises(SealBroken):
            vault.open(place, other, sealed)


@given(flip=st.integers(min_value=0, max_value=8 * 40 - 1))
def test_every_flipped_bit_is_noticed(flip: int) -> None:
    vault = Vault(RING)
    sealed = bytearray(vault.seal(ADDRESS, 7, "reader@example.org"))
    sealed[flip // 8] ^= 1 << (flip % 8)
    with pytest.raises((SealBroken, KeyRingError)):
        vault.open(ADDRESS, 7, bytes(sealed))


def test_two_rows_swapped_in_the_database_are_refused(house: House, now: datetime) -> None:
    with house.database.write() as session:
        for name in ("a", "b"):
            people.add(
                session,
                house,
                address=f"{name}@example.org",
                name=None,
                languages=["en"],
                zone=None,
                now=now,
            )
    with house.database.read() as session:
        first, second = session.scalars(select(Subscriber).order_by(Subscriber.id)).all()
        with pytest.raises(SealBroken):
            house.vault.open(ADDRESS, first.id, second.address)


def test_nothing_of_a_person_stands_in_the_database(house: House, now: datetime) -> None:
    with house.database.write() as session:
        people.add(
            session,
            house,
            address="Canary.Person@bücher.example",
            name="Canary Ωmega",
            languages=["en"],
            zone=None,
            now=now,
        )
    with house.database.read() as session:
        held = repr(session.execute(text("SELECT * FROM subscribers")).all())
    for trace in ("anary", "cher", "Ωmega", "xn--"):
        assert trace not in held
    for path in house.settings.data.glob("mailer.db*"):
        assert b"anary" not in path.read_bytes()


def test_one_person_is_found_whatever_the_capitals_of_their_address(house: House, now: datetime) -> None:
    with house.database.write() as session:
        person = people.add(
            session, house, address="Reader@Example.org", name=None, languages=["en"], zone=None, now=now
        )
        session.flush()
        assert people.find(session, house, "reader@EXAMPLE.ORG") is person


def test_a_rotated_ring_reads_the_old_and_reseals_everything(house: House, now: datetime) -> None:
    with house.database.write() as session:
        people.add(session, house, address="a@example.org", name="A", languages=["en"], zone=None, now=now)
    path = house.settings.key_ring
    keys.replace(path, keys.read(path).rotated(Family.SEAL))
    renewed = open_house(house.settings)
    assert reseal(renewed) == 2
    assert reseal(renewed) == 0
    with renewed.database.read() as session:
        person = session.scalars(select(Subscriber)).one()
        assert person.address[0] == 2
        assert renewed.vault.open(ADDRESS, person.id, person.address) == "a@example.org"
    renewed.database.engine.dispose()


def test_a_ring_of_another_database_is_noticed_at_the_start(house: House, now: datetime) -> None:
    with house.database.write() as session:
        people.add(session, house, address="a@example.org", name=None, languages=["en"], zone=None, now=now)
    house.settings.key_ring.unlink()
    keys.create(house.settings.key_ring)
    with pytest.raises(SealBroken, match="another database"):
        open_house(house.settings)


def _ring_file(tmp_path: Path, change: Callable[[Path], object]) -> Path:
    path = tmp_path / "keys.json"
    keys.create(path)
    change(path)
    return path


def test_a_ring_is_made_for_its_owner_only_and_never_replaced(tmp_path: Path) -> None:
    path = _ring_file(tmp_path, lambda _path: None)
    before = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyRingError, match="left as it is"):
        keys.create(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.chmod(0o644), "chmod 600"),
        (lambda path: path.unlink(), "mailer keys create"),
        (lambda path: path.write_text("{}"), "Restore it from its backup"),
        (lambda path: path.write_text('{"seal": {"current": 1, "keys": {"1": "c2hvcnQ="}}}'), "not complete"),
    ],
)
def test_a_bad_ring_is_refused_with_what_to_do(
    tmp_path: Path, change: Callable[[Path], object], says: str
) -> None:
    path = _ring_file(tmp_path, change)
    with pytest.raises(KeyRingError, match=says):
        keys.read(path)


def test_a_ring_never_shows_its_keys(tmp_path: Path) -> None:
    ring = keys.create(tmp_path / "keys.json")
    secret = (tmp_path / "keys.json").read_text().split('"1": "')[1][:12]
    assert secret not in repr(ring)
    assert secret not in repr(Vault(ring))
