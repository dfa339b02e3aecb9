"""Time as the example programme has it: on every clock, through a whole year and in eight languages.

The golden files are tests/messages/snapshots/programme.<language>.txt. After a change that is meant:
UPDATE_SNAPSHOTS=1 pytest tests/messages/test_time.py, then read the diff.
"""

import datetime as dt
import re
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.dates import format_date
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.messages.catalogues import LANGUAGES, still_open
from mailer.messages.when import (
    WallTime,
    instant,
    is_zone,
    local,
    minus_days,
    minus_exactly,
    offset_at,
    wall_time,
)
from mailer.messages.words import in_words, reader_line
from mailer.vocabulary import Precision
from tests.messages.test_snapshots import compare

NEW_YORK, KYIV, BERLIN = "America/New_York", "Europe/Kyiv", "Europe/Berlin"
YEREVAN, SYDNEY = "Asia/Yerevan", "Australia/Sydney"
NOON = dt.time(12)
PROGRAMME = ("2024-02-23", "2024-03-22", "2024-05-03", "2024-07-26", "2024-09-27", "2024-11-15")
MONTH_ALONE = dt.date(2024, 12, 1)
READERS = (None, YEREVAN, SYDNEY, KYIV, NEW_YORK)
YEAR = [dt.date(2024, 1, 1) + dt.timedelta(days=number) for number in range(366)]
ZONES = sorted(filter(is_zone, zoneinfo.available_timezones()))
MAILER = Path(__file__).parents[2] / "mailer"
# "12 p.m." as any of the languages writes it: nobody knows whether it is noon or midnight.
TWELVE = re.compile(
    r"(?<![\d:۰-۹])(?:12|۱۲)(?::?[\d۰-۹]{2})?\s*"
    r"(?:[ap]\.?\s?m\b|[ص م](?![\w])|ق\.?ظ|ب\.?ظ|дп|пп|կա|կհ|上午|下午)",
    re.IGNORECASE,
)


def at_noon(day: dt.date) -> dt.datetime:
    return instant(day, NOON, NEW_YORK)


def event_line(day: dt.date, time: dt.time, zone: str, language: str) -> str:
    return in_words(
        Precision.DATETIME, day=day, time=time, zone=zone, language=language, tba="", with_offset=True
    )


def programme_in_words(language: str) -> Iterator[str]:
    for line in PROGRAMME:
        day = dt.date.fromisoformat(line)
        yield event_line(day, NOON, NEW_YORK, language)
        for zone in READERS:
            yield f"  {reader_line(at_noon(day), NEW_YORK, zone, language) or '='}"
    for precision in (Precision.DATE, Precision.MONTH, Precision.NONE):
        yield in_words(
            precision,
            day=MONTH_ALONE,
            time=None,
            zone=NEW_YORK,
            language=language,
            tba=still_open(language, day_known=precision is Precision.DATE),
        )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_programme_in_words(language: str) -> None:
    compare(f"programme.{language}.txt", "".join(f"{line}\n" for line in programme_in_words(language)))


@pytest.mark.parametrize(
    ("day", "at_utc", "yerevan", "sydney"),
    [
        ("2024-02-23", "17:00", "Fri 21:00", "Sat 04:00"),
        ("2024-03-22", "16:00", "Fri 20:00", "Sat 03:00"),
        ("2024-05-03", "16:00", "Fri 20:00", "Sat 02:00"),
        ("2024-07-26", "16:00", "Fri 20:00", "Sat 02:00"),
        ("2024-09-27", "16:00", "Fri 20:00", "Sat 02:00"),
        ("2024-11-15", "17:00", "Fri 21:00", "Sat 04:00"),
    ],
)
def test_the_programme_on_three_clocks(day: str, at_utc: str, yerevan: str, sydney: str) -> None:
    starts = at_noon(dt.date.fromisoformat(day))
    assert f"{starts:%H:%M}" == at_utc
    assert f"{local(starts, YEREVAN):%a %H:%M}" == yerevan
    assert f"{local(starts, SYDNEY):%a %H:%M}" == sydney


def between(day: dt.date, first: str, last: str) -> bool:
    return dt.date.fromisoformat(first) <= day <= dt.date.fromisoformat(last)


def test_noon_in_new_york_through_a_whole_year() -> None:
    for day in YEAR:
        starts, summer_in_new_york = at_noon(day), between(day, "2024-03-10", "2024-11-02")
        apart = between(day, "2024-03-10", "2024-03-30") or between(day, "2024-10-27", "2024-11-02")
        assert local(starts, YEREVAN).hour == (20 if summer_in_new_york else 21), day
        assert local(starts, KYIV).hour == (18 if apart else 19), day
        assert local(starts, BERLIN).hour == (17 if apart else 18), day
        assert local(starts, SYDNEY).date() == day + dt.timedelta(days=1), day
        winter_in_sydney = between(day, "2024-04-07", "2024-10-04")
        expected = 2 if winter_in_sydney or day == dt.date(2024, 4, 6) else (3 if summer_in_new_york else 4)
        assert local(starts, SYDNEY).hour == expected, day


@pytest.mark.parametrize(
    ("zone", "day", "time", "shifted_to", "at_utc"),
    [
        (NEW_YORK, "2024-03-10", "02:30", "03:30", "2024-03-10 07:30"),
        (KYIV, "2024-03-31", "03:30", "04:30", "2024-03-31 01:30"),
        (BERLIN, "2024-03-31", "02:30", "03:30", "2024-03-31 01:30"),
        (SYDNEY, "2024-10-06", "02:30", "03:30", "2024-10-05 16:30"),
    ],
)
def test_a_time_that_does_not_exist_is_shifted_forward(
    zone: str, day: str, time: str, shifted_to: str, at_utc: str
) -> None:
    date, clock = dt.date.fromisoformat(day), dt.time.fromisoformat(time)
    assert wall_time(date, clock, zone) is WallTime.SKIPPED
    for fold_later in (False, True):
        found = instant(date, clock, zone, fold_later=fold_later)
        assert f"{found:%Y-%m-%d %H:%M}" == at_utc
        assert f"{local(found, zone):%H:%M}" == shifted_to
    assert event_line(date, clock, zone, "uk").count(shifted_to) == 1
    assert time not in event_line(date, clock, zone, "uk")


@pytest.mark.parametrize(
    ("zone", "day", "time", "first", "later"),
    [
        (NEW_YORK, "2024-11-03", "01:30", "2024-11-03 05:30", "2024-11-03 06:30"),
        (KYIV, "2024-10-27", "03:30", "2024-10-27 00:30", "2024-10-27 01:30"),
        (BERLIN, "2024-10-27", "02:30", "2024-10-27 00:30", "2024-10-27 01:30"),
        (SYDNEY, "2024-04-07", "02:30", "2024-04-06 15:30", "2024-04-06 16:30"),
    ],
)
def test_a_time_that_exists_twice_is_the_first_for_reminders_and_the_later_for_embargoes(
    zone: str, day: str, time: str, first: str, later: str
) -> None:
    date, clock = dt.date.fromisoformat(day), dt.time.fromisoformat(time)
    assert wall_time(date, clock, zone) is WallTime.TWICE
    assert f"{instant(date, clock, zone):%Y-%m-%d %H:%M}" == first
    assert f"{instant(date, clock, zone, fold_later=True):%Y-%m-%d %H:%M}" == later
    assert minus_days(date + dt.timedelta(days=7), clock, zone, 7) == instant(date, clock, zone)


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        (NEW_YORK, {"2024-03-10": 23, "2024-11-03": 25}),
        (KYIV, {"2024-03-31": 23, "2024-10-27": 25}),
        (BERLIN, {"2024-03-31": 23, "2024-10-27": 25}),
        (SYDNEY, {"2024-10-06": 23, "2024-04-07": 25}),
        (YEREVAN, {}),
    ],
)
def test_a_day_before_keeps_the_clock_and_24_hours_before_do_not(zone: str, changes: dict[str, int]) -> None:
    for day in YEAR:
        starts, day_before = instant(day, NOON, zone), minus_days(day, NOON, zone, 1)
        hours = changes.get(day.isoformat(), 24)
        assert starts - day_before == dt.timedelta(hours=hours), day
        assert local(day_before, zone).time() == NOON
        exactly = minus_exactly(starts, dt.timedelta(days=1))
        assert local(exactly, zone).hour == 12 - (24 - hours), day


def test_yerevan_never_changes_its_clocks() -> None:
    for day in YEAR:
        for hour in range(24):
            assert wall_time(day, dt.time(hour, 30), YEREVAN) is WallTime.ONCE
        assert offset_at(instant(day, NOON, YEREVAN), YEREVAN) == dt.timedelta(hours=4)


def digits(number: int, language: str) -> str:
    return (
        str(number).translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")) if language == "fa" else str(number)
    )


def check_line(line: str, day: dt.date, language: str) -> None:
    """Weekday and date stand in it; no twelve can be taken for the other one; no blank shows as a box."""
    assert TWELVE.search(line) is None, line
    assert format_date(day, "EEEE", locale=language) in line
    assert re.search(rf"(?<![\d۰-۹]){digits(day.day, language)}(?:er)?(?![\d۰-۹])", line), line
    assert "\u202f" not in line
    assert set(re.findall(r"\s", line)) <= {" ", "\u00a0"}


def test_every_minute_of_a_day_in_every_language() -> None:
    day = dt.date(2024, 9, 27)
    for language in LANGUAGES:
        for minute in range(24 * 60):
            time = dt.time(*divmod(minute, 60))
            check_line(event_line(day, time, NEW_YORK, language), day, language)
            starts = instant(day, time, NEW_YORK)
            line = reader_line.__wrapped__(starts, NEW_YORK, SYDNEY, language)
            assert line is not None
            check_line(line, local(starts, SYDNEY).date(), language)


@settings(max_examples=400, deadline=None)  # the first call loads names and zones
@given(
    day=st.dates(dt.date(2010, 1, 1), dt.date(2037, 12, 31)),
    minute=st.one_of(st.sampled_from([0, 1, 59, 720, 721, 779]), st.integers(0, 24 * 60 - 1)),
    zone=st.sampled_from(ZONES),
    reader_zone=st.sampled_from([None, *ZONES]),
    language=st.sampled_from(LANGUAGES),
)
def test_both_lines_say_weekday_and_date_and_never_an_unclear_twelve(
    day: dt.date, minute: int, zone: str, reader_zone: str | None, language: str
) -> None:
    time = dt.time(*divmod(minute, 60))
    starts = instant(day, time, zone)
    here = local(starts, zone)
    check_line(event_line(day, time, zone, language), here.date(), language)
    line = reader_line(starts, zone, reader_zone, language)
    there = local(starts, reader_zone or "UTC")
    if line is None:
        assert here.utcoffset() == there.utcoffset()
    else:
        check_line(line, there.date(), language)


def test_noon_is_said_as_noon_and_not_as_twelve_p_m() -> None:
    assert "12 noon" in event_line(dt.date(2024, 9, 27), NOON, NEW_YORK, "en")
    assert TWELVE.search("12 p.m.")
    assert TWELVE.search("12:30 AM")
    assert TWELVE.search("۱۲:۰۰ ب.ظ")
    assert not TWELVE.search("2:12 PM")
    assert not TWELVE.search("12:00 ظهرًا")


def test_no_zone_is_ever_taken_from_a_machine_or_a_place_on_a_map() -> None:
    """A clock without a zone takes the server's; a guess from an address takes the provider's."""
    guesses = re.compile(
        r"\.astimezone\(\)|\btzlocal\b|\bgeoip|\bmaxmind|time\.tzname|time\.localtime|\.timetuple\(\)", re.I
    )
    own_clock = {MAILER / "smtp" / "postfix_log.py"}  # a log of this machine, written in its zone
    for path in set(MAILER.rglob("*.py")) - own_clock:
        assert guesses.search(path.read_text(encoding="utf-8")) is None, path
