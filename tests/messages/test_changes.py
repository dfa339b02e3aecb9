"""What changed between two texts: nothing is lost, and what is shown can be read."""

from hypothesis import given
from hypothesis import strategies as st

from mailer.messages.changes import Change, changes

paragraphs = st.lists(
    st.lists(
        st.sampled_from(["one", "two", "three", "212", "գերի", "أسرى", "战俘", "(so)", "–"]), min_size=1
    ).map(" ".join),
    max_size=5,
).map("\n\n".join)


def shown(old: str, new: str) -> list[str]:
    marks = {Change.SAME: "{}", Change.REMOVED: "[-{}-]", Change.ADDED: "[+{}+]"}
    return [
        "".join(marks[piece.change].format(piece.text) for piece in paragraph)
        for paragraph in changes(old, new)
    ]


def test_a_word_is_shown_in_its_sentence() -> None:
    old = "The same.\n\nIn November 212 people were held.\n\nAnd the end."
    new = "The same.\n\nIn November 188 people were held.\n\nAnd the end."
    assert shown(old, new) == ["In November [-212-][+188+] people were held."]


def test_words_in_a_row_stay_together() -> None:
    assert shown("They were sixty two in all.", "They were eighty eight in all.") == [
        "They were [-sixty two-][+eighty eight+] in all."
    ]


def test_a_paragraph_that_came_or_went_is_shown_whole() -> None:
    assert shown("One.\n\nTwo words here.", "One.") == ["[-Two words here.-]"]
    assert shown("One.", "One.\n\nTwo words here.") == ["[+Two words here.+]"]
    assert shown("Wholly other.", "Nothing in common with it") == [
        "[-Wholly other.-]",
        "[+Nothing in common with it+]",
    ]


@given(paragraphs, paragraphs)
def test_both_texts_can_be_read_off_what_changed(old: str, new: str) -> None:
    found = changes(old, new)
    before = [text for text in old.split("\n\n") if text.strip()]
    after = [text for text in new.split("\n\n") if text.strip()]
    for paragraph in found:
        was = "".join(piece.text for piece in paragraph if piece.change is not Change.ADDED)
        now = "".join(piece.text for piece in paragraph if piece.change is not Change.REMOVED)
        assert not was or was in before
        assert not now or now in after
    assert bool(found) == (before != after)
