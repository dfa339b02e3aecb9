"""What a time server says, asked now and then in the background and carried on by the uptime.

Nobody waits for it: neither a claim nor a page. An answer holds for an hour. A server
that is silent for longer vouches for nothing, and the embargoes open without it.
"""

import threading

import structlog

from mailer.smtp.letter import boottime
from workers import sntp
from workers.sntp import TimeTold
from workers.steps import DRIFT

EVERY = 300.0  # seconds between two questions
AFTER_SILENCE = 30.0
HOLDS = 3_600.0  # seconds for which an answer is believed

log = structlog.get_logger()


class TimeServer:
    """One server, named as `host` or `host:port`."""

    def __init__(self, named: str) -> None:
        self._server = sntp.server_of(named)
        self._told: TimeTold | None = None
        self._silent = False
        self._ask_at = float("-inf")  # uptime
        self._asking = threading.Lock()

    def ask_now_and_then(self) -> None:
        """Begin to ask when it is time. Returns at once."""
        if boottime() >= self._ask_at and self._asking.acquire(blocking=False):
            self._ask_at = boottime() + AFTER_SILENCE
            threading.Thread(target=self._ask, name="time-server", daemon=True).start()

    def ask(self) -> None:
        """Ask, and wait for the answer."""
        with self._asking:
            self._take(sntp.ask(self._server))

    def _ask(self) -> None:
        try:
            self._take(sntp.ask(self._server))
        finally:
            self._asking.release()

    def _take(self, told: TimeTold | None) -> None:
        if told is not None:
            self._told, self._ask_at = told, boottime() + EVERY
        elif not self._silent:
            log.warning("time-server-silent")
        self._silent = told is None

    @property
    def is_silent(self) -> bool:
        """True when it did not answer and nothing that it said before still holds."""
        return self._silent and self.right_at(boottime()) is None

    def right_at(self, uptime: float) -> tuple[float, float] | None:
        """The right time (seconds since 1970) at that uptime, and by how much it may be wrong."""
        told = self._told
        if told is None or uptime - told.uptime > HOLDS:
            return None
        gone = uptime - told.uptime
        return told.clock - told.ahead + gone, told.unsure + DRIFT * abs(gone)
