"""The corridor from announce to settle, on both databases, into a real SMTP server."""

from collections.abc import Callable
from datetime import datetime, timedelta

from mailer.db.audience import Slot, books, expand
from mailer.db.mailings import Mailing
from mailer.db.programme import Statement
from mailer.services.desk import mailings
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.services.sending.expand import AUDIENCES
from mailer.services.sending.sweep import sweep
from mailer.vocabulary import MailingState, SubscriptionState
from tests.services.conftest import Hands
from tests.smtp_server import MailServer

Subscribe = Callable[..., int]


def publish(house: House, statement: int, now: datetime) -> int:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        return statements.publish(session, house, found, actor="test", now=now).id


def test_a_published_statement_reaches_everyone_once(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int, now: datetime
) -> None:
    for number in range(7):
        subscribe(f"reader{number}@example.org")
    subscribe("waiting@example.org", state=SubscriptionState.PENDING)
    subscribe("left@example.org", state=SubscriptionState.UNSUBSCRIBED)
    mailing = publish(house, statement, now)
    assert publish(house, statement, now) == mailing

    assert hands.work() == 7
    assert hands.work() == 0

    assert sorted(mail.recipient for mail in server.mails) == [f"reader{n}@example.org" for n in range(7)]
    with house.database.read() as session:
        account = books(session, mailing)
        assert (account.audience, account.sent, account.skipped) == (8, 7, {"unconfirmed": 1})
        assert account.balanced
        assert mailings.find(session, f"statement:{statement}:alert").state is MailingState.DONE


def test_expanding_again_adds_nobody_and_says_so(
    house: House, subscribe: Subscribe, statement: int, now: datetime
) -> None:
    for number in range(3):
        subscribe(f"reader{number}@example.org")
    number = publish(house, statement, now)
    with house.database.write() as session:
        mailing = session.get_one(Mailing, number)
        slot = Slot(now=now, due_at=now, not_after=mailing.expires_at)
        people = AUDIENCES[mailing.kind](mailing, slot)
        assert [expand(session, mailing, slot, people) for _ in range(2)] == [3, 0]


def test_rows_that_a_clock_an_hour_ahead_wrote_wait_for_nobody_once_it_is_right_again(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int, now: datetime
) -> None:
    for number in range(3):
        subscribe(f"reader{number}@example.org")
    publish(house, statement, now)
    assert sweep(house, now + timedelta(hours=1)).expanded == 3

    assert hands.work() == 3
    assert len(server.mails) == 3


def test_a_greylisted_recipient_is_tried_again_with_the_same_message_id(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int, now: datetime
) -> None:
    subscribe("grey@example.org")
    seen: list[str] = []

    def grey(recipient: str) -> str | None:
        seen.append(recipient)
        return "451 4.7.1 Greylisted, try again in 300 seconds" if len(seen) == 1 else None

    server.reply_to_recipient = grey
    mailing = publish(house, statement, now)
    assert hands.work() == 0
    with house.database.read() as session:
        assert books(session, mailing).open == 1
    hands.now += timedelta(minutes=20)
    assert hands.work() == 1
    assert len(server.mails) == 1
    with house.database.read() as session:
        assert books(session, mailing).sent == 1
