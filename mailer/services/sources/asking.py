"""What a fetch leaves open is asked: one question for each held item and unread line, once.

A question that a person decided is not asked again, whatever else changes at the source;
one whose words are gone from the source is withdrawn.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.programme import Proposal, Symposium
from mailer.db.sources import Source, SourceItem
from mailer.ingest.answers import Answers
from mailer.ingest.draft import PageDraft, StatementDraft, SymposiumDraft, UnreadLine
from mailer.ingest.event import short_line
from mailer.ingest.item_keys import by_key
from mailer.services.programme.answering import Question, kept, question_of
from mailer.services.programme.proposing import WAITING
from mailer.vocabulary import ItemFate, Medium, Precision, ProposalState, SourceKind

MOST_ASKED = 50  # questions of one source that wait at a time; the next come when some are decided
LINE_LETTERS = 500  # of an unread line that are kept
SETTLED = "You decided that nothing is made of it."
_FEEDS = frozenset((SourceKind.FEED, SourceKind.JSON_FEED))


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One thing that is open. `fingerprint` is the same as long as the source's words are."""

    fingerprint: str
    question: Question = field(repr=False)
    note: str
    raw: str
    medium: Medium
    row: SourceItem | None = None


def ask(
    session: Session,
    source: Source,
    page: PageDraft,
    rows: Mapping[str, SourceItem],
    *,
    today: date,
    now: datetime,
) -> None:
    """Open the questions of a fetch that was believed, and withdraw those whose words are gone."""
    theirs = select(Proposal).where(Proposal.source_id == source.id, Proposal.question.is_not(None))
    known = {one.fingerprint: one for one in session.scalars(theirs)}
    open_now = sum(one.state in WAITING for one in known.values())
    wanted = list(_all_of(source, page, rows, today))
    for one in wanted:
        before = known.get(one.fingerprint)
        if before is not None and _is_decided(session, one, before):
            continue
        if open_now < MOST_ASKED:
            _open(session, source, one, before, known.values(), now)
            open_now += 1
    _withdraw(page, known.values(), {one.fingerprint for one in wanted}, today)


def _all_of(source: Source, page: PageDraft, rows: Mapping[str, SourceItem], today: date) -> Iterator[Asked]:
    # In the order in which they stand there, as a person reads them.
    for key, draft in sorted(by_key(page).items(), key=lambda item: getattr(item[1], "line", 0)):
        row = rows.get(key)
        if row is not None and row.fate is ItemFate.HELD and not _is_over(draft, today):
            yield _of_item(source, key, draft, row)
    for line in page.unread:
        if line.asks:
            yield _of_line(source, page, line)


def _is_over(draft: StatementDraft | SymposiumDraft, today: date) -> bool:
    if isinstance(draft, StatementDraft):
        return False
    days = [day for day in (draft.day, *draft.readings) if day]
    return bool(days) and max(days) < today


def _of_item(source: Source, key: str, draft: StatementDraft | SymposiumDraft, row: SourceItem) -> Asked:
    is_event = isinstance(draft, SymposiumDraft)
    return Asked(
        fingerprint=_fingerprint(source, key, draft.raw if is_event else ""),
        question=Question(
            key=key,
            symposium=draft if isinstance(draft, SymposiumDraft) else None,
            statement=draft if isinstance(draft, StatementDraft) else None,
        ),
        note=row.why,
        raw=draft.raw,
        medium=draft.medium,
        row=row,
    )


def _of_line(source: Source, page: PageDraft, line: UnreadLine) -> Asked:
    raw = short_line(line.text, LINE_LETTERS)
    medium = Medium.CALENDAR if page.kind is SourceKind.CALENDAR else Medium.PAGE
    draft = SymposiumDraft(
        key="",
        title="",
        series=None,
        series_text=None,
        precision=Precision.NONE,
        day=None,
        month=None,
        time=None,
        zone=None,
        sources={},
        raw=raw,
        line=line.number,
        medium=medium,
    )
    return Asked(
        fingerprint=_fingerprint(source, "line", raw),
        question=Question(symposium=draft),
        note=f"This line could not be read: {line.why}",
        raw=raw,
        medium=medium,
    )


def _fingerprint(source: Source, key: str, words: str) -> str:
    return sha256(json.dumps(["question", source.id, key, words]).encode()).hexdigest()


def _is_decided(session: Session, one: Asked, before: Proposal) -> bool:
    """Keep what was decided, whatever changed since. False where it is to be asked, or asked again."""
    if before.state in WAITING:
        before.note = one.note  # the latest reason
        return True
    if before.state is ProposalState.WITHDRAWN:
        return False
    if one.row is None:
        return True
    if before.state is ProposalState.REJECTED:
        one.row.fate, one.row.why = ItemFate.SEEN, SETTLED
        return True
    made = session.get(Symposium, before.symposium_id) if before.symposium_id else None
    if made is not None and made.raw != one.raw and question_of(before).answers.same_as is None:
        return False  # the source said something else in between, and now says this again
    one.row.fate, one.row.why = ItemFate.TAKEN, ""
    one.row.symposium_id, one.row.statement_id = before.symposium_id, before.statement_id
    return True


def _open(
    session: Session,
    source: Source,
    one: Asked,
    before: Proposal | None,
    known: Iterable[Proposal],
    now: datetime,
) -> None:
    proposal = before or Proposal(fingerprint=one.fingerprint, source_id=source.id, changes={})
    answers = question_of(before).answers if before else _said_before(one, known)
    proposal.question = kept(replace(one.question, answers=answers))
    proposal.symposium_id = one.row.symposium_id if one.row else None
    proposal.statement_id = None
    proposal.medium, proposal.note, proposal.raw = one.medium, one.note, one.raw
    proposal.state, proposal.created_at = ProposalState.OPEN, now
    session.add(proposal)


def _said_before(one: Asked, known: Iterable[Proposal]) -> Answers:
    """What persons answered while the source told the same item in other words."""
    for proposal in known:
        question = question_of(proposal)
        same = one.question.key and question.key == one.question.key
        if same and proposal.state in (*WAITING, ProposalState.WITHDRAWN):
            return question.answers
    return Answers()


def _withdraw(page: PageDraft, known: Iterable[Proposal], wanted: set[str], today: date) -> None:
    here = by_key(page)
    lists_all = page.whole and page.kind not in _FEEDS  # a feed lists the latest only
    for proposal in known:
        if proposal.state not in WAITING or proposal.fingerprint in wanted:
            continue
        question = question_of(proposal)
        over = question.symposium is not None and _is_over(question.symposium, today)
        if lists_all or over or question.key in here:
            proposal.state = ProposalState.WITHDRAWN
