"""What one fetch of a watched source means, beside what it held before and what the house knows.

Pure. Items are known by keys that stay, so an order, a repetition and a second copy mean
nothing. What did not change at its source says nothing new. What is gone is told and cancels
nothing; a fetch that lost most of what was there is not believed at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from mailer.ingest.draft import PageDraft, StatementDraft, SymposiumDraft
from mailer.ingest.item_keys import by_key, digest_of
from mailer.ingest.likely import (
    EditedStatement,
    KnownStatement,
    NewStatement,
    PerhapsSame,
    SameStatement,
    StatementVerdict,
    edits_of,
    match_statement,
)
from mailer.ingest.match import compare, review_page
from mailer.ingest.twins import twins
from mailer.ingest.verdict import CalledOff, Change, Known, New, Retitle, Same, Suspicious, Verdict
from mailer.vocabulary import FieldSource, ItemFate, SourceKind

OLD_DAYS = 30  # a statement of longer ago is history: nobody should be alerted to it
FORGOTTEN_DAYS = 14  # a symposium over for longer does not move: one of its title ahead is another
MOST_NEW = 5  # statements new at once; more is a feed that changed its keys
_FEEDS = frozenset((SourceKind.FEED, SourceKind.JSON_FEED))


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """An item as its source last gave it."""

    key: str
    digest: str
    title: str
    day: date | None
    sequence: int | None
    fate: ItemFate
    statement_id: int | None = None
    symposium_id: int | None = None
    gone: bool = False

    @property
    def is_event(self) -> bool:
        return self.key.startswith("event:")


@dataclass(frozen=True, kw_only=True)
class Found:
    """One item that is new or has changed. `make`: a draft is to be made; `propose`: staff decide."""

    key: str
    digest: str
    draft: StatementDraft | SymposiumDraft
    fate: ItemFate
    verdict: Verdict | StatementVerdict | None = None
    make: bool = False
    propose: bool = False
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Before:
    """All that a fetch is held against. `first`: nothing was ever read from this source."""

    items: Sequence[Remembered]
    statements: Sequence[KnownStatement]
    symposia: Sequence[Known]
    today: date
    first: bool
    take_old: bool = False
    believe: bool = False  # a person looked: what is gone is gone, and many may be new


@dataclass(frozen=True, kw_only=True)
class Differences:
    """What is new, what changed, and what became of the rest. With `suspect`, nothing else counts."""

    found: tuple[Found, ...] = ()
    unchanged: tuple[str, ...] = ()
    vanished: tuple[Remembered, ...] = ()  # ahead, and no longer there: staff are told
    gone: tuple[Remembered, ...] = ()  # no longer there, and nothing follows from it
    suspect: str = ""


def differences(page: PageDraft, before: Before) -> Differences:
    """Hold a fetch against what is known."""
    drafts = by_key(page)
    old = {item.key: item for item in before.items}
    digests = {key: digest_of(draft) for key, draft in drafts.items()}
    unchanged = [key for key in drafts if key in old and not _says_more(drafts[key], digests[key], old[key])]
    told = {key: draft for key, draft in drafts.items() if key not in set(unchanged)}
    verdicts = _verdicts(told, old, unchanged, before)
    found = [_found(key, digests[key], draft, verdicts[key], before) for key, draft in told.items()]
    lost = [item for item in before.items if not item.gone and item.key not in drafts]
    about = {known for one in found if (known := known_id(one)) is not None}
    about |= {item.symposium_id for key in unchanged if (item := old[key]).symposium_id}
    vanished = [item for item in lost if _ahead(item, before) and item.symposium_id not in about]
    if not page.whole or (page.kind in _FEEDS and not before.believe):
        lost, vanished = [], []  # a feed lists the latest only
    why = "" if before.first or before.believe else _suspect(page, drafts, old, vanished, found, before)
    if why:
        return Differences(suspect=why)
    return Differences(
        found=tuple(found),
        unchanged=tuple(unchanged),
        vanished=tuple(vanished),
        gone=tuple(item for item in lost if item not in vanished),
    )


def known_id(found: Found) -> int | None:
    """The symposium that an item is about, if it is known."""
    known = getattr(found.verdict, "known", None)
    return known.id if isinstance(known, Known) else None


def _says_more(draft: StatementDraft | SymposiumDraft, digest: str, item: Remembered) -> bool:
    counted = draft.sequence if isinstance(draft, SymposiumDraft) else None
    if counted is not None and counted < (item.sequence or 0):
        return False  # an older copy than the one that was read before; who does not count says nothing
    return digest != item.digest


def _verdicts(
    told: Mapping[str, StatementDraft | SymposiumDraft],
    old: Mapping[str, Remembered],
    unchanged: Sequence[str],
    before: Before,
) -> dict[str, Verdict | StatementVerdict]:
    by_id = {known.id: known for known in before.symposia}
    taken = {old[key].symposium_id for key in unchanged}
    verdicts: dict[str, Verdict | StatementVerdict] = {}
    fresh: dict[str, SymposiumDraft] = {}
    for key, draft in told.items():
        item = old.get(key)
        if isinstance(draft, StatementDraft):
            verdicts[key] = _of_statement(draft, item, before.statements)
        elif item is not None and item.symposium_id in by_id and not _is_another(draft, item, by_id, before):
            verdicts[key] = compare(draft, by_id[item.symposium_id])
            taken.add(item.symposium_id)
        else:
            fresh[key] = draft
    verdicts |= _of_fresh(fresh, old, taken, before)
    here = taken | {_id(one) for one in verdicts.values()}
    return verdicts | twins(fresh, verdicts, [each for each in before.symposia if each.id in here])


def _is_another(draft: SymposiumDraft, item: Remembered, by_id: Mapping[int, Known], before: Before) -> bool:
    """True where what has its key was over long ago, and it is ahead: a calendar uses an entry again."""
    forgotten = before.today - timedelta(days=FORGOTTEN_DAYS)
    known = by_id[item.symposium_id] if item.symposium_id is not None else None
    return known is not None and known.is_over(forgotten) and not _is_over(draft, before.today)


def _of_statement(
    draft: StatementDraft, item: Remembered | None, known: Sequence[KnownStatement]
) -> StatementVerdict:
    own = next((each for each in known if item is not None and each.id == item.statement_id), None)
    if own is None:
        return match_statement(draft, known)
    fields = tuple(edits_of(replace(draft, published_on=_date_said(draft, own)), own))
    return EditedStatement(known=own, fields=fields) if fields else SameStatement(known=own)


def _date_said(draft: StatementDraft, known: KnownStatement) -> date:
    explicit = draft.sources.get("published_on") is FieldSource.EXPLICIT
    return draft.published_on if explicit else known.published_on


def _of_fresh(
    fresh: Mapping[str, SymposiumDraft],
    old: Mapping[str, Remembered],
    taken: set[int | None],
    before: Before,
) -> dict[str, Verdict]:
    own_keys = {item.symposium_id: item.key.removeprefix("event:") for item in old.values()}
    free = [
        replace(known, key=own_keys[known.id]) if own_keys.get(known.id, "").startswith("uid:") else known
        for known in before.symposia
        if known.id not in taken
    ]
    forgotten = before.today - timedelta(days=FORGOTTEN_DAYS)
    verdicts: dict[str, Verdict] = {}
    ahead = {key: draft for key, draft in fresh.items() if not _is_over(draft, before.today)}
    behind = {key: draft for key, draft in fresh.items() if key not in ahead}
    for part, candidates in (
        (ahead, [known for known in free if not known.is_over(forgotten)]),
        (behind, free),
    ):
        still = [known for known in candidates if not any(known.id == _id(one) for one in verdicts.values())]
        reviewed = review_page(list(part.values()), still, today=before.today).findings
        verdicts |= {key: verdict for key, (_, verdict) in zip(part, reviewed, strict=True)}
    return verdicts


def _id(verdict: object) -> int | None:
    known = getattr(verdict, "known", None)
    return known.id if isinstance(known, Known) else None


def _found(
    key: str,
    digest: str,
    draft: StatementDraft | SymposiumDraft,
    verdict: Verdict | StatementVerdict,
    before: Before,
) -> Found:
    plain = Found(key=key, digest=digest, draft=draft, fate=ItemFate.TAKEN, verdict=verdict)
    match verdict:
        case SameStatement() | Same():
            return plain
        case EditedStatement():
            known_here = any(item.key == key for item in before.items)
            # Another source tells a known statement in its own way; only a change at this one is an edit.
            return replace(plain, propose=known_here)
        case PerhapsSame(why=why) | Suspicious(why=why):
            return replace(plain, fate=ItemFate.HELD, why=why)
        case Change(known=known) | Retitle(known=known) | CalledOff(known=known):
            ahead = isinstance(draft, SymposiumDraft) and not _is_over(draft, before.today)
            return replace(plain, propose=ahead or not known.is_over(before.today))
        case NewStatement() | New():
            return _new(plain, before)


def _new(found: Found, before: Before) -> Found:
    draft = found.draft
    if isinstance(draft, StatementDraft):
        seen_before = any(item.key == found.key and item.fate is ItemFate.SEEN for item in before.items)
        too_old = draft.published_on < before.today - timedelta(days=OLD_DAYS)
        old = before.first or too_old or seen_before  # what was only seen stays so, whatever its words
        why = "It was there before this source was watched, or is old: nobody is alerted to it."
        seen = old and not (before.first and before.take_old)
        return replace(found, fate=ItemFate.SEEN, why=why) if seen else replace(found, make=True)
    if draft.cancelled:
        return replace(found, fate=ItemFate.SEEN, why="It is called off, and nobody here was told of it.")
    if _is_over(draft, before.today):
        return replace(found, fate=ItemFate.SEEN, why="It is over.")
    if draft.held:
        return replace(found, fate=ItemFate.HELD, why=draft.held)
    return replace(found, make=True)


def _is_over(draft: SymposiumDraft, today: date) -> bool:
    if draft.day:
        return max((draft.day, *draft.readings)) < today
    if draft.month:
        return draft.month < (today.year, today.month)
    return bool(draft.readings) and max(draft.readings) < today


def _ahead(item: Remembered, before: Before) -> bool:
    known = next((each for each in before.symposia if each.id == item.symposium_id), None)
    return item.is_event and known is not None and not known.called_off and not known.is_over(before.today)


def _expected(item: Remembered, today: date) -> bool:
    return not item.gone and (not item.is_event or (item.day is not None and item.day >= today))


def _suspect(
    page: PageDraft,
    drafts: Mapping[str, object],
    old: Mapping[str, Remembered],
    vanished: Sequence[Remembered],
    found: Sequence[Found],
    before: Before,
) -> str:
    """Why this fetch is not believed; "" when it is."""
    if not drafts and any(_expected(item, before.today) for item in old.values()):
        return "Nothing of what was there before was found. Is it an error page, or was it fetched in part?"
    expected = [item for item in old.values() if not item.gone and _ahead(item, before)]
    if vanished and (not page.symposia or (len(vanished) > 1 and 2 * len(vanished) >= len(expected))):
        return f"{len(vanished)} of {len(expected)} symposia ahead are gone from it at once."
    new = sum(one.make and isinstance(one.draft, StatementDraft) for one in found)
    if new > MOST_NEW:
        return f"It holds {new} statements that were not there before, which is more than {MOST_NEW} at once."
    return ""
