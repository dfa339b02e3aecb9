"""The alarm of a sending worker: wakes it at the very moment at which an embargo ends.

One thread that sleeps. What ends next it asks of the database, every ten seconds and
whenever a hint comes; a hint that is lost or late costs nothing. Twenty seconds ahead
it lets the sender prepare, one second ahead it reads the database's clock once more,
and then it sleeps exactly as long as is left. It decides nothing: whether an embargo is
over is asked again in the claim.
"""

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mailer.db.embargoes import next_opening
from mailer.services.house import House
from mailer.services.sending.gate import EmbargoGate
from workers.clock import Clock

LOOK_SECONDS = 10.0  # between two looks for what ends next
LEAD_SECONDS = 20.0  # before the end: everything is prepared
FINAL_SECONDS = 1.0  # before the end: the last look at the clock
TOO_NEAR = 0.3  # seconds before the end from which preparing would only delay it
AFTER = 0.002  # seconds behind the end by our clock: the database's may be some hundred microseconds behind
AGAIN = (
    0.02,
    0.1,
    0.5,
)  # seconds after which it is tried again when the end had not come by the database's clock

log = structlog.get_logger()


class Sends(Protocol):
    """What the alarm wakes."""

    def at_once(self) -> int:
        """Send what has just fallen due; how many left."""

    def prepare(self, moment: datetime) -> None:
        """Prepare for an embargo that ends at that moment."""

    def keep_warm(self) -> None:
        """Open again what was closed of the connections that wait."""


class Alarm:
    """One per process that sends. `house` opens the house or gives the one that is open."""

    def __init__(self, house: Callable[[], House], sender: Sends, clock: Clock, machine: str = "") -> None:
        self._house, self._sender, self._clock = house, sender, clock
        self._machine = machine
        self._looked = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._prepared: datetime | None = None
        self._expected: datetime | None = None  # the end that was seen ahead at the last turn
        self._was_off = True  # an incident that an earlier process left open is closed, too
        self.rings_at: datetime | None = None
        """The end it sleeps towards in its last second."""

    def start(self) -> None:
        """Begin to look."""
        self._over.clear()
        self._thread = threading.Thread(target=self._run, name="alarm", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Something may have changed: look now. Returns at once."""
        self._looked.set()

    def stop(self) -> None:
        """End the thread; a sending that it began ends as every other does."""
        self._over.set()
        self._looked.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                wait = self.turn()
            except SQLAlchemyError as problem:
                log.warning("alarm-without-database", kind=type(problem).__name__)
                wait = FINAL_SECONDS
            if not self._looked.wait(wait) and self.rings_at is not None:
                self._ring()
            self._looked.clear()

    def turn(self) -> float:
        """Look once and prepare what has to be; gives the seconds until the next turn, or until it rings."""
        house, self.rings_at = self._house(), None
        if self._expected is not None and self._expected <= self._clock():  # something has kept us busy
            self._ring()
        with house.database.read() as session:
            ahead = self._expected = next_opening(session, self._clock())
        if ahead is None:
            return LOOK_SECONDS
        self._look_at_the_clock(house)
        left = (ahead - self._clock()).total_seconds()
        if left > LEAD_SECONDS:
            return min(LOOK_SECONDS, left - LEAD_SECONDS)
        if self._prepared != ahead and left > TOO_NEAR:
            self._prepared = ahead
            self._sender.prepare(ahead)
            return 0.0
        self._sender.keep_warm()
        if left > FINAL_SECONDS:
            return min(LOOK_SECONDS, left - FINAL_SECONDS)
        self.rings_at = ahead
        return max(0.0, (ahead - self._clock()).total_seconds()) + AFTER

    def _look_at_the_clock(self, house: House) -> None:
        """Says in time, not only at the end, that this machine's clock is off."""
        self._clock.follow(house.database, anew=True)
        with house.database.read() as session:
            reading = self._clock.read(session)
        if not reading.is_worth_a_word and not self._was_off:
            return
        with house.database.write() as session:
            gate = EmbargoGate(self._machine, self._clock.read)
            gate.trusts(session, reading, self._clock())
            self._was_off = reading.is_worth_a_word

    def _ring(self) -> None:
        """On a thread of its own: a sending may last, and the next end may be near."""
        self.rings_at = self._expected = None
        threading.Thread(target=self._send, name="embargo", daemon=True).start()

    def _send(self) -> None:
        try:
            for pause in (*AGAIN, None):
                if self._sender.at_once() or pause is None or self._over.wait(pause):
                    return
        except Exception as problem:  # the sweep comes by in some seconds
            log.error("embargo-not-sent-at-once", kind=type(problem).__name__)
