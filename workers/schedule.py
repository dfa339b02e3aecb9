"""What the beat says and how often: plain intervals. What is due is asked of the database.

The intervals are counted by the uptime: a wall clock that is set an hour back would
silence Celery's own count for an hour.
"""

from datetime import UTC, datetime
from typing import Any

from celery.schedules import schedule

from mailer.settings import current
from mailer.smtp.letter import boottime
from mailer.wake import LIFETIME, ROUTES, Task

PLAN_SECONDS = 60.0  # reminders are announced long before they fall due
DIGEST_SECONDS = 60.0  # a digest leaves within its first minute
AUDIT_SECONDS = 60.0
SOURCES_SECONDS = 60.0


def entries() -> dict[str, dict[str, Any]]:
    """Celery's beat_schedule. Two beats, or none for a minute, are harmless."""
    sweep = current().sweep_seconds
    return {
        Task.SWEEP.value: _every(sweep, Task.SWEEP),
        Task.PLAN_REMINDERS.value: _every(PLAN_SECONDS, Task.PLAN_REMINDERS),
        Task.PLAN_DIGESTS.value: _every(DIGEST_SECONDS, Task.PLAN_DIGESTS),
        Task.AUDIT.value: _every(AUDIT_SECONDS, Task.AUDIT),
        Task.CHECK_SOURCES.value: _every(SOURCES_SECONDS, Task.CHECK_SOURCES),
    }


def _every(seconds: float, task: Task) -> dict[str, Any]:
    # A tick that nobody fetched is worthless after the next one, but the clock that would say so is the
    # reader's own: of two hosts a minute apart one would throw all of them away.
    options = {"queue": ROUTES[task].value, "expires": LIFETIME}
    return {"task": task.value, "schedule": schedule(seconds, nowfun=_uptime), "options": options}


def _uptime() -> datetime:
    """The uptime in the shape that Celery takes for the present moment."""
    return datetime.fromtimestamp(boottime(), UTC)
