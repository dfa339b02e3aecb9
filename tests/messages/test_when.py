"""Wall times to instants, civil days before them, and the example page's lines on four clocks."""

import datetime as dt
import re
import zoneinfo
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.messages.when import (
    UnknownZone,
    WallTime,
    in_utc,
    instant,
    is_zone,
    local,
    minus_days,
    minus_exactly,
    offset_at,
    tzdata_version,
    wall_time,
    zone_named,
)

NEW_YORK = "America/New_York"
NOON = dt.time(12)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("day", "at_utc", "yerevan", "sydney", "kyiv"),
    [
        ("2024-02-23", "2024-02-23 17:00", "2024-02-23 21:00", "2024-02-24 04:00", "2024-02-23 19:00"),
        ("2024-03-22", "2024-03-22 16:00", "2024-03-22 20:00", "2024-03-23 03:00", "2024-03-22 18:00"),
        ("2024-05-03", "2024-05-03 16:00", "2024-05-03 20:00", "2024-05-04 02:00", "2024-05-03 19:00"),
        ("2024-07-26", "2024-07-26 16:00", "2024-07-26 20:00", "2024-07-27 02:00", "2024-07-26 19:00"),
        ("2024-09-27", "2024-09-27 16:00", "2024-09-27 20:00", "2024-09-28 02:00", "2024-09-27 19:00"),
        ("2024-11-15", "2024-11-15 17:00", "2024-11-15 21:00", "2024-11-16 04:00", "2024-11-15 19:00"),
    ],
)
def test_noon_in_new_york_on_the_clocks_of_the_world(day, at_utc, yerevan, sydney, kyiv):
    starts = instant(dt.date.fromisoformat(day), NOON, NEW_YORK)
    said = {zone: f"{local(starts, zone):%Y-%m-%d %H:%M}" for zone in CLOCKS}
    assert said == dict(zip(CLOCKS, (at_utc, yerevan, sydney, kyiv), strict=True))


CLOCKS = ("UTC", "Asia/Yerevan", "Australia/Sydney", "Europe/Kyiv")


@pytest.mark.parametrize(
    ("day", "hour_in_kyiv"),
    [
        ("2024-03-09", 19), ("2024-03-10", 18), ("2024-03-30", 18), ("2024-03-31", 19),
        ("2024-10-26", 19), ("2024-10-27", 18), ("2024-11-02", 18), ("2024-11-03", 19),
    ],
)  # fmt: skip
def test_kyiv_is_an_hour_nearer_in_the_weeks_between_the_two_clock_changes(day, hour_in_kyiv):
    assert local(instant(dt.date.fromisoformat(day), NOON, NEW_YORK), "Europe/Kyiv").hour == hour_in_kyiv


def test_an_instant_is_in_utc():
    assert instant(dt.date(2024, 9, 27), NOON, NEW_YORK).tzinfo is dt.UTC


def test_a_skipped_time_is_shifted_forward():
    day, half_past_two = dt.date(2024, 3, 10), dt.time(2, 30)
    assert wall_time(day, half_past_two, NEW_YORK) is WallTime.SKIPPED
    for fold_later in (False, True):
        shifted = instant(day, half_past_two, NEW_YORK, fold_later=fold_later)
        assert shifted == utc(2024, 3, 10, 7, 30)
        assert local(shifted, NEW_YORK).time() == dt.time(3, 30)


def test_a_repeated_time_is_the_first_for_reminders_and_the_later_for_embargoes():
    day, half_past_one = dt.date(2024, 11, 3), dt.time(1, 30)
    assert wall_time(day, half_past_one, NEW_YORK) is WallTime.TWICE
    assert instant(day, half_past_one, NEW_YORK) == utc(2024, 11, 3, 5, 30)
    assert instant(day, half_past_one, NEW_YORK, fold_later=True) == utc(2024, 11, 3, 6, 30)
    # What a stray fold attribute says is no decision of anybody.
    assert instant(day, half_past_one.replace(fold=1), NEW_YORK) == utc(2024, 11, 3, 5, 30)


def test_later_changes_nothing_for_a_time_that_occurs_once():
    day = dt.date(2024, 9, 27)
    assert wall_time(day, NOON, NEW_YORK) is WallTime.ONCE
    assert instant(day, NOON, NEW_YORK, fold_later=True) == instant(day, NOON, NEW_YORK)


def test_a_day_that_a_country_left_out_is_shifted_too():
    missing = dt.date(2011, 12, 30)  # Samoa crossed the date line
    assert wall_time(missing, NOON, "Pacific/Apia") is WallTime.SKIPPED
    assert local(instant(missing, NOON, "Pacific/Apia"), "Pacific/Apia").date() == dt.date(2011, 12, 31)


def test_seven_days_are_civil_and_168_hours_are_not():
    day = dt.date(2024, 3, 15)
    starts = instant(day, NOON, NEW_YORK)
    week_before = minus_days(day, NOON, NEW_YORK, 7)
    hours_before = minus_exactly(starts, dt.timedelta(hours=168))
    assert week_before == utc(2024, 3, 8, 17)
    assert local(week_before, NEW_YORK).isoformat() == "2024-03-08T12:00:00-05:00"
    assert local(hours_before, NEW_YORK).isoformat() == "2024-03-08T11:00:00-05:00"


def test_a_day_before_in_autumn_has_25_hours():
    day = dt.date(2024, 11, 3)
    assert instant(day, NOON, NEW_YORK) - minus_days(day, NOON, NEW_YORK, 1) == dt.timedelta(hours=25)


def test_yerevan_has_one_offset_all_year():
    offsets = {offset_at(utc(2024, month, 15), "Asia/Yerevan") for month in range(1, 13)}
    assert offsets == {dt.timedelta(hours=4)}
    week_before = minus_days(dt.date(2024, 3, 31), NOON, "Asia/Yerevan", 7)
    starts = instant(dt.date(2024, 3, 31), NOON, "Asia/Yerevan")
    assert week_before == minus_exactly(starts, dt.timedelta(days=7))


@settings(deadline=None)  # the first call loads names and zones
@given(
    moment=st.datetimes(dt.datetime(1980, 1, 1), dt.datetime(2040, 1, 1)).map(
        lambda naive: naive.replace(second=0, microsecond=0, tzinfo=dt.UTC)
    ),
    zone=st.sampled_from(
        [NEW_YORK, "Asia/Yerevan", "Australia/Lord_Howe", "Europe/Kyiv", "Asia/Tehran", "UTC"]
    ),
)
def test_every_instant_is_one_of_the_readings_of_its_wall_time(moment, zone):
    wall = local(moment, zone)
    readings = {
        instant(wall.date(), wall.time(), zone, fold_later=fold_later) for fold_later in (False, True)
    }
    assert moment in readings
    kind = wall_time(wall.date(), wall.time(), zone)
    assert kind is (WallTime.TWICE if len(readings) == 2 else WallTime.ONCE)


@pytest.mark.parametrize(
    "name",
    ["", "EST", "ET", "EST5EDT", "GMT+5", "Etc/GMT+5", "Mars/Olympus", "new york", "../../etc/passwd",
     "/etc/localtime", "right/America/New_York", "posix/Europe/Kyiv", "America", "a" * 5000, "A/\x00"],
)  # fmt: skip
def test_what_is_no_zone_is_refused_with_an_example(name):
    assert not is_zone(name)
    with pytest.raises(UnknownZone, match="America/New_York"):
        zone_named(name)
    with pytest.raises(UnknownZone):
        instant(dt.date(2024, 9, 27), NOON, name)


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", NEW_YORK, "US/Eastern", "America/Argentina/Buenos_Aires"])
def test_places_and_utc_are_zones(name):
    assert zone_named(name).key == name


def test_no_time_without_a_zone_passes():
    naive = dt.datetime(2024, 9, 27, 12)
    for refuses in (
        in_utc,
        lambda when: local(when, NEW_YORK),
        lambda when: minus_exactly(when, dt.timedelta(1)),
    ):
        with pytest.raises(ValueError, match="without a zone"):
            refuses(naive)
    with pytest.raises(ValueError, match="no zone of its own"):
        instant(dt.date(2024, 9, 27), dt.time(12, tzinfo=dt.UTC), NEW_YORK)
    with pytest.raises(ValueError, match="is a date"):
        instant(naive, NOON, NEW_YORK)


def test_the_tzdata_release_is_known():
    assert re.fullmatch(r"\d{4}[a-z]+|system|package", tzdata_version())


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [("tzdata.zi", "# version 2025b\n", "2025b"), ("+VERSION", "2026c\n", "2026c"), ("other", "", "system")],
)
def test_a_system_copy_of_tzdata_wins(tmp_path, monkeypatch, name, line, said):
    (tmp_path / "Etc").mkdir()
    (tmp_path / "Etc" / "UTC").write_bytes((files("tzdata") / "zoneinfo" / "Etc" / "UTC").read_bytes())
    (tmp_path / name).write_text(line)
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path / "absent"), str(tmp_path)))
    assert tzdata_version.__wrapped__() == said


def test_without_a_system_copy_the_package_counts(monkeypatch):
    import tzdata

    monkeypatch.setattr(zoneinfo, "TZPATH", ())
    assert tzdata_version.__wrapped__() == tzdata.IANA_VERSION
