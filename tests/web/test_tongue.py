"""Which language a page speaks, and that every one of its words exists in every language."""

from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from hypothesis import given
from hypothesis import strategies as some

from mailer.messages.catalogues import LANGUAGES, templates_folder
from mailer.web.tongue import OWN_NAMES, accepted, best
from tests.web.exhibit import Exhibit
from tests.web.routes import EXAMPLES, NO_PAGES, example
from tests.web.visitor import Visitor


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("fr", "fr"),
        ("FR-ca", "fr"),
        ("de, hy;q=0.5, uk;q=0.7", "uk"),
        ("de-AT,de;q=0.9", "en"),
        ("ar;q=nonsense, fa;q=0.1", "fa"),
        ("zh-Hant-TW", "zh"),
        ("*", "en"),
        (";;;,,,=", "en"),
    ],
)
def test_the_browsers_wish_is_followed(header: str, language: str) -> None:
    assert accepted(header) == language


@given(some.text(max_size=300))
def test_no_header_breaks_a_page(header: str) -> None:
    assert accepted(header) in LANGUAGES


def test_a_persons_languages_come_in_their_order() -> None:
    assert best(["de", "uk", "en"]) == "uk"
    assert best(["de"]) is None
    assert OWN_NAMES["ar"] == "العربية"


def said_in_templates() -> set[str]:
    found: set[str] = set()
    for path in (templates_folder() / "web").glob("*.html"):
        with path.open("rb") as file:
            for _line, message, _comments, _context in extract("jinja2", file):
                found.add(message if isinstance(message, str) else message[0])
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_the_pages_is_in_the_catalogue(language: str) -> None:
    path = Path(templates_folder()) / "locale" / language / "LC_MESSAGES" / "web.po"
    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    said = said_in_templates()
    known = {}
    for message in catalogue:
        if message.id:
            plural = isinstance(message.id, tuple)
            known[message.id[0] if plural else message.id] = message
            forms = message.string if plural else (message.string,)
            assert all(forms), message.id
            assert not message.fuzzy
            assert message.check(catalogue) == [], message.id
    assert set(known) == said
    if language != "en":
        same = [text for text, message in known.items() if message.string == text]
        assert same == [text for text in same if text in {"Error:", "No", "Symposium"}]


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_no_english_is_left_on_a_page(exhibit: Exhibit, looker: Visitor, language: str) -> None:
    english = {text for text in said_in_templates() if len(text.split()) > 2 and "%" not in text}
    for route in set(EXAMPLES) - NO_PAGES:
        if route.startswith("/inbox"):
            continue
        path = example(route, exhibit.scene)
        page = looker.see(f"{path}?lang={language}")
        assert page.css_first("html").attributes["lang"] == language
        assert [text for text in english if text in page.body.text()] == [], route


@pytest.mark.parametrize("route", sorted(set(EXAMPLES) - NO_PAGES))
def test_every_page_is_well_made(exhibit: Exhibit, looker: Visitor, route: str) -> None:
    page = looker.see(example(route, exhibit.scene))
    root = page.css_first("html")
    assert root.attributes["lang"] in LANGUAGES
    assert root.attributes["dir"] in {"ltr", "rtl"}
    assert len(page.css("h1")) == 1
    assert len(page.css("main")) == 1
    assert page.css_first("title").text().endswith("Institute for Prevention")
    assert page.css_first(".skip").attributes["href"] == "#content"
    names = [str(element.attributes["id"]) for element in page.css("[id]")]
    assert len(names) == len(set(names))
    for field in page.css("input:not([type=hidden]), select, textarea"):
        labelled = page.css_first(f'label[for="{field.attributes.get("id")}"]')
        assert labelled is not None or field.parent.tag == "label"
    for element in page.css("[style], [onclick], script:not([type='application/ld+json']), base"):
        raise AssertionError(element.html)
    for asset in page.css("link[rel=stylesheet], link[rel=icon], img, script[src]"):
        assert str(asset.attributes.get("href") or asset.attributes.get("src")).startswith("/")


def test_titles_are_unique(exhibit: Exhibit, looker: Visitor) -> None:
    pages = sorted(set(EXAMPLES) - NO_PAGES)
    titles = [looker.see(example(route, exhibit.scene)).css_first("title").text() for route in pages]
    assert len(titles) == len(set(titles))


def test_a_chosen_language_stays_chosen(exhibit: Exhibit, looker: Visitor) -> None:
    page = looker.see("/?lang=hy")
    inside = [str(a.attributes["href"]) for a in page.css("header a, main a")]
    kept = [address for address in inside if address.startswith("/") and not address.startswith("/inbox")]
    assert kept
    assert all(address.endswith("lang=hy") for address in kept)
