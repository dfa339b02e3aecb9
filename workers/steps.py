"""Where no other clock can be asked: whether this machine's clock was set while the process ran.

SQLite has the machine's clock and nothing to compare it with. Two things are known all the
same: the uptime, which nobody sets, tells when the wall clock was moved; and the kernel
tells whether a time service keeps it right (Linux, adjtimex(2)).
"""

import ctypes
import ctypes.util
from dataclasses import dataclass

_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
_LARGEST_ERROR = 0.5  # seconds that the kernel admits the clock may be wrong by


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


@dataclass
class StepGuard:
    """Notices steps of the wall clock since it was made, or since a time service vouched for it."""

    wall: float
    uptime: float

    def ahead(self, wall: float, uptime: float) -> float:
        """By how many seconds the wall clock was moved (0 when it was not, or is known to be right)."""
        known = kernel_offset()
        if known is not None:
            self.wall, self.uptime = wall, uptime
            return -known
        return (wall - self.wall) - (uptime - self.uptime)


def kernel_offset() -> float | None:
    """Seconds that the time service still has to add to the clock; None when none keeps it."""
    try:
        libc = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6", use_errno=True)
        told = _Timex()
        if libc.adjtimex(ctypes.byref(told)) < 0:
            return None
    except (OSError, AttributeError):  # not Linux
        return None
    if told.status & _STA_UNSYNC or told.maxerror / 1e6 > _LARGEST_ERROR:
        return None
    return float(told.offset) / (1e9 if told.status & _STA_NANO else 1e6)
