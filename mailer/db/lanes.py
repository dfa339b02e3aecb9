"""Lanes: deliveries that share a receiving site, the limits of that site, and what was used of them.

What was used stands in SQL, so that a restart grants no fresh burst and all workers
together keep one limit. A relay is a lane too (`relay:host:port`): it can rest and it has
its owner's rate. A lane is named after a public site, never after somebody's own domain.
"""

from datetime import datetime

from sqlalchemy import LargeBinary, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from mailer.db.base import Base, Instant

EVERYONE_ELSE = 1  # the lane of all domains that have none of their own


class Lane(Base):
    """One lane. A limit that is None is the table's in mailer.smtp.pace; times are UTC."""

    __tablename__ = "lanes"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(128), unique=True)

    connections: Mapped[int | None]
    mails_per_connection: Mapped[int | None]
    per_second: Mapped[float | None]
    per_hour: Mapped[int | None]
    per_day: Mapped[int | None]
    warm_from: Mapped[datetime | None] = mapped_column(Instant)  # the day on which warming up began

    tokens: Mapped[float] = mapped_column(default=0.0)  # of the bucket per second, at refilled_at
    refilled_at: Mapped[datetime | None] = mapped_column(Instant)
    hour_at: Mapped[datetime | None] = mapped_column(Instant)
    hour_count: Mapped[int] = mapped_column(default=0)
    day_at: Mapped[datetime | None] = mapped_column(Instant)
    day_count: Mapped[int] = mapped_column(default=0)

    closed_until: Mapped[datetime | None] = mapped_column(Instant)  # nothing is claimed for it before
    closed_why: Mapped[str | None] = mapped_column(String(32))  # a Reason's word, or "staff"
    faults: Mapped[int] = mapped_column(SmallInteger, default=0)  # refusals in a row that were no recipient's
    slowness: Mapped[float] = mapped_column(default=1.0)  # rates are divided by it: doubled on 421 or 4.7.x


class LaneDomain(Base):
    """Which lane a receiving domain belongs to, by the domain's blind index."""

    __tablename__ = "lane_domains"

    domain_index: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    lane_id: Mapped[int] = mapped_column(SmallInteger)
