"""Clocks: workers an hour ahead or behind. Leases, embargoes and due times go by the database's clock."""

from drills.clockwork import NoCompiler, SettableClock
from drills.faults import Fault, NotHere, Play
from drills.run import SERVICES, Allowed, Run


def settable(run: Run) -> SettableClock:
    """The clock of the processes that are started with its variables; NotHere when it cannot be made."""
    try:
        return SettableClock(run.folder)
    except NoCompiler as missing:
        raise NotHere(str(missing)) from None


def _off_by(hours: int, *services: str) -> Play:
    def play(run: Run) -> Allowed:
        false = settable(run)
        false.set(3_600 * hours)
        run.sink.slow_down(0.005)
        for service in SERVICES:
            if service in services:
                run.start(service, execute=True, variables=false.variables)
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
