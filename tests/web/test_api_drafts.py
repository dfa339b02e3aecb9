"""Drafts handed in by other programs: kept once, for a person to publish, and never a mail."""

import threading
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import func, select

from mailer.db.mailings import Mailing
from mailer.db.programme import Statement, Symposium
from mailer.services.house import House
from mailer.services.programme.symposia import find
from mailer.services.registration import api_tokens
from mailer.services.registration.api_tokens import Scope
from mailer.vocabulary import Precision, StatementState
from tests.web.visitor import Visitor

STATEMENT = {"title": "On prisoners", "body": "One.\n\n**Two.**", "date": "2024-01-30"}
SYMPOSIUM = {
    "title": "How to Identify Genocide",
    "date": "2024-09-27",
    "time": "12:00",
    "zone": "America/New_York",
    "minutes": 90,
}


@pytest.fixture
def token(house: House, now: datetime) -> str:
    with house.database.write() as session:
        return api_tokens.make(session, "website", [Scope.DRAFTS], days=None, actor="test", now=now)


def post(visitor: Visitor, path: str, body: Any, token: str | None) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if isinstance(body, bytes):
        return visitor.post(path, content=body, headers=headers)
    return visitor.post(path, json=body, headers=headers)


def test_a_statement_is_kept_once_and_mails_nobody(visitor: Visitor, house: House, token: str) -> None:
    first = post(visitor, "/api/statements", STATEMENT, token)
    assert first.status_code == 201
    again = post(visitor, "/api/statements", STATEMENT, token)
    assert (again.status_code, again.json()) == (200, {"id": first.json()["id"], "repeated": True})
    other = post(visitor, "/api/statements", {**STATEMENT, "body": "Other words."}, token)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "already_there")
    with house.database.read() as session:
        (kept,) = session.scalars(select(Statement))
        assert kept.state is StatementState.DRAFT
        assert session.scalar(select(func.count()).select_from(Mailing)) == 0


@pytest.mark.parametrize(
    ("path", "body", "table"),
    [("/api/statements", STATEMENT, Statement), ("/api/symposia", SYMPOSIUM, Symposium)],
)
def test_the_same_handed_in_at_once_is_one(
    visitor: Visitor, house: House, token: str, path: str, body: object, table: type[Any]
) -> None:
    both, codes = threading.Barrier(3, timeout=60), []

    def hand_in() -> None:
        both.wait()
        codes.append(post(visitor, path, body, token).status_code)

    threads = [threading.Thread(target=hand_in) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 200, 201]
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(table)) == 1


@pytest.mark.parametrize(
    ("changes", "precision"),
    [
        ({}, Precision.DATETIME),
        ({"zone": None}, Precision.DATETIME),
        ({"time": None}, Precision.DATE),
        ({"date": None, "time": None, "month": "2024-12"}, Precision.MONTH),
        ({"date": None, "time": None, "year": 2025}, Precision.YEAR),
        ({"date": None, "time": None}, Precision.NONE),
    ],
)
def test_a_symposium_is_kept_as_exactly_as_it_is_known(
    visitor: Visitor, house: House, token: str, changes: dict[str, object], precision: Precision
) -> None:
    for status in (201, 200):
        done = post(visitor, "/api/symposia", {**SYMPOSIUM, **changes}, token)
        assert done.status_code == status, done.text
    with house.database.read() as session:
        kept = find(session, str(done.json()["id"]))
        assert kept.precision is precision
        assert session.scalar(select(func.count()).select_from(Symposium)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"title": ""},
        {"title": "x" * 301},
        {"date": "2024-13-01"},
        {"month": "2024-12"},
        {"date": None},
        {"time": "12:00+02:00"},
        {"time": "25:00"},
        {"zone": "EST"},
        {"date": "2024-03-10", "time": "02:30"},
        {"minutes": -5},
        {"register_url": "javascript:alert(1)"},
        {"surprise": 1},
    ],
)
def test_what_cannot_be_is_refused(visitor: Visitor, token: str, changes: dict[str, object]) -> None:
    done = post(visitor, "/api/symposia", {**SYMPOSIUM, **changes}, token)
    assert done.status_code == 422
    assert done.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"[", b"\xff\xfe", b"[" * 100_000, b'{"title": 1}'])
def test_what_is_no_draft_is_refused(visitor: Visitor, token: str, body: bytes) -> None:
    assert post(visitor, "/api/statements", body, token).status_code == 422


def test_only_a_token_for_drafts_hands_them_in(visitor: Visitor, house: House, now: datetime) -> None:
    with house.database.write() as session:
        other = api_tokens.make(session, "forms", [Scope.REGISTRATIONS], days=1, actor="test", now=now)
    for path, body in (("/api/statements", STATEMENT), ("/api/symposia", SYMPOSIUM)):
        assert post(visitor, path, body, None).status_code == 401
        assert post(visitor, path, body, "wrong").status_code == 401
        assert post(visitor, path, body, other).status_code == 403
