"""Registering in a real Chromium: without scripts from the form to the room, and readable when refused."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from playwright.sync_api import Browser

from mailer.services.house import House
from mailer.web.app import create_app
from tests.browser.inspection import overflow
from tests.browser.test_pages import LOOKS, looks, problems, watched
from tests.conftest import NOON
from tests.web.conftest import Clock
from tests.web.scene import ROOM_URL, Scene, furnish
from tests.web.serving import Serving
from tests.web.test_registration_pages import states, token_of

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("house", ["sqlite"], indirect=True)]


@dataclass(frozen=True)
class Alive:
    """A served house in which something may happen, and its clock."""

    house: House
    scene: Scene
    serving: Serving
    clock: Clock


@pytest.fixture
def alive(house: House) -> Iterator[Alive]:
    clock = Clock(NOON)
    scene = furnish(house, NOON)
    serving = Serving(create_app(house, clock=clock, inbox=None))
    yield Alive(house, scene, serving, clock)
    serving.stop()


def test_from_the_form_to_the_confirmed_registration_and_out_again_without_scripts(
    chromium: Browser, alive: Alive
) -> None:
    home = alive.serving.url
    with watched(chromium, java_script_enabled=False, viewport={"width": 320, "height": 700}) as (page, _):
        page.goto(f"{home}/symposia/restorative?lang=en")
        page.click("text=Register >> nth=0")
        page.fill("#address", "new@example.org")
        page.fill("#name", "Nune")
        page.check("input[value=hy]")
        page.select_option("#zone", "Asia/Yerevan")
        page.fill("#access", "A sign interpreter")
        page.check("input[value=Student]")
        alive.clock.now += timedelta(seconds=20)
        page.click("#send")
        assert page.inner_text("h1") == "Check your mail"
        page.goto(f"{home}/attend/{token_of(alive.house, 'new@example.org', alive.clock)}?lang=en")
        page.click("main button")
        assert "You are registered." in page.inner_text("main")
        page.click("text=See or change this registration")
        page.click("text=Send the invitation again")
        assert page.inner_text("[role=status]") == "A mail is on its way to you."
        page.click("button.grave")
        assert "Your registration is cancelled." in page.inner_text("main")
    assert states(alive.house, "new@example.org")["restorative"].value == "withdrawn"


def test_the_button_of_the_door_leads_to_the_room_under_the_pages_policy(
    chromium: Browser, alive: Alive
) -> None:
    with watched(chromium, viewport={"width": 375, "height": 700}) as (page, complaints):
        asked: list[dict[str, str]] = []
        page.route(
            "https://rooms.example.com/**",
            lambda route: (asked.append(route.request.headers), route.fulfill(body="the room"))[1],
        )
        page.goto(f"{alive.serving.url}/j/{alive.scene.join}")
        page.click("main button")
        page.wait_for_url(ROOM_URL)
        assert "referer" not in asked[0]
        assert complaints == []


@pytest.mark.parametrize("path", ["/symposia/restorative/register", "/series/prevention"])
def test_the_refused_form_holds_and_its_summary_leads_to_the_fields(
    chromium: Browser, alive: Alive, path: str
) -> None:
    for language in LOOKS:
        with watched(chromium, locale=language) as (page, _):
            page.goto(alive.serving.url + path)
            page.click("#send")
            for look in looks(page, language):
                assert (look, problems(page)) == (look, [])
                assert (look, overflow(page)) == (look, [])
            for number, link in enumerate(page.query_selector_all("[role=alert] a")):
                target = str(link.get_attribute("href"))
                page.click(f"[role=alert] a >> nth={number}")
                assert page.evaluate("document.activeElement.id") == target.removeprefix("#")
