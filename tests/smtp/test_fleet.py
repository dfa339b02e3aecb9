"""Several relays: letters are spread by weight, and a relay that refuses costs no letter its turn."""

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from mailer.smtp.engine import Engine
from mailer.smtp.journal import Journal, read
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict
from mailer.smtp.relay import parse_all
from mailer.smtp.stream import Stream
from tests.smtp.conftest import QUICK

Make = Callable[..., Any]
PATIENCE = 20.0


@pytest.fixture
def fleet() -> Any:
    """Makes engines over several relays, and closes them."""
    made: list[Engine] = []

    def make(text: str, **options: Any) -> Engine:
        facts: dict[str, Any] = {"ehlo_name": "mail.example.org", "limits": QUICK, "connections": 1}
        made.append(Engine(parse_all(text), **(facts | options)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def by_id(outcomes: list[tuple[int, Outcome]]) -> dict[int, Outcome]:
    assert len({number for number, _ in outcomes}) == len(outcomes)
    return dict(outcomes)


def collect(stream: Stream, count: int) -> dict[int, Outcome]:
    known: list[tuple[int, Outcome]] = []
    end = time.monotonic() + PATIENCE
    while len(known) < count:
        assert time.monotonic() < end
        known += stream.outcomes(0.5)
    return by_id(known)


def test_letters_are_spread_by_weight(inbox_server: Make, fleet: Make, letters: Make) -> None:
    one, two, three = inbox_server(), inbox_server(), inbox_server()
    sender = fleet(f"{one.url}?weight=1\n{two.url}?weight=2 {three.url}?weight=7")
    outcomes = by_id(list(sender.send(letters(100))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert [len(inbox.ids) for inbox in (one, two, three)] == [10, 20, 70]
    assert sorted(one.ids + two.ids + three.ids) == list(range(1, 101))


def test_letters_that_come_one_by_one_are_spread_by_weight_too(
    inbox_server: Make, fleet: Make, letter: Make
) -> None:
    one, two = inbox_server(), inbox_server()
    stream = fleet(f"{one.url}?weight=1 {two.url}?weight=3").open()
    for number in range(1, 41):
        stream.feed([letter(number)])
    assert {o.verdict for o in collect(stream, 40).values()} == {Verdict.SENT}
    assert [len(one.ids), len(two.ids)] == [10, 30]


def _gone(raw_server: Make) -> str:
    server = raw_server(lambda wire: None)
    url: str = server.url
    server.close()
    return url


def test_when_a_relay_does_not_answer_its_letters_go_to_another_in_the_same_breath(
    inbox: Any, raw_server: Make, fleet: Make, letters: Make
) -> None:
    gone = _gone(raw_server)
    sender = fleet(f"{gone} {inbox.url}")
    outcomes = by_id(list(sender.send(letters(60))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert inbox.ids == list(range(1, 61))
    assert {name: outcome.reason for name, outcome in sender.resting().items()} == {gone: Reason.CONNECT}


@pytest.mark.parametrize("extensions", [(b"PIPELINING",), (b"8BITMIME",), (b"PIPELINING", b"CHUNKING")])
def test_a_quota_used_up_moves_what_has_no_dot(
    inbox: Any, raw_server: Make, fleet: Make, letters: Make, journal: Journal, extensions: tuple[bytes, ...]
) -> None:
    """Letters whose dot (or LAST) was written stay with their relay, and its answer is theirs."""

    def say(step: str, letter: int) -> bytes | None:
        return b"454 4.7.0 daily message quota exceeded\r\n" if step == "rcpt" and letter > 5 else None

    def script(wire: Any) -> None:
        wire.greet(*extensions)
        if b"CHUNKING" in extensions:
            wire.chunks(say)
        wire.take(3)
        while not wire.line().startswith(b"RCPT"):
            wire.send(b"250 ok\r\n")
        wire.send(b"454 4.7.0 daily message quota exceeded\r\n")
        with_data = b"PIPELINING" in extensions
        wire.send(b"503 5.5.1 no recipient\r\n" if with_data else b"")
        wire.take_all()

    server = raw_server(script)
    sender = fleet(f"{server.url}?depth=4 {inbox.url}", journal=journal)
    outcomes = by_id(list(sender.send(letters(80))))
    deferred = {n: o for n, o in outcomes.items() if o.verdict is not Verdict.SENT}
    assert {o.fault for o in deferred.values()} <= {Fault.RELAY}
    assert len(deferred) <= (4 if b"CHUNKING" in extensions else 0)
    taken = Counter(server.bodies + [body for _, _, body in server.taken] + inbox.ids)
    assert sorted(taken) == sorted(n for n, o in outcomes.items() if o.verdict is Verdict.SENT)
    assert max(taken.values()) == 1
    assert list(sender.resting()) == [server.url]
    assert all(record.reply is not None for record in read(journal.path).records.values())


def test_a_refused_login_rests_the_relay_and_is_shown(
    inbox: Any, inbox_server: Make, fleet: Make, letters: Make
) -> None:
    locked = inbox_server(login=True)
    sender = fleet(f"smtp://staff:wrong@127.0.0.1:{locked.port}?tls=none {inbox.url}")
    first = by_id(list(sender.send(letters(20))))
    assert {o.verdict for o in first.values()} == {Verdict.SENT}
    assert inbox.ids == list(range(1, 21))
    [(name, why)] = sender.resting().items()
    assert (name, why.fault, why.reason) == (locked.url, Fault.RELAY, Reason.AUTH)
    assert why.retry_after is not None
    assert why.retry_after >= 300
    list(sender.send(letters(20)))  # it rests: nobody tries that password again
    assert locked.logins == ["PLAIN"]


def test_only_when_all_rest_do_letters_come_back(raw_server: Make, fleet: Make, letters: Make) -> None:
    urls = [_gone(raw_server), _gone(raw_server)]
    sender = fleet(" ".join(urls))
    outcomes = by_id(list(sender.send(letters(30))))
    assert {(o.verdict, o.fault, o.reason) for o in outcomes.values()} == {
        (Verdict.DEFERRED, Fault.RELAY, Reason.CONNECT)
    }
    assert sorted(sender.resting()) == sorted(urls)
    again = by_id(list(sender.send(letters(5))))
    assert {(o.verdict, o.fault) for o in again.values()} == {(Verdict.DEFERRED, Fault.RELAY)}
    assert all(o.retry_after is not None and 0 < o.retry_after <= 300 for o in again.values())


def test_a_relay_that_has_rested_is_tried_again(
    inbox: Any, raw_server: Make, fleet: Make, letter: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    back = raw_server(
        lambda wire: wire.send(b"554 5.3.2 down for now\r\n"), lambda wire: (wire.greet(), wire.take_all())
    )
    stream = fleet(f"{back.url} {inbox.url}").open()
    stream.feed([letter(number) for number in range(1, 11)])
    collect(stream, 10)
    assert (len(inbox.ids), back.bodies) == (10, [])
    later = time.monotonic() + 3600
    monkeypatch.setattr("mailer.smtp.fleet.time.monotonic", lambda: later)
    stream.feed([letter(number) for number in range(11, 21)])
    collect(stream, 10)
    assert (len(inbox.ids), len(back.bodies)) == (15, 5)


def test_a_journal_that_fails_stops_every_relay(
    inbox_server: Make, fleet: Make, letters: Make, journal: Journal
) -> None:
    one, two = inbox_server(), inbox_server()
    sender = fleet(f"{one.url} {two.url}", journal=journal)
    journal.close()
    outcomes = by_id(list(sender.send(letters(40))))
    assert {(o.verdict, o.reason) for o in outcomes.values()} == {(Verdict.DEFERRED, Reason.JOURNAL)}
    assert one.ids + two.ids == []
    assert sender.resting() == {}


def test_a_relay_that_dies_midway_repeats_and_loses_nothing(
    inbox: Any, raw_server: Make, fleet: Make, letters: Make
) -> None:
    def dying(wire: Any) -> None:
        wire.greet()
        wire.take(7)
        wire.envelope()
        wire.body()

    server = raw_server(dying, lambda wire: None)
    outcomes = by_id(list(fleet(f"{server.url} {inbox.url}").send(letters(100))))
    verdicts = Counter(o.verdict for o in outcomes.values())
    assert verdicts == {Verdict.SENT: 99, Verdict.IN_DOUBT: 1}
    assert sorted(server.bodies + inbox.ids) == list(range(1, 101))


def test_a_lost_connection_without_a_new_one_moves_what_waits(
    inbox: Any, raw_server: Make, fleet: Make, letters: Make
) -> None:
    """Nothing is left with a relay that hangs up on everybody."""
    server = raw_server(lambda wire: (wire.greet(), wire.expect(b"MAIL")))
    outcomes = by_id(list(fleet(f"{server.url} {inbox.url}").send(letters(50))))
    deferred = {n: o.fault for n, o in outcomes.items() if o.verdict is not Verdict.SENT}
    assert set(deferred.values()) <= {Fault.LANE}
    assert len(deferred) <= 3
    assert sorted(inbox.ids) == sorted(set(range(1, 51)) - set(deferred))
