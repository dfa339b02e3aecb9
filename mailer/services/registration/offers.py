"""Offers: what one registration form is about, a single symposium or the dates of a series."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from mailer.db.programme import Series, Symposium
from mailer.services.programme import public
from mailer.services.programme.public import IS_PUBLIC, SymposiumPage
from mailer.services.registration.opening import Offer, offer_of
from mailer.services.registration.questions import Question


@dataclass(frozen=True, kw_only=True)
class Date:
    """One symposium of a form. `id` is for the service; the page names it by its slug."""

    id: int
    page: SymposiumPage
    offer: Offer


@dataclass(frozen=True, kw_only=True)
class Board:
    """What stands over a form: the dates, and the series they belong to, if the form is for one."""

    dates: tuple[Date, ...]
    series: str | None = None
    series_key: str | None = None
    text: str = ""

    @property
    def open_dates(self) -> tuple[Date, ...]:
        """Those that take registrations just now."""
        return tuple(one for one in self.dates if one.offer.open)

    @property
    def asks_access(self) -> bool:
        return any(one.offer.asks_access for one in self.open_dates)

    @property
    def questions(self) -> tuple[Question, ...]:
        """Every question of the open dates once: what has the same key is the same question."""
        found: dict[str, Question] = {}
        for one in self.open_dates:
            for question in one.offer.questions:
                found.setdefault(question.key, question)
        return tuple(found.values())


def of_symposium(session: Session, slug: str, now: datetime) -> Board | None:
    """The form of one public symposium; None for a draft or an unknown one."""
    wanted = select(Symposium).where(Symposium.slug == slug, IS_PUBLIC)
    found = session.scalars(wanted.options(selectinload(Symposium.dates))).unique().one_or_none()
    return None if found is None else Board(dates=(_date(session, found, now),))


def of_series(session: Session, key: str, now: datetime) -> Board | None:
    """The form of a series, its dates in order; None while none of them is public."""
    series = session.scalars(select(Series).where(Series.key == key)).one_or_none()
    if series is None:
        return None
    wanted = select(Symposium).where(Symposium.series_id == series.id, IS_PUBLIC)
    found = session.scalars(wanted.options(selectinload(Symposium.dates))).unique().all()
    dates = sorted((_date(session, one, now) for one in found), key=_order)
    if not dates:
        return None
    return Board(dates=tuple(dates), series=series.name, series_key=series.key, text=series.text)


def _date(session: Session, found: Symposium, now: datetime) -> Date:
    return Date(id=found.id, page=public.page_of(found, now), offer=offer_of(session, found, now))


def _order(one: Date) -> tuple[date, str]:
    return one.page.day or date.max, one.page.slug
