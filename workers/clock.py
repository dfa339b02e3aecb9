"""The clock of this process. Services take `now` as an argument; this is where it comes from.

With PostgreSQL it is the database's clock, asked now and then and carried on by the
machine's uptime: two hosts agree on what is due and when a lease ends, and a step of
this machine's wall clock changes nothing. Only the demo shifts it, to live through the
weeks before a symposium in a minute.
"""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mailer.db.session import Database, moment_of
from mailer.services.sending.gate import Reading
from mailer.smtp.letter import boottime
from workers.steps import StepGuard, kernel_offset
from workers.time_server import TimeServer

ASK_SECONDS = 30.0  # the drift of a clock in between is some milliseconds


class Clock:
    """The present moment in UTC, by whatever clock it follows, plus a shift."""

    def __init__(self) -> None:
        self._shift = timedelta(0)
        self._followed: tuple[datetime, float] | None = None  # the database's moment, at this uptime
        self._guard = StepGuard()  # of the clock that decides: the database's, or on SQLite the machine's
        self._server: TimeServer | None = None

    def __call__(self) -> datetime:
        if self._followed is None:
            return datetime.now(UTC) + self._shift
        moment, uptime = self._followed
        return moment + timedelta(seconds=boottime() - uptime) + self._shift

    def trust(self, time_server: str) -> None:
        """Ask this time server, too; an empty name: none."""
        self._server = TimeServer(time_server) if time_server else None

    def follow(self, database: Database, *, anew: bool = False) -> None:
        """Take the database's clock from now on, asking at most twice a minute or `anew`; SQLite has none."""
        if self._server is not None:
            self._server.ask_now_and_then()
        if not anew and self._followed is not None and boottime() - self._followed[1] < ASK_SECONDS:
            return
        before, wall = boottime(), time.time()
        moment = database.clock()
        half = (boottime() - before) / 2
        if moment is None:
            self._guard.look(wall, before)
            return
        self._guard.look(moment.timestamp(), before + half, unsure=half)
        self._followed = (moment, before + half)

    def read(self, session: Session) -> Reading:
        """Look at the clock by which embargoes open, and at how far it and the clocks here are off.

        It is the database's, where that has one, else this machine's. Both are compared with the time
        server's, else with the machine's own where the kernel says that a time service keeps it, and
        without either with what they were: a clock that was set is not trusted any more. How long the
        question took is not held against them.
        """
        wall, uptime = time.time(), boottime()
        moment = moment_of(session)
        half = (boottime() - uptime) / 2
        machine, middle = wall + half, uptime + half
        decides = machine if moment is None else moment.timestamp()
        stepped = self._guard.look(decides, middle, unsure=half)
        right, unsure = self._right(machine, middle)
        if right is not None:
            self._guard.vouched()
            stepped = decides - right
        ours = [machine - (decides if right is None else right)]
        if moment is not None:
            ours.append((self() - self._shift).timestamp() - half - decides)
        elif right is None:
            ours.append(stepped)
        return Reading(
            moment=moment,
            ahead=_beyond(max(ours, key=abs), half + unsure),
            database_ahead=0.0 if moment is None else _beyond(stepped, half + unsure),
            unanswered=self._server is not None and self._server.is_silent,
        )

    def _right(self, machine: float, uptime: float) -> tuple[float | None, float]:
        """The right time, where somebody knows it, and by how much that may be wrong, in seconds."""
        told = self._server.right_at(uptime) if self._server is not None else None
        if told is not None:
            return told
        known = kernel_offset()
        return (None if known is None else machine + known), 0.0

    def of(self, database: Database) -> Callable[[], datetime]:
        """This clock, following the database when it is asked; one that is away changes nothing."""

        def now() -> datetime:
            with contextlib.suppress(SQLAlchemyError):
                self.follow(database)
            return self()

        return now

    def travel_to(self, moment: datetime) -> None:
        """From now on it is `moment`, and time goes on from there."""
        self._shift += moment - self()


def _beyond(ahead: float, unsure: float) -> float:
    """How far a clock is off at the least."""
    return max(0.0, abs(ahead) - unsure) * (1 if ahead > 0 else -1)


clock = Clock()
