"""Connections opened ahead of letters: everything up to the envelope, and not one word of it."""

import time
from collections.abc import Callable
from typing import Any

from mailer.smtp.engine import Engine
from mailer.smtp.outcome import Verdict
from tests.smtp.test_direct import Map, direct, host, roads  # noqa: F401 - fixtures
from tests.smtp.test_engine import Make, by_id

PATIENCE = 20.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Look until it holds; fails with `what` when it never does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def test_a_warm_connection_has_shaken_hands_and_said_nothing_of_a_mail(
    inbox: Any, engine: Make, letters: Make
) -> None:
    sender = engine(inbox.url, connections=3)
    sender.warm()
    until(lambda: len(inbox.ehlo_names) == 3, "three connections are open")
    assert inbox.envelopes == 0
    outcomes = by_id(list(sender.send(letters(30))))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SENT}
    assert inbox.connections == 3  # those that were warm
    assert inbox.envelopes == 30


def test_warming_again_opens_no_more_than_there_may_be(inbox: Any, engine: Make, letters: Make) -> None:
    sender = engine(inbox.url, connections=2)
    for _ in range(5):
        sender.warm()
    until(lambda: len(inbox.ehlo_names) == 2, "two connections are open")
    list(sender.send(letters(10)))
    sender.warm()
    list(sender.send(letters(10)))
    assert inbox.connections == 2


def test_tls_and_login_are_done_before(
    inbox_server: Callable[..., Any], engine: Make, letter: Make, certificates: Any
) -> None:
    inbox = inbox_server(login=True, starttls=certificates.good)
    url = f"smtp://staff:right%20password@127.0.0.1:{inbox.port}?tls=starttls&ca={certificates.ca}"
    sender = engine(url)
    sender.warm()
    until(lambda: inbox.logins != [], "somebody has logged in")
    assert inbox.envelopes == 0
    assert [outcome.verdict for _, outcome in sender.send([letter(1)])] == [Verdict.SENT]
    assert inbox.connections == 1


def test_a_server_that_does_not_let_us_in_is_asked_again_by_the_letters(
    inbox_server: Callable[..., Any], engine: Make, letter: Make
) -> None:
    inbox = inbox_server(login=True)
    sender: Engine = engine(f"smtp://staff:wrong@127.0.0.1:{inbox.port}", connections=4)
    sender.warm()
    until(lambda: inbox.logins != [], "the login was tried")
    sender.warm()
    assert len(inbox.logins) == 1
    assert sender.resting() == {}
    (outcome,) = (outcome for _, outcome in sender.send([letter(1)]))
    assert outcome.verdict is Verdict.DEFERRED
    assert inbox.envelopes == 0


def test_letters_that_come_while_it_is_warming_lose_nothing(inbox: Any, engine: Make, letters: Make) -> None:
    sender = engine(inbox.url, connections=4)
    sender.warm()
    outcomes = by_id(list(sender.send(letters(100))))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SENT}
    assert inbox.ids == list(range(1, 101))
    assert inbox.connections <= 4


def test_a_closed_engine_is_not_warmed(inbox: Any, engine: Make) -> None:
    sender = engine(inbox.url)
    sender.close()
    sender.warm()
    assert inbox.connections == 0


def test_sites_of_direct_delivery_are_called_once(
    inbox: Any,
    direct: Make,  # noqa: F811
    roads: Map,  # noqa: F811
    letter: Make,
) -> None:
    roads.lay("example.org", host(inbox.url))
    sender = direct()
    for _ in range(3):
        sender.warm(["example.org", "unknown.example"])
    until(lambda: len(inbox.ehlo_names) == 1, "the site was called")
    assert inbox.envelopes == 0
    assert [outcome.verdict for _, outcome in sender.send([letter(1)])] == [Verdict.SENT]
    assert inbox.connections == 1
