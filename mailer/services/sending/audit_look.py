"""What the audit's checks share: what they look at, and what they find."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy.orm import Session

from mailer.db import suspicions
from mailer.db.suspicions import Tally
from mailer.services.house import House


@dataclass(frozen=True, kw_only=True)
class Finding:
    """An invariant that is broken. `key` is KIND:WHICH; `words` say what is wrong and what to do."""

    key: str
    words: str


@dataclass(frozen=True)
class Look:
    """One look at the house: a session that only reads, and what several checks ask for."""

    session: Session
    house: House
    now: datetime
    also: frozenset[int]  # mailings with an incident still open, however long they are over

    @cached_property
    def mailings(self) -> list[int]:
        return suspicions.watched(self.session, self.now, self.also)

    @cached_property
    def tallies(self) -> list[Tally]:
        return suspicions.tallies(self.session, self.mailings)

    @cached_property
    def untimely(self) -> dict[int, tuple[int, int]]:
        return suspicions.untimely(self.session, self.mailings, self.now, self.also)

    def key_of(self, mailing_id: int) -> str:
        """The mailing's key, by which commands know it."""
        return next((one.key for one in self.tallies if one.mailing_id == mailing_id), f"number {mailing_id}")
