"""Direct delivery: each letter to a host of its recipient's domain, a pool for each receiving site.

A host that cannot be reached is passed over for a while and the next one is tried;
when all are passed over the letters come back deferred. What one site does concerns
no other's letters: nothing here is ever a fault of "the relay". Lives on the engine's
thread.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from mailer.smtp.doors import Doors
from mailer.smtp.hosts import DNS_FAILS, Host, Road, Roads
from mailer.smtp.journal import Journal
from mailer.smtp.letter import Letter
from mailer.smtp.limits import Limits
from mailer.smtp.manners import SiteManners
from mailer.smtp.outcome import HOST_PAUSE, Fault, Outcome, Reason, Verdict, decided_here
from mailer.smtp.pace import LaneLimits
from mailer.smtp.pool import Pool
from mailer.smtp.session import Refusal, Session
from mailer.smtp.stream import Stream
from mailer.smtp.waiting import Item, Waiting, ready

_LOOK_UPS = 32  # domains asked for at once
_MOST_WARM = 64  # domains whose sites are called before there is mail for them
_MAX_POOLS = 500  # beyond these, pools without work are forgotten
_ALL_PASSED_OVER = decided_here(
    Verdict.DEFERRED, Fault.LANE, Reason.CONNECT, text="no host of the domain could be reached lately"
)

_log = logging.getLogger(__name__)

Way = tuple[str, tuple[Host, ...]]  # a site, and its hosts whatever their order: what a pool is for


class Direct:
    """The pools of all receiving sites behind one stream."""

    def __init__(
        self,
        roads: Roads,
        doors: Doors,
        *,
        limits: Limits,
        clock: Callable[[], float],
        journal: Journal | None,
        limits_of: Callable[[str], LaneLimits],
    ) -> None:
        self._roads = roads
        self._doors = doors
        self._limits = limits
        self._clock = clock
        self._journal = journal
        self._limits_of = limits_of
        self._stream: Stream | None = None
        self._pools: dict[Way, Pool] = {}
        self._manners: dict[str, SiteManners] = {}
        self._passed_over: dict[tuple[str, int], tuple[float, Outcome]] = {}  # until, and why
        self._unrouted: dict[str, dict[int, Letter]] = defaultdict(dict)  # by domain
        self._routing: dict[str, asyncio.Task[None]] = {}
        self._warming: dict[str, asyncio.Task[None]] = {}
        self._look_ups = asyncio.Semaphore(_LOOK_UPS)

    def attach(self, stream: Stream) -> None:
        self._stream = stream
        for way, pool in self._pools.items():
            self._open(way[0], pool)

    def put(self, items: Collection[Item], *, first: bool = False) -> None:
        """Find the road of each domain. A draft is composed here: its recipient is not known before.

        There are as many queues as sites, and each has its own pace: `first` makes no difference.
        """
        for item in items:
            job = ready(item)
            if isinstance(job, Outcome):
                self._tell(item.id, job)
                continue
            letter = job.letter
            domain = job.recipient.rpartition(b"@")[2].decode("ascii").lower()
            self._unrouted[domain][letter.id] = letter
            if domain not in self._routing:
                self._routing[domain] = self._start(self._route(domain))

    def warm(self, domains: Collection[str]) -> None:
        """Ask DNS for the road of each domain, and knock at its site's door once."""
        for domain in list(domains)[:_MOST_WARM]:
            if domain not in self._warming:
                self._warming[domain] = self._start(self._warm(domain))

    async def _warm(self, domain: str) -> None:
        try:
            async with self._look_ups:
                road = await self._roads.road(domain)
            if road.refusal is None:
                self._pool(road).warm(most=1)
        except Exception as error:  # the letters will find out, and say so
            _log.warning("smtp_not_warmed", extra={"error": type(error).__name__})
        finally:
            del self._warming[domain]

    def release(self, ids: Collection[int] | None) -> list[Item]:
        asked = None if ids is None else set(ids)
        released: list[Item] = []
        for waiting in self._unrouted.values():
            gone = list(waiting) if asked is None else [number for number in waiting if number in asked]
            released += [waiting.pop(number) for number in gone]
        for pool in self._pools.values():
            released += pool.waiting.release(ids)
        return released

    def resting(self) -> Mapping[str, Outcome]:
        """The hosts that are passed over for now."""
        now = self._clock()
        known = dict(self._passed_over)
        return {f"{address}:{port}": why for (address, port), (until, why) in known.items() if now < until}

    async def close(self) -> None:
        for task in [*self._routing.values(), *self._warming.values()]:
            task.cancel()
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))

    # --- roads

    def _start(self, routing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(routing)

    async def _route(self, domain: str) -> None:
        try:
            async with self._look_ups:
                road = await self._roads.road(domain)
        except Exception as error:  # a mistake of ours, and one domain's affair
            _log.error("smtp_road_failed", extra={"error": type(error).__name__})
            road = Road(site="", refusal=DNS_FAILS)
        finally:
            del self._routing[domain]
            letters = self._unrouted.pop(domain, {})
        if not letters:
            return
        if road.refusal is not None:
            for number in letters:
                self._tell(number, road.refusal)
            return
        pool = self._pool(road)
        pool.waiting.put(list(letters.values()))
        pool.wake()

    def _pool(self, road: Road) -> Pool:
        way = road.site, tuple(sorted(road.hosts, key=lambda host: (host.address, host.port, host.name)))
        pool = self._pools.get(way)
        if pool is None:
            self._forget_unused()
        manners = self._manners_of(road.site)
        if pool is None:
            pool = self._pools[way] = Pool(
                road.site,
                self._door(road.site, road.hosts),
                manners=manners,
                limits=self._limits,
                clock=self._clock,
                journal=self._journal,
            )
            self._open(road.site, pool)
        return pool

    def _manners_of(self, site: str) -> SiteManners:
        """One for all pools of a site: its limits are the site's."""
        limits = self._limits_of(site)
        connections, letters = limits.connections, limits.mails_per_connection
        manners = self._manners.get(site)
        if manners is None:
            manners = self._manners[site] = SiteManners(connections=connections, letters=letters)
        else:  # other workers come and go, and staff may have changed the lane
            manners.limit(connections=connections, letters=letters)
        return manners

    def _forget_unused(self) -> None:
        if len(self._pools) < _MAX_POOLS:
            return
        self._pools = {way: pool for way, pool in self._pools.items() if not pool.is_unused}
        sites = {site for site, _ in self._pools}
        self._manners = {site: manners for site, manners in self._manners.items() if site in sites}
        now = self._clock()
        self._passed_over = {host: bad for host, bad in self._passed_over.items() if now < bad[0]}

    def _open(self, site: str, pool: Pool) -> None:
        def refused(outcome: Outcome) -> None:
            everywhere = outcome.reason is Reason.JOURNAL  # no site's fault: nothing may leave at all
            for item in self.release(None) if everywhere else pool.waiting.release():
                self._tell(item.id, outcome)

        def freed() -> None:
            for (other, _), sibling in self._pools.items():
                if other == site and sibling is not pool:
                    sibling.wake()

        waiting = Waiting(self, refused=refused, heard=pool.heard)
        pool.serve(waiting, freed)

    # --- hosts

    def _make_room(self, site: str) -> None:
        """A connection that rests in another pool of the site is one of its connections, too."""
        pools = [pool for (other, _), pool in self._pools.items() if other == site]
        too_many = sum(pool.resting for pool in pools) - self._manners[site].room
        for pool in pools:
            too_many -= pool.let_rest_go(too_many)

    def _door(self, site: str, hosts: tuple[Host, ...]) -> Callable[[], Coroutine[Any, Any, Session]]:
        """Tries the hosts in order; raises Refusal with the last one's reason when none lets us in."""

        async def open_door() -> Session:
            refusal: Outcome | None = None
            self._make_room(site)
            for host in hosts:
                until, _ = self._passed_over.get((host.address, host.port), (float("-inf"), None))
                if self._clock() < until:
                    continue
                try:
                    return await self._doors.open(host)
                except Refusal as error:
                    refusal = error.outcome
                    self._passed_over[host.address, host.port] = self._clock() + HOST_PAUSE, refusal
            raise Refusal(refusal or self._why_passed_over(hosts))

        return open_door

    def _why_passed_over(self, hosts: tuple[Host, ...]) -> Outcome:
        known = [bad for host in hosts if (bad := self._passed_over.get((host.address, host.port)))]
        if not known:
            return _ALL_PASSED_OVER
        until, why = min(known, key=lambda bad: bad[0])
        return replace(why, retry_after=max(1.0, until - self._clock()))

    # --- outcomes

    @property
    def stopping(self) -> bool:
        return self._stream is None or self._stream.stopping

    def tell(self, letter_id: int, outcome: Outcome) -> None:
        self._tell(letter_id, outcome)

    def _tell(self, letter_id: int, outcome: Outcome) -> None:
        """What a site's host says of itself is the lane's fault: other sites' letters go on."""
        if outcome.fault is Fault.RELAY and outcome.reason is not Reason.JOURNAL:
            outcome = replace(outcome, fault=Fault.LANE)
        if self._stream is not None:
            self._stream.tell(letter_id, outcome)
