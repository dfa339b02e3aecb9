"""The grammar reads a whole line or nothing, and says why not."""

from datetime import date, time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.ingest.dates import (
    MONTHS,
    WEEKDAYS,
    Contradiction,
    DateLine,
    Unreadable,
    read_date_alone,
    read_line,
    starts_like_date,
)
from mailer.ingest.zones import clock_change, wrong_season, zone_of


def read(text: str) -> DateLine:
    line = read_line(text)
    assert isinstance(line, DateLine), line
    return line


def why_not(text: str) -> str:
    line = read_line(text)
    assert isinstance(line, Unreadable), line
    return line.why


def test_a_whole_line() -> None:
    line = read('Friday, September 27, 2024, 12noon ET,\u00a0 "A, B & C: D"')
    assert (line.weekday, line.month, line.day, line.year) == (4, 9, 27, 2024)
    assert (line.time, line.zone, line.title, line.held) == (
        time(12),
        "America/New_York",
        "A, B & C: D",
        None,
    )
    assert line.quoted


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("12noon", time(12)),
        ("12 noon", time(12)),
        ("noon", time(12)),
        ("Noon", time(12)),
        ("12pm", time(12)),
        ("12 p.m.", time(12)),
        ("5pm", time(17)),
        ("5:30 pm", time(17, 30)),
        ("5:30 p.m.", time(17, 30)),
        ("9 a.m.", time(9)),
        ("07:30", time(7, 30)),
        ("00:00", time(0)),
        ("23:59", time(23, 59)),
    ],
)
def test_times(said: str, at: time) -> None:
    line = read(f"May 3, 2024, {said} UTC, T")
    assert (line.time, line.zone, line.held) == (at, "UTC", None)


@pytest.mark.parametrize("said", ["12am", "12 a.m.", "12:30am", "midnight", "12 midnight", "24:00"])
def test_midnight_is_held_for_nobody_knows_the_day(said: str) -> None:
    line = read(f"May 3, 2024, {said} ET, T")
    assert line.time is None
    assert line.held is not None
    assert "Which is meant?" in line.held


@pytest.mark.parametrize("zone", ["CST", "IST", "BST", "XYZ", "Europe/Paris"])
def test_an_unknown_or_ambiguous_zone_is_held(zone: str) -> None:
    line = read(f"May 3, 2024, 12 noon {zone}, T")
    assert (line.time, line.zone) == (time(12), None)
    assert line.held is not None
    assert zone in line.held


def test_a_time_without_a_zone_is_held() -> None:
    assert "no time zone" in (read("May 3, 2024, 12 noon, T").held or "")


def test_a_source_can_name_its_zones() -> None:
    line = read_line("May 3, 2024, 12 noon AMT, T", {"AMT": "Asia/Yerevan"})
    assert isinstance(line, DateLine)
    assert (line.zone, line.held) == ("Asia/Yerevan", None)
    assert zone_of("et") == "America/New_York"


@pytest.mark.parametrize(
    "text",
    [
        'Friday, September 27, 2024, 12noon ET to 2pm, "T"',
        "May 3, 2024, 9:30, T",
        "May 3, 2024, 13pm ET, T",
        "May 3, 2024, 25:00 ET, T",
        'May 3, 2024, 12noon ET, "T',
        'May 3, 2024, 12noon ET, "T" (online)',
        'May 3, 2024, 12noon ET, “T"',
        "May 3, 2024",
        "May 3, 2024, 12noon ET",
        "May 3, 2024,",
        "Sept. 31, T",
        "February 30, 2024, T",
        "February 29, 2023, T",
        "Friday evening, September 27, T",
        "27 September 2024, T",
        "September 27th, 2024, T",
        "9/27/2024, T",
        "2024-09-27, T",
        "May 3, 20245, T",
        "May 0, T",
        'Friday, May 3, 2024, Yerevan, 12noon ET, "T"',
        "Spring 2025 (date TBA), T",
        "December (date TBA), T",
        "Friday, September 27 2024, T",
        "May 3, 2024, 12noon  , ",
        "May 3, " + "T" * 301,
    ],
)
def test_what_starts_like_a_date_and_is_none_is_unreadable_with_a_reason(text: str) -> None:
    assert why_not(text).endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "We met in September.",
        "As part of the Year of Prevention, a series of Friday symposia.",
        "top of page",
        "© 2024",
        "EIN: 87-0000000",
        "Satisfied readers wrote to us.",
        "Marching on",
        "1923 was the year.",
        "In 1948, on December 9, it was signed.",
        "Mayor May said no.",
        "•",
        "Sunflower, a film",
    ],
)
def test_prose_is_no_date(text: str) -> None:
    assert read_line(text) is None


def test_to_be_announced() -> None:
    line = read("December 2024 (date TBA),\u00a0 Online Global Youth Summit")
    assert line.to_be_announced
    assert (line.month, line.year, line.day, line.time, line.quoted) == (12, 2024, None, None, False)


@pytest.mark.parametrize(
    "title", ["“Smart”", '"Plain"', "Rest of line, with commas & more", "24 Hours", "9/11"]
)
def test_titles(title: str) -> None:
    assert read(f"Fri, Sept. 27, 2024, 12 noon ET, {title}").title == title.strip('"“”')


def test_invisible_characters_do_not_hide_a_date() -> None:
    assert read("Fri\u200bday,\u202fSeptember\u00a027, 2024, 12noon ET, T").day == 27


@settings(deadline=None)
@given(
    st.dates(date(1900, 1, 1), date(2199, 12, 31)),
    st.times().filter(lambda at: at.hour),
    st.sampled_from(["ET", "EST", "EDT", "UTC", "GMT"]),
    st.booleans(),
    st.booleans(),
)
def test_every_date_and_time_comes_back(day: date, at: time, zone: str, weekday: bool, twelve: bool) -> None:
    clock = (
        f"{(at.hour - 1) % 12 + 1}:{at:%M} {'a.m.' if at.hour < 12 else 'p.m.'}" if twelve else f"{at:%H:%M}"
    )
    start = f"{WEEKDAYS[day.weekday()]}, " if weekday else ""
    line = read(f'{start}{MONTHS[day.month]} {day.day}, {day.year}, {clock} {zone}, "T"')
    assert (line.year, line.month, line.day) == (day.year, day.month, day.day)
    assert line.time == at.replace(second=0, microsecond=0)
    assert line.weekday == (day.weekday() if weekday else None)


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    reading = read_line(text)
    assert reading is None or isinstance(reading, DateLine | Unreadable)
    assert read_date_alone(text) is None or starts_like_date(text.strip()) or text.strip()[:1].isalnum()


@pytest.mark.parametrize(
    "text",
    [
        "July 17, 2021",
        "Saturday, July 17, 2021",
        "17 July 2021",
        "2021-07-17",
        "Published July 17, 2021",
        "Published on: 17 July 2021",
        "Jul 17, 2021",
        "  July\u00a017, 2021 ",
    ],
)
def test_a_date_alone(text: str) -> None:
    assert read_date_alone(text) == date(2021, 7, 17)


@pytest.mark.parametrize(
    "text", ["July 17", "July 2021", "On July 17, 2021", "July 17, 2021.", "17/07/2021", ""]
)
def test_what_is_no_date_alone(text: str) -> None:
    assert read_date_alone(text) is None


@pytest.mark.parametrize("text", ["Monday, July 17, 2021", "February 30, 2021", "2021-13-01"])
def test_a_date_that_cannot_be_is_a_contradiction(text: str) -> None:
    assert isinstance(read_date_alone(text), Contradiction)


def test_clock_changes_are_told() -> None:
    assert "does not exist" in (clock_change(date(2024, 3, 10), time(2, 30), "America/New_York") or "")
    assert "happens twice" in (clock_change(date(2024, 11, 3), time(1, 30), "America/New_York") or "")
    assert clock_change(date(2024, 9, 27), time(12), "America/New_York") is None


def test_est_in_summer_is_new_york_with_a_warning() -> None:
    assert "EDT" in (wrong_season(date(2024, 9, 27), time(12), "America/New_York", "EST") or "")
    assert wrong_season(date(2024, 2, 23), time(12), "America/New_York", "EST") is None
    assert wrong_season(date(2024, 9, 27), time(12), "America/New_York", "ET") is None
