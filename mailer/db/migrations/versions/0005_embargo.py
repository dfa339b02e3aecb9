"""embargoes of statements, and their review

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

EMBARGOED = sa.text("embargo_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "embargoes",
        sa.Column(
            "statement_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("wall_time", sa.Time(), nullable=False),
        sa.Column("zone", sa.String(length=64), nullable=False),
        sa.Column("later", sa.Boolean(), nullable=False),
        sa.Column("opens_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tzdata", sa.String(length=16), nullable=False),
        sa.Column("expires_minutes", sa.Integer(), nullable=True),
        sa.Column("held", sa.String(length=32), nullable=True),
        sa.Column("asked", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["statements.id"], name=op.f("fk_embargoes_statement_id")
        ),
        sa.PrimaryKeyConstraint("statement_id", name=op.f("pk_embargoes")),
    )
    op.add_column("statements", sa.Column("review_asked_by", sa.String(length=64)))
    op.add_column("statements", sa.Column("approved_by", sa.String(length=64)))
    op.add_column("statements", sa.Column("approved_digest", sa.LargeBinary(length=32)))
    op.add_column("mailings", sa.Column("embargo_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_mailings_embargo",
        "mailings",
        ["embargo_at"],
        postgresql_where=EMBARGOED,
        sqlite_where=EMBARGOED,
    )
