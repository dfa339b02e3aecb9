"""Whatever staff, attendees and the clock do in whatever order, the promises of reminders and notices hold.

Schedules are made up by hypothesis and played through the real corridor into a real SMTP server: nobody
is reminded twice of one date by one rule, nobody after the start, nobody of facts that do not hold or of
what is called off; nobody is thanked before the end, or by the mail for all and by that for some; and of
every change exactly those hear, once, whose last mail had told them otherwise. Workers die with mails in
hand, the clock steps back, the date moves back. What the timeline then says of the time ahead is what
happens.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from mailer import settings as house_settings
from mailer.db.audience import ATTENDANCE_OF
from mailer.db.mailings import WAITING, Delivery, Mailing
from mailer.db.programme import Registration, Symposium
from mailer.services.house import House, open_house
from mailer.services.programme import places, reminders, rules, symposia
from mailer.services.programme.dates import Moment, moment_of
from mailer.services.programme.register import Attendee, register
from mailer.services.programme.rules import Owner, RuleRefusal
from mailer.services.programme.symposia import Edit, SymposiumRefusal
from mailer.services.programme.timeline import timeline
from mailer.services.sending.claim import claim
from mailer.services.sending.sweep import journal_folder, sweep, worker_name
from mailer.services.sending.traits import BY_RULE, NOTICES
from mailer.smtp.journal import Journal
from mailer.vocabulary import (
    Attendance,
    DeliveryState,
    MailingKind,
    Precision,
    RegistrationState,
    SymposiumState,
)
from tests.conftest import NOON, Databases
from tests.services.announced import announced
from tests.services.conftest import Hands
from tests.services.test_recovery import ACCEPTED
from tests.smtp_server import MailServer, Taken

FIRST_DAY = date(2024, 2, 10)
ZONES = (None, "Asia/Yerevan", "Australia/Sydney", "Europe/Kyiv")
RULES = (
    "before 1 day",
    "before 25 hours",
    "before 2 hours",
    "before 3 days at 09:00",
    "before 1 week",
    "after end 30 minutes",
    "after end 45 minutes attended",
    "after end 60 minutes no-show",
)
FIRM = NOTICES | {MailingKind.REGISTRATION_CONFIRMATION, MailingKind.WAITING_LIST}
Facts = tuple[object, ...]

steps = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1, 31, 60, 361, 24 * 60])),
    st.tuples(st.just("until_due"), st.just(0)),
    st.tuples(st.just("until_due"), st.just(0)),
    st.tuples(st.just("join"), st.integers(0, 3)),
    st.tuples(st.just("leave"), st.integers(0, 3)),
    st.tuples(st.just("move"), st.integers(0, 6 * 4 - 1)),
    st.tuples(st.just("place"), st.integers(0, 2)),
    st.tuples(st.just("postpone"), st.just(0)),
    st.tuples(st.just("rule"), st.integers(0, len(RULES) - 1)),
    st.tuples(st.just("unrule"), st.integers(0, len(RULES) - 1)),
    st.tuples(st.just("plan"), st.just(0)),
    st.tuples(st.just("back"), st.just(0)),
    st.tuples(st.just("clock"), st.sampled_from([1, 61, 24 * 60])),
    st.tuples(st.just("crash"), st.integers(0, 2)),
    st.tuples(st.just("crash"), st.integers(0, 2)),
    st.tuples(st.just("zone"), st.integers(0, 4 * 4 - 1)),
    st.tuples(st.just("capacity"), st.integers(0, 2)),
    st.tuples(st.just("call off"), st.integers(0, 5)),
    st.tuples(st.just("approve"), st.just(0)),
    st.tuples(st.just("noted"), st.integers(0, 4 * 3 - 1)),
)


@dataclass
class World:
    """A house with one symposium, and beside it what its readers' mails have told them."""

    house: House
    hands: Hands
    server: MailServer
    symposium: int
    told: dict[int, Facts] = field(default_factory=dict)
    reminded: set[tuple[int, str, int]] = field(default_factory=set)
    followed: dict[tuple[int, int], str] = field(default_factory=dict)  # for whom the mail after the end was
    message_ids: set[str] = field(default_factory=set)
    unsure: set[int] = field(default_factory=set)  # of whom nobody knows what their last mail told
    called_off: set[int] = field(default_factory=set)
    dates: list[Moment] = field(default_factory=list)

    def play(self, step: tuple[str, int]) -> None:
        name, value = step
        match name:
            case "wait":
                self.hands.now += timedelta(minutes=value)
            case "clock":
                self.hands.now -= timedelta(minutes=value)
            case "crash":
                self._crash(value)
            case "until_due":
                self._until_due()
            case _:
                self._change(name, value)
        self._work()

    def _until_due(self) -> None:
        with self.house.database.read() as session:
            due = session.scalars(
                select(Delivery.due_at)
                .where(Delivery.state.in_(WAITING), Delivery.due_at > self.hands.now)
                .order_by(Delivery.due_at)
            ).first()
        if due is not None:
            self.hands.now = due

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
                journal.about_to_send([(one.id, held.fence)])
            if how == 1 and held.around.mailings[one.mailing_id].kind in FIRM and one.registration_id:
                self.unsure.add(one.registration_id)
            if how > 1:
                journal.replied(one.id, held.fence, ACCEPTED)
        journal.close()

    def _change(self, name: str, value: int) -> None:
        now = self.hands.now
        with self.house.database.write() as session:
            found = session.get_one(Symposium, self.symposium)
            whose = Owner(symposium=found)
            try:
                match name:
                    case "join":
                        attendee = Attendee(address=f"reader{value}@example.org", zone=ZONES[value])
                        register(session, self.house, found, attendee, now)
                    case "leave":
                        theirs = session.scalars(select(Registration).order_by(Registration.id)).all()
                        for one in theirs[value : value + 1]:
                            places.give_back(session, self.house, found, one, now, mail=False)
                            self.told.pop(one.id, None)
                    case "back" if self.dates:
                        new = Edit(moment=self.dates.pop())
                        symposia.edit(session, self.house, found, new, actor="test", now=now)
                    case "zone":
                        theirs = session.scalars(select(Registration).order_by(Registration.id)).all()
                        for one in theirs[value // 4 : value // 4 + 1]:
                            one.zone = ZONES[value % 4]
                            found.planned_at = None
                            session.flush()
                            reminders.plan_all(session, self.house, now)
                    case "capacity":
                        found.capacity = (1, 2, None)[value]
                        session.flush()
                        places.move_up(session, self.house, found, now)
                    case "call off" if value == 0:
                        symposia.call_off(session, self.house, found, reason=None, actor="test", now=now)
                    case "move":
                        self.dates.append(moment_of(found))
                        new = Edit(moment=_moment(value // 4, 8 + 4 * (value % 4)))
                        symposia.edit(session, self.house, found, new, actor="test", now=now)
                    case "place":
                        new = Edit(place=("", "Room 1", "Room 2")[value])
                        symposia.edit(session, self.house, found, new, actor="test", now=now)
                    case "postpone":
                        month = Moment(precision=Precision.MONTH, day=date(2024, 3, 1))
                        symposia.edit(session, self.house, found, Edit(moment=month), actor="test", now=now)
                    case "rule":
                        rules.add(session, self.house, whose, RULES[value], sure=True, actor="test", now=now)
                    case "unrule":
                        known = rules.listed(session, whose)
                        for one_rule in known[value : value + 1]:
                            rules.remove(session, self.house, whose, one_rule.key, actor="test", now=now)
                    case "approve":
                        symposia.approve_follow_up(
                            session, self.house, found, recording_url=None, actor="test", now=now
                        )
                    case "noted":  # as a list of who was there says it
                        theirs = session.scalars(select(Registration).order_by(Registration.id)).all()
                        for one in theirs[value // 3 : value // 3 + 1]:
                            one.attendance = tuple(Attendance)[value % 3]
                        symposia.lock(session, found)
                        reminders.plan(session, self.house, found, now)
                    case "plan":
                        found.planned_at = None
                        session.flush()
                        reminders.plan_all(session, self.house, now)
            except (RuleRefusal, SymposiumRefusal):
                session.rollback()

    def _work(self) -> None:
        before = len(self.server.mails)
        self.hands.work()
        arrived = self.server.mails[before:]
        with self.house.database.read() as session:
            symposium = session.get_one(Symposium, self.symposium)
            facts = _facts(symposium)
            rows = session.execute(
                select(Delivery, Mailing)
                .join(Mailing, Mailing.id == Delivery.mailing_id)
                .where(Delivery.state == DeliveryState.SENT, Delivery.settled_at == self.hands.now)
                .order_by(Mailing.rank, Delivery.id)
            ).all()
            for delivery, mailing in rows:
                self._look_at(delivery, mailing, symposium, facts)
            self._look_at_the_rest(session.scalars(select(Registration)).all(), facts)
        for mail in arrived:
            self._look_at_mail(mail)

    def _look_at(self, delivery: Delivery, mailing: Mailing, symposium: Symposium, facts: Facts) -> None:
        number = delivery.registration_id
        assert number is not None
        if delivery.id in self._seen:  # the clock stood still since
            return
        self._seen.add(delivery.id)
        if mailing.kind is MailingKind.REMINDER:
            key = (number, mailing.key.split(":")[3], mailing.generation or 0)
            assert key not in self.reminded, "reminded twice"
            self.reminded.add(key)
            assert symposium.state is SymposiumState.ANNOUNCED
            assert symposium.starts_at is None or self.hands.now < symposium.starts_at
            assert mailing.generation == symposium.generation
        if mailing.kind is MailingKind.FOLLOW_UP:
            self._look_at_follow_up(number, mailing, symposium)
        if mailing.kind is MailingKind.CANCELLATION:
            assert symposium.state is SymposiumState.CANCELLED
            assert number not in self.called_off, "called off twice"
            self.called_off.add(number)
        if mailing.kind in FIRM:
            if mailing.kind in NOTICES and number not in self.unsure:
                assert self.told.get(number) != facts, "told again what they knew"
            self.unsure.discard(number)
            self.told[number] = facts

    def _look_at_follow_up(self, number: int, mailing: Mailing, symposium: Symposium) -> None:
        audience = str(mailing.facts["audience"])
        key = (number, mailing.key.split(":")[3], mailing.generation or 0)
        assert key not in self.reminded, "followed up twice"
        self.reminded.add(key)
        assert symposium.state is SymposiumState.ANNOUNCED
        assert symposium.starts_at is not None
        assert symposium.starts_at + timedelta(minutes=symposium.minutes) <= self.hands.now, "not over yet"
        first = self.followed.setdefault((number, mailing.generation or 0), audience)
        assert first == audience, "the mail for all, and that for some"
        with self.house.database.read() as session:
            came = session.get_one(Registration, number).attendance
        assert ATTENDANCE_OF.get(audience, came) is came

    _seen: set[int] = field(default_factory=set)

    def _look_at_the_rest(self, registrations: object, facts: Facts) -> None:
        """When no notice waits any more, everybody knows what holds."""
        with self.house.database.read() as session:
            of_notices = (
                select(Delivery.registration_id, Delivery.state)
                .join(Mailing, Mailing.id == Delivery.mailing_id)
                .where(Mailing.kind.in_(NOTICES))
            )
            rows = session.execute(of_notices).all()
            confirmed = set(
                session.scalars(
                    select(Registration.id).where(Registration.state == RegistrationState.CONFIRMED)
                )
            )
            called_off = session.get_one(Symposium, self.symposium).state is SymposiumState.CANCELLED
        if called_off or any(state in WAITING | {DeliveryState.IN_DOUBT} for _, state in rows):
            return
        late = {number for number, state in rows if state is DeliveryState.EXPIRED}
        for number in confirmed - late - self.unsure:
            if number in self.told:
                assert self.told[number] == facts, "a change was told to nobody"

    def see_it_out(self) -> None:
        """What the timeline says of the time ahead is what then happens, as long as nobody does anything."""
        self._wait_while({DeliveryState.IN_DOUBT})
        with self.house.database.write() as session:
            reminders.plan_all(session, self.house, self.hands.now)
        self._work()
        said, sent_before = self._said(), self._sent()
        self._wait_while(WAITING)
        happened = Counter(one for number, one in self._sent().items() if number not in sent_before)
        assert said == happened

    def _wait_while(self, states: Collection[DeliveryState]) -> None:
        """Until no mail is in one of these states; each turn brings one of them further."""
        for _ in range(MOST_TURNS):
            due = self._next(states)
            if due is None:
                return
            self.hands.now = max(self.hands.now, due)
            self._work()
        raise AssertionError("a mail waits for ever")

    def _said(self) -> Counter[tuple[str, datetime]]:
        """How many mails leave when, in the words of the timeline."""
        with self.house.database.read() as session:
            found = session.get_one(Symposium, self.symposium)
            said = Counter[tuple[str, datetime]]()
            for entry in timeline(session, found, self.hands.now):
                for one in entry.waiting:
                    said[(entry.name, one.due_at)] += one.count
            return said

    def _sent(self) -> dict[int, tuple[str, datetime]]:
        """By delivery: what has left, and when."""
        with self.house.database.read() as session:
            rows = session.execute(
                select(Delivery.id, Mailing.key, Mailing.kind, Delivery.settled_at)
                .join(Mailing, Mailing.id == Delivery.mailing_id)
                .where(Delivery.state == DeliveryState.SENT, Mailing.key.startswith("symposium:"))
            ).all()
        return {
            number: (key.split(":")[3] if kind in BY_RULE else key.split(":", 2)[2], at or NOON)
            for number, key, kind, at in rows
        }

    def _next(self, states: Collection[DeliveryState]) -> datetime | None:
        with self.house.database.read() as session:
            return session.scalars(
                select(Delivery.due_at).where(Delivery.state.in_(states)).order_by(Delivery.due_at)
            ).first()

    def _look_at_mail(self, mail: Taken) -> None:
        number = str(mail.message["Message-ID"])
        assert number not in self.message_ids, "one mail left twice"
        self.message_ids.add(number)


def _facts(symposium: Symposium) -> Facts:
    return (symposium.precision, symposium.day, symposium.starts_at, symposium.place, symposium.title)


def _moment(day: int, hour: int) -> Moment:
    return Moment(
        precision=Precision.DATETIME,
        day=FIRST_DAY + timedelta(days=day),
        wall_time=time(hour),
        zone="America/New_York",
    )


@contextmanager
def _world(template: Path, now: datetime, url: str = "") -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="mailer-schedule-") as folder, MailServer() as server:
        data = Path(folder) / "house"
        shutil.copytree(template, data)
        chosen = house_settings.load(data=data, database_url=url, base_url="https://mailer.example.org")
        house_settings.use(chosen)
        house = open_house(chosen)
        with house.database.write() as session:
            symposium = announced(session, _moment(2, 12), now)
            reminders.plan_all(session, house, now)
            number = symposium.id
        hands = Hands(house, server.url, now)
        try:
            yield World(house=house, hands=hands, server=server, symposium=number)
        finally:
            hands.close()
            house.database.engine.dispose()


HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # to shrink a schedule of real mails takes long
MOST_TURNS = 300
# A clock a day ahead announces a notice, is set back, and the notice is timed anew: it once waited that day.
SET_BACK_AND_TOLD_AGAIN = [("move", 11), ("place", 1), ("clock", 24 * 60), ("place", 0), ("until_due", 0)]
# The mail for all has left when a list says who was there, and the lists say one thing and then another.
THANKED_AND_NOTED = [
    ("rule", 5), ("rule", 6), ("rule", 7), ("approve", 0), ("noted", 1), ("noted", 5), ("until_due", 0),
    ("noted", 4), ("until_due", 0), ("noted", 7), ("noted", 2), ("wait", 31), ("noted", 1), ("wait", 31),
]  # fmt: skip
NOTED_LATE = [
    ("rule", 6), ("approve", 0), ("until_due", 0), ("noted", 1), ("wait", 361), ("noted", 4), ("wait", 31),
    ("approve", 0), ("wait", 1),
]  # fmt: skip
plans = st.lists(steps, min_size=4, max_size=18)


def play(template: Path, url: str, plan: list[tuple[str, int]], early: int) -> None:
    with _world(template, NOON, url) as world:
        for reader in range(early):
            world.play(("join", reader))
        for step in plan:
            world.play(step)
        world.see_it_out()


@pytest.mark.slow
@settings(max_examples=25, deadline=None, phases=PHASES, suppress_health_check=HEALTH)
@example(plan=SET_BACK_AND_TOLD_AGAIN, early=3)
@example(plan=THANKED_AND_NOTED, early=3)
@example(plan=NOTED_LATE, early=3)
@given(plan=plans, early=st.integers(1, 3))
def test_no_schedule_breaks_a_promise(sqlite_template: Path, plan: list[tuple[str, int]], early: int) -> None:
    play(sqlite_template, "", plan, early)


@pytest.mark.parametrize("database", ["postgresql"])
@settings(max_examples=5, deadline=None, phases=PHASES, suppress_health_check=HEALTH)
@given(plan=plans, early=st.integers(1, 3))
def test_nor_does_one_on_the_other_database(
    sqlite_template: Path,
    postgresql_template: str,
    databases: Databases,
    database: str,
    plan: list[tuple[str, int]],
    early: int,
) -> None:
    play(sqlite_template, databases.make(postgresql_template), plan, early)
