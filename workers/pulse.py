"""The pulse: a process writes its heartbeat every few seconds, from a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import SQLAlchemyError

from mailer.services.desk import health
from mailer.services.house import House
from workers.clock import clock

PERIOD = 15.0  # seconds; a health check takes four missed beats for death

log = structlog.get_logger()


@contextmanager
def beating(house: House, name: str) -> Iterator[None]:
    """Beat for as long as the block runs. A database that is away is only noted."""
    over = threading.Event()

    def beat() -> None:
        while True:
            try:
                with house.database.write() as session:
                    health.beat(session, name, clock())
            except SQLAlchemyError as problem:
                log.warning("heartbeat-not-written", kind=type(problem).__name__)
            if over.wait(PERIOD):
                return

    thread = threading.Thread(target=beat, name="pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
