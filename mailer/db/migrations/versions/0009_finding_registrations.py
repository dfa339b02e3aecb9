"""a person's registrations, and the mails of one registration, are found without reading the whole table

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

OF_ONE = sa.text("registration_id IS NOT NULL")


def upgrade() -> None:
    op.create_index("ix_registrations_subscriber", "registrations", ["subscriber_id"])
    op.create_index(
        "ix_mailings_registration",
        "mailings",
        ["registration_id"],
        postgresql_where=OF_ONE,
        sqlite_where=OF_ONE,
    )
