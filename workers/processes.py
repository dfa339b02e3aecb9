"""The processes of a larger installation, one per container: web, worker, beat, inbound.

Each beats its heart, stops on SIGTERM after finishing what it has in hand, and
keeps nothing that another process needs.
"""

import contextlib
import ctypes
import gc
import signal
import sys
import threading

from celery.beat import Scheduler, Service

from mailer.services.house import open_house
from mailer.services.sending.departure import relays_of
from mailer.settings import SettingsError, current
from mailer.wake import Queue
from workers import tasks
from workers.clock import clock
from workers.pulse import beating

SWITCH_SECONDS = 0.001  # two threads share a sender: the database's answers must not wait 5 ms for a turn
GC_THRESHOLDS = (50_000, 20, 100)
M_ARENA_MAX = -8  # glibc's malloc.h
PROXY_SECONDS = 75  # keep-alive: longer than the proxy in front waits, so that it never meets a closed door


def web() -> None:
    """Serve the public pages and the one-click endpoint."""
    import uvicorn  # the pages weigh 22 MB, which no worker needs

    from mailer.web.app import create_app

    settings = current()
    house = open_house(settings)
    clock.trust(settings.ntp_server)
    app = create_app(house, clock=clock.of(house.database), inbox=None, gate=tasks.gate)
    uvicorn.run(
        app,
        host=settings.web_host,
        port=settings.web_port,
        access_log=False,
        log_config=None,
        lifespan="off",
        timeout_keep_alive=PROXY_SECONDS,
    )


def worker(queues: frozenset[Queue]) -> None:
    """Work off the hints of these queues. SIGTERM ends the slice in hand and takes no other."""
    from workers.celery import app

    settings = current()
    if not settings.broker_url:
        raise SettingsError("MAILER_BROKER_URL is not set. Name the Redis that carries the hints.")
    if Queue.SEND in queues:
        relays_of(settings)  # a wrong relay is said at the start, not at the first mail
    house = tasks.use(open_house(settings))
    _settle_down()
    name = "worker-send" if Queue.SEND in queues else "worker-plan"
    with beating(house, name):
        controller = app.Worker(
            pool="threads",
            concurrency=2,
            queues=[queue.value for queue in sorted(queues)],
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            quiet=True,
            loglevel="WARNING",
            hostname=f"{name}@%h",
        )
        if Queue.SEND in queues:
            tasks.alarm.start()
        controller.start()
        _end_undisturbed()
        tasks.alarm.stop()
        tasks.sender.close()


def _end_undisturbed() -> None:
    """A second SIGTERM changes nothing any more. The interpreter, on its way out, would end by it at once and
    tell whoever waits that it failed."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


def _settle_down() -> None:
    """Tune the interpreter for a process that lives long and makes many objects without cycles."""
    with contextlib.suppress(OSError, AttributeError):  # where the C library is not glibc
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)  # one heap: two threads of Python never allocate at once
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # what was imported is not looked at again
    gc.set_threshold(
        *GC_THRESHOLDS
    )  # a tenth of a sender's time went into looking for cycles that are not there


def beat() -> None:
    """Say at plain intervals that it is time to look. Its schedule is kept nowhere."""
    from workers.celery import app

    house = open_house(current())
    service = Service(app, scheduler_cls=Scheduler, max_interval=1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: service.stop())
    with beating(house, "beat"):
        service.start()
    _end_undisturbed()


def inbound() -> None:
    """Take returned mail and mailto unsubscribes; 250 is said only once they are committed."""
    from mailer import mx

    settings = current()
    house = open_house(settings)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_signal: over.set())
    with beating(house, "inbound"):
        door = mx.start(mx.Inbound(house, clock), settings.mx_host, settings.mx_port)
        over.wait()
        _end_undisturbed()
        door.stop()
