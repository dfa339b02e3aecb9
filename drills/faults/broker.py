"""Redis: emptied, stopped, killed, frozen, full, half-open. It carries hints only: nothing is in doubt."""

import signal
import time

from drills.faults import Fault
from drills.proxy import Proxy
from drills.run import Allowed, Run


def _flushed(run: Run) -> Allowed:
    run.sink.slow_down(0.005)
    run.start()
    run.publish()
    with run.site.redis.client() as client:
        for share in (0, 0.1, 0.3, 0.5, 0.7):
            run.wait_for(int(share * run.readers))
            client.flushall()
    run.broken()
    return Allowed()


def _stopped(run: Run) -> Allowed:
    run.sink.slow_down(0.005)
    run.start()
    run.publish()
    run.wait_for(run.some(0.05, 0.5))
    run.site.redis.stop()
    time.sleep(run.rng.uniform(1, 3))
    run.site.redis.start()
    run.broken()
    return Allowed()


def _killed(run: Run) -> Allowed:
    """SIGKILL and an empty restart, before anything was claimed and then in the midst."""
    run.sink.slow_down(0.005)
    run.start()
    run.publish()
    for share in (0, 0.3):
        run.wait_for(int(share * run.readers))
        run.site.redis.stop(signal.SIGKILL)
        time.sleep(run.rng.uniform(0, 1))
        run.site.redis.start()
    run.broken()
    return Allowed()


def _absent(run: Run) -> Allowed:
    """The workers start while there is no Redis."""
    run.site.redis.stop()
    run.start()
    run.publish()
    time.sleep(2)
    run.site.redis.start()
    run.broken()
    return Allowed()


def _frozen(run: Run) -> Allowed:
    run.sink.slow_down(0.005)
    run.start()
    run.publish()
    run.wait_for(run.some(0, 0.5))
    run.site.redis.send(signal.SIGSTOP)
    try:
        time.sleep(run.rng.uniform(2, 4))
    finally:
        run.site.redis.send(signal.SIGCONT)
    run.broken()
    return Allowed()


def _full(run: Run) -> Allowed:
    """It refuses every write, as with its memory limit reached."""
    run.sink.slow_down(0.005)
    with run.site.redis.client() as client:
        run.start()
        run.publish()
        run.wait_for(run.some(0, 0.3))
        client.config_set("maxmemory", "1")
        try:
            time.sleep(2)
        finally:
            client.config_set("maxmemory", "0")
    run.broken()
    return Allowed()


def _half_open(run: Run) -> Allowed:
    """The links stay open and silent for ever; only new ones work again."""
    proxy = Proxy(run.site.redis.port)
    try:
        run.variables["broker_url"] = run.site.redis.url(port=proxy.port)
        run.sink.slow_down(0.005)
        run.start()
        run.publish()
        run.wait_for(run.some(0, 0.3))
        proxy.silence(newcomers=True)
        time.sleep(2)
        proxy.heal(cut=False)
        run.broken()
        run.finish(90)  # while the proxy is there
    finally:
        proxy.close()
    return Allowed()


FAULTS = (
    Fault(name="redis flushed", play=_flushed),
    Fault(name="redis stopped", play=_stopped),
    Fault(name="redis killed", play=_killed),
    Fault(name="redis absent at the start", play=_absent),
    Fault(name="redis frozen", play=_frozen),
    Fault(name="redis full", play=_full),
    Fault(name="redis half-open", play=_half_open, slow=True),
)
