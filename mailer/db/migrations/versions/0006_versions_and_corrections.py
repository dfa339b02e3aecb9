"""which text of a statement each delivery got, translations with a state, corrections

Revision: 0006, after 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("deliveries", sa.Column("version", sa.SmallInteger(), nullable=True))
    op.add_column("deliveries", sa.Column("language", sa.String(16), nullable=True))
    op.add_column("statements", sa.Column("version", sa.SmallInteger(), nullable=False, server_default="1"))
    op.add_column("statements", sa.Column("holds", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("statement_texts", sa.Column("state", sa.String(32), nullable=False, server_default="ready"))
    op.create_table(
        "corrections",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("statement_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("from_version", sa.SmallInteger(), nullable=False),
        sa.Column("to_version", sa.SmallInteger(), nullable=True),
        sa.Column("words", sa.JSON(), nullable=False),
        sa.Column("paused", sa.JSON(), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["statements.id"], name=op.f("fk_corrections_statement_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sa.UniqueConstraint("statement_id", "number", name=op.f("uq_corrections_statement_id_number")),
    )
