"""The site: what several runs share, one after another. Servers, key ring, and databases full of people."""

import secrets
import signal
from datetime import UTC, date, datetime
from pathlib import Path

from drills.nursery import Nursery
from drills.servers import Postgresql, Redis
from mailer import keys, settings
from mailer.db import migrate
from mailer.db.people import Subscription
from mailer.db.programme import Statement, StatementText
from mailer.services.audience import people
from mailer.services.house import House, open_house
from mailer.vocabulary import SubscriptionState

READER = "canary-reader"  # in every address and name of a drill, and in no log
LANGUAGES = ("en", "ar", "hy", "zh")
LONG_BODY = "A sentence of a statement that is as long as a statement may be at all.\n\n" * 600


class Site:
    """PostgreSQL, Redis and a nursery for one run at a time."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.nursery = Nursery()
        self.postgresql = Postgresql(folder)
        self.redis = Redis(folder)
        self.ring = folder / "keys.json"
        keys.create(self.ring)
        self._template = ""
        self._closed = False

    def close(self) -> None:
        self._closed = True
        self.nursery.close()
        self.redis.stop(signal.SIGKILL)
        self.postgresql.stop(signal.SIGQUIT)

    def mend(self) -> None:
        """Have both servers running, whatever a fault has left."""
        if self._closed:
            return
        self.postgresql.mend()
        self.redis.mend()

    def open_house(self, data: Path, database: str) -> House:
        """A house as the drill itself uses it: its hints go nowhere, the sweep finds what it does."""
        chosen = settings.load(
            data=data, database_url=self.postgresql.url(database), keys_file=self.ring, broker_url=""
        )
        settings.use(chosen)
        return open_house(chosen, checked=False)

    def prepare(self, readers: int) -> None:
        """Make the database that each run gets a copy of: so many readers, a short and a long statement."""
        self._template = self._fill(readers)

    def fresh_database(self) -> str:
        return self.postgresql.create(self._template)

    def _fill(self, readers: int) -> str:
        name = self.postgresql.create()
        house = self.open_house(self.folder, name)
        migrate.migrate(house.database)
        now = datetime.now(UTC)
        for first in range(0, readers, 500):
            add_readers(house, range(first, min(first + 500, readers)), now)
        add_statement(house, "short", "Its words.", now)
        add_statement(house, "long", LONG_BODY, now)
        house.database.engine.dispose()
        return name


def add_readers(house: House, numbers: range, now: datetime) -> None:
    """Confirmed readers of all statements, in several languages and at several sites."""
    with house.database.write() as session:
        topic = people.topic(session, "statements")
        for number in numbers:
            person = people.add(
                session,
                house,
                address=f"{READER}-{secrets.token_hex(4)}-{number}@site{number % 3}.example.org",
                name=f"{READER.title()}{number}",
                languages=[LANGUAGES[number % len(LANGUAGES)]],
                zone=None,
                now=now,
            )
            session.flush()
            session.add(
                Subscription(
                    subscriber_id=person.id,
                    topic_id=topic.id,
                    state=SubscriptionState.CONFIRMED,
                    changed_at=now,
                )
            )


def add_statement(house: House, slug: str, body: str, now: datetime) -> None:
    """A statement that waits to be published."""
    with house.database.write() as session:
        statement = Statement(key=slug, slug=slug, language="en", dated=date(2021, 7, 17), created_at=now)
        session.add(statement)
        session.flush()
        session.add(
            StatementText(
                statement_id=statement.id,
                language="en",
                title="A statement to all",
                body=body,
                created_at=now,
            )
        )
