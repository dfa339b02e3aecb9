"""Direct delivery's memory: the road for a domain, asked of DNS once and kept as long as DNS allows.

A thousand letters to one domain cost one look-up, a hostile zone costs bounded time and
memory, and a domain that received mail yesterday is not declared dead by one answer today.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby, zip_longest

import dns.asyncresolver

from mailer.addresses import AddressError, a_labels
from mailer.smtp import exchange, hosts, sites
from mailer.smtp.exchange import FAMILIES, Exchange, Exchanges, Rules
from mailer.smtp.hosts import Host, Road
from mailer.smtp.lookup import PATIENCE, Lookup
from mailer.smtp.mta_sts import Fetch, Policies
from mailer.smtp.outcome import Verdict

LIFETIME = 20.0  # seconds for one road, whatever DNS does
SHORTEST, LONGEST = 60.0, 86_400.0  # seconds an answer is kept, whatever its TTL says
LONGEST_NO = 3_600.0  # the same for a refusal (RFC 2308 5)
MAX_DOMAINS = 10_000
REMEMBERED = 86_400.0  # seconds after a road was found in which "no such domain" is not yet believed


@dataclass(frozen=True, slots=True)
class _Known:
    exchanges: Exchanges
    until: float
    worked: float | None
    """When the domain last had hosts; None if it never did."""


class MxRoads:
    """Roads by MX. One object belongs to one event loop; `clock` gives monotonic seconds.

    `fetch` gets MTA-STS pages (None: without MTA-STS). `requires_tls` is asked for the recipient's
    domain and for its site. `allow` lets private addresses through, for a closed network or a test.
    `validating`: the resolver checks DNSSEC, so DANE is used; it must be on this machine, or
    ValueError. `families` without AF_INET6 is for a machine without IPv6.
    """

    def __init__(
        self,
        resolver: dns.asyncresolver.Resolver,
        *,
        fetch: Fetch | None,
        clock: Callable[[], float],
        requires_tls: Callable[[str], bool] = sites.offers_tls,
        allow: Callable[[str], bool] = lambda _: False,
        validating: bool = False,
        shuffle: random.Random | None = None,
        port: int = 25,
        families: tuple[int, ...] = FAMILIES,
        lifetime: float = LIFETIME,
        patience: float = PATIENCE,
        max_domains: int = MAX_DOMAINS,
    ) -> None:
        self._lookup = Lookup(resolver, validating=validating, patience=patience)
        self._policies = Policies(self._lookup, fetch, clock=clock) if fetch else None
        self._rules = Rules(allow=allow, requires_tls=requires_tls, port=port, families=families)
        self._clock = clock
        self._shuffle = shuffle or random.SystemRandom()
        self._lifetime = lifetime
        self._max = max_domains
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Exchanges]] = {}

    async def road(self, domain: str) -> Road:
        """The road for a recipient's domain, in bounded time. Equal hosts come in a new order each time."""
        try:
            name = a_labels(domain)
        except AddressError:
            return Road(site="", refusal=hosts.NOT_A_DOMAIN)
        known = self._known.get(name)
        if known is not None and self._clock() < known.until:
            self._known.move_to_end(name)
            return self._road(known.exchanges)
        asking = self._asking.get(name)
        if asking is None:
            asking = asyncio.create_task(self._ask(name))
            self._asking[name] = asking
            asking.add_done_callback(lambda _: self._asking.pop(name, None))
        # One caller who gives up must not take the answer from the others.
        return self._road(await asyncio.shield(asking))

    async def _ask(self, name: str) -> Exchanges:
        try:
            async with asyncio.timeout(self._lifetime):
                exchanges = await exchange.find(
                    self._lookup,
                    name,
                    policy_of=self._policies.policy if self._policies else None,
                    rules=self._rules,
                    shuffle=self._shuffle,
                )
        except TimeoutError:
            site = sites.site_of_domain(name) or sites.organisational_suffix(name)
            exchanges = Exchanges(site=site, ttl=0, refusal=hosts.DNS_SILENT)
        return self._keep(name, exchanges)

    def _keep(self, name: str, exchanges: Exchanges) -> Exchanges:
        now = self._clock()
        before = self._known.get(name)
        worked = now if exchanges.refusal is None else before.worked if before else None
        if exchanges.refusal is hosts.NO_SUCH_DOMAIN and worked is not None and now < worked + REMEMBERED:
            exchanges = Exchanges(site=exchanges.site, ttl=0, refusal=hosts.DOMAIN_VANISHED)
        self._known[name] = _Known(exchanges, now + _kept_for(exchanges), worked)
        self._known.move_to_end(name)
        while len(self._known) > self._max:
            self._known.popitem(last=False)
        return exchanges

    def _road(self, exchanges: Exchanges) -> Road:
        if exchanges.refusal is not None:
            return Road(site=exchanges.site, refusal=exchanges.refusal)
        return Road(site=exchanges.site, hosts=tuple(self._in_order(exchanges.found)))

    def _in_order(self, found: tuple[Exchange, ...]) -> list[Host]:
        """By preference, equal ones shuffled (RFC 5321 5.1); of each host IPv6 and IPv4 in turn."""
        ordered: list[Host] = []
        for _, equal in groupby(found, key=lambda each: each.preference):
            shuffled = list(equal)
            self._shuffle.shuffle(shuffled)
            for each in shuffled:
                ordered += self._alternating(each.addresses)
        return ordered

    def _alternating(self, addresses: tuple[Host, ...]) -> list[Host]:
        mixed = list(addresses)
        self._shuffle.shuffle(mixed)
        six = [host for host in mixed if host.is_ipv6]
        four = [host for host in mixed if not host.is_ipv6]
        return [host for pair in zip_longest(six, four) for host in pair if host is not None]


def _kept_for(exchanges: Exchanges) -> float:
    refusal = exchanges.refusal
    if not exchanges.is_whole or (refusal is not None and refusal.verdict is Verdict.DEFERRED):
        return SHORTEST
    return min(max(exchanges.ttl, SHORTEST), LONGEST if refusal is None else LONGEST_NO)
