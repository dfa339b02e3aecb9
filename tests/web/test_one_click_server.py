"""One-click against the real server: old protocols, slow senders, crowds."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from fastapi import FastAPI

from mailer.services.house import House
from mailer.vocabulary import SubscriptionState
from mailer.web.app import create_app
from tests.conftest import NOON
from tests.web.scene import Scene
from tests.web.serving import Serving
from tests.web.test_unsubscribe import state, withdrawals

BODY = b"List-Unsubscribe=One-Click"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


def app(house: House) -> FastAPI:
    return create_app(house, clock=lambda: NOON, inbox=None)


@pytest.fixture
def serving(house: House, scene: Scene) -> Iterator[Serving]:
    serving = Serving(app(house))
    yield serving
    serving.stop()


def head(token: str, version: bytes, *more: bytes) -> bytes:
    path = f"/u/{token}".encode()
    length = b"Content-Length: %d\r\n" % len(BODY)
    return b"POST " + path + b" HTTP/" + version + b"\r\n" + FORM + length + b"".join(more) + b"\r\n"


def test_http_1_0_without_host_and_without_a_programs_name(
    house: House, scene: Scene, serving: Serving
) -> None:
    answer = serving.say(head(scene.leave, b"1.0") + BODY)
    assert answer.split(b"\r\n")[0].endswith(b"200 OK")
    assert state(house) is SubscriptionState.UNSUBSCRIBED


def test_a_body_that_comes_in_drops(house: House, scene: Scene, serving: Serving) -> None:
    with socket.create_connection((serving.host, serving.port), timeout=30) as connection:
        connection.sendall(head(scene.leave, b"1.1", b"Host: mailer.example.org\r\nConnection: close\r\n"))
        for letter in BODY:
            connection.settimeout(0.02)
            with pytest.raises(TimeoutError):  # it waits for the whole body and says nothing before
                connection.recv(1)
            connection.sendall(bytes([letter]))
        connection.settimeout(30)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 200 OK\r\n" in answer
    assert state(house) is SubscriptionState.UNSUBSCRIBED


def test_a_sender_that_leaves_in_the_middle_changes_nothing(
    house: House, scene: Scene, serving: Serving
) -> None:
    with socket.create_connection((serving.host, serving.port), timeout=30) as connection:
        connection.sendall(head(scene.leave, b"1.1", b"Host: x\r\n") + BODY[:10])
    assert httpx.get(f"http://127.0.0.1:{serving.port}/healthz").status_code == 200
    assert state(house) is SubscriptionState.CONFIRMED


def test_a_crowd_of_clicks_is_one(house: House, scene: Scene, serving: Serving) -> None:
    def click(_number: int) -> int:
        url = f"http://127.0.0.1:{serving.port}/u/{scene.leave}"
        return httpx.post(url, data={"List-Unsubscribe": "One-Click"}).status_code

    with ThreadPoolExecutor(20) as crowd:
        assert set(crowd.map(click, range(40))) == {200}
    assert withdrawals(house) == 1


def test_ipv6(house: House, scene: Scene) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        serving = Serving(app(house), "::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    try:
        answer = serving.say(head(scene.leave, b"1.0") + BODY)
    finally:
        serving.stop()
    assert b" 200 OK\r\n" in answer
    assert state(house) is SubscriptionState.UNSUBSCRIBED
