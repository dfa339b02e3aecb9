"""watched sources, their items, robots.txt, and proposals that say where they come from

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_sources()
    create_items()
    op.create_table(
        "robots_files",
        sa.Column("origin", sa.String(300), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("usable", sa.Boolean(), nullable=False),
        sa.Column("fetched_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_robots_files")),
    )
    with op.batch_alter_table("proposals") as proposals:
        proposals.add_column(sa.Column("source_id", BIG))
        proposals.add_column(sa.Column("medium", sa.String(32)))
        proposals.add_column(sa.Column("note", sa.Text(), nullable=False, server_default=""))
        proposals.create_foreign_key(
            op.f("fk_proposals_source_id_sources"), "sources", ["source_id"], ["id"], ondelete="SET NULL"
        )


def create_sources() -> None:
    op.create_table(
        "sources",
        sa.Column("id", BIG, nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("url", sa.String(1000), nullable=False),
        sa.Column("asked_kind", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32)),
        sa.Column("zone", sa.String(64), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("every_seconds", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("take_old", sa.Boolean(), nullable=False),
        sa.Column("etag", sa.String(500)),
        sa.Column("modified", sa.String(500)),
        sa.Column("next_check_at", MOMENT, nullable=False),
        sa.Column("leased_until", MOMENT),
        sa.Column("lease", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=False),
        sa.Column("suspect", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("checked_at", MOMENT),
        sa.Column("read_at", MOMENT),
        sa.Column("imported_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("name", name=op.f("uq_sources_name")),
        sa.UniqueConstraint("url", name=op.f("uq_sources_url")),
    )
    op.create_index("ix_sources_state_next_check_at", "sources", ["state", "next_check_at"])


def create_items() -> None:
    op.create_table(
        "source_items",
        sa.Column("id", BIG, nullable=False),
        sa.Column("source_id", BIG, nullable=False),
        sa.Column("key", sa.String(300), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("day", sa.Date()),
        sa.Column("sequence", sa.Integer()),
        sa.Column("medium", sa.String(32), nullable=False),
        sa.Column("fate", sa.String(32), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("statement_id", BIG),
        sa.Column("symposium_id", BIG),
        sa.Column("first_seen", MOMENT, nullable=False),
        sa.Column("last_seen", MOMENT, nullable=False),
        sa.Column("gone_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name=op.f("fk_source_items_source_id_sources"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["statements.id"], name=op.f("fk_source_items_statement_id_statements")
        ),
        sa.ForeignKeyConstraint(
            ["symposium_id"], ["symposia.id"], name=op.f("fk_source_items_symposium_id_symposia")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_items")),
        sa.UniqueConstraint("source_id", "key", name=op.f("uq_source_items_source_id_key")),
    )
    for column in ("statement_id", "symposium_id"):
        op.create_index(op.f(f"ix_source_items_{column}"), "source_items", [column])
