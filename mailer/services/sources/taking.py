"""What a fetch comes to: drafts, proposals, notices - and never a mail.

One transaction takes a whole fetch. Everything it makes waits for a person; what a higher
source or a person said is never overwritten by a lower one, only proposed against.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Symposium
from mailer.db.sources import Source, SourceItem
from mailer.ingest.differences import Before, Differences, Found, Remembered, differences, known_id
from mailer.ingest.draft import PageDraft, StatementDraft, SymposiumDraft
from mailer.ingest.likely import KnownStatement
from mailer.ingest.verdict import CalledOff, Change, Known, Retitle
from mailer.services import audit
from mailer.services.incidents import close_incident, raise_incident
from mailer.services.programme.drafts import add_statement, add_symposium, free_among
from mailer.services.programme.ingesting import changes_of, known_programme
from mailer.services.programme.proposing import (
    NOT_LISTED,
    Suggestion,
    open_proposal,
    suggestion_of,
    withdraw,
)
from mailer.services.sources.asking import ask
from mailer.services.sources.registry import incident_key
from mailer.vocabulary import TRUST, ItemFate, Medium

MOST_MAILING = 5  # proposals of one fetch whose acceptance would mail people; more are all held
HELD_NOTE = f"Held: more than {MOST_MAILING} changes came from one fetch. Look at the source first."
SETTLED_NOTE = "A person settled what stands there."
NOTES = 20  # sentences of a fetch that are kept for staff


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one fetch came to, in numbers."""

    first: bool = False
    drafts: int = 0
    proposals: int = 0
    held: int = 0
    seen: int = 0
    vanished: int = 0
    unchanged: int = 0
    suspect: str = ""


def take_page(
    session: Session, source: Source, page: PageDraft, now: datetime, *, today: date, believe: bool = False
) -> Taken:
    """Hold a fetch against what is known and write down what follows. Mails nobody."""
    first = source.imported_at is None
    known = known_programme(session)
    rows = {
        item.key: item
        for item in session.scalars(select(SourceItem).where(SourceItem.source_id == source.id))
    }
    before = Before(
        items=[_remembered(row) for row in rows.values()],
        statements=known.statements,
        symposia=known.symposia,
        today=today,
        first=first,
        take_old=source.take_old,
        believe=believe,
    )
    found = differences(page, before)
    source.suspect, source.notes = found.suspect, "\n".join(_notes(page)[:NOTES])
    key = f"{incident_key(source)}suspect"
    if found.suspect:
        raise_incident(session, key, _suspicion(source, found.suspect), now)
        return Taken(first=first, suspect=found.suspect)
    close_incident(session, key, now)
    taking = _Taking(session, source, rows, known.symposia, now)
    taken = taking.all_of(found, first=first)
    session.flush()
    ask(session, source, page, rows, today=today, now=now)
    taken = replace(taken, held=sum(rows[one.key].fate is ItemFate.HELD for one in found.found))
    if first and (found.found or found.unchanged):
        source.imported_at = now
    _record(session, source, taken, now)
    return taken


@dataclass
class _Taking:
    session: Session
    source: Source
    rows: dict[str, SourceItem]
    known: Sequence[Known]
    now: datetime
    made: set[str] = field(default_factory=set)  # keys of the drafts of this fetch

    def all_of(self, found: Differences, *, first: bool) -> Taken:
        for key in found.unchanged:
            self._still_there(self.rows[key])
        hold = sum(_would_mail(one) for one in found.found) > MOST_MAILING
        proposals = sum([self._one(one, hold=hold) for one in found.found])
        proposals += sum([self._notice(item) for item in found.vanished])
        for item in (*found.vanished, *found.gone):
            self.rows[item.key].gone_at = self.now
        return Taken(
            first=first,
            drafts=sum(one.make for one in found.found),
            proposals=proposals,
            held=sum(one.fate is ItemFate.HELD for one in found.found),
            seen=sum(one.fate is ItemFate.SEEN for one in found.found),
            vanished=len(found.vanished),
            unchanged=len(found.unchanged),
        )

    def _one(self, one: Found, *, hold: bool) -> bool:
        """Write one item down, with its draft; True when it opened a proposal."""
        row = self.rows.get(one.key) or self._new_row(one)
        self._still_there(row)
        row.digest, row.title, row.day = one.digest, one.draft.title, _day(one.draft)
        row.fate, row.why, row.medium = one.fate, one.why, one.draft.medium
        if isinstance(one.draft, SymposiumDraft):
            row.sequence = one.draft.sequence
            row.symposium_id = self._draft(one.draft).id if one.make else known_id(one) or row.symposium_id
        else:
            row.statement_id = (
                add_statement(self.session, one.draft, self.now).id
                if one.make
                else (_statement_id(one) if one.fate is not ItemFate.HELD else None) or row.statement_id
            )
        return self._propose(one, row, hold=hold)

    def _draft(self, draft: SymposiumDraft) -> Symposium:
        key = free_among({each.key for each in self.known} | self.made, draft.key)
        self.made.add(key)
        return add_symposium(self.session, replace(draft, key=key), self.now)

    def _propose(self, one: Found, row: SourceItem, *, hold: bool) -> bool:
        wanted = self._suggestion(one) if one.propose else None
        if row.symposium_id or row.statement_id:
            withdraw(
                self.session,
                self.source.id,
                symposium_id=row.symposium_id,
                statement_id=row.statement_id,
                but=wanted.fingerprint if wanted else "",
            )
        if wanted is None:
            return False
        if hold:
            wanted = replace(wanted, note=f"{HELD_NOTE} {wanted.note}".strip())
        return open_proposal(self.session, wanted, self.now, held=hold)

    def _suggestion(self, one: Found) -> Suggestion | None:
        if one.verdict is None:
            return None
        plain = suggestion_of(one.verdict, changes_of(one.draft, one.verdict), one.draft.raw)
        if plain is None:
            return None
        note = self._note(one, plain)
        return replace(plain, source_id=self.source.id, medium=one.draft.medium, note=note)

    def _note(self, one: Found, wanted: Suggestion) -> str:
        """What outranks the suggestion: a person's word, or a source that is trusted more."""
        match one.verdict:
            case Change(fields=fields) if any(field.settled for field in fields.values()):
                return SETTLED_NOTE
            case Retitle(title=title) if title.settled:
                return SETTLED_NOTE
        theirs = select(SourceItem.medium).where(
            SourceItem.source_id != self.source.id,
            SourceItem.gone_at.is_(None),
            SourceItem.symposium_id == wanted.symposium_id
            if wanted.symposium_id
            else SourceItem.statement_id == wanted.statement_id,
        )
        higher = [each for each in self.session.scalars(theirs) if TRUST[each] > TRUST[one.draft.medium]]
        if not higher:
            return ""
        return f"{_WORDS[max(higher, key=TRUST.__getitem__)]} is trusted more, and says otherwise."

    def _notice(self, item: Remembered) -> bool:
        """Tell staff that something ahead is no longer there. It cancels nothing."""
        words = f"gone:{self.source.id}:{item.key}:{self.now.isoformat()}"
        notice = Suggestion(
            fingerprint=sha256(words.encode()).hexdigest(),
            changes={NOT_LISTED: ("yes", "no")},
            raw=item.title,
            symposium_id=item.symposium_id,
            source_id=self.source.id,
            medium=self.rows[item.key].medium,
            note="No longer on the page. Nothing was cancelled and nobody was told.",
        )
        return open_proposal(self.session, notice, self.now)

    def _still_there(self, row: SourceItem) -> None:
        if row.gone_at is not None and row.symposium_id is not None:
            withdraw(self.session, self.source.id, symposium_id=row.symposium_id, notices_only=True)
        row.last_seen, row.gone_at = self.now, None

    def _new_row(self, one: Found) -> SourceItem:
        row = SourceItem(
            source_id=self.source.id,
            key=one.key,
            digest=one.digest,
            title=one.draft.title,
            medium=one.draft.medium,
            fate=one.fate,
            first_seen=self.now,
            last_seen=self.now,
        )
        self.session.add(row)
        self.rows[one.key] = row
        return row


_WORDS = {
    Medium.PAGE: "A page",
    Medium.FEED: "A feed",
    Medium.LINKED_DATA: "A page's own data",
    Medium.CALENDAR: "A calendar",
    Medium.STAFF: "A person",
}


def _remembered(row: SourceItem) -> Remembered:
    return Remembered(
        key=row.key,
        digest=row.digest,
        title=row.title,
        day=row.day,
        sequence=row.sequence,
        fate=row.fate,
        statement_id=row.statement_id,
        symposium_id=row.symposium_id,
        gone=row.gone_at is not None,
    )


def _would_mail(one: Found) -> bool:
    """True for a change of an announced symposium: accepting it tells its attendees."""
    known = getattr(one.verdict, "known", None)
    return (
        one.propose
        and isinstance(one.verdict, Change | CalledOff)
        and isinstance(known, Known)
        and known.announced
    )


def _statement_id(one: Found) -> int | None:
    known = getattr(one.verdict, "known", None)
    return known.id if isinstance(known, KnownStatement) else None


def _day(draft: StatementDraft | SymposiumDraft) -> date | None:
    if isinstance(draft, StatementDraft):
        return draft.published_on
    return draft.day or (date(draft.month[0], draft.month[1], 1) if draft.month else None)


def _notes(page: PageDraft) -> list[str]:
    unread = [f"Not read, {line.number}: {line.text} ({line.why})" for line in page.unread]
    return [*page.notes, *page.questions, *unread]


def _suspicion(source: Source, why: str) -> str:
    return (
        f"The source “{source.name}” was not believed, and nothing follows from it: {why} Look at it; "
        f"if it is right so: mailer source check {source.name} --believe"
    )


def _record(session: Session, source: Source, taken: Taken, now: datetime) -> None:
    if not (taken.drafts or taken.proposals):
        return
    audit.record(
        session,
        actor="sources",
        action="source-taken",
        subject=f"source:{source.id}",
        now=now,
        detail={"drafts": taken.drafts, "proposals": taken.proposals, "first": taken.first},
    )
