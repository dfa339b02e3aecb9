"""The ways to receiving servers, as the settings say: DNS, what it proves, policies fetched from the web."""

import asyncio
import time

from mailer.ingest.fetch import Limits, fetch
from mailer.settings import Settings, SettingsError
from mailer.smtp.lookup import stub_resolver
from mailer.smtp.roads import MxRoads
from mailer.smtp.sites import offers_tls

_POLICY_OCTETS = 64 * 1024  # RFC 8461 3.2
_POLICY = Limits(octets=_POLICY_OCTETS, redirects=0, types=("text/plain",))  # RFC 8461 3.3: no redirects


def roads(settings: Settings) -> MxRoads:
    """For direct delivery. Raises SettingsError with what to write."""
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
