"""Before its moment a statement under embargo is nowhere: its address answers as one that leads nowhere."""

from datetime import datetime, timedelta

import pytest

from mailer.services.house import House
from mailer.services.programme import embargo, review, statements
from mailer.services.sending.embargo_time import at_instant
from tests.web.conftest import Clock
from tests.web.scene import Scene
from tests.web.test_programme_pages import heading
from tests.web.visitor import Visitor

TITLE = "A secret draft"
EVERYWHERE = ("/", "/statements", "/statements.atom")


@pytest.fixture
def until(house: House, scene: Scene, now: datetime) -> datetime:
    """The scene's draft under embargo; its moment."""
    moment = now + timedelta(hours=1)
    with house.database.write() as session:
        found = statements.find(session, scene.draft_statement)
        review.ask(session, found, actor="cli:anna", now=now)
        review.approve(session, found, actor="cli:ben", now=now)
        embargo.schedule(session, house, found, at_instant(moment, "Asia/Yerevan"), actor="cli:anna", now=now)
    return moment


@pytest.mark.parametrize("asked", ["", "?lang=hy", "?text=en", "?lang=ar&text=hy"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_its_address_cannot_be_told_from_one_that_leads_nowhere(
    scene: Scene, visitor: Visitor, clock: Clock, until: datetime, asked: str, method: str
) -> None:
    clock.now = until - timedelta(milliseconds=1)
    nowhere = "x" * len(scene.draft_statement)
    there = visitor.ask(method, f"/statements/{scene.draft_statement}{asked}")
    other = visitor.ask(method, f"/statements/{nowhere}{asked}")
    assert there.status_code == other.status_code
    assert list(there.headers.multi_items()) == list(other.headers.multi_items())
    assert there.text.replace(scene.draft_statement, nowhere) == other.text


def test_page_feed_and_lists_open_at_the_same_moment(
    scene: Scene, visitor: Visitor, clock: Clock, until: datetime
) -> None:
    page = f"/statements/{scene.draft_statement}"
    clock.now = until - timedelta(milliseconds=1)
    assert visitor.get(page).status_code == 404
    for path in EVERYWHERE:
        assert TITLE not in visitor.get(path).text
        assert scene.draft_statement not in visitor.get(path).text
    clock.now = until
    assert heading(visitor.get(page)) == TITLE
    for path in EVERYWHERE:
        assert TITLE in visitor.get(path).text
    assert until.isoformat() in visitor.get("/statements.atom").text


def test_no_log_line_names_it(
    scene: Scene, visitor: Visitor, clock: Clock, until: datetime, log: object
) -> None:
    for path in (f"/statements/{scene.draft_statement}", *EVERYWHERE):
        visitor.get(path)
    entries = str(log.entries)  # type: ignore[attr-defined]
    assert entries != "[]"
    assert TITLE not in entries
    assert scene.draft_statement not in entries
