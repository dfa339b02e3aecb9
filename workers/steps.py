"""Whether a clock was set while the process ran, and whether a time service keeps this machine's.

The uptime, which nobody sets, tells when a clock jumped: this machine's own, or the
database's. Who was right, the clock before the jump or after it, it cannot tell; a time
service can. The kernel says whether one keeps the clock (Linux, adjtimex(2)).
"""

import ctypes
import threading
from functools import cache
from typing import Any

_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
_LARGEST_ERROR = 0.5  # seconds that the kernel admits the clock may be wrong by
SMALLEST_STEP = 0.1  # seconds; less is the drift of two clocks, or how long it took to ask
DRIFT = 1e-4  # seconds in a second by which two clocks may part, without having been set


class _Timex(ctypes.Structure):
    """struct timex of <sys/timex.h>; the fields behind these are not looked at."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


class StepGuard:
    """Adds up the steps of one clock, from look to look. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[float, float] | None = None  # what the clock showed, at this uptime
        self._stepped = 0.0

    def look(self, shows: float, uptime: float, *, unsure: float = 0.0) -> float:
        """The clock shows this at that uptime (seconds); how far it was set, in all. `unsure`: of when."""
        with self._lock:
            if self._last is not None:
                before, at = self._last
                step = (shows - before) - (uptime - at)
                if abs(step) > SMALLEST_STEP + unsure + DRIFT * abs(uptime - at):
                    self._stepped += step
            self._last = shows, uptime
            return self._stepped

    def vouched(self) -> None:
        """Somebody who knows the time looks after it: no step counts any more."""
        with self._lock:
            self._stepped = 0.0


def kernel_offset() -> float | None:
    """Seconds that the time service still has to add to the clock; None when none keeps it."""
    adjtimex = _adjtimex()
    told = _Timex()
    if adjtimex is None or adjtimex(ctypes.byref(told)) < 0:
        return None
    if told.status & _STA_UNSYNC or told.maxerror / 1e6 > _LARGEST_ERROR:
        return None
    return float(told.offset) / (1e9 if told.status & _STA_NANO else 1e6)


@cache
def _adjtimex() -> Any:
    """The function of the C library; looked up once, because it is asked in the claim."""
    try:
        return ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):  # not Linux
        return None
