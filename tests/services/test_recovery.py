"""What is left behind is found again: by the journal of a dead worker, by the sweep, by the worker itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from mailer.db.audience import books
from mailer.db.mailings import Attempt, Claim, Delivery
from mailer.db.outbox import Candidate, release
from mailer.db.people import Subscriber
from mailer.db.programme import Statement
from mailer.db.seal import ADDRESS
from mailer.services.desk import mailings
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.services.sending.claim import claim
from mailer.services.sending.settle import Result, settle
from mailer.services.sending.sweep import LATE_AFTER, LOST_AFTER, journal_folder, sweep, worker_name
from mailer.smtp.journal import Journal, JournalError
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict
from mailer.vocabulary import DeliveryState
from tests.services.conftest import Hands
from tests.smtp_server import MailServer

Subscribe = Callable[..., int]

ACCEPTED = Outcome(
    verdict=Verdict.SENT, fault=Fault.NONE, phase=Phase.DOT, code=250, reason=Reason.ACCEPTED, text=""
)


def publish(house: House, statement: int, now: datetime) -> int:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        mailing = statements.publish(session, house, found, actor="test", now=now)
    sweep(house, now)
    return mailing.id


def accepted(candidate: Candidate, fence: int) -> Result:
    return Result(
        candidate.id,
        fence,
        candidate.lane_id,
        candidate.attempts,
        candidate.not_after,
        candidate.registration_id,
        None,
        ACCEPTED,
    )


def states(house: House) -> list[DeliveryState]:
    with house.database.read() as session:
        return list(session.scalars(select(Delivery.state).order_by(Delivery.id)))


@pytest.fixture
def four_readers(subscribe: Subscribe) -> None:
    for number in range(4):
        subscribe(f"reader{number}@example.org")


@pytest.mark.usefixtures("four_readers")
def test_a_dead_workers_journal_decides_for_each_delivery(
    house: House, server: MailServer, hands: Hands, statement: int
) -> None:
    mailing = publish(house, statement, hands.now)
    name = worker_name("send")
    journal = Journal.open(journal_folder(house), name)
    with house.database.write() as session:
        held = claim(session, house, worker=name, now=hands.now)
    first, second, third, fourth = (candidate.id for candidate in held.held)
    journal.about_to_send([(first, held.fence), (second, held.fence)])
    journal.replied(first, held.fence, ACCEPTED)
    journal.close()  # the lock is free: its owner is dead

    swept = sweep(house, hands.now)
    assert swept.recovered == 4
    assert states(house) == [
        DeliveryState.SENT,
        DeliveryState.IN_DOUBT,
        DeliveryState.DEFERRED,
        DeliveryState.DEFERRED,
    ]
    assert hands.work() == 2
    with house.database.read() as session:
        account = books(session, mailing)
        assert (account.sent, account.in_doubt, account.open) == (3, 1, 0)
        reasons = {attempt.delivery_id: attempt.reason for attempt in session.scalars(select(Attempt))}
    assert set(reasons) == {second, third, fourth}
    assert list(journal_folder(house).glob(f"{name}*")) == []


@pytest.mark.usefixtures("four_readers")
def test_a_worker_of_a_lost_machine_leaves_doubt_once_it_has_been_silent_for_long(
    house: House, server: MailServer, hands: Hands, statement: int
) -> None:
    mailing = publish(house, statement, hands.now)
    with house.database.write() as session:
        claim(session, house, worker="send-elsewhere-1-aaaaaa", now=hands.now)
    hands.now += timedelta(seconds=house.settings.lease_seconds + 10)
    assert sweep(house, hands.now).recovered == 0  # it may only be cut off
    hands.now += LOST_AFTER
    assert sweep(house, hands.now).recovered == 4
    hands.now += timedelta(hours=1)
    assert hands.work() == 0  # an alert is never sent twice by itself
    with house.database.write() as session:
        found = mailings.find(session, f"statement:{statement}:alert")
        assert mailings.release(session, found, actor="test", now=hands.now) == 4
    assert hands.work() == 4
    with house.database.read() as session:
        assert books(session, mailing).sent == 4


@pytest.mark.usefixtures("four_readers")
def test_a_worker_that_lost_its_claim_changes_nothing(
    house: House, server: MailServer, hands: Hands, statement: int
) -> None:
    publish(house, statement, hands.now)
    with house.database.write() as session:
        stale = claim(session, house, worker="send-elsewhere-1-aaaaaa", now=hands.now)
    hands.now += timedelta(seconds=house.settings.lease_seconds) + LOST_AFTER + timedelta(seconds=1)
    sweep(house, hands.now)
    with house.database.write() as session:
        mailings.release(
            session, mailings.find(session, f"statement:{statement}:alert"), actor="test", now=hands.now
        )
        claim(session, house, worker="send-here-2-bbbbbb", now=hands.now)
    before = states(house)
    with house.database.write() as session:
        settle(session, [accepted(one, stale.fence) for one in stale.held], hands.now)
    assert states(house) == before == [DeliveryState.CLAIMED] * 4


@pytest.mark.usefixtures("four_readers")
def test_a_reply_that_is_written_late_settles_the_doubt_it_left(
    house: House, server: MailServer, hands: Hands, statement: int
) -> None:
    publish(house, statement, hands.now)
    with house.database.write() as session:
        late = claim(session, house, worker="send-elsewhere-1-aaaaaa", now=hands.now)
    hands.now += timedelta(seconds=house.settings.lease_seconds) + LOST_AFTER + timedelta(seconds=1)
    sweep(house, hands.now)
    assert states(house) == [DeliveryState.IN_DOUBT] * 4
    with house.database.write() as session:
        settle(session, [accepted(one, late.fence) for one in late.held[:3]], hands.now)
    assert sorted(states(house)) == [DeliveryState.IN_DOUBT] + [DeliveryState.SENT] * 3


@pytest.mark.usefixtures("four_readers")
def test_a_living_worker_beyond_its_lease_is_judged_by_its_journal(
    house: House, server: MailServer, hands: Hands, statement: int
) -> None:
    publish(house, statement, hands.now)
    name = worker_name("send")
    with Journal.open(journal_folder(house), name) as journal:  # its owner lives: the lock is held
        with house.database.write() as session:
            held = claim(session, house, worker=name, now=hands.now)
        first, second, *_ = (candidate.id for candidate in held.held)
        journal.about_to_send([(first, held.fence), (second, held.fence)])
        journal.replied(first, held.fence, ACCEPTED)
        hands.now += timedelta(seconds=house.settings.lease_seconds + 1)
        assert sweep(house, hands.now).recovered == 0  # clocks differ a little
        hands.now += LATE_AFTER
        if house.database.clock() is None:  # one machine, one clock: a step of it must not end a lease
            assert sweep(house, hands.now).recovered == 0
            return
        assert sweep(house, hands.now).recovered == 4
        assert states(house) == [
            DeliveryState.SENT,
            DeliveryState.IN_DOUBT,
            DeliveryState.DEFERRED,
            DeliveryState.DEFERRED,
        ]
        journal.settled([first, second])


@contextmanager
def refusing_updates(house: House) -> Iterator[None]:
    """The database takes no outcome for as long as the block runs."""

    def refuse(
        _connection: Any, _cursor: Any, statement: str, _parameters: Any, _context: Any, _many: bool
    ) -> None:
        if statement.startswith("UPDATE deliveries SET state") and "settled_at" in statement:
            raise OperationalError(statement, {}, Exception("disk full"))

    event.listen(house.database.engine, "before_cursor_execute", refuse)
    try:
        yield
    finally:
        event.remove(house.database.engine, "before_cursor_execute", refuse)


@pytest.mark.usefixtures("four_readers")
def test_outcomes_the_database_would_not_take_are_written_when_it_can(
    house: House, server: MailServer, hands: Hands, statement: int
) -> None:
    mailing = publish(house, statement, hands.now)
    with refusing_updates(house), pytest.raises(OperationalError):
        hands.dispatcher.run()
    assert len(server.mails) == 4
    assert states(house) == [DeliveryState.CLAIMED] * 4
    with refusing_updates(house), pytest.raises(OperationalError):
        hands.dispatcher.run()
    assert hands.work() == 0
    assert len(server.mails) == 4
    with house.database.read() as session:
        assert books(session, mailing).sent == 4
        assert session.scalars(select(Claim.released_at)).all() != [None]


@pytest.mark.usefixtures("four_readers")
def test_outcomes_that_the_journal_cannot_forget_are_written_once(
    house: House, now: datetime, statement: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk: the database has them, so the next run does not write them again."""

    def full(_: Any) -> None:
        raise JournalError(28, "no space left")

    publish(house, statement, now)
    absent = Hands(house, "smtp://127.0.0.1:1", now)
    monkeypatch.setattr(absent.journal, "settled", full)
    absent.work()
    absent.work()
    with house.database.read() as session:
        assert len(session.scalars(select(Attempt.id)).all()) == 4
        assert None not in session.scalars(select(Claim.released_at)).all()
    absent.close()


@pytest.mark.usefixtures("four_readers")
def test_a_relay_that_is_down_charges_nobody_and_everybody_gets_it_later(
    house: House, server: MailServer, now: datetime, statement: int
) -> None:
    mailing = publish(house, statement, now)
    absent = Hands(house, "smtp://127.0.0.1:1", now)
    assert absent.work() == 0
    absent.close()
    with house.database.read() as session:
        assert books(session, mailing).open == 4
    present = Hands(house, server.url, now + timedelta(minutes=10))
    assert present.work() == 4
    present.close()


def test_a_mail_that_cannot_be_composed_fails_alone(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    broken = subscribe("broken@example.org")
    subscribe("whole@example.org")
    with house.database.write() as session:
        person = session.get_one(Subscriber, broken)
        person.address = house.vault.seal(ADDRESS, broken, "no address at all")
    mailing = publish(house, statement, hands.now)
    assert hands.work() == 1
    with house.database.read() as session:
        account = books(session, mailing)
        assert (account.sent, account.failed, account.open) == (1, 1, 0)


def test_paused_nothing_leaves_resumed_the_rest_goes_cancelled_it_ends(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(3):
        subscribe(f"reader{number}@example.org")
    publish(house, statement, hands.now)
    key = f"statement:{statement}:alert"
    with house.database.write() as session:
        mailings.pause(session, mailings.find(session, key), actor="test", now=hands.now)
    assert hands.work() == 0
    with house.database.write() as session:
        mailings.resume(session, mailings.find(session, key), actor="test", now=hands.now)
    server.reply_to_recipient = lambda to: "450 4.2.0 later" if to.startswith("reader2") else None
    assert hands.work() == 2
    with house.database.write() as session:
        assert mailings.cancel(session, mailings.find(session, key), actor="test", now=hands.now) == 1
    server.reply_to_recipient = lambda _to: None
    hands.now += timedelta(days=1)
    assert hands.work() == 0
    with house.database.read() as session:
        account = mailings.account(session, mailings.find(session, key)).books
        assert (account.sent, account.skipped, account.balanced) == (2, {"mailing_cancelled": 1}, True)


@pytest.mark.usefixtures("four_readers")
def test_an_address_that_does_not_open_fails_alone(
    house: House, server: MailServer, hands: Hands, statement: int
) -> None:
    mailing = publish(house, statement, hands.now)
    with house.database.write() as session:
        person = session.scalars(select(Subscriber).order_by(Subscriber.id).limit(1)).one()
        person.address = person.address[:-1] + bytes([person.address[-1] ^ 1])
    assert hands.work() == 3
    with house.database.read() as session:
        account = books(session, mailing)
        assert (account.sent, account.failed, account.open) == (3, 1, 0)


@pytest.mark.usefixtures("four_readers")
def test_a_claim_that_still_holds_something_is_not_closed(house: House, hands: Hands, statement: int) -> None:
    publish(house, statement, hands.now)
    with house.database.write() as session:
        held = claim(session, house, worker="send-elsewhere-1-aaaaaa", now=hands.now)
        release(session, [held.fence], hands.now)
    with house.database.read() as session:
        assert session.scalars(select(Claim.released_at)).all() == [None]


@pytest.mark.usefixtures("four_readers")
def test_a_damaged_journal_stops_no_sweep(
    house: House, server: MailServer, hands: Hands, statement: int
) -> None:
    publish(house, statement, hands.now)
    (journal_folder(house) / "send-dead.1.abc.journal").write_bytes(b"")
    assert hands.work() == 4
    assert [path.name for path in journal_folder(house).glob("*.bad")] == ["send-dead.1.abc.bad"]


@pytest.mark.usefixtures("four_readers")
def test_an_outage_of_the_relay_costs_a_recipient_no_try(
    house: House, server: MailServer, now: datetime, statement: int
) -> None:
    publish(house, statement, now)
    absent = Hands(house, "smtp://127.0.0.1:1", now)
    for _ in range(5):
        absent.work()
        absent.now += timedelta(minutes=10)
    absent.close()
    with house.database.read() as session:
        assert set(session.scalars(select(Delivery.attempts))) == {0}
