"""Which language a page speaks: the one asked for in the address, the reader's own, or the browser's."""

from collections.abc import Sequence

from babel import Locale

from mailer.messages.catalogues import LANGUAGES

FALLBACK = "en"
MOST = 20  # entries of Accept-Language that are looked at


def own_name(language: str) -> str:
    """A language's name in itself, as a person looks for it in a list."""
    locale = Locale.parse(language)
    name = locale.get_language_name(language) or language
    return name[0].upper() + name[1:]


OWN_NAMES = {language: own_name(language) for language in LANGUAGES}


def spoken(wished: str | None) -> str | None:
    """The language, when the pages speak it."""
    return wished if wished in LANGUAGES else None


def best(wished: Sequence[str]) -> str | None:
    """The first of a person's languages that the pages speak."""
    return next((language for language in wished if language in LANGUAGES), None)


def accepted(header: str) -> str:
    """The pages' language that fits an Accept-Language header best (RFC 9110 12.5.4)."""
    weighted = []
    for place, part in enumerate(header.split(",")[:MOST]):
        tag, _, parameters = part.partition(";")
        language = tag.strip().lower().split("-")[0]
        if language in LANGUAGES:
            weighted.append((-_weight(parameters), place, language))
    return min(weighted)[2] if weighted else FALLBACK


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
