"""Staff enter a statement or a symposium by hand: a draft whose every fact is a person's own word."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Statement, Symposium
from mailer.ingest.draft import STATEMENT_FIELDS, StatementDraft, SymposiumDraft
from mailer.ingest.likely import NewStatement, PerhapsSame, SameStatement, match_statement
from mailer.ingest.programme import symposium_key
from mailer.ingest.statement import TITLE_LETTERS, canonical_url, statement_key
from mailer.ingest.text import plain_title
from mailer.messages.when import WallTime, wall_time
from mailer.services import audit
from mailer.services.programme.dates import Moment, moment_of
from mailer.services.programme.drafts import add_statement, add_symposium, free_key
from mailer.services.programme.ingesting import known_programme
from mailer.services.programme.translations import check_language, check_text
from mailer.visible import one_line
from mailer.vocabulary import FieldSource, Medium, Precision

LONGEST_MINUTES = 7 * 24 * 60


class EntryRefusal(Exception):
    """What was entered cannot be kept so; the message says what to write instead."""


class AlreadyThere(EntryRefusal):
    """It is there. `id` is its number; `same` says that nothing in it differs, so nothing is lost."""

    def __init__(self, message: str, *, id: int, same: bool) -> None:
        super().__init__(message)
        self.id, self.same = id, same


@dataclass(frozen=True, kw_only=True)
class StatementEntry:
    """A statement as a person writes it down; `body` is Markdown."""

    title: str
    body: str
    dated: date
    language: str = "en"
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class SymposiumEntry:
    """A symposium as a person writes it down. `minutes` is None when no end is known."""

    title: str
    moment: Moment
    minutes: int | None = None
    place: str | None = None
    register_url: str | None = None
    series: str | None = None


def enter_statement(
    session: Session, entry: StatementEntry, *, actor: str, now: datetime, anyway: bool = False
) -> Statement:
    """Keep a statement as a draft. Raises EntryRefusal for one that is there already, unless `anyway`.

    Raises StatementRefusal or MarkerInText for a text that no mail could carry.
    """
    title, body = _title(entry.title), entry.body.strip()
    check_language(entry.language)
    check_text(title, body, entry.language)
    url = canonical_url(_web(entry.url)) if entry.url else None
    draft = StatementDraft(
        key=statement_key(title, body, url),
        title=title,
        published_on=entry.dated,
        body=body,
        language=entry.language,
        url=url,
        sources=dict.fromkeys(STATEMENT_FIELDS, FieldSource.STAFF),
        raw="",
        medium=Medium.STAFF,
    )
    verdict = match_statement(draft, known_programme(session).statements)
    if isinstance(verdict, PerhapsSame) and not anyway:
        why = f"Perhaps it is there already. {verdict.why} If it is another: --anyway"
        raise AlreadyThere(why, id=verdict.known.id, same=False)
    if not isinstance(verdict, NewStatement | PerhapsSame):
        same = isinstance(verdict, SameStatement)
        raise AlreadyThere("It is there already: see mailer statement list.", id=verdict.known.id, same=same)
    statement = add_statement(session, draft, now)
    _record(session, f"statement:{statement.id}", actor, now)
    return statement


def enter_symposium(
    session: Session, entry: SymposiumEntry, *, actor: str, now: datetime, anyway: bool = False
) -> Symposium:
    """Keep a symposium as a draft. Raises EntryRefusal for a title of that date, or an hour that is none."""
    title, moment = _title(entry.title), entry.moment
    _check_hour(moment)
    if entry.minutes is not None and not 0 < entry.minutes <= LONGEST_MINUTES:
        raise EntryRefusal(
            f"It lasts from 1 to {LONGEST_MINUTES:,} minutes. Leave it out if no end is known."
        )
    month = (moment.day.year, moment.day.month) if moment.day else None
    key = free_key(session, symposium_key(title, month))
    if not anyway:
        _refuse_twin(session, title, moment)
    fields = ("title", "day", "month", "year", "time", "zone", "minutes", "place")
    draft = SymposiumDraft(
        key=key,
        title=title,
        series=one_line(entry.series)[:120] if entry.series else None,
        series_text=None,
        precision=moment.precision,
        day=moment.day,  # for a month or a year its first day
        month=month,
        time=moment.wall_time,
        zone=moment.zone,
        sources=dict.fromkeys(fields, FieldSource.STAFF),
        raw="",
        line=0,
        register_url=_web(entry.register_url) if entry.register_url else None,
        minutes=entry.minutes,
        place=one_line(entry.place)[:300] if entry.place else None,
        medium=Medium.STAFF,
    )
    symposium = add_symposium(session, draft, now)
    _record(session, f"symposium:{symposium.id}", actor, now)
    return symposium


def _title(text: str) -> str:
    title = one_line(text)
    if not 0 < len(title) <= TITLE_LETTERS:
        raise EntryRefusal(f"A title has 1 to {TITLE_LETTERS} letters. Write it with --title.")
    return title


def _web(url: str) -> str:
    if not url.startswith(("https://", "http://")) or len(url) > 2_000 or not url.isprintable() or " " in url:
        raise EntryRefusal("The web address should look like https://example.org/page.")
    return url


def _check_hour(moment: Moment) -> None:
    if moment.precision is not Precision.DATETIME:
        return
    if moment.day is None or moment.wall_time is None or moment.zone is None:
        raise EntryRefusal("An hour needs a day and a time zone.")
    happens = wall_time(moment.day, moment.wall_time, moment.zone)
    if happens is not WallTime.ONCE:
        what = "does not exist" if happens is WallTime.SKIPPED else "happens twice"
        raise EntryRefusal(
            f"{moment.wall_time:%H:%M} on {moment.day} {what} in {moment.zone}: the clocks change. "
            "Choose another time."
        )


def _refuse_twin(session: Session, title: str, moment: Moment) -> None:
    same_day = select(Symposium).where(Symposium.day == moment.day)
    for one in session.scalars(same_day):
        if plain_title(one.title) == plain_title(title):
            why = (
                f"A symposium of this title and date is there already: {one.slug}. If it is another: --anyway"
            )
            raise AlreadyThere(why, id=one.id, same=moment_of(one) == moment)


def _record(session: Session, subject: str, actor: str, now: datetime) -> None:
    audit.record(session, actor=actor, action="draft-entered", subject=subject, now=now)
