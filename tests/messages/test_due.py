"""Due times: civil days, exact hours, both changes of the clocks in three zones, nights, grace."""

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.messages import when
from mailer.messages.due import CLOSE, GRACE, NIGHT, Event, Night, Rule, due, fell_due, superseded
from mailer.vocabulary import Precision, RuleTiming

HOUR = dt.timedelta(hours=1)
ZONES = ("America/New_York", "Europe/Kyiv", "Australia/Sydney", "Asia/Yerevan", "Asia/Kathmandu", "UTC")


def exactly(hours: int) -> Rule:
    return Rule(key=f"{hours}h", timing=RuleTiming.MINUTES_BEFORE, minutes=60 * hours)


WEEK, DAY = (Rule(key=f"{n}d", timing=RuleTiming.DAYS_BEFORE, days=n) for n in (7, 1))
HOUR_RULE = exactly(1)
NINE = Rule(key="1d0900", timing=RuleTiming.DAYS_BEFORE, days=1, clock=dt.time(9))


def on(day: str, hour: str = "12:00", zone: str = "America/New_York") -> Event:
    return Event(
        precision=Precision.DATETIME,
        day=dt.date.fromisoformat(day),
        wall_time=dt.time.fromisoformat(hour),
        zone=zone,
    )


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def at(rule: Rule, event: Event, zone: str | None = None) -> dt.datetime | None:
    found = due(rule, event, zone)
    return found.at if found else None


@pytest.mark.parametrize(
    ("rule", "event", "expected"),
    [
        # New York, summer time begins on 10 March 2024: a week earlier is the same clock, 168 hours are not.
        (WEEK, on("2024-03-15"), "2024-03-08 17:00"),
        (exactly(168), on("2024-03-15"), "2024-03-08 16:00"),
        # ... and ends on 3 November.
        (DAY, on("2024-11-03"), "2024-11-02 16:00"),
        (exactly(24), on("2024-11-03"), "2024-11-02 17:00"),
        # Kyiv on 31 March and 27 October.
        (DAY, on("2024-03-31", "12:00", "Europe/Kyiv"), "2024-03-30 10:00"),
        (DAY, on("2024-10-27", "12:00", "Europe/Kyiv"), "2024-10-26 09:00"),
        # Sydney on 7 April (the end) and 6 October (the beginning).
        (DAY, on("2024-04-07", "12:00", "Australia/Sydney"), "2024-04-06 01:00"),
        (DAY, on("2024-10-06", "12:00", "Australia/Sydney"), "2024-10-05 02:00"),
        # Yerevan has none.
        (WEEK, on("2024-03-31", "20:00", "Asia/Yerevan"), "2024-03-24 16:00"),
        # 02:30 does not exist on 10 March: the due time is shifted forward; 01:30 on 3 November is the first.
        (DAY, on("2024-03-11", "02:30"), "2024-03-10 07:30"),
        (DAY, on("2024-11-04", "01:30"), "2024-11-03 05:30"),
        # An hour of its own.
        (NINE, on("2024-03-10"), "2024-03-09 14:00"),
    ],
)  # fmt: skip
def test_days_keep_the_clock_and_hours_keep_their_length(rule: Rule, event: Event, expected: str) -> None:
    assert at(rule, event) == utc(expected)


@pytest.mark.parametrize(("later", "expected"), [(False, "2024-11-03 05:30"), (True, "2024-11-03 06:30")])
def test_a_wall_time_that_comes_twice_is_the_chosen_one(later: bool, expected: str) -> None:
    rule = Rule(
        key="at",
        timing=RuleTiming.AT,
        at_day=dt.date(2024, 11, 3),
        clock=dt.time(1, 30),
        zone="America/New_York",
        later=later,
    )
    assert at(rule, on("2024-11-05")) == utc(expected)
    assert at(rule, on("2024-11-03", "00:30")) is None  # it would not lie before the start


def test_in_the_weeks_between_the_two_changes_each_reader_is_met_at_the_event_s_own_lead() -> None:
    """On 22 March noon in New York is 18:00 in Kyiv, not 19:00; an hour before is an hour before."""
    event = on("2024-03-22")
    assert at(HOUR_RULE, event, "Europe/Kyiv") == utc("2024-03-22 15:00")
    assert when.local(utc("2024-03-22 15:00"), "Europe/Kyiv").hour == 17


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        (None, "2024-02-22 17:00"),  # not known: nobody's night is guessed
        ("Asia/Yerevan", "2024-02-22 17:00"),  # 21:00
        ("Europe/Kyiv", "2024-02-22 17:00"),  # 19:00
        ("Australia/Sydney", "2024-02-22 21:00"),  # 04:00 on the next day becomes 08:00
        ("Not/AZone", "2024-02-22 17:00"),
    ],
)
def test_a_long_lead_keeps_off_the_reader_s_night(zone: str | None, expected: str) -> None:
    assert at(DAY, on("2024-02-23"), zone) == utc(expected)


def test_a_night_that_lasts_until_the_start_gives_the_evening_before() -> None:
    rule = Rule(key="4h", timing=RuleTiming.MINUTES_BEFORE, minutes=240, quiet=True)
    event = on(
        "2024-02-23", "07:00", "Asia/Yerevan"
    )  # due 03:00; the morning's 08:00 would be past the start
    found = due(rule, event, "Asia/Yerevan")
    assert found is not None
    assert when.local(found.at, "Asia/Yerevan").isoformat() == "2024-02-22T22:00:00+04:00"
    assert at(HOUR_RULE, event, "Asia/Yerevan") == utc("2024-02-23 02:00")  # short leads do not wait


def test_of_a_day_without_an_hour_only_days_are_counted() -> None:
    event = Event(precision=Precision.DATE, day=dt.date(2024, 9, 27), wall_time=None, zone="America/New_York")
    assert at(DAY, event) == utc("2024-09-26 13:00")
    assert at(HOUR_RULE, event) is None
    for precision in (Precision.MONTH, Precision.YEAR, Precision.NONE):
        vague = Event(precision=precision, day=dt.date(2024, 12, 1), wall_time=None, zone="America/New_York")
        assert at(WEEK, vague) is None


def test_two_within_an_hour_are_one_too_many_and_the_longer_lead_gives_way() -> None:
    rules = [Rule(key=f"{n}m", timing=RuleTiming.MINUTES_BEFORE, minutes=n) for n in (60, 90, 121)]
    assert superseded(rules, on("2024-02-23")) == {"90m", "121m"}
    # For a reader in Sydney the reminder of a day moves from the night to 08:00, an hour before another.
    pair = [
        Rule(key="14h", timing=RuleTiming.MINUTES_BEFORE, minutes=14 * 60),
        Rule(key="9h", timing=RuleTiming.MINUTES_BEFORE, minutes=9 * 60 + 30),
    ]
    event = on("2024-02-23", "18:00", "Australia/Sydney")
    assert superseded(pair, event) == frozenset()
    assert superseded(pair, event, "Australia/Sydney") == {"14h"}


rules = st.one_of(
    st.builds(
        Rule,
        key=st.just("d"),
        timing=st.just(RuleTiming.DAYS_BEFORE),
        days=st.integers(0, 60),
        clock=st.none() | st.times().map(lambda one: one.replace(second=0, microsecond=0)),
        quiet=st.none() | st.booleans(),
    ),
    st.builds(
        Rule,
        key=st.just("m"),
        timing=st.just(RuleTiming.MINUTES_BEFORE),
        minutes=st.integers(1, 60 * 24 * 30),
        quiet=st.none() | st.booleans(),
    ),
    st.builds(
        Rule,
        key=st.just("a"),
        timing=st.just(RuleTiming.AT),
        at_day=st.dates(dt.date(2023, 12, 1), dt.date(2025, 2, 1)),
        clock=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
        zone=st.sampled_from(ZONES),
        later=st.booleans(),
        quiet=st.none() | st.booleans(),
    ),
)
events = st.builds(
    Event,
    precision=st.sampled_from([Precision.DATETIME, Precision.DATE]),
    day=st.dates(dt.date(2024, 1, 1), dt.date(2024, 12, 31)),
    wall_time=st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    zone=st.sampled_from(ZONES),
)


@given(rule=rules, event=events, zone=st.none() | st.sampled_from(ZONES))
def test_nothing_before_reaches_the_start_and_the_night_is_kept(
    rule: Rule, event: Event, zone: str | None
) -> None:
    found = due(rule, event, zone)
    if found is None:
        return
    limit = event.limit
    assert limit is not None
    assert found.at < limit
    assert found.at < found.until <= limit
    assert found.until - found.at <= min((limit - found.at) / 2, GRACE)
    assert found == due(rule, event, zone)
    assert fell_due(found.until, limit) == found.at
    plain = due(rule, event)
    if zone is None:
        assert plain == found
    elif plain is not None and plain.at != found.at:  # moved out of the night, to an end of it
        assert when.local(found.at, zone).time().replace(minute=0) in {NIGHT.begins, NIGHT.ends}


@given(rules=st.lists(rules, max_size=6), event=events, zone=st.sampled_from(ZONES))
def test_what_is_left_after_superseding_lies_an_hour_apart(
    rules: list[Rule], event: Event, zone: str
) -> None:
    named = [
        Rule(**{**{field: getattr(rule, field) for field in Rule.__dataclass_fields__}, "key": str(number)})
        for number, rule in enumerate(rules)
    ]
    gone = superseded(named, event, zone)
    left = [one.at for rule in named if rule.key not in gone and (one := due(rule, event, zone))]
    assert all(later - earlier >= CLOSE for earlier, later in itertools.pairwise(sorted(left)))


@given(event=events, n=st.integers(0, 40))
def test_days_before_keep_the_clock_wherever_it_exists(event: Event, n: int) -> None:
    if event.precision is not Precision.DATETIME or event.day is None or event.wall_time is None:
        return
    found = due(Rule(key="d", timing=RuleTiming.DAYS_BEFORE, days=n), event)
    if found is None or event.zone is None:
        return
    day = event.day - dt.timedelta(days=n)
    if when.wall_time(day, event.wall_time, event.zone) is not when.WallTime.SKIPPED:
        assert when.local(found.at, event.zone).time() == event.wall_time


nights = st.builds(
    Night,
    st.times().map(lambda one: one.replace(second=0, microsecond=0)),
    st.times().map(lambda one: one.replace(second=0, microsecond=0)),
)


@given(night=nights, rule=rules, event=events, zone=st.sampled_from(ZONES))
def test_whatever_night_an_organisation_has_nobody_is_met_in_it(
    night: Night, rule: Rule, event: Event, zone: str
) -> None:
    """Over midnight, within a day, or none: what falls into it goes to one of its ends, before the start."""
    plain, found = due(rule, event), due(rule, event, zone, night)
    assert (plain is None) == (found is None)
    if plain is None or found is None:
        return
    limit = event.limit
    assert limit is not None
    assert found.at < limit
    if found.at == plain.at:
        return
    evening, morning = night.around(plain.at, zone)
    assert night.holds(when.local(plain.at, zone).time())
    assert found.at == (morning if morning < limit else evening)


@pytest.mark.parametrize(
    ("night", "hour", "expected"),
    [
        (Night(dt.time(0), dt.time(6)), "03:00", "2024-02-22 06:00"),  # within one day
        (Night(dt.time(0), dt.time(6)), "23:00", "2024-02-22 23:00"),
        (Night(dt.time(22), dt.time(22)), "03:00", "2024-02-22 03:00"),  # none
        (Night(dt.time(20), dt.time(9)), "21:00", "2024-02-23 09:00"),
        (Night(dt.time(20), dt.time(9)), "20:00", "2024-02-22 20:00"),  # its ends are allowed
    ],
)
def test_a_night_of_the_organisation_s_own(night: Night, hour: str, expected: str) -> None:
    found = due(DAY, on("2024-02-23", hour, "UTC"), "UTC", night)
    assert found is not None
    assert found.at == utc(expected)
