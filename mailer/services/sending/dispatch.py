"""Dispatch: claim a slice, compose it, hand it to the engine, settle what comes back.

No transaction is open while mail is on the wire. Outcomes are written in small
groups; whatever is not written when the process dies stands in the journal.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from mailer.db import outbox
from mailer.db.outbox import Candidate
from mailer.services.house import House
from mailer.services.sending.claim import Slice, claim
from mailer.services.sending.compose import Composer, Unfit
from mailer.services.sending.settle import UNFIT, finish, settle
from mailer.smtp.engine import Engine
from mailer.smtp.journal import Journal
from mailer.smtp.letter import Letter
from mailer.smtp.outcome import Fault, Outcome, Verdict

Clock = Callable[[], datetime]

GROUP = 50  # outcomes written in one transaction
GROUP_SECONDS = 0.5  # an outcome waits no longer than this for its group

log = structlog.get_logger()


@dataclass
class Dispatcher:
    """One sending worker: its name, its engine and its compiled forms."""

    house: House
    engine: Engine
    journal: Journal
    composer: Composer
    worker: str
    clock: Clock

    def run(self, *, stop: Callable[[], bool] = lambda: False) -> int:
        """Send what is due until nothing is, the relay refuses, or `stop` says so; returns how many left."""
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
        candidates = {candidate.delivery.id: candidate for candidate in slice_.held}
        tally = _Tally()
        letters, unfit = self._compose(slice_)
        group = [(candidates[one.id], slice_.fence, UNFIT) for one in unfit]
        with self._lease(slice_.fence):
            written = time.monotonic()
            for delivery_id, outcome in self.engine.send(letters):
                tally.count(outcome)
                group.append((candidates[delivery_id], slice_.fence, outcome))
                if len(group) >= GROUP or time.monotonic() - written > GROUP_SECONDS:
                    self._write(group)
                    group, written = [], time.monotonic()
            self._write(group)
        with self.house.database.write() as session:
            outbox.release(session, slice_.fence, self.clock())
        log.info("slice-settled", fence=slice_.fence, deliveries=len(candidates), sent=tally.sent)
        return tally

    def _compose(self, slice_: Slice) -> tuple[list[Letter], list[Unfit]]:
        letters: list[Letter] = []
        unfit: list[Unfit] = []
        with self.house.database.read() as session:
            composed = self.composer.compose(
                session, slice_.held, fence=slice_.fence, now=self.clock(), monotonic=time.monotonic()
            )
            for one in composed:
                if isinstance(one, Letter):
                    letters.append(one)
                else:
                    unfit.append(one)
                    log.error("letter-unfit", delivery=one.id, rule=one.why)
        return letters, unfit

    def _write(self, group: list[tuple[Candidate, int, Outcome]]) -> None:
        if not group:
            return
        with self.house.database.write() as session:
            settle(session, group, self.clock())
        self.journal.settled([candidate.delivery.id for candidate, _, _ in group])

    @contextmanager
    def _lease(self, fence: int) -> Iterator[None]:
        """Keep the lease alive while letters are out: the wait after a final dot may outlast any lease."""
        over = threading.Event()
        period = self.house.settings.lease_seconds / 3

        def keep() -> None:
            while not over.wait(period):
                until = self.clock() + timedelta(seconds=self.house.settings.lease_seconds)
                with self.house.database.write() as session:
                    if not outbox.renew(session, fence, until):
                        log.error("lease-lost", fence=fence)
                        return

        keeper = threading.Thread(target=keep, name=f"lease-{fence}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            over.set()
            keeper.join()


@dataclass
class _Tally:
    sent: int = 0
    relay_refused: bool = False

    def count(self, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.SENT:
            self.sent += 1
        elif outcome.fault is Fault.RELAY:
            self.relay_refused = True
