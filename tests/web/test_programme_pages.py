"""Statements and symposia as the public reads them, and the files that go with them."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from icalendar import Calendar
from selectolax.lexbor import LexborHTMLParser

from mailer.db.programme import Statement, StatementText
from mailer.db.seal import ROOM
from mailer.services.house import House
from mailer.services.programme import statements, symposia
from mailer.vocabulary import StatementState
from mailer.web.app import create_app
from tests.conftest import NOON
from tests.services.conftest import noon
from tests.web.conftest import Clock
from tests.web.exhibit import Exhibit
from tests.web.scene import Scene
from tests.web.visitor import HOST, Visitor, heading, words

ATOM = "{http://www.w3.org/2005/Atom}"


def test_a_statement_is_shown_with_its_own_language(looker: Visitor) -> None:
    page = looker.see("/statements/prisoners-of-war")
    body = page.css_first(".prose")
    assert (body.attributes["lang"], body.attributes["dir"]) == ("en", "ltr")
    assert page.css_first("time").attributes["datetime"] == "2021-07-17"
    assert [th.attributes["scope"] for th in page.css(".prose th")] == ["col", "col"]
    assert page.css_first(".prose h2").text() == "What we ask for"
    assert page.css_first("main script") is None
    assert '<script>alert("no")</script>' in body.text()
    assert "style=" not in page.html
    alternates = {link.attributes["hreflang"] for link in page.css("link[hreflang]")}
    assert alternates == {"en", "hy", "ar"}


def test_the_page_and_the_text_each_have_their_language(looker: Visitor) -> None:
    arabic = looker.see("/statements/prisoners-of-war", headers={"Accept-Language": "ar"})
    assert arabic.css_first("html").attributes["dir"] == "rtl"
    assert arabic.css_first(".prose").attributes["lang"] == "ar"
    chosen = looker.see("/statements/prisoners-of-war?lang=en&text=hy")
    assert chosen.css_first("html").attributes["lang"] == "en"
    assert chosen.css_first("h1").attributes["lang"] == "hy"
    fallback = looker.get("/statements/prisoners-of-war?lang=uk")
    assert "Цей текст ще не перекладено. Мова тексту: англійська." in words(fallback)


def test_what_is_not_published_does_not_exist(exhibit: Exhibit, looker: Visitor) -> None:
    never = looker.get("/statements/never-written")
    draft = looker.get(f"/statements/{exhibit.scene.draft_statement}")
    assert (draft.status_code, draft.text) == (404, never.text)
    for path in ("/", "/statements", "/statements.atom", "/symposia", "/symposia.ics"):
        answer = looker.get(path)
        assert "secret" not in answer.text.lower()
        assert "Hidden" not in answer.text
    hidden = exhibit.scene.draft_symposium
    assert looker.get(f"/symposia/{hidden}").status_code == 404
    assert looker.get(f"/symposia/{hidden}.ics").status_code == 404


def test_publishing_makes_a_statement_appear_everywhere(
    house: House, scene: Scene, visitor: Visitor, now: datetime
) -> None:
    with house.database.write() as session:
        draft = statements.find(session, scene.draft_statement)
        statements.publish(session, house, draft, actor="test", now=now)
    assert heading(visitor.get(f"/statements/{scene.draft_statement}")) == "A secret draft"
    for path in ("/", "/statements", "/statements.atom"):
        assert "A secret draft" in visitor.get(path).text


def test_the_archive_has_pages(house: House, visitor: Visitor, now: datetime) -> None:
    assert "No statement has been published yet." in words(visitor.get("/statements"))
    with house.database.write() as session:
        for number in range(31):
            one = Statement(
                key=f"s{number}",
                slug=f"s{number}",
                language="en",
                state=StatementState.PUBLISHED,
                dated=now.date() - timedelta(days=number),
                created_at=now,
                published_at=now,
            )
            one.texts.append(
                StatementText(language="en", title=f"Statement {number}", body="Text.", created_at=now)
            )
            session.add(one)
    first, second = visitor.see("/statements"), visitor.see("/statements?page=2")
    assert (len(first.css(".line")), len(second.css(".line"))) == (30, 1)
    assert first.css_first("a[rel=next]").attributes["href"] == "/statements?page=2"
    for beyond in ("3", "0", "-1", "x", "9" * 30, "²"):
        assert visitor.get("/statements", params={"page": beyond}).status_code == 404


def test_the_feed_names_every_published_statement(looker: Visitor) -> None:
    answer = looker.get("/statements.atom")
    feed = ElementTree.fromstring(answer.content)
    assert answer.headers["content-type"].startswith("application/atom+xml")
    entries = [entry.findtext(f"{ATOM}id") for entry in feed.iter(f"{ATOM}entry")]
    slugs = ("prisoners-of-war", "a-retracted-one", "a-corrected-one")
    assert entries == [f"{HOST}/statements/{slug}" for slug in slugs]
    assert feed.findtext(f"{ATOM}updated") == NOON.isoformat()


@pytest.mark.parametrize("path", ["/statements.atom", "/symposia.ics", "/symposia/ukraine.ics"])
def test_what_programs_fetch_again_is_sent_once(looker: Visitor, path: str) -> None:
    first = looker.get(path)
    tag = first.headers["etag"]
    for match in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = looker.get(path, headers={"If-None-Match": match})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert looker.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_symposia_stand_in_their_order_with_their_own_time(looker: Visitor) -> None:
    page = looker.see("/symposia")
    upcoming, past, _calendars = page.css("section")
    titles = [link.text() for link in upcoming.css(".line a")]
    assert titles == [
        "How to Identify Genocide: The Ukraine Case",
        "When Genocide is Global: The Case of Armenians",
        "A Symposium That Was Called Off",
        "A Day of Open Doors",
        "Restorative Justice & Genocide Prevention",
        "Online Global Youth Summit",
    ]
    assert [link.text() for link in past.css(".line a")] == ["The First Symposium"]
    times = [time.attributes["datetime"] for time in upcoming.css("time")]
    assert times == [
        "2024-02-23T12:00-05:00",
        "2024-03-22T13:00-04:00",
        "2024-04-05T12:00-04:00",
        "2024-05-03",
        "2024-07-26T12:00-04:00",
        "2024-12",
    ]
    assert (
        "December 2024 (date\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}be\N{NO-BREAK SPACE}announced)"
        in upcoming.text()
    )
    assert (
        "Friday, May 3, 2024 (time\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}be\N{NO-BREAK SPACE}announced)"
        in upcoming.text()
    )


def test_a_symposium_says_its_zone_and_shows_the_readers_time(looker: Visitor) -> None:
    page = words(looker.get("/symposia/ukraine"))
    assert "Friday, February 23, 2024, 12 noon Eastern Time (New York, UTC-5)" in page
    assert "UTC: 17:00, Friday, February 23" in page
    assert "Yerevan: 21:00, Friday, February 23" in words(looker.get("/symposia/ukraine?zone=Asia/Yerevan"))
    assert "same time" in words(looker.get("/symposia/ukraine?zone=America/New_York"))
    assert "UTC: 17:00" in words(looker.get("/symposia/ukraine?zone=Mars/Olympus"))


def test_moved_called_off_and_past_symposia_say_so(looker: Visitor) -> None:
    moved = words(looker.get("/symposia/global"))
    assert "has been moved" in moved
    assert "1:00 PM" in moved
    assert "Earlier date Friday, March 22, 2024, 12 noon" in moved
    off = looker.get("/symposia/called-off")
    assert "has been called off" in words(off)
    assert "called-off.ics" not in off.text
    assert "is over" in words(looker.get("/symposia/first"))
    assert "To be announced" in words(looker.get("/symposia/open-day"))


def test_a_calendar_file_is_published_and_names_nobody(looker: Visitor) -> None:
    answer = looker.get("/symposia/ukraine.ics")
    assert answer.headers["content-disposition"] == 'attachment; filename="symposium.ics"'
    assert answer.headers["content-type"].startswith("text/calendar")
    calendar = Calendar.from_ical(answer.content)
    assert calendar["METHOD"] == "PUBLISH"
    (event,) = calendar.events
    assert event["DTSTART"].dt == datetime(2024, 2, 23, 17, tzinfo=UTC)
    assert "ATTENDEE" not in event


def test_the_feed_of_all_symposia_keeps_those_called_off_and_has_none_without_a_day(looker: Visitor) -> None:
    calendar = Calendar.from_ical(looker.get("/symposia.ics").content)
    states = {str(event["SUMMARY"]): str(event["STATUS"]) for event in calendar.events}
    assert states["A Symposium That Was Called Off"] == "CANCELLED"
    assert states["A Day of Open Doors"] == "TENTATIVE"
    assert states["When Genocide is Global: The Case of Armenians"] == "CONFIRMED"
    assert "Online Global Youth Summit" not in states
    assert looker.get("/symposia/summit.ics").status_code == 404
    moved = next(event for event in calendar.events if "Global:" in event["SUMMARY"])
    assert int(moved["SEQUENCE"]) == 1


def test_a_symposium_passes_from_upcoming_to_past_when_it_ends(
    house: House, scene: Scene, clock: Clock
) -> None:
    visitor = Visitor(create_app(house, clock=clock, inbox=None))
    clock.now = datetime(2024, 2, 23, 17, 59, tzinfo=UTC)
    assert "is over" not in words(visitor.get("/symposia/ukraine"))
    clock.now = datetime(2024, 2, 23, 18, 0, tzinfo=UTC)
    assert "is over" in words(visitor.get("/symposia/ukraine"))
    clock.now = datetime(2024, 12, 31, 12, tzinfo=UTC)
    assert "is over" not in words(visitor.get("/symposia/summit"))
    clock.now = datetime(2025, 1, 1, 12, tzinfo=UTC)
    assert "is over" in words(visitor.get("/symposia/summit"))


def test_a_moved_symposium_has_a_new_calendar_file(
    house: House, scene: Scene, visitor: Visitor, now: datetime
) -> None:
    before = visitor.get("/symposia/ukraine.ics")
    with house.database.write() as session:
        found = symposia.find(session, "ukraine")
        symposia.move(session, house, found, noon(found.day, 14), actor="test", now=now)  # type: ignore[arg-type]
    after = visitor.get("/symposia/ukraine.ics", headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200
    (event,) = Calendar.from_ical(after.content).events
    assert (event["DTSTART"].dt.hour, int(event["SEQUENCE"])) == (19, 1)


def test_the_start_page_shows_the_newest(looker: Visitor) -> None:
    page = LexborHTMLParser(looker.get("/").text)
    links = [str(link.attributes["href"]) for link in page.css("main a")]
    assert links[:2] == ["/subscribe", "/statements/prisoners-of-war"]
    assert "/symposia/ukraine" in links
    assert "/symposia/called-off" not in links


def test_a_room_behind_a_link_and_no_place_is_online(house: House, scene: Scene, visitor: Visitor) -> None:
    with house.database.write() as session:
        found = symposia.find(session, "ukraine")
        found.place, found.online, found.room = None, None, None
    assert "Where To be announced" in words(visitor.get("/symposia/ukraine"))
    with house.database.write() as session:
        found = symposia.find(session, "ukraine")
        found.room = house.vault.seal(ROOM, found.id, "https://rooms.example.com/secret")
    assert "Where Online" in words(visitor.get("/symposia/ukraine"))
