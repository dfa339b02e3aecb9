"""Clocks: workers an hour ahead or behind. Leases, embargoes and due times go by the database's clock."""

from pathlib import Path

from drills.faults import Fault, NotHere, Play
from drills.run import SERVICES, Allowed, Run

_PLACES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1")


def library() -> str:
    """Where libfaketime is; NotHere when it is not installed."""
    found = [path for place in _PLACES for path in Path("/").glob(place[1:])]
    if not found:
        raise NotHere("libfaketime is not installed; install Debian's libfaketime")
    return str(found[0])


def _off_by(hours: int, *services: str) -> Play:
    def play(run: Run) -> Allowed:
        false = {
            "LD_PRELOAD": library(),
            "FAKETIME": f"{hours:+d}h",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a clock step leaves the monotonic clock alone
        }
        run.sink.slow_down(0.005)
        for service in SERVICES:
            if service in services:
                run.start(service, execute=True, variables=false)
            else:
                run.start(service)
        run.publish()
        run.broken()
        return Allowed()

    return play


FAULTS = (
    Fault(name="sender an hour ahead", play=_off_by(1, "worker-send")),
    Fault(name="sender an hour behind", play=_off_by(-1, "worker-send")),
    Fault(name="planner an hour ahead", play=_off_by(1, "worker-plan"), slow=True),
    Fault(name="planner an hour behind", play=_off_by(-1, "worker-plan"), slow=True),
)
