"""which dates of a symposium were announced, so that pages speak of those alone

Revision: 0013, after 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "symposium_dates", sa.Column("announced", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    # Whether it was announced before it was called off only the audit knows; a draft may be called off, too.
    op.execute(
        "UPDATE symposium_dates SET announced = true WHERE EXISTS (SELECT 1 FROM symposia "
        "WHERE symposia.id = symposium_dates.symposium_id AND (symposia.state = 'announced' "
        "AND (symposia.generation = symposium_dates.generation OR symposia.sequence > 0) "
        "OR symposia.state = 'cancelled' AND symposia.sequence > 0 AND EXISTS (SELECT 1 FROM audit_entries "
        "WHERE audit_entries.action = 'symposium-announced' "
        "AND audit_entries.subject = 'symposium:' || CAST(symposia.id AS VARCHAR(20)))))"
    )
