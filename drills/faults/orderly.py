"""Orderly ends and the beat: SIGTERM, a rolling restart, no beat, two beats, one hint ten times."""

import signal
import time

from drills.faults import Fault
from drills.run import Allowed, Run
from mailer.wake import Task


def _restart(run: Run) -> Allowed:
    run.sink.slow_down(0.04)
    run.start()
    run.publish()
    for share in (0.1, 0.35, 0.6):
        # Some of them by the one that is to end: before that it may still be starting.
        run.wait_for(max(run.some(share, share + 0.1), run.sink.accepted + 5))
        run.ends_well("worker-send")
        run.start("worker-send")
    run.broken()
    return Allowed()


def _rolling(run: Run) -> Allowed:
    """The new one comes before the old one goes, as an orchestrator does it, for every service."""
    run.sink.slow_down(0.01)
    run.start()
    run.publish()
    run.wait_for(run.some(0.1, 0.3))
    for service in ("worker-send", "worker-plan", "beat"):
        run.start(service, name=f"new-{service}")
        time.sleep(run.rng.uniform(0, 0.5))
        run.ends_well(service)
    run.broken()
    return Allowed()


def _impatient(run: Run) -> Allowed:
    run.sink.slow_down(0.02)
    run.start()
    run.publish()
    run.wait_for(run.some(0.1, 0.5))
    run.signal("worker-send", signal.SIGTERM)
    time.sleep(run.rng.uniform(0.01, 0.2))
    run.ends_well("worker-send")
    run.broken()
    run.start("worker-send")
    return Allowed()


def _beat_killed(run: Run) -> Allowed:
    run.sink.slow_down(0.005)
    run.start()
    run.publish()
    for _ in range(3):
        time.sleep(run.rng.uniform(0.2, 1.0))
        run.signal("beat", signal.SIGKILL)
        run.start("beat")
    run.broken()
    return Allowed()


def _two_beats(run: Run) -> Allowed:
    run.sink.slow_down(0.005)
    run.start()
    run.start("beat", name="second-beat")
    run.start("worker-plan", name="second-plan")
    run.start("worker-send", name="second-send")
    run.publish()
    run.broken()
    return Allowed()


def _no_beat(run: Run) -> Allowed:
    """Without a beat nothing is swept; with it everything is caught up."""
    run.sink.slow_down(0.005)
    run.start("worker-send", "worker-plan")
    run.publish()
    time.sleep(3)
    run.broken()
    run.start("beat")
    return Allowed()


def _ten_hints(run: Run) -> Allowed:
    run.sink.slow_down(0.005)
    run.start()
    run.start("worker-send", name="second-send")
    run.start("worker-plan", name="second-plan")
    run.publish()
    for share in (0, 0.2, 0.5):
        run.wait_for(int(share * run.readers))
        run.hint(Task.SEND_DUE, times=10)
        run.hint(Task.SWEEP, times=10)
    run.broken()
    return Allowed()


FAULTS = (
    Fault(name="term", play=_restart, both=True),
    Fault(name="term twice", play=_impatient),
    Fault(name="rolling restart", play=_rolling),
    Fault(name="beat killed", play=_beat_killed),
    Fault(name="two of each", play=_two_beats),
    Fault(name="no beat", play=_no_beat),
    Fault(name="a hint ten times", play=_ten_hints),
)
