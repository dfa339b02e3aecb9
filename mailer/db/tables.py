"""All tables in one place, for migrations and tests: importing this module fills Base.metadata."""

from mailer.db import embargoes, lanes, mailings, people, programme, staff
from mailer.db.base import Base

metadata = Base.metadata

__all__ = ["embargoes", "lanes", "mailings", "metadata", "people", "programme", "staff"]
