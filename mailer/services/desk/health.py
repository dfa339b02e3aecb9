"""Signs of life: each process writes its heartbeat, and a health check asks how old it is."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from mailer.db.dialect import insert
from mailer.db.staff import Heartbeat

SILENCE = timedelta(seconds=60)  # a process that has not beaten for longer is taken for dead


def beat(session: Session, name: str, now: datetime) -> None:
    """Note that this process is alive."""
    statement = insert(session, Heartbeat).values(name=name, at=now)
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"at": now}))


def alive(session: Session, name: str, now: datetime) -> bool:
    """True when the process has beaten within the last minute."""
    heartbeat = session.get(Heartbeat, name)
    return heartbeat is not None and now - heartbeat.at < SILENCE
