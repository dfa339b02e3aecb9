"""The sample page comes out exactly; what is doubtful is held, and nothing is dropped."""

from datetime import date, time
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.ingest.draft import PageDraft, SymposiumDraft
from mailer.ingest.errors import PageError
from mailer.ingest.page import PAGE_BYTES, read_page
from mailer.vocabulary import FieldSource, Precision

FETCHED = date(2026, 11, 23)
SAMPLE = files("mailer.ingest").joinpath("sample_page.txt").read_text(encoding="utf-8")
SERIES = "As part of the Year of Prevention, the institute hosts a series of online symposia."


def read(text: str, **more: str) -> PageDraft:
    return read_page(text, fetched_on=FETCHED, source=more.get("source", "page.txt"))


def programme(*lines: str) -> tuple[SymposiumDraft, ...]:
    return read("\n".join(lines)).symposia


def test_the_sample_page_has_one_statement_without_the_pages_furniture() -> None:
    page = read(SAMPLE)
    (statement,) = page.statements
    assert statement.title == "Statement on the Continued Inhumane and Illegal Detention of Armenian POWs"
    assert statement.published_on == date(2021, 7, 17)
    assert len(statement.paragraphs) == 4
    assert statement.sources["title"] is FieldSource.EXPLICIT
    assert statement.key.startswith("sha256:")
    for furniture in (
        "page",
        "EIN",
        "©",
        "Instagram",
        "Friday",
        "Register",
        "Year of Prevention",
        "nonprofit",
    ):
        assert furniture not in statement.body
    assert not page.unread
    assert not page.questions
    assert not page.notes


def test_the_sample_page_has_seven_symposia() -> None:
    found = [
        (s.title, s.day, s.month, s.time, s.zone, s.precision, s.sources["year"])
        for s in read(SAMPLE).symposia
    ]
    noon = (time(12), "America/New_York", Precision.DATETIME)
    explicit, weekday = FieldSource.EXPLICIT, FieldSource.WEEKDAY
    assert found == [
        ("How to Identify Genocide: The Ukraine Case", date(2024, 2, 23), (2024, 2), *noon, explicit),
        ("When Genocide is Global: The Case of Armenians", date(2024, 3, 22), (2024, 3), *noon, explicit),
        ("Hidden in Plain View: The Case of Genocide in Gaza", date(2024, 5, 3), (2024, 5), *noon, explicit),
        ("Restorative Justice & Genocide Prevention", date(2024, 7, 26), (2024, 7), *noon, explicit),
        ("We Charge Genocide: Anti-Black Racism & Genocide", date(2024, 9, 27), (2024, 9), *noon, weekday),
        (
            "Stochastic v. Defined Intent: Femicide, Anti-Trans Genocide, and LGBTQ+ Hate",
            date(2024, 11, 15),
            (2024, 11),
            *noon,
            explicit,
        ),
        (
            "Online Global Youth Summit in Genocide Prevention",
            None,
            (2024, 12),
            None,
            None,
            Precision.MONTH,
            explicit,
        ),
    ]


def test_only_the_inferred_year_needs_confirmation() -> None:
    symposia = read(SAMPLE).symposia
    assert [s.day for s in symposia if s.needs_confirmation] == [date(2024, 9, 27)]
    assert not any(s.held or s.warnings for s in symposia)


def test_the_series_is_read_beside_the_block_and_a_missing_link_is_not_guessed() -> None:
    for symposium in read(SAMPLE).symposia:
        assert symposium.series == "Year of Prevention"
        assert (symposium.series_text or "").startswith("As part of the Year of Prevention, the ")
        assert symposium.register_url is None
        assert "register_url" not in symposium.sources


def test_a_changed_programme_is_not_an_edited_statement() -> None:
    changed = read(SAMPLE.replace("12noon", "5 p.m.").replace("July 26", "August 2"))
    assert changed.statements == read(SAMPLE).statements


def test_the_day_of_fetching_does_not_change_the_page() -> None:
    assert read_page(SAMPLE, fetched_on=date(2031, 1, 1), source="page.txt") == read(SAMPLE)


@pytest.mark.parametrize("ends", ["\r\n", "\r", "\u2028"])
def test_line_ends_do_not_matter(ends: str) -> None:
    assert read(SAMPLE.replace("\n", ends)).symposia == read(SAMPLE).symposia


def test_a_contradiction_is_held_with_a_question_naming_the_line() -> None:
    page = read(SAMPLE.replace("Friday, May 3, 2024", "Monday, September 27, 2024"))
    held = page.symposia[2]
    assert held.day is None
    assert held.precision is Precision.NONE
    assert date(2024, 9, 27) in held.readings
    (question,) = page.questions
    assert question.startswith(f"Line {held.line}, “Monday, September 27, 2024, 12noon ET")
    assert "is a Friday" in question


def test_one_title_with_two_dates_is_held_twice() -> None:
    found = programme('Friday, May 3, 2024, 12noon ET, "One"', 'Friday, July 26, 2024, 12noon ET, "One"')
    assert [s.readings for s in found] == [(date(2024, 5, 3), date(2024, 7, 26))] * 2
    assert all("one title two dates" in (s.held or "") for s in found)


def test_a_programme_printed_twice_is_read_once() -> None:
    lines = ('Friday, May 3, 2024, 12noon ET, "One"', 'Friday, July 26, 2024, 12noon ET, "Two"')
    assert [s.title for s in programme(*lines, "", *lines)] == ["One", "Two"]


def test_a_lone_line_is_offered_not_taken() -> None:
    page = read('Words before.\n\nFriday, May 3, 2024, 12noon ET, "Alone"\n\nWords after.')
    (offered,) = page.symposia
    assert "stands alone" in (offered.held or "")
    assert offered.day == date(2024, 5, 3)
    assert len(page.notes) == 1
    assert not page.questions


def test_a_line_among_others_that_cannot_be_read_is_listed() -> None:
    page = read(
        'Friday, May 3, 2024, 12noon ET, "One"\n'
        "Friday 24 May at noon: Two\n"
        'Friday, July 26, 2024, 12noon ET, "Three"'
    )
    assert [s.title for s in page.symposia] == ["One", "Three"]
    (unread,) = page.unread
    assert (unread.number, unread.text) == (2, "Friday 24 May at noon: Two")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('Friday, May 3, 2024, midnight ET, "T"', "start or the end"),
        ('Friday, May 3, 2024, 12noon CST, "T"', "CST"),
        ('Friday, May 3, 2024, 12noon, "T"', "no time zone"),
        ('Sunday, March 10, 2024, 2:30 a.m. ET, "T"', "does not exist"),
        ('Sunday, November 3, 2024, 1:30 a.m. ET, "T"', "happens twice"),
        ('May 3, "T"', "without a weekday"),
    ],
)
def test_what_leaves_a_question_open_is_held(line: str, words: str) -> None:
    page = read(f'{line}\nFriday, July 26, 2024, 12noon ET, "Other"')
    assert words in (page.symposia[0].held or "")
    assert page.symposia[0].precision is not Precision.DATETIME or "clocks change" in (
        page.symposia[0].held or ""
    )
    assert len(page.questions) == 1


def test_est_on_a_summer_date_is_new_yorks_time_with_a_warning() -> None:
    first, second = programme('May 3, 2024, 12noon EST, "A"', 'December 6, 2024, 12noon EST, "B"')
    assert (first.zone, first.held, len(first.warnings)) == ("America/New_York", None, 1)
    assert second.warnings == ()


STATEMENT = "A Title\n\nJuly 17, 2021\n\nFirst paragraph.\n\n{middle}\n\nLast paragraph."


@pytest.mark.parametrize(
    "middle",
    [
        "December 15, 2020, the last of them went home.",
        "November 9, 2020, a ceasefire was signed.\n\nDecember 15, 2020, one side had kept it.",
        "December 15, 2020 was a Tuesday.",
        "They had to return everyone, and on the agreed day, which was\nDecember 15, 2020, one had.",
        "As part of the negotiations, a series of talks began.",
        "Since 1923, and © 1994 by nobody, the region changed.",
    ],
)
def test_dates_in_prose_make_no_event_and_stay_in_the_text(middle: str) -> None:
    page = read(STATEMENT.format(middle=middle))
    assert page.symposia == ()
    (statement,) = page.statements
    assert statement.paragraphs[0] == "First paragraph."
    assert statement.paragraphs[-1] == "Last paragraph."
    assert " ".join(middle.split()) in " ".join(statement.raw.split())


def test_wrapped_paragraphs_are_joined() -> None:
    (statement,) = read("A Title\n\nJuly 17, 2021\n\nOne line\nand the next.\n\nTwo.").statements
    assert statement.body == "One line and the next.\n\nTwo."


def test_two_statements_on_one_page() -> None:
    text = "First Title\n\nJuly 17, 2021\n\nIts words.\n\nSecond Title\n\nAugust 2, 2022\n\nOther words."
    page = read(text)
    assert [(s.title, s.published_on, s.body) for s in page.statements] == [
        ("First Title", date(2021, 7, 17), "Its words."),
        ("Second Title", date(2022, 8, 2), "Other words."),
    ]
    assert len({s.key for s in page.statements}) == 2


def test_a_date_without_a_text_is_unread() -> None:
    page = read("Some Talk\n\nJuly 17, 2021\n\nOther Talk\n\nAugust 2, 2022")
    assert [line.text for line in page.unread][-1] == "August 2, 2022"


def test_text_that_looks_like_markdown_keeps_its_letters() -> None:
    (statement,) = read("A Title\n\nJuly 17, 2021\n\n1. *Stars* and ((first_name)) & <b>.").statements
    assert statement.body == r"1\. \*Stars\* and \(\(first_name\)\) & \<b\>."
    assert "((" not in statement.body


def test_a_page_with_nothing_on_it_asks_what_to_do() -> None:
    page = read("Hello.\n\nNothing here.")
    assert not page.statements
    assert not page.symposia
    assert "A statement is a title" in page.questions[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \n\t\ufeff", "empty"),
        ("a\0b", "binary"),
        ("\x01\x02\x03" * 100, "binary"),
        ("x" * (PAGE_BYTES + 1), "larger than 2 MiB"),
    ],
)
def test_what_is_no_page_is_refused_with_the_next_step(text: str, words: str) -> None:
    with pytest.raises(PageError, match=words) as refused:
        read(text)
    assert any(step in str(refused.value) for step in ("Save", "Copy", "copy"))


@settings(deadline=None)
@given(st.text(max_size=500))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        page = read(text)
    except PageError:
        return
    assert all(draft.key for draft in (*page.statements, *page.symposia))


@settings(max_examples=50, deadline=None)
@given(st.permutations([line for line in SAMPLE.splitlines() if "ET," in line or "TBA" in line]))
def test_in_any_order_no_line_is_lost_and_no_year_is_wrong(lines: list[str]) -> None:
    page = read("\n".join(lines))
    assert len(page.symposia) == 7
    assert all(s.held or (s.month and s.month[0] == 2024) for s in page.symposia)
