"""The Celery application with its tasks, as `mailer worker` and `mailer beat` run it."""

from mailer import wake
from workers import schedule, tasks

app = wake.app()
tasks.register(app)
app.conf.beat_schedule = schedule.entries()

__all__ = ["app"]
