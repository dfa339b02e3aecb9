"""Opening: whether people can register for a symposium by its page just now, and if not, why."""

from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from mailer.db.programme import Symposium
from mailer.services.programme import places
from mailer.services.programme.dates import is_over
from mailer.services.programme.public import EarlierDate
from mailer.services.registration.questions import Question, read_questions
from mailer.vocabulary import Precision, SymposiumState


class Opening(StrEnum):
    """Where registration by the page stands."""

    OPEN = "open"
    WAITING = "waiting"  # open, but all places are taken: who comes now waits
    FULL = "full"
    NOT_YET = "not_yet"
    CLOSED = "closed"
    OVER = "over"
    CALLED_OFF = "called_off"
    ELSEWHERE = "elsewhere"  # at another site, whose address the symposium has


TAKEN_IN = frozenset({Opening.OPEN, Opening.WAITING})


@dataclass(frozen=True, kw_only=True)
class Offer:
    """What a symposium's page says about registering. `opens` and `closes` are said in the window's zone."""

    opening: Opening
    capacity: int | None
    free: int | None
    opens: EarlierDate | None
    closes: EarlierDate | None
    asks_access: bool
    questions: tuple[Question, ...]

    @property
    def open(self) -> bool:
        return self.opening in TAKEN_IN


def offer_of(session: Session, symposium: Symposium, now: datetime) -> Offer:
    """What can be had just now. Only the registration itself, under its lock, decides."""
    free = places.free(session, symposium)
    return Offer(
        opening=_opening(symposium, free, now),
        capacity=symposium.capacity,
        free=free,
        opens=_moment(symposium, symposium.registration_opens_at),
        closes=_moment(symposium, symposium.registration_closes_at),
        asks_access=symposium.asks_access,
        questions=read_questions(symposium.form_fields),
    )


def is_open(session: Session, symposium: Symposium, now: datetime) -> bool:
    """True when the form takes people in, if only onto the waiting list."""
    return opening_of(session, symposium, now) in TAKEN_IN


def opening_of(session: Session, symposium: Symposium, now: datetime) -> Opening:
    """Where registration by the page stands."""
    return _opening(symposium, places.free(session, symposium), now)


def _opening(symposium: Symposium, free: int | None, now: datetime) -> Opening:
    if symposium.state is not SymposiumState.ANNOUNCED:
        return Opening.CALLED_OFF
    if is_over(symposium, now):
        return Opening.OVER
    if symposium.register_url:
        return Opening.ELSEWHERE
    if symposium.registration_opens_at is not None and now < symposium.registration_opens_at:
        return Opening.NOT_YET
    if symposium.registration_closes_at is not None and now >= symposium.registration_closes_at:
        return Opening.CLOSED
    if free == 0:
        return Opening.WAITING if places.may_wait(symposium, now) else Opening.FULL
    return Opening.OPEN


def _moment(symposium: Symposium, instant: datetime | None) -> EarlierDate | None:
    if instant is None:
        return None
    zone = str(symposium.registration_window.get("zone") or symposium.zone or "UTC")
    wall = instant.astimezone(ZoneInfo(zone))
    return EarlierDate(
        precision=Precision.DATETIME,
        day=wall.date(),
        wall_time=time(wall.hour, wall.minute),
        zone=zone,
        starts_at=instant,
    )
