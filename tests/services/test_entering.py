"""What staff enter by hand: drafts of every exactness, each fact a person's own, none of them twice."""

from datetime import date, time

import pytest
from sqlalchemy import func, select

from mailer.db.mailings import Mailing
from mailer.db.programme import Statement, Symposium
from mailer.ingest.page import read_page
from mailer.services.house import House
from mailer.services.programme.dates import Moment, moment_of
from mailer.services.programme.entering import (
    EntryRefusal,
    StatementEntry,
    SymposiumEntry,
    enter_statement,
    enter_symposium,
)
from mailer.services.programme.ingesting import Fate, known_programme, review
from mailer.services.programme.refusals import StatementRefusal
from mailer.vocabulary import EndSource, Precision, StatementState
from tests.conftest import NOON

EXACT = Moment(
    precision=Precision.DATETIME, day=date(2024, 9, 27), wall_time=time(12), zone="America/New_York"
)
MOMENTS = [
    EXACT,
    Moment(precision=Precision.DATE, day=date(2024, 9, 27)),
    Moment(precision=Precision.MONTH, day=date(2024, 12, 1)),
    Moment(precision=Precision.YEAR, day=date(2025, 1, 1)),
    Moment(precision=Precision.NONE),
]


def statement(house: House, *, anyway: bool = False, **changes: object) -> Statement:
    facts = {"title": "A statement", "body": "First.\n\n**Second.**", "dated": date(2024, 1, 30)} | changes
    with house.database.write() as session:
        entry = StatementEntry(**facts)  # type: ignore[arg-type]
        return enter_statement(session, entry, actor="test", now=NOON, anyway=anyway)


def symposium(house: House, *, anyway: bool = False, **changes: object) -> Symposium:
    facts = {"title": "How to Identify Genocide", "moment": EXACT} | changes
    with house.database.write() as session:
        entry = SymposiumEntry(**facts)  # type: ignore[arg-type]
        return enter_symposium(session, entry, actor="test", now=NOON, anyway=anyway)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.precision.value)
def test_a_symposium_is_kept_as_exactly_as_it_is_known(house: House, moment: Moment) -> None:
    found = symposium(house, moment=moment, minutes=90, place="Online", series="A Year")
    assert moment_of(found) == moment
    assert (found.minutes, found.end_source, found.place) == (90, EndSource.ANNOUNCED, "Online")
    assert set(found.sources.values()) == {"staff"}
    assert found.questions == []


def test_a_title_of_that_date_is_there_already(house: House) -> None:
    symposium(house)
    with pytest.raises(EntryRefusal, match="how-to-identify-genocide"):
        symposium(house, title="“How to identify genocide”")
    assert symposium(house, anyway=True).slug == "how-to-identify-genocide-2"
    symposium(house, moment=MOMENTS[2])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"title": "  "}, "A title has"),
        ({"title": "x" * 301}, "A title has"),
        ({"minutes": 0}, "minutes"),
        ({"register_url": "javascript:alert(1)"}, "https://"),
        (
            {
                "moment": Moment(
                    precision=Precision.DATETIME,
                    day=date(2024, 3, 10),
                    wall_time=time(2, 30),
                    zone="America/New_York",
                )
            },
            "does not exist",
        ),
    ],
)
def test_what_cannot_be_is_refused(house: House, changes: dict[str, object], words: str) -> None:
    with pytest.raises(EntryRefusal, match=words):
        symposium(house, **changes)


def test_a_page_does_not_overwrite_what_a_person_entered(house: House) -> None:
    symposium(house)
    text = "\n".join(
        f"Friday, September {day}, 2024, {hour} ET, “{title}”"
        for day, hour, title in ((27, "2:00 p.m.", "How to Identify Genocide"), (20, "12noon", "Another"))
    )
    page = read_page(text, fetched_on=NOON.date(), source="page.txt")
    with house.database.read() as session:
        found = review(page, known_programme(session), today=NOON.date())
    assert [one.fate for one in found.findings] == [Fate.CHANGE, Fate.NEW]


def test_a_statement_is_a_draft_and_mails_nobody(house: House) -> None:
    found = statement(house, url="https://www.example.org/a?utm_source=x")
    assert (found.state, found.url) == (StatementState.DRAFT, "https://www.example.org/a")
    with house.database.read() as session:
        (text,) = session.get_one(Statement, found.id).texts
        assert (text.title, text.body) == ("A statement", "First.\n\n**Second.**")
        assert session.scalar(select(func.count()).select_from(Mailing)) == 0


def test_a_statement_is_not_entered_twice(house: House) -> None:
    statement(house)
    with pytest.raises(EntryRefusal, match="statement list"):
        statement(house)
    with pytest.raises(EntryRefusal, match="Perhaps"):
        statement(house, body="Other words.")
    assert statement(house, body="Other words.", anyway=True).slug == "a-statement-2"
    for body in (" \n", "x" * 100_000):
        with pytest.raises(StatementRefusal):
            statement(house, title="Another", body=body)
    with pytest.raises(StatementRefusal, match="language"):
        statement(house, title="Another", language="xx-nowhere")
