"""A worker that stands still beyond its lease and then goes on as if nothing had happened."""

import signal
import time

from drills.faults import Fault, Play
from drills.run import LEASE_SECONDS, Allowed, Run
from drills.servers import wait_until
from mailer.failpoints import VARIABLE, Failpoint


def _at(place: Failpoint, *, per_group: bool = False) -> Play:
    def play(run: Run) -> Allowed:
        run.start("worker-plan", "beat")
        run.sink.slow_down(0.02 if per_group else 0.0)  # so that there are several groups
        count = run.rng.randint(1, 3) if per_group else run.some(0.1, 0.5)
        run.start("worker-send", variables={VARIABLE: f"{place}:stop:{count}"})
        run.publish(policy="retry" if run.seed % 3 == 0 else None)
        wait_until(lambda: run.stands_still("worker-send"), f"the worker stops at {place}")
        run.start("worker-send", name="second")
        time.sleep(LEASE_SECONDS + run.rng.uniform(2, 4))
        run.signal("worker-send", signal.SIGCONT)
        run.broken()
        return Allowed(doubt=run.most_in_flight)

    return play


def _at_random(run: Run) -> Allowed:
    run.sink.slow_down(0.01)
    run.start()
    run.publish()
    run.wait_for(run.some(0.1, 0.5))
    run.signal("worker-send", signal.SIGSTOP)
    run.start("worker-send", name="second")
    time.sleep(LEASE_SECONDS + run.rng.uniform(2, 4))
    run.signal("worker-send", signal.SIGCONT)
    run.broken()
    return Allowed(doubt=run.most_in_flight)


def _short(run: Run) -> Allowed:
    """Well within the lease: nobody may take anything over, nothing is in doubt."""
    run.sink.slow_down(0.01)
    run.start()
    run.start("worker-send", name="second")
    run.publish()
    for share in (0.1, 0.3, 0.5):
        run.wait_for(run.some(share, share + 0.1))
        run.signal("worker-send", signal.SIGSTOP)
        time.sleep(run.rng.uniform(0.3, 1.0))
        run.signal("worker-send", signal.SIGCONT)
    run.broken()
    return Allowed()


FAULTS = (
    Fault(name="stopped beyond its lease: before-record", play=_at(Failpoint.BEFORE_RECORD)),
    Fault(name="stopped beyond its lease: after-record", play=_at(Failpoint.AFTER_RECORD)),
    Fault(
        name="stopped beyond its lease: before-settle",
        play=_at(Failpoint.BEFORE_SETTLE, per_group=True),
        slow=True,
    ),
    Fault(name="stopped beyond its lease: anywhere", play=_at_random, slow=True),
    Fault(name="stopped for a moment", play=_short),
)
