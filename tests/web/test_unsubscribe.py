"""Leaving: one click and one button, for everybody who holds a link, and for nobody else."""

import gzip
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Consent, Subscription
from mailer.db.programme import Registration
from mailer.keys import Family
from mailer.services.audience import people, preferences
from mailer.services.house import House
from mailer.vocabulary import (
    ConsentKind,
    ConsentSource,
    DeliveryState,
    MailingKind,
    RegistrationState,
    SubscriptionState,
)
from mailer.web.app import create_app
from tests.web.conftest import Clock
from tests.web.exhibit import Exhibit
from tests.web.scene import Scene
from tests.web.visitor import Visitor, heading, words

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
FORGED = ("a", "a" * 29, "%00", "ä" * 20, "x" * 3000, "..%2e")


def state(house: House, address: str = "anna@example.org") -> SubscriptionState:
    with house.database.read() as session:
        person = people.find(session, house, address)
        assert person is not None
        return session.scalars(
            select(Subscription.state).where(Subscription.subscriber_id == person.id)
        ).one()


def withdrawals(house: House) -> int:
    with house.database.read() as session:
        count = select(func.count()).where(Consent.kind == ConsentKind.WITHDRAWN)
        return session.scalar(count) or 0


def rows(house: House) -> tuple[list[SubscriptionState], int]:
    with house.database.read() as session:
        states = list(session.scalars(select(Subscription.state).order_by(Subscription.id)))
        return states, withdrawals(house)


@pytest.mark.parametrize("form", ["urlencoded", "multipart", "gzip", "no type"])
def test_one_click_lets_the_person_out_before_it_answers(
    house: House, scene: Scene, visitor: Visitor, form: str
) -> None:
    body: dict[str, object] = {
        "urlencoded": {"data": ONE_CLICK},
        "multipart": {"files": {"List-Unsubscribe": (None, "One-Click")}},
        "gzip": {
            "content": gzip.compress(b"List-Unsubscribe=One-Click"),
            "headers": {"Content-Encoding": "gzip", "Content-Type": "application/x-www-form-urlencoded"},
        },
        "no type": {"content": b"List-Unsubscribe=One-Click\r\n"},
    }[form]
    answer = visitor.post(f"/u/{scene.leave}", **body)
    assert answer.status_code == 200
    assert state(house) is SubscriptionState.UNSUBSCRIBED
    assert "set-cookie" not in answer.headers
    assert not answer.history


def test_a_hundred_clicks_are_one(house: House, scene: Scene, visitor: Visitor) -> None:
    answers = {visitor.post(f"/u/{scene.leave}", data=ONE_CLICK).status_code for _ in range(100)}
    assert answers == {200}
    assert withdrawals(house) == 1
    with house.database.read() as session:
        assert session.scalars(select(Consent.source)).all() == [ConsentSource.ONE_CLICK]


def test_one_click_asks_for_no_origin_no_cookie_and_no_name_of_a_program(
    house: House, scene: Scene, visitor: Visitor
) -> None:
    headers = {"Origin": "null", "Sec-Fetch-Site": "cross-site", "User-Agent": ""}
    assert visitor.post(f"/u/{scene.leave}", data=ONE_CLICK, headers=headers).status_code == 200
    assert state(house) is SubscriptionState.UNSUBSCRIBED


@pytest.mark.parametrize("token", FORGED)
def test_a_forged_token_gets_the_same_answer_and_changes_nothing(
    exhibit: Exhibit, looker: Visitor, token: str
) -> None:
    before = rows(exhibit.house)
    forged = looker.post(f"/u/{token}", data=ONE_CLICK)
    genuine = looker.post(f"/u/{exhibit.scene.left}", data=ONE_CLICK)
    assert rows(exhibit.house) == before
    assert (forged.status_code, forged.text) == (genuine.status_code, genuine.text)
    assert dict(forged.headers) == dict(genuine.headers)


def test_no_changed_letter_of_a_token_opens_anything(exhibit: Exhibit, looker: Visitor) -> None:
    before, token = rows(exhibit.house), exhibit.scene.leave
    for place in range(0, len(token), 3):
        letter = "b" if token[place] != "b" else "c"
        changed = token[:place] + letter + token[place + 1 :]
        assert looker.post(f"/u/{changed}", data=ONE_CLICK).status_code == 200
        assert looker.get(f"/u/{changed}").status_code == 404
    assert rows(exhibit.house) == before


@pytest.mark.parametrize("other", ["confirm", "confirmed", "preferences"])
def test_a_token_of_another_door_ends_nothing(exhibit: Exhibit, looker: Visitor, other: str) -> None:
    before = rows(exhibit.house)
    looker.post(f"/u/{getattr(exhibit.scene, other)}", data=ONE_CLICK)
    assert rows(exhibit.house) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"List-Unsubscribe=No",
        b"list-unsubscribe",
        b"One-Click=List-Unsubscribe",
        b"\xff\xfe\x00",
        b"a=1&" * 5000,
        b"--x\r\nContent-Disposition: form-data\r\n\r\nOne-Click\r\n--x--",
    ],
)
def test_another_body_changes_nothing(exhibit: Exhibit, looker: Visitor, body: bytes) -> None:
    for kind in (
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
    ):
        headers = {"Content-Type": kind}
        answer = looker.post(f"/u/{exhibit.scene.leave}", content=body, headers=headers)
        assert answer.status_code == 422
    assert state(exhibit.house) is SubscriptionState.CONFIRMED


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_only_a_post_acts(exhibit: Exhibit, looker: Visitor, method: str) -> None:
    before, scene = rows(exhibit.house), exhibit.scene
    for path in (f"/u/{scene.leave}", f"/u/{scene.leave}/leave", f"/u/{scene.left}/undo"):
        looker.ask(method, path)
    assert rows(exhibit.house) == before


def test_what_waits_for_the_person_is_skipped(house: House, scene: Scene, visitor: Visitor) -> None:
    visitor.post(f"/u/{scene.leave}", data=ONE_CLICK)
    with house.database.read() as session:
        person = people.find(session, house, "anna@example.org")
        assert person is not None
        alert = session.scalars(
            select(Delivery)
            .join(Mailing, Mailing.id == Delivery.mailing_id)
            .where(Mailing.kind == MailingKind.STATEMENT_ALERT, Delivery.subscriber_id == person.id)
        ).one()
        assert (alert.state, alert.reason) == (DeliveryState.SKIPPED, "unsubscribed")


def test_the_reminders_link_ends_the_reminders_and_leaves_the_registration(
    house: House, scene: Scene, visitor: Visitor
) -> None:
    page = visitor.get(f"/u/{scene.stop_reminders}")
    assert heading(page) == "Stop the reminders"
    assert "How to Identify Genocide: The Ukraine Case" in words(page)
    assert visitor.post(f"/u/{scene.stop_reminders}", data=ONE_CLICK).status_code == 200
    with house.database.read() as session:
        off = session.scalars(select(Registration.state).where(Registration.reminders.is_(False))).all()
    assert off == [RegistrationState.CONFIRMED]
    assert state(house) is SubscriptionState.CONFIRMED


def test_it_still_works_after_erasure_and_after_a_key_was_rotated(
    house: House, scene: Scene, clock: Clock
) -> None:
    rotated = House(house.settings, house.database, house.ring.rotated(Family.TOKEN))
    clock.now += timedelta(days=60)
    visitor = Visitor(create_app(rotated, clock=clock, inbox=None))
    assert visitor.post(f"/u/{scene.leave}", data=ONE_CLICK).status_code == 200
    assert state(house) is SubscriptionState.UNSUBSCRIBED
    with house.database.write() as session:
        assert preferences.erase(session, house, scene.preferences, clock.now - timedelta(days=60))
    assert visitor.post(f"/u/{scene.leave}", data=ONE_CLICK).status_code == 200
    assert visitor.get(f"/u/{scene.leave}").status_code == 404


def test_the_page_has_one_button_which_leaves_and_an_undo(
    house: House, scene: Scene, visitor: Visitor
) -> None:
    page = visitor.see(f"/u/{scene.leave}")
    assert len(page.css("main button")) == 1
    answer = visitor.press(f"/u/{scene.leave}", f"/u/{scene.leave}/leave")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/u/{scene.leave}")
    assert state(house) is SubscriptionState.UNSUBSCRIBED
    after = visitor.get(f"/u/{scene.leave}")
    assert heading(after) == "You are unsubscribed"
    undone = visitor.press(f"/u/{scene.leave}", f"/u/{scene.leave}/undo")
    assert undone.status_code == 303
    assert state(house) is SubscriptionState.CONFIRMED
    assert "everything is as it was before" in words(visitor.get(undone.headers["location"]))


def test_undo_is_for_slips_of_the_hand_only(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    visitor.press(f"/u/{scene.leave}", f"/u/{scene.leave}/leave")
    clock.now += timedelta(hours=20)
    opened = visitor.see(f"/u/{scene.leave}")
    shown = opened.css_first("form input[name=shown]").attributes["value"]
    clock.now += timedelta(hours=5)
    assert visitor.see(f"/u/{scene.leave}").css_first("form") is None
    visitor.post(f"/u/{scene.leave}/undo", data={"shown": shown})
    assert state(house) is SubscriptionState.UNSUBSCRIBED


@pytest.mark.parametrize("shown", ["", "aaaa", "another link", "another form", "too old"])
def test_a_program_that_never_saw_the_page_cannot_press_its_button(
    house: House, scene: Scene, visitor: Visitor, clock: Clock, shown: str
) -> None:
    def nonce_of(token: str) -> str:
        return str(visitor.see(f"/u/{token}").css_first("form input[name=shown]").attributes["value"])

    value = {"another link": lambda: nonce_of(scene.leave_arabic), "too old": lambda: nonce_of(scene.leave)}
    typed = value[shown]() if shown in value else shown
    if shown == "another form":
        visitor.press(f"/u/{scene.leave}", f"/u/{scene.leave}/leave")
        typed = nonce_of(scene.leave)
        visitor.press(f"/u/{scene.leave}", f"/u/{scene.leave}/undo")
    if shown == "too old":
        clock.now += timedelta(hours=25)
    answer = visitor.post(f"/u/{scene.leave}/leave", data={"shown": typed})
    assert answer.status_code == 303
    assert state(house) is SubscriptionState.CONFIRMED
    assert "press the button once more" in words(visitor.get(answer.headers["location"]))


def test_the_page_speaks_the_readers_language_unless_another_is_asked_for(
    exhibit: Exhibit, looker: Visitor
) -> None:
    scene, visitor = exhibit.scene, looker
    own = visitor.see(f"/u/{scene.leave_arabic}", headers={"Accept-Language": "fr"})
    assert own.css_first("html").attributes == {"lang": "ar", "dir": "rtl"}
    asked = visitor.see(f"/u/{scene.leave_arabic}?lang=uk")
    assert asked.css_first("html").attributes == {"lang": "uk", "dir": "ltr"}
    action = asked.css_first("main form").attributes["action"]
    assert action == f"/u/{scene.leave_arabic}/leave?lang=uk"


def test_pages_behind_a_token_are_kept_nowhere(exhibit: Exhibit, looker: Visitor) -> None:
    scene, visitor = exhibit.scene, looker
    for path in (f"/u/{scene.leave}", f"/c/{scene.confirm}", f"/p/{scene.preferences}", "/u/forged"):
        headers = visitor.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert "noindex" in headers["x-robots-tag"]


def test_a_broken_link_says_what_to_do(looker: Visitor) -> None:
    page = looker.get("/u/cut-short")
    assert page.status_code == 404
    assert heading(page) == "This link does not work"
    assert "office@example.org" in words(page)
