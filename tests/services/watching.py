"""What tests of watched sources share: pages for a real web server, and an address watched by hand."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from mailer.db.mailings import Mailing
from mailer.db.programme import Proposal, Statement, Symposium
from mailer.db.sources import Source, SourceItem
from mailer.services.house import House
from mailer.services.incidents import open_incidents
from mailer.services.programme import proposals, symposia
from mailer.services.sources import registry
from mailer.services.sources.check import Checked, check_now
from mailer.services.sources.registry import Wanted
from mailer.services.sources.taking import Taken
from tests.web_server import Reply, WebServer

NOON = datetime(2024, 9, 1, 16, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ICS = {"content-type": "text/calendar"}


def event(uid: str, title: str, start: str, *more: str) -> str:
    lines = (f"UID:{uid}", f"SUMMARY:{title}", f"DTSTART;TZID=America/New_York:{start}", *more)
    return "\r\n".join(["BEGIN:VEVENT", *lines, "END:VEVENT"])


def calendar(*events: str) -> Reply:
    text = "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *events, "END:VCALENDAR", ""])
    return Reply(text.encode(), headers=ICS)


def rss(*numbers: int, words: str = "A text.") -> Reply:
    items = "".join(
        f"<item><title>Statement number {n}</title><guid>g{n}</guid><link>https://site.example/{n}</link>"
        f"<pubDate>Sun, 01 Sep 2024 10:00:00 GMT</pubDate><description>{words} {n * 7919} {n * 104729}"
        f"</description></item>"
        for n in numbers
    )
    return Reply(f'<rss version="2.0"><channel><title>t</title>{items}</channel></rss>'.encode())


def page(*lines: str) -> Reply:
    return Reply("".join(f"<p>{line}</p>" for line in ("Our programme", *lines)).encode())


def line(day: int, title: str, hour: str = "12noon") -> str:
    weekday = f"{date(2024, 10, day):%A}"
    return f"{weekday}, October {day}, 2024, {hour} ET, “{title}”"


class Watch:
    """One watched address, checked by hand."""

    def __init__(self, house: House, server: WebServer, path: str, **more: object) -> None:
        self.house, self.server = house, server
        with house.database.write() as session:
            wanted = Wanted(url=server.url(path), every=HOUR, zone="America/New_York", **more)  # type: ignore[arg-type]
            self.id = registry.add(session, wanted, actor="test", now=NOON, limits=server.web.limits).id

    def check(self, now: datetime = NOON, *, believe: bool = False) -> Checked:
        checked = check_now(self.house, self.id, now, web=self.server.web, believe=believe)
        assert checked is not None
        return checked

    def taken(self, now: datetime = NOON, *, believe: bool = False) -> Taken:
        checked = self.check(now, believe=believe)
        assert checked.trouble == ""
        assert checked.taken is not None
        return checked.taken

    @property
    def row(self) -> Source:
        with self.house.database.read() as session:
            return session.get_one(Source, self.id)

    def items(self) -> dict[str, SourceItem]:
        with self.house.database.read() as session:
            found = session.scalars(select(SourceItem).where(SourceItem.source_id == self.id))
            return {each.title: each for each in found}


def count(house: House, table: type[Mailing] | type[Statement] | type[Symposium]) -> int:
    with house.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def waiting(house: House) -> list[Proposal]:
    with house.database.read() as session:
        return proposals.open_ones(session)


def announce_all(house: House) -> None:
    with house.database.write() as session:
        for one in session.scalars(select(Symposium)):
            one.questions = []
            symposia.announce_symposium(session, house, one, actor="test", now=NOON)


def incidents(house: House) -> list[str]:
    with house.database.read() as session:
        return [one.words for one in open_incidents(session)]


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as server:
        yield server


@pytest.fixture
def watch(house: House, server: WebServer) -> Callable[..., Watch]:
    return lambda path, **more: Watch(house, server, path, **more)
