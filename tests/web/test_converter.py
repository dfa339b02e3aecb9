"""The converter: a symposium's time on any clock, by a form alone; nothing guessed, nothing stored."""

from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy

import pytest

from mailer.messages.catalogues import LANGUAGES
from mailer.messages.words import city_words
from mailer.services.house import House
from mailer.services.programme import symposia
from mailer.vocabulary import EndSource
from mailer.web.app import create_app
from tests.services.conftest import noon
from tests.web.conftest import Clock
from tests.web.exhibit import Exhibit
from tests.web.scene import Scene
from tests.web.visitor import HOST, Visitor, heading, words

# What a server could guess a place from, if it were that kind of server.
GIVEAWAYS = {
    "X-Forwarded-For": "37.252.64.10",
    "X-Real-IP": "37.252.64.10",
    "CF-IPCountry": "AM",
    "CF-Timezone": "Asia/Yerevan",
    "Accept-Language": "en-AM",
    "Cookie": "zone=Asia/Yerevan",
    "Time-Zone": "Asia/Yerevan",
}
NO_ZONES = ["Mars/Olympus", "EST", "", "../../etc/passwd", "<script>", "A" * 5000, "Etc/GMT+4"]


def test_it_says_the_symposiums_time_and_utc_until_a_city_is_chosen(looker: Visitor) -> None:
    page = looker.get("/time/ukraine")
    assert heading(page) == "What time is it for you?"
    said = words(page)
    assert "Friday, February 23, 2024, 12 noon Eastern Time (New York, UTC-5)" in said
    assert "UTC: 17:00, Friday, February 23" in said
    assert "On your clock" not in said


@pytest.mark.parametrize(
    ("zone", "line"),
    [
        ("Asia/Yerevan", "Yerevan: 21:00, Friday, February 23"),
        ("Europe/Kyiv", "Kyiv: 19:00, Friday, February 23"),
        ("Australia/Sydney", "Sydney: 04:00, Saturday, February 24"),
        ("Asia/Kathmandu", "Kathmandu: 22:45, Friday, February 23"),
        ("America/Toronto", "Your clock shows the same time."),
    ],
)
def test_it_shows_the_chosen_clock_beside_the_symposiums_own(looker: Visitor, zone: str, line: str) -> None:
    said = words(looker.get(f"/time/ukraine?zone={zone}"))
    assert f"On your clock {line}" in said
    assert "12 noon Eastern Time (New York, UTC-5)" in said
    assert "UTC: 17:00" in said


def test_an_announced_end_is_said_on_both_clocks_and_an_estimate_on_none(
    house: House, scene: Scene, visitor: Visitor
) -> None:
    for path in ("/time/ukraine", "/symposia/ukraine"):
        assert "12 noon Eastern Time" in words(visitor.get(path))
    with house.database.write() as session:
        found = symposia.find(session, "ukraine")
        found.minutes, found.end_source = 90, EndSource.ANNOUNCED
    for path in ("/time/ukraine", "/symposia/ukraine"):
        said = words(visitor.get(f"{path}?zone=Australia/Sydney"))
        assert "Friday, February 23, 2024, 12 noon to 1:30 PM Eastern Time (New York, UTC-5)" in said
        assert "Sydney: 04:00 to 05:30, Saturday, February 24" in said


@pytest.mark.parametrize(
    ("slug", "zone", "line"),
    [
        ("ukraine", "Asia/Yerevan", "Yerevan: 21:00, Friday, February 23"),
        ("global", "Europe/Kyiv", "Kyiv: 19:00, Friday, March 22"),  # 1 PM in New York, six hours away
        ("restorative", "Europe/Kyiv", "Kyiv: 19:00, Friday, July 26"),  # noon in New York, seven
        ("restorative", "Asia/Yerevan", "Yerevan: 20:00, Friday, July 26"),
    ],
)
def test_it_follows_the_offset_of_the_symposiums_own_date(
    looker: Visitor, slug: str, zone: str, line: str
) -> None:
    assert line in words(looker.get(f"/time/{slug}?zone={zone}"))


@pytest.mark.parametrize("path", ["/time/ukraine", "/symposia/ukraine"])
def test_nothing_is_guessed_and_nothing_is_stored(looker: Visitor, path: str) -> None:
    plain, given_away = looker.get(path), looker.get(path, headers=GIVEAWAYS)
    assert given_away.text == plain.text
    assert "UTC: 17:00" in words(given_away)
    assert "Yerevan:" not in words(given_away)
    for answer in (given_away, looker.get(f"{path}?zone=Asia/Yerevan")):
        assert "set-cookie" not in answer.headers
        assert "<script src" not in answer.text


@pytest.mark.parametrize("zone", NO_ZONES)
def test_what_is_no_zone_is_no_choice(looker: Visitor, zone: str) -> None:
    answer = looker.get("/time/ukraine", params={"zone": zone})
    assert answer.status_code == 200
    assert "UTC: 17:00" in words(answer)
    assert "On your clock" not in words(answer)


def test_the_form_works_by_its_address_alone(looker: Visitor) -> None:
    page = looker.see("/time/ukraine?lang=hy&zone=Asia/Yerevan")
    form = page.css_first("main form")
    assert (form.attributes["method"], form.attributes["action"]) == ("get", "/time/ukraine")
    assert [field.attributes["value"] for field in form.css("input[type=hidden]")] == ["hy"]
    chosen = form.css_first("option[selected]")
    assert (chosen.attributes["value"], chosen.text()) == ("Asia/Yerevan", "Երևան")
    regions = [group.attributes["label"] for group in form.css("optgroup")]
    assert len(regions) >= 6
    assert len(form.css("optgroup option")) > 300
    assert len(page.html or "") < 50_000


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_speaks_the_language_of_the_page(looker: Visitor, language: str) -> None:
    page = looker.see(f"/time/ukraine?lang={language}&zone=Asia/Yerevan")
    assert page.css_first("html").attributes["lang"] == language
    assert city_words("Asia/Yerevan", language) in page.css_first("dl").text()
    back = page.css_first("main a").attributes["href"]
    assert back == f"/symposia/ukraine?lang={language}"


def test_without_an_hour_there_is_nothing_to_convert(looker: Visitor) -> None:
    for slug, when in (("open-day", "time to be announced"), ("summit", "date to be announced")):
        page = looker.see(f"/time/{slug}?zone=Asia/Yerevan")
        assert when in " ".join(page.css_first("main").text().split())  # no-break spaces hold it together
        assert page.css_first("main form") is None
    assert looker.get("/time/hidden-draft").status_code == 404
    assert looker.get("/time/unknown").status_code == 404


def test_it_knows_what_is_off_and_what_is_over(house: House, scene: Scene, clock: Clock) -> None:
    visitor = Visitor(create_app(house, clock=clock, inbox=None))
    with house.database.write() as session:
        symposia.call_off(
            session, house, symposia.find(session, "global"), reason=None, actor="test", now=clock.now
        )
        moved = symposia.find(session, "ukraine")
        symposia.move(session, house, moved, noon(date(2024, 3, 1), 15), actor="test", now=clock.now)
    assert "called off" in words(visitor.get("/time/global"))
    assert "Yerevan: 00:00, Saturday, March 2" in words(visitor.get("/time/ukraine?zone=Asia/Yerevan"))
    clock.now = datetime(2024, 3, 1, 20, tzinfo=UTC) + timedelta(hours=1)
    assert "is over" in words(visitor.get("/time/ukraine"))


def test_mails_lead_to_it_and_say_utc_where_no_zone_is_known(exhibit: Exhibit) -> None:
    def confirmation(reader: str) -> str:
        numbers = [one.id for one in exhibit.inbox.list(limit=1000) if reader in one.recipients]
        mails = [exhibit.inbox.read(number) for number in sorted(numbers)]
        messages = [
            message_from_bytes(mail.data, policy=policy.default) for mail in mails if mail is not None
        ]
        bodies = [message.get_body(("plain",)) for message in messages]  # type: ignore[attr-defined]
        texts = [body.get_content() for body in bodies if body is not None]
        return next(text for text in texts if f"{HOST}/time/ukraine" in text)

    assert "UTC: 17:00" in confirmation("layla@example.org")  # no zone is known of her
    assert "Երևան՝ 21:00" in confirmation("anahit@example.org")  # she has chosen hers
