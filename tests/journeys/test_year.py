"""The example programme through its whole year 2024, from the page to the last calendar entry.

Seven symposia, people in five zones who read four languages; a date that is moved, one that is moved and
moved back, one that is called off, one that was open and is fixed; a statement that is corrected, and one
under embargo, told at once or in digests. The ledger beside this
file holds every mail: when it left in New York and on the reader's clock, to whom, what, and the reader's own
time as the mail says it.

After a change that is meant: UPDATE_SNAPSHOTS=1 pytest tests/journeys/test_year.py, then read the diff.
"""

import io
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import date, time
from importlib import resources
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db.audience import books
from mailer.db.mailings import Mailing
from mailer.db.programme import Registration, Statement, Symposium
from mailer.ingest.page import read_page
from mailer.ingest.people import read_people
from mailer.services.audience import people
from mailer.services.audience.importing import import_people
from mailer.services.audience.preferences import set_frequency
from mailer.services.house import House
from mailer.services.programme import (
    corrections,
    embargo,
    places,
    recordings,
    review,
    statements,
    symposia,
    translations,
)
from mailer.services.programme.dates import Moment
from mailer.services.programme.entering import StatementEntry, enter_statement
from mailer.services.programme.ingesting import known_programme, store
from mailer.services.programme.ingesting import review as review_page
from mailer.services.programme.register import Attendee, register
from mailer.services.programme.symposia import SymposiumRefusal
from mailer.services.sending.embargo_time import at_instant
from mailer.vocabulary import Frequency, MailingKind, MailingState, Precision, SymposiumState
from tests.journeys.year import NEW_YORK, Year, at
from tests.recordings import RecordingServer
from tests.smtp_server import MailServer

LEDGER = Path(__file__).parent / "year_2024.txt"
ACTOR = "test"

# name: address, language, zone, how often they hear of statements
PEOPLE = {
    "Grace": ("grace@example.org", "en", NEW_YORK, "at_once"),
    "Anahit": ("anahit@example.org", "hy", "Asia/Yerevan", "at_once"),
    "Olena": ("olena@example.org", "uk", "Europe/Kyiv", "daily"),
    "Ruth": ("ruth@example.org", "en", "Australia/Sydney", "weekly"),
    "Claire": ("claire@example.org", "fr", "Europe/Paris", "at_once"),
}
UKRAINE, ARMENIANS, GAZA, RESTORATIVE, CHARGE, FEMICIDE, SUMMIT = range(7)
COMING = {
    "Grace": (UKRAINE, ARMENIANS, GAZA, RESTORATIVE, CHARGE, FEMICIDE, SUMMIT),
    "Anahit": (UKRAINE, ARMENIANS, GAZA, RESTORATIVE, CHARGE, FEMICIDE, SUMMIT),
    "Olena": (UKRAINE, ARMENIANS, RESTORATIVE, SUMMIT),
    "Ruth": (UKRAINE, ARMENIANS, CHARGE),
}
KIND = MailingKind
# Three reminders for each date that took place, but for what is named in the year's steps.
EXPECTED = {
    "Grace": {
        KIND.STATEMENT_ALERT: 2,
        KIND.CORRECTION: 1,
        KIND.REGISTRATION_CONFIRMATION: 7,
        KIND.REMINDER: 18,  # of the six that took place
        KIND.CHANGE: 1,
        KIND.CANCELLATION: 1,
        KIND.DATE_FIXED: 1,
        KIND.FOLLOW_UP: 1,
    },
    "Anahit": {
        KIND.STATEMENT_ALERT: 2,
        KIND.CORRECTION: 1,
        KIND.REGISTRATION_CONFIRMATION: 7,
        KIND.REMINDER: 18,
        KIND.CHANGE: 1,
        KIND.CANCELLATION: 1,
        KIND.DATE_FIXED: 1,
        KIND.FOLLOW_UP: 1,
    },
    "Olena": {
        KIND.DIGEST: 2,
        KIND.CORRECTION: 1,
        KIND.REGISTRATION_CONFIRMATION: 4,
        KIND.WITHDRAWAL: 1,
        KIND.REMINDER: 10,  # of the one in March that she withdrew from only the first
        KIND.DATE_FIXED: 1,
        KIND.FOLLOW_UP: 1,
    },
    "Ruth": {
        KIND.DIGEST: 2,
        KIND.CORRECTION: 1,
        KIND.REGISTRATION_CONFIRMATION: 3,
        KIND.REMINDER: 9,
        KIND.FOLLOW_UP: 1,
    },
    "Claire": {
        KIND.STATEMENT_ALERT: 2,
        KIND.CORRECTION: 1,
        KIND.REGISTRATION_CONFIRMATION: 1,  # half an hour before the start: nothing reminds her
        KIND.FOLLOW_UP: 1,
    },
}


pytestmark = pytest.mark.slow


@pytest.fixture
def year(house: House, server: MailServer) -> Iterator[Year]:
    """The house on 15 January 2024, with nobody in it."""
    year = Year(house, server, at("2024-01-15T15:00"))
    for name, (address, language, zone, _) in PEOPLE.items():
        year.know(address, name, language, zone)
    yield year
    year.close()


def read_the_page(year: Year) -> None:
    text = resources.files("mailer.ingest").joinpath("sample_page.txt").read_text("utf-8")
    draft = read_page(text, fetched_on=year.now.date(), source="file:sample_page.txt")
    with year.house.database.write() as session:
        stored = store(
            session,
            review_page(draft, known_programme(session), today=year.now.date()),
            actor=ACTOR,
            now=year.now,
        )
        assert stored.new == 8


def symposia_of(year: Year) -> list[int]:
    """The seven in the page's order."""
    with year.house.database.read() as session:
        return list(session.scalars(select(Symposium.id).order_by(Symposium.id)))


def announce_all(year: Year) -> None:
    """September's line names no year: nothing of it is announced before a person has confirmed it."""
    with year.house.database.write() as session:
        for number in symposia_of(year):
            one = session.get_one(Symposium, number)
            if one.questions:
                assert one.day == date(2024, 9, 27)
                with pytest.raises(SymposiumRefusal, match="symposium confirm"):
                    symposia.announce_symposium(session, year.house, one, actor=ACTOR, now=year.now)
                symposia.confirm(session, one, actor=ACTOR, now=year.now)
            symposia.announce_symposium(session, year.house, one, actor=ACTOR, now=year.now)
            assert one.state is SymposiumState.ANNOUNCED


def import_readers(year: Year) -> None:
    header = "email,name,language,topics,zone,frequency\n"
    rows = "".join(
        f"{address},{name},{language},statements,{zone},{often}\n"
        for name, (address, language, zone, often) in PEOPLE.items()
    )
    found = read_people(
        io.BytesIO((header + rows).encode()), known_topics=frozenset({"statements"}), default_language="en"
    )
    done = import_people(year.house, found, consent="paper forms, 2023", actor=ACTOR, now=year.now)
    assert (done.added, done.rejects) == (5, [])


def publish(year: Year) -> None:
    with year.house.database.write() as session:
        one = session.scalars(select(Statement)).one()
        statements.publish(session, year.house, one, actor=ACTOR, now=year.now)


def join(year: Year, name: str, which: int) -> None:
    address, language, zone, _ = PEOPLE[name]
    with year.house.database.write() as session:
        one = session.get_one(Symposium, symposia_of(year)[which])
        attendee = Attendee(address=address, name=name, languages=(language,), zone=zone)
        register(session, year.house, one, attendee, year.now)


def withdraw(year: Year, name: str, which: int) -> None:
    with year.house.database.write() as session:
        person = people.find(session, year.house, PEOPLE[name][0])
        one = session.get_one(Symposium, symposia_of(year)[which])
        assert person is not None
        theirs = session.scalars(
            select(Registration).where(
                Registration.symposium_id == one.id, Registration.subscriber_id == person.id
            )
        ).one()
        places.give_back(session, year.house, one, theirs, year.now)


def move(year: Year, which: int, day: date) -> None:
    with year.house.database.write() as session:
        one = session.get_one(Symposium, symposia_of(year)[which])
        moment = Moment(precision=Precision.DATETIME, day=day, wall_time=time(12), zone=NEW_YORK)
        assert symposia.move(session, year.house, one, moment, actor=ACTOR, now=year.now)


def call_off(year: Year, which: int) -> None:
    with year.house.database.write() as session:
        one = session.get_one(Symposium, symposia_of(year)[which])
        symposia.call_off(
            session, year.house, one, reason="The speaker has fallen ill.", actor=ACTOR, now=year.now
        )


def correct(year: Year) -> None:
    """A number in the statement was wrong: whoever read it, at once or in a digest, is told."""
    with year.house.database.write() as session:
        one = session.scalars(select(Statement)).one()
        draft = corrections.draft_correction(
            session,
            one,
            title=None,
            body="The corrected statement, with the date of the ceasefire as it was.",
            wrong="The date of the ceasefire was wrong.",
            right="It was 10 November 2020.",
            actor=ACTOR,
            now=year.now,
        )
        corrections.announce(session, draft, one, actor=ACTOR, now=year.now)


def prepare_a_statement(year: Year) -> None:
    """In English and Armenian, approved by a second person, under embargo until noon on 10 June."""
    with year.house.database.write() as session:
        entry = StatementEntry(
            title="Statement on the Missing", body="Where are they?", dated=date(2024, 6, 10), language="en"
        )
        one = enter_statement(session, entry, actor=ACTOR, now=year.now)
        translations.translate(
            session,
            year.house,
            one,
            language="hy",
            title="Հայտարարություն անհետացածների մասին",
            body="Որտե՞ղ են նրանք։",
            ready=True,
            actor=ACTOR,
            now=year.now,
        )
        review.ask(session, one, actor="cli:anna", now=year.now)
        review.approve(session, one, actor="cli:ben", now=year.now)
        until = at_instant(at("2024-06-10T16:00"), NEW_YORK)
        embargo.schedule(session, year.house, one, until, actor="cli:anna", now=year.now)


def choose(year: Year, name: str, often: Frequency) -> None:
    with year.house.database.write() as session:
        person = people.find(session, year.house, PEOPLE[name][0])
        assert person is not None
        assert set_frequency(session, person.id, "statements", often)


def follow_up(year: Year, which: int) -> None:
    with tempfile.TemporaryDirectory() as folder, RecordingServer(Path(folder)) as recording:
        with year.house.database.write() as session:
            one = session.get_one(Symposium, symposia_of(year)[which])
            symposia.approve_follow_up(
                session, year.house, one, recording_url=recording.url, actor=ACTOR, now=year.now
            )
        asked = recordings.ask_due(year.house, year.now, limits=recording.limits, resolve=recording.resolve)
        assert asked == 1


def live_through(year: Year) -> None:
    """What staff and people do in the course of the year."""
    read_the_page(year)
    announce_all(year)
    import_readers(year)
    year.until(at("2024-01-17T17:00"))
    publish(year)
    year.until(at("2024-01-20T10:00"))
    for name, numbers in COMING.items():
        for which in numbers:
            join(year, name, which)
    year.until(at("2024-02-05T14:00"))
    move(year, GAZA, date(2024, 5, 10))
    year.until(at("2024-02-12T15:00"))
    correct(year)
    year.until(at("2024-02-23T16:30"))
    join(year, "Claire", UKRAINE)
    year.until(at("2024-02-24T15:00"))
    follow_up(year, UKRAINE)
    year.until(at("2024-03-20T09:00"))
    withdraw(year, "Olena", ARMENIANS)
    year.until(at("2024-06-03T14:00"))
    move(year, RESTORATIVE, date(2024, 8, 2))
    move(year, RESTORATIVE, date(2024, 7, 26))
    prepare_a_statement(year)
    year.until(at("2024-06-09T12:00"))
    choose(year, "Grace", Frequency.WEEKLY)  # before the embargo's end, and she keeps her place in the alert
    year.until(at("2024-06-11T02:00"))
    choose(year, "Olena", Frequency.AT_ONCE)  # what she is owed still comes with a digest, once
    year.until(at("2024-11-01T15:00"))
    call_off(year, FEMICIDE)
    year.until(at("2024-11-04T15:00"))
    move(year, SUMMIT, date(2024, 12, 12))
    year.until(at("2025-01-15T15:00"))


def test_a_year_of_the_programme(year: Year) -> None:
    live_through(year)

    told = "".join(f"{one}\n" for one in year.sent)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        LEDGER.write_text(told, encoding="utf-8")
    assert LEDGER.read_text(encoding="utf-8") == told

    counted: dict[str, Counter[MailingKind]] = {name: Counter() for name in PEOPLE}
    for one in year.sent:
        counted[one.name][one.kind] += 1
    assert {name: dict(kinds) for name, kinds in counted.items()} == EXPECTED

    assert len({(one.name, one.mailing) for one in year.sent}) == len(year.sent)
    before = [one for one in year.sent if one.starts_at is not None and one.kind is not KIND.FOLLOW_UP]
    late = [one for one in before if one.starts_at is not None and one.at >= one.starts_at]
    assert late == []

    with year.house.database.read() as session:
        for mailing in session.scalars(select(Mailing)):
            account = books(session, mailing.id)
            assert account.balanced, mailing.key
            assert (account.open, account.in_doubt, account.failed) == (0, 0, 0), mailing.key
            assert mailing.state is MailingState.DONE, mailing.key
