"""which language each item of a digest was told in, items of a later translation, corrections of one language

Revision: 0010, after 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

PRIMARY = "pk_digest_items"


def upgrade() -> None:
    with op.batch_alter_table("digest_items") as items:
        items.add_column(sa.Column("translation", sa.String(16), nullable=False, server_default=""))
        items.add_column(sa.Column("language", sa.String(16), nullable=True))
        items.add_column(sa.Column("perhaps_told", sa.Boolean(), nullable=False, server_default=sa.false()))
        items.drop_constraint(PRIMARY, type_="primary")
        items.create_primary_key(PRIMARY, ["subscriber_id", "statement_id", "translation"])
    op.add_column("corrections", sa.Column("language", sa.String(16), nullable=True))
