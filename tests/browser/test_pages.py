"""Every page in a real Chromium: readable, usable by keyboard and without scripts, and asking nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from mailer.services.house import House
from mailer.vocabulary import SubscriptionState
from mailer.web.app import create_app
from tests.browser.inspection import axe_problems, overflow
from tests.conftest import NOON
from tests.web.exhibit import Exhibit, open_exhibit
from tests.web.routes import EXAMPLES, NO_PAGES, example
from tests.web.scene import Scene, furnish
from tests.web.serving import Serving
from tests.web.test_unsubscribe import state

pytestmark = pytest.mark.browser

Look = tuple[dict[str, Any], tuple[int, int]]

WATCH = (
    "window.__csp=[];"
    "addEventListener('securitypolicyviolation',e=>__csp.push(e.violatedDirective+' '+e.blockedURI))"
)
SPACING = (
    "* {line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important}"
    "p {margin-bottom: 2em !important}"
)
# What the reader's machine wishes, as emulate_media takes it, and the window's size.
LIGHT: Look = ({"color_scheme": "light", "forced_colors": "none"}, (1100, 800))
DARK: Look = ({"color_scheme": "dark", "forced_colors": "none"}, (1100, 800))
NARROW: Look = ({"color_scheme": "light", "forced_colors": "none"}, (320, 600))
DARK_PHONE: Look = ({"color_scheme": "dark", "forced_colors": "none"}, (375, 700))
FORCED: Look = ({"color_scheme": "light", "forced_colors": "active"}, (800, 800))
# By the language that the browser asks for: one page is opened in each, and looked at in every look.
LOOKS: dict[str, tuple[Look, ...]] = {"en": (LIGHT, DARK, NARROW, FORCED), "ar": (DARK_PHONE,)}
# Pages of the same route that look different, and pages that are no success.
STATES = {
    "an Arabic unsubscribe page": ("/u/{leave_arabic}", 200),
    "unsubscribed": ("/u/{left}", 200),
    "stop the reminders": ("/u/{stop_reminders}", 200),
    "press again": ("/u/{leave}?again=1", 200),
    "a broken link": ("/u/cut-short", 404),
    "confirmed": ("/c/{confirmed}", 200),
    "an expired confirmation": ("/c/{confirm_expired}", 410),
    "an unknown confirmation": ("/c/unknown", 404),
    "Arabic preferences, saved": ("/p/{preferences_arabic}?saved=1", 200),
    "expired preferences": ("/p/{preferences_expired}", 410),
    "a statement in Arabic": ("/statements/prisoners-of-war?text=ar", 200),
    "a statement in another language than the page": ("/statements/prisoners-of-war?lang=uk", 200),
    "a corrected statement": ("/statements/a-corrected-one", 200),
    "a corrected statement in Arabic": ("/statements/a-corrected-one?lang=ar", 200),
    "a correction in another language than the page": ("/statements/a-corrected-one?lang=fa", 200),
    "a retracted statement": ("/statements/a-retracted-one", 200),
    "a moved symposium": ("/symposia/global?zone=Asia/Yerevan", 200),
    "a symposium called off": ("/symposia/called-off", 200),
    "a month": ("/symposia/summit", 200),
    "Persian": ("/symposia?lang=fa", 200),
    "Armenian": ("/subscribe?lang=hy", 200),
    "Chinese": ("/help?lang=zh", 200),
    "nothing found": ("/inbox?q=nothing-of-the-kind", 200),
    "a dark mail on a phone": ("/inbox/2?width=phone&dark=1", 200),
    "a registration that waits, in Arabic": ("/r/{own_arabic}", 200),
    "a registration withdrawn": ("/r/{own_withdrawn}", 200),
    "a request that has expired": ("/attend/{attend_expired}", 410),
    "a request that was confirmed": ("/attend/{attended}", 200),
    "a room that is not open yet": ("/j/{join_not_yet}", 200),
    "a door that was shut": ("/j/{join_shut}", 410),
    "registration in Armenian": ("/symposia/restorative/register?lang=hy", 200),
    "a series in Persian": ("/series/prevention?lang=fa", 200),
    "no such page": ("/no/such/page", 404),
}


@pytest.fixture(scope="module")
def exhibit(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exhibit]:
    with open_exhibit(sqlite_template, tmp_path_factory.mktemp("exhibit")) as exhibit:
        yield exhibit


@pytest.fixture(scope="module")
def serving(exhibit: Exhibit) -> Iterator[Serving]:
    serving = Serving(exhibit.app)
    yield serving
    serving.stop()


@contextmanager
def watched(browser: Browser, **context: Any) -> Iterator[tuple[Page, list[str]]]:
    """A page in a context of its own, and the list of what its console complains of."""
    opened = browser.new_context(**context)
    complaints: list[str] = []
    opened.add_init_script(WATCH)
    try:
        page = opened.new_page()
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        yield page, complaints
    finally:
        opened.close()


def looks(page: Page, language: str) -> Iterator[str]:
    """The same page in one look after the other; gives the look's name."""
    for wishes, (width, height) in LOOKS[language]:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(**wishes)
        yield f"{language}, {wishes}, {width} px"


def problems(page: Page) -> list[str]:
    """What axe finds; the mail inside a sandboxed frame is looked at by other tests."""
    return axe_problems(page, iframes=False)


def inspect(browser: Browser, serving: Serving, path: str, status: int = 200) -> None:
    for language in LOOKS:
        with watched(browser, locale=language) as (page, complaints):
            foreign: list[str] = []
            page.on(
                "request",
                lambda request, seen=foreign: (
                    None if request.url.startswith(serving.url) else seen.append(request.url)
                ),
            )
            answer = page.goto(serving.url + path)
            assert answer is not None
            assert answer.status == status
            for look in looks(page, language):
                assert (look, path, overflow(page)) == (look, path, [])
                assert (look, path, problems(page)) == (look, path, [])
            told = [line for line in complaints if status == 200 or "status of" not in line]
            assert (language, path, told) == (language, path, [])
            assert (language, path, page.evaluate("__csp")) == (language, path, [])
            assert (language, path, foreign) == (language, path, [])


@pytest.mark.parametrize("route", sorted(set(EXAMPLES) - NO_PAGES))
def test_every_page_holds_in_every_look(
    chromium: Browser, serving: Serving, exhibit: Exhibit, route: str
) -> None:
    inspect(chromium, serving, example(route, exhibit.scene))


@pytest.mark.parametrize("name", sorted(STATES))
def test_every_state_holds_in_every_look(
    chromium: Browser, serving: Serving, exhibit: Exhibit, name: str
) -> None:
    path, status = STATES[name]
    inspect(chromium, serving, path.format(**vars(exhibit.scene)), status)


def test_the_refused_form_holds_and_its_summary_leads_to_the_fields(
    chromium: Browser, serving: Serving
) -> None:
    for language in LOOKS:
        with watched(chromium, locale=language) as (page, _):
            page.goto(f"{serving.url}/subscribe")
            page.click("#send")
            for look in looks(page, language):
                assert (look, problems(page)) == (look, [])
                assert (look, overflow(page)) == (look, [])
                page.click("[role=alert] a >> nth=0")
                assert page.evaluate("document.activeElement.id") == "address"


def test_the_keyboard_reaches_everything_and_the_focus_is_seen(chromium: Browser, serving: Serving) -> None:
    with watched(chromium, viewport={"width": 1100, "height": 800}) as (page, _):
        page.goto(f"{serving.url}/subscribe")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == "address"
        reached = []
        for _ in range(6):
            style = "getComputedStyle(document.activeElement)"
            assert page.evaluate(f"parseFloat({style}.outlineWidth)") >= 3
            assert page.evaluate(f"{style}.outlineStyle") == "solid"
            reached.append(page.evaluate("document.activeElement.name || document.activeElement.id"))
            page.keyboard.press("Tab")
        assert reached == ["address", "topics", "often", "topics", "language", "send"]
        assert "leave_empty" not in reached


@pytest.mark.parametrize("path", ["/", "/symposia/ukraine", "/subscribe", "/u/{leave_arabic}", "/inbox"])
def test_wide_letters_and_lines_break_nothing(
    chromium: Browser, serving: Serving, exhibit: Exhibit, path: str
) -> None:
    """WCAG 1.4.12: text spacing set by the reader."""
    with watched(chromium, viewport={"width": 320, "height": 600}) as (page, _):
        page.goto(serving.url + path.format(**vars(exhibit.scene)))
        page.evaluate(
            "rules => {const sheet = new CSSStyleSheet(); sheet.replaceSync(rules);"
            "document.adoptedStyleSheets = [sheet]}",
            SPACING,
        )
        assert overflow(page) == []


def test_targets_are_large_enough_for_a_thumb(chromium: Browser, serving: Serving, exhibit: Exhibit) -> None:
    with watched(chromium, viewport={"width": 375, "height": 700}) as (page, _):
        for path in ("/subscribe", "/u/{leave}", "/p/{preferences}"):
            page.goto(serving.url + path.format(**vars(exhibit.scene)))
            small = page.evaluate(
                "[...document.querySelectorAll('main button, main .button, main label.choice, main select')]"
                ".filter(e => e.getBoundingClientRect().height < 44).map(e => e.outerHTML.slice(0, 80))"
            )
            assert small == []


def test_a_mail_in_the_frame_runs_nothing_and_asks_for_nothing(chromium: Browser, serving: Serving) -> None:
    with watched(chromium, viewport={"width": 1100, "height": 900}) as (page, complaints):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.removeprefix(serving.url)))
        page.goto(f"{serving.url}/inbox/1")
        frame = page.frames[1]
        assert frame.url.endswith("/inbox/1/frame")
        colour = "getComputedStyle(document.querySelector('.content') || document.body).backgroundColor"
        assert frame.evaluate(colour) == "rgb(255, 255, 255)"
        assert complaints == []
        assert [url for url in asked if not url.startswith(("/inbox/1", "/static/"))] == []
        page.goto(f"{serving.url}/inbox/1?dark=1")
        assert page.frames[1].evaluate(colour) == "rgb(27, 35, 38)"


@pytest.fixture
def alive(house: House) -> Iterator[tuple[Scene, Serving, House]]:
    """A served house in which something may happen."""
    scene = furnish(house, NOON)
    serving = Serving(create_app(house, clock=lambda: NOON, inbox=None))
    yield scene, serving, house
    serving.stop()


@pytest.mark.parametrize("house", ["sqlite"], indirect=True)
def test_leaving_coming_back_and_erasing_need_no_script(
    chromium: Browser, alive: tuple[Scene, Serving, House]
) -> None:
    scene, serving, house = alive
    with watched(chromium, java_script_enabled=False, viewport={"width": 375, "height": 700}) as (page, _):
        page.goto(f"{serving.url}/u/{scene.leave}")
        page.click("main button")
        assert page.inner_text("h1") == "You are unsubscribed"
        assert state(house) is SubscriptionState.UNSUBSCRIBED
        page.click("main button")
        assert page.inner_text("[role=status]") == "It is undone: everything is as it was before."
        assert state(house) is SubscriptionState.CONFIRMED
        page.goto(f"{serving.url}/p/{scene.preferences}")
        page.check("input[value=uk]")
        page.select_option("#zone", "Europe/Kyiv")
        page.click("main button")
        assert page.inner_text("[role=status]") == "Ваш вибір збережено."
        page.click("section a")
        page.click("button.grave")
        assert page.inner_text("h1") == "Усе видалено"
        page.goto(f"{serving.url}/c/{scene.confirm}")
        page.click("main button")
        assert page.inner_text("h1") == "Your subscription is confirmed"
