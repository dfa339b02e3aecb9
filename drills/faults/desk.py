"""What people do while mail is leaving: pause and resume in a storm, cancel, leave the list, wait."""

import time

from drills.faults import Fault
from drills.run import Allowed, Run
from mailer.db.mailings import Delivery
from mailer.messages.tokens import Purpose, mint
from mailer.services.audience import unsubscribe
from mailer.vocabulary import ConsentSource

_LEAVERS = 40


def _storm(run: Run) -> Allowed:
    """Pause and resume, again and again, with a pause now and then that must be seen to hold."""
    run.sink.slow_down(0.12)
    run.start()
    run.publish()
    run.wait_for(1)
    rounds = 0
    while rounds < run.storms and run.sink.accepted < run.readers * 0.85:
        run.command("mailing", "pause", run.key)
        time.sleep(2 if rounds % 5 == 2 else run.rng.uniform(0, 0.2))
        run.command("mailing", "resume", run.key)
        time.sleep(run.rng.uniform(0, 0.2))
        rounds += 1
    if rounds < 3:
        raise AssertionError(f"the mailing was over after {rounds} rounds")
    run.broken()
    return Allowed()


def _cancelled(run: Run) -> Allowed:
    """Paused, resumed and stopped for good: what is out is out, what is not stays."""
    run.sink.slow_down(0.02)
    run.start()
    run.publish()
    run.wait_for(run.some(0.1, 0.4))
    run.command("mailing", "cancel", run.key)
    run.broken()
    run.finish()
    time.sleep(2)
    if run.count("cancelled") == 0:
        raise AssertionError("nothing was left to cancel")
    return Allowed()


def _leaving(run: Run) -> Allowed:
    """Readers leave the list by their mail's link while the mailing is on its way."""
    run.sink.slow_down(0.02)
    run.start()
    run.publish()
    run.wait_for(1)
    rows = run.sql("SELECT id FROM deliveries WHERE mailing_id = :mailing", mailing=run.mailing)
    for row in run.rng.sample(list(rows), min(_LEAVERS, len(rows))):
        with run.house.database.write() as session:
            delivery = session.get_one(Delivery, row.id)
            token = mint(run.house.tokens, Purpose.UNSUBSCRIBE, delivery.id)
            unsubscribe.leave(session, run.house, token, ConsentSource.ONE_CLICK, run.now())
        time.sleep(run.rng.uniform(0, 0.02))
    run.broken()
    run.finish()
    if run.count("skipped") == 0:
        raise AssertionError("nobody left in time to be skipped")
    return Allowed()


def _too_late(run: Run) -> Allowed:
    """The mailing's time runs out in the midst of it."""
    run.sink.slow_down(0.05)
    run.start()
    run.publish()
    run.wait_for(run.some(0.1, 0.3))
    run.change("not_after = now() + interval '0.7 seconds'", "state IN ('pending', 'deferred')")
    run.broken()
    run.finish()
    if run.count("expired") == 0:
        raise AssertionError("everything had left before its time was over")
    return Allowed()


def _undo_window(run: Run) -> Allowed:
    """Nothing before the undo window is over, however often somebody hints."""
    run.start()
    run.publish()
    run.sql("UPDATE mailings SET opens_at = now() + interval '2.5 seconds' WHERE id = :id", id=run.mailing)
    for _ in range(4):
        run.hint(times=5)
        time.sleep(0.4)
    run.broken()
    return Allowed()


FAULTS = (
    Fault(name="pause and resume in a storm", play=_storm),
    Fault(name="cancelled", play=_cancelled),
    Fault(name="readers leave", play=_leaving),
    Fault(name="out of time", play=_too_late),
    Fault(name="undo window", play=_undo_window),
)
