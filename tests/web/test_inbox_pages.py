"""The demo's inbox: every mail can be read in every way, and nothing in a mail can reach out of its frame."""

from email.message import EmailMessage
from pathlib import Path

import pytest
from icalendar import Calendar
from selectolax.lexbor import LexborHTMLParser

from mailer.services.desk.inbox import Inbox
from mailer.services.house import House
from mailer.vocabulary import SubscriptionState
from mailer.web.app import create_app
from mailer.web.demo.opened import in_light, open_mail
from tests.conftest import NOON
from tests.web.exhibit import Exhibit
from tests.web.scene import READERS, Scene
from tests.web.test_unsubscribe import state
from tests.web.visitor import Visitor, heading, words

HOSTILE = '<b onclick="x()">hi</b><script>alert(1)</script><img src="https://evil.example/x.png">'


def first(exhibit: Exhibit, query: str) -> int:
    return exhibit.inbox.list(0, 1, query)[0].id


def test_the_list_shows_the_newest_first_and_can_be_searched(exhibit: Exhibit, looker: Visitor) -> None:
    page = looker.see("/inbox")
    assert "no mail leaves this machine" in page.css_first(".banner").text()
    numbers = [int(str(a.attributes["href"]).rsplit("/", 1)[1]) for a in page.css(".mails a")]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) == 50
    assert page.css_first("a[rel=next]").attributes["href"] == "/inbox?page=2"
    found = looker.see("/inbox?q=LAYLA+تذكير")
    assert len(found.css(".mails a")) == 1
    assert found.css_first("#q").attributes["value"] == "LAYLA تذكير"
    assert "No mail holds these words" in words(looker.get("/inbox?q=nothing-of-the-kind"))
    assert looker.get("/inbox?page=3").status_code == 404


def test_every_kind_of_mail_was_caught(exhibit: Exhibit) -> None:
    languages = len(READERS)
    assert exhibit.inbox.count() == languages * (1 + 3 + 2 + 1)


def test_a_mail_can_be_read_as_html_text_headers_and_source(exhibit: Exhibit, looker: Visitor) -> None:
    number = first(exhibit, "anna detention")
    page = looker.see(f"/inbox/{number}")
    assert heading(looker.get(f"/inbox/{number}")) == "On the Continued Detention of Prisoners of War"
    frame = page.css_first("iframe")
    assert "sandbox" in frame.attributes
    assert frame.attributes["sandbox"] in {"", None}
    assert frame.attributes["src"] == f"/inbox/{number}/frame"
    assert "What we ask for" in words(looker.get(f"/inbox/{number}/text"))
    headers = words(looker.get(f"/inbox/{number}/headers"))
    assert "List-Unsubscribe-PostList-Unsubscribe=One-Click" in headers
    source = LexborHTMLParser(looker.get(f"/inbox/{number}/source").text).css_first("pre").text()
    caught = exhibit.inbox.read(number)
    assert caught is not None
    assert source.encode().replace(b"\n", b"\r\n") == caught.data
    assert looker.get(f"/inbox/{number}/mail.eml").content == caught.data


def test_an_arabic_mail_keeps_its_direction(exhibit: Exhibit, looker: Visitor) -> None:
    page = looker.see(f"/inbox/{first(exhibit, 'layla احتجاز')}/text")
    text = page.css_first("pre")
    assert (text.attributes["lang"], text.attributes["dir"]) == ("ar", "auto")


def test_the_frame_lets_nothing_out(exhibit: Exhibit, looker: Visitor) -> None:
    answer = looker.get(f"/inbox/{first(exhibit, 'anna')}/frame")
    policy = answer.headers["content-security-policy"]
    assert policy == (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'self'"
    )
    assert answer.headers["content-type"].startswith("text/html")


def test_the_server_switches_the_mails_dark_rules(exhibit: Exhibit, looker: Visitor) -> None:
    path = f"/inbox/{first(exhibit, 'anna')}/frame"
    light, dark = looker.get(path).text, looker.get(f"{path}?dark=1").text
    for document in (light, dark):
        assert "prefers-color-scheme" not in document
        assert "light dark" not in document
    assert "@media not all" in light
    assert "@media all" in dark
    assert "color-scheme: dark" in dark or "color-scheme:dark" in dark


def test_other_media_rules_stay_as_they_are() -> None:
    css = "@media (min-width:1px){a{}}@media screen and (prefers-color-scheme: dark){b{}}@media print{c{}}"
    assert in_light(css, dark=True) == "@media (min-width:1px){a{}}@media all {b{}}@media print{c{}}"


def test_an_invitation_can_be_downloaded_and_imported(exhibit: Exhibit, looker: Visitor) -> None:
    number = first(exhibit, "anahit Գրանցումը") if exhibit.inbox.count("anahit Գրանցումը") else 12
    page = looker.see(f"/inbox/{number}/attachments")
    links = [str(link.attributes["href"]) for link in page.css(".line a")]
    assert len(links) == 2
    for link in links:
        answer = looker.get(link)
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert Calendar.from_ical(answer.content)["METHOD"] == "REQUEST"
    assert looker.get(f"/inbox/{number}/attachments/99").status_code == 404


@pytest.mark.parametrize("number", ["0", "999", "x", "-1", "9" * 40, "²", "1.5", "1%00"])
def test_a_mail_that_is_not_there_is_no_page(looker: Visitor, number: str) -> None:
    for path in ("", "/text", "/frame", "/mail.eml", "/attachments/1"):
        assert looker.get(f"/inbox/{number}{path}").status_code == 404


def test_links_of_this_site_lead_to_where_the_demo_runs(exhibit: Exhibit, looker: Visitor) -> None:
    page = looker.see(f"/inbox/{first(exhibit, 'anna detention')}")
    links = [str(link.attributes["href"]) for link in page.css(".links a")]
    assert f"/u/{exhibit.scene.leave}" in links
    assert "https://example.org/ceasefire" in links
    form = page.css_first("main form")
    assert form.attributes["action"] == f"/u/{exhibit.scene.leave}"


def test_the_one_click_button_does_what_a_mail_program_does(
    house: House, scene: Scene, tmp_path: Path
) -> None:
    message = EmailMessage()
    message["Subject"] = "Hello"
    message["List-Unsubscribe"] = f"<{house.url('u', scene.leave)}>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content("Text")
    message.add_alternative("<p>Text</p>", subtype="html")
    inbox = Inbox(tmp_path / "inbox")
    inbox.store("b@bounces.example.org", ["anna@example.org"], message.as_bytes())
    visitor = Visitor(create_app(house, clock=lambda: NOON, inbox=inbox))
    assert visitor.press("/inbox/1", f"/u/{scene.leave}").status_code == 200
    assert state(house) is SubscriptionState.UNSUBSCRIBED


def test_a_hostile_mail_is_only_letters_on_the_pages(exhibit: Exhibit, tmp_path: Path) -> None:
    message = EmailMessage()
    message["Subject"] = HOSTILE
    message["From"] = "x@example.org"
    message["X-Odd"] = HOSTILE
    message.set_content(HOSTILE)
    message.add_alternative(f"<p>{HOSTILE}<a href='javascript:alert(1)'>x</a></p>", subtype="html")
    message.add_attachment(b"<script>", maintype="text", subtype="html", filename='../../"x .html')
    inbox = Inbox(tmp_path / "inbox")
    inbox.store(HOSTILE, [HOSTILE], message.as_bytes())
    visitor = Visitor(create_app(exhibit.house, clock=lambda: NOON, inbox=inbox))
    for path in (
        "/inbox",
        "/inbox/1",
        "/inbox/1/text",
        "/inbox/1/headers",
        "/inbox/1/source",
        "/inbox/1/attachments",
    ):
        page = visitor.see(path)
        assert page.css_first("script, img, [onclick]") is None
        assert "javascript:" not in [link.attributes.get("href") for link in page.css("a")]
    link = str(visitor.see("/inbox/1/attachments").css_first(".line a").attributes["href"])
    answer = visitor.get(link)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="x-.html"'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"no headers at all",
        b"Subject: \xff\xfe\r\nContent-Type: text/html; charset=no-such\r\n\r\n<p>\xff",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\nContent-Type: multipart/mixed\r\n",
        b"From: =?utf-8?b?!!!?=\r\nTo: a@b@c\r\nDate: never\r\n\r\nx",
        b"Content-Transfer-Encoding: base64\r\n\r\n%%%",
    ],
)
def test_whatever_the_octets_are_something_is_shown(exhibit: Exhibit, tmp_path: Path, data: bytes) -> None:
    inbox = Inbox(tmp_path / "inbox")
    inbox.store("", ["x@example.org"], data)
    visitor = Visitor(create_app(exhibit.house, clock=lambda: NOON, inbox=inbox))
    for path in (
        "/inbox",
        "/inbox/1",
        "/inbox/1/text",
        "/inbox/1/headers",
        "/inbox/1/source",
        "/inbox/1/attachments",
    ):
        assert visitor.get(path).status_code == 200
    assert open_mail(data).headers is not None
