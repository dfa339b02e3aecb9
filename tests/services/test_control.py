"""What staff do to stop mail: kill switch, pause, cancel, undo window, and what the sender asks meanwhile."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, select

from mailer.db.mailings import Mailing
from mailer.db.programme import Statement
from mailer.db.staff import AuditEntry
from mailer.services import audit
from mailer.services.desk import campaigns, mailings, switches
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.services.sending.audit_books import audit as audit_books
from mailer.services.sending.halt import Halt, halted_mailings, sending_allowed
from mailer.vocabulary import MailingState
from tests.services.conftest import Hands
from tests.smtp_server import MailServer

Subscribe = Callable[..., int]


def publish(house: House, statement: int, now: datetime) -> int:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        return statements.publish(session, house, found, actor="test", now=now).id


def halt(house: House, *ids: int) -> Halt:
    with house.database.read() as session:
        return halted_mailings(session, ids)


def test_a_house_that_nobody_stopped_sends(house: House) -> None:
    with house.database.read() as session:
        assert sending_allowed(session)
        assert switches.sending(session).since is None
    assert not halt(house)
    assert not halt(house, 1, 2)


def test_the_kill_switch_stops_everything_until_it_is_turned_back(house: House, now: datetime) -> None:
    with house.database.write() as session:
        assert switches.stop(session, reason="wrong text", actor="test", now=now)
    with house.database.write() as session:
        assert not switches.stop(session, reason="again", actor="test", now=now)
        assert not sending_allowed(session)
        assert switches.sending(session).by == "test"
    assert halt(house).everything
    assert halt(house, 5).stops(5)
    with house.database.write() as session:
        assert switches.go(session, actor="test", now=now)
        assert not switches.go(session, actor="test", now=now)
    assert halt(house, 5) == Halt(everything=False, mailings=frozenset())
    with house.database.read() as session:
        assert sending_allowed(session)
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
        assert [entry.action for entry in entries] == ["sending-stopped", "sending-allowed"]
        assert entries[0].detail == {"reason": "wrong text"}
        assert audit.first_break(session) is None


@pytest.mark.parametrize("reason", ["", "   ", "wrote to somebody@example.org"])
def test_a_stop_needs_a_reason_without_an_address(house: House, now: datetime, reason: str) -> None:
    with house.database.write() as session, pytest.raises(switches.SwitchRefusal):
        switches.stop(session, reason=reason, actor="test", now=now)


@pytest.mark.parametrize("service", [mailings.pause, mailings.cancel])
def test_a_halted_mailing_is_named_and_its_neighbour_is_not(
    house: House, statement: int, now: datetime, service: Callable[..., object]
) -> None:
    stopped = publish(house, statement, now)
    with house.database.write() as session:
        other = Mailing(
            **{
                column.name: getattr(session.get_one(Mailing, stopped), column.name)
                for column in Mailing.__table__.columns
                if column.name not in {"id", "key"}
            },
            key="another",
        )
        other.state = MailingState.SENDING
        session.add(other)
        session.flush()
        neighbour = other.id
        service(session, session.get_one(Mailing, stopped), actor="test", now=now)
    assert halt(house, stopped, neighbour) == Halt(everything=False, mailings=frozenset({stopped}))
    assert not halt(house, neighbour)


def test_the_senders_question_is_one_statement(house: House) -> None:
    asked: list[str] = []
    with house.database.read() as session:
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", lambda *about: asked.append(about[2]))
        halted_mailings(session, frozenset(range(1, 20)))
    assert len(asked) == 1


def send_campaign(house: House, now: datetime, **wish: int) -> str:
    with house.database.write() as session:
        campaign = campaigns.draft(
            session, key="news", subject="News", body="News.", topic="statements", language="en", now=now
        )
        return campaigns.send(session, house, campaign, actor="test", now=now, **wish).key


def test_nothing_leaves_before_the_undo_window_ends(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe
) -> None:
    subscribe("reader@example.org")
    send_campaign(house, hands.now, undo_seconds=60)
    assert hands.work() == 0
    hands.now += timedelta(seconds=59)
    assert hands.work() == 0
    hands.now += timedelta(seconds=1)
    assert hands.work() == 1


def test_a_window_of_one_publication_wins_over_the_setting(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    patient = replace(house, settings=house.settings.model_copy(update={"undo_seconds": 3600}))
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        statements.publish(session, patient, found, actor="test", now=hands.now, undo_seconds=0)
    assert hands.work() == 1


def test_what_is_taken_back_within_the_window_reached_nobody(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe
) -> None:
    for number in range(3):
        subscribe(f"reader{number}@example.org")
    key = send_campaign(house, hands.now, undo_seconds=60)
    hands.work()
    hands.now += timedelta(seconds=59)
    with house.database.write() as session:
        mailings.cancel(session, mailings.find(session, key), actor="test", now=hands.now)
    for _ in range(3):
        hands.now += timedelta(minutes=30)
        assert hands.work() == 0
    assert server.mails == []
    with house.database.read() as session:
        receipt = mailings.receipt(session, mailings.find(session, key))
    assert (receipt.reached, receipt.unreached, receipt.doubtful, receipt.in_flight) == (0, 3, 0, 0)


def test_stopped_mail_goes_on_where_it_was_when_the_switch_is_turned_back(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe
) -> None:
    for number in range(3):
        subscribe(f"reader{number}@example.org")
    server.reply_to_recipient = lambda to: "450 4.2.0 later" if to.startswith("reader2") else None
    send_campaign(house, hands.now)
    assert hands.work() == 2
    with house.database.write() as session:
        switches.stop(session, reason="a drill", actor="test", now=hands.now)
    with house.database.read() as session:
        (mailing,) = mailings.underway(session)
        assert mailings.receipt(session, mailing).waiting == 1
    with house.database.write() as session:
        switches.go(session, actor="test", now=hands.now)
    server.reply_to_recipient = lambda _to: None
    hands.now += timedelta(hours=1)
    assert hands.work() == 1
    assert len({mail.recipient for mail in server.mails}) == len(server.mails) == 3


def test_nothing_is_claimed_while_the_switch_is_off(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    with house.database.write() as session:
        switches.stop(session, reason="a drill", actor="test", now=hands.now)
    publish(house, statement, hands.now)
    assert hands.work() == 0
    hands.now += timedelta(minutes=5)
    assert hands.work() == 0
    with house.database.write() as session:
        switches.go(session, actor="test", now=hands.now)
    assert hands.work() == 1


@pytest.mark.parametrize("everything", [True, False], ids=["kill switch", "cancel"])
def test_what_is_stopped_midway_ends_within_a_second_and_the_books_say_who_has_it(
    house: House,
    server: MailServer,
    hands: Hands,
    subscribe: Subscribe,
    statement: int,
    everything: bool,
) -> None:
    for number in range(60):
        subscribe(f"reader{number}@example.org")
    mailing = publish(house, statement, hands.now)
    stopped: list[float] = []

    def slow(_recipient: str) -> None:
        time.sleep(0.05)  # a server that takes its time: sixty mails would need a second and a half
        if len(server.mails) >= 6 and not stopped:
            stopped.append(time.monotonic())
            with house.database.write() as session:
                if everything:
                    switches.stop(session, reason="a drill", actor="test", now=hands.now)
                else:
                    mailings.cancel(session, session.get_one(Mailing, mailing), actor="test", now=hands.now)

    server.reply_to_recipient = slow
    sent = hands.work()
    assert time.monotonic() - stopped[0] < 1.5
    assert 6 <= sent == len(server.mails) < 60
    with house.database.read() as session:
        receipt = mailings.receipt(session, session.get_one(Mailing, mailing))
        assert (receipt.reached, receipt.unreached, receipt.in_flight) == (sent, 60 - sent, 0)
    assert audit_books(house, hands.now) == []
    hands.now += timedelta(minutes=10)
    if everything:
        with house.database.write() as session:
            switches.go(session, actor="test", now=hands.now)
    server.reply_to_recipient = lambda _to: None
    assert hands.work() == (60 - sent if everything else 0)
    assert len({mail.recipient for mail in server.mails}) == len(server.mails)
    assert audit_books(house, hands.now) == []
