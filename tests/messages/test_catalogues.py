"""The catalogues: complete, with the plurals their language has, and read from .po alone."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from babel import Locale
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.pofile import read_po

from mailer.messages.catalogues import (
    LANGUAGES,
    UnknownLanguage,
    date_in_words,
    direction,
    gettext_for,
    language_name,
    neutral_name,
    number_in_words,
    same_time,
    templates_folder,
    voice,
)
from mailer.messages.words import in_words
from mailer.vocabulary import Precision

PLACEHOLDER = re.compile(r"%\(\w+\)s")
CATALOGUES_PY = Path(__file__).parents[2] / "mailer" / "messages" / "catalogues.py"


def messages_in_use() -> Iterator[str | tuple[str, ...]]:
    options = {
        "extensions": "jinja2.ext.i18n",
        "trim_blocks": "true",
        "lstrip_blocks": "true",
        "silent": "false",
    }
    methods = [("**.html", "jinja2.ext:babel_extract"), ("**.txt", "jinja2.ext:babel_extract")]
    found = extract_from_dir(
        templates_folder() / "email",
        methods,
        {"**.html": options, "**.txt": options},
        directory_filter=lambda _: True,
    )
    yield from (message for _, _, message, _, _ in found)
    yield from (message for _, message, _, _ in extract_from_file("python", CATALOGUES_PY))


def catalogue(language: str) -> Catalog:
    path = templates_folder() / "locale" / language / "LC_MESSAGES" / "mail.po"
    with path.open("rb") as source:
        return read_po(source, locale=language)


def forms(message: Message) -> list[str]:
    """The translations of a message: one, or one for each plural form."""
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_in_use_is_translated_and_no_other_is_kept(language: str) -> None:
    messages = [message for message in catalogue(language) if message.id]
    assert {message.id for message in messages} == set(messages_in_use())
    for message in messages:
        assert not message.fuzzy
        assert all(form.strip() for form in forms(message)), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_survive_translation(language: str) -> None:
    for message in catalogue(language):
        if isinstance(message.id, str):
            assert set(PLACEHOLDER.findall(str(message.string))) == set(PLACEHOLDER.findall(message.id))
            continue
        for form in forms(message):
            assert set(PLACEHOLDER.findall(form)) <= {"%(num)s"}
        assert "%(num)s" in forms(message)[-1]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_plural_forms_are_those_of_the_language(language: str) -> None:
    found = catalogue(language)
    for message in found:
        if message.pluralizable:
            assert len(forms(message)) == found.num_plurals
    known = gettext_for(language)
    numbers = [*range(130), 1000]
    ours = [
        known.ngettext("%(num)s day before the start", "%(num)s days before the start", n) for n in numbers
    ]
    categories = [Locale.parse(language).plural_form(n) for n in numbers]
    # The same category in CLDR's rules never gets two different forms from ours.
    assert len(set(zip(categories, ours, strict=True))) == len(set(categories))


@pytest.mark.parametrize(
    ("language", "number", "phrase"),
    [
        ("uk", 1, "день"), ("uk", 2, "дні"), ("uk", 5, "днів"), ("uk", 11, "днів"), ("uk", 21, "день"),
        ("ar", 1, "بيوم واحد"), ("ar", 2, "بيومين"), ("ar", 3, "أيام"), ("ar", 11, "يومًا"),
        ("ar", 100, "يوم"), ("fr", 1, "jour "), ("fr", 2, "jours "),
        ("en", 1, "day "), ("en", 0, "days "), ("zh", 7, "天"),
    ],
)  # fmt: skip
def test_numbers_take_the_form_a_reader_expects(language: str, number: int, phrase: str) -> None:
    told = gettext_for(language).ngettext(
        "%(num)s day before the start", "%(num)s days before the start", number
    )
    assert phrase in told


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_catalogue_says_whether_a_native_speaker_has_read_it(language: str) -> None:
    source = (templates_folder() / "locale" / language / "LC_MESSAGES" / "mail.po").read_text(
        encoding="utf-8"
    )
    wanted = "source" if language == "en" else "(yes|no)"
    assert re.search(rf'^"X-Reviewed: {wanted}\\n"$', source, re.M)


def test_no_compiled_catalogue_lies_about() -> None:
    assert list(templates_folder().rglob("*.mo")) == []


@pytest.mark.parametrize(
    ("language", "way"),
    [
        ("en", "ltr"), ("es", "ltr"), ("fr", "ltr"), ("ar", "rtl"), ("hy", "ltr"), ("uk", "ltr"),
        ("fa", "rtl"), ("zh", "ltr"), ("he", "rtl"), ("ur", "rtl"), ("ps", "rtl"), ("ckb", "rtl"),
        ("pt-BR", "ltr"),
    ],
)  # fmt: skip
def test_direction_is_that_of_the_language(language: str, way: str) -> None:
    assert direction(language) == way
    assert voice(language).near == {"ltr": "left", "rtl": "right"}[way]


@pytest.mark.parametrize("language", ["xx", "", "not a language", "../../etc", "en/../ar"])
def test_an_unknown_language_is_refused(language: str) -> None:
    with pytest.raises(UnknownLanguage):
        gettext_for(language)
    with pytest.raises(UnknownLanguage):
        direction(language)


def test_a_language_without_a_catalogue_and_an_unknown_domain_are_refused() -> None:
    with pytest.raises(UnknownLanguage, match="Known: en, es"):
        gettext_for("de")
    with pytest.raises(UnknownLanguage, match="no-such-domain"):
        gettext_for("en", "no-such-domain")


def test_words_for_slots_exist_in_every_language() -> None:
    assert len({neutral_name(language) for language in LANGUAGES}) == len(LANGUAGES)
    assert len({same_time(language) for language in LANGUAGES}) == len(LANGUAGES)


def test_dates_numbers_and_names_of_languages_are_said_in_the_language() -> None:
    day = date(2021, 7, 17)
    assert date_in_words(day, said_in="en") == "July 17, 2021"
    assert date_in_words(day, said_in="uk") == "17 липня 2021 р."
    assert date_in_words(day, said_in="fa") == "۱۷ ژوئیهٔ ۲۰۲۱"
    assert number_in_words(72, said_in="fa") == "۷۲"
    assert number_in_words(72, said_in="ar") == "72"
    assert language_name("hy", said_in="en") == "Armenian"
    assert language_name("en", said_in="hy") == "անգլերեն"


@pytest.mark.parametrize("language", LANGUAGES)
def test_dates_use_the_digits_that_times_use(language: str) -> None:
    when = in_words(
        Precision.DATE, day=date(2021, 7, 17), time=None, zone="Asia/Yerevan", language=language, tba="-"
    )
    digits = set(re.findall(r"\d", date_in_words(date(2021, 7, 17), said_in=language)))
    assert digits <= set(re.findall(r"\d", when))
