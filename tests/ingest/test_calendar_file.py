"""Calendar files: each date with its own place's clock, and what is unclear left to a person."""

from datetime import date, time, timedelta
from pathlib import Path

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as some

from mailer.ingest.calendar_file import read_calendar
from mailer.ingest.calendar_lines import MOST_EVENTS
from mailer.ingest.draft import PageDraft, SymposiumDraft
from mailer.ingest.errors import PageError
from mailer.ingest.recurrence import NotExpanded, days_of, read_rule
from mailer.vocabulary import FieldSource, Medium, Precision

FIXTURE = Path(__file__).with_name("fixtures") / "symposia.ics"
TODAY = date(2024, 9, 1)


def read(text: str) -> PageDraft:
    return read_calendar(text, fetched_on=TODAY, zone="America/New_York")


def event(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT"])


def calendar(*events: str, head: str = "VERSION:2.0") -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", head, *events, "END:VCALENDAR", ""])


def only(*lines: str) -> SymposiumDraft:
    (draft,) = read(calendar(event(*lines))).symposia
    return draft


@pytest.fixture(scope="module")
def drafts() -> dict[str, SymposiumDraft]:
    return {str(one.uid): one for one in read(FIXTURE.read_text()).symposia}


def test_an_event_keeps_the_clock_of_its_place(drafts: dict[str, SymposiumDraft]) -> None:
    one = drafts["identify@example.org"]
    assert one.title == "How to Identify Genocide, and Why"
    assert (one.day, one.time, one.zone) == (date(2024, 9, 27), time(12), "America/New_York")
    assert (one.minutes, one.place, one.sequence) == (90, "Online", 2)
    assert one.register_url == "https://www.example.org/register"
    assert (one.precision, one.medium, one.held) == (Precision.DATETIME, Medium.CALENDAR, None)
    assert one.key == "uid:identify@example.org"


def test_an_instant_is_told_in_the_calendars_own_place(drafts: dict[str, SymposiumDraft]) -> None:
    one = drafts["instant@example.org"]
    assert (one.day, one.time, one.zone, one.minutes) == (
        date(2024, 11, 15),
        time(12),
        "America/New_York",
        60,
    )
    assert one.sources["zone"] is FieldSource.CONTEXT


def test_a_whole_day_has_a_date_and_no_hour(drafts: dict[str, SymposiumDraft]) -> None:
    one = drafts["day@example.org"]
    assert (one.precision, one.day, one.time, one.minutes) == (Precision.DATE, date(2024, 9, 15), None, None)


@pytest.mark.parametrize(
    ("uid", "words"),
    [("floating@example.org", "floats"), ("nowhere@example.org", "Middle Earth Standard Time")],
)
def test_an_hour_without_a_known_place_is_held(
    drafts: dict[str, SymposiumDraft], uid: str, words: str
) -> None:
    one = drafts[uid]
    assert words in (one.held or "")
    assert (one.precision, one.time, one.zone) == (Precision.DATE, None, None)


def test_an_end_before_the_start_is_held_with_both_readings(drafts: dict[str, SymposiumDraft]) -> None:
    one = drafts["backwards@example.org"]
    assert one.readings == (date(2024, 10, 9), date(2024, 10, 10))
    assert "2024-10-09 13:00" in (one.held or "")
    assert "2024-10-10 12:00" in (one.held or "")


def test_without_a_uid_title_and_month_are_the_key(drafts: dict[str, SymposiumDraft]) -> None:
    one = drafts["None"]
    assert (one.key, one.zone) == ("without-a-uid:2024-10", "Europe/Kyiv")


def test_what_is_called_off_says_so(drafts: dict[str, SymposiumDraft]) -> None:
    assert drafts["off@example.org"].cancelled
    assert not drafts["identify@example.org"].cancelled
    assert (
        read(calendar(event("UID:1", "SUMMARY:a", "DTSTART:20240927T120000Z"), head="METHOD:CANCEL"))
        .symposia[0]
        .cancelled
    )


def test_a_repeated_event_is_one_draft_for_each_date_of_a_year(drafts: dict[str, SymposiumDraft]) -> None:
    circle = {uid: one for uid, one in drafts.items() if uid.startswith("monthly")}
    days = sorted(one.day for one in circle.values() if one.day)
    assert days[:4] == [date(2024, 9, 6), date(2024, 10, 4), date(2024, 12, 7), date(2025, 1, 3)]
    assert len(days) == 11
    assert (circle["monthly@example.org#2024-12-06"].day, circle["monthly@example.org#2024-12-06"].time) == (
        date(2024, 12, 7),
        time(14),
    )
    assert all(one.minutes == 60 for one in circle.values())


@pytest.mark.parametrize(
    ("zone", "iana"),
    [
        ("Eastern Standard Time", "America/New_York"),
        ("FLE Standard Time", "Europe/Kiev"),
        ("Caucasus Standard Time", "Asia/Yerevan"),
        ('"America/New_York"', "America/New_York"),
        ("EST", "America/New_York"),
        ("/citadel.org/20240101_1/Asia/Yerevan", "Asia/Yerevan"),
    ],
)
def test_zones_go_by_many_names(zone: str, iana: str) -> None:
    one = only("UID:1", "SUMMARY:a", f"DTSTART;TZID={zone}:20240927T120000")
    assert (one.zone, one.held) == (iana, None)


def test_an_hour_that_the_clocks_skip_is_held() -> None:
    one = only("UID:1", "SUMMARY:a", "DTSTART;TZID=America/New_York:20250309T023000")
    assert "does not exist" in (one.held or "")


def test_an_end_over_a_change_of_the_clocks_is_measured_in_real_hours() -> None:
    one = only(
        *("UID:1", "SUMMARY:a", "DTSTART;TZID=America/New_York:20241103T003000"),
        "DTEND;TZID=America/New_York:20241103T033000",
    )
    assert one.minutes == 240


def test_of_two_copies_the_higher_sequence_stands_and_equals_that_differ_are_held() -> None:
    copy = ("UID:1", "SUMMARY:a", "DTSTART;TZID=Europe/Kyiv:20240927T120000")
    later = ("UID:1", "SUMMARY:a", "DTSTART;TZID=Europe/Kyiv:20240927T130000")
    (one,) = read(calendar(event(*later, "SEQUENCE:3"), event(*copy, "SEQUENCE:2"))).symposia
    assert one.time == time(13)
    (one,) = read(calendar(event(*copy), event(*copy))).symposia
    assert one.held is None
    (one,) = read(calendar(event(*copy), event(*later))).symposia
    assert "stands twice" in (one.held or "")


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY",
        "FREQ=HOURLY;INTERVAL=1",
        "FREQ=DAILY",
        "FREQ=YEARLY;BYWEEKNO=1",
        "FREQ=DAILY;BYHOUR=1,2,3",
        "FREQ=MONTHLY;BYSETPOS=-1;BYDAY=MO",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;COUNT=99999999999",
        "FREQ=NEVER",
    ],
)
def test_a_rule_that_is_a_bomb_or_not_read_is_held(rule: str) -> None:
    one = only("UID:1", "SUMMARY:a", "DTSTART;TZID=Europe/Kyiv:20240927T120000", f"RRULE:{rule}")
    assert "one by one" in (one.held or "")
    assert one.day == date(2024, 9, 27)


def test_a_date_that_never_comes_ends_at_once() -> None:
    found = read(
        calendar(
            event(
                *("UID:1", "SUMMARY:a", "DTSTART;TZID=Europe/Kyiv:19700101T120000"),
                "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
            )
        )
    )
    assert found.symposia == ()


def test_two_thousand_hostile_rules_are_held_and_not_worked_off() -> None:
    bomb = ("SUMMARY:a", "DTSTART:20150101T120000Z", "RRULE:FREQ=DAILY;INTERVAL=997;COUNT=9999")
    found = read(calendar(*(event(f"UID:{number}", *bomb) for number in range(MOST_EVENTS))))
    assert len(found.symposia) >= MOST_EVENTS - 200
    assert sum(one.held is not None for one in found.symposia) > MOST_EVENTS / 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (calendar(*[event("UID:1")] * (MOST_EVENTS + 1)), "2,000 events"),
        ("BEGIN:VCALENDAR\r\n" + "BEGIN:VEVENT\r\n" * 100_000, "nested too deeply"),
        ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\n", "cut off"),
        ("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\nEND:VEVENT\r\n", "order"),
        (calendar(event("UID:1", "SUMMARY:" + "x" * 30_000)), "longer than"),
        (calendar(event("SUMMARY:" + "x\r\n " * 500_000)), "longer than"),
        (calendar(event(*["RDATE:20240101T000000Z"] * 70_000)), "60,000 lines"),
        (calendar() + calendar(), "several calendars"),
        ("hello", "no VCALENDAR"),
    ],
)
def test_a_broken_or_endless_file_is_refused_as_a_whole(text: str, words: str) -> None:
    with pytest.raises(PageError, match=words):
        read(text)


def test_what_is_not_read_costs_nothing() -> None:
    junk = ["COMMENT:x"] * 200_000
    inner = ["BEGIN:VALARM", *["TRIGGER:-PT1M"] * 100_000, "END:VALARM"]
    one = only("UID:1", "SUMMARY:a", *junk, *inner, "DTSTART:20240927T160000Z")
    assert one.time == time(12)


def test_an_event_that_cannot_be_read_is_listed() -> None:
    found = read(
        calendar(
            event("UID:1", "DTSTART:20240927T120000Z"),
            event("UID:2", "SUMMARY:No date"),
            event("UID:3", "SUMMARY:Bad date", "DTSTART:20241399"),
            event("UID:4", "SUMMARY:Bell\x07 and\x00 more", "DTSTART:20240927T160000Z"),
            event("UID:5", "SUMMARY:Bad end", "DTSTART:20240927T160000Z", "DTEND:tomorrow"),
        )
    )
    assert [line.text for line in found.unread] == ["1", "No date", "Bad date"]
    assert [one.title for one in found.symposia] == ["Bell and more", "Bad end"]
    assert "DTEND" in (found.symposia[1].held or "")


RULES = some.builds(
    lambda every, interval, extra, end: ";".join(
        part for part in (f"FREQ={every}", f"INTERVAL={interval}", extra, end) if part
    ),
    some.sampled_from(["WEEKLY", "MONTHLY", "YEARLY"]),
    some.integers(1, 5),
    some.sampled_from(["", "BYDAY=MO,FR", "BYMONTHDAY=1,-1,31", "BYMONTH=2,9", "BYDAY=MO;BYMONTH=3"]),
    some.sampled_from(["", "COUNT=7", "UNTIL=20250601T000000Z"]),
)


@settings(deadline=None)
@given(rule=RULES, start=some.dates(date(2020, 1, 1), date(2025, 1, 1)))
def test_days_are_those_of_the_field_s_own_library(rule: str, start: date) -> None:
    last = TODAY + timedelta(days=366)
    noon = f"DTSTART:{start:%Y%m%d}T120000Z\nRRULE:{rule}"
    known = rrulestr(noon)
    first = next(iter(known), None)
    if first is None or first.date() != start:
        return  # RFC 5545 leaves open whether a start that its own rule does not name counts; here it does
    occurrences = {one.date() for one in known.xafter(first, count=3_000, inc=True)}
    expected = sorted(day for day in occurrences if TODAY <= day <= last)
    parts: dict[str, list[object]] = {
        name: list(value.split(",")) for name, value in (part.split("=") for part in rule.split(";"))
    }
    if "UNTIL" in parts:
        parts["UNTIL"] = [date(2025, 5, 31)]  # noon of the day itself is past its midnight
    try:
        found = days_of(read_rule(parts, start), TODAY, last)
    except NotExpanded:
        assert len(expected) > 100 or ("WEEKLY" in rule and "BYMONTHDAY" in rule)
        return
    assert found == expected
