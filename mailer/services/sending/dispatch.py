"""Dispatch: claim a slice, compose it, hand it to the engine, settle what comes back.

No transaction is open while mail is on the wire. Outcomes are written in small
groups; whatever is not written when the process dies stands in the journal.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mailer.db import outbox
from mailer.db.outbox import Candidate
from mailer.services.house import House
from mailer.services.sending.claim import Slice, claim
from mailer.services.sending.compose import Composer
from mailer.services.sending.settle import GIVEN_BACK, UNFIT, finish, settle
from mailer.smtp.engine import Engine
from mailer.smtp.journal import Journal
from mailer.smtp.letter import Letter
from mailer.smtp.outcome import Fault, Outcome, Verdict

Clock = Callable[[], datetime]
Settled = tuple[Candidate, int, Outcome]  # what became of a delivery, under which fence

GROUP = 50  # outcomes written in one transaction
GROUP_SECONDS = 0.5  # an outcome waits no longer than this for its group

log = structlog.get_logger()


@dataclass
class Dispatcher:
    """One sending worker: its name, its engine and its compiled forms.

    Outcomes that the database would not take are kept here (and stand in the journal) and are
    written before anything else is claimed.
    """

    house: House
    engine: Engine
    journal: Journal
    composer: Composer
    worker: str
    clock: Clock
    _unwritten: list[Settled] = field(default_factory=list)
    _unreleased: set[int] = field(default_factory=set)

    def run(self, *, stop: Callable[[], bool] = lambda: False) -> int:
        """Send what is due until nothing is, the relay refuses, or `stop` says so; returns how many left.

        Raises what the database raises; nothing new is sent before it takes what is known.
        """
        self._write_everything()
        sent = 0
        while not stop():
            with self.house.database.write() as session:
                slice_ = claim(session, self.house, worker=self.worker, now=self.clock())
            if not slice_.worked:
                break
            tally = self._send(slice_) if slice_.held else _Tally()
            sent += tally.sent
            if tally.relay_refused:
                break
        with self.house.database.write() as session:
            finish(session, self.clock())
        return sent

    def _send(self, slice_: Slice) -> "_Tally":
        self._unreleased.add(slice_.fence)
        candidates = {candidate.delivery.id: candidate for candidate in slice_.held}
        tally = _Tally()
        with self._lease(slice_.fence):
            written = time.monotonic()
            for delivery_id, outcome in self.engine.send(self._compose(slice_)):
                tally.count(outcome)
                self._unwritten.append((candidates[delivery_id], slice_.fence, outcome))
                if len(self._unwritten) >= GROUP or time.monotonic() - written > GROUP_SECONDS:
                    self._write_or_stop_sending()
                    written = time.monotonic()
            self._write_everything()
        log.info("slice-settled", fence=slice_.fence, deliveries=len(candidates), sent=tally.sent)
        return tally

    def _compose(self, slice_: Slice) -> list[Letter]:
        """The slice's letters; what cannot be composed is settled as failed, by itself."""
        letters: list[Letter] = []
        try:
            with self.house.database.read() as session:
                composed = self.composer.compose(
                    session, slice_.held, fence=slice_.fence, now=self.clock(), monotonic=time.monotonic()
                )
                by_id = {candidate.delivery.id: candidate for candidate in slice_.held}
                for one in composed:
                    if isinstance(one, Letter):
                        letters.append(one)
                    else:
                        self._unwritten.append((by_id[one.id], slice_.fence, UNFIT))
                        log.error("letter-unfit", delivery=one.id, rule=one.why)
        except Exception:  # nothing of this slice was offered to anybody yet
            self._unwritten = [(candidate, slice_.fence, GIVEN_BACK) for candidate in slice_.held]
            raise
        return letters

    def _write_or_stop_sending(self) -> None:
        """A database that cannot be written ends the sending; open replies are still awaited and kept."""
        try:
            self._write()
        except SQLAlchemyError as problem:
            log.error("outcomes-not-written", kind=type(problem).__name__, waiting=len(self._unwritten))
            self.engine.stop()

    def _write(self) -> None:
        if not self._unwritten:
            return
        group = list(self._unwritten)
        with self.house.database.write() as session:
            settle(session, group, self.clock())
        self.journal.settled([candidate.delivery.id for candidate, _, _ in group])
        del self._unwritten[: len(group)]

    def _write_everything(self) -> None:
        self._write()
        for fence in sorted(self._unreleased):
            with self.house.database.write() as session:
                outbox.release(session, fence, self.clock())
            self._unreleased.discard(fence)

    @contextmanager
    def _lease(self, fence: int) -> Iterator[None]:
        """Keep the lease alive while letters are out: the wait after a final dot may outlast any lease."""
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(fence, over), name=f"lease-{fence}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()

    def _keep(self, fence: int, over: threading.Event) -> None:
        seconds = self.house.settings.lease_seconds
        while not over.wait(seconds / 3):
            try:
                with self.house.database.write() as session:
                    kept = outbox.renew(session, fence, self.clock() + timedelta(seconds=seconds))
            except SQLAlchemyError as problem:
                log.warning("lease-not-renewed", fence=fence, kind=type(problem).__name__)
                continue
            if not kept:
                log.error("lease-lost", fence=fence)
                self.engine.stop()
                return


@dataclass
class _Tally:
    sent: int = 0
    relay_refused: bool = False

    def count(self, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.SENT:
            self.sent += 1
        elif outcome.fault is Fault.RELAY:
            self.relay_refused = True
