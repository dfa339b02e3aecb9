"""Ingesting: what a page gives is held against what is known, shown to a person, and stored as drafts.

Nothing read from outside mails anybody. The same page twice changes nothing; a
changed line is a proposal and never a second event; what staff settled is never
overwritten; a line that is gone cancels nothing.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.dialect import insert
from mailer.db.programme import Proposal, Series, Statement, StatementText, Symposium
from mailer.ingest.draft import PageDraft, StatementDraft, SymposiumDraft
from mailer.ingest.likely import (
    EditedStatement,
    KnownStatement,
    NewStatement,
    PerhapsSame,
    SameStatement,
    StatementVerdict,
    match_statement,
)
from mailer.ingest.match import Change, Known, New, Retitle, Same, Suspicious, Verdict, review_page
from mailer.services import audit
from mailer.services.programme.dates import Moment, set_moment
from mailer.vocabulary import FieldSource, Precision, ProposalState, StatementState

LONGEST_SLUG = 80


class Fate(StrEnum):
    """What storing a draft would do."""

    NEW = "new"
    SAME = "unchanged"
    CHANGE = "proposed change"
    HELD = "held"


@dataclass(frozen=True, kw_only=True)
class Programme:
    """What is known already; empty where there is no house yet."""

    statements: tuple[KnownStatement, ...] = ()
    symposia: tuple[Known, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One draft, what becomes of it, and the words that explain it. `changes`: field -> (known, read)."""

    draft: StatementDraft | SymposiumDraft
    verdict: Verdict | StatementVerdict
    fate: Fate
    changes: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Review:
    """All drafts of one page in reading order, before anything is stored."""

    page: PageDraft
    findings: tuple[Finding, ...]
    vanished: tuple[str, ...]
    suspect: str | None

    @property
    def obstacles(self) -> tuple[str, ...]:
        """What a person must answer or mend before anything of this page is stored."""
        asked = " ".join(self.page.questions)
        held = [one.why for one in self.findings if one.fate is Fate.HELD and one.why not in asked]
        suspect = [self.suspect] if self.suspect else []
        return (*self.page.questions, *held, *suspect)


class PageHeld(Exception):
    """The page cannot be stored as it is; nothing of it was. The message holds the questions."""


def known_programme(session: Session) -> Programme:
    """The statements and symposia that a page is held against."""
    return Programme(
        statements=tuple(_known_statement(one) for one in session.scalars(select(Statement))),
        symposia=tuple(_known(one) for one in session.scalars(select(Symposium))),
    )


def _known_statement(statement: Statement) -> KnownStatement:
    text = next(
        one
        for one in statement.texts
        if (one.language, one.version) == (statement.language, statement.version)
    )
    return KnownStatement(
        id=statement.id,
        key=statement.key,
        title=text.title,
        published_on=statement.dated,
        body=text.body,
        url=statement.url,
    )


def _known(symposium: Symposium) -> Known:
    exact = symposium.precision in {Precision.DATETIME, Precision.DATE}
    return Known(
        id=symposium.id,
        key=symposium.key,
        title=symposium.title,
        precision=symposium.precision,
        day=symposium.day if exact else None,
        month=(symposium.day.year, symposium.day.month) if symposium.day else None,
        time=symposium.wall_time,
        zone=symposium.zone,
        sources={name: FieldSource(source) for name, source in symposium.sources.items()},
        raw=symposium.raw,
    )


def review(page: PageDraft, known: Programme, *, today: date) -> Review:
    """Hold a page's drafts against what is known. Stores nothing."""
    programme = review_page(page.symposia, known.symposia, today=today)
    statements = [_of_statement(draft, match_statement(draft, known.statements)) for draft in page.statements]
    symposia = [_of_symposium(draft, verdict) for draft, verdict in programme.findings]
    return Review(
        page=page,
        findings=(*statements, *symposia),
        vanished=tuple(one.title for one in programme.vanished),
        suspect=programme.suspect,
    )


def _of_statement(draft: StatementDraft, verdict: StatementVerdict) -> Finding:
    match verdict:
        case SameStatement():
            return Finding(draft=draft, verdict=verdict, fate=Fate.SAME)
        case EditedStatement(known=known):
            return Finding(draft=draft, verdict=verdict, fate=Fate.CHANGE, changes=_edits(draft, known))
        case PerhapsSame(known=known, why=why):
            # Almost the same text is an edit to look at, never a second alert.
            changes = _edits(draft, known)
            return Finding(draft=draft, verdict=verdict, fate=Fate.CHANGE, changes=changes, why=why)
        case NewStatement():
            return Finding(draft=draft, verdict=verdict, fate=Fate.NEW)


def _edits(draft: StatementDraft, known: KnownStatement) -> dict[str, tuple[str | None, str | None]]:
    pairs = {
        "title": (known.title, draft.title),
        "published_on": (known.published_on.isoformat(), draft.published_on.isoformat()),
        "body": (known.body, draft.body),
    }
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


def _of_symposium(draft: SymposiumDraft, verdict: Verdict) -> Finding:
    match verdict:
        case Same():
            return Finding(draft=draft, verdict=verdict, fate=Fate.SAME)
        case Change(fields=fields):
            changes = {name: (one.old, one.new) for name, one in fields.items()}
            return Finding(draft=draft, verdict=verdict, fate=Fate.CHANGE, changes=changes)
        case Retitle(title=title):
            changes = {"title": (title.old, title.new)}
            return Finding(draft=draft, verdict=verdict, fate=Fate.CHANGE, changes=changes)
        case Suspicious(why=why):
            return Finding(draft=draft, verdict=verdict, fate=Fate.HELD, why=why)
        case New():
            if draft.held:
                return Finding(draft=draft, verdict=verdict, fate=Fate.HELD, why=draft.held)
            return Finding(draft=draft, verdict=verdict, fate=Fate.NEW)


@dataclass(frozen=True)
class Stored:
    """What storing a page came to."""

    new: int
    proposals: int
    unchanged: int


def store(session: Session, found: Review, *, actor: str, now: datetime) -> Stored:
    """Store new drafts and open proposals; all of a page or, with PageHeld, nothing."""
    if found.obstacles:
        raise PageHeld(" ".join(found.obstacles))
    new = [one for one in found.findings if one.fate is Fate.NEW]
    for one in new:
        if isinstance(one.draft, StatementDraft):
            _add_statement(session, one.draft, now)
        else:
            _add_symposium(session, one.draft, now)
    changed = [one for one in found.findings if one.fate is Fate.CHANGE]
    proposals = sum(_propose(session, one, now) for one in changed)
    if new or proposals:
        detail = {"new": len(new), "proposals": proposals}
        audit.record(session, actor=actor, action="page-stored", subject="page", now=now, detail=detail)
    return Stored(len(new), proposals, len(found.findings) - len(new) - len(changed))


def _add_statement(session: Session, draft: StatementDraft, now: datetime) -> None:
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


def _add_symposium(session: Session, draft: SymposiumDraft, now: datetime) -> None:
    symposium = Symposium(
        key=draft.key,
        slug=_free_slug(session, Symposium, draft.title),
        series_id=_series(session, draft),
        title=draft.title,
        precision=Precision.NONE,
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
    set_moment(session, symposium, moment_of_draft(draft), now)


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


def _propose(session: Session, finding: Finding, now: datetime) -> bool:
    """Open a proposal; the same one read again, open or decided, is not made twice."""
    symposium_id: int | None = None
    statement_id: int | None = None
    match finding.verdict:
        case Change(known=known) | Retitle(known=known):
            symposium_id, fingerprint = known.id, finding.verdict.fingerprint
        case EditedStatement(known=known) | PerhapsSame(known=known):
            statement_id = known.id
            words = f"statement:{known.id}:{sorted(finding.changes.items())}"
            fingerprint = sha256(words.encode()).hexdigest()
        case _:
            return False
    statement = insert(session, Proposal).values(
        fingerprint=fingerprint,
        symposium_id=symposium_id,
        statement_id=statement_id,
        changes={name: list(pair) for name, pair in finding.changes.items()},
        raw=finding.draft.raw,
        state=ProposalState.OPEN,
        created_at=now,
    )
    made = statement.on_conflict_do_nothing(index_elements=["fingerprint"]).returning(Proposal.id)
    return session.scalar(made) is not None


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
