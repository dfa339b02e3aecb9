"""Dispatch: keep the engine fed with claimed mail, and write down what comes back.

One thread does everything that needs the database (claim, settle, renew leases, look
whether staff have stopped something), the engine's thread composes and sends; what is to
be signed is composed ahead of it by `Signers`. No transaction is open while mail is on the
wire. When the database cannot be written no further dot leaves; open replies are awaited,
kept, and stand in the journal.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mailer import failpoints
from mailer.db import outbox
from mailer.failpoints import Failpoint
from mailer.services.house import House
from mailer.services.sending.claim import claim
from mailer.services.sending.closing import finish
from mailer.services.sending.compose import Composer, Mail
from mailer.services.sending.gate import OPEN_BY_NOW, Gate
from mailer.services.sending.halt import halted_mailings
from mailer.services.sending.rehearsal import rehearse
from mailer.services.sending.settle import GIVEN_BACK, settle
from mailer.services.sending.signers import Signers
from mailer.services.sending.slices import Slices
from mailer.services.sending.unfit import IN_A_ROW, Unfits
from mailer.services.sending.way_out import WayOut
from mailer.smtp.engine import Engine
from mailer.smtp.journal import Journal, JournalError
from mailer.smtp.letter import Lease
from mailer.smtp.outcome import Fault, Outcome, Verdict

Clock = Callable[[], datetime]

GROUP = 500  # outcomes written in one transaction
GROUP_SECONDS = 0.25  # an outcome waits no longer than this for its group
LOOK_SECONDS = 0.25  # between two looks whether staff have stopped something: a stop bites within one second
RETRY_SECONDS = 1.0  # between two tries to write to a database that would not
SLICE_SECONDS = 1.0  # of work at the present rate is claimed at once,
SMALLEST_SLICE = 100  # but never less than this
AT_ONCE = 16  # mails that are signed one by one on their way, when they fall due this very moment
LEASE_MARGIN = 2.0  # seconds before the end of a lease from which no dot leaves under it

log = structlog.get_logger()


@dataclass
class Dispatcher:
    """One sending worker: its name, its engine, and what it holds."""

    house: House
    engine: Engine
    journal: Journal
    composer: Composer
    worker: str
    clock: Clock
    way_out: WayOut = field(default_factory=WayOut)
    gate: Gate = OPEN_BY_NOW
    _slices: Slices = field(default_factory=Slices)
    _unfits: Unfits = field(default_factory=Unfits)
    _signers: Signers | None = None
    _sent: int = 0
    _rate: float = 0.0  # mails a second, smoothed
    _broken: SQLAlchemyError | None = None  # what the database said when it would not take outcomes
    _refused: bool = False  # the relay refused: nothing more is claimed in this run
    _urged: bool = False  # something has fallen due this moment: claim although there is enough to do
    _ahead: datetime | None = None  # an embargo to prepare for
    _times: "_Times" = field(default_factory=lambda: _Times())

    def __post_init__(self) -> None:
        self._stream = self.engine.open()
        if self.house.signer is not None:
            self._signers = Signers(self.house.signer, self._stream.feed)

    def run(self, *, stop: Callable[[], bool] = lambda: False) -> int:
        """Send what is due until nothing is, the relay refuses, or `stop` says so; returns how many left.

        Raises what the database raises; nothing new is sent before it takes what is known.
        """
        before, self._refused, stopping, dry = self._sent, False, False, False
        self._write()
        if self.way_out.shares is not None:  # two workers that start together must not each take the whole
            with self.house.database.read() as session:
                self.way_out.refresh(session, self.clock())
        while True:
            if stop() and not stopping:
                stopping = True
                self._stop_offering()
            self._prepare()
            dry = dry and not self._urged
            done = stopping or dry or self._refused or self._broken is not None
            if not done and (self._urged or self._has_room()):
                urged, self._urged = self._urged, False
                dry = not self._claim(first=urged)
                continue  # a slice of which nobody was to be mailed is followed by the next
            if done and not self._slices.on_their_way:
                break
            self._collect()
            self._look_after()
            dry = dry and not self._times.claim.passed(RETRY_SECONDS)
        if failpoints.armed and stopping:
            failpoints.reach(Failpoint.IN_SHUTDOWN)
        self._write()
        with self.house.database.write() as session:
            finish(session, self.clock())
        return self._sent - before

    def urge(self) -> None:
        """Something falls due this very moment: claim it at once. From any thread, also while it runs."""
        self._urged = True

    def foresee(self, moment: datetime) -> None:
        """An embargo ends then: prepare for it in the next round of a run. From any thread."""
        self._ahead = moment

    def _prepare(self) -> None:
        """Do now, and undo, what an embargo's end will need: nothing is then done for the first time."""
        moment, self._ahead = self._ahead, None
        if moment is None:
            return
        relays = tuple(self.way_out.lanes.values())
        limit = self._slice_size()
        try:
            rehearsed = rehearse(
                self.house, self.composer, moment, worker=self.worker, relays=relays, limit=limit
            )
        except SQLAlchemyError as problem:
            log.warning("embargo-not-prepared", kind=type(problem).__name__)
            return
        self.engine.warm(rehearsed.domains)
        log.info("embargo-prepared", mailings=rehearsed.mailings, languages=rehearsed.languages)

    def prepare(self, moment: datetime) -> None:
        """The same outside a run."""
        self.foresee(moment)
        self._prepare()

    def close(self) -> None:
        """Give back what has no dot, wait for the dots that are out, and write what became of them."""
        self._stop_offering()
        while self._slices.on_their_way:
            self._collect()
            self._look_after()
        self._write()
        if self._signers is not None:
            self._signers.close()
        self._stream.close()
        self.engine.close()
        self.journal.close()

    def _stop_offering(self) -> None:
        """Everything without a dot comes back; what is out is awaited."""
        self._slices.hold_back(lambda mail: True)
        self._stream.stop()

    # --- claim

    def _has_room(self) -> bool:
        return self._slices.on_their_way < self._slice_size()

    def _slice_size(self) -> int:
        wanted = max(SMALLEST_SLICE, int(self._rate * SLICE_SECONDS))
        return min(wanted, self.house.settings.slice_size)

    def _claim(self, *, first: bool = False) -> bool:
        """Claim a slice and offer it to the engine, a small one `first` before what waits there.

        False when there was nothing.
        """
        if failpoints.armed:
            failpoints.reach(Failpoint.BEFORE_CLAIM)
        self._times.claim.start()
        lease = Lease(self._end_of_lease())
        try:
            with self.house.database.write() as session:
                slice_ = claim(
                    session,
                    self.house,
                    worker=self.worker,
                    now=self.clock(),
                    limit=min(SMALLEST_SLICE, self._slice_size()) if first else self._slice_size(),
                    relays=tuple(self.way_out.lanes.values()),
                    busy=self._slices.busy,
                    gate=self.gate,
                )
                # Here, so that whatever is wrong with reading a content gives the lease back with it.
                mails = list(self.composer.mails(session, slice_, lease=lease, now=self.clock()))
        except SQLAlchemyError as problem:
            self._cannot_write(problem)
            return False
        if failpoints.armed:
            failpoints.reach(Failpoint.AFTER_CLAIM)
        if mails:
            self._slices.add(slice_.fence, lease, mails)
            self._feed(self._without_the_formless(mails), first=first)
        return slice_.worked

    def _without_the_formless(self, mails: list[Mail]) -> list[Mail]:
        """A form that cannot be compiled fails a few letters, which pauses the mailing; the rest is kept."""
        formless = [mail for mail in mails if mail.frame.form is None]
        if len(formless) <= IN_A_ROW:
            return mails
        spared = {mail.id for mail in formless[IN_A_ROW:]}
        self._slices.learn([(number, GIVEN_BACK) for number in sorted(spared)])
        return [mail for mail in mails if mail.id not in spared]

    def _feed(self, mails: list[Mail], *, first: bool) -> None:
        if self._signers is None:
            self._stream.feed(mails, first=first)
            return
        at_once = AT_ONCE if first else 0  # what is in a hurry is not queued behind what is to be signed
        if at_once:
            self._stream.feed(mails[:at_once], first=True)
        self._signers.feed(mails[at_once:])

    # --- settle

    def _collect(self) -> None:
        """Wait a little for outcomes; write them when they are a group or have waited long enough."""
        outcomes = self._stream.outcomes(GROUP_SECONDS / 4)
        if outcomes:
            if not self._slices.unwritten:
                self._times.group.start()
            for mail, outcome in self._slices.learn(outcomes):
                self._count(mail, outcome)
        due = self._slices.unwritten >= GROUP or self._times.group.passed(GROUP_SECONDS)
        if self._slices.unwritten and due and self._may_try():
            try:
                self._write()
            except SQLAlchemyError as problem:
                self._cannot_write(problem)

    def _count(self, mail: Mail, outcome: Outcome) -> None:
        self._unfits.note(mail.candidate.mailing_id, outcome)
        if outcome.verdict is Verdict.SENT:
            self._sent += 1
            self._times.count += 1
        elif outcome.fault is Fault.RELAY:
            self._refused = True

    def _write(self) -> None:
        """Write everything that is known, in groups; raises what the database raises."""
        while group := self._slices.known()[: 2 * GROUP]:
            if failpoints.armed:
                failpoints.reach(Failpoint.BEFORE_SETTLE)
            with self.house.database.write() as session:
                settle(session, group, self.clock(), spoken=self.way_out.spoken(group))
                self.way_out.note(session, self.engine.resting(), group, self.clock())
                if failpoints.armed:
                    failpoints.reach(Failpoint.IN_SETTLE)
            if failpoints.armed:
                failpoints.reach(Failpoint.AFTER_SETTLE)
            self._forget([result.id for result in group])
            self._release(self._slices.written(group))
        self._broken = None
        self._unfits.pause_mailings(self.house, self.clock())
        self._rate = self._times.smoothed(self._rate)

    def _forget(self, ids: list[int]) -> None:
        """A journal that cannot be written keeps what the database has: no harm, and nothing leaves then.

        It is not asked later: by then it may speak of a new try.
        """
        try:
            self.journal.settled(ids)
        except JournalError as problem:
            log.error("journal-not-written", errno=problem.errno)

    def _release(self, fences: frozenset[int]) -> None:
        if fences:
            with self.house.database.write() as session:
                outbox.release(session, fences, self.clock())
            self._slices.forget(fences)

    def _cannot_write(self, problem: SQLAlchemyError) -> None:
        """Nothing new leaves; what is on its way is awaited. With nothing on its way the error is told."""
        log.error("database-not-written", kind=type(problem).__name__, waiting=self._slices.unwritten)
        self._broken = problem
        self._times.broken.start()
        self._stop_offering()
        if not self._slices.on_their_way:
            raise problem

    def _may_try(self) -> bool:
        return self._broken is None or self._times.broken.passed(RETRY_SECONDS)

    # --- while mail is on its way

    def _look_after(self) -> None:
        """Renew leases, and withdraw what staff have stopped."""
        try:
            if self._times.lease.passed(self.house.settings.lease_seconds / 4):
                self._times.lease.start()
                self._renew()
            if self._times.look.passed(LOOK_SECONDS) and self._broken is None:
                self._times.look.start()
                self._withdraw_stopped()
        except SQLAlchemyError as problem:
            self._cannot_write(problem)

    def _renew(self) -> None:
        if not self._slices.fences:
            return
        until, seconds = self._end_of_lease(), self.house.settings.lease_seconds
        with self.house.database.write() as session:
            kept = outbox.renew(session, self._slices.fences, self.clock() + timedelta(seconds=seconds))
            self.way_out.refresh(session, self.clock())
        lost = self._slices.prolong(kept, until)
        if lost:
            log.error("lease-lost", deliveries=len(lost))
            self._stream.withdraw(lost)

    def _end_of_lease(self) -> float:
        """Counted from before the database is asked: ours is over before the database's is."""
        return self.composer.boottime() + self.house.settings.lease_seconds - LEASE_MARGIN

    def _withdraw_stopped(self) -> None:
        mailings = self._slices.mailings
        if not mailings:
            return
        with self.house.database.read() as session:
            halt = halted_mailings(session, mailings)
        if halt:
            self._stream.withdraw(self._slices.hold_back(lambda mail: halt.stops(mail.candidate.mailing_id)))


class _Timer:
    """How long ago something was done, on a clock that nobody sets."""

    def __init__(self) -> None:
        self._at = time.monotonic()

    def start(self) -> None:
        self._at = time.monotonic()

    def passed(self, seconds: float) -> bool:
        return time.monotonic() - self._at >= seconds


@dataclass
class _Times:
    claim: _Timer = field(default_factory=_Timer)
    group: _Timer = field(default_factory=_Timer)
    broken: _Timer = field(default_factory=_Timer)
    lease: _Timer = field(default_factory=_Timer)
    look: _Timer = field(default_factory=_Timer)
    count: int = 0
    counted_at: float = field(default_factory=time.monotonic)

    def smoothed(self, rate: float) -> float:
        """The rate of sent mails, half of it the present one."""
        now = time.monotonic()
        if now - self.counted_at < GROUP_SECONDS:
            return rate
        present = self.count / (now - self.counted_at)
        self.count, self.counted_at = 0, now
        return (rate + present) / 2
