"""A staffed house for the services' tests: people, a programme, and a worker that sends to a real server."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest

from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Statement, StatementText
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme.dates import Moment
from mailer.services.sending.compose import Composer
from mailer.services.sending.dispatch import Dispatcher
from mailer.services.sending.gate import OPEN_BY_NOW
from mailer.services.sending.sweep import journal_folder, sweep, worker_name
from mailer.smtp.engine import Engine
from mailer.smtp.journal import Journal
from mailer.smtp.letter import boottime
from mailer.smtp.relay import Relay
from mailer.vocabulary import Precision, SubscriptionState
from tests.services.announced import announced
from tests.smtp_server import MailServer

if TYPE_CHECKING:
    from tests.services.symposium_desk import Desk

PAUSE = timedelta(minutes=30)  # until a notice leaves, as the settings have it


class Hands:
    """A clock that tests turn, and one sending worker with its sweep."""

    def __init__(self, house: House, url: str, now: datetime) -> None:
        self.house, self.now = house, now
        self.gate = OPEN_BY_NOW  # of the sweep; the dispatcher has its own
        worker = worker_name("send")
        self.journal = Journal.open(journal_folder(house), worker)
        engine = Engine(Relay.parse(url), ehlo_name="localhost", journal=self.journal, connections=2)
        self.dispatcher = Dispatcher(
            house=house,
            engine=engine,
            journal=self.journal,
            composer=Composer(house, boottime),
            worker=worker,
            clock=lambda: self.now,
        )

    def work(self) -> int:
        """Sweep once and send everything that is due; returns how many left."""
        sweep(self.house, self.now, self.gate)
        return self.dispatcher.run()

    def close(self) -> None:
        self.dispatcher.close()


@pytest.fixture
def hands(house: House, server: MailServer, now: datetime) -> Iterator[Hands]:
    hands = Hands(house, server.url, now)
    yield hands
    hands.close()


@pytest.fixture
def subscribe(house: House, now: datetime) -> Callable[..., int]:
    """Adds a confirmed subscriber to topics; returns their id."""

    def add(
        address: str,
        *,
        name: str | None = None,
        languages: tuple[str, ...] = ("en",),
        zone: str | None = None,
        topics: tuple[str, ...] = ("statements",),
        state: SubscriptionState = SubscriptionState.CONFIRMED,
    ) -> int:
        with house.database.write() as session:
            person: Subscriber = people.add(
                session, house, address=address, name=name, languages=languages, zone=zone, now=now
            )
            session.flush()
            for key in topics:
                session.add(
                    Subscription(
                        subscriber_id=person.id,
                        topic_id=people.topic(session, key).id,
                        state=state,
                        changed_at=now,
                    )
                )
            return person.id

    return add


@pytest.fixture
def statement(house: House, now: datetime) -> int:
    """A draft statement in English and Armenian; its id."""
    with house.database.write() as session:
        statement = Statement(
            key="a-statement", slug="a-statement", language="en", dated=date(2021, 7, 17), created_at=now
        )
        session.add(statement)
        session.flush()
        for language, title in (("en", "A statement on prisoners of war"), ("hy", "Հայտարարություն")):
            session.add(
                StatementText(
                    statement_id=statement.id,
                    language=language,
                    title=title,
                    body=f"First paragraph of {language}.\n\nSecond paragraph.",
                    created_at=now,
                )
            )
        return statement.id


@pytest.fixture
def symposium(house: House, now: datetime) -> int:
    """An announced symposium on Friday, February 23, 2024, noon in New York; its id."""
    with house.database.write() as session:
        symposium = announced(session, noon(date(2024, 2, 23)), now)
        return symposium.id


def noon(day: date, hour: int = 12) -> Moment:
    return Moment(precision=Precision.DATETIME, day=day, wall_time=time(hour), zone="America/New_York")


@pytest.fixture
def desk(house: House, hands: Hands, server: MailServer, symposium: int) -> "Desk":
    from tests.services.symposium_desk import Desk  # it stands on this module's hands

    return Desk(house, hands, server, symposium)
