"""Failpoints: named places at which a drill may kill or stop this process. Off unless a drill arms them.

`MAILER_FAILPOINTS=after-dot:kill:37` ends the process by SIGKILL when it reaches that
place for the 37th time; `stop` freezes it (SIGSTOP), `term` sends SIGTERM. A process
that could reach another machine refuses to start with it (workers check that the relay
is on loopback). Disarmed, a failpoint costs one look at a module's flag.
"""

import os
import signal
from enum import StrEnum

VARIABLE = "MAILER_FAILPOINTS"


class Failpoint(StrEnum):
    """The places, in the order of the corridor."""

    BEFORE_CLAIM = "before-claim"
    IN_CLAIM = "in-claim"  # the transaction is open, the lease not committed
    AFTER_CLAIM = "after-claim"
    COMPOSED = "composed"
    BEFORE_RECORD = "before-record"  # the envelope is accepted, nothing of the dot is in the journal
    AFTER_RECORD = "after-record"  # the dot is in the journal, not on the wire
    AFTER_DOT = "after-dot"  # the dot is written to the socket
    MID_BODY = "mid-body"
    BEFORE_REPLY_RECORD = "before-reply-record"  # the reply was read, not yet recorded
    AFTER_REPLY_RECORD = "after-reply-record"
    BEFORE_SETTLE = "before-settle"
    IN_SETTLE = "in-settle"  # the transaction is open, the outcomes not committed
    AFTER_SETTLE = "after-settle"
    IN_SHUTDOWN = "in-shutdown"


_SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "term": signal.SIGTERM}


class FailpointError(ValueError):
    """MAILER_FAILPOINTS cannot be read; the message says how it is written."""


def _read(text: str) -> dict[Failpoint, tuple[signal.Signals, int]]:
    armed: dict[Failpoint, tuple[signal.Signals, int]] = {}
    for part in filter(None, text.split(",")):
        try:
            name, action, count = part.split(":")
            armed[Failpoint(name)] = (_SIGNALS[action], int(count))
        except (ValueError, KeyError):
            names = ", ".join(Failpoint)
            raise FailpointError(
                f"{VARIABLE} is written place:kill|stop|term:count with a place of {names}."
            ) from None
    return armed


_armed = _read(os.environ.get(VARIABLE, ""))
armed = bool(_armed)
"""True in a drill. Hot paths ask this first: `if failpoints.armed: failpoints.reach(...)`."""
_passed: dict[Failpoint, int] = {}


def reach(place: Failpoint) -> None:
    """Note that this place is reached; in a drill that armed it this may be the process's last act."""
    if place not in _armed:
        return
    number, count = _armed[place]
    _passed[place] = _passed.get(place, 0) + 1
    if _passed[place] == count:
        os.kill(os.getpid(), number)
