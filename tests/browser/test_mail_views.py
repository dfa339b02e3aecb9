"""Every mail in a real Chromium: accessible, readable and whole in every view that can be simulated.

This says that the mails pass these checks. It does not say that they were seen in any mail program.
"""

from itertools import product

import pytest

from mailer.messages.templates import LANGUAGES
from mailer.vocabulary import MailingKind
from tests.browser.inspection import Screen, axe_problems, overflow
from tests.browser.mail_views import as_outlook, forced_dark, inverted_colour, without_styles
from tests.messages.mail_samples import Size
from tests.messages.whole_mails import whole_mail

pytestmark = pytest.mark.browser

# A mail stands inside another page, which has the landmarks.
NOT_FOR_MAILS = ("region", "landmark-one-main")
DOUBLED = """() => { for (const node of document.querySelectorAll("[style*=font-size]")) {
  const style = getComputedStyle(node);
  node.dataset.size = 2 * parseFloat(style.fontSize);
  node.dataset.height = 2 * parseFloat(style.lineHeight); }
for (const node of document.querySelectorAll("[data-size]")) {
  node.style.fontSize = node.dataset.size + "px"; node.style.lineHeight = node.dataset.height + "px"; } }"""

every_kind = pytest.mark.parametrize("kind", MailingKind, ids=lambda kind: kind.value)


def problems_at(screen: Screen, html: str, widths: tuple[int, ...], *, dark_too: bool = False) -> list[str]:
    """What axe finds at these widths, what overflows, and what was asked for."""
    found: list[str] = []
    page = screen.show(html)
    for width, dark in product(widths, (False, True) if dark_too else (False,)):
        screen.look(width=width, dark=dark)
        problems = axe_problems(page, off=NOT_FOR_MAILS) + overflow(page)
        found += [f"{width}{' dark' if dark else ''}: {problem}" for problem in problems]
    return found + [f"asked for {url}" for url in screen.asked]


@every_kind
@pytest.mark.parametrize("language", ["en", "ar"])
def test_it_is_accessible_at_every_width_in_light_and_dark(
    screen: Screen, kind: MailingKind, language: str
) -> None:
    html = whole_mail(kind, language).html
    assert problems_at(screen, html, (320, 375, 600, 800), dark_too=True) == []


@every_kind
def test_it_fits_in_every_language(screen: Screen, kind: MailingKind) -> None:
    for language, size in product(LANGUAGES, (Size.TYPICAL, Size.LONG)):
        page = screen.show(whole_mail(kind, language, size).html)
        for width in (320, 375, 600, 800):
            screen.look(width=width)
            assert overflow(page) == [], (language, size)


@pytest.mark.parametrize(
    "kind", [MailingKind.STATEMENT_ALERT, MailingKind.REMINDER], ids=lambda kind: kind.value
)
@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {"en", "ar"}))
def test_it_is_accessible_in_every_language(screen: Screen, kind: MailingKind, language: str) -> None:
    assert problems_at(screen, whole_mail(kind, language).html, (320,), dark_too=True) == []


@every_kind
@pytest.mark.parametrize("size", [Size.LONG, Size.BARE])
def test_it_stays_so_at_its_longest_and_barest(screen: Screen, kind: MailingKind, size: Size) -> None:
    html = whole_mail(kind, "ar", size).html
    assert problems_at(screen, html, (320,), dark_too=True) == []


@every_kind
@pytest.mark.parametrize("language", ["en", "fa"])
def test_it_is_right_without_any_style_block(screen: Screen, kind: MailingKind, language: str) -> None:
    html = without_styles(whole_mail(kind, language, Size.LONG).html)
    assert "<style>" not in html
    assert problems_at(screen, html, (375, 600)) == []


@every_kind
@pytest.mark.parametrize("language", ["en", "ar"])
def test_it_is_right_in_the_branch_outlook_takes(screen: Screen, kind: MailingKind, language: str) -> None:
    html = as_outlook(whole_mail(kind, language).html)
    assert "[if mso]" not in html
    assert problems_at(screen, html, (800,)) == []


@every_kind
@pytest.mark.parametrize(("language", "size"), [("en", Size.TYPICAL), ("ar", Size.LONG)])
def test_it_is_readable_when_its_colours_are_inverted_by_force(
    screen: Screen, kind: MailingKind, language: str, size: Size
) -> None:
    html = forced_dark(whole_mail(kind, language, size).html)
    assert "background-color:#ffffff" not in html
    assert problems_at(screen, html, (375,)) == []


@every_kind
@pytest.mark.parametrize("language", ["en", "ar"])
def test_it_holds_with_text_doubled_and_with_forced_colours(
    screen: Screen, kind: MailingKind, language: str
) -> None:
    html = whole_mail(kind, language, Size.LONG).html
    page = screen.show(html)
    screen.look(width=375, forced_colours=True)
    assert overflow(page) == []
    # A table of data may be wider than a window (WCAG 1.4.10 excepts it): its headings keep words whole.
    page.evaluate("document.querySelectorAll('.prose table').forEach(table => table.remove())")
    page.evaluate(DOUBLED)
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('h1')).fontSize)") == 52
    assert overflow(page) == []


def test_the_check_itself_finds_a_mail_that_is_wrong(screen: Screen) -> None:
    html = whole_mail(MailingKind.REMINDER, "en").html
    broken = {
        "color-contrast": html.replace("color:#4a5559", "color:#d0d0d0"),
        "html-has-lang": html.replace('<html lang="en"', "<html"),
        "px wide": html.replace("width:100%;max-width:600px", "width:900px"),
        "asked for": html.replace("<h1", '<img alt="" src="https://tracker.test/x.png"><h1'),
    }
    for word, wrong in broken.items():
        assert wrong != html
        assert any(word in problem for problem in problems_at(screen, wrong, (375,))), word


def test_inversion_keeps_what_already_stands_out() -> None:
    assert inverted_colour("#ffffff", is_ground=True) == "#212121"
    assert inverted_colour("#ffffff", is_ground=False) == "#ffffff"
    assert inverted_colour("#17566b", is_ground=True) == "#17566b"
    assert inverted_colour("#000000", is_ground=False) == "#dbdbdb"
