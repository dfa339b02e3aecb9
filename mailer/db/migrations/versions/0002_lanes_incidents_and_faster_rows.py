"""lanes, incidents, the kill switch, and delivery rows that cost less

Revision: 0002, after 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WAITING = sa.text("state IN ('pending', 'deferred')")
URGENT = sa.text("state IN ('pending', 'deferred') AND rank < 40")
HELD = sa.text("state = 'claimed'")
DOUBT = sa.text("state = 'in_doubt'")
UNRELEASED = sa.text("released_at IS NULL")
CHILDREN = ("attempts", "returned_mails")


def upgrade() -> None:
    create_lanes()
    create_switches_and_incidents()
    op.add_column("mailings", sa.Column("spread_seconds", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("campaigns", sa.Column("receipt_of", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.add_column("campaigns", sa.Column("receipt_part", sa.String(32)))
    for old in ("due", "fence", "mailing_state"):
        op.drop_index(f"ix_deliveries_{old}", table_name="deliveries")
    alter_deliveries()
    index("due", ["mailing_id", "lane_id", "due_at", "id"], WAITING)
    index("urgent", ["rank", "due_at", "id"], URGENT)
    index("held", ["fence", "mailing_id"], HELD)
    index("doubt", ["mailing_id", "due_at"], DOUBT)
    op.create_index(
        "ix_claims_open", "claims", ["worker"], postgresql_where=UNRELEASED, sqlite_where=UNRELEASED
    )


def index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(
        f"ix_deliveries_{name}", "deliveries", columns, postgresql_where=where, sqlite_where=where
    )


def alter_deliveries() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    if sqlite:  # SQLite rebuilds the table, and may not drop one that others refer to: they wait outside
        for child in CHILDREN:
            op.execute(f"CREATE TEMP TABLE kept_{child} AS SELECT * FROM {child}")  # noqa: S608
            op.execute(f"DELETE FROM {child}")  # noqa: S608
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.drop_constraint("fk_deliveries_mailing_id", type_="foreignkey")
        deliveries.drop_constraint("fk_deliveries_subscriber_id", type_="foreignkey")
        deliveries.drop_column("lane")
        deliveries.add_column(sa.Column("lane_id", sa.SmallInteger(), nullable=False, server_default="1"))
    if sqlite:
        for child in CHILDREN:
            op.execute(f"INSERT INTO {child} SELECT * FROM kept_{child}")  # noqa: S608
            op.execute(f"DROP TABLE kept_{child}")


def create_lanes() -> None:
    lanes = op.create_table(
        "lanes",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=True),
        sa.Column("mails_per_connection", sa.Integer(), nullable=True),
        sa.Column("per_second", sa.Float(), nullable=True),
        sa.Column("per_hour", sa.Integer(), nullable=True),
        sa.Column("per_day", sa.Integer(), nullable=True),
        sa.Column("warm_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tokens", sa.Float(), nullable=False, server_default="0"),
        sa.Column("refilled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hour_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hour_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("day_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("day_count", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("closed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_why", sa.String(length=32), nullable=True),
        sa.Column("faults", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("slowness", sa.Float(), nullable=False, server_default="1"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lanes")),
        sa.UniqueConstraint("key", name=op.f("uq_lanes_key")),
    )
    op.bulk_insert(lanes, [{"id": 1, "key": "everyone-else"}])
    op.create_table(
        "lane_domains",
        sa.Column("domain_index", sa.LargeBinary(length=16), nullable=False),
        sa.Column("lane_id", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain_index", name=op.f("pk_lane_domains")),
    )


def create_switches_and_incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    still_open = sa.text("closed_at IS NULL")
    op.create_index(
        "uq_incidents_open_key",
        "incidents",
        ["key"],
        unique=True,
        postgresql_where=still_open,
        sqlite_where=still_open,
    )
    op.create_table(
        "switches",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("on", sa.Boolean(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_switches")),
    )
