"""how often a subscriber wants to hear of statements, and what each of them is still owed

Revision: 0007, after 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

OWED = sa.text("delivery_id IS NULL")


def upgrade() -> None:
    op.add_column(
        "subscriptions",
        sa.Column("frequency", sa.String(length=32), nullable=False, server_default="at_once"),
    )
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "digest_items",
        sa.Column("subscriber_id", number, autoincrement=False, nullable=False),
        sa.Column("statement_id", number, autoincrement=False, nullable=False),
        sa.Column("topic_id", number, nullable=False),
        sa.Column("owed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivery_id", number, nullable=True),
        sa.Column("version", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("subscriber_id", "statement_id", name=op.f("pk_digest_items")),
    )
    op.create_index(
        "ix_digest_items_owed",
        "digest_items",
        ["topic_id", "subscriber_id"],
        postgresql_where=OWED,
        sqlite_where=OWED,
    )
    op.create_index("ix_digest_items_delivery", "digest_items", ["delivery_id"])
