"""Direct delivery: real servers on loopback, found by a road that says what DNS would have said."""

import asyncio
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mailer.smtp.engine import Engine
from mailer.smtp.hosts import NULL_MX, Host, Road, TlsPolicy
from mailer.smtp.journal import Journal, read
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict
from mailer.smtp.pace import LaneLimits
from mailer.smtp.stream import Stream
from tests.smtp.authority import Issued, issue
from tests.smtp.conftest import QUICK

Make = Callable[..., Any]
PATIENCE = 20.0
PLENTY = LaneLimits(connections=4, mails_per_connection=None)


class Map:
    """The border to DNS: roads as a test lays them."""

    def __init__(self) -> None:
        self.roads: dict[str, Road] = {}
        self.asked: Counter[str] = Counter()
        self.silent: set[str] = set()

    async def road(self, domain: str) -> Road:
        self.asked[domain] += 1
        if domain in self.silent:
            await asyncio.Event().wait()
        return self.roads[domain]

    def lay(self, domain: str, *hosts: Host, site: str = "") -> None:
        self.roads[domain] = Road(site=site or domain, hosts=hosts)


def host(url: str, tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC, **changes: Any) -> Host:
    facts: dict[str, Any] = {
        "name": "localhost",
        "address": "127.0.0.1",
        "family": socket.AF_INET,
        "port": int(url.rpartition(":")[2]),
        "tls": tls,
    }
    return Host(**(facts | changes))


@pytest.fixture
def roads() -> Map:
    return Map()


@pytest.fixture
def direct(roads: Map) -> Iterator[Make]:
    made: list[Engine] = []

    def make(lane: LaneLimits = PLENTY, **options: Any) -> Engine:
        facts: dict[str, Any] = {
            "ehlo_name": "mail.example.org",
            "wall_clock": lambda: datetime.now(UTC),
            "limits": QUICK,
            "limits_of": lambda _: lane,
        }
        made.append(Engine.direct(roads, **(facts | options)))
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


def behave(wire: Any) -> None:
    wire.greet()
    wire.take_all()


def _gone(raw_server: Make) -> str:
    server = raw_server(lambda wire: None)
    url: str = server.url
    server.close()
    return url


def test_each_letter_goes_to_its_domain(
    inbox_server: Make, roads: Map, direct: Make, letter: Make, journal: Journal
) -> None:
    inboxes = {name: inbox_server() for name in ("one.example.org", "two.example.org", "three.example.org")}
    for name, inbox in inboxes.items():
        roads.lay(name, host(inbox.url))
    names = list(inboxes)
    batch = [letter(number, recipient=f"reader@{names[number % 3].upper()}") for number in range(1, 61)]
    outcomes = by_id(list(direct(journal=journal).send(batch)))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    for place, inbox in enumerate(inboxes.values()):
        assert inbox.ids == [number for number in range(1, 61) if number % 3 == place]
    assert all(count == 1 for count in roads.asked.values())
    assert all(record.reply is not None for record in read(journal.path).records.values())


@pytest.mark.parametrize(
    "greeting", [None, b"554 5.7.1 go away\r\n", b"421 4.3.2 not now\r\n", b"hello\r\n", b""]
)
def test_the_next_host_is_tried_and_the_bad_one_passed_over(
    inbox: Any, raw_server: Make, roads: Map, direct: Make, letters: Make, greeting: bytes | None
) -> None:
    bad = raw_server(lambda wire: wire.send(greeting or b""))
    bad_url = bad.url
    if greeting is None:
        bad.close()
    roads.lay("example.org", host(bad_url), host(inbox.url))
    sender = direct(LaneLimits(connections=1, mails_per_connection=5))
    outcomes = by_id(list(sender.send(letters(20))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert inbox.ids == list(range(1, 21))
    assert bad.connections == (0 if greeting is None else 1)
    assert inbox.connections == 4
    assert list(sender.resting()) == [bad_url.removeprefix("smtp://")]


def test_when_every_host_is_bad_that_domain_waits_and_the_others_do_not(
    inbox: Any, raw_server: Make, roads: Map, direct: Make, letter: Make
) -> None:
    roads.lay("dark.example.org", host(_gone(raw_server)), host(_gone(raw_server)))
    roads.lay("example.org", host(inbox.url))
    sender = direct()
    batch = [letter(n, recipient=f"r@{'dark.' if n % 2 else ''}example.org") for n in range(1, 41)]
    outcomes = by_id(list(sender.send(batch)))
    dark = [outcomes[n] for n in range(1, 41, 2)]
    assert {(o.verdict, o.fault, o.reason) for o in dark} == {(Verdict.DEFERRED, Fault.LANE, Reason.CONNECT)}
    assert inbox.ids == list(range(2, 41, 2))
    [(_, again)] = sender.send([letter(99, recipient="r@dark.example.org")])
    assert (again.verdict, again.fault) == (Verdict.DEFERRED, Fault.LANE)
    assert again.retry_after is not None
    assert 0 < again.retry_after <= 300


def test_a_domain_without_a_road_says_why(roads: Map, direct: Make, inbox: Any, letter: Make) -> None:
    roads.roads["null.example.org"] = Road(site="", refusal=NULL_MX)
    roads.lay("example.org", host(inbox.url))
    batch = [letter(1, recipient="r@null.example.org"), letter(2)]
    outcomes = by_id(list(direct().send(batch)))
    assert outcomes[1] == NULL_MX
    assert outcomes[2].verdict is Verdict.SENT


@pytest.mark.parametrize(
    "refusal", [b"554 5.7.1 Relay access denied\r\n", b"454 4.7.0 quota\r\n", b"530 5.7.0 login first\r\n"]
)
def test_what_one_site_refuses_is_its_lanes_affair(
    inbox: Any, raw_server: Make, roads: Map, direct: Make, letter: Make, refusal: bytes
) -> None:
    def script(wire: Any) -> None:
        wire.greet(b"8BITMIME")
        while not wire.line().startswith(b"RCPT"):
            wire.send(b"250 ok\r\n")
        wire.send(refusal)
        wire.take_all()

    roads.lay("strange.example.org", host(raw_server(script).url))
    roads.lay("example.org", host(inbox.url))
    batch = [letter(n, recipient=f"r@{'strange.' if n % 2 else ''}example.org") for n in range(1, 21)]
    outcomes = by_id(list(direct().send(batch)))
    assert {outcomes[n].fault for n in range(1, 21, 2)} == {Fault.LANE}
    assert {outcomes[n].verdict for n in range(2, 21, 2)} == {Verdict.SENT}


# --- manners


def test_a_connection_carries_no_more_letters_than_its_site_allows(
    inbox: Any, roads: Map, direct: Make, letters: Make
) -> None:
    roads.lay("example.org", host(inbox.url))
    outcomes = by_id(list(direct(LaneLimits(connections=1, mails_per_connection=5)).send(letters(23))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert max(Counter(mail.connection for mail in inbox.arrived).values()) == 5
    assert inbox.connections == 5


def test_domains_of_one_site_share_its_connections(
    raw_server: Make, roads: Map, direct: Make, letter: Make
) -> None:
    at_once, most, lock = [0], [0], threading.Lock()

    def script(wire: Any) -> None:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        try:
            behave(wire)
        finally:
            with lock:
                at_once[0] -= 1

    one, two = raw_server(script), raw_server(script)
    roads.lay("a.example.org", host(one.url), site="big.example.org")
    roads.lay("b.example.org", host(two.url), site="big.example.org")
    batch = [letter(n, recipient=f"r@{'ab'[n % 2]}.example.org") for n in range(1, 201)]
    outcomes = by_id(list(direct(LaneLimits(connections=1, mails_per_connection=10)).send(batch)))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert len(one.bodies) == len(two.bodies) == 100
    assert most[0] <= 3  # one at work, and others saying goodbye or resting


def test_what_rests_counts_among_a_site_s_connections(
    raw_server: Make, roads: Map, direct: Make, letter: Make
) -> None:
    """As at sites where each domain has a host of its own: a kept connection makes way for another's."""
    open_now, most, lock = [0], [0], threading.Lock()

    def script(wire: Any) -> None:
        with lock:
            open_now[0] += 1
            most[0] = max(most[0], open_now[0])
        try:
            behave(wire)
        finally:
            with lock:
                open_now[0] -= 1

    server = raw_server(script)
    for number in range(1, 21):
        roads.lay(f"d{number}.example.org", host(server.url, name=f"h{number}.test"), site="big.example.org")
    batch = [letter(n, recipient=f"r@d{n}.example.org") for n in range(1, 21)]
    outcomes = by_id(list(direct(LaneLimits(connections=2, mails_per_connection=None)).send(batch)))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert most[0] <= 2 + 2  # beside those at work no more than as many that are saying goodbye


def test_a_worker_without_a_share_of_a_site_still_lets_go_of_its_letters(
    inbox: Any, roads: Map, direct: Make, letters: Make
) -> None:
    roads.lay("example.org", host(inbox.url))
    stream = direct(LaneLimits(connections=0, mails_per_connection=None)).open()
    stream.feed(letters(3))
    assert {o.verdict for o in collect(stream, 3).values()} == {Verdict.SENT}


def test_a_share_that_shrinks_is_kept_from_then_on(
    raw_server: Make, roads: Map, direct: Make, letter: Make
) -> None:
    """Another worker has come: what was allowed at first is not allowed for ever."""
    server = raw_server(behave)
    roads.lay("example.org", host(server.url))
    share = [LaneLimits(connections=4, mails_per_connection=1)]
    stream = direct(limits_of=lambda _: share[0]).open()
    stream.feed([letter(n) for n in range(1, 101)])
    collect(stream, 100)  # enough clean rounds for all four
    share[0] = LaneLimits(connections=1, mails_per_connection=1)
    at_work, most, lock = [0], [0], threading.Lock()

    def watched(wire: Any) -> None:
        with lock:
            at_work[0] += 1
            most[0] = max(most[0], at_work[0])
        wire.greet()
        wire.take(1)
        with lock:
            at_work[0] -= 1
        wire.take_all()

    server.scripts = (watched,)
    stream.feed([letter(n) for n in range(101, 141)])
    assert {o.verdict for o in collect(stream, 40).values()} == {Verdict.SENT}
    assert most[0] == 1


def test_a_road_that_cannot_be_found_by_a_mistake_of_ours_is_one_domain_s_affair(
    inbox: Any, roads: Map, direct: Make, letter: Make
) -> None:
    roads.lay("example.org", host(inbox.url))  # and nobody laid a road to example.net: asking for it raises
    stream = direct().open()
    stream.feed([letter(1), letter(2, recipient="reader@example.net")])
    outcomes = collect(stream, 2)
    assert outcomes[1].verdict is Verdict.SENT
    assert (outcomes[2].verdict, outcomes[2].reason) == (Verdict.DEFERRED, Reason.TEMPORARY)


def test_bdat_begins_alone_and_in_fours_after_fifty_clean_letters(
    raw_server: Make, roads: Map, direct: Make, letters: Make
) -> None:
    depths: list[int] = []

    def script(wire: Any) -> None:
        wire.greet(b"PIPELINING", b"CHUNKING")
        wire.chunks(
            lambda step, letter: (
                depths.append(1 + wire._buffer.count(b" LAST\r\n")) if step == "last" else None
            )
        )

    server = raw_server(script)
    roads.lay("example.org", host(server.url))
    outcomes = by_id(list(direct(LaneLimits(connections=1, mails_per_connection=None)).send(letters(150))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert set(depths[:50]) == {1}
    assert 1 < max(depths) <= 4


# --- TLS


def test_a_host_that_must_be_verified_is(
    inbox_server: Make, certificates: Any, roads: Map, direct: Make, letters: Make
) -> None:
    inbox = inbox_server(starttls=certificates.good)
    roads.lay("example.org", host(inbox.url, TlsPolicy.VERIFIED, name="127.0.0.1"))
    outcomes = by_id(list(direct(ca=certificates.ca).send(letters(3))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}


@pytest.mark.parametrize("policy", [TlsPolicy.VERIFIED, TlsPolicy.REQUIRE, TlsPolicy.DANE])
def test_no_policy_is_lowered_where_starttls_is_missing(
    inbox: Any, roads: Map, direct: Make, letters: Make, policy: TlsPolicy
) -> None:
    roads.lay("example.org", host(inbox.url, policy))
    outcomes = by_id(list(direct().send(letters(3))))
    assert {(o.verdict, o.reason) for o in outcomes.values()} == {(Verdict.DEFERRED, Reason.NO_TLS)}
    assert inbox.arrived == []


def test_a_wrong_name_is_refused_where_it_counts_and_not_where_it_does_not(
    inbox_server: Make, certificates: Any, roads: Map, direct: Make, letter: Make
) -> None:
    inbox = inbox_server(starttls=certificates.wrong_name)
    roads.lay("strict.example.org", host(inbox.url, TlsPolicy.VERIFIED, name="127.0.0.1"))
    roads.lay("example.org", host(inbox.url, TlsPolicy.REQUIRE, address="127.0.0.1"))
    sender = direct(ca=certificates.ca)
    [(_, loose)] = sender.send([letter(2)])
    [(_, strict)] = sender.send([letter(1, recipient="r@strict.example.org")])
    assert (strict.verdict, strict.reason) == (Verdict.DEFERRED, Reason.NO_TLS)
    assert loose.verdict is Verdict.SENT
    assert inbox.ids == [2]


def _context(issued: Issued, folder: Path) -> ssl.SSLContext:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    pem = folder / "server.pem"
    key = issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(key + issued.certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_dane_decides_by_the_certificate(
    inbox_server: Make, roads: Map, direct: Make, letter: Make, tmp_path: Path
) -> None:
    server, stranger = issue("localhost", names=["localhost"]), issue("localhost", names=["localhost"])
    inbox = inbox_server(starttls=_context(server, tmp_path))
    roads.lay("good.example.org", host(inbox.url, TlsPolicy.DANE, tlsa=(server.tlsa(3, 1, 1),)))
    roads.lay("bad.example.org", host(inbox.url, TlsPolicy.DANE, tlsa=(stranger.tlsa(3, 1, 1),)))
    sender = direct()
    [(_, good)] = sender.send([letter(1, recipient="r@good.example.org")])
    [(_, bad)] = sender.send([letter(2, recipient="r@bad.example.org")])
    assert good.verdict is Verdict.SENT
    assert (bad.verdict, bad.reason) == (Verdict.DEFERRED, Reason.NO_TLS)
    assert inbox.ids == [1]


def test_an_opportunistic_host_whose_tls_is_broken_is_reached_in_clear_text(
    raw_server: Make, roads: Map, direct: Make, letters: Make
) -> None:
    def broken(wire: Any) -> None:
        wire.greet(b"PIPELINING", b"STARTTLS")
        wire.expect(b"STARTTLS")
        wire.send(b"220 go ahead\r\n")
        wire.send(b"this is no handshake")

    def second(wire: Any) -> None:
        wire.greet(b"PIPELINING", b"STARTTLS")
        wire.take_all()

    server = raw_server(broken, second)
    roads.lay("example.org", host(server.url))
    outcomes = by_id(list(direct(LaneLimits(connections=1, mails_per_connection=None)).send(letters(3))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert server.bodies == [1, 2, 3]


# --- the stream


def test_what_waits_for_dns_can_be_withdrawn_and_stopped(
    inbox: Any, roads: Map, direct: Make, letter: Make
) -> None:
    roads.lay("example.org", host(inbox.url))
    roads.silent.add("slow.example.org")
    stream = direct().open()
    stream.feed([letter(n, recipient=f"r@{'slow.' if n % 2 else ''}example.org") for n in range(1, 11)])
    assert set(collect(stream, 5)) == {2, 4, 6, 8, 10}
    stream.withdraw([1, 3])
    assert {o.reason for o in collect(stream, 2).values()} == {Reason.STOPPED}
    stream.stop()
    assert set(collect(stream, 3)) == {5, 7, 9}
    assert stream.in_flight == 0


def test_an_address_without_a_domain_fails_alone(inbox: Any, roads: Map, direct: Make, letter: Make) -> None:
    roads.lay("example.org", host(inbox.url))
    outcomes = by_id(list(direct().send([letter(1, recipient="nowhere"), letter(2)])))
    assert (outcomes[1].verdict, outcomes[1].reason) == (Verdict.FAILED, Reason.ADDRESS_SYNTAX)
    assert outcomes[2].verdict is Verdict.SENT


def test_a_journal_that_fails_stops_every_site(
    inbox: Any, roads: Map, direct: Make, letters: Make, journal: Journal
) -> None:
    roads.lay("example.org", host(inbox.url))
    sender = direct(journal=journal)
    journal.close()
    outcomes = by_id(list(sender.send(letters(10))))
    assert {(o.verdict, o.fault, o.reason) for o in outcomes.values()} == {
        (Verdict.DEFERRED, Fault.RELAY, Reason.JOURNAL)
    }
    assert inbox.arrived == []
