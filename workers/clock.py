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

from mailer.db.session import Database

ASK_SECONDS = 30.0  # the drift of a clock in between is some milliseconds


class Clock:
    """The present moment in UTC, by whatever clock it follows, plus a shift."""

    def __init__(self) -> None:
        self._shift = timedelta(0)
        self._followed: tuple[datetime, float] | None = None  # the database's moment, at this uptime

    def __call__(self) -> datetime:
        if self._followed is None:
            return datetime.now(UTC) + self._shift
        moment, uptime = self._followed
        return moment + timedelta(seconds=_uptime() - uptime) + self._shift

    def follow(self, database: Database) -> None:
        """Take the database's clock from now on, asking at most twice a minute; SQLite has none."""
        if self._followed is not None and _uptime() - self._followed[1] < ASK_SECONDS:
            return
        before = _uptime()
        moment = database.clock()
        if moment is not None:
            self._followed = (moment, (before + _uptime()) / 2)

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
