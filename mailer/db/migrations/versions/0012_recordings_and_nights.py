"""whether a follow-up's recording answers, and which nights a symposium's reminders were planned around

Revision: 0012, after 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("symposia", sa.Column("recording_seen_at", moment, nullable=True))
    op.add_column("symposia", sa.Column("recording_next_at", moment, nullable=True))
    op.add_column("symposia", sa.Column("recording_trouble", sa.Text(), nullable=True))
    op.add_column("symposia", sa.Column("nights", sa.String(length=16), nullable=True))
    # Follow-ups that were approved before this was asked: their recordings are looked at like new ones.
    op.execute(
        "UPDATE symposia SET recording_next_at = follow_up_at "
        "WHERE recording_url IS NOT NULL AND follow_up_at IS NOT NULL"
    )
