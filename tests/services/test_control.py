"""What staff do to stop mail: kill switch, pause, cancel, undo window, and what the sender asks meanwhile."""

from collections.abc import Callable
from datetime import datetime

import pytest
from sqlalchemy import event, select

from mailer.db.mailings import Mailing
from mailer.db.programme import Statement
from mailer.db.staff import AuditEntry
from mailer.services import audit
from mailer.services.desk import mailings, switches
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.services.sending.halt import Halt, halted_mailings, sending_allowed
from mailer.vocabulary import MailingState

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
