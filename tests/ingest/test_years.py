"""A year is inferred only where it can be nothing else."""

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.ingest.dates import MONTHS, WEEKDAYS, DateLine, read_line
from mailer.ingest.years import Dated, date_lines
from mailer.vocabulary import FieldSource

FETCHED = date(2026, 11, 23)


def dated(*texts: str, fetched_on: date = FETCHED) -> list[Dated]:
    lines = [read_line(text) for text in texts]
    assert all(isinstance(line, DateLine) for line in lines)
    return date_lines([line for line in lines if isinstance(line, DateLine)], fetched_on=fetched_on)


def test_the_year_comes_from_the_neighbours_not_from_the_day_of_fetching() -> None:
    found = dated("Friday, July 26, 2024, A", "Friday, September 27, B", "Friday, November 15, 2024, C")[1]
    assert found.day == date(2024, 9, 27)
    assert found.year_source is FieldSource.WEEKDAY
    assert found.inferred == (
        "The year 2024 is inferred: September 27 is a Friday in 2024. Is it Friday, September 27, 2024?"
    )


def test_without_a_dated_neighbour_the_year_is_near_the_day_of_fetching() -> None:
    assert dated("Friday, September 27, B", fetched_on=date(2024, 1, 15))[0].day == date(2024, 9, 27)


def test_a_statements_year_would_have_given_another_friday() -> None:
    assert dated("Friday, September 27, B", fetched_on=date(2021, 7, 17))[0].day == date(2019, 9, 27)


def test_a_year_that_no_weekday_fits_is_held() -> None:
    found = dated("Friday, July 26, 2024, A", "Wednesday, September 28, B")[1]
    assert found.day is None
    assert found.held is not None


def test_no_weekday_is_held_whatever_the_neighbours_say() -> None:
    found = dated("Friday, July 26, 2024, A", "September 27, B", "Friday, November 15, 2024, C")[1]
    assert found.day is None
    assert "without a weekday" in (found.held or "")


def test_a_date_out_of_order_is_held() -> None:
    # 2025 would fit the weekday, but the list then runs backwards.
    found = dated("Friday, July 26, 2024, A", "Saturday, September 27, B", "Friday, November 15, 2024, C")[1]
    assert found.day is None
    assert found.readings == (date(2025, 9, 27),)


def test_newest_first_is_an_order_too() -> None:
    found = dated("Friday, November 15, 2024, C", "Friday, September 27, B", "Friday, July 26, 2024, A")[1]
    assert found.day == date(2024, 9, 27)


def test_a_month_to_be_announced_is_a_neighbour() -> None:
    found = dated("Friday, November 15, 2024, A", "Friday, December 20, B", "December 2024 (date TBA), C")
    assert found[1].day == date(2024, 12, 20)
    assert found[2].month == (2024, 12)


def test_over_new_year() -> None:
    found = dated("Friday, November 15, 2024, A", "Friday, January 10, B", "Friday, March 14, 2025, C")[1]
    assert found.day == date(2025, 1, 10)


def test_a_contradiction_has_both_readings_and_no_date() -> None:
    found = dated("Monday, September 27, 2024, A")[0]
    assert found.day is None
    assert found.readings == (date(2024, 9, 27), date(2024, 9, 23), date(2024, 9, 30))
    assert "says Monday, but September 27, 2024 is a Friday" in (found.held or "")


def test_leap_day_is_found_only_in_leap_years() -> None:
    assert dated("Thursday, February 29, A", fetched_on=date(2025, 1, 1))[0].day == date(2024, 2, 29)
    assert dated("Friday, February 29, A", fetched_on=date(2025, 1, 1))[0].held is not None


@settings(deadline=None)
@given(st.dates(date(1950, 1, 1), date(2150, 12, 31)), st.integers(-2, 2))
def test_an_inferred_year_always_fits_and_is_the_only_one(day: date, away: int) -> None:
    text = f"{WEEKDAYS[day.weekday()]}, {MONTHS[day.month]} {day.day}, T"
    assert dated(text, fetched_on=date(day.year + away, 1, 1))[0].day == day


@settings(deadline=None)
@given(st.dates(date(1950, 1, 1), date(2150, 12, 31)), st.integers(0, 6))
def test_what_is_inferred_is_never_another_weekday(day: date, weekday: int) -> None:
    found = dated(f"{WEEKDAYS[weekday]}, {MONTHS[day.month]} {day.day}, T", fetched_on=day)[0]
    assert (found.day is None) == (found.held is not None)
    assert found.day is None or (found.day.weekday() == weekday and abs(found.day.year - day.year) <= 2)
