"""The door to the room: looking opens nothing, its button leads there, and nobody notes who went."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from mailer.db.programme import Registration
from mailer.db.seal import ROOM
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.services.registration import joining
from mailer.vocabulary import RegistrationState
from tests.web.conftest import Clock
from tests.web.scene import ROOM_URL, Scene
from tests.web.visitor import Visitor, heading, words


def test_looking_at_the_door_tells_nothing_of_the_room(scene: Scene, visitor: Visitor) -> None:
    for method in ("GET", "HEAD"):
        answer = visitor.ask(method, f"/j/{scene.join}")
        assert answer.status_code == 200
        assert "rooms.example.com" not in answer.text + str(answer.headers)
    assert heading(visitor.get(f"/j/{scene.join}")) == "Take part"


def test_the_button_leads_to_the_room_and_tells_it_nothing(scene: Scene, visitor: Visitor) -> None:
    path = f"/j/{scene.join}"
    answer = visitor.press(path, path)
    assert (answer.status_code, answer.headers["location"]) == (303, ROOM_URL)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    # Browsers check where a form's answer leads against the page's own policy.
    assert "form-action 'self' https:" in visitor.get(path).headers["content-security-policy"]


def test_the_room_changes_without_a_mail(house: House, scene: Scene, visitor: Visitor) -> None:
    with house.database.write() as session:
        found = symposia.find(session, "ukraine")
        found.room = house.vault.seal(ROOM, found.id, "https://other.example.com/room")
    assert visitor.post(f"/j/{scene.join}").headers["location"] == "https://other.example.com/room"


def test_using_the_door_changes_no_row(house: House, scene: Scene, visitor: Visitor) -> None:
    def rows() -> list[tuple[object, ...]]:
        with house.database.read() as session:
            found = session.execute(select(Registration.__table__).order_by(Registration.id))
            return [tuple(row) for row in found]

    before = rows()
    visitor.post(f"/j/{scene.join}")
    assert rows() == before


def test_a_revoked_door_is_shut_and_the_next_one_opens(house: House, scene: Scene, visitor: Visitor) -> None:
    with house.database.write() as session:
        registration = session.scalars(
            select(Registration).where(Registration.symposium_id == symposia.find(session, "ukraine").id)
        ).first()
        assert registration is not None
        generation = joining.revoke(session, registration)
        fresh = house.join_url(registration.id, generation).rsplit("/", 1)[1]
    assert visitor.get(f"/j/{scene.join}").status_code == 410
    assert visitor.post(f"/j/{scene.join}").headers["location"] == f"/j/{scene.join}"
    assert visitor.post(f"/j/{fresh}").headers["location"] == ROOM_URL


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (RegistrationState.WITHDRAWN, 410),
        (RegistrationState.WAITING, 410),
        (RegistrationState.PENDING, 410),
        (RegistrationState.CONFIRMED, 200),
    ],
)
def test_only_who_has_a_place_gets_in(
    house: House, scene: Scene, visitor: Visitor, state: RegistrationState, status: int
) -> None:
    with house.database.write() as session:
        for registration in session.scalars(select(Registration)):
            registration.state = state
    assert visitor.get(f"/j/{scene.join}").status_code == status


def test_before_there_is_a_room_and_after_the_end(scene: Scene, visitor: Visitor, clock: Clock) -> None:
    assert "not open yet" in words(visitor.get(f"/j/{scene.join_not_yet}"))
    assert visitor.post(f"/j/{scene.join_not_yet}").headers["location"] == f"/j/{scene.join_not_yet}"
    clock.now += timedelta(days=23)
    assert visitor.get(f"/j/{scene.join}").status_code == 410


@pytest.mark.parametrize("token", ["a", "x" * 500, "ä"])
def test_a_forged_door_is_no_door(looker: Visitor, token: str) -> None:
    answer = looker.get(f"/j/{token}")
    assert answer.status_code == 404
    assert looker.post(f"/j/{token}").status_code == 303


def test_the_token_of_another_door_does_not_open_this_one(scene: Scene, visitor: Visitor) -> None:
    for other in (scene.leave, scene.confirm, scene.preferences):
        assert visitor.get(f"/j/{other}").status_code == 404
