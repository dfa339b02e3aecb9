"""Relays rest when they refuse, are asked again, and have one lane however many workers find them."""

import threading
from datetime import datetime, timedelta

from sqlalchemy import func, select

from mailer.db.lanes import Lane
from mailer.services import audit
from mailer.services.desk import lanes as desk
from mailer.services.house import House, open_house
from mailer.services.sending.relay_lanes import (
    ensure_relay_lane,
    relay_key,
    relay_open,
    relay_reopened,
    rest_relay,
)
from mailer.smtp.judge import judge
from mailer.smtp.outcome import Phase, Reason, unanswered
from tests.services.test_lanes import MINUTE, allowed, incidents

NO_LOGIN = judge(Phase.AUTH, 535, "5.7.8", "who is anna@example.org?")
NOBODY_THERE = unanswered(Phase.CONNECT, Reason.CONNECT)

RELAY = relay_key("mail.example.org", 587)


def test_a_refused_login_rests_the_relay_and_tells_staff(house: House, now: datetime) -> None:
    with house.database.write() as session:
        assert relay_open(session, RELAY, now)
        until = rest_relay(session, RELAY, NO_LOGIN, now)
        lane = ensure_relay_lane(session, RELAY)
    assert until == now + 10 * MINUTE
    assert list(incidents(house)) == [f"relay-auth:{RELAY}"]
    words = incidents(house)[f"relay-auth:{RELAY}"]
    assert "535" in words
    assert "anna" not in words
    assert allowed(house, now).closed_lanes == {lane}
    with house.database.read() as session:
        assert not relay_open(session, RELAY, until - MINUTE)
        assert relay_open(session, RELAY, until)

    with house.database.write() as session:
        assert not relay_reopened(session, RELAY, until - MINUTE)  # it was in flight when the login failed
        assert not relay_open(session, RELAY, until - MINUTE)
        assert relay_reopened(session, RELAY, until)
        assert not relay_reopened(session, RELAY, until)
    assert incidents(house) == {}


def test_a_relay_that_is_away_is_asked_again_soon(house: House, now: datetime) -> None:
    with house.database.write() as session:
        assert rest_relay(session, RELAY, NOBODY_THERE, now) == now + timedelta(seconds=5)
        assert rest_relay(session, RELAY, NOBODY_THERE, now) == now + timedelta(seconds=5)
        later = now + timedelta(seconds=6)
        assert rest_relay(session, RELAY, NOBODY_THERE, later) == later + timedelta(seconds=10)
    assert list(incidents(house)) == [f"relay-down:{RELAY}"]
    with house.database.write() as session:
        assert relay_reopened(session, RELAY, later)  # another worker's mail was taken
        assert relay_open(session, RELAY, later)
        assert rest_relay(session, RELAY, NOBODY_THERE, later) == later + timedelta(seconds=5)


def test_a_mail_that_was_taken_does_not_open_what_staff_closed(house: House, now: datetime) -> None:
    with house.database.write() as session:
        ensure_relay_lane(session, RELAY)
        desk.close_lane(session, desk.find(session, RELAY), actor="test", now=now)
        assert not relay_reopened(session, RELAY, now)
        assert not relay_open(session, RELAY, now + timedelta(days=9))
        assert audit.first_break(session) is None


def test_a_relay_has_one_lane_however_many_workers_find_it_missing(house: House, now: datetime) -> None:
    start, ids = threading.Barrier(4), []

    def work(number: int) -> None:
        own = open_house(house.settings)
        start.wait()
        with own.database.write() as session:
            ids.append(ensure_relay_lane(session, RELAY))
            ensure_relay_lane(session, f"relay:r{number}.example.org:25")
        own.database.engine.dispose()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(ids) == 4
    assert len(set(ids)) == 1
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Lane)) == 1 + 1 + 4
