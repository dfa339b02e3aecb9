"""The dates of a symposium: setting one, and the generations by which mailings tell them apart."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from mailer.db.programme import Symposium, SymposiumDate
from mailer.messages import when
from mailer.vocabulary import Precision, SymposiumState


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When a symposium is, as exactly as it is known: wall time and zone are the truth."""

    precision: Precision
    day: date | None = None
    wall_time: time | None = None
    zone: str | None = None
    later: bool = False  # the second of a time that comes twice on its day

    @property
    def starts_at(self) -> datetime | None:
        """The UTC instant, for a date with an hour and a zone; else None."""
        if self.precision is not Precision.DATETIME:
            return None
        if self.day is None or self.wall_time is None or self.zone is None:
            return None
        return when.instant(self.day, self.wall_time, self.zone, fold_later=self.later)


def moment_of(symposium: Symposium) -> Moment:
    return Moment(
        precision=symposium.precision,
        day=symposium.day,
        wall_time=symposium.wall_time,
        zone=symposium.zone,
        later=symposium.later,
    )


def is_day_over(symposium: Symposium, now: datetime) -> bool:
    """True when the day, or the month or year of which no more is known, is past where the symposium is."""
    if symposium.day is None:
        return False
    today = now.astimezone(ZoneInfo(symposium.zone or "UTC")).date()
    if symposium.precision is Precision.YEAR:
        return symposium.day.year < today.year
    if symposium.precision is Precision.MONTH:
        return (symposium.day.year, symposium.day.month) < (today.year, today.month)
    return symposium.day < today


def is_over(symposium: Symposium, now: datetime) -> bool:
    """True once its end is past, as announced or as assumed; of one without an hour, once its day is."""
    if symposium.starts_at is None:
        return is_day_over(symposium, now)
    return symposium.starts_at + timedelta(minutes=symposium.minutes) <= now


def set_moment(session: Session, symposium: Symposium, moment: Moment, now: datetime) -> bool:
    """Give a symposium this date; True when it is another than before.

    A date it never had takes a new generation, a return to an earlier one its old number.
    """
    known = session.scalars(
        select(SymposiumDate)
        .where(SymposiumDate.symposium_id == symposium.id)
        .order_by(SymposiumDate.generation)
    ).all()
    same = next((one for one in known if _is(one, moment)), None)
    if same is not None and same.generation == symposium.generation:
        symposium.tzdata = when.tzdata_version()
        return False
    symposium.precision, symposium.day = moment.precision, moment.day
    symposium.wall_time, symposium.zone = moment.wall_time, moment.zone
    symposium.later = moment.later
    symposium.starts_at, symposium.tzdata = moment.starts_at, when.tzdata_version()
    symposium.changed_at = now
    symposium.generation = same.generation if same else len(known) + 1
    if same is None:
        same = SymposiumDate(
            symposium_id=symposium.id,
            generation=symposium.generation,
            precision=moment.precision,
            day=moment.day,
            wall_time=moment.wall_time,
            zone=moment.zone,
            starts_at=moment.starts_at,
            announced=False,
        )
        session.add(same)
    same.announced = same.announced or symposium.state is SymposiumState.ANNOUNCED
    session.flush()
    return bool(known)


def mark_announced(session: Session, symposium: Symposium) -> None:
    """The public is told of its date as it stands: it is one that pages may call an earlier date."""
    session.execute(
        update(SymposiumDate)
        .where(SymposiumDate.symposium_id == symposium.id, SymposiumDate.generation == symposium.generation)
        .values(announced=True)
    )


def _is(known: SymposiumDate, moment: Moment) -> bool:
    # The instant too: another time zone database can move it while the wall time stays.
    return (known.precision, known.day, known.wall_time, known.zone, known.starts_at) == (
        moment.precision,
        moment.day,
        moment.wall_time,
        moment.zone,
        moment.starts_at,
    )
