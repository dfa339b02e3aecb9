"""The corridor as a state machine: workers, a server, staff, readers, and death between any two steps.

Hypothesis picks the steps; claim, compose, journal, settle and sweep are the real ones on a real
database. After every commit and every acceptance the second book (model_truth) is compared.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from mailer import wake
from mailer.db.mailings import Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Statement, Symposium
from mailer.services.audience.preferences import erase_person
from mailer.services.audience.unsubscribe import leave_topic
from mailer.services.desk import mailings, switches
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.services.programme.register import Attendee, register
from mailer.services.sending.sweep import journal_folder, sweep
from mailer.smtp import journal
from mailer.smtp.journal_format import HEADER_SIZE, RECORD_SIZE
from mailer.vocabulary import ConsentSource
from tests.conftest import NOON
from tests.services.model_processes import Died, Failed, Process, Trouble
from tests.services.model_server import Fate
from tests.services.model_truth import Journal
from tests.services.model_world import World, in_memory

pytestmark = pytest.mark.slow

# Some 0.2 s each. PostgreSQL has its share: only there a sweep takes what a living worker holds too long.
EXAMPLES, EXAMPLES_ON_POSTGRESQL, STEPS = 100, 60, 40
VARIABLE = "MODEL_EXAMPLES"  # that many examples, by chance, and a failure is made as short as it can be
READERS, ATTENDEES = 3, 2
MAY_GO = 2  # people; when all are gone nothing is left to go wrong

WORKERS, PLACES = st.integers(0, 1), st.integers(0, 5)
FATES = st.sampled_from([Fate.TAKEN] * 6 + list(Fate))
SECONDS = st.sampled_from([1, 20, 61, 130, 130, 400, 800, 920, 3_600, 40_000])
RARELY = st.sampled_from([False, False, False, True])
TROUBLES = st.sampled_from([Trouble.NONE] * 5 + list(Trouble))
LOOKS = st.sampled_from([Process.renew, Process.renew, Process.look_for_halt, Process.stop])
DISASTERS = st.sampled_from(["power", "machine", "rot", "rot", "clock"])
TURNS = {"pause": mailings.pause, "resume": mailings.resume, "cancel": mailings.cancel}
WISHES = st.sampled_from(["pause", "pause", "resume", "resume", "cancel", "stop", "go", "leave", "erase"])


class Corridor(RuleBasedStateMachine):
    """Each rule is one step of somebody; between any two of them a process may be gone."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self.world = world
        self.house, self.truth = world.fresh(NOON)
        self.born = 0
        self.graves: list[Process] = []
        self.workers = [self._new_process(), self._new_process()]

    def _new_process(self) -> Process:
        self.born += 1
        process = Process(
            self.house, self.truth, f"send-model-{self.born}-aaaaaa", 2 + self.born % 3, self.world.forms
        )
        self.truth.journals[process.name] = Journal.HELD
        return process

    # --- workers

    @rule(
        worker=WORKERS,
        steps=st.integers(1, 30),
        fates=st.lists(FATES, min_size=1, max_size=4),
        wide=st.booleans(),
    )
    def work(self, worker: int, steps: int, fates: list[Fate], wide: bool) -> None:
        """So many steps in their order: letter by letter, or (`wide`) all letters abreast."""
        for _ in range(steps):
            if not self.workers[worker].step(fates, wide=wide):
                break

    @rule(worker=WORKERS, trouble=TROUBLES)
    def claim(self, worker: int, trouble: Trouble) -> None:
        if trouble is Trouble.UNSURE and self.truth.clock_may_step:
            trouble = Trouble.FAILS  # SQLite has no connection that could be lost
        process = self.workers[worker]
        self._in_trouble(worker, lambda: process.at_desk(lambda: process.claim(trouble)))

    @precondition(lambda self: any(process.slices.unwritten for process in self.workers))
    @rule(worker=WORKERS, count=st.integers(1, 4), trouble=TROUBLES)
    def settle(self, worker: int, count: int, trouble: Trouble) -> None:
        process = self.workers[worker]
        self._in_trouble(worker, lambda: process.at_desk(lambda: process.settle(count, trouble)))

    def _in_trouble(self, worker: int, do: Callable[[], None]) -> None:
        try:
            with suppress(Failed):
                do()
        except Died:
            self._bury(worker)

    @precondition(lambda self: any(process.flights for process in self.workers))
    @rule(worker=WORKERS, place=PLACES, steps=st.integers(1, 5), fate=FATES, together=st.booleans())
    def letter_goes_on(self, worker: int, place: int, steps: int, fate: Fate, together: bool) -> None:
        process = self.workers[worker] if self.workers[worker].flights else self.workers[1 - worker]
        flight = process.flights[place % len(process.flights)]
        for _ in range(steps):
            process.wire(flight, fate, together=together)

    @precondition(lambda self: any(process.slices.fences for process in self.workers))
    @rule(worker=WORKERS, what=LOOKS)
    def look_after(self, worker: int, what: Callable[[Process], None]) -> None:
        """Renew the leases, withdraw what staff have stopped, or take everything back on SIGTERM."""
        process = self.workers[worker]
        process.at_desk(lambda: what(process))

    @rule(
        worker=WORKERS,
        torn=st.sampled_from([0, 0, 1, RECORD_SIZE - 1]),
        rots=RARELY,
        number=st.integers(0, 9),
    )
    def die(self, worker: int, torn: int, rots: bool, number: int) -> None:
        self._bury(worker, torn)
        if rots:
            self._rot(self.graves[-1], number)

    def _bury(self, worker: int, torn: int = 0, state: Journal = Journal.WHOLE) -> None:
        process = self.workers[worker]
        process.die(torn)
        self.truth.journals[process.name] = state
        self.graves.append(process)
        self.workers[worker] = self._new_process()

    # --- what befalls machines, journals and clocks

    @rule(what=DISASTERS, number=st.integers(0, 200))
    def disaster(self, what: str, number: int) -> None:
        if what == "power":
            self._lose_power(number)
        elif what == "machine":
            self._lose_machine(number % 2)
        elif what == "rot":
            left = [each for each in self.graves if each.journal.path.exists()]
            if left:
                self._rot(left[number % len(left)], number)
        elif self.truth.clock_may_step:
            self.truth.step_the_clock(timedelta(seconds=(-3_600, 130, 3_600)[number % 3]))

    def _lose_power(self, lost: int) -> None:
        """Everybody is gone, the tails of the journals too, and the next boot has another id."""
        for process in (*self.workers, *self.graves):
            path = process.journal.path
            if path.exists() and self.truth.journals[process.name] is not Journal.UNREADABLE:
                os.truncate(path, max(HEADER_SIZE, path.stat().st_size - lost))
                self.truth.journals[process.name] = Journal.HURT
        self.world.new_boot()
        for worker in (0, 1):
            self._bury(worker, state=Journal.HURT)

    def _rot(self, process: Process, number: int) -> None:
        """A record in the middle of a dead worker's journal, or its first block, cannot be read any more."""
        octets = bytearray(process.journal.path.read_bytes())
        records = (len(octets) - HEADER_SIZE) // RECORD_SIZE
        if number % 5 == 0 or records < 2:
            octets[40:44], state = b"\xff" * 4, Journal.UNREADABLE
        else:
            start = HEADER_SIZE + (number % (records - 1)) * RECORD_SIZE
            octets[start : start + RECORD_SIZE] = b"\xff" * RECORD_SIZE
            already = self.truth.journals[process.name] is Journal.UNREADABLE
            state = Journal.UNREADABLE if already else Journal.HURT
        process.journal.path.write_bytes(octets)
        self.truth.journals[process.name] = state

    def _lose_machine(self, worker: int) -> None:
        path = self.workers[worker].journal.path
        self._bury(worker, state=Journal.GONE)
        path.unlink()

    @rule(seconds=SECONDS)
    def time_goes_on(self, seconds: int) -> None:
        self._advance(timedelta(seconds=seconds))

    def _advance(self, by: timedelta) -> None:
        self.truth.now += by
        self.truth.boottime += by.total_seconds()

    @precondition(lambda self: any(process.flights for process in self.workers))
    @rule(worker=WORKERS, steps=st.integers(0, 12), doubt_too=st.booleans())
    def worker_is_overtaken(self, worker: int, steps: int, doubt_too: bool) -> None:
        """It is stopped beyond its lease; others sweep, perhaps settle the doubt, and go on. It will wake."""
        self._advance(timedelta(seconds=130))
        self.sweep()
        if doubt_too and self.truth.doubtful:
            self.staff_settle_doubt(place=0, one=False, off=False)
        self.work(1 - worker, steps, [Fate.TAKEN], wide=False)

    @rule()
    def sweep(self) -> None:
        expected = self.truth.before_sweep()
        sweep(self.house, self.truth.now)
        self.truth.after_sweep(expected)

    # --- staff and subscribers

    @rule(what=WISHES, place=PLACES)
    def people(self, what: str, place: int) -> None:
        """Staff turn a switch, a reader unsubscribes, somebody has themselves erased."""
        if what in TURNS:
            self._turn(TURNS[what], place)
        elif what in ("stop", "go"):
            self._switch(on=what == "go")
        elif len(self.truth.gone) < MAY_GO:
            self._leave(place, erased=what == "erase")

    def _turn(self, turn: Callable[..., object], place: int) -> None:
        with suppress(mailings.MailingRefusal), self.house.database.write() as session:
            found = session.get_one(Mailing, 1 + place % len(self.truth.mailing))
            turn(session, found, actor="test", now=self.truth.now)

    def _switch(self, *, on: bool) -> None:
        with self.house.database.write() as session:
            if on:
                switches.go(session, actor="test", now=self.truth.now)
            else:
                switches.stop(session, reason="drill", actor="test", now=self.truth.now)
            self.truth.stopped = not on

    def _leave(self, place: int, *, erased: bool) -> None:
        with self.house.database.write() as session:
            if erased:
                for person in session.scalars(
                    select(Subscriber).order_by(Subscriber.id).offset(place).limit(1)
                ):
                    self.truth.gone.add(person.id)
                    erase_person(session, self.house, person, self.truth.now)
                return
            held = select(Subscription).order_by(Subscription.id).offset(place % READERS).limit(1)
            for subscription in session.scalars(held):
                self.truth.gone.add(subscription.subscriber_id)
                leave_topic(session, subscription, ConsentSource.PREFERENCES, self.truth.now)

    @precondition(lambda self: bool(self.truth.doubtful))
    @rule(place=PLACES, one=st.booleans(), off=RARELY)
    def staff_settle_doubt(self, place: int, one: bool, off: bool) -> None:
        doubtful = self.truth.doubtful
        row = doubtful[place % len(doubtful)]
        meant = [
            each.id for each in doubtful if each.mailing_id == row.mailing_id and (not one or each is row)
        ]
        turn = mailings.write_off if off else mailings.release
        with suppress(mailings.MailingRefusal), self.house.database.write() as session:
            found = session.get_one(Mailing, row.mailing_id)
            turn(session, found, actor="test", now=self.truth.now, delivery_id=row.id if one else None)
            if not off:
                self.truth.released(meant)

    # --- at the end an honest worker finishes everything

    def teardown(self) -> None:
        try:
            self._finish()
        finally:
            for process in self.workers:
                process.die()

    def _finish(self) -> None:
        self._switch(on=True)
        for place in range(len(self.truth.mailing)):
            self._turn(mailings.resume, place)
        self._work_off()
        self._bury(1)
        for _ in range(200):
            self.sweep()
            self._work_off()
            moment = self.truth.next_moment()
            if moment is None:
                break
            self._advance(max(moment - self.truth.now, timedelta(seconds=1)))
        self._advance(timedelta(days=1))
        self.sweep()
        self.truth.nothing_is_lost()
        while self.workers:
            self.workers.pop().close()
        assert list(journal_folder(self.house).glob("*.journal")) == []

    def _work_off(self) -> None:
        """Nothing goes wrong any more: the first worker sends until there is nothing for it."""
        process = self.workers[0]
        process.at_desk(process.renew)
        while process.step([Fate.TAKEN], wide=False):
            pass
        assert process.idle


@pytest.fixture
def announced(house: House, symposium: int, statement: int, subscribe: Callable[..., int]) -> House:
    """An alert to a few readers and a confirmation to each of a few attendees, all of them due."""
    for number in range(READERS):
        subscribe(f"reader{number}@example.org")
    for number in range(ATTENDEES):
        with house.database.write() as session:
            attendee = Attendee(address=f"attendee{number}@example.org", name="Anahit")
            register(session, house, session.get_one(Symposium, symposium), attendee, NOON)
    with house.database.write() as session:
        statements.publish(session, house, session.get_one(Statement, statement), actor="test", now=NOON)
    sweep(house, NOON)
    house.database.engine.dispose()
    return house


@pytest.fixture
def world(announced: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    with in_memory(announced, tmp_path) as world:
        monkeypatch.setattr(journal, "_BOOT_ID", world.boot_id)
        monkeypatch.setattr(wake._Broker, "silent_until", float("inf"))  # a lost hint changes nothing
        yield world


def test_nothing_is_lost_and_nothing_is_sent_twice_wherever_a_process_dies(world: World) -> None:
    slow = world.house.database.engine.dialect.name == "postgresql"
    asked = os.environ.get(VARIABLE)
    settings = hypothesis_settings(
        max_examples=int(asked or (EXAMPLES_ON_POSTGRESQL if slow else EXAMPLES)),
        stateful_step_count=STEPS,
        derandomize=asked is None,
        phases=[Phase.generate, Phase.shrink] if asked else [Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(lambda: Corridor(world), settings=settings)
