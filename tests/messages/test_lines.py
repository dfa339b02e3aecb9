"""Lines of plain text: their width, where they are folded and cut, in every script."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.messages.lines import (
    WIDTH,
    columns,
    fold,
    is_right_to_left,
    length,
    shorten,
    unbroken,
    underline,
)
from mailer.messages.slots import find_slots, split_slots, text_slot, url_slot

NAME = text_slot("first_name")
words = st.lists(
    st.one_of(
        st.text(
            st.characters(categories=("L", "N", "P", "M"), exclude_characters="%"), min_size=1, max_size=30
        ),
        st.sampled_from([NAME, url_slot("confirm_url"), "研讨会的最新信息", "ծրագիրը", "«Так»"]),
    ),
    max_size=30,
).map(" ".join)


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("abc", 3),
        ("研讨会", 6),
        ("e\u0301", 1),
        ("تأكيدٌ", 5),
        ("a\u200bb", 2),
        (NAME, 12),
        (f"-{NAME}-", 14),
    ],
)
def test_width_is_counted_in_columns(text: str, width: int) -> None:
    assert columns(text) == width


def test_a_title_is_underlined_as_far_as_it_goes() -> None:
    assert underline("Law") == "==="
    assert underline("声明", "-") == "----"
    assert underline("x" * 200) == "=" * WIDTH
    assert underline("") == "="


def test_lines_are_folded_at_words_and_keep_their_indent() -> None:
    folded = fold("  " + "word " * 30 + "\nshort\n\nhttps://www.example.org/" + "a" * 90)
    first, *rest = folded.split("\n")
    assert first == "  " + " ".join(["word"] * 14)
    assert rest[0].startswith("  word")
    assert rest[-3:] == ["short", "", "https://www.example.org/" + "a" * 90]


def test_chinese_is_folded_between_characters_but_never_before_a_full_stop() -> None:
    sentence = "您" * 35 + "。" + "您的地址只由我们保管"
    assert fold(sentence) == "您" * 35 + "。\n您的地址只由我们保管"
    assert fold("您" * 36 + "。您") == "您" * 35 + "\n您。您"
    assert fold("您" * 35 + "“是”，将") == "您" * 35 + "\n“是”，将"


def test_right_to_left_lines_stay_whole() -> None:
    line = "تصلكم هذه الرسالة لأنكم سجّلتم في هذه الندوة. " * 4
    assert fold(line) == line.rstrip()
    assert is_right_to_left("1. «ع")
    assert not is_right_to_left("UTC: الجمعة")
    assert not is_right_to_left("12:00")


@given(words)
def test_folding_loses_nothing_and_leaves_no_line_too_wide(text: str) -> None:
    folded = fold(text)
    assert folded.replace("\n", "").replace(" ", "") == text.replace(" ", "")
    assert find_slots(folded) == find_slots(text)
    for line in folded.split("\n"):
        assert columns(line) <= WIDTH or " " not in line.strip() or is_right_to_left(line)


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("As long as it may be", 20, "As long as it may be"),
        ("One word too many here", 20, "One word too many…"),
        ("Ends, with a comma here", 8, "Ends…"),
        ("x" * 30, 10, "x" * 9 + "…"),
        ("声明" * 10, 10, "声明声明声明声明声…"),
        (f"Dear {NAME}, hello", 10, "Dear…"),
        (f"Dear {NAME}, hello", 20, f"Dear {NAME}…"),
    ],
)
def test_a_text_is_cut_after_a_word_with_an_ellipsis(text: str, limit: int, short: str) -> None:
    assert shorten(text, limit) == short


def test_a_letter_is_not_parted_from_its_marks() -> None:
    assert shorten("e\u0301" * 6, 6) == "e\u0301" * 2 + "…"


@given(words, st.integers(min_value=1, max_value=100))
def test_a_cut_keeps_to_its_limit_and_cuts_no_slot(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert length(short) <= limit
    assert text.startswith(short.removesuffix("…"))
    assert split_slots(short) is not None  # raises MarkerInText if a marker was cut


def test_a_time_in_words_breaks_where_a_reader_would_break_it() -> None:
    told = unbroken("Friday, September 27, 2024, 12 noon Eastern Time (New York, UTC-4)")
    assert told.split(" ")[-4:] == ["12\u00a0noon", "Eastern", "Time", "(New\u00a0York,\u00a0UTC-4)"]
    assert unbroken("Online") == "Online"
