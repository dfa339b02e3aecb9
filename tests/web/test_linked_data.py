"""schema.org's Event on the pages: held to its definitions in every state a symposium can be in."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from mailer.db.programme import Symposium
from mailer.db.seal import ROOM
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.services.programme.dates import Moment, set_moment
from mailer.services.programme.public import symposium
from mailer.services.programme.symposia import Edit
from mailer.vocabulary import EndSource, Precision, SymposiumState
from mailer.web.public.linked_data import linked_data
from tests.services.conftest import noon
from tests.web.exhibit import Exhibit
from tests.web.scene import Scene
from tests.web.schema_org import complaints
from tests.web.visitor import HOST, Visitor

MONTH = Moment(precision=Precision.MONTH, day=date(2024, 2, 1))
DAY = Moment(precision=Precision.DATE, day=date(2024, 3, 1))
OPEN = Moment(precision=Precision.NONE)


def told(visitor: Visitor, slug: str) -> dict[str, Any] | None:
    script = visitor.see(f"/symposia/{slug}").css_first('script[type="application/ld+json"]')
    return None if script is None else dict(json.loads(script.text()))


def good(visitor: Visitor, slug: str = "ukraine") -> dict[str, Any]:
    data = told(visitor, slug)
    assert data is not None
    assert complaints(data) == []
    return data


@pytest.fixture
def move(house: House, scene: Scene, now: datetime) -> Callable[[Moment], None]:
    def to(moment: Moment, slug: str = "ukraine") -> None:
        with house.database.write() as session:
            symposia.move(session, house, symposia.find(session, slug), moment, actor="test", now=now)

    return to


def state(data: dict[str, Any]) -> str:
    return str(data["eventStatus"]).removeprefix("https://schema.org/")


def test_every_page_of_the_programme_tells_a_good_event(looker: Visitor) -> None:
    page = looker.see("/symposia")
    slugs = [str(link.attributes["href"]).rsplit("/", 1)[1] for link in page.css(".with-tile a")]
    events = {slug: told(looker, slug) for slug in slugs}
    assert events.pop("summit") is None  # a month is no start
    assert len(events) == 6
    for data in events.values():
        assert data is not None
        assert complaints(data) == []


def test_what_a_draft_had_for_a_date_was_never_announced(
    house: House, scene: Scene, visitor: Visitor, now: datetime
) -> None:
    with house.database.write() as session:
        found = symposia.find(session, scene.draft_symposium)
        symposia.edit(session, house, found, Edit(moment=noon(date(2024, 5, 3))), actor="test", now=now)
        symposia.confirm(session, found, actor="test", now=now, moment=noon(date(2024, 5, 10)))
        symposia.announce_symposium(session, house, found, actor="test", now=now)
        symposia.edit(session, house, found, Edit(place="Room 2"), actor="test", now=now)
    data = good(visitor, scene.draft_symposium)
    assert state(data) == "EventScheduled"
    assert "previousStartDate" not in data
    with house.database.write() as session:
        found = symposia.find(session, scene.draft_symposium)
        symposia.move(session, house, found, noon(date(2024, 5, 17)), actor="test", now=now)
    assert good(visitor, scene.draft_symposium)["previousStartDate"] == "2024-05-10T12:00-04:00"


def test_a_draft_that_is_called_off_stays_unknown(house: House, scene: Scene, visitor: Visitor) -> None:
    with house.database.write() as session:
        symposia.find(session, scene.draft_symposium).state = SymposiumState.CANCELLED
    for path in (f"/symposia/{scene.draft_symposium}", f"/symposia/{scene.draft_symposium}.ics"):
        assert visitor.get(path).status_code == 404
    for path in ("/symposia.ics", "/symposia"):
        assert scene.draft_symposium not in visitor.get(path).text


def test_moved_twice_it_names_both_earlier_starts(visitor: Visitor, move: Callable[[Moment], None]) -> None:
    move(noon(date(2024, 3, 1)))
    once = good(visitor)
    assert (state(once), once["previousStartDate"]) == ("EventRescheduled", "2024-02-23T12:00-05:00")
    move(DAY)
    twice = good(visitor)
    assert state(twice) == "EventRescheduled"
    assert twice["startDate"] == "2024-03-01"
    assert twice["previousStartDate"] == ["2024-02-23T12:00-05:00", "2024-03-01T12:00-05:00"]


@pytest.mark.parametrize("moment", [MONTH, OPEN], ids=["month", "open"])
def test_a_date_withdrawn_is_postponed_and_keeps_the_start_that_holds_no_longer(
    visitor: Visitor, move: Callable[[Moment], None], moment: Moment
) -> None:
    move(moment)
    data = good(visitor)
    assert state(data) == "EventPostponed"
    assert data["startDate"] == data["previousStartDate"] == "2024-02-23T12:00-05:00"
    assert "has been postponed" in visitor.get("/symposia/ukraine").text
    move(noon(date(2024, 3, 1)))
    assert state(good(visitor)) == "EventRescheduled"


def test_a_month_that_becomes_a_day_was_never_moved(
    house: House, scene: Scene, visitor: Visitor, move: Callable[..., None]
) -> None:
    assert told(visitor, "summit") is None
    move(noon(date(2024, 12, 13)), "summit")
    data = good(visitor, "summit")
    assert (state(data), data.get("previousStartDate")) == ("EventScheduled", None)


def test_called_off_keeps_its_start(looker: Visitor) -> None:
    data = good(looker, "called-off")
    assert (state(data), data["startDate"]) == ("EventCancelled", "2024-04-05T12:00-04:00")


def test_only_an_announced_end_is_told(house: House, scene: Scene, visitor: Visitor, now: datetime) -> None:
    assert "endDate" not in good(visitor)
    with house.database.write() as session:
        found: Symposium = symposia.find(session, "ukraine")
        found.end_source, found.minutes = EndSource.ANNOUNCED, 90
        set_moment(session, found, noon(date(2024, 2, 23)), now)
    assert good(visitor)["endDate"] == "2024-02-23T13:30-05:00"


@pytest.mark.parametrize(
    ("online", "place", "mode", "location"),
    [
        (True, "Online", "Online", {"@type": "VirtualLocation", "url": f"{HOST}/symposia/ukraine"}),
        (False, "House 5", "Offline", {"@type": "Place", "name": "House 5"}),
        (False, None, "Offline", None),
        (None, "Online", None, {"@type": "Place", "name": "Online"}),
    ],
)
def test_the_room_is_never_told(
    house: House,
    scene: Scene,
    visitor: Visitor,
    online: bool | None,
    place: str | None,
    mode: str | None,
    location: object,
) -> None:
    with house.database.write() as session:
        found = symposia.find(session, "ukraine")
        found.online, found.place, found.languages = online, place, ["en", "hy"]
        found.room = house.vault.seal(ROOM, found.id, "https://rooms.example.com/secret")
    data = good(visitor)
    said = f"https://schema.org/{mode}EventAttendanceMode" if mode else None
    assert (data.get("eventAttendanceMode"), data.get("location")) == (said, location)
    assert data["inLanguage"] == ["en", "hy"]
    assert "rooms.example.com" not in visitor.get("/symposia/ukraine").text


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(title=st.text(min_size=1), place=st.text(min_size=1))
def test_no_text_leaves_its_element(exhibit: Exhibit, now: datetime, title: str, place: str) -> None:
    for text in (title, f"</script><script>{title}", f"<!-- {title} ]]> &lt;"):
        with exhibit.house.database.read() as session:
            found = symposium(session, "ukraine", now)
        assert found is not None
        data = linked_data(exhibit.house, replace(found, title=text, place=place))
        assert data is not None
        assert not set("<>&") & set(data)
        page = f'<html><head><script type="application/ld+json">{data}</script></head><body>end</body></html>'
        parsed = LexborHTMLParser(page)
        (script,) = parsed.css("script")
        read = json.loads(script.text())
        assert (read["name"], read["location"]["name"]) == (text, place)


@pytest.mark.parametrize(
    "wrong",
    [
        {"eventStatus": "https://schema.org/EventMoved"},
        {"eventStatus": "EventScheduled"},
        {"eventStatus": "https://schema.org/EventRescheduled"},
        {"startDate": "2024-02-23T12:00"},
        {"startDate": "December 2024"},
        {"startDate": None},
        {"attendee": "Anna"},
        {"location": "Online"},
        {"endDate": "2024-02-23T11:00-05:00"},
        {"@context": "https://example.org"},
    ],
    ids=str,
)
def test_the_definitions_would_have_noticed(looker: Visitor, wrong: dict[str, Any]) -> None:
    assert complaints(good(looker) | wrong) != []
