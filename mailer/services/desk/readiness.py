"""Readiness: whether this process could serve somebody right now. Says yes or no, never why to strangers."""

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from mailer.services.house import House

log = structlog.get_logger("mailer.readiness")


def ready(house: House) -> bool:
    """True when the database answers."""
    try:
        with house.database.read() as session:
            session.execute(text("SELECT 1"))
    except (SQLAlchemyError, OSError) as problem:
        log.warning("database-unreachable", error=type(problem).__name__)
        return False
    return True
