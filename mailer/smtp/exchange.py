"""From a domain to its mail hosts by DNS (RFC 5321 5.1), and what each of them must prove.

Asks anew every time; `roads` remembers. "No" and "unknown" are kept apart to the end: a
host that cannot be checked is left out, never lowered to a weaker policy. Addresses that
are not public are refused, so that no subscriber's domain aims mail into the network.
"""

import asyncio
import ipaddress
import random
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mailer.networks import is_public
from mailer.smtp import dane, hosts, sites
from mailer.smtp.dane import TlsaRecord
from mailer.smtp.hosts import Host, TlsPolicy
from mailer.smtp.lookup import Found, Lookup, State, plain
from mailer.smtp.mta_sts import Mode, Policy
from mailer.smtp.outcome import Outcome

MAX_HOSTS = 20  # MX hosts looked up, best first
MAX_ADDRESSES = 40  # of all hosts together
MAX_ADDRESSES_OF_HOST = 8
FAMILIES: tuple[int, ...] = (socket.AF_INET6, socket.AF_INET)
_HOST_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")  # it becomes SNI and part of a log line

PolicyOf = Callable[[str], Awaitable[Policy | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchange:
    """One MX host with the addresses of it that may be tried."""

    preference: int
    addresses: tuple[Host, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Exchanges:
    """What DNS said of a domain: hosts, best first, or a refusal; `ttl` in seconds as DNS gave it."""

    site: str
    ttl: int
    found: tuple[Exchange, ...] = ()
    refusal: Outcome | None = None
    is_whole: bool = True
    """False when some host could not be asked about, so that the rest is soon asked again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What holds for every domain: `allow` says which private addresses may be tried all the same."""

    allow: Callable[[str], bool]
    requires_tls: Callable[[str], bool]
    port: int
    families: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Case:
    """What is known of a domain while its hosts are looked up."""

    domain: str
    secure: bool
    """True when a validating resolver vouches for the list of hosts, without which DANE means nothing."""
    floor: TlsPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    preference: int
    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Checked:
    """A host after its look-ups: addresses, or why it has none."""

    preference: int
    addresses: tuple[Host, ...] = ()
    ttl: int = 0
    silent: State | None = None
    dane_unknown: bool = False


async def find(
    lookup: Lookup, domain: str, *, policy_of: PolicyOf | None, rules: Rules, shuffle: random.Random
) -> Exchanges:
    """The exchanges of a domain in A-labels. Never raises for what DNS says."""
    policy, listed = await asyncio.gather(
        policy_of(domain) if policy_of else _no_policy(), lookup.ask(domain, "MX")
    )
    if not listed.is_known:
        return _refused(domain, _silence(listed.state), 0)
    if listed.state is State.NO_NAME:
        return await _no_domain(lookup, domain, listed)
    if listed.state is State.FOUND and all(_is_root(record) for record in listed.records):
        return _refused(domain, hosts.NULL_MX, listed.ttl)
    candidates = _candidates(domain, listed, shuffle)
    if not candidates:
        return _refused(domain, hosts.NO_HOST, listed.ttl)
    # Equal hosts are taken by name, so that the site of a domain does not change from day to day.
    best = min(candidates, key=lambda candidate: (candidate.preference, candidate.name))
    site = sites.site_of_hosts([best.name])
    enforced = policy is not None and policy.mode is Mode.ENFORCE
    if policy is not None and enforced:
        candidates = [candidate for candidate in candidates if policy.allows(candidate.name)]
        if not candidates:
            return _refused(domain, hosts.POLICY_NAMES_NO_HOST, 0, site)
    case = _Case(domain=domain, secure=listed.secure, floor=_floor(rules, domain, site, enforced=enforced))
    checked = await asyncio.gather(
        *(_check(lookup, case, candidate, rules) for candidate in candidates[:MAX_HOSTS])
    )
    return _sum_up(domain, site, listed.ttl, checked)


async def _no_policy() -> None:
    return None


def _floor(rules: Rules, domain: str, site: str, *, enforced: bool) -> TlsPolicy:
    if enforced:
        return TlsPolicy.VERIFIED
    # By the domain too: a forged MX record must not talk its way out of what the domain is known for.
    wanted = rules.requires_tls(domain) or rules.requires_tls(site)
    return TlsPolicy.REQUIRE if wanted else TlsPolicy.OPPORTUNISTIC


async def _no_domain(lookup: Lookup, domain: str, listed: Found) -> Exchanges:
    """A name that does not exist has no address either: one broken answer must not fail anybody."""
    again = await lookup.ask(domain, "A")
    if again.state is State.NO_NAME:
        return _refused(domain, hosts.NO_SUCH_DOMAIN, min(listed.ttl, again.ttl))
    return _refused(domain, hosts.DNS_FAILS, 0)


def _candidates(domain: str, listed: Found, shuffle: random.Random) -> list[_Candidate]:
    """The MX hosts, best first, equal ones shuffled; the domain itself without any MX."""
    if listed.state is not State.FOUND:
        return [_Candidate(preference=0, name=domain)]
    records: list[Any] = [record for record in listed.records if not _is_root(record)]
    named = [_Candidate(preference=record.preference, name=plain(record.exchange)) for record in records]
    named = [candidate for candidate in named if _HOST_NAME.fullmatch(candidate.name)]
    named.sort(key=lambda candidate: candidate.name)
    shuffle.shuffle(named)
    named.sort(key=lambda candidate: candidate.preference)
    return named


def _is_root(record: Any) -> bool:
    """True for `MX 0 .`, which alone says "no mail here" (RFC 7505), and beside others says nothing."""
    return len(record.exchange) <= 1


async def _check(lookup: Lookup, case: _Case, candidate: _Candidate, rules: Rules) -> _Checked:
    name = candidate.name
    kinds = [("AAAA", socket.AF_INET6), ("A", socket.AF_INET)]
    answers = await asyncio.gather(
        *(lookup.ask(name, kind) for kind, family in kinds if family in rules.families)
    )
    found = [answer for answer in answers if answer.state is State.FOUND]
    if not found:
        silent = next((answer.state for answer in answers if not answer.is_known), None)
        return _Checked(preference=candidate.preference, silent=silent)
    secure = case.secure and all(answer.secure for answer in found)
    proof = await _proof(lookup, case, name, found[0].name, port=rules.port, secure=secure)
    if proof is None:
        return _Checked(preference=candidate.preference, dane_unknown=True)
    addresses = [
        Host(
            name=proof.name,
            address=str(address),
            family=socket.AF_INET6 if address.version == 6 else socket.AF_INET,
            port=rules.port,
            tls=proof.tls,
            tlsa=proof.tlsa,
            names=tuple(dict.fromkeys((proof.name, name, case.domain))) if proof.tlsa else (),
        )
        for address in _addresses(found)
        if is_public(address) or rules.allow(str(address))
    ]
    ttl = min([answer.ttl for answer in found] + ([proof.ttl] if proof.ttl else []))
    return _Checked(
        preference=candidate.preference, addresses=tuple(addresses[:MAX_ADDRESSES_OF_HOST]), ttl=ttl
    )


def _addresses(found: Iterable[Found]) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    records: list[Any] = [record for answer in found for record in answer.records]
    return [ipaddress.ip_address(record.address) for record in records]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Proof:
    name: str
    tls: TlsPolicy
    tlsa: tuple[TlsaRecord, ...] = ()
    ttl: int = 0


async def _proof(
    lookup: Lookup, case: _Case, name: str, end: str, *, port: int, secure: bool
) -> _Proof | None:
    """What a host must prove (RFC 7672 2.2); None when its TLSA records cannot be known.

    `end` is where the host's aliases lead. Below insecure addresses TLSA is not asked for: name
    servers of unsigned zones often answer it wrongly.
    """
    if not secure:
        return _Proof(name=name, tls=case.floor)
    for base in dict.fromkeys((end, name)):
        answer = await lookup.ask(f"_{port}._tcp.{base}", "TLSA")
        if not answer.is_known:
            return None
        if answer.state is not State.FOUND or not answer.secure:
            continue
        records: list[Any] = list(answer.records)
        usable = dane.usable(
            TlsaRecord(record.usage, record.selector, record.mtype, record.cert) for record in records
        )
        if usable:
            return _Proof(name=base, tls=TlsPolicy.DANE, tlsa=usable, ttl=answer.ttl)
        stronger = case.floor if case.floor is TlsPolicy.VERIFIED else TlsPolicy.REQUIRE
        return _Proof(name=name, tls=stronger, ttl=answer.ttl)
    return _Proof(name=name, tls=case.floor)


def _sum_up(domain: str, site: str, ttl: int, checked: Sequence[_Checked]) -> Exchanges:
    exchanges = []
    left = MAX_ADDRESSES
    for host in checked:
        if host.addresses and left > 0:
            kept = host.addresses[:left]
            exchanges.append(Exchange(preference=host.preference, addresses=kept))
            left -= len(kept)
            ttl = min(ttl, host.ttl)
    is_whole = not any(host.silent or host.dane_unknown for host in checked)
    if exchanges:
        return Exchanges(site=site, ttl=ttl, found=tuple(exchanges), is_whole=is_whole)
    if any(host.dane_unknown for host in checked):
        return _refused(domain, hosts.DANE_UNKNOWN, 0, site)
    silent = next((host.silent for host in checked if host.silent), None)
    return _refused(domain, _silence(silent) if silent else hosts.NO_HOST, 0, site)


def _silence(state: State) -> Outcome:
    return hosts.DNS_SILENT if state is State.SILENT else hosts.DNS_FAILS


def _refused(domain: str, refusal: Outcome, ttl: int, site: str = "") -> Exchanges:
    return Exchanges(
        site=site or sites.site_of_domain(domain) or sites.organisational_suffix(domain),
        ttl=ttl,
        refusal=refusal,
    )
