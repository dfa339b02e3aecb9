"""Pace: the limits of a lane, and the arithmetic that keeps them. Pure: no clock, no database, no sleeping.

Three gates stand before a lane: a token bucket for the rate, and fixed windows for the hour and
the day (of UTC, so that every worker and every restart reads the same ones). A fifth of each is
never given to bulk mail, so that a reminder always finds room. Nothing here decides who is mailed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from mailer.smtp import sites

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CLOCK_STEP = timedelta(minutes=15)  # a stored time further ahead than this is a clock that was set back

RESERVE = 5  # one in five is kept for what is not bulk
SLOWEST = 64.0
SLOWED_RATE = (
    64 / 6
)  # mails per second that a lane without a rate is slowed from: ten a minute at the slowest
TEN_A_MINUTE = 10 / 60

WARM_START = 200  # mails to one site on the first day of warming up
WARM_DAYS = 14  # 200 doubled so often is more than anybody's list


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneLimits:
    """What one receiving site is given at most, by all workers together; None is no limit."""

    connections: int
    mails_per_connection: int | None
    per_second: float | None = None
    per_hour: int | None = None
    per_day: int | None = None


DEFAULT_LIMITS = LaneLimits(connections=10, mails_per_connection=100)
RELAY_LIMITS = LaneLimits(connections=4, mails_per_connection=None)  # a relay's connections end by their age
_GMX = LaneLimits(connections=4, mails_per_connection=20)
_MICROSOFT = LaneLimits(connections=5, mails_per_connection=50)

KNOWN_LIMITS: Mapping[str, LaneLimits] = MappingProxyType(
    {
        sites.YAHOO: LaneLimits(connections=5, mails_per_connection=20),
        sites.MICROSOFT: _MICROSOFT,
        sites.MICROSOFT_BUSINESS: _MICROSOFT,
        sites.APPLE: LaneLimits(connections=10, mails_per_connection=5),
        sites.GOOGLE: LaneLimits(connections=5, mails_per_connection=50),
        sites.WEB_DE: _GMX,
        sites.GMX: _GMX,
        sites.COMCAST: LaneLimits(connections=25, mails_per_connection=1000),
    }
)
"""Limits to start with at sites that publish theirs or are known for them."""


def limits_of(site: str) -> LaneLimits:
    """The limits a lane starts with, by its key: a site, or `relay:host:port`."""
    if site.startswith("relay:"):
        return RELAY_LIMITS
    return KNOWN_LIMITS.get(site, DEFAULT_LIMITS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """Tokens at a moment; a bucket never looked at (`at` is None) is full."""

    tokens: float = 0.0
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """How many went in the hour or day that began at `at`."""

    at: datetime | None = None
    count: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What was used of a lane's limits, as it is stored."""

    bucket: Bucket = Bucket()
    hour: Window = Window()
    day: Window = Window()


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """How many mails a lane takes now. `opens_at` is when a gate that is shut may take the next one."""

    urgent: int
    bulk: int
    opens_at: datetime | None = None

    def of(self, *, bulk: bool) -> int:
        return self.bulk if bulk else self.urgent


def burst(rate: float) -> float:
    """How much a bucket holds: one second's worth, and at least one mail."""
    return max(1.0, rate)


def refill(bucket: Bucket, now: datetime, rate: float) -> Bucket:
    """The bucket at `now`, at `rate` tokens a second. Two clocks that differ a little never fill it twice."""
    full = burst(rate)
    if bucket.at is None:
        return Bucket(tokens=full, at=now)
    if bucket.at - now > CLOCK_STEP:
        return Bucket(tokens=min(bucket.tokens, full), at=now)
    elapsed = max(0.0, (now - bucket.at).total_seconds())
    return Bucket(tokens=min(full, bucket.tokens + elapsed * rate), at=max(bucket.at, now))


def current(window: Window, now: datetime, length: timedelta) -> Window:
    """The window `now` falls into: the stored one, also when it began just ahead of `now`, or a fresh one."""
    start = _start(now, length)
    if window.at is None or window.at < start or window.at - now > CLOCK_STEP:
        return Window(at=start, count=0)
    return window


def _start(now: datetime, length: timedelta) -> datetime:
    now = now.astimezone(UTC)
    hour = 0 if length == DAY else now.hour
    return now.replace(hour=hour, minute=0, second=0, microsecond=0)


def rate_of(limits: LaneLimits, slowness: float) -> float | None:
    """Mails a second after the lane was slowed, or None for as fast as the line carries."""
    if slowness <= 1:
        return limits.per_second
    natural = limits.per_second
    if natural is None:
        natural = SLOWED_RATE if limits.per_hour is None else min(SLOWED_RATE, limits.per_hour / 3600)
    slowed = natural / min(slowness, SLOWEST)
    return min(slowed, TEN_A_MINUTE) if slowness >= SLOWEST else slowed


def connections_of(limits: LaneLimits, slowness: float) -> int:
    """How many connections a lane may have after it was slowed; never none."""
    return max(1, int(limits.connections / max(1.0, slowness)))


def room(
    limits: LaneLimits, usage: Usage, now: datetime, *, slowness: float = 1.0, warm_cap: int | None = None
) -> Room | None:
    """What a lane takes now, or None when nothing limits it.

    `warm_cap` is the day's cap while warming up. A window's reserve is a fifth in whole mails,
    a bucket's a fifth of its burst, as long as one mail of bulk still fits.
    """
    gates = [gate for gate in _gates(limits, usage, now, slowness, warm_cap) if gate is not None]
    if not gates:
        return None
    shut = [gate.opens_at for gate in gates if gate.bulk <= 0 and gate.opens_at is not None]
    return Room(
        urgent=min(gate.urgent for gate in gates),
        bulk=min(gate.bulk for gate in gates),
        opens_at=max(shut, default=None),
    )


def _gates(
    limits: LaneLimits, usage: Usage, now: datetime, slowness: float, warm_cap: int | None
) -> Iterable[Room | None]:
    rate = rate_of(limits, slowness)
    yield None if rate is None else _bucket_gate(refill(usage.bucket, now, rate), rate)
    yield _window_gate(limits.per_hour, current(usage.hour, now, HOUR), HOUR)
    per_day = [cap for cap in (limits.per_day, warm_cap) if cap is not None]
    yield _window_gate(min(per_day, default=None), current(usage.day, now, DAY), DAY)


def _bucket_gate(bucket: Bucket, rate: float) -> Room:
    full = burst(rate)
    reserve = min(full / RESERVE, full - 1)
    urgent, bulk = whole(bucket.tokens), whole(bucket.tokens - reserve)
    if bulk > 0 or rate <= 0 or bucket.at is None:
        return Room(urgent=urgent, bulk=bulk)
    wanted = 1.0 if urgent == 0 else 1.0 + reserve
    return Room(
        urgent=urgent, bulk=0, opens_at=bucket.at + timedelta(seconds=(wanted - bucket.tokens) / rate)
    )


def _window_gate(limit: int | None, window: Window, length: timedelta) -> Room | None:
    if limit is None or window.at is None:
        return None
    urgent = max(0, limit - window.count)
    return Room(urgent=urgent, bulk=max(0, urgent - limit // RESERVE), opens_at=window.at + length)


def whole(tokens: float) -> int:
    """Whole mails in so many tokens; what only rounding took away counts as there."""
    return max(0, math.floor(tokens + 1e-6))


def spend(limits: LaneLimits, usage: Usage, count: int, now: datetime, *, slowness: float = 1.0) -> Usage:
    """The usage after `count` mails were taken; more than there was room for becomes a debt."""
    rate = rate_of(limits, slowness)
    bucket = usage.bucket
    if rate is not None:
        filled = refill(bucket, now, rate)
        bucket = replace(filled, tokens=filled.tokens - count)
    hour, day = current(usage.hour, now, HOUR), current(usage.day, now, DAY)
    return Usage(
        bucket=bucket,
        hour=replace(hour, count=hour.count + count),
        day=replace(day, count=day.count + count),
    )


def give_back(usage: Usage, count: int, taken_at: datetime) -> Usage:
    """The usage after `count` mails of `taken_at` were not offered; a window begun later owes nothing."""
    return Usage(
        bucket=replace(
            usage.bucket, tokens=usage.bucket.tokens + count
        ),  # the next refill cuts it to the burst
        hour=_less(usage.hour, count, taken_at),
        day=_less(usage.day, count, taken_at),
    )


def _less(window: Window, count: int, taken_at: datetime) -> Window:
    if window.at is None or taken_at < window.at:
        return window
    return replace(window, count=max(0, window.count - count))


def warm_cap(warm_from: datetime | None, now: datetime) -> int | None:
    """The most one lane may take on a day of warming up; None when it is over or never began."""
    if warm_from is None:
        return None
    days = (_start(now, DAY) - _start(warm_from, DAY)).days
    return None if days >= WARM_DAYS else int(WARM_START * 2 ** max(0, days))


MAX_DEFERRED = 0.05  # of a day's mails; above it the next day's cap is the same


def warm_from_after(warm_from: datetime, day: Window, deferred: int, now: datetime) -> datetime:
    """Where warming up counts from, once `day` is over: days without mail and bad days do not count."""
    began = _start(warm_from, DAY)
    seen = day.at if day.at is not None and day.at >= began else began
    passed = (_start(now, DAY) - seen).days
    if passed <= 0:
        return warm_from
    earned = seen == day.at and day.count > 0 and deferred <= MAX_DEFERRED * day.count
    return warm_from + DAY * (passed - 1 if earned else passed)


def share(limit: int, workers: Sequence[str], me: str) -> int:
    """This worker's part of a limit that holds for all living workers: the rest goes to the first by name.

    The parts add up to the limit; with more workers than places some get none. A worker that is not
    among the living yet counts itself in.
    """
    names = sorted({*workers, me})
    each, rest = divmod(limit, len(names))
    return each + (1 if names.index(me) < rest else 0)
