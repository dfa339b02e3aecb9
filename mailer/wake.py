"""Hints to the workers: "something is due". The only file under mailer/ that names Celery.

A hint carries a task name and at most one id. It is sent after the commit, gives
up within half a second and never raises: the database is the truth, and the sweep
finds whatever a lost hint would have announced.
"""

import time
from enum import StrEnum
from functools import lru_cache
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from mailer.settings import current

PATIENCE = 0.5  # seconds a hint may cost the one who gives it
CONSUMER_PATIENCE = 5.0  # seconds until a link that has gone silent is dropped; a blocking read lasts one
SILENCE = 5.0  # seconds without further tries after a broker failed: the sweep serves meanwhile
LIFETIME = 86_400  # seconds until an unread hint is dropped; the reader's clock decides, and it may be wrong


class Queue(StrEnum):
    """Three queues by patience; docker-compose.yml names a consumer for each."""

    SEND = "send"
    PLAN = "plan"
    SWEEP = "sweep"


class Task(StrEnum):
    """Every task a worker knows."""

    EXPAND_MAILING = "expand-mailing"
    SEND_DUE = "send-due"
    PLAN_REMINDERS = "plan-reminders"
    PLAN_DIGESTS = "plan-digests"
    SWEEP = "sweep"
    AUDIT = "audit"
    CHECK_SOURCES = "check-sources"


ROUTES = {
    Task.EXPAND_MAILING: Queue.PLAN,
    Task.PLAN_REMINDERS: Queue.PLAN,
    Task.PLAN_DIGESTS: Queue.PLAN,
    Task.SEND_DUE: Queue.SEND,
    Task.SWEEP: Queue.SWEEP,
    Task.AUDIT: Queue.PLAN,
    Task.CHECK_SOURCES: Queue.PLAN,
}


@lru_cache(maxsize=1)
def app() -> Celery:
    """The Celery application of a worker or beat: hints only, early acknowledged, nothing kept."""
    celery = _configured("mailer", set_as_current=True)
    if not current().embedded:
        celery.conf.broker_transport_options = _redis(socket_timeout=CONSUMER_PATIENCE)
        celery.conf.worker_disable_prefetch = True
    return celery


@lru_cache(maxsize=1)
def _giver() -> Celery:
    """The application through which hints are given: it has half a second, whatever the broker does."""
    celery = _configured("mailer-hints", set_as_current=False)
    if not current().embedded:
        celery.conf.broker_transport_options = _redis(socket_timeout=PATIENCE)
    return celery


def _configured(name: str, *, set_as_current: bool) -> Celery:
    celery = Celery(name, set_as_current=set_as_current)
    celery.conf.update(
        broker_url=current().broker_url or "memory://localhost",
        broker_connection_retry_on_startup=True,
        broker_transport_options={"polling_interval": 0.05},
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=False,
        task_default_queue=Queue.SWEEP.value,
        task_routes={task.value: {"queue": queue.value} for task, queue in ROUTES.items()},
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        enable_utc=True,
        timezone="UTC",
    )
    return celery


def _redis(*, socket_timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": PATIENCE,
        "socket_keepalive": True,
        "health_check_interval": 3,
    }


class _Broker:
    """Remembers that the broker failed, so that a page waits for it once and not on every hint."""

    silent_until = 0.0


def hint(task: Task, number: int | None = None) -> bool:
    """Tell the workers that `task` has something to do. True when the broker took it; never raises."""
    if time.monotonic() < _Broker.silent_until:
        return False
    arguments = [] if number is None else [number]
    try:
        _giver().send_task(task.value, args=arguments, expires=LIFETIME, retry=False, ignore_result=True)
    except (OperationalError, OSError, ConnectionError):
        _Broker.silent_until = time.monotonic() + SILENCE
        return False
    return True
