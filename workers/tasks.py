"""The doors through which hints come in: each opens a session, calls one service, and is done.

A hint may come ten times at once, an hour late, or never; the service makes it harmless.
"""

import os
import threading
import time
from collections.abc import Sequence
from datetime import datetime

import structlog
from celery import Celery
from celery.signals import worker_shutting_down

from mailer import failpoints, wake
from mailer.services.house import House, open_house
from mailer.services.programme import digests, places, reminders, rooms, symposia
from mailer.services.registration import details, limits
from mailer.services.sending.audit_books import audit
from mailer.services.sending.compose import Composer
from mailer.services.sending.departure import open_engine, relays_of
from mailer.services.sending.dispatch import Dispatcher
from mailer.services.sending.doubt import resolve_doubt
from mailer.services.sending.expand import expand_mailing
from mailer.services.sending.gate import EmbargoGate
from mailer.services.sending.relay_lanes import know_lanes
from mailer.services.sending.shares import Shares
from mailer.services.sending.sweep import journal_folder, sweep, worker_name
from mailer.services.sending.way_out import WayOut
from mailer.settings import SettingsError, current
from mailer.smtp.journal import Journal
from mailer.smtp.letter import boottime
from mailer.smtp.relay import Relay
from mailer.wake import Task
from workers.alarm import Alarm
from workers.clock import clock

log = structlog.get_logger()
stopping = threading.Event()
MACHINE = os.uname().nodename[:24]
gate = EmbargoGate(MACHINE, clock.read)  # by it mails, pages and feeds of this process open


class _Process:
    house: House | None = None
    swept_at = float("-inf")


def house() -> House:
    """The house this process works for: opened at the first task, or handed over by `use`."""
    opened = _Process.house or use(open_house(current()))
    clock.follow(opened.database)
    return opened


def use(house: House) -> House:
    """Work for this house (the embedded process has opened it already)."""
    with house.database.write() as session:
        know_lanes(session, house.vault)
    clock.trust(house.settings.ntp_server)
    _Process.house = house
    stopping.clear()
    return house


def forget() -> None:
    """Work for no house any more; the next task opens one."""
    _Process.house = None


class Sender:
    """The one dispatcher of this process: whoever asks while it sends makes it look once more."""

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._again = threading.Event()
        self._dispatcher: Dispatcher | None = None

    def send_due(self) -> int:
        self._again.set()
        sent = 0
        while self._again.is_set() and self._busy.acquire(blocking=False):
            try:
                self._again.clear()
                sent += self._ready().run(stop=stopping.is_set)
            finally:
                self._busy.release()
            if stopping.is_set():
                break
        return sent

    def at_once(self) -> int:
        """Send what falls due this very moment, also when the dispatcher has enough to do."""
        dispatcher = self._dispatcher
        if dispatcher is not None:
            dispatcher.urge()
        return self.send_due()

    def prepare(self, moment: datetime) -> None:
        """Prepare for an embargo that ends then: at once, or in the next round of the run that is on."""
        if not self._busy.acquire(blocking=False):
            if self._dispatcher is not None:
                self._dispatcher.foresee(moment)
            return
        try:
            self._ready().prepare(moment)
        finally:
            self._busy.release()
        if self._again.is_set() and not stopping.is_set():  # somebody asked meanwhile
            self.send_due()

    def keep_warm(self) -> None:
        """Open again what was closed of the connections that wait for an embargo's end."""
        if self._dispatcher is not None:
            self._dispatcher.engine.warm()

    def close(self) -> None:
        """Say QUIT to the relay; whatever is on its way is awaited first."""
        with self._busy:
            if self._dispatcher is not None:
                self._dispatcher.close()
                self._dispatcher = None

    def _ready(self) -> Dispatcher:
        if self._dispatcher is None:
            self._dispatcher = new_dispatcher(house())
        return self._dispatcher


sender = Sender()


def new_dispatcher(house: House) -> Dispatcher:
    """A dispatcher with its own journal and connections."""
    _ = house.signer  # a key that cannot sign is said before anything is claimed
    worker = worker_name("send")
    relays = relays_of(house.settings)
    refuse_failpoints(relays)
    journal = Journal.open(journal_folder(house), worker)
    shares = Shares(worker)
    engine = open_engine(house, journal, shares=shares, clock=clock)
    return Dispatcher(
        house=house,
        engine=engine,
        journal=journal,
        composer=Composer(house, boottime),
        worker=worker,
        clock=clock,
        way_out=WayOut.by(house, relays, shares),
        gate=gate,
    )


def refuse_failpoints(relays: Sequence[Relay]) -> None:
    """Raise SettingsError where a drill's failpoints are armed and mail could leave this machine."""
    if failpoints.armed and not (relays and all(relay.is_loopback for relay in relays)):
        raise SettingsError(
            f"{failpoints.VARIABLE} is set: it kills this process, in drills on loopback. Unset it."
        )


def send_due() -> None:
    house()  # a clock that follows the database asks it now and then
    alarm.look()  # whatever was hinted at, it may be an embargo that was set or moved
    sender.send_due()


alarm = Alarm(house, sender, clock, MACHINE)


def expand(mailing_id: int) -> None:
    with house().database.write() as session:
        expand_mailing(session, mailing_id, clock())


def plan_reminders() -> None:
    with house().database.write() as session:
        symposia.rederive_all(session, house(), clock())
    with house().database.write() as session:
        reminders.plan_all(session, house(), clock())
    places.move_up_everywhere(house(), clock())
    with house().database.write() as session:
        rooms.look(session, clock())
        details.forget(session, clock())
        limits.forget(session, clock())


def plan_digests() -> None:
    digests.plan_all(house(), clock())


def sweep_all() -> None:
    """Sweep, unless it was done just now: a worker that was away finds a tick for each second it missed."""
    if time.monotonic() - _Process.swept_at < current().sweep_seconds / 2:
        return
    _Process.swept_at = time.monotonic()
    swept = sweep(house(), clock(), gate)
    if swept.expanded or swept.recovered or swept.retried:
        log.info("swept", expanded=swept.expanded, recovered=swept.recovered, retried=swept.retried)


def audit_all() -> None:
    resolve_doubt(house(), clock())
    audit(house(), clock())


def check_sources() -> None:
    from mailer.services.programme import recordings  # readers cost memory that a sender never needs
    from mailer.services.sources.check import check_due

    recordings.ask_due(house(), clock())
    if check_due(house(), clock()) and not stopping.is_set():
        wake.hint(Task.CHECK_SOURCES)  # there may be more


def register(app: Celery) -> None:
    """Give the application its tasks under the names that hints use."""
    doors = {
        Task.SEND_DUE: send_due,
        Task.EXPAND_MAILING: expand,
        Task.PLAN_REMINDERS: plan_reminders,
        Task.PLAN_DIGESTS: plan_digests,
        Task.SWEEP: sweep_all,
        Task.AUDIT: audit_all,
        Task.CHECK_SOURCES: check_sources,
    }
    for task, door in doors.items():
        app.task(name=task.value)(door)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop_claiming(**_signal: object) -> None:
    stopping.set()
