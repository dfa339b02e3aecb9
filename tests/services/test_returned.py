"""Returned mail: sealed before anybody is thanked for it, tied to a delivery only by proof, taken once."""

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import func, select

from mailer.db.mailings import Delivery, Mailing, ReturnedMail
from mailer.db.people import Consent, Subscription
from mailer.db.seal import RETURNED
from mailer.messages.tokens import Purpose, mint, return_address
from mailer.services.audience import people, preferences, returned
from mailer.services.audience.returned import Taken
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.services.sending.sweep import sweep
from mailer.vocabulary import ConsentSource, SubscriptionState

BOUNCE = b"From: MAILER-DAEMON@example.org\r\nSubject: failure\r\n\r\n550 5.1.1 anna@example.org unknown\r\n"


@pytest.fixture
def delivery(house: House, subscribe: Callable[..., int], statement: int, now: datetime) -> int:
    """Anna's delivery of an alert; its id."""
    person = subscribe("anna@example.org")
    with house.database.write() as session:
        statements.publish(session, house, statements.find(session, str(statement)), actor="test", now=now)
    sweep(house, now)
    with house.database.read() as session:
        return session.scalars(
            select(Delivery.id)
            .join(Mailing, Mailing.id == Delivery.mailing_id)
            .where(Delivery.subscriber_id == person)
        ).one()


def address_of(house: House, delivery: int) -> str:
    return return_address(house.tokens, house.tokens.current, delivery, house.settings.bounce_domain)


def take(house: House, recipient: str, data: bytes, now: datetime) -> Taken:
    with house.database.write() as session:
        return returned.take(session, house, recipient, data, now)


def stored(house: House) -> list[tuple[int, bytes, int | None]]:
    with house.database.read() as session:
        rows = session.execute(select(ReturnedMail.id, ReturnedMail.raw, ReturnedMail.delivery_id))
        return [(row, raw, of) for row, raw, of in rows]


def test_a_bounce_is_stored_sealed_with_its_delivery(house: House, delivery: int, now: datetime) -> None:
    assert take(house, address_of(house, delivery), BOUNCE, now) is Taken.STORED
    ((row, raw, of),) = stored(house)
    assert of == delivery
    assert b"anna" not in raw
    assert house.vault.open_bytes(RETURNED, row, raw) == BOUNCE


def test_the_same_mail_twice_is_one(house: House, delivery: int, now: datetime) -> None:
    address = address_of(house, delivery)
    assert take(house, address, BOUNCE, now) is Taken.STORED
    assert take(house, address.upper(), BOUNCE, now) is Taken.REPEATED
    assert take(house, address, BOUNCE + b"x", now) is Taken.STORED
    assert len(stored(house)) == 2


@pytest.mark.parametrize("forged", ["b+aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "postmaster", "abuse"])
def test_without_proof_it_belongs_to_nobody(house: House, delivery: int, now: datetime, forged: str) -> None:
    assert take(house, f"{forged}@bounces.example.org", BOUNCE, now) is Taken.STORED
    assert [of for _, _, of in stored(house)] == [None]


def test_a_mail_to_the_unsubscribe_address_ends_the_subscription_unread(
    house: House, delivery: int, now: datetime
) -> None:
    token = mint(house.tokens, Purpose.UNSUBSCRIBE, delivery)
    for spelling in (f"u+{token}", f"U+{token.upper()}", f"u-{token}"):
        assert take(house, f"{spelling}@bounces.example.org", b"please keep me", now) is Taken.UNSUBSCRIBE
    assert stored(house) == []
    with house.database.read() as session:
        assert session.scalars(select(Subscription.state)).all() == [SubscriptionState.UNSUBSCRIBED]
        assert session.scalars(select(Consent.source)).all() == [ConsentSource.MAILTO]


def test_a_forged_unsubscribe_changes_nothing(house: House, delivery: int, now: datetime) -> None:
    other_door = mint(house.tokens, Purpose.RETURN, delivery)
    for token in (other_door, "aaaa"):
        assert take(house, f"u+{token}@bounces.example.org", b"", now) is Taken.UNSUBSCRIBE
    with house.database.read() as session:
        assert session.scalars(select(Subscription.state)).all() == [SubscriptionState.CONFIRMED]


@pytest.mark.parametrize(
    ("recipient", "known"),
    [
        ("b+abc234@bounces.example.org", True),
        ("B+ABC234@BOUNCES.EXAMPLE.ORG", True),
        ("u+abc234@bounces.example.org", True),
        ("prvs=1234abcdef=b+abc234@bounces.example.org", True),
        ("SRS0=aa=bb=example.com=b+abc234@bounces.example.org", True),
        ("postmaster@bounces.example.org", True),
        ("Postmaster", True),
        ("abuse@bounces.example.org", True),
        ("anna@bounces.example.org", False),
        ("b@bounces.example.org", False),
        ("b+abc234@elsewhere.example", False),
        ("postmaster@elsewhere.example", False),
        ("", False),
        ("@", False),
        ("x" * 2000 + "@bounces.example.org", False),
    ],
)
def test_which_recipients_are_known(house: House, recipient: str, known: bool) -> None:
    assert returned.is_known(house, recipient) is known


def test_erasing_a_person_erases_what_came_back_from_them(house: House, delivery: int, now: datetime) -> None:
    take(house, address_of(house, delivery), BOUNCE, now)
    take(house, "postmaster@bounces.example.org", BOUNCE, now)
    with house.database.write() as session:
        person = people.find(session, house, "anna@example.org")
        assert person is not None
        preferences.erase_person(session, house, person, now)
    assert [of for _, _, of in stored(house)] == [None]
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Delivery)) == 1
