"""SIGKILL: at each named point of the corridor, at random moments, of one process or of all."""

import secrets
import signal
import time
from pathlib import Path

from drills.faults import Fault, Play
from drills.run import SERVICES, Allowed, Run
from drills.servers import wait_until
from mailer.failpoints import VARIABLE, Failpoint
from mailer.smtp.journal_format import (
    HEADER_SIZE,
    RECORD_SIZE,
    SALT_SIZE,
    pack_header,
    pack_record,
    seed_of,
    unpack_header,
    unpack_record,
)

# The place is reached once per claim, per group of outcomes, or per mail; the rest of the counts is chance.
_PER_CLAIM = {Failpoint.BEFORE_CLAIM, Failpoint.IN_CLAIM, Failpoint.AFTER_CLAIM}
_PER_GROUP = {Failpoint.BEFORE_SETTLE, Failpoint.IN_SETTLE, Failpoint.AFTER_SETTLE}
_ONCE = {Failpoint.IN_SHUTDOWN}
_LONG = {Failpoint.MID_BODY}


def _count(run: Run, place: Failpoint) -> int:
    if place in _ONCE:
        return 1
    if place in _PER_CLAIM | _PER_GROUP:
        return run.rng.randint(1, 3)
    if place is Failpoint.COMPOSED:
        return run.rng.randint(1, 5)
    return run.some(0.05, 0.6)


def _at(place: Failpoint) -> Play:
    def play(run: Run) -> Allowed:
        run.start("worker-plan", "beat")
        run.start("worker-send", variables={VARIABLE: f"{place}:kill:{_count(run, place)}"})
        run.sink.slow_down(0.02 if place in _PER_GROUP else 0.003)
        policy = "retry" if run.seed % 3 == 0 else None
        run.publish("long" if place in _LONG else "short", policy=policy)
        if place in _ONCE:
            run.wait_for(run.some(0.1, 0.5))
            run.signal("worker-send", signal.SIGTERM)
        wait_until(lambda: run.died("worker-send") or run.settled(), "the worker dies")
        if not run.died("worker-send") or run.processes["worker-send"].poll() != -signal.SIGKILL:
            raise AssertionError(f"the point {place} was never reached")
        run.broken()
        run.start("worker-send")
        return Allowed(doubt=run.most_in_flight, from_journal=True)

    return play


def _at_random(run: Run) -> Allowed:
    run.sink.slow_down(0.01)
    run.start()
    run.publish(policy="retry" if run.seed % 3 == 0 else None)
    times = 3
    for share in (0.1, 0.3, 0.5):
        run.wait_for(run.some(share, share + 0.15))
        time.sleep(run.rng.uniform(0, 0.05))
        run.signal("worker-send", signal.SIGKILL)
        run.start("worker-send")
    run.broken()
    return Allowed(doubt=times * run.most_in_flight, from_journal=True)


def _one_of_two(run: Run) -> Allowed:
    run.sink.slow_down(0.01)
    run.start()
    run.start("worker-send", name="second")
    run.publish()
    run.wait_for(run.some(0.2, 0.5))
    run.signal(run.rng.choice(["worker-send", "second"]), signal.SIGKILL)
    run.broken()
    return Allowed(doubt=run.most_in_flight, from_journal=True)


def _everything(run: Run) -> Allowed:
    run.sink.slow_down(0.01)
    run.start()
    run.publish()
    run.wait_for(run.some(0.1, 0.6))
    for name in run.rng.sample(SERVICES, len(SERVICES)):
        run.signal(name, signal.SIGKILL)
    run.broken()
    run.start()
    return Allowed(doubt=run.most_in_flight, from_journal=True)


def _planner(run: Run) -> Allowed:
    """While it expands, recovers or sweeps: again and again, with a sender that dies too."""
    run.sink.slow_down(0.01)
    run.start()
    run.publish()
    for _ in range(4):
        time.sleep(run.rng.uniform(0.2, 0.8))
        run.signal("worker-plan", signal.SIGKILL)
        run.start("worker-plan")
    run.signal("worker-send", signal.SIGKILL)
    time.sleep(run.rng.uniform(0.2, 0.6))
    run.signal("worker-plan", signal.SIGKILL)
    run.broken()
    run.start("worker-plan", "worker-send")
    return Allowed(doubt=run.most_in_flight, from_journal=True)


def _power_lost(run: Run) -> Allowed:
    """The journal's last records were not on the disk yet: whatever was leased may have left."""
    run.sink.slow_down(0.01)
    run.start()
    run.publish()
    run.wait_for(run.some(0.2, 0.6))
    run.signal("worker-plan", signal.SIGSTOP)  # until the journal is as a boot would find it
    run.signal("worker-send", signal.SIGKILL)
    for path in (run.data / "journals").glob("[!.]*.journal"):
        _as_after_a_boot(path, lost=run.rng.randint(0, 40))
    leased = run.count("claimed")
    run.signal("worker-plan", signal.SIGCONT)
    run.broken()
    run.start("worker-send")
    return Allowed(doubt=leased)


def _as_after_a_boot(path: Path, *, lost: int) -> None:
    """Give the journal another boot's id and take its last records away."""
    octets = path.read_bytes()
    head = octets[:HEADER_SIZE]
    header = unpack_header(head)
    salt = secrets.token_bytes(SALT_SIZE)
    new = pack_header("0" * len(header.boot_id), header.worker, salt)
    whole = len(octets) - (len(octets) - HEADER_SIZE) % RECORD_SIZE
    packed = [octets[at : at + RECORD_SIZE] for at in range(HEADER_SIZE, whole, RECORD_SIZE)]
    records = [record for one in packed if (record := unpack_record(one, header.seed)) is not None]
    kept = records[: max(len(records) - lost, 0)]
    again = [pack_record(one.kind, one.id, one.fence, seed_of(new), one.outcome) for one in kept]
    path.write_bytes(new + b"".join(again))


FAULTS = (
    *(Fault(name=f"kill {place}", play=_at(place)) for place in Failpoint),
    Fault(name="kill at random", play=_at_random, both=True),
    Fault(name="kill one of two", play=_one_of_two),
    Fault(name="kill everything", play=_everything),
    Fault(name="kill planner", play=_planner),
    Fault(name="power lost", play=_power_lost, both=True),
)
