"""The auditor of the drills finds what it is there for: each wrong that a log or a row can show."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from drills.auditor import Audit, Findings
from drills.sink import digest
from drills.site import add_readers, add_statement
from mailer import settings
from mailer.db.mailings import Mailing
from mailer.messages.tokens import message_id, return_address
from mailer.services import audit
from mailer.services.house import House, open_house
from mailer.services.programme import statements
from mailer.services.sending.expand import expand_mailing
from tests.conftest import Databases

pytestmark = pytest.mark.postgresql
READERS = 5
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class Case:
    """A mailing to five readers of whom all were sent theirs, and the log of a sink that got them."""

    def __init__(self, house: House, log: Path) -> None:
        self.house, self.log = house, log
        add_readers(house, range(READERS), NOW)
        add_statement(house, "short", "Its words.", NOW)
        with house.database.write() as session:
            found = statements.find(session, "short")
            mailing = statements.publish(session, house, found, actor="test", now=NOW)
            session.flush()
            self.mailing = mailing.id
        with house.database.write() as session:
            expand_mailing(session, self.mailing, NOW)
        self.sql("UPDATE deliveries SET state = 'sent', fence = 1, settled_at = now()")
        self.sql(
            "INSERT INTO claims (id, worker, claimed_at, leased_until) VALUES (1, 'w', :at, :at)", at=NOW
        )
        self.ids = [row.id for row in self.sql("SELECT id FROM deliveries ORDER BY id")]
        self.entries = [self.arrival(number) for number in self.ids]

    def sql(self, statement: str, **values: Any) -> list[Any]:
        with self.house.database.engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    def arrival(self, number: int, seconds: float = 1.0) -> dict[str, Any]:
        house = self.house
        with house.database.read() as session:
            mailing = session.get_one(Mailing, self.mailing)
        sender = return_address(house.tokens, mailing.token_key, number, house.settings.bounce_domain)
        message = message_id(house.message_keys, mailing.message_key, number, house.sending_domain)
        return {
            "began": (NOW + timedelta(seconds=seconds)).timestamp(),
            "at": (NOW + timedelta(seconds=seconds)).timestamp(),
            "sender": digest(sender.encode()),
            "message": digest(message.encode()),
            "date": digest(format_datetime(NOW).encode()),
            "to_is_recipient": True,
        }

    def doubt(self, number: int, seconds: float) -> None:
        self.sql(
            "INSERT INTO attempts (delivery_id, fence, at, verdict, fault, phase, reason, reply) "
            "VALUES (:id, 1, :at, 'in_doubt', 'none', 'dot', 'lost', '')",
            id=number,
            at=NOW + timedelta(seconds=seconds),
        )

    def switch(self, action: str, seconds: float) -> None:
        at, subject = NOW + timedelta(seconds=seconds), f"mailing:{self.mailing}"
        with self.house.database.write() as session:
            audit.record(session, actor="test", action=action, subject=subject, now=at)

    def audit(self) -> Findings:
        self.log.write_text("".join(json.dumps(entry) + "\n" for entry in self.entries))
        return Audit(self.house, self.log).findings()


@pytest.fixture
def case(
    tmp_path: Path,
    sqlite_template: Path,
    postgresql_template: str,
    databases: Databases,
) -> Iterator[Case]:
    shutil.copy(sqlite_template / "keys.json", tmp_path / "keys.json")
    chosen = settings.load(data=tmp_path, database_url=databases.make(postgresql_template))
    settings.use(chosen)
    house = open_house(chosen)
    yield Case(house, tmp_path / "sink.mails")
    house.database.engine.dispose()


def sums(found: Findings) -> tuple[int, int, int]:
    return found.lost, found.repeated, len(found.in_doubt)


def test_a_mailing_that_went_well(case: Case) -> None:
    found = case.audit()
    assert sums(found) == (0, 0, 0)
    assert found.enqueued == READERS
    assert found.broken == ()


def test_a_mail_that_was_called_sent_and_never_came(case: Case) -> None:
    case.entries.pop()
    assert sums(case.audit()) == (1, 0, 0)


def test_a_reader_without_a_row(case: Case) -> None:
    case.entries.pop()
    case.sql("DELETE FROM deliveries WHERE id = :id", id=case.ids[-1])
    assert sums(case.audit()) == (1, 0, 0)


def test_a_mail_that_came_twice(case: Case) -> None:
    case.entries.append(case.arrival(case.ids[0], 2))
    assert sums(case.audit()) == (0, 1, 0)


def test_doubt_excuses_one_more_under_retry_alone(case: Case) -> None:
    case.entries.append(case.arrival(case.ids[0], 9))
    case.doubt(case.ids[0], 5)
    assert sums(case.audit()) == (0, 1, 1)
    case.sql("UPDATE mailings SET policy = 'retry'")
    assert sums(case.audit()) == (0, 0, 1)
    case.entries.append(case.arrival(case.ids[0], 12))
    assert sums(case.audit()) == (0, 1, 1)


def test_doubt_after_the_second_mail_excuses_nothing(case: Case) -> None:
    case.sql("UPDATE mailings SET policy = 'retry'")
    case.entries.append(case.arrival(case.ids[0], 3))
    case.doubt(case.ids[0], 8)
    assert sums(case.audit()) == (0, 1, 1)


@pytest.mark.parametrize("state", ["pending", "deferred", "claimed", "failed", "skipped", "cancelled"])
def test_a_mail_at_the_sink_that_the_books_deny(case: Case, state: str) -> None:
    case.sql("UPDATE deliveries SET state = :state WHERE id = :id", state=state, id=case.ids[0])
    assert case.audit().broken == (f"1 x I2 a mail at the sink whose delivery is {state}",)


def test_a_mail_that_is_nobodys(case: Case) -> None:
    case.entries.append(case.arrival(case.ids[-1] + 1))
    assert case.audit().broken == ("1 x I1 a mail that is no delivery's",)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("message", "another", "I6 a Message-ID that is not its delivery's"),
        ("date", "another", "I6 a Date that is not its delivery's"),
        ("to_is_recipient", False, "I6 a mail to somebody else's address"),
    ],
)
def test_a_mail_with_another_identity(case: Case, field: str, value: object, told: str) -> None:
    case.entries[2][field] = value
    assert case.audit().broken == (f"1 x {told}",)


def test_a_mail_after_its_time_and_before_it(case: Case) -> None:
    case.sql("UPDATE deliveries SET not_after = :at WHERE id = :id", at=NOW, id=case.ids[0])
    assert case.audit().broken == ("1 x I5 a mail after its time",)
    case.sql("UPDATE mailings SET opens_at = :at", at=NOW + timedelta(seconds=2))
    assert f"{READERS} x I5 an envelope before its time" in case.audit().broken


def test_a_mail_claimed_after_its_reader_had_left(case: Case) -> None:
    case.sql(
        "UPDATE subscriptions SET state = 'unsubscribed', changed_at = :at WHERE subscriber_id = "
        "(SELECT subscriber_id FROM deliveries WHERE id = :id)",
        at=NOW - timedelta(seconds=5),
        id=case.ids[0],
    )
    assert case.audit().broken == ("1 x I4 a mail claimed after its reader had left",)


def test_mails_while_the_mailing_is_paused(case: Case) -> None:
    case.switch("mailing-paused", 2)
    case.switch("mailing-resumed", 20)
    case.entries[0] = case.arrival(case.ids[0], 3)  # within the second and a half that a pause may take
    case.entries[1] = case.arrival(case.ids[1], 21)
    assert case.audit().broken == ()
    case.entries[2] = case.arrival(case.ids[2], 10)
    assert case.audit().broken == ("1 x I4 a mail more than a second after mailing-paused",)
