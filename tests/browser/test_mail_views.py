"""Every mail in a real Chromium: accessible, readable and whole in every view that can be simulated.

This says that the mails pass these checks. It does not say that they were seen in any mail program.
"""

from itertools import product

import pytest
from inspection import axe_problems, overflow, shown
from mail_samples import Size
from mail_views import as_outlook, forced_dark, inverted_colour, without_styles
from playwright.sync_api import Browser
from whole_mails import whole_mail

from mailer.messages.templates import LANGUAGES
from mailer.vocabulary import MailingKind

pytestmark = pytest.mark.browser

# A mail stands inside another page, which has the landmarks.
NOT_FOR_MAILS = ("region", "landmark-one-main")
DOUBLED = """() => { for (const node of document.querySelectorAll("[style*=font-size]")) {
  const style = getComputedStyle(node), size = parseFloat(style.fontSize), height = parseFloat(style.lineHeight);
  node.dataset.size = 2 * size; node.dataset.height = 2 * height; }
for (const node of document.querySelectorAll("[data-size]")) {
  node.style.fontSize = node.dataset.size + "px"; node.style.lineHeight = node.dataset.height + "px"; } }"""

every_kind = pytest.mark.parametrize("kind", MailingKind, ids=lambda kind: kind.value)


def problems_at(
    chromium: Browser, html: str, widths: tuple[int, ...], schemes: tuple[str, ...] = ("light",)
) -> list[str]:
    found: list[str] = []
    with shown(chromium, html) as (page, asked):
        for width, scheme in product(widths, schemes):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            problems = axe_problems(page, off=NOT_FOR_MAILS) + overflow(page)
            found += [f"{width} {scheme}: {problem}" for problem in problems]
        found += [f"asked for {url}" for url in asked]
    return found


@every_kind
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_accessible_at_every_width_in_light_and_dark(
    chromium: Browser, kind: MailingKind, language: str
) -> None:
    html = whole_mail(kind, language).html
    assert problems_at(chromium, html, (320, 375, 600, 800), ("light", "dark")) == []


@every_kind
@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("size", [Size.LONG, Size.BARE])
def test_it_stays_so_at_its_longest_and_barest(
    chromium: Browser, kind: MailingKind, language: str, size: Size
) -> None:
    html = whole_mail(kind, language, size).html
    assert problems_at(chromium, html, (320, 800), ("light", "dark")) == []


@every_kind
@pytest.mark.parametrize("language", ["en", "fa", "zh"])
def test_it_is_right_without_any_style_block(chromium: Browser, kind: MailingKind, language: str) -> None:
    html = without_styles(whole_mail(kind, language, Size.LONG).html)
    assert "<style>" not in html
    assert problems_at(chromium, html, (375, 600)) == []


@every_kind
@pytest.mark.parametrize("language", ["en", "ar"])
def test_it_is_right_in_the_branch_outlook_takes(chromium: Browser, kind: MailingKind, language: str) -> None:
    html = as_outlook(whole_mail(kind, language).html)
    assert "[if mso]" not in html
    assert problems_at(chromium, html, (800,)) == []


@every_kind
@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize("size", [Size.TYPICAL, Size.LONG])
def test_it_is_readable_when_its_colours_are_inverted_by_force(
    chromium: Browser, kind: MailingKind, language: str, size: Size
) -> None:
    html = forced_dark(whole_mail(kind, language, size).html)
    assert "background-color:#ffffff" not in html
    assert problems_at(chromium, html, (375,)) == []


@every_kind
@pytest.mark.parametrize("language", ["en", "ar"])
def test_it_holds_with_text_doubled_and_with_forced_colours(
    chromium: Browser, kind: MailingKind, language: str
) -> None:
    html = whole_mail(kind, language, Size.LONG).html
    with shown(chromium, html, viewport={"width": 375, "height": 900}, forced_colors="active") as (page, _):
        assert overflow(page) == []
        page.evaluate(DOUBLED)
        assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('h1')).fontSize)") == 52
        assert overflow(page) == []


def test_the_check_itself_finds_a_mail_that_is_wrong(chromium: Browser) -> None:
    html = whole_mail(MailingKind.REMINDER, "en").html
    broken = {
        "color-contrast": html.replace("color:#4a5559", "color:#d0d0d0"),
        "html-has-lang": html.replace('<html lang="en"', "<html"),
        "px wide": html.replace("width:100%;max-width:600px", "width:900px"),
        "asked for": html.replace("<h1", '<img alt="" src="https://tracker.test/x.png"><h1'),
    }
    for word, wrong in broken.items():
        assert wrong != html
        assert any(word in problem for problem in problems_at(chromium, wrong, (375,))), word


def test_inversion_keeps_what_already_stands_out() -> None:
    assert inverted_colour("#ffffff", is_ground=True) == "#202020"
    assert inverted_colour("#ffffff", is_ground=False) == "#ffffff"
    assert inverted_colour("#17566b", is_ground=True) == "#17566b"
    assert inverted_colour("#000000", is_ground=False) == "#d1d1d1"
