"""The small signs: each language's own punctuation and blanks, in the catalogues and in the text of mails."""

import re
from collections.abc import Iterator

import pytest
from babel.messages.pofile import read_po

from mailer.messages.catalogues import LANGUAGES, templates_folder
from mailer.messages.lines import offset_at_end, unbroken
from tests.messages.whole_mails import every_mail

# What is never said, once placeholders, addresses and names of files are out of the way.
NOT_WORDS = re.compile(r"%\(\w+\)s|\S+@\S+|\(?\.ics\)?|UTC-?\d*|Atom")
NEVER = {
    "fr": r"(?<!\N{NO-BREAK SPACE})[?!:;»](\s|$)|«(?!\N{NO-BREAK SPACE})",
    "ar": r"[,;?]",
    "fa": r"[,;?]",
    "zh": r"[,;:?!]|\.(\s|$)",
    "hy": r"[?!]|:(\s|$)",
    "es": r"^[^¿]*\?|^[^¡]*!",
}


def said_in(language: str) -> Iterator[str]:
    for domain in ("mail", "web"):
        path = templates_folder() / "locale" / language / "LC_MESSAGES" / f"{domain}.po"
        with path.open("rb") as source:
            for message in read_po(source, locale=language):
                if message.id:
                    yield from [message.string] if isinstance(message.string, str) else message.string


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_have_the_punctuation_of_their_language(language: str) -> None:
    never = re.compile(NEVER.get(language, r"(?!)"))
    odd = [said for said in said_in(language) if never.search(NOT_WORDS.sub("X", said))]
    assert odd == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_have_no_typewriters_quotes_and_no_doubled_blanks(language: str) -> None:
    assert [said for said in said_in(language) if re.search(r"[\"']|\s\s|^\s|\s$", said)] == []


def test_no_line_of_a_mail_holds_a_doubled_blank_or_a_placeholder() -> None:
    wrong = re.compile(r"\S  +\S|\s$|%\(|\{\{|\bNone\b|\(\(|\(\)|\s[,.](\s|$)")
    odd = {
        (str(mail), line)
        for mail in every_mail()
        for line in (mail.subject, *mail.text.splitlines())
        if wrong.search(line)
    }
    assert odd == set()


def test_a_year_and_its_remark_may_part_but_the_remark_stays_whole() -> None:
    assert unbroken("September 2024 (date to be announced)").split(" ") == [
        "September",
        "2024",
        "(date\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}be\N{NO-BREAK SPACE}announced)",
    ]


def test_the_offset_stays_whole_at_its_hyphen() -> None:
    assert offset_at_end(unbroken("12:00 за східним часом (Нью-Йорк, UTC-4)")) == "UTC-4)"
