"""Calendar files, read back by two other readers: the icalendar package and a small one below."""

import datetime as dt
import re

import icalendar
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mailer.messages.calendar import (
    CalendarError,
    CalendarEvent,
    Method,
    Status,
    calendar,
    feed,
    itip,
)
from mailer.messages.catalogues import LANGUAGES, end_estimated, still_open
from mailer.messages.linkless import without_links
from mailer.messages.when import instant
from tests.messages.test_snapshots import compare

UID = "5f0c2a57-3e38-4a53-9d5a-0f5f7d6f2c11"
READER = "o'brien+news@example.org"
NOON = dt.time(12)


def an_event(**changes):
    starts = instant(dt.date(2024, 9, 27), NOON, "America/New_York")
    facts = {
        "uid": UID,
        "sequence": 3,
        "dtstamp": dt.datetime(2024, 9, 20, 10, 11, 12, 999, tzinfo=dt.UTC),
        "starts_at": starts,
        "ends_at": starts + dt.timedelta(hours=1),
        "summary": "Memory, law & names; a symposium",
        "description": "First line\nsecond line; with, marks \\ and է",
        "location": "Online",
        "url": "https://example.org/symposia/4",
        "organizer_name": 'The "Example" Institute',
        "organizer_address": "symposia@example.org",
        "status": Status.CONFIRMED,
    }
    return CalendarEvent(**(facts | changes))


def a_day(**changes):
    return an_event(**({"starts_at": None, "ends_at": None, "day": dt.date(2024, 12, 31)} | changes))


def unfolded(octets: bytes) -> list[str]:
    """Content lines by RFC 5545 3.1 alone."""
    assert octets.endswith(b"\r\n")
    return octets.decode("utf-8").replace("\r\n ", "").removesuffix("\r\n").split("\r\n")


def tiny_reader(octets: bytes) -> dict[str, list[tuple[dict[str, str], str]]]:
    """Every property as name -> [(parameters, value)]; knows nothing of the writer's code."""
    found: dict[str, list[tuple[dict[str, str], str]]] = {}
    for line in unfolded(octets):
        head = re.match(r'[A-Z-]+(?:;[A-Z-]+=(?:"[^"]*"|[^";:,]*))*', line).group(0)
        name, *parameters = re.findall(r'(?:"[^"]*"|[^;"])+', head)
        pairs = dict(parameter.split("=", 1) for parameter in parameters)
        found.setdefault(name, []).append((pairs, line[len(head) + 1 :]))
    return found


def value(octets: bytes, name: str) -> str:
    [(_, text)] = tiny_reader(octets)[name]
    return text


def plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found.group(1) in "nN" else found.group(1), text)


def tiny_instant(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)


def same_lines(text: str) -> str:
    return text.replace("\u2028", "\n").replace("\u2029", "\n")


def addressed(method: Method) -> str | None:
    return None if method is Method.PUBLISH else READER


@pytest.mark.parametrize("method", list(Method))
def test_two_other_readers_find_the_same_facts(method):
    event = an_event()
    octets = itip(event, method, attendee=addressed(method))

    [parsed] = icalendar.Calendar.from_ical(octets).walk("VEVENT")
    outer = icalendar.Calendar.from_ical(octets)
    assert outer["METHOD"] == value(octets, "METHOD") == method.value
    assert parsed["UID"] == value(octets, "UID") == UID
    assert parsed["SEQUENCE"] == int(value(octets, "SEQUENCE")) == 3
    assert parsed["DTSTART"].dt == tiny_instant(value(octets, "DTSTART")) == event.starts_at
    assert parsed["DTEND"].dt == tiny_instant(value(octets, "DTEND")) == event.ends_at
    assert (
        parsed["DTSTAMP"].dt == tiny_instant(value(octets, "DTSTAMP")) == event.dtstamp.replace(microsecond=0)
    )
    assert parsed["SUMMARY"] == plain(value(octets, "SUMMARY")) == event.summary
    assert parsed["DESCRIPTION"] == plain(value(octets, "DESCRIPTION")) == event.description
    assert parsed["URL"] == value(octets, "URL") == event.url
    [(parameters, organizer)] = tiny_reader(octets)["ORGANIZER"]
    assert organizer == "mailto:symposia@example.org"
    assert parameters == {"CN": "\"The 'Example' Institute\""}


def test_request_letter_by_letter():
    octets = itip(
        an_event(description="", location="", organizer_name="Institute"),
        Method.REQUEST,
        attendee="a@example.org",
    )
    assert octets.decode().split("\r\n") == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//mailer//Symposium calendar 1//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:REQUEST",
        "BEGIN:VEVENT",
        f"UID:{UID}",
        "DTSTART:20240927T160000Z",
        "DTEND:20240927T170000Z",
        "SUMMARY:Memory\\, law & names\\; a symposium",
        "URL:https://example.org/symposia/4",
        'ORGANIZER;CN="Institute":mailto:symposia@example.org',
        "STATUS:CONFIRMED",
        "CLASS:PRIVATE",
        "DTSTAMP:20240920T101112Z",
        "SEQUENCE:3",
        "ATTENDEE;PARTSTAT=ACCEPTED;RSVP=FALSE:mailto:a@example.org",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
def test_whole_files_in_eight_languages(language):
    """Golden: the same state gives these octets for ever (here with LF for CR LF, to be read)."""
    remark = still_open(language, day_known=True)
    hour = an_event(end_assumed=True, end_note=end_estimated(language), description="Year of Prevention")
    day = a_day(uid="day", description=f"Year of Prevention\n\n{remark}", status=Status.CANCELLED)
    octets = itip(hour, Method.REQUEST, attendee=READER) + feed(
        [hour, day], name=f"Symposia ({language})", ttl=dt.timedelta(hours=1)
    )
    compare(f"calendar.{language}.txt", octets.decode().replace("\r\n", "\n"))


def test_request_names_exactly_the_reader_and_rings_no_alarm():
    found = tiny_reader(itip(an_event(), Method.REQUEST, attendee=READER))
    [(parameters, attendee)] = found["ATTENDEE"]
    assert parameters == {"PARTSTAT": "ACCEPTED", "RSVP": "FALSE"}
    assert attendee == "mailto:o'brien+news@example.org"
    assert [text for _, text in found["BEGIN"]] == ["VCALENDAR", "VEVENT"]


def test_publish_names_nobody_but_the_organiser():
    found = tiny_reader(itip(an_event(), Method.PUBLISH, attendee=None))
    assert "ATTENDEE" not in found
    assert len(found["ORGANIZER"]) == 1


def test_cancel_has_method_and_status_whatever_the_symposium_says():
    octets = itip(an_event(status=Status.CONFIRMED, sequence=4), Method.CANCEL, attendee=READER)
    found = tiny_reader(octets)
    assert found["METHOD"] == [({}, "CANCEL")]
    assert found["STATUS"] == [({}, "CANCELLED")]
    assert found["SEQUENCE"] == [({}, "4")]
    assert [text for _, text in found["ATTENDEE"]] == ["mailto:o'brien+news@example.org"]
    assert found["UID"] == [({}, UID)]


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("event", [an_event(), a_day()], ids=["instant", "day"])
def test_table_of_rfc_5546(method, event):
    found = tiny_reader(itip(event, method, attendee=addressed(method)))
    for once in (
        "METHOD",
        "ORGANIZER",
        "UID",
        "DTSTAMP",
        "DTSTART",
        "DTEND",
        "SUMMARY",
        "SEQUENCE",
        "STATUS",
    ):
        assert len(found[once]) == 1, once
    assert len(found.get("ATTENDEE", [])) == (0 if method is Method.PUBLISH else 1)
    assert not {"VALARM", "RRULE", "TZID"} & found.keys()


def test_method_stands_outside_the_event():
    lines = unfolded(itip(an_event(), Method.REQUEST, attendee=READER))
    assert lines.index("METHOD:REQUEST") < lines.index("BEGIN:VEVENT")


def test_what_differs_per_person_comes_last():
    one = unfolded(itip(an_event(), Method.REQUEST, attendee="a@example.org"))
    other_event = an_event(sequence=7, dtstamp=dt.datetime(2024, 9, 21, tzinfo=dt.UTC))
    other = unfolded(itip(other_event, Method.REQUEST, attendee="b@example.org"))
    names = [re.split("[;:]", line)[0] for line, changed in zip(one, other, strict=True) if line != changed]
    assert names == ["DTSTAMP", "SEQUENCE", "ATTENDEE"]
    assert one[:-5] == other[:-5]


def test_calendar_for_a_form_carries_the_same_octets():
    made = calendar(an_event(), Method.REQUEST, attendee=READER)
    assert made.method is Method.REQUEST
    assert made.octets == itip(an_event(), Method.REQUEST, attendee=READER)


def test_day_without_an_hour_is_a_tentative_whole_day():
    octets = itip(a_day(), Method.REQUEST, attendee=READER)
    found = tiny_reader(octets)
    assert found["DTSTART"] == [({"VALUE": "DATE"}, "20241231")]
    assert found["DTEND"] == [({"VALUE": "DATE"}, "20250101")]
    assert found["STATUS"] == [({}, "TENTATIVE")]
    assert found["TRANSP"] == [({}, "TRANSPARENT")]
    [parsed] = icalendar.Calendar.from_ical(octets).walk("VEVENT")
    assert parsed["DTSTART"].dt == dt.date(2024, 12, 31)
    assert parsed["DTEND"].dt == dt.date(2025, 1, 1)


def test_assumed_end_is_written_and_said():
    octets = itip(an_event(end_assumed=True), Method.REQUEST, attendee=READER)
    assert value(octets, "DTEND") == "20240927T170000Z"
    assert plain(value(octets, "DESCRIPTION")).endswith(
        "\n\nThe end has not been announced; the end given here is an estimate."
    )
    alone = itip(
        an_event(end_assumed=True, description="", end_note="Кінець."), Method.PUBLISH, attendee=None
    )
    assert value(alone, "DESCRIPTION") == "Кінець."
    assert "estimate" not in itip(an_event(), Method.PUBLISH, attendee=None).decode()


REFUSED = {
    "month only": ({"starts_at": None, "ends_at": None}, "only the month"),
    "no uid": ({"uid": ""}, "UID"),
    "uid with a host": ({"uid": "4@host.example"}, "UID"),
    "no title": ({"summary": " "}, "title"),
    "a link for a title": ({"summary": "https://meet.example.org/j/123"}, "title"),
    "no end": ({"ends_at": None}, "needs an end"),
    "end before start": ({"ends_at": dt.datetime(2024, 9, 27, 15, tzinfo=dt.UTC)}, "the end lies"),
    "day and instant": ({"day": dt.date(2024, 9, 27)}, "not both"),
    "day with an end": ({"starts_at": None, "day": dt.date(2024, 9, 27)}, "no end of its own"),
    "start without a zone": ({"starts_at": dt.datetime(2024, 9, 27, 12)}, "without a zone"),
    "negative sequence": ({"sequence": -1}, "SEQUENCE"),
}


@pytest.mark.parametrize(("changes", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_what_no_calendar_can_hold_is_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        an_event(**changes)


@pytest.mark.parametrize(
    ("event", "method", "attendee", "says"),
    [
        (an_event(), Method.REQUEST, None, "one attendee"),
        (an_event(), Method.CANCEL, "", "one attendee"),
        (an_event(), Method.PUBLISH, READER, "no attendee"),
        (an_event(status=Status.CANCELLED), Method.REQUEST, READER, "invites nobody"),
        (an_event(sequence=0), Method.CANCEL, READER, "never 0"),
        (an_event(summary="bell \x07"), Method.PUBLISH, None, "control character"),
        (an_event(summary="half \ud83d"), Method.PUBLISH, None, "half a character"),
        (an_event(organizer_name="Name\x00"), Method.PUBLISH, None, "control character"),
        (an_event(url="javascript:alert(1)"), Method.PUBLISH, None, "http"),
        (an_event(url="https://example.org/a b"), Method.PUBLISH, None, "http"),
        (an_event(), Method.REQUEST, "nobody", "@-sign"),
        (an_event(), Method.REQUEST, "a\r\nX-EVIL:1@example.org", "control"),
    ],
)
def test_what_the_method_does_not_allow_is_refused(event, method, attendee, says):
    with pytest.raises(CalendarError, match=says):
        itip(event, method, attendee=attendee)


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("Ann@EXAMPLE.org", "mailto:Ann@example.org"),
        ("ann@bücher.example", "mailto:ann@xn--bcher-kva.example"),
        ("աննա@example.org", "mailto:%D5%A1%D5%B6%D5%B6%D5%A1@example.org"),
        ('"a, b;c:d"@example.org', "mailto:%22a%2C%20b%3Bc%3Ad%22@example.org"),
        ("50%off?x=1&y@example.org", "mailto:50%25off%3Fx%3D1%26y@example.org"),
    ],
)
def test_awkward_addresses_are_uris(address, uri):
    assert value(itip(an_event(), Method.REQUEST, attendee=address), "ATTENDEE") == uri


@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=400))
def test_folding_keeps_characters_whole_and_lines_short(text):
    event = an_event(summary=f"x{text}", description=text, location=text)
    octets = itip(event, Method.REQUEST, attendee=READER)
    assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
    for line in octets.split(b"\r\n"):
        assert len(line) <= 75
        assert line.decode("utf-8").encode() == line  # decodes alone: no character is split
    assume(without_links(text) == text)
    assert plain(value(octets, "SUMMARY")) == same_lines(f"x{text}")
    place = same_lines(text.strip())
    assert plain(value(octets, "LOCATION") if place else "") == place


@pytest.mark.parametrize("character", ["a", "é", "Ա", "中", "😀"])
def test_lines_are_filled_as_far_as_the_character_allows(character):
    width = len(character.encode())
    lines = itip(an_event(summary=character * 300), Method.PUBLISH, attendee=None).split(b"\r\n")
    start = next(at for at, line in enumerate(lines) if line.startswith(b"SUMMARY:"))
    folded = lines[start : start + 4]
    assert all(75 - width < len(line) <= 75 for line in folded)


@given(st.text(max_size=80))
def test_no_text_makes_a_line_of_its_own(text):
    clean = itip(an_event(summary="x"), Method.PUBLISH, attendee=None)
    try:
        octets = itip(an_event(summary=f"x{text}"), Method.PUBLISH, attendee=None)
    except CalendarError:
        return
    names = [re.split("[;:]", line)[0] for line in unfolded(octets)]
    assert names == [re.split("[;:]", line)[0] for line in unfolded(clean)]


def test_feed_is_public_ordered_and_stable():
    later = an_event(
        uid="later",
        starts_at=instant(dt.date(2024, 11, 15), NOON, "America/New_York"),
        ends_at=instant(dt.date(2024, 11, 15), dt.time(13), "America/New_York"),
    )
    off = an_event(uid="called-off", status=Status.CANCELLED)
    made = feed([later, a_day(), off], name="Symposia, all", ttl=dt.timedelta(hours=1))
    assert made == feed([off, later, a_day()], name="Symposia, all", ttl=dt.timedelta(hours=1))
    found = tiny_reader(made)
    assert [text for _, text in found["UID"]] == ["called-off", "later", UID]
    assert [text for _, text in found["STATUS"]] == ["CANCELLED", "CONFIRMED", "TENTATIVE"]
    assert found["METHOD"] == [({}, "PUBLISH")]
    assert found["NAME"] == [({}, "Symposia\\, all")]
    assert found["REFRESH-INTERVAL"] == [({"VALUE": "DURATION"}, "PT1H")]
    assert found["X-PUBLISHED-TTL"] == [({}, "PT1H")]
    assert "ATTENDEE" not in found
    assert len(icalendar.Calendar.from_ical(made).walk("VEVENT")) == 3


@pytest.mark.parametrize(("minutes", "said"), [(1, "PT1M"), (60, "PT1H"), (90, "PT1H30M"), (1440, "PT24H")])
def test_feed_says_how_often_to_come_again(minutes, said):
    made = feed([], name="Symposia", ttl=dt.timedelta(minutes=minutes))
    assert value(made, "X-PUBLISHED-TTL") == said


def test_feed_that_is_never_fresh_is_refused():
    with pytest.raises(CalendarError, match="a minute or more"):
        feed([], name="Symposia", ttl=dt.timedelta(seconds=59))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Online", "Online"),
        ("Room 4/12, House of Human Rights", "Room 4/12, House of Human Rights"),
        ("Yerevan, Tumanyan St. 5/2, and online", "Yerevan, Tumanyan St. 5/2, and online"),
        ("https://zoom.example.org/j/123?pwd=abc", ""),
        ("Online: https://zoom.example.org/j/123?pwd=abc", "Online"),
        ("Online (zoom.us/j/123456)", "Online"),
        ("Online, www.meet.example", "Online"),
        ("10.0.0.1/room, then left", "then left"),
        ("Room 3.12/b", "Room 3.12/b"),
        ("ZOOMMTG://zoom.us/join?confno=1 or Room 3", "or Room 3"),
        ("Առցանց՝ meet.example.org/abc-defg-hij", "Առցանց՝"),
        ("Write to office@example.org/", "Write to office@example.org/"),
    ],
)
def test_a_place_that_is_a_link_is_left_out(text, left):
    octets = itip(an_event(location=text, description=text), Method.REQUEST, attendee=READER)
    found = tiny_reader(octets)
    assert plain(value(octets, "LOCATION") if "LOCATION" in found else "") == left
    assert plain(value(octets, "DESCRIPTION") if "DESCRIPTION" in found else "") == left
    assert [text for _, text in found["URL"]] == ["https://example.org/symposia/4"]
