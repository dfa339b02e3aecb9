"""Shares: how many connections to a receiving site this worker may open, so that all workers keep one limit.

Read from the lanes now and then by the dispatcher, asked at any time by the engine's
thread; between two looks the last word holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.mailings import Claim
from mailer.services.sending.lanes import limits_of_lanes
from mailer.smtp import pace
from mailer.smtp.pace import LaneLimits


@dataclass
class Shares:
    """One worker's part of each lane's limits."""

    me: str
    _limits: Mapping[str, LaneLimits] = field(default_factory=dict)
    _workers: Sequence[str] = ()

    def refresh(self, session: Session, now: datetime) -> None:
        """Look at the lanes, and at who else holds mail at this moment."""
        self._workers = session.scalars(
            select(Claim.worker).where(Claim.released_at.is_(None), Claim.leased_until > now).distinct()
        ).all()
        self._limits = limits_of_lanes(session, now)

    def __call__(self, site: str) -> LaneLimits:
        """This worker's part. A site without a lane of its own has the limits it starts with."""
        limits = self._limits.get(site) or pace.limits_of(site)
        return replace(limits, connections=pace.share(limits.connections, self._workers, self.me))
