"""Where a domain's mail goes, asked of a real name server that lies, loops, stalls and breaks off."""

import asyncio
import ipaddress
import random
import socket
import time
from collections.abc import Iterator
from typing import Any

import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.smtp.hosts import Road, TlsPolicy
from mailer.smtp.lookup import Found, Lookup, State
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict
from mailer.smtp.roads import MxRoads
from tests.smtp.name_server import GARBAGE, SILENCE, NameServer, serving

SERVFAIL, REFUSED, NXDOMAIN = dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NXDOMAIN


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def names() -> Iterator[NameServer]:
    with serving() as server:
        yield server


def roads(names: NameServer, **options: Any) -> MxRoads:
    options = {
        "fetch": None,
        "clock": Clock(),
        "allow": lambda address: address.startswith("127."),
        "shuffle": random.Random(1),
        "patience": 0.3,
    } | options
    return MxRoads(names.resolver(), **options)


def road(names: NameServer, domain: str = "example.org", **options: Any) -> Road:
    async def ask() -> Road:
        return await roads(names, **options).road(domain)

    found = asyncio.run(ask())
    assert (found.refusal is None) == bool(found.hosts)
    return found


def refusal(names: NameServer, domain: str = "example.org", **options: Any) -> Outcome:
    outcome = road(names, domain, **options).refusal
    assert outcome is not None
    assert "@" not in outcome.text
    assert domain not in outcome.text
    return outcome


def addresses(found: Road) -> list[str]:
    return [host.address for host in found.hosts]


def assert_waits(outcome: Outcome) -> None:
    """Temporary, and nobody's fault: neither a subscriber nor a lane of others pays for a broken zone."""
    assert (outcome.verdict, outcome.fault) == (Verdict.DEFERRED, Fault.NONE)


# --- the order of RFC 5321 5.1


def test_hosts_come_by_preference_and_their_site_is_their_organisation(names: NameServer) -> None:
    names.add("example.org", "MX", "20 b.mail.example.net.", "10 A.mail.example.net.", "30 c.example.test.")
    for number, host in enumerate(("a.mail.example.net", "b.mail.example.net", "c.example.test"), start=1):
        names.add(host, "A", f"127.0.0.{number}")
    found = road(names)
    assert [(host.name, host.address, host.port) for host in found.hosts] == [
        ("a.mail.example.net", "127.0.0.1", 25),
        ("b.mail.example.net", "127.0.0.2", 25),
        ("c.example.test", "127.0.0.3", 25),
    ]
    assert found.site == "example.net"
    assert {(host.family, host.tls) for host in found.hosts} == {(socket.AF_INET, TlsPolicy.OPPORTUNISTIC)}


def test_equal_hosts_are_shuffled_anew_each_time_but_their_site_stays(names: NameServer) -> None:
    names.add("example.org", "MX", *(f"10 mx{n}.h{n}.test." for n in range(5)), "20 last.example.org.")
    for n in range(5):
        names.add(f"mx{n}.h{n}.test", "A", f"127.0.0.{n + 1}")
    names.add("last.example.org", "A", "127.0.0.9")

    async def many() -> list[Road]:
        asking = roads(names)
        return [await asking.road("example.org") for _ in range(30)]

    found = asyncio.run(many())
    assert len({tuple(addresses(each)) for each in found}) > 10
    assert {each.hosts[0].name for each in found} == {f"mx{n}.h{n}.test" for n in range(5)}
    assert {each.hosts[-1].name for each in found} == {"last.example.org"}
    assert {each.site for each in found} == {"h0.test"}
    assert names.count("example.org", "MX") == 1


def test_ipv6_and_ipv4_are_tried_in_turn(names: NameServer) -> None:
    names.add("example.org", "MX", "10 mx.example.org.")
    names.add("mx.example.org", "A", "127.0.0.1", "127.0.0.2")
    names.add("mx.example.org", "AAAA", "2a00:1450::1", "2a00:1450::2")
    found = road(names)
    assert [host.family for host in found.hosts] == [socket.AF_INET6, socket.AF_INET] * 2
    assert {host.family for host in road(names, families=(socket.AF_INET,)).hosts} == {socket.AF_INET}


def test_without_mx_the_domain_itself_is_the_host(names: NameServer) -> None:
    names.add("example.org", "A", "127.0.0.1")
    found = road(names, "Example.ORG.")
    assert [(host.name, host.address) for host in found.hosts] == [("example.org", "127.0.0.1")]


def test_mx_hosts_without_address_do_not_bring_the_domain_back(names: NameServer) -> None:
    names.add("example.org", "MX", "10 gone.example.org.")
    names.add("example.org", "A", "127.0.0.1")
    outcome = refusal(names)
    assert_waits(outcome)
    assert outcome.enhanced == "4.4.4"


def test_a_domain_that_exists_without_mail_host_waits(names: NameServer) -> None:
    names.add("example.org", "TXT", '"nothing else"')
    assert_waits(refusal(names))


@pytest.mark.parametrize("one_a_time", [True, False])
def test_aliases_are_followed(names: NameServer, one_a_time: bool) -> None:
    names.one_alias_a_time = one_a_time
    names.add("example.org", "CNAME", "one.example.net.")
    names.add("one.example.net", "CNAME", "two.example.net.")
    names.add("two.example.net", "MX", "10 mx.example.net.")
    names.add("mx.example.net", "CNAME", "real.example.net.")
    names.add("real.example.net", "A", "127.0.0.4")
    assert addresses(road(names)) == ["127.0.0.4"]


def test_international_domains_are_asked_for_as_a_labels(names: NameServer) -> None:
    names.add("xn--bcher-kva.test", "A", "127.0.0.1")
    assert addresses(road(names, "Bücher.test")) == ["127.0.0.1"]


# --- the fault matrix


def test_null_mx_fails_the_address_for_good(names: NameServer) -> None:
    names.add("example.org", "MX", "0 .")
    names.add("example.org", "A", "127.0.0.1")
    outcome = refusal(names)
    assert (outcome.verdict, outcome.fault, outcome.reason) == (
        Verdict.FAILED,
        Fault.RECIPIENT,
        Reason.ADDRESS,
    )
    assert outcome.enhanced == "5.1.10"
    assert not outcome.contradicts_itself


def test_a_null_mx_beside_others_says_nothing(names: NameServer) -> None:
    names.add("example.org", "MX", "0 .", "10 mx.example.org.")
    names.add("mx.example.org", "A", "127.0.0.1")
    assert addresses(road(names)) == ["127.0.0.1"]


def test_a_domain_that_does_not_exist_fails(names: NameServer) -> None:
    names.add("other.test", "A", "127.0.0.1")
    outcome = refusal(names)
    assert (outcome.verdict, outcome.fault, outcome.enhanced) == (Verdict.FAILED, Fault.RECIPIENT, "5.1.2")
    assert {kind for _, kind, _ in names.asked} == {"MX", "A"}  # said twice before it is believed


@pytest.mark.parametrize("act", [SERVFAIL, REFUSED, SILENCE, GARBAGE])
def test_name_servers_that_do_not_answer_make_mail_wait(names: NameServer, act: Any) -> None:
    names.add("example.org", "MX", "10 mx.example.org.")
    names.script("example.org", "MX", act)
    names.add("example.org", "A", "127.0.0.1")
    outcome = refusal(names)
    assert_waits(outcome)
    assert outcome.enhanced == "4.4.3"
    assert (outcome.reason is Reason.TIMEOUT) == (act in (SILENCE, GARBAGE))


@pytest.mark.parametrize("act", [SERVFAIL, SILENCE])
def test_mx_hosts_that_cannot_be_looked_up_make_mail_wait(names: NameServer, act: Any) -> None:
    names.add("example.org", "MX", "10 mx.example.org.")
    for kind in ("A", "AAAA"):
        names.script("mx.example.org", kind, act)
    assert_waits(refusal(names))


def test_one_dead_host_does_not_hide_the_living_and_is_soon_asked_again(names: NameServer) -> None:
    names.add("example.org", "MX", "10 dead.example.org.", "20 mx.example.org.", ttl=86_400)
    names.add("mx.example.org", "A", "127.0.0.2", ttl=86_400)
    for kind in ("A", "AAAA"):
        names.script("dead.example.org", kind, SERVFAIL)
    clock = Clock()

    async def twice() -> list[list[str]]:
        asking = roads(names, clock=clock)
        first = await asking.road("example.org")
        clock.now += 61
        names.scripts.clear()
        names.add("dead.example.org", "A", "127.0.0.1")
        return [addresses(first), addresses(await asking.road("example.org"))]

    assert asyncio.run(twice()) == [["127.0.0.2"], ["127.0.0.1", "127.0.0.2"]]


def test_a_flipping_nxdomain_fails_nobody(names: NameServer) -> None:
    names.add("example.org", "MX", "10 mx.example.org.")
    names.add("example.org", "A", "127.0.0.1")
    names.script("example.org", "MX", NXDOMAIN)
    assert_waits(refusal(names))


def test_a_domain_that_worked_lately_is_not_declared_dead_at_once(names: NameServer) -> None:
    names.add("example.org", "A", "127.0.0.1", ttl=60)
    clock = Clock()

    async def days() -> list[Outcome | None]:
        asking = roads(names, clock=clock)
        outcomes = [(await asking.road("example.org")).refusal]
        records = dict(names.records)
        names.records.clear()
        names.add("other.test", "A", "127.0.0.1")
        for wait in (61, 61, 86_400):
            clock.now += wait
            outcomes.append((await asking.road("example.org")).refusal)
        names.records = records
        clock.now += 3601
        outcomes.append((await asking.road("example.org")).refusal)
        return outcomes

    outcomes = asyncio.run(days())
    verdicts = [outcome.verdict if outcome else None for outcome in outcomes]
    assert verdicts == [None, Verdict.DEFERRED, Verdict.DEFERRED, Verdict.FAILED, None]


def test_two_hundred_mx_are_cut_to_the_best(names: NameServer) -> None:
    names.add("example.org", "MX", *(f"{n} mx{n}.example.org." for n in range(200)))
    for n in range(200):
        names.add(f"mx{n}.example.org", "A", *(f"127.0.{n}.{k}" for k in range(1, 11)))
    found = road(names)
    assert len(found.hosts) == 40
    assert [host.name for host in found.hosts] == [f"mx{n}.example.org" for n in range(5) for _ in range(8)]
    assert len({name for name, kind, _ in names.asked if kind == "A"}) == 20
    assert ("example.org", "MX", "tcp") in names.asked  # 200 records do not fit a datagram


def test_a_cname_loop_ends_and_waits(names: NameServer) -> None:
    names.add("example.org", "CNAME", "one.example.org.")
    names.add("one.example.org", "CNAME", "example.org.")
    assert_waits(refusal(names))
    names.one_alias_a_time = True
    assert_waits(refusal(names))
    assert len(names.asked) < 30


def test_an_endless_chain_of_aliases_ends_and_waits(names: NameServer) -> None:
    names.one_alias_a_time = True
    names.add("example.org", "CNAME", "a0.example.org.")
    for n in range(40):
        names.add(f"a{n}.example.org", "CNAME", f"a{n + 1}.example.org.")
    assert_waits(refusal(names))
    assert len(names.asked) < 30


def test_a_slow_zone_is_given_up_within_the_lifetime(names: NameServer) -> None:
    """Every question alone would still be within its patience; together they are not."""
    names.add("example.org", "MX", "10 mx.example.org.")
    for key in (("mx.example.org", "A"), ("mx.example.org", "AAAA")):
        names.script(*key, SILENCE)
    started = time.monotonic()
    outcome = refusal(names, patience=30.0, lifetime=0.3)
    assert time.monotonic() - started < 5
    assert_waits(outcome)
    assert outcome.reason is Reason.TIMEOUT


def test_a_truncated_answer_is_asked_for_by_tcp(names: NameServer) -> None:
    names.truncates = True
    names.add("example.org", "MX", "10 mx.example.org.")
    names.add("mx.example.org", "A", "127.0.0.1")
    assert addresses(road(names)) == ["127.0.0.1"]
    assert {way for _, _, way in names.asked} == {"udp", "tcp"}


# --- addresses that are not public


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("A", "127.0.0.1"),
        ("A", "10.1.2.3"),
        ("A", "192.168.0.1"),
        ("A", "169.254.169.254"),
        ("A", "100.64.0.1"),
        ("A", "0.0.0.0"),
        ("A", "224.0.0.1"),
        ("A", "255.255.255.255"),
        ("AAAA", "::1"),
        ("AAAA", "::"),
        ("AAAA", "::ffff:127.0.0.1"),
        ("AAAA", "::ffff:8.8.8.8"),
        ("AAAA", "64:ff9b::7f00:1"),
        ("AAAA", "2002:7f00:1::"),
        ("AAAA", "fe80::1"),
        ("AAAA", "fd00::1"),
        ("AAAA", "ff02::1"),
    ],
)
def test_no_domain_aims_mail_into_the_network(names: NameServer, kind: str, address: str) -> None:
    names.add("example.org", "MX", "10 mx.example.org.", "20 good.example.org.")
    names.add("mx.example.org", kind, address)
    names.add("good.example.org", "A", "8.8.8.8")
    names.add("alone.test", kind, address)
    assert addresses(road(names, allow=lambda _: False)) == ["8.8.8.8"]
    assert_waits(refusal(names, "alone.test", allow=lambda _: False))
    (allowed,) = addresses(road(names, "alone.test", allow=lambda _: True))
    assert ipaddress.ip_address(allowed) == ipaddress.ip_address(address)


@pytest.mark.parametrize("target", ["a\\032b.test.", "\\000.test.", "mx@x.test.", "-.test.", "[127.0.0.1]."])
def test_a_host_that_is_no_host_name_is_left_out(names: NameServer, target: str) -> None:
    names.add("example.org", "MX", f"10 {target}", "20 mx.example.org.")
    names.add("mx.example.org", "A", "127.0.0.1")
    assert [host.name for host in road(names).hosts] == ["mx.example.org"]


@pytest.mark.parametrize(
    "domain", ["", ".", "a b", "[127.0.0.1]", "x" * 300, "a..b", "a\r\nb", "a@b", "x" * 64]
)
def test_what_is_no_domain_is_never_asked_for(names: NameServer, domain: str) -> None:
    found = road(names, domain)
    assert found.refusal is not None
    assert (found.refusal.verdict, found.refusal.reason) == (Verdict.FAILED, Reason.ADDRESS_SYNTAX)
    assert names.asked == []


# --- TLS by site


def test_tls_is_required_where_the_site_or_the_domain_is_known_for_it(names: NameServer) -> None:
    names.add("example.org", "MX", "10 aspmx.l.google.com.")
    names.add("aspmx.l.google.com", "A", "127.0.0.1")
    names.add("gmail.com", "MX", "10 mx.evil.test.")  # forged
    names.add("mx.evil.test", "A", "127.0.0.2")
    assert {host.tls for host in road(names).hosts} == {TlsPolicy.REQUIRE}
    assert {host.tls for host in road(names, "gmail.com").hosts} == {TlsPolicy.REQUIRE}
    open_road = road(names, requires_tls=lambda _: False)
    assert {host.tls for host in open_road.hosts} == {TlsPolicy.OPPORTUNISTIC}


# --- memory


def test_answers_are_kept_for_their_ttl_within_bounds(names: NameServer) -> None:
    names.add("short.test", "A", "127.0.0.1", ttl=0)
    names.add("long.test", "A", "127.0.0.1", ttl=2_000_000)
    names.add("null.test", "MX", "0 .", ttl=2_000_000)
    names.script("broken.test", "MX", SERVFAIL)
    clock = Clock()

    async def asked_again_after(domain: str, kept: float) -> None:
        asking = roads(names, clock=clock)
        for wait, count in ((0, 1), (kept - 1, 1), (2, 2)):
            clock.now += wait
            await asking.road(domain)
            assert names.count(domain, "MX") == count, domain

    names.add("long.test", "MX", "10 long.test.", ttl=2_000_000)
    for domain, kept in (("short.test", 60), ("null.test", 3600), ("broken.test", 60), ("long.test", 86_400)):
        asyncio.run(asked_again_after(domain, kept))


def test_a_thousand_letters_to_one_domain_ask_once(names: NameServer) -> None:
    names.add("example.org", "MX", "10 mx.example.org.")
    names.add("mx.example.org", "A", "127.0.0.1")

    async def together() -> set[tuple[str, ...]]:
        asking = roads(names)
        found = await asyncio.gather(*(asking.road("EXAMPLE.org") for _ in range(1000)))
        return {tuple(addresses(each)) for each in found}

    assert asyncio.run(together()) == {("127.0.0.1",)}
    assert len(names.asked) == 3


def test_a_caller_who_gives_up_does_not_take_the_answer_from_the_others(names: NameServer) -> None:
    names.add("example.org", "A", "127.0.0.1")

    async def two() -> list[str]:
        asking = roads(names)
        first, second = (asyncio.create_task(asking.road("example.org")) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return addresses(await second)

    assert asyncio.run(two()) == ["127.0.0.1"]


def test_memory_is_bounded(names: NameServer) -> None:
    for n in range(30):
        names.add(f"d{n}.test", "A", "127.0.0.1")

    async def many() -> MxRoads:
        asking = roads(names, max_domains=10)
        for n in range(30):
            await asking.road(f"d{n}.test")
        await asking.road("d20.test")
        await asking.road("d0.test")
        return asking

    asking = asyncio.run(many())
    assert len(asking._known) == 10
    assert asking._asking == {}
    assert (names.count("d20.test", "MX"), names.count("d0.test", "MX")) == (1, 2)


# --- answers nobody should send


class Liar(NameServer):
    lie = b""

    def answer(self, wire: bytes, road: str) -> bytes | None:
        return wire[:2] + bytes([wire[2] | 0x80]) + self.lie


@pytest.mark.slow
def test_no_bytes_of_a_name_server_raise() -> None:
    with serving(Liar()) as liar:

        async def ask() -> Found:
            return await Lookup(liar.resolver(), patience=0.02).ask("example.org", "MX")

        @settings(max_examples=30, deadline=None)  # each waits until patience ends
        @given(lie=st.binary(max_size=200))
        def lied_to(lie: bytes) -> None:
            liar.lie = lie  # type: ignore[attr-defined]
            assert asyncio.run(ask()).state in State

        lied_to()
