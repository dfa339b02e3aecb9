"""What the public may read: published statements and announced symposia, as plain values for the pages.

Drafts and statements under embargo do not exist here: their address is the same "not found"
as any other. Nothing about a person is read, and nothing is changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session, selectinload

from mailer.db.embargoes import Embargo, is_public
from mailer.db.programme import Statement, StatementText, Symposium, SymposiumDate
from mailer.services.programme.dates import is_over
from mailer.services.programme.notes import Changes, Note, changes_of, notes
from mailer.services.sending.gate import OPEN_BY_NOW, EmbargoGate
from mailer.services.sending.invitation import has_day, is_online
from mailer.vocabulary import EndSource, Precision, StatementState, SymposiumState, TextState

PAGE = 30  # statements on one page of the archive
FAR = date.max
# A draft that was called off was never announced, and is not.
IS_PUBLIC = or_(
    Symposium.state == SymposiumState.ANNOUNCED,
    (Symposium.state == SymposiumState.CANCELLED) & Symposium.dates.any(SymposiumDate.announced),
)


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """A statement in a list, in the language that could be had. `languages` are all it can be read in."""

    slug: str
    title: str
    language: str
    languages: tuple[str, ...]
    dated: date
    published_at: datetime
    updated_at: datetime  # when it was last corrected or retracted, else published
    retracted: bool = False


@dataclass(frozen=True, kw_only=True)
class StatementPage(StatementLine):
    """A whole statement; `body` is Markdown, and empty after a retraction. `notes`: the newest first."""

    body: str
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SymposiumPage:
    """A symposium as announced. Wall time and zone are the truth; `starts_at` is their UTC instant."""

    slug: str
    title: str
    language: str
    cancelled: bool
    precision: Precision
    day: date | None
    wall_time: time | None
    zone: str
    starts_at: datetime | None
    ends_at: datetime | None
    end_assumed: bool
    moved_from: tuple["EarlierDate", ...]
    minutes: int
    place: str | None
    online: bool | None
    afar: bool  # one takes part from afar; also where nobody said so, but there is a room and no place
    speakers: tuple[str, ...]
    languages: tuple[str, ...]
    register_url: str | None
    series: str | None
    series_key: str | None
    series_text: str
    has_calendar: bool
    over: bool
    under_way: bool  # its hour is known, and has come

    @property
    def announced_end(self) -> datetime | None:
        """Its end, where it is no estimate of ours."""
        return None if self.end_assumed else self.ends_at

    @property
    def postponed(self) -> bool:
        """A day was announced, and it holds no longer, and no other is known."""
        return not self.cancelled and not self.has_calendar and any(one.has_day for one in self.moved_from)


@dataclass(frozen=True, kw_only=True)
class EarlierDate:
    """A date that was announced before and holds no longer."""

    precision: Precision
    day: date | None
    wall_time: time | None
    zone: str
    starts_at: datetime | None

    @property
    def has_day(self) -> bool:
        return self.precision in {Precision.DATETIME, Precision.DATE} and self.day is not None


@dataclass(frozen=True, kw_only=True)
class Programme:
    """Every public symposium: what is to come, the nearest first, and what is over, the latest first."""

    upcoming: tuple[SymposiumPage, ...]
    past: tuple[SymposiumPage, ...]


def statements(
    session: Session,
    language: str,
    now: datetime,
    *,
    page: int = 1,
    limit: int = PAGE,
    gate: EmbargoGate = OPEN_BY_NOW,
) -> list[StatementLine]:
    """Published statements and those whose embargo is over, the newest first.

    Their titles are in the language where there are such.
    """
    rows = session.scalars(
        _public(session, now, gate)
        .order_by(Statement.dated.desc(), Statement.id.desc())
        .limit(limit)
        .offset((page - 1) * limit)
        .options(selectinload(Statement.texts))
    ).all()
    changed = changes_of(session, [one.id for one in rows])
    return [_line(session, one, language, changed) for one in rows if _current(one)]


def pages_of_statements(session: Session, now: datetime, gate: EmbargoGate = OPEN_BY_NOW) -> int:
    """How many pages the archive has; at least one."""
    count = session.scalar(select(func.count()).select_from(_public(session, now, gate).subquery())) or 0
    return max(1, -(-count // PAGE))


def statement(
    session: Session,
    slug: str,
    language: str,
    now: datetime,
    *,
    zone: str = "UTC",
    gate: EmbargoGate = OPEN_BY_NOW,
) -> StatementPage | None:
    """One public statement in the language, else in its own; None for a draft, one under embargo or an
    unknown one: there is no telling which. `zone` says on which day it was corrected."""
    found = session.scalars(_public(session, now, gate).where(Statement.slug == slug)).one_or_none()
    if found is None or not _current(found):
        return None
    line = _line(session, found, language, changes_of(session, [found.id]))
    body = "" if line.retracted else _text(found, language).body
    return StatementPage(**vars(line), body=body, notes=notes(session, found, line.language, zone=zone))


def _public(session: Session, now: datetime, gate: EmbargoGate) -> Select[Statement]:
    return select(Statement).where(is_public(gate.opened(session, now)))


def _published_at(session: Session, found: Statement) -> datetime:
    """When it became public: for one whose embargo is just over, its moment."""
    if found.published_at is not None:
        return found.published_at
    embargo = session.get(Embargo, found.id)
    return embargo.opens_at if embargo else found.created_at


def _line(session: Session, found: Statement, language: str, changed: Changes) -> StatementLine:
    text = _text(found, language)
    published_at = _published_at(session, found)
    return StatementLine(
        slug=found.slug,
        title=text.title,
        language=text.language,
        languages=tuple(sorted({one.language for one in _current(found)})),
        dated=found.dated,
        published_at=published_at,
        updated_at=changed.of(found.id, text.language) or published_at,
        retracted=found.state is StatementState.RETRACTED,
    )


def _current(found: Statement) -> list[StatementText]:
    """The texts that hold now. What a correction left behind, or is not ready, is shown to nobody."""
    return [text for text in found.texts if text.version == found.version and text.state is TextState.READY]


def _text(found: Statement, language: str) -> StatementText:
    """The text in the language, else in the statement's own, else any."""
    current = _current(found)
    for wanted in (language, found.language):
        for text in current:
            if text.language == wanted:
                return text
    return current[0]


def programme(session: Session, now: datetime) -> Programme:
    """Every announced or called-off symposium as it stands."""
    pages = [page_of(one, now) for one in public_symposia(session)]
    upcoming = sorted((page for page in pages if not page.over), key=_order)
    past = sorted((page for page in pages if page.over), key=_order, reverse=True)
    return Programme(upcoming=tuple(upcoming), past=tuple(past))


def symposium(session: Session, slug: str, now: datetime) -> SymposiumPage | None:
    """One public symposium; None for a draft or an unknown one."""
    found = find_public(session, slug)
    return None if found is None else page_of(found, now)


def find_public(session: Session, slug: str) -> Symposium | None:
    """The row of one public symposium, for rooms of services."""
    wanted = select(Symposium).where(Symposium.slug == slug, IS_PUBLIC)
    return session.scalars(wanted).one_or_none()


def public_symposia(session: Session) -> Iterable[Symposium]:
    """The rows of every public symposium, with their series and dates."""
    return session.scalars(
        select(Symposium)
        .where(IS_PUBLIC)
        .options(selectinload(Symposium.dates), selectinload(Symposium.series))
    )


def page_of(found: Symposium, now: datetime) -> SymposiumPage:
    """What the pages may show of a symposium; whether it is public is the caller's question."""
    ends_at = found.starts_at + timedelta(minutes=found.minutes) if found.starts_at else None
    return SymposiumPage(
        slug=found.slug,
        title=found.title,
        language=found.language,
        cancelled=found.state is SymposiumState.CANCELLED,
        precision=found.precision,
        day=found.day,
        wall_time=found.wall_time,
        zone=found.zone or "UTC",
        starts_at=found.starts_at,
        ends_at=ends_at,
        end_assumed=found.end_source is EndSource.ASSUMED,
        moved_from=_earlier(found),
        minutes=found.minutes,
        place=found.place,
        online=found.online,
        afar=is_online(found),
        speakers=tuple(found.speakers),
        languages=tuple(found.languages),
        register_url=found.register_url,
        series=found.series.name if found.series else None,
        series_key=found.series.key if found.series else None,
        series_text=found.series.text if found.series else "",
        has_calendar=has_day(found),
        over=is_over(found, now),
        under_way=found.starts_at is not None and found.starts_at <= now and not is_over(found, now),
    )


def _earlier(found: Symposium) -> tuple[EarlierDate, ...]:
    return tuple(_date(one) for one in found.dates if one.announced and one.generation != found.generation)


def _date(one: SymposiumDate) -> EarlierDate:
    return EarlierDate(
        precision=one.precision,
        day=one.day,
        wall_time=one.wall_time,
        zone=one.zone or "UTC",
        starts_at=one.starts_at,
    )


def _order(page: SymposiumPage) -> tuple[date, int, str, str]:
    """By day; what is known by month or year only comes after the days of that month or year."""
    rough = [Precision.DATETIME, Precision.DATE, Precision.MONTH, Precision.YEAR, Precision.NONE]
    day = page.day or FAR
    if page.precision is Precision.MONTH:
        day = (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    elif page.precision is Precision.YEAR:
        day = day.replace(month=12, day=31)
    return day, rough.index(page.precision), str(page.starts_at or ""), page.slug
