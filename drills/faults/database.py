"""PostgreSQL: restarted, crashed, killed, cut off and locked, also between a reply and its settling."""

import signal
import time

from drills.faults import Fault, Play
from drills.proxy import Proxy
from drills.run import Allowed, Run
from drills.servers import wait_until
from mailer.failpoints import VARIABLE, Failpoint


def _restarted(how: signal.Signals) -> Play:
    def play(run: Run) -> Allowed:
        run.sink.slow_down(0.01)
        run.start()
        run.publish()
        run.wait_for(run.some(0.1, 0.6))
        run.site.postgresql.stop(how)
        time.sleep(run.rng.uniform(0, 1.5))
        run.site.postgresql.start()
        run.broken()
        return Allowed()

    return play


def _terminated(run: Run) -> Allowed:
    run.sink.slow_down(0.01)
    run.start()
    run.publish()
    for share in (0.05, 0.25, 0.45, 0.65):
        run.wait_for(run.some(share, share + 0.1))
        run.site.postgresql.terminate_connections(run.database)
    run.broken()
    return Allowed()


def _before_settle(*, kill: bool) -> Play:
    """Replies have come and are not written: the database goes away, and the worker too when `kill`."""

    def play(run: Run) -> Allowed:
        run.sink.slow_down(0.02)  # so that there are several groups
        run.start("worker-plan", "beat")
        run.start(
            "worker-send", variables={VARIABLE: f"{Failpoint.BEFORE_SETTLE}:stop:{run.rng.randint(1, 3)}"}
        )
        run.publish()
        wait_until(lambda: run.stands_still("worker-send"), "the worker stops before it settles")
        run.site.postgresql.stop(signal.SIGQUIT)
        run.signal("worker-send", signal.SIGKILL if kill else signal.SIGCONT)
        time.sleep(run.rng.uniform(0.5, 1.5))
        run.site.postgresql.start()
        run.broken()
        if kill:
            run.start("worker-send")
        return Allowed(doubt=run.most_in_flight if kill else 0, from_journal=kill)

    return play


def _cut_off(run: Run) -> Allowed:
    """The sender's links to the database fall silent while SMTP works; then they are closed."""
    proxy = Proxy(run.site.postgresql.port)
    try:
        url = run.site.postgresql.url(run.database, port=proxy.port)
        run.sink.slow_down(0.01)
        run.start("worker-plan", "beat")
        run.start("worker-send", variables={"MAILER_DATABASE_URL": url})
        run.publish()
        run.wait_for(run.some(0.1, 0.4))
        proxy.silence(newcomers=True)
        time.sleep(run.rng.uniform(2, 4))
        proxy.heal(cut=True)
        run.broken()
        run.finish()
    finally:
        proxy.close()
    return Allowed()


def _cut_off_beyond_lease(run: Run) -> Allowed:
    """As before, until another worker has taken over what the silent one held."""
    proxy = Proxy(run.site.postgresql.port)
    try:
        url = run.site.postgresql.url(run.database, port=proxy.port)
        run.sink.slow_down(0.05)
        run.start("worker-plan", "beat")
        run.start("worker-send", variables={"MAILER_DATABASE_URL": url})
        run.publish()
        run.wait_for(run.some(0.1, 0.4))
        proxy.silence(newcomers=True)
        run.start("worker-send", name="second")
        time.sleep(14)
        proxy.heal(cut=True)
        run.broken()
        run.finish()
    finally:
        proxy.close()
    return Allowed(doubt=run.most_in_flight)


def _locked(run: Run) -> Allowed:
    """A person's transaction holds the table for a while."""
    run.sink.slow_down(0.01)
    run.start()
    run.publish()
    run.wait_for(run.some(0.1, 0.5))
    run.sql("LOCK TABLE deliveries IN EXCLUSIVE MODE; SELECT pg_sleep(2)")
    run.broken()
    return Allowed()


FAULTS = (
    Fault(name="database restarted (fast)", play=_restarted(signal.SIGINT)),
    Fault(name="database restarted (immediate)", play=_restarted(signal.SIGQUIT)),
    Fault(name="database killed", play=_restarted(signal.SIGKILL)),
    Fault(name="database connections ended", play=_terminated),
    Fault(name="database gone before settle", play=_before_settle(kill=False)),
    Fault(name="database gone before settle, then killed", play=_before_settle(kill=True)),
    Fault(name="database cut off", play=_cut_off),
    Fault(name="database cut off beyond the lease", play=_cut_off_beyond_lease, slow=True),
    Fault(name="database locked", play=_locked),
)
