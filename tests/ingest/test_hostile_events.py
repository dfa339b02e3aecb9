"""What calendars and pages should not do, and do: doubled lines, two zones at once, ways in, odd charsets."""

from datetime import date

import pytest

from mailer.ingest.content import open_content, read_content
from mailer.ingest.draft import PageDraft, SymposiumDraft

NOON = "DTSTART;TZID=America/New_York:20241004T120000"
LINES = "<p>Friday, October 4, 2024, 12noon ET, “A”</p><p>Friday, October 11, 2024, 12noon ET, “B”</p>"


def read(octets: bytes, charset: str | None = None) -> PageDraft:
    return read_content(
        open_content(octets, charset),
        fetched_on=date(2024, 9, 1),
        source="https://site.example/p",
        zone="America/New_York",
    )


def event(*lines: str) -> SymposiumDraft:
    text = "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR", ""]
    )
    (draft,) = read(text.encode()).symposia
    return draft


def test_of_a_doubled_line_the_first_counts() -> None:
    draft = event("UID:1", "UID:2", "SUMMARY:A", "SUMMARY:B", NOON, "LOCATION:Hall", "LOCATION:Yard")
    assert (draft.title, draft.key, draft.place) == ("A", "uid:1", "Hall")


def test_called_off_in_any_of_two_lines_is_called_off() -> None:
    assert event("UID:1", "SUMMARY:A", NOON, "STATUS:CONFIRMED", "STATUS:CANCELLED").cancelled
    assert event("UID:1", "SUMMARY:A", NOON, "STATUS:CANCELLED", "STATUS:CANCELLED").cancelled


def test_an_hour_in_utc_and_in_a_zone_at_once_is_held() -> None:
    draft = event("UID:1", "SUMMARY:A", f"{NOON}Z")
    assert draft.held is not None
    assert "America/New_York" in draft.held
    assert "UTC" in draft.held


def test_further_dates_that_cannot_be_read_are_held() -> None:
    draft = event("UID:1", "SUMMARY:A", NOON, "RDATE;VALUE=PERIOD:20241101T160000Z/PT1H")
    assert draft.held is not None
    assert "RDATE" in draft.held


@pytest.mark.parametrize(
    "place",
    [
        "https://us02web.zoom.us/j/999?pwd=abc",
        "zoom.us/j/999?pwd=abc",
        "meet.google.com/abc-defg-hij",
        "Zoom, Meeting ID: 999 888, Passcode: 123",
        "+1 646 558 8656,,999888#",
        "Ask anna@private.example",
    ],
)
def test_a_way_in_is_no_place(place: str) -> None:
    draft = event("UID:1", "SUMMARY:A", NOON, f"LOCATION:{place}")
    assert draft.place is None
    assert draft.warnings
    assert place not in draft.raw


@pytest.mark.parametrize("place", ["Main Hall", "Yerevan, Baghramyan 24/3", "Online", "Room 3.12/b"])
def test_a_place_is_one(place: str) -> None:
    assert event("UID:1", "SUMMARY:A", NOON, f"LOCATION:{place}").place == place


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://us02web.zoom.us/j/999?pwd=abc", False),
        ("https://teams.microsoft.com/l/meetup-join/19%3a", False),
        ("https://meet.google.com/abc-defg-hij", False),
        ("https://us02web.zoom.us/webinar/register/WN_abc", True),
        ("https://site.example/events/1", True),
    ],
)
def test_the_address_of_a_room_is_no_address_to_register_at(url: str, taken: bool) -> None:
    draft = event("UID:1", "SUMMARY:A", NOON, f"URL:{url}")
    assert (draft.register_url == url, bool(draft.warnings)) == (taken, not taken)
    html = f'<html><body>{LINES}<p><a href="{url}">Register for each event here</a></p></body></html>'
    assert {one.register_url for one in read(html.encode()).symposia} == {url if taken else None}


@pytest.mark.parametrize("charset", ["iso-8859-1", "windows-1251", "us-ascii"])
def test_utf_8_is_utf_8_whatever_its_server_says(charset: str) -> None:
    html = f"<html><body><h1>Títulos, Ձայն</h1><p>July 17, 2021</p><p>Ձայն é ü.</p>{LINES}</body></html>"
    (statement,) = read(html.encode(), charset).statements
    assert statement.title == "Títulos, Ձայն"


def test_a_page_s_own_word_on_its_charset_is_heard() -> None:
    html = (
        '<html><head><meta charset="windows-1251"></head><body><h1>Привет</h1><p>July 17, 2021</p>'
        "<p>Текст заявления.</p></body></html>"
    )
    (statement,) = read(html.encode("cp1251")).statements
    assert (statement.title, statement.body) == ("Привет", "Текст заявления.")


@pytest.mark.parametrize("style", ["font-size:0", "font-size: 0px", "opacity:0", "opacity: 0.0"])
def test_what_is_styled_away_is_not_read(style: str) -> None:
    html = f'<html><body><h1>Programme</h1><div style="{style}">{LINES}</div></body></html>'
    assert read(html.encode()).symposia == ()


@pytest.mark.parametrize("style", ["font-size:0.9em", "opacity:0.8", "opacity:1", "font-size:0.05rem"])
def test_what_is_only_small_or_pale_is_read(style: str) -> None:
    html = f'<html><body><h1>Programme</h1><div style="{style}">{LINES}</div></body></html>'
    assert len(read(html.encode()).symposia) == 2
