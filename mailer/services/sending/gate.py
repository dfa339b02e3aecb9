"""The gate of embargoes: which are over, and by whose clock. Mails, pages and feeds open by it alone.

`now` says that something is due; that an embargo is over says the database's clock, read
in the claim or for the page itself. On a machine whose clock is off nothing opens: no
worker there takes such a row, no page shows it, and the worker says so in an incident.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlalchemy.orm import Session

from mailer.db import embargoes
from mailer.services.incidents import close_incident, raise_incident
from mailer.services.sending.embargo_fitness import why_hold

LARGEST_DRIFT = 0.5  # seconds between a worker's clock and the database's

Due = tuple[int, int, bool]  # rank, mailing, under an embargo


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One look at the clocks: the database's moment (None where it has no clock of its own), and how many
    seconds this machine's clock is ahead of it, or of what else is known to be right.

    `database_ahead`: by how much the database's own clock is. `unanswered`: the time server is silent.
    """

    moment: datetime | None
    ahead: float
    database_ahead: float = 0.0
    unanswered: bool = False

    @property
    def is_off(self) -> bool:
        """True when the clocks cannot be trusted with an embargo."""
        return max(abs(self.ahead), abs(self.database_ahead)) > LARGEST_DRIFT

    @property
    def is_worth_a_word(self) -> bool:
        return self.is_off or self.unanswered


class Gate(Protocol):
    """Decides which of the due mailings a claim may look into."""

    def passing(self, session: Session, due: Sequence[Due], now: datetime) -> list[Due]:
        """Those without an embargo, and those whose embargo is over."""


@dataclass(frozen=True)
class EmbargoGate:
    """The gate of one worker on one machine; `read` looks at the clocks when something is under embargo."""

    machine: str
    read: Callable[[Session], Reading]

    def passing(self, session: Session, due: Sequence[Due], now: datetime) -> list[Due]:
        under = [mailing for _, mailing, embargoed in due if embargoed]
        if not under:
            return list(due)
        reading = self.read(session)
        admitted: frozenset[int] = frozenset()
        if self.trusts(session, reading, now):
            admitted = _admitted(session, under, min(now, reading.moment or now))
        return [one for one in due if not one[2] or one[1] in admitted]

    def opened(self, session: Session, now: datetime) -> frozenset[int]:
        """The statements whose embargo is over although no sweep has written it down yet.

        For whoever shows or publishes them; asks nothing more where nothing is due. Writes nothing.
        """
        due = embargoes.due(session, now)
        if not due:
            return frozenset()
        reading = self.read(session)
        if reading.is_off:
            return frozenset()
        moment = min(now, reading.moment or now)
        return frozenset(
            statement.id
            for statement, embargo in due
            if embargo.opens_at <= moment and why_hold(session, statement, embargo) is None
        )

    def trusts(self, session: Session, reading: Reading, now: datetime) -> bool:
        """False for a clock that is off, told in an incident that is closed when it is right again."""
        key, silent = f"embargo-clock:{self.machine}", f"embargo-time-server:{self.machine}"
        if reading.unanswered:
            raise_incident(session, silent, _SILENT, now)
        else:
            close_incident(session, silent, now)
        if not reading.is_off:
            close_incident(session, key, now)
            return True
        raise_incident(session, key, _words(self.machine, reading), now)
        return False


@dataclass(frozen=True)
class _AsIf:
    """A gate as it will be at a moment to come, for a claim that is undone."""

    moment: datetime

    def passing(self, session: Session, due: Sequence[Due], now: datetime) -> list[Due]:
        under = [mailing for _, mailing, embargoed in due if embargoed]
        admitted = _admitted(session, under, self.moment) if under else frozenset()
        return [one for one in due if not one[2] or one[1] in admitted]


def as_if(moment: datetime) -> Gate:
    """The gate as it will be at that moment; for rehearsals alone."""
    return _AsIf(moment)


OPEN_BY_NOW = EmbargoGate("", lambda _: Reading(moment=None, ahead=0.0))


def _admitted(session: Session, mailings: Sequence[int], moment: datetime) -> frozenset[int]:
    found = embargoes.over_at(session, mailings, moment)
    return frozenset(
        mailing for mailing, statement, embargo in found if why_hold(session, statement, embargo) is None
    )


_SILENT = (
    "The time server that MAILER_NTP_SERVER names has not answered. Embargoes open without it: by the "
    "database's clock, or with SQLite by this machine's. Look whether UDP port 123 is open towards it."
)


def _words(machine: str, reading: Reading) -> str:
    if abs(reading.database_ahead) > LARGEST_DRIFT:
        direction = "ahead of" if reading.database_ahead > 0 else "behind"
        return (
            f"The database's clock is {abs(reading.database_ahead):.1f} seconds {direction} the right time, "
            f"as {machine} sees it. Nothing that was under an embargo opens there until it is right. Look at "
            f"the time service of the database's machine (timedatectl, chronyc tracking). Where none tells "
            f"the time, restart the workers once the clock is right."
        )
    ahead = reading.ahead
    direction = "ahead of" if ahead > 0 else "behind"
    return (
        f"The clock of {machine} is {abs(ahead):.1f} seconds {direction} the right time. Its workers take no "
        f"mail that was under an embargo until the clock is right; workers on other machines do. Look at "
        f"its time service (timedatectl, chronyc tracking), then nothing else is to be done."
    )
