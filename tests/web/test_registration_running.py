"""While a symposium runs its page, its form and the door for other tools take people in, until its end."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from mailer.db.mailings import Mailing
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.services.registration import api_tokens
from mailer.services.registration.api_tokens import Scope
from mailer.vocabulary import MailingKind, RegistrationState
from tests.web.conftest import Clock
from tests.web.scene import Scene
from tests.web.test_registration_api import send
from tests.web.test_registration_pages import FORM, NEW, fill, states, token_of
from tests.web.visitor import Visitor, words

PAGE = "/symposia/restorative?lang=en"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def running(house: House, scene: Scene, clock: Clock) -> Clock:
    """The clock, twenty minutes after the start of an hour that is assumed."""
    with house.database.read() as session:
        starts_at = symposia.find(session, "restorative").starts_at
    assert starts_at is not None
    clock.now = starts_at + 20 * MINUTE
    return clock


def confirmations(house: House) -> int:
    with house.database.read() as session:
        return (
            session.scalar(select(func.count()).where(Mailing.kind == MailingKind.REGISTRATION_CONFIRMATION))
            or 0
        )


def test_its_page_and_form_say_so_and_lead_in(house: House, visitor: Visitor, running: Clock) -> None:
    for path in (PAGE, f"{FORM}?lang=en"):
        assert "This symposium is under way." in words(visitor.get(path))
    assert visitor.see(PAGE).css_first(f"a.button[href^='{FORM}']") is not None
    before = confirmations(house)
    assert fill(visitor, running) == (303, "/register/sent")
    path = f"/attend/{token_of(house, 'new@example.org', running)}"
    visitor.press(path, path, dates="restorative")
    assert states(house, "new@example.org") == {"restorative": RegistrationState.CONFIRMED}
    assert confirmations(house) == before + 1


def test_after_the_end_page_form_and_link_say_that_it_is_over(
    house: House, visitor: Visitor, running: Clock
) -> None:
    shown = visitor.see(FORM).css_first("input[name=shown]").attributes["value"]
    fill(visitor, running)
    path = f"/attend/{token_of(house, 'new@example.org', running)}?lang=en"
    running.now += 40 * MINUTE
    for address in (PAGE, f"{FORM}?lang=en", path):
        assert "This symposium is over." in words(visitor.get(address))
        assert "under way" not in words(visitor.get(address))
    assert visitor.post(FORM, data={"shown": shown, **NEW, "address": "late@example.org"}).status_code == 422
    assert states(house, "late@example.org") == {}
    assert states(house, "new@example.org") == {"restorative": RegistrationState.PENDING}


def test_another_tool_hands_people_in_until_the_end(house: House, visitor: Visitor, running: Clock) -> None:
    with house.database.write() as session:
        token = api_tokens.make(
            session, "another-form", [Scope.REGISTRATIONS], days=1, actor="test", now=running.now
        )
    taken = send(visitor, token, send_confirmation=True)
    assert (taken.status_code, taken.json()["state"]) == (201, "confirmed")
    running.now += 40 * MINUTE
    late = send(visitor, token, id="late", email="late@example.org")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "not_open")
