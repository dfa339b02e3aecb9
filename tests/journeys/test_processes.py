"""From the trigger to the bytes in a real SMTP server, through the processes of docker-compose.yml."""

import json
import signal
from collections import Counter
from datetime import UTC, date, datetime

import pytest
import redis

from mailer.db.people import Subscription
from mailer.db.programme import Statement, StatementText
from mailer.services.audience import people
from mailer.vocabulary import SubscriptionState
from tests.journeys.conftest import Installation, wait_until
from tests.smtp_server import MailServer

pytestmark = pytest.mark.journey

READERS = 300


def fill(installation: Installation) -> set[str]:
    """A statement, and readers in four languages; gives their addresses."""
    now = datetime.now(UTC)
    addresses = {f"canary-reader-{number}@example.org" for number in range(READERS)}
    with installation.house.database.write() as session:
        topic = people.topic(session, "statements")
        for number, address in enumerate(sorted(addresses)):
            person = people.add(
                session,
                installation.house,
                address=address,
                name=f"Canaryname{number}",
                languages=[("en", "ar", "hy", "zh")[number % 4]],
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
        statement = Statement(key="s", slug="s", language="en", dated=date(2021, 7, 17), created_at=now)
        session.add(statement)
        session.flush()
        text = StatementText(
            statement_id=statement.id,
            language="en",
            title="A statement to all",
            body="Its words.",
            created_at=now,
        )
        session.add(text)
    return addresses


def everything_in(client: redis.Redis) -> str:
    """All that Redis holds: every key with its value."""
    found = []
    for key in client.scan_iter("*"):
        kind = client.type(key).decode()
        value = {"list": lambda k: client.lrange(k, 0, -1), "set": client.smembers, "hash": client.hgetall}
        found.append((key, value.get(kind, client.dump)(key)))
    return repr(found)


@pytest.mark.parametrize("flushed", [False, True], ids=["calm", "redis-flushed"])
def test_a_published_statement_reaches_every_reader_once(
    installation: Installation, server: MailServer, flushed: bool
) -> None:
    addresses = fill(installation)
    seen = ""
    with redis.Redis(port=installation.redis_port) as client:
        installation.run("statement", "publish", "s")
        if flushed:
            client.flushall()
        for threshold in (1, 60, 120, 180, 240):
            wait_until(lambda least=threshold: len(server.mails) >= least, f"{threshold} mails arrived")
            seen += everything_in(client)
            if flushed:
                client.flushall()
        wait_until(lambda: len(server.mails) >= READERS, "every mail arrived")
        wait_until(lambda: '"state": "done"' in installation.run("mailing", "list", "--json"), "it is done")

    assert Counter(mail.recipient for mail in server.mails) == Counter(addresses)
    (books,) = json.loads(installation.run("mailing", "list", "--json"))
    assert (books["audience"], books["sent"], books["open"], books["in_doubt"]) == (READERS, READERS, 0, 0)

    for place in (seen, installation.logs()):
        assert "canary-reader" not in place
        assert "Canaryname" not in place
    assert len({mail.message["Message-ID"] for mail in server.mails}) == READERS


def test_no_mail_holds_anything_of_another_reader(installation: Installation, server: MailServer) -> None:
    fill(installation)
    installation.run("statement", "publish", "s")
    wait_until(lambda: len(server.mails) >= READERS, "every mail arrived")
    tokens = {mail.recipient: mail.message["List-Unsubscribe"] for mail in server.mails}
    for mail in server.mails:
        others = [address for address in tokens if address != mail.recipient]
        raw = mail.data.decode("ascii").lower().replace("=\r\n", "")
        assert not [address for address in others if address in raw]
        assert not [token for who, token in tokens.items() if who != mail.recipient and token.lower() in raw]


def test_a_rolling_restart_under_load_loses_and_repeats_nothing(
    installation: Installation, server: MailServer
) -> None:
    addresses = fill(installation)
    installation.run("statement", "publish", "s")
    for threshold in (30, 120, 210):
        wait_until(lambda least=threshold: len(server.mails) >= least, f"{threshold} mails arrived")
        assert installation.stop("worker-send") == 0
        installation.start("worker-send")
    wait_until(lambda: len(server.mails) >= READERS, "every mail arrived")
    assert Counter(mail.recipient for mail in server.mails) == Counter(addresses)
    assert account_of(installation)["in_doubt"] == 0


def account_of(installation: Installation) -> dict[str, int]:
    (only,) = json.loads(installation.run("mailing", "list", "--json"))
    return dict(only)


def test_a_killed_worker_loses_nobody_and_repeats_nobody(
    installation: Installation, server: MailServer
) -> None:
    addresses = fill(installation)
    installation.run("statement", "publish", "s")
    for threshold in (40, 150):
        wait_until(lambda least=threshold: len(server.mails) >= least, f"{threshold} mails arrived")
        installation.stop("worker-send", signal.SIGKILL)
        installation.start("worker-send")
    wait_until(lambda: account_of(installation)["open"] == 0, "nothing is open any more")
    account = account_of(installation)
    arrived = Counter(mail.recipient for mail in server.mails)
    assert set(arrived.values()) == {1}
    assert set(arrived) <= addresses
    assert account["failed"] == account["skipped"] == 0
    assert account["sent"] + account["in_doubt"] == READERS
    assert account["sent"] <= len(arrived) <= account["sent"] + account["in_doubt"]
    assert account["in_doubt"] <= 2 * installation.house.settings.smtp_connections
