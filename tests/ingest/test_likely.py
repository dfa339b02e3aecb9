"""A statement is alerted once, however often and wherever it is seen."""

from dataclasses import replace
from datetime import date

from mailer.ingest.draft import StatementDraft
from mailer.ingest.likely import (
    EditedStatement,
    KnownStatement,
    NewStatement,
    PerhapsSame,
    SameStatement,
    match_statement,
    resemblance,
)

WORDS = " ".join(f"word{number}" for number in range(200))
DRAFT = StatementDraft(
    key="https://example.org/s",
    title="On the Captives",
    published_on=date(2021, 7, 17),
    body=WORDS,
    language="en",
    url="https://example.org/s",
    sources={},
    raw="",
)
KNOWN = KnownStatement(
    id=1, key=DRAFT.key, title=DRAFT.title, published_on=DRAFT.published_on, body=DRAFT.body
)


def test_the_same_statement() -> None:
    assert match_statement(DRAFT, [KNOWN]) == SameStatement(known=KNOWN)


def test_an_edit_names_what_changed() -> None:
    edited = replace(DRAFT, body=WORDS + " more", title="On the Captives!")
    assert match_statement(edited, [KNOWN]) == EditedStatement(known=KNOWN, fields=("title", "body"))


def test_the_same_title_near_in_time_is_perhaps_the_same() -> None:
    pasted = replace(DRAFT, key="sha256:x", title="“On the captives”", body="Quite other words.")
    assert isinstance(match_statement(pasted, [KNOWN]), PerhapsSame)
    assert match_statement(replace(pasted, published_on=date(2021, 9, 1)), [KNOWN]) == NewStatement()


def test_almost_the_same_text_is_perhaps_the_same() -> None:
    pasted = replace(
        DRAFT, key="sha256:x", title="Another Title", body=WORDS.replace("word7 ", "word_seven ")
    )
    assert isinstance(match_statement(pasted, [KNOWN]), PerhapsSame)
    assert match_statement(replace(pasted, published_on=date(2022, 7, 17)), [KNOWN]) == NewStatement()


def test_resemblance_is_a_share() -> None:
    assert resemblance("a b c d", "a b c d") == 1
    assert resemblance("a b c d", "x y z w") == 0
    assert resemblance("", "") == 1
