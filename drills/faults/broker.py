"""Redis: emptied, stopped, killed, frozen, full, half-open. It carries hints only: nothing is in doubt."""

import signal
import time
from collections.abc import Callable

from drills.faults import Fault, Play
from drills.proxy import Proxy
from drills.run import Allowed, Run

Step = Callable[[Run], None]


def _flushed(run: Run) -> Allowed:
    run.sink.slow_down(0.01)
    run.start()
    run.publish()
    with run.site.redis.client() as client:
        for share in (0, 0.1, 0.3, 0.5, 0.7):
            run.wait_for(int(share * run.readers))
            client.flushall()
    run.broken()
    return Allowed()


def _during(begin: Step, end: Step) -> Play:
    """The fault begins in the midst of one mailing, and the next is announced while it lasts."""

    def play(run: Run) -> Allowed:
        run.sink.slow_down(0.005)
        run.start()
        run.publish()
        run.wait_for(run.some(0, 0.5))
        begin(run)
        try:
            run.publish("long")
            time.sleep(run.rng.uniform(2, 3))
        finally:
            end(run)
        run.broken()
        return Allowed()

    return play


def _refuse_writes(run: Run) -> None:
    with run.site.redis.client() as client:
        client.config_set("maxmemory", "1")


def _accept_writes(run: Run) -> None:
    with run.site.redis.client() as client:
        client.config_set("maxmemory", "0")


def _absent(run: Run) -> Allowed:
    """The workers start while there is no Redis."""
    run.site.redis.stop()
    run.start()
    run.publish()
    time.sleep(2)
    run.site.redis.start()
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
        run.publish("long")
        time.sleep(2)
        proxy.heal(cut=False)
        run.broken()
        run.finish(300)  # while the proxy is there
    finally:
        proxy.close()
    return Allowed()


def _start(run: Run) -> None:
    run.site.redis.start()


def _stop(run: Run) -> None:
    run.site.redis.stop()


def _signal(number: signal.Signals) -> Step:
    return lambda run: run.site.redis.send(number)


FAULTS = (
    Fault(name="redis flushed", play=_flushed),
    Fault(name="redis stopped", play=_during(_stop, _start)),
    Fault(name="redis killed", play=_during(lambda run: run.site.redis.stop(signal.SIGKILL), _start)),
    Fault(name="redis absent at the start", play=_absent),
    Fault(name="redis frozen", play=_during(_signal(signal.SIGSTOP), _signal(signal.SIGCONT))),
    Fault(name="redis full", play=_during(_refuse_writes, _accept_writes)),
    Fault(name="redis half-open", play=_half_open),
)
