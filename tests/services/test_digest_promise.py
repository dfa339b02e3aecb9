"""The promise of digests, tried with chance: whatever readers choose and when, each statement comes once.

A simulated clock, a real database and a real SMTP server; the machine is off now and then, hints are lost,
a statement's alert is expanded late, and the reader changes frequency and zone in between.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from sqlalchemy import select, update

from mailer import settings
from mailer.db.mailings import Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Statement, StatementText
from mailer.services.audience import people, preferences
from mailer.services.house import House, open_house
from mailer.services.programme import digests, statements
from mailer.services.sending.expand import expand_mailing
from mailer.vocabulary import Frequency, MailingKind, MailingState, SubscriptionState
from tests.services.conftest import Hands
from tests.smtp_server import MailServer

START = datetime(2024, 3, 8, 12, 0, tzinfo=UTC)  # two days before New York's clocks go forward
ZONES = (None, "Asia/Yerevan", "Australia/Sydney", "Pacific/Honolulu", "Pacific/Kiritimati")
READERS = ("one@example.org", "two@example.org")

readers, frequencies = st.sampled_from(READERS), st.sampled_from(Frequency)
act = st.one_of(
    st.tuples(st.just("publish"), st.booleans()),
    st.tuples(st.just("publish"), st.booleans()),
    st.tuples(st.just("choose"), readers, frequencies),
    st.tuples(st.just("choose"), readers, frequencies),
    st.tuples(st.just("move"), readers, st.sampled_from(ZONES)),
    st.tuples(st.just("expand")),
    st.tuples(st.just("plan")),
    st.tuples(st.just("work")),
)
# Some hours each: two acts, and then time passes, with the machine on or off.
stories = st.lists(
    st.tuples(act, act, st.tuples(st.just("wait"), st.integers(1, 60 * 30), st.booleans())),
    min_size=4,
    max_size=12,
)


class Story:
    """One house and its two readers, taken through a list of steps."""

    def __init__(self, house: House, server: MailServer, number: int) -> None:
        self.house, self.hands = house, Hands(house, server.url, START)
        self.server, self.number = server, number
        self.published: list[str] = []
        self.out_for = 0  # minutes
        with house.database.write() as session:
            for address in READERS:
                person = people.add(
                    session, house, address=address, name=None, languages=("en",), zone=None, now=START
                )
                session.flush()
                topic = people.topic(session, "statements")
                session.add(
                    Subscription(
                        subscriber_id=person.id,
                        topic_id=topic.id,
                        state=SubscriptionState.CONFIRMED,
                        changed_at=START,
                    )
                )

    def take(self, step: tuple[object, ...]) -> None:
        getattr(self, str(step[0]))(*step[1:])

    def publish(self, at_once: bool) -> None:
        name = f"Statement {self.number}-{len(self.published)}."
        self.published.append(name)
        with self.house.database.write() as session:
            statement = Statement(
                key=name,
                slug=f"s{self.number}-{len(self.published)}",
                language="en",
                dated=START.date(),
                created_at=self.hands.now,
            )
            session.add(statement)
            session.flush()
            session.add(
                StatementText(
                    statement_id=statement.id,
                    language="en",
                    title=name,
                    body="Text.",
                    created_at=self.hands.now,
                )
            )
            session.flush()
            statements.publish(session, self.house, statement, actor="test", now=self.hands.now, anyway=True)
        if at_once:
            self.expand()

    def expand(self) -> None:
        with self.house.database.write() as session:
            waiting = session.scalars(select(Mailing.id).where(Mailing.state == MailingState.EXPANDING)).all()
            for number in waiting:
                expand_mailing(session, number, self.hands.now)

    def choose(self, address: str, frequency: Frequency) -> None:
        with self.house.database.write() as session:
            person = people.find(session, self.house, address)
            assert person is not None
            preferences.set_frequency(session, person.id, "statements", frequency)

    def move(self, address: str, zone: str | None) -> None:
        with self.house.database.write() as session:
            index = self.house.vault.address_index(address)
            session.execute(update(Subscriber).where(Subscriber.address_index == index).values(zone=zone))

    def wait(self, minutes: int, running: bool) -> None:
        """Without a worker running: but an alert lives for three days, and no outage here is longer."""
        self.hands.now += timedelta(minutes=minutes)
        self.out_for += minutes
        if running or self.out_for > 24 * 60:
            self.out_for = 0
            self.plan()
            self.work()

    def plan(self) -> None:
        digests.plan_all(self.house, self.hands.now)

    def work(self) -> None:
        self.hands.work()

    def finish(self) -> None:
        """A quiet week and a day."""
        for _ in range(9):
            self.wait(60 * 24, True)
        self.hands.close()

    def heard(self, address: str) -> Counter[str]:
        """How often the reader was told of each statement."""
        told: Counter[str] = Counter()
        for mail in self.server.to(address):
            text = mail.message.get_body(("plain",)).get_content()
            told.update(name for name in self.published if name in text)
        return told


@pytest.fixture(scope="module")
def fresh_house(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[Callable[[], House]]:
    """Makes an empty SQLite house each time it is called."""
    opened: list[House] = []

    def make() -> House:
        data = tmp_path_factory.mktemp("story") / "house"
        shutil.copytree(sqlite_template, data)
        chosen = settings.load(data=data, base_url="https://mailer.example.org")
        settings.use(chosen)
        opened.append(open_house(chosen))
        return opened[-1]

    yield make
    for house in opened:
        house.database.engine.dispose()


numbers = count(1)


@pytest.mark.slow
@tried(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.tuples(frequencies, frequencies), story=stories)
def test_no_statement_is_lost_and_none_is_told_twice(
    first: tuple[Frequency, ...],
    story: list[tuple[tuple[object, ...], ...]],
    fresh_house: Callable[[], House],
    server: MailServer,
) -> None:
    server.mails.clear()
    house = fresh_house()
    told = Story(house, server, next(numbers))
    for address, frequency in zip(READERS, first, strict=True):
        told.choose(address, frequency)
    for steps in story:
        for step in steps:
            told.take(step)
    told.finish()
    for address in READERS:
        assert told.heard(address) == Counter(told.published)
    with house.database.read() as session:
        states = session.scalars(select(Mailing.state).where(Mailing.kind == MailingKind.DIGEST))
        assert set(states) <= {MailingState.DONE}
