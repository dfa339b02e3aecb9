"""Drafts written down: a statement or a symposium that a person still has to publish or announce."""

import re
import unicodedata
from datetime import date, datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Series, Statement, StatementText, Symposium
from mailer.ingest.draft import StatementDraft, SymposiumDraft
from mailer.services.programme.dates import Moment, set_moment
from mailer.vocabulary import EndSource, Precision, StatementState

LONGEST_SLUG = 80
ASSUMED_MINUTES = 60  # of a symposium whose source gives no end


def add_statement(session: Session, draft: StatementDraft, now: datetime) -> Statement:
    """Keep a statement as a draft, with its text as the first version. Mails nobody."""
    statement = Statement(
        key=draft.key,
        slug=_free_slug(session, Statement, draft.title),
        state=StatementState.DRAFT,
        language=draft.language,
        dated=draft.published_on,
        url=draft.url,
        created_at=now,
    )
    session.add(statement)
    session.flush()
    session.add(
        StatementText(
            statement_id=statement.id,
            language=draft.language,
            version=1,
            title=draft.title,
            body=draft.body,
            created_at=now,
        )
    )
    session.flush()
    return statement


def add_symposium(
    session: Session, draft: SymposiumDraft, now: datetime, *, moment: Moment | None = None
) -> Symposium:
    """Keep a symposium as a draft, with its date as the first generation. Mails nobody.

    `moment` says the date where a draft cannot: a year alone, the second of an hour that comes twice.
    """
    symposium = Symposium(
        key=draft.key,
        slug=_free_slug(session, Symposium, draft.title),
        series_id=_series(session, draft),
        title=draft.title,
        precision=Precision.NONE,
        minutes=draft.minutes or ASSUMED_MINUTES,
        end_source=EndSource.ANNOUNCED if draft.minutes else EndSource.ASSUMED,
        place=draft.place,
        online=draft.online,
        register_url=draft.register_url,
        sources={name: source.value for name, source in draft.sources.items()},
        raw=draft.raw,
        questions=list(draft.needs_confirmation),
        generation=0,  # the first date makes it 1
        changed_at=now,
        created_at=now,
    )
    session.add(symposium)
    session.flush()
    set_moment(session, symposium, moment or moment_of_draft(draft), now)
    return symposium


def free_key(session: Session, wanted: str) -> str:
    """The wanted key, or one beside it where another symposium had it, in another year or on another day.

    To be asked for before known symposia are looked through: of two that bring the same at once, one fails.
    """
    theirs = select(Symposium.key).where(Symposium.key.startswith(wanted, autoescape=True))
    return free_among(set(session.scalars(theirs)), wanted)


def free_among(taken: set[str], wanted: str) -> str:
    """The wanted key, or the first beside it that is not taken."""
    key, number = wanted, 1
    while key in taken:
        number += 1
        key = f"{wanted}#{number}"
    return key


def moment_of_draft(draft: SymposiumDraft) -> Moment:
    """The draft's date, a month standing as its first day."""
    day = draft.day or (date(draft.month[0], draft.month[1], 1) if draft.month else None)
    return Moment(precision=draft.precision, day=day, wall_time=draft.time, zone=draft.zone)


def _series(session: Session, draft: SymposiumDraft) -> int | None:
    if not draft.series:
        return None
    key = _slug(draft.series)
    found = session.scalars(select(Series).where(Series.key == key)).one_or_none()
    if found is None:
        found = Series(key=key, name=draft.series, text=draft.series_text or "")
        session.add(found)
        session.flush()
    return found.id


def _free_slug(session: Session, table: type[Statement] | type[Symposium], title: str) -> str:
    wanted, number = _slug(title), 1
    slug = wanted
    while session.scalar(select(table.id).where(table.slug == slug)) is not None:
        number += 1
        slug = f"{wanted}-{number}"
    return slug


def _slug(title: str) -> str:
    """A short ASCII name for addresses; a title without Latin letters gets its own letters' code."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_SLUG].rstrip("-")
    return words or f"t-{sha256(title.encode()).hexdigest()[:10]}"
