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
from workers.steps import StepGuard

ASK_SECONDS = 30.0  # the drift of a clock in between is some milliseconds


class Clock:
    """The present moment in UTC, by whatever clock it follows, plus a shift."""

    def __init__(self) -> None:
        self._shift = timedelta(0)
        self._followed: tuple[datetime, float] | None = None  # the database's moment, at this uptime
        self._guard = StepGuard(time.time(), _uptime())

    def __call__(self) -> datetime:
        if self._followed is None:
            return datetime.now(UTC) + self._shift
        moment, uptime = self._followed
        return moment + timedelta(seconds=_uptime() - uptime) + self._shift

    def follow(self, database: Database, *, anew: bool = False) -> None:
        """Take the database's clock from now on, asking at most twice a minute or `anew`; SQLite has none."""
        if not anew and self._followed is not None and _uptime() - self._followed[1] < ASK_SECONDS:
            return
        before = _uptime()
        moment = database.clock()
        if moment is not None:
            self._followed = (moment, (before + _uptime()) / 2)

    def read(self, session: Session) -> Reading:
        """Look at the database's clock through this session, and how far the clocks here are from it.

        Two clocks are compared with it, the machine's own and this one, which carries the database's on.
        Half of the time the question took is not held against them.
        """
        before, uptime = time.time(), _uptime()
        moment = moment_of(session)
        took = _uptime() - uptime
        if moment is None:
            return Reading(moment=None, ahead=self._guard.ahead(before, uptime))
        middle = datetime.fromtimestamp(before + took / 2, UTC)
        ours = self() - self._shift - timedelta(seconds=took / 2)
        both = [(one - moment).total_seconds() for one in (middle, ours)]
        ahead = max(both, key=abs)
        return Reading(moment=moment, ahead=max(0.0, abs(ahead) - took / 2) * (1 if ahead > 0 else -1))

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


def _uptime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


clock = Clock()
