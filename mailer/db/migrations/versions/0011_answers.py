"""what a source leaves open is asked and answered; a proposal knows its date, a source its zone names

Revision: 0011, after 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("proposals", sa.Column("question", sa.JSON()))
    op.add_column("proposals", sa.Column("generation", sa.Integer()))
    op.add_column("sources", sa.Column("zone_names", sa.JSON(), nullable=False, server_default="{}"))
