"""Departure: by which engine mail leaves, as the settings say: relays, or straight to receiving servers.

The one place that turns MAILER_SMTP_URL into an engine; sending workers and test mails
use the same.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from mailer.ingest.fetch import Limits as FetchLimits
from mailer.ingest.fetch import fetch
from mailer.services.house import House
from mailer.services.sending.shares import Shares
from mailer.settings import DIRECT, Settings, SettingsError
from mailer.smtp.engine import Engine
from mailer.smtp.journal import Journal
from mailer.smtp.lookup import stub_resolver
from mailer.smtp.relay import Relay, parse_all
from mailer.smtp.roads import MxRoads
from mailer.smtp.sites import offers_tls

_POLICY_OCTETS = 64 * 1024  # RFC 8461 3.2
_POLICY = FetchLimits(octets=_POLICY_OCTETS, redirects=0, types=("text/plain",))  # RFC 8461 3.3: no redirects


def relays_of(settings: Settings) -> Sequence[Relay]:
    """The relays that are named; none for direct delivery. Raises RelayError."""
    return () if settings.smtp_url.strip() == DIRECT else parse_all(settings.smtp_url)


def open_engine(
    house: House,
    journal: Journal | None,
    *,
    shares: Shares,
    clock: Callable[[], datetime],
    connections: int | None = None,
) -> Engine:
    """The engine that mail leaves by. Raises RelayError or SettingsError with what to write."""
    settings = house.settings
    relays = relays_of(settings)
    if not relays:
        return Engine.direct(
            _roads(settings),
            ehlo_name=settings.ehlo_name,
            journal=journal,
            limits_of=shares,
            wall_clock=clock,
        )
    return Engine(
        relays,
        ehlo_name=settings.ehlo_name,
        journal=journal,
        connections=connections or settings.smtp_connections,
    )


def _roads(settings: Settings) -> MxRoads:
    servers = [part.strip() for part in settings.dns_servers.split(",") if part.strip()]
    try:
        return MxRoads(
            stub_resolver(servers),
            fetch=_policy_page,
            clock=time.monotonic,
            requires_tls=(lambda _: True) if settings.direct_tls == "require" else offers_tls,
            validating=settings.dns_validates,
        )
    except ValueError as problem:
        raise SettingsError(
            f"MAILER_DNS_VALIDATES or MAILER_DNS_SERVERS cannot be used: {problem}."
        ) from None


async def _policy_page(url: str) -> bytes:
    """A domain's MTA-STS policy, through the guarded fetcher."""
    fetched = await asyncio.to_thread(fetch, url, limits=_POLICY)
    return fetched.body
