"""Calendar files and feeds as programs fetch them: what is in each, and when it is sent again."""

import re
from datetime import date, timedelta

import pytest
from sqlalchemy import select

from mailer.db.programme import Series, Symposium
from mailer.messages.catalogues import LANGUAGES, end_estimated, language_name, still_open
from mailer.services.house import House
from mailer.services.programme import calendars, symposia
from mailer.services.programme.dates import Moment
from mailer.services.programme.symposia import Edit
from mailer.vocabulary import Precision
from mailer.web.app import create_app
from tests.calendar_readers import by_icalendar
from tests.conftest import NOON
from tests.services.conftest import noon
from tests.web.conftest import Clock
from tests.web.exhibit import Exhibit
from tests.web.scene import Scene
from tests.web.visitor import HOST, Visitor

FILES = (
    "/symposia.ics",
    "/calendars/series/prevention.ics",
    "/calendars/languages/en.ics",
    "/symposia/ukraine.ics",
)
FEEDS = FILES[:3]


@pytest.fixture
def later(exhibit: Exhibit) -> Visitor:
    """A day after everything in the exhibit changed for the last time."""
    return Visitor(create_app(exhibit.house, clock=lambda: NOON + timedelta(days=1), inbox=None))


def unfolded(octets: bytes) -> str:
    return octets.decode("utf-8").replace("\r\n ", "")


@pytest.mark.parametrize("path", FEEDS)
def test_a_feed_says_how_often_to_come_again_and_who_publishes_it(looker: Visitor, path: str) -> None:
    text = unfolded(looker.get(path).content)
    assert "\r\nREFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n" in text
    assert "\r\nX-PUBLISHED-TTL:PT1H\r\n" in text
    assert "Institute for Prevention" in re.findall(r"\r\nNAME:(.*)\r\n", text)[0]


def test_each_feed_holds_what_it_is_for(looker: Visitor) -> None:
    def titles(path: str) -> set[str]:
        return {event.summary for event in by_icalendar(looker.get(path).content).events}

    everything = titles("/symposia.ics")
    assert titles("/calendars/languages/en.ics") == everything
    assert titles("/calendars/series/prevention.ics") == everything - {"A Day of Open Doors"}
    assert "Online Global Youth Summit" not in everything
    for missing in (
        "/calendars/series/unknown.ics",
        "/calendars/languages/uk.ics",
        "/calendars/languages/x.ics",
    ):
        assert looker.get(missing).status_code == 404


@pytest.mark.parametrize("language", LANGUAGES)
def test_remarks_follow_the_language_of_the_address_alone(looker: Visitor, language: str) -> None:
    for path in FEEDS:
        asked = looker.get(f"{path}?lang={language}")
        browser = looker.get(path, headers={"Accept-Language": language})
        assert browser.content == looker.get(path).content
        descriptions = {
            event.summary: event.description or "" for event in by_icalendar(asked.content).events
        }
        assert descriptions["How to Identify Genocide: The Ukraine Case"] == (
            f"Year of Prevention\n\n{end_estimated(language)}"
        )
        if "A Day of Open Doors" in descriptions:
            assert descriptions["A Day of Open Doors"] == still_open(language, day_known=True)


@pytest.mark.parametrize("path", FILES)
def test_the_same_state_gives_the_same_octets(looker: Visitor, later: Visitor, path: str) -> None:
    first = later.get(path)
    assert first.headers["last-modified"].endswith("GMT")
    assert "vary" not in first.headers
    assert looker.get(path).content == first.content
    assert later.ask("HEAD", path).headers["etag"] == first.headers["etag"]


@pytest.mark.parametrize("path", FILES)
def test_who_has_it_gets_304(later: Visitor, path: str) -> None:
    first = later.get(path)
    tag, modified = first.headers["etag"], first.headers["last-modified"]
    after, before = "Fri, 01 Mar 2024 00:00:00 GMT", "Mon, 01 Jan 2024 00:00:00 GMT"
    asked = {
        304: [
            {"If-None-Match": tag},
            {"If-None-Match": f'"a,b", W/{tag}'},
            {"If-None-Match": "*"},
            [("If-None-Match", '"older"'), ("If-None-Match", tag)],  # two lines are one list
            {"If-Modified-Since": modified},
            {"If-Modified-Since": after},
        ],
        200: [
            {"If-Modified-Since": before},
            {"If-Modified-Since": "yesterday"},
            {"If-Modified-Since": ""},
            {"If-None-Match": '"other"', "If-Modified-Since": after},  # the ETag decides alone
        ],
    }
    for status, questions in asked.items():
        for headers in questions:
            answer = later.get(path, headers=headers)
            assert (answer.status_code, answer.headers["etag"]) == (status, tag), headers
            assert (answer.content == b"") == (status == 304)


def test_what_changed_a_moment_ago_has_no_date_to_ask_by(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    clock.now = NOON + timedelta(days=1)
    with house.database.write() as session:
        found = symposia.find(session, "ukraine")
        symposia.move(session, house, found, noon(date(2024, 2, 23), 14), actor="test", now=clock.now)
    fresh = visitor.get("/symposia.ics", headers={"If-Modified-Since": "Sat, 03 Feb 2024 00:00:00 GMT"})
    assert fresh.status_code == 200
    assert "last-modified" not in fresh.headers
    clock.now += timedelta(seconds=2)
    settled = visitor.get("/symposia.ics")
    assert settled.headers["last-modified"] == "Fri, 02 Feb 2024 17:00:00 GMT"
    assert settled.content == fresh.content


def test_what_stands_in_no_file_changes_none(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    clock.now = NOON + timedelta(days=1)
    before = {path: visitor.get(path).content for path in FILES}
    clock.now += timedelta(days=1)
    with house.database.write() as session:
        found = symposia.find(session, "ukraine")
        found.capacity, found.changed_at = 40, clock.now
        symposia.approve_follow_up(session, house, found, recording_url=None, actor="test", now=clock.now)
    assert {path: visitor.get(path).content for path in FILES} == before
    with house.database.write() as session:
        found = symposia.find(session, "ukraine")
        symposia.edit(session, house, found, Edit(place="Room 2"), actor="test", now=clock.now)
    assert not any(visitor.get(path).content == content for path, content in before.items())


def test_a_date_that_is_withdrawn_leaves_the_feed_and_the_feed_says_it_changed(
    house: House, scene: Scene, visitor: Visitor, clock: Clock
) -> None:
    clock.now = NOON + timedelta(hours=1)
    before = visitor.get("/symposia.ics")
    clock.now = NOON + timedelta(days=1)
    with house.database.write() as session:
        found = symposia.find(session, "ukraine")
        month = Moment(precision=Precision.MONTH, day=date(2024, 2, 1))
        symposia.move(session, house, found, month, actor="test", now=clock.now)
    clock.now += timedelta(minutes=1)
    after = visitor.get("/symposia.ics", headers={"If-Modified-Since": before.headers["last-modified"]})
    assert after.status_code == 200
    assert "Ukraine" not in unfolded(after.content)
    assert visitor.get("/symposia/ukraine.ics").status_code == 404


@pytest.mark.parametrize("title", ["https://meet.example.org/j/1", "zoom.us/j/1", " ", "\x07"])
def test_one_title_that_no_calendar_can_hold_stops_no_feed(
    house: House, scene: Scene, visitor: Visitor, title: str
) -> None:
    with house.database.write() as session:
        symposia.find(session, "ukraine").title = title
    for path in FILES:
        answer = visitor.get(path)
        assert answer.status_code == 200
        assert "Year of Prevention" in {event.summary for event in by_icalendar(answer.content).events}
        assert "/j/1" not in answer.text


def test_the_page_of_symposia_offers_every_feed(looker: Visitor) -> None:
    page = looker.see("/symposia?lang=hy")
    addresses = [str(link.attributes["href"]) for link in page.css("#calendars ~ ul a")]
    assert addresses[:4] == [
        "webcal://mailer.example.org/symposia.ics?lang=hy",
        f"{HOST}/symposia.ics?lang=hy",
        "webcal://mailer.example.org/calendars/series/prevention.ics?lang=hy",
        f"{HOST}/calendars/series/prevention.ics?lang=hy",
    ]
    alternates = page.css('head link[rel=alternate][type="text/calendar"]')
    assert [str(link.attributes["href"]) for link in alternates] == addresses[1::2]
    assert [link.attributes["title"] for link in alternates][:2] == [
        "Բոլոր սիմպոզիումները",
        "Շարք՝ Year of Prevention",
    ]
    alone = looker.see("/symposia/ukraine").css_first('head link[type="text/calendar"]')
    assert alone.attributes["href"] == f"{HOST}/symposia/ukraine.ics"
    assert looker.see("/symposia/summit").css_first('head link[type="text/calendar"]') is None


def test_languages_are_offered_where_there_are_several(house: House, scene: Scene, visitor: Visitor) -> None:
    with house.database.write() as session:
        for found in session.scalars(select(Symposium)).unique():
            found.languages = []
        assert len(calendars.offers(session)) == 2
        moved = symposia.find(session, "restorative")
        moved.title, moved.languages = "Вина і пам'ять", ["uk", "hy"]
    page = visitor.see("/symposia?lang=en")
    offered = [" ".join(heading.text().split()) for heading in page.css("#calendars ~ ul h3")]
    assert offered == [
        "All symposia",
        "Series: Year of Prevention",
        "In one language: English",
        "In one language: Armenian",
        "In one language: Ukrainian",
    ]
    for language in ("hy", "uk"):
        read = by_icalendar(visitor.get(f"/calendars/languages/{language}.ics").content)
        (event,) = read.events
        assert event.summary == "Вина і пам'ять"
        assert end_estimated(language) in (event.description or "")
        assert language_name(language, said_in=language) in (read.name or "")


def test_a_series_of_drafts_is_no_feed(house: House, scene: Scene, visitor: Visitor) -> None:
    with house.database.write() as session:
        secret = Series(key="secret", name="A Secret Series")
        session.add(secret)
        session.flush()
        symposia.find(session, scene.draft_symposium).series_id = secret.id
    assert visitor.get("/calendars/series/secret.ics").status_code == 404
    assert "Secret" not in visitor.get("/symposia").text
