"""All tables in one place, for migrations and tests: importing this module fills Base.metadata."""

from mailer.db import (
    digests,
    doors,
    embargoes,
    lanes,
    mailings,
    people,
    programme,
    sources,
    staff,
)
from mailer.db.base import Base

metadata = Base.metadata

__all__ = [
    "digests",
    "doors",
    "embargoes",
    "lanes",
    "mailings",
    "metadata",
    "people",
    "programme",
    "sources",
    "staff",
]
