"""MTA-STS: what is a policy, whom it allows, and that nobody takes it away by breaking something."""

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.smtp import mta_sts
from mailer.smtp.hosts import Road, TlsPolicy
from mailer.smtp.lookup import Lookup
from mailer.smtp.mta_sts import Mode, Policies, Policy, PolicyError, policy_id, read_policy
from mailer.smtp.outcome import Fault, Reason, Verdict
from mailer.smtp.roads import MxRoads
from tests.smtp.name_server import SILENCE, NameServer, serving

PAGE = b"version: STSv1\r\nmode: enforce\r\nmx: mx.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n"
URL = "https://mta-sts.example.org/.well-known/mta-sts.txt"
DAY = 86_400


# --- the record


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([b"v=STSv1; id=20260101T000000;"], "20260101T000000"),
        ([b"v=STSv1;id=1"], "1"),
        ([b"v=STSv1 ; new=thing; id=abc ;"], "abc"),
        ([b"v=spf1 -all", b"v=STSv1; id=1;"], "1"),
        ([b"v=STSv1; id=1;", b"v=STSv1; id=2;"], None),
        ([b"v=STSv2; id=1;"], None),
        ([b"v=STSv1"], None),
        ([], None),
    ],
)
def test_the_id_of_a_record(records: list[bytes], found: str | None) -> None:
    assert policy_id(records) == found


@pytest.mark.parametrize(
    "record",
    [
        b"v=STSv1;",
        b"v=STSv1; id=;",
        b"v=STSv1; id=a-b;",
        b"v=STSv1; id=" + b"1" * 33,
        b"v=STSv1; id=1; id=2;",
    ],
)
def test_a_record_without_a_readable_id(record: bytes) -> None:
    with pytest.raises(PolicyError):
        policy_id([record])


@given(
    st.lists(st.binary(max_size=80) | st.binary(max_size=60).map(lambda rest: b"v=STSv1;" + rest), max_size=3)
)
def test_no_record_raises_anything_else(records: list[bytes]) -> None:
    try:
        found = policy_id(records)
    except PolicyError:
        return
    assert found is None or (found.isascii() and found.isalnum() and len(found) <= 32)


# --- the page


def test_a_page_is_read() -> None:
    assert read_policy(PAGE) == Policy(
        mode=Mode.ENFORCE, max_age=604_800, hosts=("mx.example.org", "*.example.net")
    )


@pytest.mark.parametrize(
    ("page", "policy"),
    [
        (b"version: STSv1\nmode: none\nmax_age: 60", Policy(mode=Mode.NONE, max_age=60)),
        (
            b"max_age:1\nmx:\tMX.Example.Org.\t\nfuture: thing\n\nmode: testing \nversion:STSv1",
            Policy(mode=Mode.TESTING, max_age=1, hosts=("mx.example.org",)),
        ),
        (  # the first of a repeated field counts
            b"version: STSv1\nmode: enforce\nmode: none\nmx: a.test\nmax_age: 5\nmax_age: 6\n",
            Policy(mode=Mode.ENFORCE, max_age=5, hosts=("a.test",)),
        ),
        (
            b"version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 9999999999\n",
            Policy(mode=Mode.ENFORCE, max_age=31_557_600, hosts=("a.test",)),
        ),
    ],
)
def test_pages_that_are_policies(page: bytes, policy: Policy) -> None:
    assert read_policy(page) == policy


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"<html>not found</html>",
        PAGE.replace(b"STSv1", b"STSv2"),
        PAGE.replace(b"version: STSv1\r\n", b""),
        PAGE.replace(b"enforce", b"Enforce"),
        PAGE.replace(b"mode: enforce\r\n", b""),
        PAGE.replace(b"604800", b"-1"),
        PAGE.replace(b"604800", b"1e5"),
        PAGE.replace(b"604800", "٣".encode()),
        PAGE.replace(b"604800", b"1" * 11),
        PAGE.replace(b"max_age: 604800\r\n", b""),
        b"version: STSv1\nmode: enforce\nmax_age: 60\n",
        PAGE.replace(b"mx.example.org", b"*"),
        PAGE.replace(b"mx.example.org", b"a.*.example.org"),
        PAGE.replace(b"mx.example.org", b"a b"),
        PAGE.replace(b"mx.example.org", b""),
        PAGE.replace(b"mx.example.org", "bücher.test".encode()),
        PAGE.replace(b"mx.example.org", b"a." * 127 + b"test"),
        PAGE + b"\xff\xfe",
        PAGE + b"note: a\x00b\n",
        PAGE + b"mx: a.test\n" * 100,
        PAGE + b"x" * 70_000,
    ],
)
def test_pages_that_are_none(page: bytes) -> None:
    with pytest.raises(PolicyError):
        read_policy(page)


_lines = st.sampled_from([*PAGE.split(b"\r\n"), b"mode: none", b"mx: *", b":", b"\xff", b"mx: " + b"a" * 300])


@given(st.binary(max_size=300) | st.lists(_lines | st.binary(max_size=20), max_size=9).map(b"\n".join))
def test_no_page_raises_anything_else(page: bytes) -> None:
    try:
        policy = read_policy(page)
    except PolicyError:
        return
    assert 0 <= policy.max_age <= mta_sts.MAX_AGE
    assert policy.mode is Mode.NONE or policy.hosts


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("mx.example.org", True),
        ("MX.Example.org.", True),
        ("a.example.net", True),
        ("example.net", False),
        ("a.b.example.net", False),
        ("amx.example.org", False),
        ("a.mx.example.org", False),
        ("*.example.net", True),  # no host is called so
        ("", False),
        ("net", False),
    ],
)
def test_whom_a_policy_allows(host: str, allowed: bool) -> None:
    assert read_policy(PAGE).allows(host) is allowed


# --- a policy over time


class World:
    """A domain's record and page, and a clock; `asked` are the pages fetched."""

    def __init__(self, names: NameServer) -> None:
        self.names = names
        self.now = 1000.0
        self.page: bytes | Exception = PAGE
        self.asked: list[str] = []
        self.announce("1")

    def announce(self, number: str | None) -> None:
        if number is None:
            self.names.records.pop(("_mta-sts.example.org", "TXT"), None)
        else:
            self.names.add("_mta-sts.example.org", "TXT", f'"v=STSv1; " "id={number};"')

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if isinstance(self.page, Exception):
            raise self.page
        return self.page

    def policies(self, **options: Any) -> Policies:
        lookup = Lookup(self.names.resolver(), patience=0.3)
        return Policies(lookup, self.fetch, clock=lambda: self.now, **options)


@pytest.fixture
def world() -> Iterator[World]:
    with serving() as names:
        yield World(names)


async def mode(policies: Policies, domain: str = "example.org") -> Mode | None:
    policy = await policies.policy(domain)
    return policy.mode if policy else None


def test_a_policy_is_fetched_once_and_again_with_a_new_id(world: World) -> None:
    async def days() -> None:
        policies = world.policies()
        for _ in range(3):
            assert await mode(policies) is Mode.ENFORCE
        assert world.asked == [URL]
        world.announce("2")
        world.page = PAGE.replace(b"enforce", b"testing")
        assert await mode(policies) is Mode.TESTING
        assert world.asked == [URL] * 2

    asyncio.run(days())


def test_a_policy_is_renewed_before_it_expires(world: World) -> None:
    async def days() -> None:
        policies = world.policies()
        for _ in range(30):
            assert await mode(policies) is Mode.ENFORCE
            world.now += DAY
        assert len(world.asked) == 30

    asyncio.run(days())


@pytest.mark.parametrize("attack", ["no record", "servfail", "silence", "no page", "bad page", "slow page"])
def test_nobody_takes_a_policy_away_before_it_expires(world: World, attack: str) -> None:
    async def days() -> None:
        policies = world.policies(fetch_seconds=0.05)
        assert await mode(policies) is Mode.ENFORCE
        world.announce(None if attack == "no record" else "2")
        if attack in ("servfail", "silence"):
            act = SILENCE if attack == "silence" else dns.rcode.SERVFAIL
            world.names.script("_mta-sts.example.org", "TXT", act)
        if attack == "slow page":
            policies._fetch = lambda _: asyncio.Future()
        world.page = OSError("reset") if attack == "no page" else b"<html>"
        world.now += 604_799
        assert await mode(policies) is Mode.ENFORCE
        world.now += 2
        assert await mode(policies) is None

    asyncio.run(days())


def test_a_page_that_cannot_be_read_is_not_asked_for_with_every_mail(world: World) -> None:
    async def minutes() -> None:
        world.page = OSError("refused")
        policies = world.policies()
        for _ in range(5):
            assert await mode(policies) is None
        assert len(world.asked) == 1
        world.now += 301
        world.page = PAGE
        assert await mode(policies) is Mode.ENFORCE
        assert len(world.asked) == 2

    asyncio.run(minutes())


def test_a_domain_takes_its_policy_back_with_mode_none(world: World) -> None:
    async def days() -> None:
        policies = world.policies()
        assert await mode(policies) is Mode.ENFORCE
        world.announce("2")
        world.page = b"version: STSv1\nmode: none\nmax_age: 86400\n"
        assert await mode(policies) is Mode.NONE

    asyncio.run(days())


def test_without_a_record_no_page_is_asked_for_and_memory_is_bounded(world: World) -> None:
    async def many() -> Policies:
        policies = world.policies(max_policies=5)
        assert await mode(policies, "other.test") is None
        assert world.asked == []
        for n in range(20):
            world.names.add(f"_mta-sts.d{n}.test", "TXT", '"v=STSv1; id=1;"')
            assert await mode(policies, f"d{n}.test") is Mode.ENFORCE
        return policies

    assert len(asyncio.run(many())._kept) == 5


# --- on the road


def road(world: World) -> Road:
    async def ask() -> Road:
        asking = MxRoads(
            world.names.resolver(),
            fetch=world.fetch,
            clock=lambda: world.now,
            allow=lambda address: address.startswith("127."),
            shuffle=random.Random(1),
            patience=0.3,
        )
        return await asking.road("example.org")

    return asyncio.run(ask())


@pytest.fixture
def two_hosts(world: World) -> World:
    world.names.add("example.org", "MX", "10 evil.test.", "20 mx.example.org.")
    world.names.add("evil.test", "A", "127.0.0.66")
    world.names.add("mx.example.org", "A", "127.0.0.1")
    return world


def test_an_enforced_policy_drops_other_hosts_and_wants_a_verified_name(two_hosts: World) -> None:
    found = road(two_hosts)
    assert [(host.name, host.tls) for host in found.hosts] == [("mx.example.org", TlsPolicy.VERIFIED)]


def test_a_policy_in_testing_changes_nothing(two_hosts: World) -> None:
    two_hosts.page = PAGE.replace(b"enforce", b"testing")
    assert [(host.name, host.tls) for host in road(two_hosts).hosts] == [
        ("evil.test", TlsPolicy.OPPORTUNISTIC),
        ("mx.example.org", TlsPolicy.OPPORTUNISTIC),
    ]


def test_a_policy_that_allows_no_host_makes_mail_wait(two_hosts: World) -> None:
    two_hosts.page = PAGE.replace(b"mx.example.org", b"other.example.org")
    found = road(two_hosts)
    assert found.hosts == ()
    assert found.refusal is not None
    assert (found.refusal.verdict, found.refusal.fault, found.refusal.reason) == (
        Verdict.DEFERRED,
        Fault.NONE,
        Reason.NO_TLS,
    )


def test_allowed_hosts_are_found_behind_a_flood_of_others(world: World) -> None:
    world.names.add("example.org", "MX", *(f"1 evil{n}.test." for n in range(60)), "20 mx.example.org.")
    world.names.add("mx.example.org", "A", "127.0.0.1")
    assert [host.name for host in road(world).hosts] == ["mx.example.org"]
