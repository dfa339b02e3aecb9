"""The languages of the mails: their direction, their script and their words (gettext, CLDR plurals).

Catalogues are .po files in templates/locale, read by Babel when a language is first used; there is
no compiled file beside them that could be stale. Nothing here renders a mail.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Literal

from babel import Locale, UnknownLocaleError
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

LANGUAGES = ("en", "es", "fr", "ar", "hy", "uk", "fa", "zh")

Direction = Literal["ltr", "rtl"]
_PERSIAN_DIGITS = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
_SCRIPT_OF = {"ar": "Arab", "fa": "Arab", "ur": "Arab", "ps": "Arab", "ckb": "Arab", "zh": "Hans"}
_SCRIPT_CLASSES = {"Arab": "tall", "Hans": "han", "Hant": "han"}


class UnknownLanguage(ValueError):
    """A language the mails have no catalogue for."""


@dataclass(frozen=True, kw_only=True)
class Voice:
    """A language as a page needs it: which way it runs and how much room its letters take.

    `near` is the side a line begins at. `script_class` is a class name with a space before it, or empty.
    `gap` is what stands between two sentences: Chinese has no spaces.
    """

    language: str
    direction: Direction
    near: Literal["left", "right"]
    script_class: str
    gap: str


def templates_folder() -> Path:
    """The folder of all templates: inside the package once installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / "email").is_dir():
            return folder
    raise FileNotFoundError(
        f"No templates were found in {package / 'templates'} or {package.parent / 'templates'}. "
        "Install the package again: its templates travel with it."
    )


def direction(language: str) -> Direction:
    """Which way a language is written: any language Babel knows, not only those of the mails."""
    return "rtl" if _locale(language).text_direction == "rtl" else "ltr"


@cache
def voice(language: str) -> Voice:
    """How text in this language is set; raises UnknownLanguage if Babel does not know it."""
    way = direction(language)
    script = _SCRIPT_CLASSES.get(_script(language))
    return Voice(
        language=language,
        direction=way,
        near="right" if way == "rtl" else "left",
        script_class=f" {script}" if script else "",
        gap="" if script == "han" else " ",
    )


def language_name(language: str, *, said_in: str) -> str:
    """The name of a language in another one, as it stands alone after a colon."""
    name = _locale(language).get_language_name(said_in)
    return name or language


@cache
def gettext_for(language: str, domain: str = "mail") -> NullTranslations:
    """The catalogue of a language and domain, read once. Raises UnknownLanguage if there is none."""
    path = templates_folder() / "locale" / language / "LC_MESSAGES" / f"{domain}.po"
    if language not in LANGUAGES or not path.is_file():
        raise UnknownLanguage(
            f'There is no "{domain}" catalogue for the language "{language}". Known: {", ".join(LANGUAGES)}.'
        )
    with path.open("rb") as source:
        catalogue = read_po(source, locale=language, domain=domain)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled, domain)


def neutral_name(language: str) -> str:
    """What to put for `first_name` when no name is known: fits after the greeting of that language."""
    return gettext_for(language).gettext("friend")


def same_time(language: str) -> str:
    """What to put for `local_time` when the reader's clock shows the symposium's own time."""
    return gettext_for(language).gettext("Your clock shows the same time.")


def to_be_announced(language: str) -> str:
    """What to put for a place that is not known any more."""
    return gettext_for(language).gettext("To be announced")


def online_words(language: str, online: bool) -> str:
    """How one takes part."""
    catalogue = gettext_for(language)
    return catalogue.gettext("Online") if online else catalogue.gettext("In person")


def still_open(language: str, *, day_known: bool) -> str:
    """The remark on what of a date has not been announced yet: its hour, or the day itself."""
    catalogue = gettext_for(language)
    return (
        catalogue.gettext("time to be announced") if day_known else catalogue.gettext("date to be announced")
    )


def end_estimated(language: str) -> str:
    """What a calendar entry says of an end that nobody announced."""
    return gettext_for(language).gettext("The end has not been announced; the end given here is an estimate.")


def date_in_words(day: date, *, said_in: str) -> str:
    """A date alone, without its weekday: "July 17, 2021". CLDR's U+202F is a plain space here."""
    written = format_date(day, format="long", locale=_locale(said_in))
    return _digits(written.replace("\u202f", " "), said_in)


def number_in_words(number: int, *, said_in: str) -> str:
    """A whole number in the digits of the language."""
    return _digits(str(number), said_in)


def _digits(text: str, language: str) -> str:
    return text.translate(_PERSIAN_DIGITS) if language == "fa" else text


def _locale(language: str) -> Locale:
    try:
        return Locale.parse(language, sep="-")
    except (ValueError, UnknownLocaleError) as error:
        raise UnknownLanguage(f'"{language}" is not a language tag such as "en" or "ar".') from error


@cache
def _script(language: str) -> str:
    """The ISO 15924 code of the script, where it needs other room than Latin letters; else empty."""
    locale = _locale(language)
    return str(locale.script or _SCRIPT_OF.get(locale.language, ""))
