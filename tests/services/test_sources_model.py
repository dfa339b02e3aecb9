"""Whatever order a source lists its items in, and however often: no second event, no mail, nothing lost."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.programme import Proposal, Statement, Symposium
from mailer.db.sources import SourceItem
from mailer.ingest.content import open_content, read_content
from mailer.ingest.draft import PageDraft
from mailer.ingest.errors import PageError
from mailer.services.house import House, open_house
from mailer.services.sources import registry
from mailer.services.sources.taking import Taken, take_page
from mailer.settings import load

pytestmark = pytest.mark.slow

NOW = datetime(2024, 9, 1, 16, 0, tzinfo=UTC)
FIXTURES = Path(__file__).parents[1] / "ingest" / "fixtures"
MANY = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def sqlite_house(tmp_path: Path, sqlite_template: Path) -> Iterator[House]:
    """SQLite is enough: what differs here is the order of items, not of locks."""
    data = tmp_path / "house"
    shutil.copytree(sqlite_template, data)
    house = open_house(load(data=data, base_url="https://mailer.example.org"))
    yield house
    house.database.engine.dispose()


class Undone(Exception):
    """Raised to roll a transaction back."""


@contextmanager
def trying(house: House) -> Iterator[Session]:
    """A transaction that leaves nothing behind."""
    try:
        with house.database.write() as session:
            yield session
            raise Undone
    except Undone:
        pass


def read(octets: bytes) -> PageDraft:
    return read_content(
        open_content(octets), fetched_on=NOW.date(), source="https://site.example/x", zone="America/New_York"
    )


def item(number: int) -> str:
    words = " ".join(f"w{number * 37 + step * step}" for step in range(30))
    return (
        f"<item><title>Number {number}</title><guid>{number}</guid><description>{words}</description></item>"
    )


def event(number: int) -> str:
    # Two of a title, one without a UID, one that says the same twice.
    uid = f"UID:{number}\r\n" if number % 4 else ""
    title = "Talk" if number in (5, 6) else f"Talk {'abcdefghij'[number % 10] * 3}"
    return (
        f"BEGIN:VEVENT\r\n{uid}SUMMARY:{title}\r\n"
        f"DTSTART;TZID=Europe/Kyiv:202410{number + 10}T120000\r\nEND:VEVENT"
    )


def feed(numbers: list[int]) -> bytes:
    return f'<rss version="2.0"><channel>{"".join(map(item, numbers))}</channel></rss>'.encode()


def calendar(numbers: list[int]) -> bytes:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", *map(event, numbers), "END:VCALENDAR", ""]).encode()


def page(numbers: list[int]) -> bytes:
    days = [(NOW + timedelta(days=number + 1)) for number in numbers]
    lines = (f"{day:%A, %B} {day.day}, {day.year}, 12noon ET, “Talk on day {day:%j}”" for day in days)
    return "\n".join(lines).encode()


def count(session: Session, table: type[Mailing] | type[Statement] | type[Symposium] | type[Proposal]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


NUMBERS = list(range(1, 9))
ORDERS = some.lists(
    some.permutations(NUMBERS).flatmap(
        lambda order: some.lists(some.sampled_from(NUMBERS), max_size=6).map(lambda more: [*order, *more])
    ),
    min_size=1,
    max_size=3,
)


@pytest.mark.parametrize("make", [feed, calendar, page], ids=["feed", "calendar", "page"])
@given(orders=ORDERS)
@MANY
def test_order_and_repetition_mean_nothing(
    sqlite_house: House, make: Callable[[list[int]], bytes], orders: list[list[int]]
) -> None:
    with trying(sqlite_house) as session:
        source = registry.add(
            session,
            registry.Wanted(
                url="https://site.example/x", every=timedelta(hours=1), zone="America/New_York", take_old=True
            ),
            actor="test",
            now=NOW,
        )
        first = take_page(session, source, read(make(NUMBERS)), NOW, today=NOW.date())
        assert first.drafts == len(NUMBERS)
        for order in orders:
            again = take_page(session, source, read(make(order)), NOW, today=NOW.date())
            assert again == Taken(unchanged=len(NUMBERS))
        assert count(session, Symposium) + count(session, Statement) == len(NUMBERS)
        assert count(session, Mailing) == count(session, Proposal) == 0


CHANGES = some.lists(some.lists(some.sampled_from(NUMBERS), unique=True, max_size=8), min_size=1, max_size=6)


@pytest.mark.parametrize("make", [feed, calendar, page], ids=["feed", "calendar", "page"])
@given(lists=CHANGES)
@MANY
def test_items_that_come_and_go_are_never_made_twice(
    sqlite_house: House,
    make: Callable[[list[int]], bytes],
    lists: list[list[int]],
) -> None:
    with trying(sqlite_house) as session:
        source = registry.add(
            session,
            registry.Wanted(url="https://site.example/x", every=timedelta(hours=1), zone="America/New_York"),
            actor="test",
            now=NOW,
        )
        for step, numbers in enumerate(lists):
            try:
                found = read(make(numbers))
            except PageError:
                continue
            take_page(session, source, found, NOW + timedelta(hours=step), today=NOW.date(), believe=True)
        titles = session.scalars(select(Symposium.title + " " + Symposium.raw)).all()
        assert len(titles) == len(set(titles)) <= len(NUMBERS)
        assert count(session, Mailing) == 0
        keys = session.scalars(select(SourceItem.key)).all()
        assert len(keys) == len(set(keys))


@given(
    name=some.sampled_from(
        ["statements.rss", "statements.atom", "statements.json", "symposia.ics", "symposia.html"]
    ),
    cuts=some.lists(some.tuples(some.integers(0, 4_000), some.text(max_size=12)), max_size=3),
)
@MANY
def test_a_spoiled_source_is_taken_or_refused_and_fits_into_the_database(
    sqlite_house: House, name: str, cuts: list[tuple[int, str]]
) -> None:
    text = (FIXTURES / name).read_text()
    for at, words in cuts:
        text = text[:at] + words + text[at:]
    try:
        found = read(text.encode("utf-8", "surrogatepass"))
    except PageError:
        return
    with trying(sqlite_house) as session:
        source = registry.add(
            session,
            registry.Wanted(
                url="https://site.example/x", every=timedelta(hours=1), zone="UTC", take_old=True
            ),
            actor="test",
            now=NOW,
        )
        take_page(session, source, found, NOW, today=NOW.date())
        session.flush()
        assert count(session, Mailing) == 0
