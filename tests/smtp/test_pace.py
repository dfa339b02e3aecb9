"""The arithmetic of lanes: no order of asking gives more than the limits allow."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer.smtp import pace, sites
from mailer.smtp.pace import Bucket, LaneLimits, Usage, Window

NOON = datetime(2024, 2, 1, 12, 0, tzinfo=UTC)
MANY = 10_000

rates = st.floats(0.01, 2_000)
waits = st.lists(st.floats(0, 120), min_size=1, max_size=60)


def limits(**given: float | None) -> LaneLimits:
    return replace(pace.DEFAULT_LIMITS, **given)  # type: ignore[arg-type]


def greedy(
    of: LaneLimits, moments: list[datetime], *, bulk: bool = False, slowness: float = 1.0
) -> Iterator[tuple[datetime, int]]:
    """What somebody gets who always takes everything there is."""
    usage = Usage()
    for now in moments:
        room = pace.room(of, usage, now, slowness=slowness)
        assert room is not None
        count = room.of(bulk=bulk)
        usage = pace.spend(of, usage, count, now, slowness=slowness)
        yield now, count


def after(seconds: list[float]) -> list[datetime]:
    now, moments = NOON, [NOON]
    for wait in seconds:
        now += timedelta(seconds=wait)
        moments.append(now)
    return moments


@given(rate=rates, seconds=waits, bulk=st.booleans())
@example(rate=0.01, seconds=[100.0] * 3, bulk=True)
def test_no_interval_gets_more_than_its_time_and_one_burst(
    rate: float, seconds: list[float], bulk: bool
) -> None:
    taken = list(greedy(limits(per_second=rate), after(seconds), bulk=bulk))
    for first in range(len(taken)):
        total = 0
        for now, count in taken[first:]:
            total += count
            elapsed = (now - taken[first][0]).total_seconds()
            assert total <= rate * elapsed + pace.burst(rate) + 1e-3


@given(rate=rates, slowness=st.sampled_from([2.0, 8.0, 64.0]), seconds=waits)
def test_slowness_divides_the_rate(rate: float, slowness: float, seconds: list[float]) -> None:
    taken = list(greedy(limits(per_second=rate), after(seconds), slowness=slowness))
    slow = rate / slowness
    assert sum(count for _, count in taken) <= slow * sum(seconds) + pace.burst(slow) + 1e-3


@given(
    hour=st.integers(1, 500),
    day=st.integers(1, 2_000),
    seconds=st.lists(st.floats(0, 3_000), min_size=1, max_size=80),
)
def test_no_hour_and_no_day_gets_more_than_its_limit(hour: int, day: int, seconds: list[float]) -> None:
    hours: dict[datetime, int] = {}
    days: dict[datetime, int] = {}
    for now, count in greedy(limits(per_hour=hour, per_day=day), after(seconds)):
        hours[now.replace(minute=0, second=0, microsecond=0)] = (
            hours.get(now.replace(minute=0, second=0, microsecond=0), 0) + count
        )
        days[now.replace(hour=0, minute=0, second=0, microsecond=0)] = (
            days.get(now.replace(hour=0, minute=0, second=0, microsecond=0), 0) + count
        )
    assert max(hours.values()) <= hour
    assert max(days.values()) <= day


@given(rate=st.floats(2, 2_000), hour=st.integers(5, 10_000))
def test_bulk_leaves_a_fifth(rate: float, hour: int) -> None:
    of = limits(per_second=rate)
    usage = pace.spend(of, Usage(), pace.room(of, Usage(), NOON).of(bulk=True), NOON)  # type: ignore[union-attr]
    left = pace.room(of, usage, NOON)
    assert left is not None
    assert left.bulk == 0
    assert left.urgent >= int(rate / 5)

    of = limits(per_hour=hour)
    room = pace.room(of, Usage(), NOON)
    assert room is not None
    assert room.urgent - room.bulk == hour // 5


def test_the_slowest_lane_still_carries_bulk() -> None:
    of = limits(per_second=0.1)
    assert [count for _, count in greedy(of, after([10.0] * 6), bulk=True)] == [1] * 7


@given(rate=rates, per_hour=st.none() | st.integers(1, 300), bulk=st.booleans())
def test_a_shut_lane_says_when_it_opens(rate: float, per_hour: int | None, bulk: bool) -> None:
    of, usage = limits(per_second=rate, per_hour=per_hour), Usage()
    room = pace.room(of, usage, NOON)
    assert room is not None
    usage = pace.spend(of, usage, room.of(bulk=bulk), NOON)
    shut = pace.room(of, usage, NOON)
    assert shut is not None
    if shut.bulk == 0:
        assert shut.opens_at is not None
        opened = pace.room(of, usage, shut.opens_at + timedelta(milliseconds=1))
        assert opened is not None
        assert opened.urgent > 0
        if shut.urgent > 0 or rate <= 1:
            assert opened.bulk > 0


def test_two_clocks_that_differ_do_not_fill_a_bucket_twice() -> None:
    of, usage, total = limits(per_second=10), Usage(), 0
    for step in range(20):
        for skew in (timedelta(0), timedelta(minutes=5)):
            now = NOON + timedelta(seconds=step) + skew
            room = pace.room(of, usage, now)
            assert room is not None
            total += room.urgent
            usage = pace.spend(of, usage, room.urgent, now)
    assert total <= 10 * 20 + 10 + 10


def test_a_clock_that_was_set_back_an_hour_stops_nobody_for_an_hour() -> None:
    of = limits(per_second=10, per_hour=100)
    usage = pace.spend(of, Usage(), 10, NOON)
    hour_ago = NOON - timedelta(hours=1)
    assert pace.refill(usage.bucket, hour_ago, 10) == Bucket(tokens=0, at=hour_ago)
    assert pace.current(usage.hour, hour_ago, pace.HOUR).count == 0


def test_what_was_not_offered_comes_back_to_its_own_hour_only() -> None:
    of = limits(per_second=10, per_hour=100)
    late = NOON - timedelta(seconds=1)
    taken = pace.spend(of, Usage(), 10, late)
    returned = pace.give_back(taken, 4, late)
    assert returned.hour.count == 6
    room = pace.room(of, returned, late)
    assert room is not None
    assert room.urgent == 4

    next_hour = pace.spend(of, taken, 10, NOON)
    assert pace.give_back(next_hour, 4, late).hour.count == 10
    assert pace.give_back(next_hour, 4, NOON).hour.count == 6


def test_a_lane_without_limits_has_none_until_it_is_slowed() -> None:
    of = limits()
    assert pace.room(of, Usage(), NOON) is None
    assert pace.rate_of(of, 64) == pytest.approx(10 / 60)
    assert pace.rate_of(limits(per_second=1_000), 64) == pytest.approx(10 / 60)
    assert pace.rate_of(limits(per_hour=36), 2) == pytest.approx(0.005)


def test_connections_are_fewer_but_never_none() -> None:
    of = pace.limits_of(sites.GOOGLE)
    assert [pace.connections_of(of, slowness) for slowness in (1, 2, 4, 64)] == [5, 2, 1, 1]


@pytest.mark.parametrize(
    ("key", "connections", "mails"),
    [
        ("somewhere.example", 10, 100),
        (sites.YAHOO, 5, 20),
        (sites.MICROSOFT, 5, 50),
        (sites.APPLE, 10, 5),
        (sites.GOOGLE, 5, 50),
        (sites.WEB_DE, 4, 20),
        (sites.GMX, 4, 20),
        (sites.COMCAST, 25, 1000),
        ("relay:mail.example.org:587", 4, None),
    ],
)
def test_limits_to_start_with(key: str, connections: int, mails: int | None) -> None:
    of = pace.limits_of(key)
    assert (of.connections, of.mails_per_connection) == (connections, mails)


def test_warming_up_doubles_each_day_and_ends() -> None:
    caps = [pace.warm_cap(NOON, NOON + pace.DAY * day) for day in (0, 1, 2, 3, 13, 14)]
    assert caps == [200, 400, 800, 1_600, 1_638_400, None]
    assert pace.warm_cap(None, NOON) is None


@pytest.mark.parametrize(
    ("count", "deferred", "days", "cap"),
    [
        (200, 0, 1, 400),
        (200, 10, 1, 400),  # 5 % is still good
        (200, 11, 1, 200),
        (0, 0, 1, 200),
        (200, 0, 3, 400),  # two days without mail earn nothing
        (200, 11, 3, 200),
    ],
)
def test_a_bad_day_and_an_idle_day_do_not_count(count: int, deferred: int, days: int, cap: int) -> None:
    yesterday = Window(at=NOON.replace(hour=0), count=count)
    later = NOON + pace.DAY * days
    warm_from = pace.warm_from_after(NOON, yesterday, deferred, later)
    assert pace.warm_cap(warm_from, later) == cap
    judged_again = pace.warm_from_after(warm_from, pace.current(yesterday, later, pace.DAY), 0, later)
    assert pace.warm_cap(judged_again, later) == cap


def test_what_was_sent_before_warming_up_began_earns_nothing() -> None:
    last_week = Window(at=NOON.replace(hour=0) - pace.DAY * 7, count=5_000)
    later = NOON + pace.DAY * 4
    assert pace.warm_cap(pace.warm_from_after(NOON, last_week, 0, later), later) == 200


@given(limit=st.integers(0, 60), count=st.integers(1, 12))
def test_shares_add_up_to_the_limit(limit: int, count: int) -> None:
    workers = [f"send-{number:02}" for number in range(count)]
    shares = [pace.share(limit, workers, me) for me in workers]
    assert sum(shares) == limit
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)
    assert pace.share(limit, workers[::-1], workers[0]) == shares[0]


def test_a_worker_that_nobody_knows_yet_counts_itself_in() -> None:
    assert pace.share(4, [], "a") == 4
    assert pace.share(4, ["a"], "b") == 2
