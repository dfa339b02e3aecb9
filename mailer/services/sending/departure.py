"""Departure: by which engine mail leaves, as the settings say: relays, or straight to receiving servers.

The one place that turns MAILER_SMTP_URL into an engine; sending workers and test mails
use the same.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from mailer.services.house import House
from mailer.services.sending.shares import Shares
from mailer.settings import DIRECT, Settings
from mailer.smtp.engine import Engine
from mailer.smtp.journal import Journal
from mailer.smtp.relay import Relay, parse_all


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
        from mailer.services.sending.open_roads import roads  # five MB that a sender by relay does without

        return Engine.direct(
            roads(settings),
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
