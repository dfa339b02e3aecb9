"""Mixed direction is right by construction: whatever the frame's language and the text's, in any script.

The frame runs its own way. What is in another language stands in an element that says so, with its own
direction and side, so that no mail program has to guess.
"""

import dataclasses
import re
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailer.messages import templates
from mailer.messages.catalogues import date_in_words, direction
from mailer.messages.facts import CorrectionFacts, RetractionFacts, StatementFacts, TranslationFacts
from mailer.vocabulary import MailingKind
from tests.messages import mail_samples
from tests.messages.whole_mails import text_nodes

WORDS = {
    "en": "Prisoners of war",
    "es": "Prisioneros de guerra",
    "hy": "Ռազմագերիներ",
    "uk": "Військовополонені",
    "ka": "სამხედრო ტყვეები",
    "ar": "أسرى الحرب",
    "fa": "اسیران جنگی",
    "he": "שבויי מלחמה",
    "ur": "جنگی قیدی",
    "ckb": "دیلەکانی جەنگ",
    "zh": "战俘",
    "ja": "捕虜",
    "hi": "युद्धबंदी",
    "am": "የጦር እስረኞች",
}
DAY = date(2021, 7, 17)
MARKS = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
KINDS = (MailingKind.STATEMENT_ALERT, MailingKind.CORRECTION, MailingKind.RETRACTION, MailingKind.TRANSLATION)

pieces = st.sampled_from(
    [*WORDS.values(), "2021", "(212)", "“…”", "<b>", "&", "mailer.example.org", "+374 10"]
)
lines = st.lists(pieces, min_size=1, max_size=5).map(" ".join)


def facts(
    kind: MailingKind, written: str, words: list[str]
) -> StatementFacts | CorrectionFacts | RetractionFacts | TranslationFacts:
    title, body, wrong, right = words
    statement = StatementFacts(
        title=f"{WORDS[written]} {title}",
        published_on=DAY,
        body=f"{WORDS[written]} {body}",
        body_language=written,
        url="https://www.example.org/statements/x",
        topic_name="Statements",
        fallback=True,
    )
    match kind:
        case MailingKind.CORRECTION:
            return CorrectionFacts(**vars(statement), wrong=f"W {wrong}", right=f"R {right}")
        case MailingKind.TRANSLATION:
            return TranslationFacts(**vars(statement))
        case MailingKind.RETRACTION:
            return RetractionFacts(
                title=statement.title,
                body_language=written,
                published_on=DAY,
                reason=f"W {wrong}",
                language=written,
                url=statement.url,
                topic_name="Statements",
            )
        case _:
            return statement


def spoken(node: LexborNode) -> tuple[str, str]:
    """The language and direction in which a text stands: those of the nearest elements that say them."""
    language = way = ""
    current: LexborNode | None = node
    while current is not None and current.tag != "-undef":
        language = language or (current.attributes.get("lang") or "")
        way = way or (current.attributes.get("dir") or "")
        current = current.parent
    return language, way


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(templates.LANGUAGES),
    st.sampled_from(sorted(WORDS)),
    st.lists(lines, min_size=4, max_size=4),
)
def test_every_text_stands_in_its_own_language_and_direction(
    kind: MailingKind, frame: str, written: str, words: list[str]
) -> None:
    said = facts(kind, written, words)
    rendered = templates.render(kind, frame, said, mail_samples.organisation())
    page = LexborHTMLParser(rendered.html)
    root = page.css_first("html")
    assert root is not None
    assert (root.attributes["lang"], root.attributes["dir"]) == (frame, direction(frame))
    for node in page.css("[lang]"):
        assert node.attributes["dir"] == direction(node.attributes["lang"] or "")
    own = (written, direction(written))
    told = {said.title, date_in_words(DAY, said_in=written)}
    told |= {said.wrong, said.right} if isinstance(said, CorrectionFacts) else set()
    told |= {said.reason} if isinstance(said, RetractionFacts) else set()
    body = page.css_first("body")
    assert body is not None
    where = {" ".join(text.split()): spoken(node) for node, text in text_nodes(body)}
    for text in told:
        assert where[" ".join(text.split())] == own, text
    for cell in page.css("td.prose"):
        assert (cell.attributes["lang"], cell.attributes["dir"]) == own
        side = "right" if direction(written) == "rtl" else "left"
        assert f"text-align:{side}" in (cell.attributes["style"] or "").replace(" ", "")
    assert not MARKS.search(rendered.text + rendered.html)


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_keeps_its_words_about_the_text(kind: MailingKind) -> None:
    """Around an English text the Arabic frame stays Arabic, from right to left."""
    said = facts(kind, "en", ["a", "b", "c", "d"])
    if isinstance(said, RetractionFacts):
        said = dataclasses.replace(said, language="ar", reason=WORDS["ar"])
    rendered = templates.render(kind, "ar", said, mail_samples.organisation())
    page = LexborHTMLParser(rendered.html)
    footer = page.css_first("td#footer")
    assert footer is not None
    assert footer.attributes["dir"] == "rtl"
    if isinstance(said, RetractionFacts):
        cell = page.css_first("td.prose")
        assert cell is not None
        assert (cell.attributes["lang"], cell.attributes["dir"]) == ("ar", "rtl")
