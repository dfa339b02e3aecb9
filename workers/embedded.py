"""The whole house in one process: web, worker, beat, and the places mail comes in.

This is `mailer serve`, and the demo runs the same. Without a relay it cannot reach
any host but its own inbox on loopback. It may be stopped and started at will.
"""

import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from celery.beat import Scheduler, Service
from celery.worker import WorkController

from mailer import mx, settings, wake
from mailer.services.desk.inbox import Inbox
from mailer.services.house import House, found_house
from mailer.settings import Settings
from mailer.web.app import create_app
from workers import schedule, tasks
from workers.clock import clock

LOOPBACK = "127.0.0.1"
THREADS = 3  # one sends, one plans, one sweeps


class CannotStart(Exception):
    """The embedded house cannot start here; the message says what stands in the way and what to do."""


@dataclass
class Embedded:
    """A running house. Leave the `with` block and everything has come to rest."""

    house: House
    inbox: Inbox | None
    base_url: str
    _open: ExitStack = field(repr=False)

    def close(self) -> None:
        self._open.close()


@contextmanager
def running(chosen: Settings) -> Iterator[Embedded]:
    """Start everything, in the order in which one thing needs the other. Raises CannotStart."""
    with ExitStack() as stack:
        stack.enter_context(_only_one(chosen.data))
        listening = stack.enter_context(_bound(chosen.web_host, chosen.web_port, "MAILER_WEB_PORT"))
        chosen = _with_own_address(chosen, listening)
        inbox = None
        if not chosen.smtp_url:
            inbox = Inbox(chosen.data / "inbox")
            door = stack.enter_context(_door(mx.CatchAll(inbox), LOOPBACK, 0, "MAILER_MX_PORT"))
            chosen = chosen.model_copy(update={"smtp_url": f"smtp://{LOOPBACK}:{door.port}"})
        settings.use(chosen)
        house = found_house(chosen)
        tasks.use(house)
        stack.enter_context(_door(mx.Inbound(house, clock), chosen.mx_host, chosen.mx_port, "MAILER_MX_PORT"))
        stack.enter_context(_worker())
        stack.enter_context(_web(house, inbox, listening))
        stack.callback(tasks.stopping.set)  # the first thing on the way out: no further slice is claimed
        yield Embedded(house, inbox, chosen.base_url, stack)


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Two processes on one folder would both be right and both wrong; the second is told."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise CannotStart(
            f"Another mailer is running on {data}. Stop it first, or give this one a folder of its own "
            f"with MAILER_DATA."
        ) from None
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def _bound(host: str, port: int, variable: str) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise CannotStart(
            f"Port {port} on {host} cannot be used ({error.strerror}). Stop what listens there, "
            f"or choose another port with {variable}; 0 picks a free one."
        ) from None
    with listening:
        yield listening


@contextmanager
def _door(door: mx.Door, host: str, port: int, variable: str) -> Iterator[mx.Listener]:
    try:
        listener = mx.start(door, host, port)
    except OSError as error:
        raise CannotStart(
            f"Port {port} on {host} cannot be used for returned mail ({error.strerror}). "
            f"Choose another with {variable}; 0 picks a free one."
        ) from None
    try:
        yield listener
    finally:
        listener.stop()


def _with_own_address(chosen: Settings, listening: socket.socket) -> Settings:
    """With the default address the links lead to the port that was really bound."""
    if "base_url" in chosen.model_fields_set:
        return chosen
    return chosen.model_copy(update={"base_url": f"http://{chosen.web_host}:{listening.getsockname()[1]}"})


@contextmanager
def _worker() -> Iterator[None]:
    app = wake.app()
    tasks.register(app)
    app.conf.beat_schedule = schedule.entries()
    controller = WorkController(
        app=app,
        pool_cls="threads",
        concurrency=THREADS,
        queues=[queue.value for queue in wake.Queue],
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    beat = Service(app, scheduler_cls=Scheduler, max_interval=0.5)
    threads = [
        threading.Thread(target=controller.start, name="worker", daemon=True),
        threading.Thread(target=beat.start, name="beat", daemon=True),
    ]
    for thread in threads:
        thread.start()
    tasks.alarm.start()
    try:
        yield
    finally:
        tasks.stopping.set()
        tasks.alarm.stop()
        beat.stop(wait=True)
        tasks.sender.close()
        controller.stop()
        for thread in threads:
            thread.join(timeout=10)


@contextmanager
def _web(house: House, inbox: Inbox | None, listening: socket.socket) -> Iterator[None]:
    app = create_app(house, clock=clock, inbox=inbox, gate=tasks.gate)
    server = uvicorn.Server(uvicorn.Config(app, access_log=False, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="web", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)
