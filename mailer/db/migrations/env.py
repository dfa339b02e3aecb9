"""Runs migrations on the connection that mailer.db.migrate hands over, inside its one transaction."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context

from mailer.db.base import Instant
from mailer.db.tables import metadata


def plain_type(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write plain column types into new migrations: they must outlive this code's own types."""
    if kind != "type":
        return False
    if isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    return f"sa.String({item.length})" if isinstance(item, sa.Enum) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    compare_type=True,
    render_item=plain_type,
)
context.run_migrations()
