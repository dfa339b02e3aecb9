"""What a re-read page means for what is already known: the same, a change, or new.

Pure. A change is a proposal to staff, never an overwriting: what a person settled
stays settled, a page that says nothing new is the same page, and a vanished line is
not a cancellation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time

from mailer.ingest.draft import SymposiumDraft
from mailer.ingest.text import likeness, plain_title
from mailer.ingest.verdict import (
    CalledOff,
    Change,
    FieldChange,
    Known,
    New,
    Retitle,
    Same,
    Suspicious,
    Verdict,
)
from mailer.visible import one_line
from mailer.vocabulary import FieldSource

SIMILAR = 0.6  # share of equal words from which two titles on one date are one symposium
MOST_PROPOSALS = 5  # a page that changes more than this at once is looked at before it is believed


@dataclass(frozen=True, kw_only=True)
class PageReview:
    """Each draft with its verdict, what is gone from the page, and why it is not believed, if so."""

    findings: tuple[tuple[SymposiumDraft, Verdict], ...]
    vanished: tuple[Known, ...]
    suspect: str | None = None


def match(draft: SymposiumDraft, known: Sequence[Known]) -> Verdict:
    """Say what one draft means for the known symposia of its source.

    In order: the same line or key; the same title on another date (a proposed move); a similar
    title on the same date (a proposed retitle); new. A held draft is never more than Suspicious.
    """
    if draft.uid:
        own = [each for each in known if each.key == draft.key]
        if own:
            return compare(draft, own[0])
        # Keys change, and two calendars have two for one event: the same title at the same hour is the same.
        same = [each for each in known if _same_title(draft, each) and _same_hour(draft, each)]
        if len(same) == 1:
            return _compare(draft, same[0])
        # Else another event's own key says that it is another event, whatever its title.
        known = [each for each in known if not each.key.startswith("uid:")]
    reread = [each for each in known if one_line(each.raw) == draft.raw]
    if len(reread) == 1:
        return Same(known=reread[0])
    twins = [each for each in known if _same_title(draft, each)]
    exact = [each for each in twins if each.key == draft.key or _same_date(draft, each)]
    if len(exact) == 1 or len(twins) == 1:
        return _compare(draft, exact[0] if len(exact) == 1 else twins[0])
    if twins:
        return Suspicious(why=f"{len(twins)} known symposia have the title “{draft.title}”. Which is meant?")
    if draft.held:
        return Suspicious(why=draft.held)
    return _retitled(draft, known) or New()


def review_page(drafts: Sequence[SymposiumDraft], known: Sequence[Known], *, today: date) -> PageReview:
    """Match a page's drafts with all that its source gave before, each known symposium at most once."""
    free = list(known)
    verdicts: dict[int, Verdict] = {}
    # First what is beyond doubt, then equal titles, then the rest: else a guess could take their place.
    for taken_now in (Same, Same | Change, object):
        for index, draft in enumerate(drafts):
            if index in verdicts:
                continue
            verdict = match(draft, free)
            if isinstance(verdict, taken_now):
                verdicts[index] = verdict
                free = [each for each in free if each is not getattr(verdict, "known", None)]
    vanished = tuple(each for each in free if not each.is_over(today))
    expected = [each for each in known if not each.is_over(today)]
    found = tuple((draft, verdicts[index]) for index, draft in enumerate(drafts))
    return PageReview(findings=found, vanished=vanished, suspect=_suspect(drafts, expected, vanished, found))


def _suspect(
    drafts: Sequence[SymposiumDraft],
    expected: Sequence[Known],
    vanished: Sequence[Known],
    found: Sequence[tuple[SymposiumDraft, Verdict]],
) -> str | None:
    if expected and not drafts:
        return "The page has no programme any more. Was it fetched whole? Nothing is proposed."
    if len(vanished) > 1 and 2 * len(vanished) >= len(expected):
        return f"{len(vanished)} of {len(expected)} symposia are gone from the page. Nothing is proposed."
    proposals = sum(isinstance(verdict, Change | Retitle) for _, verdict in found)
    if proposals > MOST_PROPOSALS:
        return (
            f"The page would change {proposals} symposia at once. Nothing is proposed before a person looked."
        )
    return None


def _same_title(draft: SymposiumDraft, known: Known) -> bool:
    return plain_title(draft.title) == plain_title(known.title)


def _same_date(draft: SymposiumDraft, known: Known) -> bool:
    if draft.day or known.day:
        return draft.day == known.day
    return draft.month is not None and draft.month == known.month


def _same_hour(draft: SymposiumDraft, known: Known) -> bool:
    if draft.day is None or known.day is None:
        return False
    hours_known = draft.starts_at is not None and known.starts_at is not None
    return _same_instant(draft, known) if hours_known else draft.day == known.day


def _retitled(draft: SymposiumDraft, known: Sequence[Known]) -> Retitle | Suspicious | None:
    same_date = [each for each in known if _same_date(draft, each) and draft.time == each.time]
    similar = [each for each in same_date if likeness(each.title, draft.title) >= SIMILAR]
    if len(similar) > 1:
        return Suspicious(
            why=f"“{draft.title}” resembles {len(similar)} symposia of its date. Which is meant?"
        )
    if not similar:
        return None
    change = FieldChange(old=similar[0].title, new=draft.title, settled=similar[0].settled("title"))
    return Retitle(known=similar[0], title=change)


def compare(draft: SymposiumDraft, known: Known) -> Verdict:
    """Say what a draft means for the symposium that it is certainly about: its title may have changed too."""
    verdict = _compare(draft, known)
    if not isinstance(verdict, Same | Change) or _same_title(draft, known):
        return verdict
    title = FieldChange(old=known.title, new=draft.title, settled=known.settled("title"))
    return Change(known=known, fields={"title": title, **getattr(verdict, "fields", {})})


def _compare(draft: SymposiumDraft, known: Known) -> Verdict:
    if known.called_off:
        return Same(known=known)
    if draft.cancelled:
        return CalledOff(known=known)
    if draft.held and not _only_year_missing_and_settled(draft, known):
        return Suspicious(why=draft.held, known=known)
    fields = {} if _same_instant(draft, known) else _date_changes(draft, known)
    if draft.minutes is not None:
        _note(fields, known, "minutes", known.minutes, draft.minutes, settled=known.settled("minutes"))
    if draft.place is not None:
        _note(fields, known, "place", known.place, draft.place, settled=known.settled("place"))
    return Change(known=known, fields=fields) if fields else Same(known=known)


def _same_instant(draft: SymposiumDraft, known: Known) -> bool:
    """True for the same moment, whether it is told by the clock of one place or of another."""
    return draft.starts_at is not None and draft.starts_at == known.starts_at


def _date_changes(draft: SymposiumDraft, known: Known) -> dict[str, FieldChange]:
    date_stands = _date_stands(draft, known)
    fields: dict[str, FieldChange] = {}
    if not date_stands:
        _note(
            fields, known, "day", known.day, draft.day, settled=known.settled("day") or known.settled("year")
        )
        if known.month != draft.month:
            _note(
                fields,
                known,
                "month",
                _month(known.month),
                _month(draft.month),
                settled=known.settled("month"),
            )
    for name, old, new in (("time", known.time, draft.time), ("zone", known.zone, draft.zone)):
        if new is not None or not (date_stands or known.settled(name)):
            _note(fields, known, name, old, new, settled=known.settled(name))
    if not date_stands or "time" in fields:
        _note(fields, known, "precision", known.precision, draft.precision)
    return fields


def _only_year_missing_and_settled(draft: SymposiumDraft, known: Known) -> bool:
    year_missing = draft.day is None and draft.month is None and draft.month_day is not None
    return year_missing and "year" not in draft.sources and not draft.readings and _date_stands(draft, known)


def _date_stands(draft: SymposiumDraft, known: Known) -> bool:
    """True when the page says no other date than the known one, as far as it says any."""
    if draft.sources.get("year") is not FieldSource.EXPLICIT:
        # The page does not say the year: what a person settled is the year.
        printed = (known.day.month, known.day.day) if known.day else None
        if known.settled("year") and printed == draft.month_day:
            return True
    if draft.day is None and known.day is not None and known.settled("day"):
        return draft.month == (known.day.year, known.day.month)
    return draft.day == known.day and draft.month == known.month


def _note(
    fields: dict[str, FieldChange],
    known: Known,
    name: str,
    old: object,
    new: object,
    *,
    settled: bool = False,
) -> None:
    if old != new:
        fields[name] = FieldChange(old=text_of(old), new=text_of(new), settled=settled)


def text_of(value: object) -> str | None:
    """A fact as proposals tell it: dates and times in ISO 8601."""
    if isinstance(value, date | time):
        return value.isoformat()
    return None if value is None else str(value)


def _month(month: tuple[int, int] | None) -> str | None:
    return f"{month[0]:04}-{month[1]:02}" if month else None
