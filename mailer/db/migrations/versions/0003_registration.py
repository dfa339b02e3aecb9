"""what a symposium asks of those who register, waiting lists, attendance, join links and the doors of other tools

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    widen_symposia()
    widen_registrations()
    create_doors()


def widen_symposia() -> None:
    for name in ("speakers", "languages", "form_fields"):
        op.add_column("symposia", sa.Column(name, sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("symposia", sa.Column("online", sa.Boolean(), nullable=True))
    op.add_column("symposia", sa.Column("room", sa.LargeBinary(), nullable=True))
    op.add_column("symposia", sa.Column("capacity", sa.Integer(), nullable=True))
    op.add_column(
        "symposia", sa.Column("waiting_list", sa.Boolean(), nullable=False, server_default=sa.true())
    )
    op.add_column("symposia", sa.Column("asks_access", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("symposia", sa.Column("registration_window", sa.JSON(), nullable=False, server_default="{}"))
    for name in ("registration_opens_at", "registration_closes_at"):
        op.add_column("symposia", sa.Column(name, sa.DateTime(timezone=True), nullable=True))


def widen_registrations() -> None:
    op.add_column("registrations", sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("registrations", sa.Column("languages", sa.JSON(), nullable=True))
    op.add_column("registrations", sa.Column("zone", sa.String(length=64), nullable=True))
    op.add_column(
        "registrations", sa.Column("attendance", sa.String(32), nullable=False, server_default="unknown")
    )
    op.add_column(
        "registrations", sa.Column("join_generation", sa.Integer(), nullable=False, server_default="1")
    )
    op.add_column("registrations", sa.Column("details", sa.LargeBinary(), nullable=True))


def create_doors() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_api_tokens_digest")),
        sa.UniqueConstraint("name", name=op.f("uq_api_tokens_name")),
    )
    op.create_table(
        "sign_ups",
        sa.Column("id", BIG, nullable=False),
        sa.Column("token_id", BIG, nullable=False),
        sa.Column("external", sa.LargeBinary(length=16), nullable=False),
        sa.Column("content", sa.LargeBinary(length=16), nullable=False),
        sa.Column("registration_id", BIG, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["registration_id"],
            ["registrations.id"],
            name=op.f("fk_sign_ups_registration_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(["token_id"], ["api_tokens.id"], name=op.f("fk_sign_ups_token_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ups")),
        sa.UniqueConstraint("token_id", "external", name=op.f("uq_sign_ups_token_id_external")),
    )
    op.create_table(
        "form_counts",
        sa.Column("bucket", sa.LargeBinary(length=16), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "hour", name=op.f("pk_form_counts")),
    )
