"""Import: bring a list of people in, row by row, without ever bringing anyone back who left.

With staff's word on where consent was given the people are confirmed at once, and
the word stands in the ledger; without it each of them is asked first.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.people import Subscriber, Subscription, Topic
from mailer.ingest.errors import PeopleError
from mailer.ingest.people import Person, Reject
from mailer.services import audit
from mailer.services.audience import people
from mailer.services.audience.subscribe import Wish, ask, note
from mailer.services.house import House
from mailer.vocabulary import ConsentKind, ConsentSource, Frequency, SubscriptionState

CHUNK = 500  # rows per transaction: a bad row undoes nobody, a crash loses no finished chunk


@dataclass
class Imported:
    """What an import came to. `rejects` are the rows that were not understood, with their reasons."""

    added: int = 0
    known: int = 0
    suppressed: int = 0
    subscribed: int = 0
    asked: int = 0
    left_before: int = 0
    rejects: list[Reject] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.added + self.known + len(self.rejects)


def import_people(
    house: House,
    rows: Iterable[Person | Reject],
    *,
    consent: str | None,
    actor: str,
    now: datetime,
    progress: Callable[[int], None] = lambda _rows: None,
) -> Imported:
    """Store every good row and collect the bad ones. Importing the same file again adds nobody."""
    result = Imported()
    try:
        for chunk in _chunks(rows):
            good = [row for row in chunk if isinstance(row, Person)]
            result.rejects += [row for row in chunk if isinstance(row, Reject)]
            with house.database.write() as session:
                _store(session, house, good, consent, now, result)
            progress(result.rows)
    except PeopleError as problem:
        raise PeopleError(f"{problem} The {result.rows:,} rows before that were imported.") from None
    finally:
        _note_import(house, result, actor, now)
    return result


def _note_import(house: House, result: Imported, actor: str, now: datetime) -> None:
    with house.database.write() as session:
        audit.record(
            session,
            actor=actor,
            action="subscribers-imported",
            subject="subscribers",
            now=now,
            detail={"added": result.added, "known": result.known, "rejected": len(result.rejects)},
        )


def _chunks(rows: Iterable[Person | Reject]) -> Iterator[list[Person | Reject]]:
    """Rows in handfuls; what was read before a file breaks off is handed out before the error."""
    chunk: list[Person | Reject] = []
    try:
        for row in rows:
            chunk.append(row)
            if len(chunk) == CHUNK:
                yield chunk
                chunk = []
    except PeopleError:
        yield chunk
        raise
    yield chunk


def _store(
    session: Session,
    house: House,
    rows: Sequence[Person],
    consent: str | None,
    now: datetime,
    result: Imported,
) -> None:
    topics = {topic.key: topic for topic in session.scalars(select(Topic))}
    known = _known(session, house, rows)
    for row in rows:
        index = house.vault.address_index(row.address)
        subscriber = known.get(index)
        if subscriber is None:
            subscriber = people.add(
                session,
                house,
                address=row.address,
                name=row.name,
                languages=row.languages,
                zone=row.zone,
                now=now,
            )
            known[index] = subscriber
            result.added += 1
            result.suppressed += subscriber.suppressed is not None
        else:
            result.known += 1
        session.flush()
        if consent is None:
            ask(session, house, _wish(row), ConsentSource.IMPORT, now)
            result.asked += 1
        else:
            wanted = [topics[key] for key in sorted(row.topics)]
            _subscribe(session, subscriber, wanted, row.frequency, consent, now, result)


def _known(session: Session, house: House, rows: Sequence[Person]) -> dict[bytes, Subscriber]:
    indexes = [house.vault.address_index(row.address) for row in rows]
    found = session.scalars(select(Subscriber).where(Subscriber.address_index.in_(indexes)))
    return {subscriber.address_index: subscriber for subscriber in found}


def _wish(row: Person) -> Wish:
    return Wish(
        address=row.address,
        topics=tuple(sorted(row.topics)),
        languages=tuple(row.languages),
        zone=row.zone,
        name=row.name,
        frequencies=dict.fromkeys(row.topics, row.frequency),
    )


def _subscribe(
    session: Session,
    subscriber: Subscriber,
    topics: Sequence[Topic],
    frequency: Frequency,
    consent: str,
    now: datetime,
    result: Imported,
) -> None:
    held = {
        one.topic_id: one
        for one in session.scalars(select(Subscription).where(Subscription.subscriber_id == subscriber.id))
    }
    for topic in topics:
        subscription = held.get(topic.id)
        if subscription is not None and subscription.state is SubscriptionState.UNSUBSCRIBED:
            result.left_before += 1  # they left; only they can come back
            continue
        if subscription is not None and subscription.state is SubscriptionState.CONFIRMED:
            continue
        if subscription is None:
            subscription = Subscription(subscriber_id=subscriber.id, topic_id=topic.id)
            session.add(subscription)
        subscription.state, subscription.changed_at = SubscriptionState.CONFIRMED, now
        subscription.frequency = frequency
        session.flush()
        note(session, subscription, ConsentKind.CONFIRMED, ConsentSource.IMPORT, now, consent[:200])
        result.subscribed += 1
