"""Fills a house with invented people: confirmed subscribers of one topic, sealed by the real vault.

A million go in within a minute: two processes seal, and COPY takes what they made. The
domains are reserved ones (RFC 2606), mixed as a real list is: a few large, many small.
"""

import os
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing import get_context

import psycopg
from psycopg.types.json import Json

from mailer.db.base import new_id
from mailer.db.seal import ADDRESS, NAME, Vault
from mailer.keys import KeyRing
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme.statements import TOPIC
from mailer.vocabulary import SubscriptionState

_LARGE = (("big.test", 34), ("webmail.test", 14), ("post.test", 9), ("letters.test", 7), ("example.org", 6))
_SMALL = 400  # domains of their own, sharing what is left
_NAMES = (
    "Anahit",
    "Amina",
    "Béatrice",
    "Daniel",
    "Elena",
    "Grace",
    "Hồng",
    "Ibrahim",
    "José",
    "Karine",
    "Li",
)
_LANGUAGES = (["en"],) * 8 + (["fr", "en"], ["es"])
_STEP = 64  # between two ids, as chance would leave them
_PART = 50_000  # people that one process seals at a time
_TYPES = ("int8", "bytea", "bytea", "bytea", "bytea", "json", "timestamptz")
_COLUMNS = "id, address, address_index, domain_index, name, languages, created_at"


@dataclass(frozen=True, kw_only=True)
class _Part:
    """What one process needs to know; the ring goes along, as JSON."""

    conninfo: str
    ring: str
    topic_id: int
    first_id: int
    first: int
    count: int


def fill(house: House, count: int) -> None:
    """Add so many confirmed subscribers of the topic of statements to an empty house on PostgreSQL."""
    with house.database.read() as session:
        topic = people.topic(session, TOPIC)
    conninfo = conninfo_of(house)
    first_id, ring = new_id(), house.ring.to_json()
    parts = [
        _Part(
            conninfo=conninfo,
            ring=ring,
            topic_id=topic.id,
            first_id=first_id,
            first=first,
            count=min(_PART, count - first),
        )
        for first in range(0, count, _PART)
    ]
    if len(parts) == 1:
        _fill_part(parts[0])
    else:
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            list(pool.map(_fill_part, parts))
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) subscribers")
        connection.execute("VACUUM (ANALYZE) subscriptions")


def conninfo_of(house: House) -> str:
    """The database's address as psycopg reads it."""
    return house.settings.database.replace("postgresql+psycopg://", "postgresql://", 1)


def _fill_part(part: _Part) -> None:
    vault, now = Vault(KeyRing.from_json(part.ring)), datetime.now(UTC)
    made = list(_people(part, vault, now))
    with psycopg.connect(part.conninfo) as connection:
        # The rows fit each other by construction; a million look-ups would only cost time.
        connection.execute("SET session_replication_role = replica")
        cursor = connection.cursor()
        with cursor.copy(f"COPY subscribers ({_COLUMNS}) FROM STDIN (FORMAT BINARY)".encode()) as copy:
            copy.set_types(_TYPES)
            for person in made:
                copy.write_row(person)
        columns = b"subscriber_id, topic_id, state, changed_at"
        with cursor.copy(b"COPY subscriptions (" + columns + b") FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(("int8", "int8", "varchar", "timestamptz"))
            for person in made:
                copy.write_row((person[0], part.topic_id, SubscriptionState.CONFIRMED.value, now))


def _people(part: _Part, vault: Vault, now: datetime) -> Iterator[tuple[object, ...]]:
    chance = random.Random(part.first)
    for number in range(part.first, part.first + part.count):
        row = part.first_id + number * _STEP
        address = f"reader{number}@{domain_for(chance.random(), number)}"
        yield (
            row,
            vault.seal(ADDRESS, row, address),
            vault.address_index(address),
            vault.domain_index(address),
            vault.seal(NAME, row, _NAMES[number % len(_NAMES)]),
            Json(_LANGUAGES[number % len(_LANGUAGES)]),
            now,
        )


def domain_for(chance: float, number: int) -> str:
    """The domain of a person: `chance` (0 to 1) picks a large one or leaves it to one of the small."""
    share = chance * 100
    for domain, percent in _LARGE:
        if share < percent:
            return domain
        share -= percent
    return f"town{number % _SMALL}.test"
