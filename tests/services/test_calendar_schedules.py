"""Whatever happens in whatever order, each attendee's calendar ends up with what is true, and never stumbles.

Each reader has the strictest calendar that RFC 5546 allows: it takes an object only when SEQUENCE, and with
the same SEQUENCE the DTSTAMP, is higher than that of everything it saw before, and knows no CANCEL for what
it was not invited to. The schedules are made up by hypothesis and played through the real corridor.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from mailer import settings as house_settings
from mailer.db.mailings import WAITING, Delivery
from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.db.seal import ADDRESS
from mailer.services.house import House, open_house
from mailer.services.programme import places, symposia
from mailer.services.programme.dates import Moment
from mailer.services.programme.register import Attendee, register
from mailer.services.programme.symposia import Edit, SymposiumRefusal
from mailer.services.registration import self_service
from mailer.services.sending.claim import claim
from mailer.services.sending.sweep import journal_folder, sweep, worker_name
from mailer.smtp.journal import Journal
from mailer.vocabulary import DeliveryState, Precision, RegistrationState, SymposiumState
from tests.calendar_readers import ReadEvent, by_icalendar
from tests.conftest import NOON, Databases
from tests.services.announced import announced
from tests.services.conftest import Hands, noon
from tests.services.test_calendar_mails import object_of
from tests.services.test_recovery import ACCEPTED
from tests.smtp_server import MailServer, Taken

FIRST_DAY = date(2024, 2, 20)  # far enough from all that happens here
PLACES = ("", "Room 1", "Room 2")
TITLES = ("How to Identify Genocide", "How to Name It")

steps = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1, 31, 31, 60])),
    st.tuples(st.just("join"), st.integers(0, 2)),
    st.tuples(st.just("join"), st.integers(0, 2)),
    st.tuples(st.just("leave"), st.integers(0, 2)),
    st.tuples(st.just("again"), st.integers(0, 2)),
    st.tuples(st.just("hour"), st.integers(0, 2)),
    st.tuples(st.just("day"), st.integers(0, 1)),
    st.tuples(st.just("month"), st.just(0)),
    st.tuples(st.just("title"), st.integers(0, 1)),
    st.tuples(st.just("place"), st.integers(0, 2)),
    st.tuples(st.just("end"), st.sampled_from([60, 90])),
    st.tuples(st.just("capacity"), st.integers(0, 2)),
    st.tuples(st.just("crash"), st.integers(0, 2)),
    st.tuples(st.just("call off"), st.integers(0, 5)),
)


@dataclass
class Shelf:
    """One reader's calendar: the entry in it, and the highest object it ever saw."""

    entry: ReadEvent | None = None
    highest: tuple[int, datetime] = (-1, datetime(2000, 1, 1, tzinfo=UTC))
    uids: set[str] = field(default_factory=set)

    def take(self, method: str, event: ReadEvent, *, unsure: bool) -> None:
        number = event.sequence, event.stamp
        self.uids.add(event.uid)
        assert len(self.uids) == 1
        if method == "CANCEL":
            assert self.entry is not None or unsure, "nothing to take back"
            assert event.sequence > self.highest[0]
            self.entry = None
        else:
            again = self.entry is not None and _says(self.entry) == _says(event)
            assert number > self.highest or again, "a strict calendar ignores this as old"
            self.entry = event
        self.highest = max(number, self.highest)


@dataclass
class World:
    house: House
    hands: Hands
    server: MailServer
    symposium: int
    shelves: dict[str, Shelf] = field(default_factory=dict)
    unsure: bool = False  # a mail was in doubt: it left, or it did not

    def play(self, step: tuple[str, int]) -> None:
        self.play_unseen(step)
        self.work()

    def play_unseen(self, step: tuple[str, int]) -> None:
        """The same, and no worker does its part yet."""
        self.hands.now += timedelta(seconds=1)
        name, value = step
        if name == "wait":
            self.hands.now += timedelta(minutes=value)
        elif name == "crash":
            self._crash(value)
        else:
            self._change(name, value)

    def work(self) -> None:
        before = len(self.server.mails)
        self.hands.work()
        for taken in self.server.mails[before:]:
            self._deliver(taken)

    def _deliver(self, taken: Taken) -> None:
        if taken.message.get_content_type() != "multipart/mixed":
            return
        found = by_icalendar(object_of(taken))
        (event,) = found.events
        assert event.attendees == (f"mailto:{taken.recipient}",)
        shelf = self.shelves.setdefault(taken.recipient, Shelf())
        shelf.take(found.method, event, unsure=self.unsure)

    def _crash(self, how: int) -> None:
        """A worker dies that holds all that is due: before a dot, after it, or with the reply read."""
        name = worker_name("send")
        journal = Journal.open(journal_folder(self.house), name)
        sweep(self.house, self.hands.now)
        with self.house.database.write() as session:
            held = claim(session, self.house, worker=name, now=self.hands.now)
        journal.about_to_send([(10**9, held.fence)])  # of another mail: an empty journal would be put away
        for one in held.held:
            if how:
                self.unsure = True
                journal.about_to_send([(one.id, held.fence)])
            if how > 1:
                journal.replied(one.id, held.fence, ACCEPTED)
        journal.close()

    def _change(self, name: str, value: int) -> None:
        with self.house.database.write() as session:
            found = session.get_one(Symposium, self.symposium)
            try:
                match name:
                    case "join":
                        attendee = Attendee(address=f"reader{value}@example.org")
                        register(session, self.house, found, attendee, self.hands.now)
                    case "leave" | "again":
                        theirs = session.scalars(select(Registration).order_by(Registration.id)).all()
                        for one in theirs[value : value + 1]:
                            if name == "leave":
                                places.give_back(session, self.house, found, one, self.hands.now)
                            else:
                                self_service.send_again(session, self.house, one, self.hands.now)
                    case "capacity":
                        found.capacity = (1, 2, None)[value]
                        session.flush()
                        places.move_up(session, self.house, found, self.hands.now)
                    case "call off" if value == 0:
                        symposia.call_off(
                            session, self.house, found, reason=None, actor="test", now=self.hands.now
                        )
                    case "call off":
                        pass
                    case _:
                        new = _edit(name, value)
                        symposia.edit(session, self.house, found, new, actor="test", now=self.hands.now)
            except SymposiumRefusal:
                session.rollback()

    def see_it_out(self) -> None:
        for _ in range(100):
            self.work()
            due = self._next()
            if due is None:
                break
            self.hands.now = max(self.hands.now, due)
        with self.house.database.read() as session:
            symposium = session.get_one(Symposium, self.symposium)
            people = select(Registration, Subscriber).join(
                Subscriber, Subscriber.id == Registration.subscriber_id
            )
            for registration, person in session.execute(people):
                address = self.house.vault.open(ADDRESS, person.id, person.address)
                self._look_at(symposium, registration, address)

    def _next(self) -> datetime | None:
        with self.house.database.read() as session:
            return session.scalars(
                select(Delivery.due_at)
                .where(Delivery.state.in_(WAITING | {DeliveryState.IN_DOUBT}))
                .order_by(Delivery.due_at)
            ).first()

    def _look_at(self, symposium: Symposium, registration: Registration, address: str) -> None:
        """The calendar of one reader says what is true for them."""
        entry = self.shelves.setdefault(address, Shelf()).entry
        on = symposium.state is SymposiumState.ANNOUNCED
        dated = symposium.precision in {Precision.DATETIME, Precision.DATE}
        if not on or not dated or registration.state is not RegistrationState.CONFIRMED:
            assert entry is None
            return
        assert entry is not None or self.unsure
        if entry is None:
            return
        assert (entry.summary, entry.location or "") == (symposium.title, symposium.place or "")
        if symposium.starts_at is None:
            assert entry.starts == symposium.day
        else:
            ends_at = symposium.starts_at + timedelta(minutes=symposium.minutes)
            assert (entry.starts, entry.ends) == (symposium.starts_at, ends_at)


def _says(event: ReadEvent) -> tuple[object, ...]:
    return event.summary, event.location, event.starts, event.ends, event.status


def _edit(name: str, value: int) -> Edit:
    day = FIRST_DAY + timedelta(days=value)
    match name:
        case "hour":
            return Edit(moment=noon(day))
        case "day":
            return Edit(moment=Moment(precision=Precision.DATE, day=day))
        case "month":
            return Edit(moment=Moment(precision=Precision.MONTH, day=FIRST_DAY.replace(day=1)))
        case "title":
            return Edit(title=TITLES[value])
        case "place":
            return Edit(place=PLACES[value])
        case _:
            return Edit(minutes=value)


@contextmanager
def _world(template: Path, now: datetime, url: str = "") -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="mailer-calendar-") as folder, MailServer() as server:
        data = Path(folder) / "house"
        shutil.copytree(template, data)
        chosen = house_settings.load(data=data, database_url=url, base_url="https://mailer.example.org")
        house_settings.use(chosen)
        house = open_house(chosen)
        with house.database.write() as session:
            symposium = announced(session, noon(FIRST_DAY), now)
            number = symposium.id
        hands = Hands(house, server.url, now)
        try:
            yield World(house=house, hands=hands, server=server, symposium=number)
        finally:
            hands.close()
            house.database.engine.dispose()


HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # to shrink a schedule of real mails takes long
plans = st.lists(steps, min_size=3, max_size=14)
# Each of these once left a calendar wrong.
INVITED_TO_NOTHING_YET = [("month", 0), ("join", 0), ("hour", 0), ("leave", 0)]
LEFT_BEFORE_THE_NOTICE = [("join", 0), ("month", 0), ("leave", 0)]
LEFT_AFTER_THE_CANCEL = [("join", 0), ("month", 0), ("wait", 31), ("hour", 1), ("leave", 0)]
LEFT_THE_QUEUE = [("join", 0), ("join", 1), ("leave", 0), ("capacity", 0), ("join", 0), ("leave", 0)]
A_NOTICE_THAT_WAITED = [("join", 0), ("title", 1), ("leave", 0), ("join", 0), ("title", 0), ("wait", 60)]


def play(template: Path, url: str, plan: list[tuple[str, int]]) -> None:
    with _world(template, NOON, url) as world:
        for step in plan:
            world.play(step)
        world.see_it_out()


@pytest.mark.slow
@settings(max_examples=25, deadline=None, phases=PHASES, suppress_health_check=HEALTH)
@example(plan=INVITED_TO_NOTHING_YET)
@example(plan=LEFT_BEFORE_THE_NOTICE)
@example(plan=LEFT_AFTER_THE_CANCEL)
@example(plan=LEFT_THE_QUEUE)
@example(plan=A_NOTICE_THAT_WAITED)
@given(plan=plans)
def test_every_calendar_ends_up_true(sqlite_template: Path, plan: list[tuple[str, int]]) -> None:
    play(sqlite_template, "", plan)


@pytest.mark.parametrize("database", ["postgresql"])
@settings(max_examples=5, deadline=None, phases=PHASES, suppress_health_check=HEALTH)
@example(plan=LEFT_BEFORE_THE_NOTICE)
@given(plan=plans)
def test_also_on_the_other_database(
    sqlite_template: Path,
    postgresql_template: str,
    databases: Databases,
    database: str,
    plan: list[tuple[str, int]],
) -> None:
    play(sqlite_template, databases.make(postgresql_template), plan)


def crashed_and_changed(world: World, name: str, value: int) -> None:
    """A worker dies with the reply read, and before anybody reads its journal something changes."""
    world.play_unseen(("crash", 2))
    world.play_unseen((name, value))


def test_what_a_dead_worker_told_is_unknown_once_it_has_changed(sqlite_template: Path) -> None:
    with _world(sqlite_template, NOON) as world:
        world.play(("join", 0))
        world.play(("title", 1))
        world.hands.now += timedelta(minutes=31)
        crashed_and_changed(world, "title", 0)  # they have read the other title, and it is as it was before
        before = len(world.server.mails)
        world.see_it_out()
        notice = world.server.mails[before]
        assert str(notice.message["Subject"]) == f"Changed: {TITLES[0]}"


def test_an_invitation_of_a_dead_worker_is_taken_back(sqlite_template: Path) -> None:
    with _world(sqlite_template, NOON) as world:
        world.play_unseen(("join", 0))
        crashed_and_changed(world, "title", 1)
        world.work()
        world.play(("leave", 0))
        assert "METHOD:CANCEL" in object_of(world.server.mails[-1]).decode()
