"""Calendar files, read back by others: what they understand is what was meant, down to the instant."""

import datetime as dt
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailer.messages.calendar import CalendarError, CalendarEvent, Method, Status, feed, itip
from mailer.messages.linkless import without_links
from tests.calendar_readers import (
    Libical,
    ReadCalendar,
    ReadEvent,
    by_icalendar,
    open_ical_js,
    open_libical,
)

Read = Callable[[bytes], ReadCalendar]
NAME = "Symposia; all, everywhere"
READER = "reader@example.org"
ORGANISER = "symposia@example.org"
HOUR = dt.timedelta(hours=1)
AWKWARD = [
    "Memory, law & names; a symposium",
    "Backslash \\ and \\n and \\, \\; at the end \\",
    "حقوق الإنسان، 2024: «العدالة»",
    "שלום (12:00)",
    "👩🏽‍⚖️👨‍👩‍👧‍👦 Justice 🇦🇲🇺🇦",
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 4,
    "First line\nsecond line\r\nthird\u2028fourth\u2029fifth\x85sixth",
    '"Quoted" : = ; , BEGIN:VEVENT',
    "\u202dforced\u202c \u200fmark\u200e e\u0301 ﷺ",
    "Ա" * 74,
    "x" * 60 + "😀" * 30,
    "\tTab and  two blanks ",
]


@pytest.fixture(scope="module", params=["icalendar", "ical.js"])
def read(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """One of the two readers; whatever both make of a file is compared with what was meant."""
    if request.param == "icalendar":
        yield by_icalendar
        return
    with open_ical_js(tmp_path_factory.mktemp("ical.js")) as reader:
        yield reader.read


@pytest.fixture(scope="module")
def libical() -> Libical:
    return open_libical()


def an_event(**changes: object) -> CalendarEvent:
    starts = dt.datetime(2024, 9, 27, 16, tzinfo=dt.UTC)
    facts: dict[str, object] = {
        "uid": "5f0c2a57-3e38-4a53-9d5a-0f5f7d6f2c11",
        "sequence": 3,
        "dtstamp": dt.datetime(2024, 9, 20, 10, 11, 12, tzinfo=dt.UTC),
        "starts_at": starts,
        "ends_at": starts + HOUR,
        "summary": "Restorative Justice & Genocide Prevention",
        "description": "Year of Prevention",
        "location": "Online",
        "url": "https://example.org/symposia/4",
        "organizer_name": "Ararat Institute",
        "organizer_address": ORGANISER,
        "status": Status.CONFIRMED,
    }
    return CalendarEvent(**(facts | changes))  # type: ignore[arg-type]


def a_day(**changes: object) -> CalendarEvent:
    return an_event(starts_at=None, ends_at=None, day=dt.date(2024, 12, 31), **changes)


def written(event: CalendarEvent, method: Method) -> bytes:
    return itip(event, method, attendee=None if method is Method.PUBLISH else READER)


# Letters of every script, signs of order and joining, blanks; what no file can hold is refused elsewhere.
TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs", "Cc"]),
        st.sampled_from("\n\t,;:\\\"'^=\u200d\u200f\u202b\u2028😀🇦Աعש中é"),
    ),
    max_size=200,
)
INSTANTS = st.datetimes(dt.datetime(1971, 1, 1), dt.datetime(2099, 12, 31)).map(
    lambda naive: naive.replace(microsecond=0, tzinfo=dt.UTC)
)


def holds_no_link(text: str) -> bool:
    return without_links(text) == text and without_links(f"{text}.") == f"{text}."


@st.composite
def events(draw: st.DrawFn) -> CalendarEvent:
    # What leads to a page is left out of calendars on purpose.
    title, description, place = (draw(TEXTS.filter(holds_no_link)) for _ in range(3))
    facts: dict[str, object] = {
        "uid": str(draw(st.uuids())),
        "sequence": draw(st.integers(1, 2**31 - 1)),
        "dtstamp": draw(INSTANTS),
        "summary": f"{title}.",
        "description": description,
        "location": place,
    }
    if draw(st.booleans()):
        day = draw(st.dates(dt.date(1971, 1, 1), dt.date(2099, 12, 31)))
        return an_event(**(facts | {"starts_at": None, "ends_at": None, "day": day}))
    starts = draw(INSTANTS)
    minutes = draw(st.integers(1, 60 * 24 * 3))
    ends = starts + dt.timedelta(minutes=minutes)
    return an_event(**(facts | {"starts_at": starts, "ends_at": ends, "end_assumed": draw(st.booleans())}))


def same_text(text: str) -> str:
    return re.sub("\r\n|[\r\x85\u2028\u2029]", "\n", text)


def check(event: CalendarEvent, method: Method, found: ReadCalendar) -> None:
    assert found.method == method.value
    (read,) = found.events
    if event.day is not None:
        assert (read.starts, read.ends) == (event.day, event.day + dt.timedelta(days=1))
    else:
        assert (read.starts, read.ends) == (event.starts_at, event.ends_at)
    assert (read.uid, read.sequence, read.stamp) == (event.uid, event.sequence, event.dtstamp)
    assert read.organizer == f"mailto:{ORGANISER}"
    assert read.attendees == (() if method is Method.PUBLISH else (f"mailto:{READER}",))
    assert read.url == event.url
    _check_texts(event, read)


def _check_texts(event: CalendarEvent, read: ReadEvent) -> None:
    assert read.summary == same_text(event.summary)
    assert (read.location or "") == same_text(event.location.strip())
    description = same_text(event.description.strip())
    assert (read.description or "").startswith(description)
    assert event.end_assumed == (read.description or "").endswith(event.end_note)


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("text", AWKWARD, ids=range(len(AWKWARD)))
def test_awkward_words_come_back_letter_by_letter(read: Read, text: str, method: Method) -> None:
    event = an_event(summary=text, description=text, location=text)
    check(event, method, read(written(event, method)))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(event=events(), method=st.sampled_from(Method))
@example(event=an_event(summary="\\n\\N\\\\n"), method=Method.REQUEST)
def test_another_reader_finds_the_same_instants_and_words(
    read: Read, event: CalendarEvent, method: Method
) -> None:
    check(event, method, read(written(event, method)))


@settings(max_examples=150, deadline=None)
@given(event=events(), method=st.sampled_from(Method))
def test_no_event_breaks_a_restriction_of_its_method(
    libical: Libical, event: CalendarEvent, method: Method
) -> None:
    assert libical.complaints(written(event, method)) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(found=st.lists(events(), min_size=1, max_size=6, unique_by=lambda event: event.uid))
def test_a_feed_is_read_whole(read: Read, libical: Libical, found: list[CalendarEvent]) -> None:
    octets = feed(found, name=NAME, ttl=HOUR)
    assert libical.complaints(octets) == []
    whole = read(octets)
    assert whole.method == "PUBLISH"
    assert (whole.name or "").replace("\\", "") == NAME  # ical.js does not know that NAME is a text
    starts = {event.uid: event.day or event.starts_at for event in found}
    assert {one.uid: one.starts for one in whole.events} == starts


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize(
    "event",
    [
        an_event(),
        an_event(end_assumed=True),
        an_event(status=Status.TENTATIVE),
        a_day(),
        an_event(description="", location="", url="", organizer_name=""),
    ],
    ids=["end", "assumed", "tentative", "day", "bare"],
)
def test_libical_finds_no_broken_restriction(libical: Libical, event: CalendarEvent, method: Method) -> None:
    assert libical.complaints(written(event, method)) == []


@pytest.mark.parametrize(
    ("method", "old", "new"),
    [
        (Method.PUBLISH, b"SEQUENCE:3\r\n", b"SEQUENCE:3\r\nATTENDEE:mailto:x@example.org\r\n"),
        (Method.REQUEST, b"ATTENDEE;PARTSTAT=ACCEPTED;RSVP=FALSE:mailto:reader@example.org\r\n", b""),
        (Method.REQUEST, b"SUMMARY:", b"X-SUMMARY:"),
        (Method.CANCEL, b"SEQUENCE:3\r\n", b""),
        (Method.PUBLISH, b"UID:", b"X-UID:"),
        (Method.PUBLISH, b"DTSTART:20240927T160000Z", b"DTSTART:27 September"),
    ],
    ids=["attendee", "nobody", "no title", "no sequence", "no uid", "no date"],
)
def test_libical_would_have_noticed(libical: Libical, method: Method, old: bytes, new: bytes) -> None:
    octets = written(an_event(), method)
    assert old in octets
    assert libical.complaints(octets.replace(old, new)) != []


def test_an_event_that_no_calendar_can_hold_reaches_no_reader() -> None:
    with pytest.raises(CalendarError):
        an_event(starts_at=None, ends_at=None)
