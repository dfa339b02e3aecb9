"""Preferences: a person's own choices by a short-lived link, and everything deleted at once."""

import pytest
from sqlalchemy import func, select

from mailer.db.mailings import Delivery
from mailer.db.people import Subscriber, Subscription
from mailer.messages.when import is_zone
from mailer.services.audience import people
from mailer.services.house import House
from mailer.vocabulary import Frequency, SubscriptionState, SuppressionReason
from tests.web.exhibit import Exhibit
from tests.web.scene import Scene
from tests.web.visitor import Visitor, heading, words


def anna(house: House) -> tuple[list[str], str | None, set[str]]:
    """Her languages, her zone and her topics."""
    with house.database.read() as session:
        person = people.find(session, house, "anna@example.org")
        assert person is not None
        on = session.scalars(
            select(Subscription).where(
                Subscription.subscriber_id == person.id, Subscription.state == SubscriptionState.CONFIRMED
            )
        )
        return person.languages, person.zone, {one.topic.key for one in on}


def test_the_page_shows_what_is_chosen(exhibit: Exhibit, looker: Visitor) -> None:
    page = looker.see(f"/p/{exhibit.scene.preferences_arabic}")
    assert page.css_first("html").attributes["dir"] == "rtl"
    ticked = [box.attributes["value"] for box in page.css("input[type=checkbox][checked]")]
    assert ticked == ["statements"]
    assert page.css_first("input[type=radio][checked]").attributes["value"] == "ar"
    assert page.css_first("select option[selected]") is None  # no city, and each statement at once
    assert "layla" not in page.html


def test_choices_are_saved(house: House, scene: Scene, visitor: Visitor) -> None:
    path = f"/p/{scene.preferences}"
    answer = visitor.press(path, path, topics=["symposia"], language="uk", zone="Asia/Kolkata")
    assert answer.status_code == 303
    assert anna(house) == (["uk", "en"], "Asia/Kolkata", {"symposia"})
    saved = visitor.get(answer.headers["location"])
    assert saved.headers["content-language"] == "uk"
    assert "Ваш вибір збережено." in words(saved)
    option = visitor.see(path).css_first("select option[selected]")
    assert option.attributes["value"] == "Asia/Kolkata"


def how_often(house: House) -> Frequency:
    """How often Anna hears of statements."""
    with house.database.read() as session:
        person = people.find(session, house, "anna@example.org")
        assert person is not None
        one = select(Subscription).where(Subscription.subscriber_id == person.id)
        return session.scalars(one).first().frequency  # type: ignore[union-attr]


def test_how_often_is_chosen_and_shown(house: House, scene: Scene, visitor: Visitor) -> None:
    path = f"/p/{scene.preferences}"
    (choice,) = visitor.see(path).css("select[name=often]")
    assert visitor.see(path).css_first(f"label[for={choice.attributes['id']}]") is not None
    assert [option.attributes["value"] for option in choice.css("option")] == [
        "statements:at_once",
        "statements:daily",
        "statements:weekly",
    ]
    form = {"topics": ["statements"], "language": "en", "often": "statements:weekly"}
    assert visitor.post(path, data=form).status_code == 303
    assert how_often(house) is Frequency.WEEKLY
    chosen = visitor.see(path).css_first("select[name=often] option[selected]")
    assert chosen.attributes["value"] == "statements:weekly"
    for nonsense in ("statements:hourly", "no-such:daily", "", ":", "weekly"):
        visitor.post(path, data={**form, "often": nonsense})
    assert how_often(house) is Frequency.WEEKLY


def test_nonsense_leaves_what_was_there(house: House, scene: Scene, visitor: Visitor) -> None:
    path = f"/p/{scene.preferences}"
    before = anna(house)
    visitor.post(path, data={"topics": ["statements", "no-such"], "language": "xx", "zone": "Mars/Olympus"})
    assert anna(house) == before


def test_nothing_ticked_is_leaving_every_topic(house: House, scene: Scene, visitor: Visitor) -> None:
    visitor.post(f"/p/{scene.preferences}", data={"language": "en"})
    assert anna(house)[2] == set()


def test_a_person_whose_mail_was_stopped_is_told(house: House, scene: Scene, visitor: Visitor) -> None:
    with house.database.write() as session:
        person = people.find(session, house, "anna@example.org")
        assert person is not None
        person.suppressed = SuppressionReason.BOUNCE
    assert "At present no mail is sent to your address" in words(visitor.get(f"/p/{scene.preferences}"))


def test_everything_is_deleted_at_the_persons_wish(house: House, scene: Scene, visitor: Visitor) -> None:
    path = f"/p/{scene.preferences}/erase"
    assert visitor.post(path).headers["location"] == f"{path}?again=1"
    with house.database.read() as session:
        before = session.scalar(select(func.count()).select_from(Delivery))
    answer = visitor.press(path, path)
    assert answer.headers["location"] == "/erased?lang=en"
    assert heading(visitor.get("/erased?lang=en")) == "Everything is deleted"
    with house.database.read() as session:
        assert people.find(session, house, "anna@example.org") is None
        assert session.scalar(select(func.count()).select_from(Delivery)) == before
        assert session.scalar(select(func.count()).select_from(Subscriber)) == 9
    assert visitor.get(f"/p/{scene.preferences}").status_code == 404
    assert visitor.get(path).status_code == 404


def test_an_old_link_is_refused_with_the_way_to_a_new_one(exhibit: Exhibit, looker: Visitor) -> None:
    for path in ("", "/erase"):
        page = looker.get(f"/p/{exhibit.scene.preferences_expired}{path}")
        assert (page.status_code, heading(page)) == (410, "This link has expired")
    assert looker.post(f"/p/{exhibit.scene.preferences_expired}").status_code == 410


@pytest.mark.parametrize("door", ["leave", "stop_reminders", "confirm"])
def test_no_other_link_opens_preferences(exhibit: Exhibit, looker: Visitor, door: str) -> None:
    token = getattr(exhibit.scene, door)
    assert looker.get(f"/p/{token}").status_code == 404
    assert looker.post(f"/p/{token}", data={"language": "fr"}).status_code == 404
    assert looker.post(f"/p/{token}/erase").status_code == 404


def test_every_zone_of_the_list_can_be_stored(exhibit: Exhibit, looker: Visitor) -> None:
    page = looker.see(f"/p/{exhibit.scene.preferences}")
    names = [
        str(option.attributes["value"])
        for option in page.css("select#zone option")
        if option.attributes["value"]
    ]
    assert len(names) > 400
    assert [name for name in names if not is_zone(name)] == []
    assert {"America/New_York", "Asia/Yerevan", "Europe/Kyiv", "Asia/Tehran"} <= set(names)
