"""Sign-ups from another form tool: let in by a token, taken once, refused with words that help."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from structlog.testing import LogCapture

from mailer.db.doors import ApiToken, SignUp
from mailer.db.mailings import Mailing
from mailer.db.programme import Registration
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.services.registration import api_tokens, details, limits
from mailer.services.registration.api_tokens import Scope, TokenRefusal
from mailer.vocabulary import MailingKind
from tests.web.conftest import Clock
from tests.web.scene import Scene
from tests.web.visitor import Visitor

PATH = "/api/registrations"
SIGN_UP: dict[str, Any] = {
    "symposium": "restorative",
    "id": "form-1/response-77",
    "email": "nune@example.org",
    "name": "Nune",
    "languages": ["hy", "en"],
    "zone": "Asia/Yerevan",
    "access_needs": "A sign interpreter",
    "answers": {"role": "Student", "diet": True},
}


@pytest.fixture
def token(house: House, scene: Scene, clock: Clock) -> str:
    with house.database.write() as session:
        return api_tokens.make(
            session, "website-form", [Scope.REGISTRATIONS], days=30, actor="test", now=clock.now
        )


def send(visitor: Visitor, token: str, **changed: Any) -> httpx.Response:
    document = {name: value for name, value in {**SIGN_UP, **changed}.items() if value is not ...}
    body = json.dumps(document)  # in ASCII, as half a character can only be sent
    return visitor.post(PATH, content=body, headers={"Authorization": f"Bearer {token}"})


def test_a_sign_up_is_a_registration_and_mails_nobody(house: House, visitor: Visitor, token: str) -> None:
    answer = send(visitor, token)
    assert (answer.status_code, answer.json()["state"], answer.json()["repeated"]) == (
        201,
        "confirmed",
        False,
    )
    with house.database.read() as session:
        kept = session.get_one(Registration, answer.json()["registration"])
        told = details.read(house, kept)
        assert (kept.languages, kept.zone) == (["hy", "en"], "Asia/Yerevan")
        assert (told.access, told.answers) == ("A sign interpreter", {"role": "Student", "diet": "yes"})
        assert session.scalar(select(func.count()).where(Mailing.registration_id == kept.id)) == 0


def test_the_same_id_is_taken_once(house: House, visitor: Visitor, token: str) -> None:
    first, again = send(visitor, token), send(visitor, token)
    assert again.status_code == 200
    assert again.json() == {**first.json(), "repeated": True}
    other = send(visitor, token, email="other@example.org")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "other_content")
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(SignUp)) == 1


def test_a_confirmation_is_mailed_when_the_tool_asks_and_never_twice(
    house: House, visitor: Visitor, token: str
) -> None:
    for number in ("1", "1", "2"):
        assert send(visitor, token, id=number, send_confirmation=True).is_success
    with house.database.read() as session:
        person = people.find(session, house, "nune@example.org")
        assert person is not None
        mails = session.scalar(
            select(func.count())
            .select_from(Mailing)
            .join(Registration, Registration.id == Mailing.registration_id)
            .where(
                Registration.subscriber_id == person.id,
                Mailing.kind == MailingKind.REGISTRATION_CONFIRMATION,
            )
        )
        assert mails == 1


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer wrong", "Basic abc", "Bearer " + "x" * 9999])
def test_without_a_token_nobody_is_let_in(visitor: Visitor, token: str, authorization: str) -> None:
    answer = visitor.post(PATH, json=SIGN_UP, headers={"Authorization": authorization})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_token_ends_by_itself_or_when_it_is_revoked_and_stands_only_as_a_hash(
    house: House, visitor: Visitor, token: str, clock: Clock
) -> None:
    with house.database.read() as session:
        kept = session.scalars(select(ApiToken)).one()
        assert token.encode() not in kept.digest
    clock.now += timedelta(days=31)
    assert send(visitor, token).status_code == 401
    clock.now -= timedelta(days=31)
    with house.database.write() as session:
        narrow = session.scalars(select(ApiToken)).one()
        narrow.scopes = []
    assert send(visitor, token).status_code == 403
    with house.database.write() as session:
        api_tokens.revoke(session, "website-form", actor="test", now=clock.now)
        with pytest.raises(TokenRefusal, match="no token"):
            api_tokens.revoke(session, "unknown", actor="test", now=clock.now)
    assert send(visitor, token).status_code == 401


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": 7}, "email"),
        ({"email": ...}, "email"),
        ({"id": ...}, "id"),
        ({"id": "x" * 201}, "id"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"zone": "Mars/Olympus"}, "zone"),
        ({"languages": "hy"}, "languages"),
        ({"languages": ["not a tag"]}, "languages"),
        ({"access_needs": "x" * 1001}, "access_needs"),
        ({"answers": {"role": "King"}}, "answers.role"),
        ({"answers": {}}, "answers.role"),
        ({"answers": {"role": ["Student"]}}, "answers"),
        ({"answers": {"role": "Student", "unknown": "\ud800"}}, "answers"),
        ({"answers": {"role": "Student", "\ud800": "x"}}, "answers"),
        ({"answers": {"role": "Student", "x" * 1001: "x"}}, "answers"),
        ({"id": "\ud800"}, "id"),
        ({"symposium": "\u0000"}, "symposium"),
        ({"email": "nune\r\nBcc: x@example.org"}, "email"),
        ({"email": "nune@example.org\u0000"}, "email"),
        ({"send_confirmation": "yes"}, "send_confirmation"),
        ({"unknown": 1}, None),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_kept(
    house: House, visitor: Visitor, token: str, changed: dict[str, Any], field: str | None
) -> None:
    answer = send(visitor, token, **changed)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error.get("field")) == (422, "invalid", field)
    assert error["message"]
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(SignUp)) == 0
        assert people.find(session, house, "nune@example.org") is None


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[1]", b"[" * 50_000, b'"text"', b"NaN"])
def test_what_is_no_sign_up_is_refused_in_json(visitor: Visitor, token: str, body: bytes) -> None:
    answer = visitor.post(PATH, content=body, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


def test_too_much_is_refused_in_json_at_both_limits(visitor: Visitor, token: str) -> None:
    for octets in (65 * 1024, 2 * 1024 * 1024):
        body = json.dumps({**SIGN_UP, "name": "x" * octets}).encode()
        answer = visitor.post(PATH, content=body, headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_other_ways_in_are_refused_in_json(visitor: Visitor, token: str) -> None:
    assert visitor.get(PATH).json()["error"]["code"] == "method_not_allowed"
    assert visitor.get("/api/nothing").json()["error"]["code"] == "not_found"


def test_a_symposium_that_takes_nobody_says_why(
    house: House, visitor: Visitor, scene: Scene, token: str, clock: Clock
) -> None:
    def word(**changed: Any) -> str:
        return str(send(visitor, token, **changed).json()["error"]["code"])

    assert word(symposium=scene.draft_symposium) == "unknown_symposium"
    assert word(symposium="first") == "not_open"
    assert word(email="claire@example.org") == "withdrawn"
    with house.database.write() as session:
        found = symposia.find(session, "restorative")
        found.capacity, found.waiting_list = 1, False
    send(visitor, token, id="a", email="one@example.org")
    assert word(id="b", email="two@example.org") == "full"


def test_no_log_line_holds_what_was_sent(
    house: House, visitor: Visitor, token: str, log: LogCapture, clock: Clock
) -> None:
    send(visitor, token)
    send(visitor, token, email="nune@example", answers={"role": "Zaruhi"})
    shown = visitor.see("/symposia/restorative/register").css_first("input[name=shown]").attributes["value"]
    clock.now += timedelta(seconds=10)
    visitor.post(
        "/symposia/restorative/register",
        data={"shown": shown, "address": "nune@example.org", "name": "Nune", "answer_role": "Zaruhi"},
    )
    written = repr(log.entries)
    assert log.entries
    for secret in ("nune", "Nune", "Zaruhi", "interpreter", "response-77", token):
        assert secret not in written


def test_a_tool_whose_form_is_flooded_is_stopped_for_an_hour(
    visitor: Visitor, token: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PER_TOOL", 2)
    clock.now = clock.now.replace(minute=1)
    answers = [send(visitor, token, id=f"{number}", email=f"a{number}@example.org") for number in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert (answers[2].json()["error"]["code"], answers[2].headers["retry-after"]) == ("too_many", "3600")
    clock.now += timedelta(hours=1)
    assert send(visitor, token, id="2", email="a2@example.org").status_code == 201


def test_a_second_person_with_the_same_address_is_not_said_to_be_new(
    house: House, visitor: Visitor, token: str
) -> None:
    first = send(visitor, token).json()
    answer = send(visitor, token, id="another", name="Her Sister", email="NUNE@Example.ORG")
    assert answer.status_code == 200
    assert answer.json() == {**first, "known": True}
    with house.database.read() as session:
        assert details.read(house, session.get_one(Registration, first["registration"])).name == "Nune"
