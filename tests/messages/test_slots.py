"""Slots: their markers, what may forge them, and staff's placeholders."""

import html

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mailer.messages.slots import (
    MarkerInText,
    Slot,
    UnknownPlaceholder,
    expand_placeholders,
    find_slots,
    refuse_markers,
    split_slots,
    text_slot,
    url_slot,
)

NAMES = frozenset({"first_name", "local_time", "preferences_url"})


def test_both_kinds_are_found_and_split_in_order() -> None:
    text = f"Dear {text_slot('first_name')}, {url_slot('preferences_url')}!"
    assert find_slots(text) == {"first_name", "preferences_url"}
    assert split_slots(text) == [
        "Dear ",
        Slot(name="first_name", is_url=False),
        ", ",
        Slot(name="preferences_url", is_url=True),
        "!",
    ]


def test_text_without_slots_is_one_piece_and_no_text_is_none() -> None:
    assert split_slots("plain") == ["plain"]
    assert split_slots("") == []


@pytest.mark.parametrize("name", ["", "First", "1st", "a b", "a-b", "a" * 41, "naïve", "a~"])
def test_a_slot_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match="a-z"):
        text_slot(name)
    with pytest.raises(ValueError, match="a-z"):
        url_slot(name)


@pytest.mark.parametrize(
    "damaged",
    [
        "\ue000first_name",
        "first_name\ue001",
        "\ue000First name\ue001",
        "https://slot.invalid/~x",
        "http://slot.invalid/~x~",
        "https://SLOT.invalid/~x~",
        "%EE%80%80first_name%EE%80%81",
    ],
)
def test_half_a_marker_is_refused(damaged: str) -> None:
    with pytest.raises(MarkerInText):
        split_slots(f"before {damaged} after")


@pytest.mark.parametrize(
    "outside",
    [
        text_slot("first_name"),
        url_slot("unsubscribe_url"),
        "\ue000",
        "\ue001",
        "&#xE000;first_name&#57345;",
        "https://slot&#46;invalid/~x~",
        "Slot.Invalid",
    ],
)
def test_text_from_outside_may_not_hold_or_become_a_marker(outside: str) -> None:
    with pytest.raises(MarkerInText, match="remove it"):
        refuse_markers(f"a {outside} b")
    with pytest.raises(MarkerInText):
        expand_placeholders(f"a {outside} b", NAMES)


def test_ordinary_text_passes() -> None:
    refuse_markers("A slot, invalid or not; &amp; 'quotes' (brackets) {{ braces }} \ue002 ((name))")


def test_placeholders_become_markers_of_their_kind() -> None:
    assert expand_placeholders("Dear (( first_name )), ((local_time))", NAMES) == (
        f"Dear {text_slot('first_name')}, {text_slot('local_time')}"
    )
    assert expand_placeholders("[x](((preferences_url)))", NAMES) == f"[x]({url_slot('preferences_url')})"


@pytest.mark.parametrize(
    ("text", "name", "line", "suggestion"),
    [
        ("one\ntwo ((frist_name))", "frist_name", 2, "first_name"),
        ("((First Name))", "First Name", 1, "first_name"),
        ("((first_name.upper))", "first_name.upper", 1, "first_name"),
        ("((password))", "password", 1, None),
        ("(())", "", 1, None),
        ("a\n\n((first_name", "first_name", 3, None),
        ("((first_name) )", "first_name", 1, None),
        ("((first\nname))", "first", 1, None),
    ],
)
def test_an_unknown_placeholder_is_named_with_line_and_suggestion(
    text: str, name: str, line: int, suggestion: str | None
) -> None:
    with pytest.raises(UnknownPlaceholder) as refused:
        expand_placeholders(text, NAMES)
    assert (refused.value.name, refused.value.line, refused.value.suggestion) == (name, line, suggestion)
    assert f"line {line}" in str(refused.value)


def test_escaped_brackets_stay_letters() -> None:
    written = expand_placeholders(r"\((first_name)) and (a (b) c) and {{ x }} {% y %}", NAMES)
    assert find_slots(written) == frozenset()
    assert "((first_name))" in MarkdownIt("commonmark").render(written)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_whatever_staff_write_gives_only_allowed_slots_or_an_error(text: str) -> None:
    try:
        expanded = expand_placeholders(f"{text} ((first_name)) {text}", NAMES)
    except (UnknownPlaceholder, MarkerInText):
        return
    assert find_slots(expanded) <= NAMES
    assert "first_name" in find_slots(html.unescape(expanded))
