"""A re-read page changes nothing; a changed line is a proposal; what a person settled stays."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, time
from importlib.resources import files

import pytest

from mailer.ingest.draft import SymposiumDraft
from mailer.ingest.match import match, review_page
from mailer.ingest.page import read_page
from mailer.ingest.verdict import Change, FieldChange, Known, New, Retitle, Same, Suspicious
from mailer.vocabulary import FieldSource, Precision

FETCHED = date(2026, 11, 23)
BEFORE = date(2024, 1, 15)
SAMPLE = files("mailer.ingest").joinpath("sample_page.txt").read_text(encoding="utf-8")
STAFF = FieldSource.STAFF


def drafts(page: str = SAMPLE) -> tuple[SymposiumDraft, ...]:
    return read_page(page, fetched_on=FETCHED, source="page.txt").symposia


def store(number: int, draft: SymposiumDraft, **settled: object) -> Known:
    """What would be stored of a draft; `settled` facts are a person's."""
    facts: Mapping[str, object] = {
        "precision": draft.precision,
        "day": draft.day,
        "month": draft.month,
        "time": draft.time,
        "zone": draft.zone,
    }
    sources = {**draft.sources, **dict.fromkeys(settled, STAFF)}
    known = Known(id=number, key=draft.key, title=draft.title, sources=sources, raw=draft.raw, **facts)  # type: ignore[arg-type]
    return replace(known, **{name: value for name, value in settled.items() if name != "year"})  # type: ignore[arg-type]


KNOWN = [store(number, draft) for number, draft in enumerate(drafts(), start=1)]
SEPTEMBER = 4  # the place of the line without a year


def reread(old: str, new: str) -> SymposiumDraft:
    """The line of the sample page that a change of it touches."""
    before, after = drafts(), drafts(SAMPLE.replace(old, new))
    (changed,) = [draft for draft, was in zip(after, before, strict=True) if draft.raw != was.raw]
    return changed


def test_the_same_page_again_changes_nothing() -> None:
    review = review_page(drafts(), KNOWN, today=BEFORE)
    assert [type(verdict) for _, verdict in review.findings] == [Same] * 7
    assert review.vanished == ()
    assert review.suspect is None


def test_after_the_year_was_confirmed_the_page_that_lacks_it_is_the_same() -> None:
    confirmed = [store(number, draft, year=2024) for number, draft in enumerate(drafts(), start=1)]
    verdicts = review_page(drafts(), confirmed, today=BEFORE).findings
    assert all(isinstance(verdict, Same) for _, verdict in verdicts)


def test_a_year_that_a_person_corrected_is_not_inferred_back() -> None:
    line = drafts()[SEPTEMBER]
    corrected = replace(store(5, line, year=2019), day=date(2019, 9, 27), month=(2019, 9))
    # Another quotation mark, so that the line is read anew.
    assert isinstance(match(reread('"We Charge', '"We  charge'), [corrected]), Same)


def test_a_moved_date_is_a_proposed_change_and_not_a_second_symposium() -> None:
    verdict = match(reread("Friday, May 3, 2024", "Friday, May 10, 2024"), KNOWN)
    assert isinstance(verdict, Change)
    assert verdict.known.id == 3
    assert verdict.fields == {"day": FieldChange(old="2024-05-03", new="2024-05-10")}


def test_a_move_to_another_month_is_matched_by_title() -> None:
    verdict = match(reread("Friday, May 3, 2024", "Friday, June 14, 2024"), KNOWN)
    assert isinstance(verdict, Change)
    assert set(verdict.fields) == {"day", "month"}


def test_a_moved_hour() -> None:
    verdict = match(reread("July 26, 2024, 12noon", "July 26, 2024, 1 p.m."), KNOWN)
    assert isinstance(verdict, Change)
    assert verdict.fields == {"time": FieldChange(old="12:00:00", new="13:00:00")}


def test_a_date_that_was_to_be_announced() -> None:
    verdict = match(reread("December 2024 (date TBA)", "Friday, December 6, 2024, 12noon ET"), KNOWN)
    assert isinstance(verdict, Change)
    assert set(verdict.fields) == {"day", "time", "zone", "precision"}
    assert verdict.fields["precision"] == FieldChange(old=Precision.MONTH, new=Precision.DATETIME)


def test_a_date_that_a_person_fixed_stands_while_the_page_still_waits() -> None:
    summit = drafts()[6]
    fixed = store(
        7, summit, day=date(2024, 12, 6), time=time(12), zone="America/New_York", precision=Precision.DATETIME
    )
    assert isinstance(match(reread("Summit in", "Summit In"), [fixed]), Same)
    moved = match(reread("December 2024 (date", "January 2025 (date"), [fixed])
    assert isinstance(moved, Change)
    assert moved.fields["day"] == FieldChange(old="2024-12-06", new=None, settled=True)


def test_a_change_against_a_person_says_so() -> None:
    line = drafts()[0]
    known = store(1, line, time=time(13))
    assert isinstance(match(line, [known]), Same)  # the page says nothing new
    verdict = match(reread("February 23, 2024, 12noon", "February 23, 2024, 2 p.m."), [known])
    assert isinstance(verdict, Change)
    assert verdict.fields["time"] == FieldChange(old="13:00:00", new="14:00:00", settled=True)


def test_a_similar_title_on_the_same_date_is_a_proposed_retitle() -> None:
    verdict = match(reread("Restorative Justice &", "Restorative Justice and"), KNOWN)
    assert isinstance(verdict, Retitle)
    assert verdict.known.id == 4
    assert verdict.title.new == "Restorative Justice and Genocide Prevention"


def test_typography_is_no_change() -> None:
    assert isinstance(match(reread('"Restorative Justice', '"Restorative  justice'), KNOWN), Same)


def test_another_title_on_a_known_date_is_new() -> None:
    assert isinstance(
        match(reread("Restorative Justice & Genocide Prevention", "A Film Evening"), KNOWN), New
    )


def test_a_held_line_about_a_known_symposium_is_suspicious() -> None:
    verdict = match(reread("Friday, May 3, 2024", "Monday, May 6, 2025"), KNOWN)
    assert isinstance(verdict, Suspicious)
    assert verdict.known is KNOWN[2]


def test_two_known_ones_of_one_title_are_asked_about() -> None:
    twins = [KNOWN[2], replace(KNOWN[2], id=30, key="other", day=date(2023, 5, 5), month=(2023, 5), raw="")]
    assert isinstance(match(reread("Friday, May 3, 2024", "Friday, June 14, 2024"), twins), Suspicious)
    assert match(drafts()[2], twins) == Same(known=KNOWN[2])


def test_a_vanished_line_is_told_and_is_no_change() -> None:
    review = review_page(drafts()[1:], KNOWN, today=BEFORE)
    assert [known.id for known in review.vanished] == [1]
    assert review.suspect is None


def test_what_is_over_is_not_missed() -> None:
    assert review_page(drafts()[3:], KNOWN, today=date(2024, 6, 1)).vanished == ()


@pytest.mark.parametrize(("left", "words"), [(0, "no programme"), (3, "4 of 7")])
def test_a_page_that_lost_its_programme_is_not_believed(left: int, words: str) -> None:
    assert words in (review_page(drafts()[:left], KNOWN, today=BEFORE).suspect or "")


def test_many_changes_at_once_are_not_believed() -> None:
    later = drafts(SAMPLE.replace("12noon", "5 p.m."))
    review = review_page(later, KNOWN, today=BEFORE)
    assert sum(isinstance(verdict, Change) for _, verdict in review.findings) == 6
    assert "6 symposia at once" in (review.suspect or "")


def test_each_known_symposium_is_matched_once() -> None:
    line = drafts()[2]
    moved = replace(line, day=date(2024, 5, 10), raw="x")
    review = review_page((moved, line), KNOWN, today=BEFORE)
    assert review.findings[1][1] == Same(known=KNOWN[2])
    assert isinstance(review.findings[0][1], New)


def test_a_proposal_read_again_has_the_same_fingerprint() -> None:
    once = match(reread("Friday, May 3, 2024", "Friday, May 10, 2024"), KNOWN)
    again = match(reread("Friday, May 3, 2024", "Friday,  May 10, 2024"), KNOWN)
    other = match(reread("Friday, May 3, 2024", "Friday, May 17, 2024"), KNOWN)
    assert isinstance(once, Change)
    assert isinstance(again, Change)
    assert isinstance(other, Change)
    assert once.fingerprint == again.fingerprint != other.fingerprint
    assert len(once.fingerprint) == 64
