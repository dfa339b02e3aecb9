"""The alarm: what it does how long before an embargo ends, and that nothing is said before the end."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Statement, StatementText
from mailer.services.house import House
from mailer.services.incidents import open_incidents
from mailer.services.programme import embargo, review
from mailer.services.sending.embargo_time import at_instant
from mailer.services.sending.expand import expand_mailing
from mailer.services.sending.gate import Reading
from mailer.vocabulary import EmbargoWish
from tests.services.conftest import subscribe  # noqa: F401 - a fixture
from tests.smtp_server import MailServer
from workers import tasks
from workers.alarm import FINAL_SECONDS, LEAD_SECONDS, LOOK_SECONDS, Alarm
from workers.clock import Clock

PATIENCE = 60.0
STAFF = "cli:anna"


class Listener:
    """What the alarm calls, noted."""

    def __init__(self) -> None:
        self.prepared: list[datetime] = []
        self.warmed = 0
        self.rung = threading.Event()

    def at_once(self) -> int:
        self.rung.set()
        return 1

    def prepare(self, moment: datetime) -> None:
        self.prepared.append(moment)

    def keep_warm(self) -> None:
        self.warmed += 1


def until_embargo(house: House, moment: datetime, now: datetime, readers: int = 0) -> int:
    """A statement under embargo until that moment, its rows made; the mailing's id."""
    with house.database.write() as session:
        found = Statement(key="s", slug="s", language="en", dated=now.date(), created_at=now)
        found.texts.append(StatementText(language="en", title="Words", body="Text.", created_at=now))
        session.add(found)
        session.flush()
        review.ask(session, found, actor=STAFF, now=now)
        review.approve(session, found, actor=STAFF, now=now)
        until = at_instant(moment, "UTC")
        mailing = embargo.schedule(session, house, found, until, actor=STAFF, now=now)[0].id
    with house.database.write() as session:
        expand_mailing(session, mailing, now)
    return mailing


class StillClock(Clock):
    """Stands still until a test turns it; the machine's clock is so many seconds ahead."""

    def __init__(self, wrong: float = 0.0) -> None:
        super().__init__()
        self.moment, self.wrong = datetime.now(UTC), wrong

    def __call__(self) -> datetime:
        return self.moment

    def travel_to(self, moment: datetime) -> None:
        self.moment = moment

    def read(self, session: Session) -> Reading:
        return Reading(moment=None, ahead=self.wrong)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def alarm(house: House, listener: Listener, clock: StillClock) -> Alarm:
    return Alarm(lambda: house, listener, clock, "here")


def test_with_nothing_ahead_it_sleeps(alarm: Alarm, listener: Listener) -> None:
    assert alarm.turn() == LOOK_SECONDS
    assert (listener.prepared, listener.warmed, alarm.rings_at) == ([], 0, None)


def test_it_prepares_in_time_once_and_rings_in_the_last_second_alone(
    house: House, alarm: Alarm, listener: Listener, clock: StillClock, now: datetime
) -> None:
    moment = now + timedelta(hours=1)
    until_embargo(house, moment, now)

    def at(seconds: float) -> float:
        clock.travel_to(moment - timedelta(seconds=seconds))
        return alarm.turn()

    assert at(3_000) == LOOK_SECONDS
    assert at(LEAD_SECONDS + 5) <= 5
    assert (listener.prepared, listener.warmed) == ([], 0)
    assert at(LEAD_SECONDS - 1) == 0.0
    assert listener.prepared == [moment]
    assert at(15) == LOOK_SECONDS
    assert at(5) <= 5 - FINAL_SECONDS
    assert (listener.prepared, listener.warmed, alarm.rings_at) == ([moment], 2, None)
    assert at(0.9) == pytest.approx(0.9, abs=0.01)
    assert alarm.rings_at == moment
    assert not listener.rung.is_set()


def test_a_moved_embargo_is_prepared_for_anew(
    house: House, alarm: Alarm, listener: Listener, clock: StillClock, now: datetime
) -> None:
    moment, later = now + timedelta(seconds=10), now + timedelta(seconds=18)
    until_embargo(house, moment, now)
    clock.travel_to(now)
    alarm.turn()
    with house.database.write() as session:
        found = one(session)
        to = at_instant(later, "UTC")
        embargo.wish(session, house, found, EmbargoWish.MOVE, actor=STAFF, now=now, to=to)
    alarm.turn()
    assert listener.prepared == [moment, later]


def one(session: Session) -> Statement:
    return session.query(Statement).one()


def test_what_passed_while_it_was_busy_is_rung_for(
    house: House, alarm: Alarm, listener: Listener, clock: StillClock, now: datetime
) -> None:
    moment = now + timedelta(seconds=10)
    until_embargo(house, moment, now)
    clock.travel_to(now)
    alarm.turn()
    clock.travel_to(moment + timedelta(seconds=1))
    assert alarm.turn() == LOOK_SECONDS
    assert listener.rung.wait(PATIENCE)


def test_a_clock_that_is_off_is_told_while_there_is_time(
    house: House, listener: Listener, now: datetime
) -> None:
    until_embargo(house, now + timedelta(hours=1), now)
    clock = StillClock(wrong=7.0)
    clock.travel_to(now)
    alarm = Alarm(lambda: house, listener, clock, "here")
    alarm.turn()
    with house.database.read() as session:
        (incident,) = open_incidents(session)
        assert "7.0 seconds ahead" in incident.words
    clock.wrong = 0.0
    alarm.turn()
    with house.database.read() as session:
        assert open_incidents(session) == []


# --- with a real worker and a real server


@pytest.fixture
def at_work(house: House, server: MailServer) -> Iterator[Callable[[], Alarm]]:
    """Starts a sending worker's alarm on this house; everything ends with the test."""
    sending = replace(house, settings=house.settings.model_copy(update={"smtp_url": server.url}))
    sender = tasks.Sender()
    alarm = Alarm(lambda: sending, sender, tasks.clock, tasks.MACHINE)

    def start() -> Alarm:
        tasks.use(sending)
        alarm.start()
        return alarm

    yield start
    tasks.stopping.set()
    alarm.stop()
    sender.close()
    tasks.stopping.clear()
    tasks.forget()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


@pytest.mark.slow
def test_connections_are_open_before_the_end_and_no_envelope_is_begun_before_it(
    house: House,
    server: MailServer,
    at_work: Callable[[], Alarm],
    subscribe: Callable[..., int],  # noqa: F811
) -> None:
    for number in range(20):
        subscribe(f"reader{number}@example.org", languages=("hy",) if number % 2 else ("en",))
    now = house.database.clock() or datetime.now(UTC)
    moment = now + timedelta(seconds=4)
    mailing = until_embargo(house, moment, now)
    at_work()
    wait_until(lambda: len(server.mails) == 20, "everybody has got it")
    assert min(server.envelopes) >= moment.timestamp()
    assert min(server.greeted) < moment.timestamp()
    with house.database.read() as session:
        assert session.get_one(Mailing, mailing).embargo_at == moment
