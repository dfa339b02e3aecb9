"""DANE: which certificates a TLSA record names, seen over real handshakes, and never more than it names."""

import asyncio
import contextlib
import datetime
import random
import socket
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.rcode
import pytest
import uvloop
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from mailer.smtp import tls
from mailer.smtp.dane import TlsaRecord, usable, verify
from mailer.smtp.hosts import Host, Road, TlsPolicy
from mailer.smtp.outcome import Fault, Reason, Verdict
from mailer.smtp.roads import MxRoads
from tests.smtp.authority import LONG_AGO, NOW, Issued, issue, tls_server
from tests.smtp.name_server import GARBAGE, SILENCE, NameServer, serving

NAME = "mx.example.org"
ROOT = issue("Root", authority=True)
MIDDLE = issue("Middle", ROOT, authority=True)
SERVER = issue("server", MIDDLE, names=[NAME])
STRANGER = issue("server", issue("Middle", issue("Root", authority=True), authority=True), names=[NAME])
KINDS = [(selector, matching) for selector in (0, 1) for matching in (0, 1, 2)]


def matches(record: TlsaRecord, presented: Issued = SERVER, names: tuple[str, ...] = (NAME,)) -> bool:
    return verify([record], presented.chain, names, now=NOW)


# --- DANE-EE(3)


@pytest.mark.parametrize(("selector", "matching"), KINDS)
def test_end_entity_matches_its_own_certificate_or_key_only(selector: int, matching: int) -> None:
    record = SERVER.tlsa(3, selector, matching)
    assert matches(record)
    assert not matches(record, STRANGER)
    assert not matches(MIDDLE.tlsa(3, selector, matching))
    assert matches(record, names=("other.test",))  # RFC 7672 3.1.1: the name does not count
    flipped = record.data[:-1] + bytes([record.data[-1] ^ 1])
    assert not matches(replace(record, data=flipped))


def test_end_entity_counts_after_the_certificate_has_expired() -> None:
    old = issue("old", start=LONG_AGO)
    assert matches(old.tlsa(3, 1, 1), old)


# --- DANE-TA(2)


@pytest.mark.parametrize(("selector", "matching"), KINDS)
@pytest.mark.parametrize("anchor", [ROOT, MIDDLE])
def test_a_trust_anchor_vouches_for_what_it_issued(anchor: Issued, selector: int, matching: int) -> None:
    record = anchor.tlsa(2, selector, matching)
    assert matches(record)
    assert not matches(record, STRANGER)
    assert not matches(record, names=("other.test",))
    assert matches(record, names=("other.test", NAME))


def test_a_trust_anchor_is_no_server() -> None:
    assert not matches(SERVER.tlsa(2, 1, 1))


def test_a_whole_anchor_in_the_record_need_not_be_presented() -> None:
    assert verify([ROOT.tlsa(2, 0, 0)], [SERVER.der, MIDDLE.der], [NAME], now=NOW)
    assert not verify([ROOT.tlsa(2, 0, 1)], [SERVER.der, MIDDLE.der], [NAME], now=NOW)


def test_presenting_the_anchor_beside_somebody_elses_certificate_proves_nothing() -> None:
    thief = replace(issue("server", names=[NAME]), above=(MIDDLE, ROOT))
    assert not matches(MIDDLE.tlsa(2, 1, 1), thief)
    thief = replace(STRANGER, above=(*STRANGER.above, MIDDLE, ROOT))
    assert not matches(ROOT.tlsa(2, 0, 1), thief)


def test_a_customer_of_the_anchor_is_no_authority() -> None:
    for customer in (
        issue("customer", MIDDLE, names=["customer.test"]),
        issue("customer", MIDDLE, names=["customer.test"], authority=False),
        issue("customer", MIDDLE, authority=True, may_sign=False),
    ):
        assert not matches(MIDDLE.tlsa(2, 1, 1), issue("server", customer, names=[NAME]))


def test_below_an_anchor_dates_count() -> None:
    old = issue("server", MIDDLE, names=[NAME], start=LONG_AGO)
    record = MIDDLE.tlsa(2, 1, 1)
    assert not matches(record, old)
    assert verify([record], SERVER.chain, [NAME], now=NOW)
    assert not verify([record], SERVER.chain, [NAME], now=NOW + datetime.timedelta(days=60))


def test_a_name_in_the_common_name_alone_does_not_count() -> None:
    assert not matches(MIDDLE.tlsa(2, 1, 1), issue(NAME, MIDDLE))
    assert matches(MIDDLE.tlsa(2, 1, 1), issue("any", MIDDLE, names=["*.example.org"]))


# --- records that cannot be met, and bytes that are nothing


@pytest.mark.parametrize(
    "record",
    [
        TlsaRecord(0, 1, 1, SERVER.tlsa(3, 1, 1).data),
        TlsaRecord(1, 1, 1, SERVER.tlsa(3, 1, 1).data),
        TlsaRecord(4, 1, 1, SERVER.tlsa(3, 1, 1).data),
        TlsaRecord(255, 1, 1, SERVER.tlsa(3, 1, 1).data),
        TlsaRecord(3, 2, 1, SERVER.tlsa(3, 1, 1).data),
        TlsaRecord(3, 1, 3, SERVER.tlsa(3, 1, 1).data),
        TlsaRecord(3, 1, 1, b""),
        TlsaRecord(3, 1, 2, SERVER.tlsa(3, 1, 1).data),
        TlsaRecord(3, 0, 0, b"no certificate"),
        TlsaRecord(3, 1, 0, b"no key"),
        TlsaRecord(3, 0, 0, b""),
    ],
)
def test_unusable_records_match_nothing(record: TlsaRecord) -> None:
    assert usable([record]) == ()
    assert not matches(record)
    assert verify([record, SERVER.tlsa(3, 1, 1)], SERVER.chain, [NAME], now=NOW)


def test_no_certificates_and_no_records_match_nothing() -> None:
    assert not verify([SERVER.tlsa(3, 1, 1)], [], [NAME], now=NOW)
    assert not verify([], SERVER.chain, [NAME], now=NOW)


_records = st.builds(
    TlsaRecord,
    st.integers(0, 255) | st.sampled_from([2, 3]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([0, 1, 2, 3]),
    st.binary(max_size=70) | st.binary(min_size=32, max_size=32),
)
_certificates = st.sampled_from([SERVER.der, MIDDLE.der, ROOT.der]).flatmap(
    lambda der: st.builds(
        lambda at, octet: der[:at] + bytes([octet]) + der[at + 1 :],
        st.integers(0, len(der) - 1),
        st.integers(0, 255),
    )
)


@given(
    records=st.lists(_records, max_size=3),
    chain=st.lists(st.binary(max_size=40) | _certificates, max_size=4),
    names=st.lists(st.text(max_size=20) | st.just(NAME), max_size=2),
)
def test_no_input_raises(records: list[TlsaRecord], chain: list[bytes], names: list[str]) -> None:
    records += [MIDDLE.tlsa(2, 0, 0), ROOT.tlsa(2, 1, 1)]
    assert verify(records, chain, names, now=NOW) in (True, False)


# --- handshakes


def host(port: int, policy: TlsPolicy, *tlsa: TlsaRecord) -> Host:
    return Host(name=NAME, address="127.0.0.1", family=socket.AF_INET, port=port, tls=policy, tlsa=tlsa)


async def shake(target: Host, *, ca: Path | None = None) -> tuple[bool, list[bytes]]:
    context = tls.context_for(target.tls, ca=ca)
    _, writer = await asyncio.open_connection(
        target.address, target.port, ssl=context, server_hostname=target.name
    )
    secured = writer.get_extra_info("ssl_object")
    seen = tls.is_proven(target, secured, now=datetime.datetime.now(datetime.UTC)), tls.chain_of(secured)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return seen


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Any:
    return asyncio.run if request.param == "asyncio" else uvloop.run


def test_dane_is_proven_by_a_real_handshake(run: Any) -> None:
    with tls_server(SERVER) as port:
        for record in (SERVER.tlsa(3, 1, 1), MIDDLE.tlsa(2, 0, 2), ROOT.tlsa(2, 1, 1)):
            assert run(shake(host(port, TlsPolicy.DANE, record))) == (True, SERVER.chain)
        for record in (STRANGER.tlsa(3, 1, 1), STRANGER.above[0].tlsa(2, 0, 1)):
            assert run(shake(host(port, TlsPolicy.DANE, record)))[0] is False
        either = host(port, TlsPolicy.DANE, STRANGER.tlsa(3, 1, 1), SERVER.tlsa(3, 0, 1))  # a rollover
        assert run(shake(either))[0] is True


def test_the_further_names_of_a_host_count_with_an_anchor(run: Any) -> None:
    with tls_server(issue("server", MIDDLE, names=["example.org"])) as port:
        target = host(port, TlsPolicy.DANE, MIDDLE.tlsa(2, 1, 1))
        assert run(shake(target))[0] is False
        assert run(shake(replace(target, names=(NAME, "example.org"))))[0] is True


def test_required_tls_asks_for_no_name(run: Any) -> None:
    with tls_server(issue("nobody", start=LONG_AGO)) as port:
        for policy in (TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRE):
            assert run(shake(host(port, policy)))[0] is True


def test_verified_tls_asks_for_authority_and_name(run: Any, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    root = issue("Root", authority=True, may_sign=True)
    ca.write_bytes(root.certificate.public_bytes(Encoding.PEM))
    with tls_server(issue("server", root, names=[NAME])) as port:
        target = host(port, TlsPolicy.VERIFIED)
        assert run(shake(target, ca=ca))[0] is True
        with pytest.raises(ssl.SSLCertVerificationError):
            run(shake(replace(target, name="other.example.org"), ca=ca))
        with pytest.raises(ssl.SSLCertVerificationError):
            run(shake(target))


def test_clear_text_is_only_for_opportunistic_hosts() -> None:
    for policy in TlsPolicy:
        assert tls.is_proven(host(25, policy), None, now=NOW) is (policy is TlsPolicy.OPPORTUNISTIC)


def test_verified_is_not_proven_by_a_handshake_that_checked_nothing() -> None:
    with tls_server(SERVER) as port, socket.create_connection(("127.0.0.1", port)) as plain:
        context = tls.context_for(TlsPolicy.REQUIRE)
        with context.wrap_socket(plain, server_hostname=NAME) as secured:
            assert not tls.is_proven(host(port, TlsPolicy.VERIFIED), secured, now=NOW)


def test_old_tls_is_refused() -> None:
    assert {tls.context_for(policy).minimum_version for policy in TlsPolicy} == {ssl.TLSVersion.TLSv1_2}


# --- on the road


@pytest.fixture
def names() -> Iterator[NameServer]:
    with serving() as server:
        server.validates = True
        server.add("example.org", "MX", "10 mx.example.org.")
        server.add("mx.example.org", "A", "127.0.0.1")
        yield server


def publish(names: NameServer, *records: TlsaRecord, at: str = NAME) -> None:
    texts = (f"{each.usage} {each.selector} {each.matching} {each.data.hex()}" for each in records)
    names.add(f"_25._tcp.{at}", "TLSA", *texts)


def road(names: NameServer, **options: Any) -> Road:
    async def ask() -> Road:
        options.setdefault("validating", True)
        asking = MxRoads(
            names.resolver(),
            **{"fetch": None} | options,
            clock=lambda: 0.0,
            allow=lambda address: address.startswith("127."),
            shuffle=random.Random(1),
            patience=0.3,
        )
        return await asking.road("example.org")

    return asyncio.run(ask())


def policies(found: Road) -> list[tuple[str, TlsPolicy]]:
    return [(each.name, each.tls) for each in found.hosts]


def test_a_host_with_tlsa_must_meet_it(names: NameServer) -> None:
    record = SERVER.tlsa(3, 1, 1)
    publish(names, record)
    (found,) = road(names).hosts
    assert (found.tls, found.tlsa, found.names) == (TlsPolicy.DANE, (record,), (NAME, "example.org"))


def test_a_host_without_tlsa_is_as_before(names: NameServer) -> None:
    assert policies(road(names)) == [(NAME, TlsPolicy.OPPORTUNISTIC)]


def test_unusable_records_still_want_encryption(names: NameServer) -> None:
    publish(names, TlsaRecord(1, 1, 1, b"0" * 32), TlsaRecord(3, 1, 0, b"no key"))
    assert policies(road(names)) == [(NAME, TlsPolicy.REQUIRE)]


@pytest.mark.parametrize("act", [dns.rcode.SERVFAIL, SILENCE, GARBAGE])
def test_tlsa_that_cannot_be_read_leaves_the_host_out_and_never_lowers_it(
    names: NameServer, act: Any
) -> None:
    names.script(f"_25._tcp.{NAME}", "TLSA", act)
    found = road(names)
    assert found.refusal is not None
    assert (found.refusal.verdict, found.refusal.fault, found.refusal.reason) == (
        Verdict.DEFERRED,
        Fault.NONE,
        Reason.NO_TLS,
    )
    names.add("example.org", "MX", "10 mx.example.org.", "20 mx2.example.org.")
    names.add("mx2.example.org", "A", "127.0.0.2")
    assert [each.address for each in road(names).hosts] == ["127.0.0.2"]


@pytest.mark.parametrize(
    "unsigned", [("example.org", "MX"), (NAME, "A"), (f"_25._tcp.{NAME}", "TLSA")], ids=["mx", "a", "tlsa"]
)
def test_without_a_signed_answer_at_every_step_there_is_no_dane(
    names: NameServer, unsigned: tuple[str, str]
) -> None:
    publish(names, SERVER.tlsa(3, 1, 1))
    names.unsigned.add(unsigned)
    assert policies(road(names)) == [(NAME, TlsPolicy.OPPORTUNISTIC)]
    if unsigned[1] != "TLSA":  # name servers of unsigned zones often break on it
        assert names.count(f"_25._tcp.{NAME}", "TLSA") == 0


def test_a_resolver_that_does_not_validate_is_not_believed(names: NameServer) -> None:
    publish(names, SERVER.tlsa(3, 1, 1))
    assert policies(road(names, validating=False)) == [(NAME, TlsPolicy.OPPORTUNISTIC)]


def test_behind_an_alias_the_records_at_its_end_come_first(names: NameServer) -> None:
    names.add("mx.example.org", "A", "127.0.0.1")
    names.records.pop((NAME, "A"))
    names.add(NAME, "CNAME", "real.example.net.")
    names.add("real.example.net", "A", "127.0.0.1")
    publish(names, STRANGER.tlsa(3, 1, 1))
    (found,) = road(names).hosts
    assert (found.name, found.tls) == (NAME, TlsPolicy.DANE)
    publish(names, SERVER.tlsa(3, 1, 1), at="real.example.net")
    (found,) = road(names).hosts
    assert (found.name, found.tlsa) == ("real.example.net", (SERVER.tlsa(3, 1, 1),))
    assert found.names == ("real.example.net", NAME, "example.org")


def test_an_alias_that_is_not_signed_spoils_what_stands_behind_it(names: NameServer) -> None:
    names.one_alias_a_time = True
    names.records.pop((NAME, "A"))
    names.add(NAME, "CNAME", "real.example.net.")
    names.add("real.example.net", "A", "127.0.0.1")
    publish(names, SERVER.tlsa(3, 1, 1), at="real.example.net")
    assert policies(road(names)) == [("real.example.net", TlsPolicy.DANE)]
    names.unsigned.add((NAME, "A"))
    assert policies(road(names)) == [(NAME, TlsPolicy.OPPORTUNISTIC)]


def test_a_domain_without_mx_can_have_dane_too(names: NameServer) -> None:
    names.records.pop(("example.org", "MX"))
    names.add("example.org", "A", "127.0.0.1")
    publish(names, SERVER.tlsa(3, 1, 1), at="example.org")
    assert policies(road(names)) == [("example.org", TlsPolicy.DANE)]


@pytest.mark.parametrize(
    ("records", "policy"),
    [
        ([SERVER.tlsa(3, 1, 1)], TlsPolicy.DANE),
        ([TlsaRecord(1, 1, 1, b"0" * 32)], TlsPolicy.VERIFIED),
        ([], TlsPolicy.VERIFIED),
    ],
)
def test_dane_comes_before_mta_sts_which_comes_before_nothing(
    names: NameServer, records: list[TlsaRecord], policy: TlsPolicy
) -> None:
    async def page(_: str) -> bytes:
        return b"version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 86400\n"

    names.add("_mta-sts.example.org", "TXT", '"v=STSv1; id=1;"')
    if records:
        publish(names, *records)
    assert policies(road(names, fetch=page)) == [(NAME, policy)]


@pytest.mark.parametrize("servers", [["9.9.9.9"], ["127.0.0.1", "9.9.9.9"], ["https://dns.example.org/"]])
def test_only_a_resolver_on_this_machine_is_believed_to_validate(
    names: NameServer, servers: list[str]
) -> None:
    resolver = names.resolver()
    resolver.nameservers = list(servers)
    with pytest.raises(ValueError, match="on this machine"):
        MxRoads(resolver, fetch=None, clock=lambda: 0.0, validating=True)
    MxRoads(resolver, fetch=None, clock=lambda: 0.0)
