"""What holds for every answer: headers, sizes, error pages, health, and a log without secrets."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import create_engine
from structlog.testing import LogCapture

from mailer import keys, settings
from mailer.db import session
from mailer.db.seal import Vault
from mailer.services.house import House
from mailer.web.app import create_app
from mailer.web.guard import CONTENT_SECURITY_POLICY
from mailer.web.public.join import LEADS_AWAY
from tests.web.exhibit import Exhibit
from tests.web.routes import EXAMPLES, example
from tests.web.visitor import Visitor, heading, words

BEFORE = datetime(2024, 2, 1, 17, tzinfo=UTC)


def routes(app: FastAPI) -> Iterator[tuple[str, set[str]]]:
    for context in iter_route_contexts(app.routes):
        yield context.path, set(context.methods or ())


def test_every_route_has_an_example(exhibit: Exhibit) -> None:
    missing = {path for path, methods in routes(exhibit.app) if "GET" in methods} - set(EXAMPLES)
    assert missing == set()


@pytest.mark.parametrize("route", sorted(EXAMPLES))
def test_every_answer_carries_the_security_headers(exhibit: Exhibit, looker: Visitor, route: str) -> None:
    answer = looker.get(example(route, exhibit.scene))
    assert answer.status_code == 200
    headers = answer.headers
    framed = route.endswith(("/frame", "/mail.eml", "/attachments/{part}"))
    if not framed:
        policy = LEADS_AWAY if route == "/j/{token}" else CONTENT_SECURITY_POLICY
        assert headers["content-security-policy"] == policy
    assert "unsafe" not in headers["content-security-policy"] or route.endswith("/frame")
    assert headers["strict-transport-security"].startswith("max-age=31536000")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["referrer-policy"] in {"same-origin", "no-referrer"}
    assert "set-cookie" not in headers


@pytest.mark.parametrize("route", sorted(EXAMPLES))
def test_head_answers_as_get_does(exhibit: Exhibit, looker: Visitor, route: str) -> None:
    path = example(route, exhibit.scene)
    get, head = looker.get(path), looker.ask("HEAD", path)
    assert head.status_code == get.status_code
    volatile = {"content-length"}  # a nonce in the page may be a letter longer a second later
    assert {k: v for k, v in head.headers.items() if k not in volatile} == {
        k: v for k, v in get.headers.items() if k not in volatile
    }


def test_over_plain_http_nothing_promises_https(house: House) -> None:
    plain = House(settings.load(data=house.settings.data), house.database, house.ring)
    visitor = Visitor(create_app(plain, clock=lambda: BEFORE, inbox=None))
    assert "strict-transport-security" not in visitor.get("/help").headers


@pytest.mark.parametrize("octets", [1024 * 1024 + 1, 5_000_000])
def test_a_body_of_more_than_a_megabyte_is_refused(looker: Visitor, octets: int) -> None:
    def slowly() -> Iterator[bytes]:
        for _ in range(octets // 1000 + 1):
            yield b"x" * 1000

    announced = looker.post("/subscribe", content=b"x" * octets)
    chunked = looker.post("/subscribe", content=_async(slowly()))
    for answer in (announced, chunked):
        assert (answer.status_code, heading(answer)) == (413, "That was too much at once")


async def _async(pieces: Iterator[bytes]):  # type: ignore[no-untyped-def]
    for piece in pieces:
        yield piece


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/no/such/page", 404, "This page does not exist"),
        ("GET", "/static/app.css", 404, "This page does not exist"),
        ("GET", "/../../etc/passwd", 404, "This page does not exist"),
        ("DELETE", "/help", 405, "This cannot be done here"),
        ("GET", "/u/x/leave", 405, "This cannot be done here"),
        ("GET", "/docs", 404, "This page does not exist"),
        ("GET", "/openapi.json", 404, "This page does not exist"),
    ],
)
def test_errors_are_pages_of_the_house(
    looker: Visitor, method: str, path: str, status: int, said: str
) -> None:
    answer = looker.ask(method, path)
    assert (answer.status_code, heading(answer)) == (status, said)
    assert "To the start page" in words(answer)
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    spoken = looker.ask(method, path, headers={"Accept-Language": "fa-IR, en;q=0.2"})
    assert 'lang="fa" dir="rtl"' in spoken.text


def test_a_damaged_form_is_a_page_too(looker: Visitor) -> None:
    broken = {"Content-Type": "multipart/form-data"}  # without the boundary it needs
    answer = looker.post("/p/aaaa", content=b"--x\r\nnonsense", headers=broken)
    assert (answer.status_code, heading(answer)) == (400, "This could not be read")
    file = {"address": ("a.txt", b"text", "text/plain")}
    assert looker.post("/subscribe", files=file).status_code == 422


def test_health_asks_the_database_and_tells_nothing(looker: Visitor, tmp_path: Path, log: LogCapture) -> None:
    assert looker.get("/healthz").json() == {"status": "ok"}
    vault = Vault(keys.KeyRing.fresh())
    lost = session.Database(create_engine(f"sqlite:///{tmp_path}/no/such/folder/mailer.db"), vault)
    house = House(settings.load(data=tmp_path), lost, vault.ring)
    broken = Visitor(create_app(house, clock=lambda: BEFORE, inbox=None))
    answer = broken.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})


def test_a_failure_shows_a_number_which_is_in_the_log_and_nothing_else(
    tmp_path: Path, log: LogCapture
) -> None:
    vault = Vault(keys.KeyRing.fresh())
    lost = session.Database(create_engine(f"sqlite:///{tmp_path}/anna@example.org/mailer.db"), vault)
    house = House(settings.load(data=tmp_path), lost, vault.ring)
    answer = Visitor(create_app(house, clock=lambda: BEFORE, inbox=None)).get("/statements")
    assert (answer.status_code, heading(answer)) == (500, "Something went wrong on our side")
    failed = next(line for line in log.entries if line["event"] == "page-failed")
    assert failed["number"] in words(answer)
    assert failed["route"] == "/statements"
    assert "anna@example.org" not in str(log.entries)


def test_the_log_knows_routes_and_never_a_token_or_an_address(
    exhibit: Exhibit, looker: Visitor, log: LogCapture
) -> None:
    scene = exhibit.scene
    paths = [
        f"/u/{scene.leave}",
        f"/c/{scene.confirm}",
        f"/p/{scene.preferences}?lang=fr",
        "/nothing/anna@example.org",
    ]
    for path in paths:
        looker.get(path, headers={"User-Agent": "anna@example.org"})
    looker.post("/subscribe", data={"address": "anna@example.org"})
    looker.get("/inbox?q=anna@example.org")
    written = str(log.entries)
    for secret in ("anna", scene.leave, scene.confirm, scene.preferences):
        assert secret not in written
    told = [line["route"] for line in log.entries if line["event"] == "request"]
    assert told == ["/u/{token}", "/c/{token}", "/p/{token}", "none", "/subscribe", "/inbox"]
    assert [line["status"] for line in log.entries][-1] == 200


def test_static_files_are_named_by_their_content_and_kept_for_ever(looker: Visitor) -> None:
    page = looker.see("/help")
    for link in page.css("link[rel=stylesheet], link[rel=icon]"):
        answer = looker.get(str(link.attributes["href"]))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_the_style_sheet_is_small_and_every_page_too(exhibit: Exhibit, looker: Visitor) -> None:
    style = Path(__file__).parents[2] / "mailer" / "web" / "static" / "app.css"
    assert style.stat().st_size <= 25_000
    for route in EXAMPLES:
        if not route.startswith("/inbox"):
            assert len(looker.get(example(route, exhibit.scene)).content) < 50_000, route


def test_without_an_inbox_there_is_no_viewer(house: House) -> None:
    visitor = Visitor(create_app(house, clock=lambda: BEFORE, inbox=None))
    assert visitor.get("/inbox").status_code == 404
    assert "/inbox" not in visitor.get("/").text


def test_robots_are_kept_from_doors(looker: Visitor) -> None:
    assert {"Disallow: /c/", "Disallow: /p/", "Disallow: /u/"} <= set(
        looker.get("/robots.txt").text.splitlines()
    )
