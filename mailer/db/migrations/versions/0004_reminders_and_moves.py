"""reminder rules of every sort, what attendees were told, and when a symposium was planned

Revision: 0004, after 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UNPLANNED = sa.text("planned_at IS NULL AND state = 'announced'")


def upgrade() -> None:
    extend_symposia()
    create_versions()
    extend_registrations()
    extend_rules()
    seed_rules()


def add(table: str, *columns: sa.Column[object]) -> None:
    for column in columns:
        op.add_column(table, column)


def extend_symposia() -> None:
    add(
        "symposia",
        sa.Column("later", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("recording_url", sa.Text()),
        sa.Column("follow_up_at", sa.DateTime(timezone=True)),
        sa.Column("facts_version", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("facts_changed_at", sa.DateTime(timezone=True)),
        sa.Column("planned_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "ix_symposia_unplanned", "symposia", ["id"], postgresql_where=UNPLANNED, sqlite_where=UNPLANNED
    )


def create_versions() -> None:
    op.create_table(
        "symposium_versions",
        sa.Column("id", BIG, nullable=False),
        sa.Column("symposium_id", BIG, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("precision", sa.String(32), nullable=False),
        sa.Column("day", sa.Date()),
        sa.Column("wall_time", sa.Time()),
        sa.Column("zone", sa.String(64)),
        sa.Column("starts_at", sa.DateTime(timezone=True)),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("end_source", sa.String(32), nullable=False),
        sa.Column("place", sa.Text()),
        sa.Column("online", sa.Boolean()),
        sa.ForeignKeyConstraint(
            ["symposium_id"], ["symposia.id"], name=op.f("fk_symposium_versions_symposium_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_symposium_versions")),
        sa.UniqueConstraint("symposium_id", "version", name=op.f("uq_symposium_versions_symposium_id_version")),
    )
    # Until now the only thing attendees were told anew was the date, so each date is a version.
    op.execute(
        "INSERT INTO symposium_versions (symposium_id, version, title, precision, day, wall_time, zone,"
        " starts_at, minutes, end_source, place)"
        " SELECT s.id, d.generation, s.title, d.precision, d.day, d.wall_time, d.zone, d.starts_at,"
        " s.minutes, s.end_source, s.place FROM symposium_dates d JOIN symposia s ON s.id = d.symposium_id"
    )
    op.execute("UPDATE symposia SET facts_version = generation, facts_changed_at = changed_at")


def extend_registrations() -> None:
    op.execute("ALTER TABLE registrations RENAME COLUMN told_generation TO told_version")
    add(
        "registrations",
        sa.Column("told_at", sa.DateTime(timezone=True)),
        sa.Column("invited", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    attendees = sa.text("registration_id IS NOT NULL")
    op.create_index(
        "ix_deliveries_registration",
        "deliveries",
        ["registration_id"],
        postgresql_where=attendees,
        sqlite_where=attendees,
    )
    op.execute("UPDATE registrations SET invited = true WHERE told_version IS NOT NULL")


def extend_rules() -> None:
    op.execute(
        "ALTER TABLE reminder_rules ADD COLUMN series_id BIGINT"
        " CONSTRAINT fk_reminder_rules_series_id REFERENCES series (id)"
    )
    add(
        "reminder_rules",
        sa.Column("timing", sa.String(32), nullable=False, server_default="days_before"),
        sa.Column("clock", sa.Time()),
        sa.Column("at_day", sa.Date()),
        sa.Column("zone", sa.String(64)),
        sa.Column("later", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("audience", sa.String(32), nullable=False, server_default="all"),
        sa.Column("quiet", sa.Boolean()),
    )
    op.execute("UPDATE reminder_rules SET timing = 'minutes_before' WHERE days = 0")
    op.create_index("ix_reminder_rules_series_key", "reminder_rules", ["series_id", "key"], unique=True)
    if op.get_bind().dialect.name != "sqlite":  # which knows no lengths
        op.alter_column("reminder_rules", "key", type_=sa.String(64))


def seed_rules() -> None:
    """The default rules become a week, a day and an hour before, and a follow-up after the end."""
    for key, timing, days, minutes in (("1w", "days_before", 7, 0), ("after30m", "after_end", 0, 30)):
        op.execute(
            "INSERT INTO reminder_rules (key, timing, days, minutes, enabled, audience, later)"  # noqa: S608
            f" SELECT '{key}', '{timing}', {days}, {minutes}, true, 'all', false WHERE NOT EXISTS"
            f" (SELECT 1 FROM reminder_rules WHERE key = '{key}' AND symposium_id IS NULL)"
        )


def downgrade() -> None:
    raise NotImplementedError("A database is not led back: restore its backup instead.")
