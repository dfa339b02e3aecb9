"""Ingesting: what a page gives is held against what is known, shown to a person, and stored as drafts.

Nothing read from outside mails anybody. The same page twice changes nothing; a
changed line is a proposal and never a second event; what staff settled is never
overwritten; a line that is gone cancels nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Statement, Symposium
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
from mailer.ingest.match import review_page
from mailer.ingest.verdict import CalledOff, Change, Known, New, Retitle, Same, Suspicious, Verdict
from mailer.services import audit
from mailer.services.programme.drafts import add_statement, add_symposium, free_key
from mailer.services.programme.proposing import open_proposal, suggestion_of
from mailer.vocabulary import (
    FieldSource,
    Precision,
    SourceKind,
    SymposiumState,
)


class Fate(StrEnum):
    """What storing a draft would do."""

    NEW = "new"
    SAME = "unchanged"
    CHANGE = "proposed change"
    HELD = "held"
    LEFT = "left out"


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
        symposia=tuple(known_facts(one) for one in session.scalars(select(Symposium))),
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


def known_facts(symposium: Symposium) -> Known:
    exact = symposium.precision in {Precision.DATETIME, Precision.DATE}
    of_year = symposium.precision is Precision.YEAR
    return Known(
        id=symposium.id,
        key=symposium.key,
        title=symposium.title,
        precision=symposium.precision,
        day=symposium.day if exact else None,
        month=(symposium.day.year, symposium.day.month) if symposium.day and not of_year else None,
        year=symposium.day.year if symposium.day and of_year else None,
        time=symposium.wall_time,
        zone=symposium.zone,
        sources={name: FieldSource(source) for name, source in symposium.sources.items()},
        raw=symposium.raw,
        minutes=symposium.minutes,
        place=symposium.place,
        announced=symposium.state is SymposiumState.ANNOUNCED,
        called_off=symposium.state is SymposiumState.CANCELLED,
    )


def review(page: PageDraft, known: Programme, *, today: date) -> Review:
    """Hold a page's drafts against what is known. Stores nothing."""
    programme = review_page(page.symposia, known.symposia, today=today)
    statements = [_of_statement(draft, match_statement(draft, known.statements)) for draft in page.statements]
    symposia = [_of_symposium(draft, verdict) for draft, verdict in programme.findings]
    is_page = page.kind is SourceKind.PAGE  # the whole programme; a feed or a calendar is one of several
    if not is_page:
        # A person can mend a page's text before it is read again; somebody else's calendar they cannot.
        symposia = [replace(one, fate=Fate.LEFT) if one.fate is Fate.HELD else one for one in symposia]
    return Review(
        page=page,
        findings=(*statements, *symposia),
        vanished=tuple(one.title for one in programme.vanished) if is_page else (),
        suspect=programme.suspect if is_page else None,
    )


def _of_statement(draft: StatementDraft, verdict: StatementVerdict) -> Finding:
    changes = changes_of(draft, verdict)
    match verdict:
        case SameStatement():
            return Finding(draft=draft, verdict=verdict, fate=Fate.SAME)
        case EditedStatement():
            return Finding(draft=draft, verdict=verdict, fate=Fate.CHANGE, changes=changes)
        case PerhapsSame(why=why):
            # Almost the same text is an edit to look at, never a second alert.
            return Finding(draft=draft, verdict=verdict, fate=Fate.CHANGE, changes=changes, why=why)
        case NewStatement():
            return Finding(draft=draft, verdict=verdict, fate=Fate.NEW)


def changes_of(
    draft: StatementDraft | SymposiumDraft, verdict: Verdict | StatementVerdict
) -> dict[str, tuple[str | None, str | None]]:
    """Field -> (known, read) of what a verdict would change."""
    match verdict:
        case Change(fields=fields):
            return {name: (one.old, one.new) for name, one in fields.items()}
        case Retitle(title=title):
            return {"title": (title.old, title.new)}
        case CalledOff(known=symposium):
            return {"state": ("announced" if symposium.announced else "draft", "cancelled")}
        case EditedStatement(known=known) | PerhapsSame(known=known) if isinstance(draft, StatementDraft):
            return _edits(draft, known)
        case _:
            return {}


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
        case Change() | Retitle() | CalledOff():
            changes = changes_of(draft, verdict)
            return Finding(draft=draft, verdict=verdict, fate=Fate.CHANGE, changes=changes)
        case Suspicious(why=why):
            return Finding(draft=draft, verdict=verdict, fate=Fate.HELD, why=why)
        case New():
            if draft.cancelled:
                why = "Its source calls it off, and nobody was told of it."
                return Finding(draft=draft, verdict=verdict, fate=Fate.LEFT, why=why)
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
            add_statement(session, one.draft, now)
        else:
            add_symposium(session, replace(one.draft, key=free_key(session, one.draft.key)), now)
    changed = [one for one in found.findings if one.fate is Fate.CHANGE]
    proposals = sum(
        open_proposal(session, wanted, now)
        for one in changed
        if (wanted := suggestion_of(one.verdict, one.changes, one.draft.raw))
    )
    if new or proposals:
        detail = {"new": len(new), "proposals": proposals}
        audit.record(session, actor=actor, action="page-stored", subject="page", now=now, detail=detail)
    return Stored(len(new), proposals, len(found.findings) - len(new) - len(changed))
