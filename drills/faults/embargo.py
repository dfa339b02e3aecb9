"""Embargoes while something goes wrong: none early, none lost, and who cannot tell the time waits."""

import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from drills.faults import Fault, Play
from drills.faults.clock import settable
from drills.run import SERVICES, Allowed, Run
from drills.servers import wait_until
from mailer.db.embargoes import Embargo
from mailer.db.mailings import Mailing
from mailer.db.programme import Statement
from mailer.services.programme import embargo, review, statements
from mailer.services.programme.embargo import EmbargoRefusal
from mailer.services.sending.embargo_time import at_instant
from mailer.vocabulary import EmbargoWish

STAFF = "cli:drill"
ARMED = 6.0  # seconds from setting an embargo to its end


def _set(run: Run, seconds: float = ARMED) -> datetime:
    """Put the statement under embargo for so long and wait until its readers have their rows; its moment."""

    def schedule(session: Session, found: Statement, now: datetime) -> Mailing:
        review.ask(session, found, actor=STAFF, now=now)
        review.approve(session, found, actor=STAFF, now=now)
        until = at_instant(now + timedelta(seconds=seconds), "Europe/Kyiv")
        return embargo.schedule(session, run.house, found, until, actor=STAFF, now=now, anyway=True)[0]

    run.mailing = _with_statement(run, schedule).id
    run.published += 1
    wait_until(lambda: run.count("pending") >= run.readers, "everybody has a row")
    return _moment(run)


def _with_statement(run: Run, what: Callable[[Session, Statement, datetime], Mailing]) -> Mailing:
    with run.house.database.write() as session:
        found = statements.find(session, "short")
        embargo.locked(session, found)
        now = run.house.database.clock() or run.now()
        mailing = what(session, found, now)
        session.flush()
        return mailing


def _moment(run: Run) -> datetime:
    with run.house.database.read() as session:
        return session.get_one(Embargo, statements.find(session, "short").id).opens_at


def _sleep_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def _hinted(run: Run) -> Allowed:
    """However often somebody hints, and however many senders wait for it."""
    run.start()
    run.start("worker-send", name="second")
    until = _set(run)
    while datetime.now(UTC) < until:
        run.hint(times=5)
        time.sleep(0.3)
    run.broken()
    return Allowed()


def _killed(run: Run) -> Allowed:
    """The sender dies a second before the end, armed; with even seeds another one is there."""
    run.start()
    if run.seed % 2 == 0:
        run.start("worker-send", name="second")
    until = _set(run)
    _sleep_until(until - timedelta(seconds=1))
    run.signal("worker-send", signal.SIGKILL)
    run.start("worker-send")
    run.broken()
    return Allowed()


def _killed_at_the_end(run: Run) -> Allowed:
    """It dies in the very moment, with its first mails on the wire."""
    run.sink.slow_down(0.01)
    run.start()
    until = _set(run)
    _sleep_until(until + timedelta(seconds=run.rng.uniform(0, 0.1)))
    run.signal("worker-send", signal.SIGKILL)
    run.broken()
    run.start("worker-send")
    return Allowed(doubt=run.most_in_flight, from_journal=True)


def _stands_still(run: Run) -> Allowed:
    """The sender stands still across the end, armed; it finds what fell due when it goes on."""
    run.start()
    until = _set(run)
    _sleep_until(until - timedelta(seconds=run.rng.uniform(0.2, 2)))
    run.signal("worker-send", signal.SIGSTOP)
    _sleep_until(until + timedelta(seconds=run.rng.uniform(1, 3)))
    run.signal("worker-send", signal.SIGCONT)
    run.broken()
    return Allowed()


def _without_database(run: Run) -> Allowed:
    """PostgreSQL is restarted across the end."""
    run.start()
    until = _set(run)
    _sleep_until(until - timedelta(seconds=run.rng.uniform(0.1, 1)))
    run.site.postgresql.stop(signal.SIGINT)
    _sleep_until(until + timedelta(seconds=run.rng.uniform(0, 1)))
    run.site.postgresql.start()
    run.broken()
    return Allowed()


def _alone(run: Run) -> Allowed:
    """No beat, no planner, no hint: the alarm of the sender is enough."""
    run.start()
    until = _set(run)
    for service in ("beat", "worker-plan"):
        run.signal(service, signal.SIGKILL)
    _sleep_until(until)
    run.wait_for(run.readers)
    run.broken()
    run.start("beat", "worker-plan")
    return Allowed()


def _moved(run: Run) -> Allowed:
    """Moved while it is armed, again and again, the last time so late that it may be too late."""
    run.start()
    until = _set(run)
    for ahead in (2.0, 1.0, run.rng.uniform(0, 0.3)):
        _sleep_until(until - timedelta(seconds=ahead))
        try:
            until = _move(run, until + timedelta(seconds=run.rng.uniform(2, 4)))
        except EmbargoRefusal:
            break
    run.broken()
    return Allowed()


def _move(run: Run, to: datetime) -> datetime:
    def move(session: Session, found: Statement, now: datetime) -> Mailing:
        wall = at_instant(to, "Europe/Kyiv")
        embargo.wish(session, run.house, found, EmbargoWish.MOVE, actor=STAFF, now=now, to=wall)
        return session.get_one(Mailing, run.mailing)

    _with_statement(run, move)
    return to


def _clock_off(hours: int) -> Play:
    """A sender that is armed gives way to one whose clock is wrong: that one waits and says why."""

    def play(run: Run) -> Allowed:
        false = settable(run)
        false.set(3_600 * hours)
        run.start()
        until = _set(run, 2 * ARMED)
        run.signal("worker-send", signal.SIGKILL)
        run.start("worker-send", execute=True, variables=false.variables)
        wait_until(lambda: _incidents(run) > 0, "the sender says that its clock is wrong")
        _sleep_until(until + timedelta(seconds=2))
        if run.sink.accepted:
            raise AssertionError("a sender whose clock was wrong took mail that was under an embargo")
        run.signal("worker-send", signal.SIGKILL)
        run.broken()
        run.start("worker-send")
        run.finish()
        wait_until(lambda: _incidents(run) == 0, "the incident is closed")
        return Allowed()

    return play


def _clock_set(seconds: int) -> Play:
    """The clock of the one sender is set while it is armed: it waits, and sends once the clock is right."""

    def play(run: Run) -> Allowed:
        clock = settable(run)
        for service in SERVICES:
            if service == "worker-send":
                run.start(service, execute=True, variables=clock.variables)
            else:
                run.start(service)
        until = _set(run, 2 * ARMED)
        clock.set(seconds)
        wait_until(lambda: _incidents(run) > 0, "the sender says that its clock is wrong")
        _sleep_until(until + timedelta(seconds=2))
        if run.sink.accepted:
            raise AssertionError("a sender whose clock was set took mail that was under an embargo")
        clock.set(0)
        run.broken()
        run.finish()
        wait_until(lambda: _incidents(run) == 0, "the incident is closed")
        return Allowed()

    return play


def _incidents(run: Run) -> int:
    query = "SELECT count(*) FROM incidents WHERE closed_at IS NULL AND key LIKE 'embargo-clock:%'"
    return int(run.sql(query)[0][0])


FAULTS = (
    Fault(name="embargo", play=_hinted, both=True),
    Fault(name="embargo: killed a second before", play=_killed),
    Fault(name="embargo: killed at its end", play=_killed_at_the_end),
    Fault(name="embargo: sender stands still at its end", play=_stands_still),
    Fault(name="embargo: database restarts at its end", play=_without_database),
    Fault(name="embargo: no beat and no hint", play=_alone),
    Fault(name="embargo: moved while armed", play=_moved),
    Fault(name="embargo: sender an hour ahead", play=_clock_off(1)),
    Fault(name="embargo: sender's clock is set an hour ahead", play=_clock_set(3_600)),
    Fault(name="embargo: sender's clock is set a second back", play=_clock_set(-1)),
    Fault(name="embargo: sender an hour behind", play=_clock_off(-1), slow=True),
)
