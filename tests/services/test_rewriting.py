"""Rewriting a statement that is not out: an approval is of the words that were read, and of no others."""

from datetime import datetime, timedelta

import pytest

from mailer.db.embargoes import Embargo
from mailer.db.programme import Statement
from mailer.services.house import House
from mailer.services.programme import embargo, review, statements
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.programme.review import ReviewRefusal
from mailer.services.programme.rewriting import rewrite
from mailer.services.sending.embargo_time import at_instant
from mailer.services.sending.statement_content import text_for
from mailer.vocabulary import EmbargoHold, StatementState

ANNA, BEN = "cli:anna", "cli:ben"


def reword(
    house: House, statement: int, now: datetime, *, title: str | None = None, body: str | None
) -> list[str]:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        return rewrite(session, found, title=title, body=body, actor=ANNA, now=now)


def ask(house: House, statement: int, now: datetime) -> str:
    """Anna asks for the review; the mark of what she asks it for."""
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        review.ask(session, found, actor=ANNA, now=now)
        return review.mark(session, found)


def approve(house: House, statement: int, now: datetime, mark: str | None = None) -> None:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        embargo.approve(session, house, found, actor=BEN, now=now, as_read=mark)


def test_a_draft_is_rewritten_and_says_which_translations_are_of_the_earlier_text(
    house: House, statement: int, now: datetime
) -> None:
    assert reword(house, statement, now, title="  A better\u00a0 title ", body=None) == ["hy"]
    with house.database.read() as session:
        text = text_for(session, session.get_one(Statement, statement), "en")
    assert (text.title, text.body.splitlines()[0]) == ("A better title", "First paragraph of en.")


def test_only_what_was_read_is_approved(house: House, statement: int, now: datetime) -> None:
    read = ask(house, statement, now)
    reword(house, statement, now, body="Another text altogether.")
    with pytest.raises(ReviewRefusal, match="not the one with the mark"):
        approve(house, statement, now, read)
    with house.database.read() as session:
        mark = review.mark(session, session.get_one(Statement, statement))
    assert mark != read
    approve(house, statement, now, mark.upper())
    with house.database.write() as session:
        statements.publish(session, house, session.get_one(Statement, statement), actor=ANNA, now=now)


def test_an_approval_does_not_outlive_its_text(house: House, statement: int, now: datetime) -> None:
    approve(house, statement, now, ask(house, statement, now))
    reword(house, statement, now, body="Another text altogether.")
    with (
        house.database.write() as session,
        pytest.raises(ReviewRefusal, match="changed after"),
    ):
        statements.publish(session, house, session.get_one(Statement, statement), actor=ANNA, now=now)


def test_an_embargo_is_held_there_and_then(house: House, statement: int, now: datetime) -> None:
    approve(house, statement, now, ask(house, statement, now))
    until = at_instant(now + timedelta(hours=1), "UTC")
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        embargo.schedule(session, house, found, until, actor=ANNA, now=now)
    reword(house, statement, now, body="Another text altogether.")
    with house.database.read() as session:
        assert session.get_one(Embargo, statement).held is EmbargoHold.EDITED
    approve(house, statement, now)
    with house.database.read() as session:
        assert session.get_one(Embargo, statement).held is None


@pytest.mark.parametrize("state", [StatementState.PUBLISHED, StatementState.RETRACTED])
def test_what_readers_may_have_is_corrected_and_not_rewritten(
    house: House, statement: int, now: datetime, state: StatementState
) -> None:
    with house.database.write() as session:
        session.get_one(Statement, statement).state = state
    with pytest.raises(StatementRefusal, match="mailer statement correct a-statement"):
        reword(house, statement, now, body="Another text altogether.")


@pytest.mark.parametrize(
    ("title", "body", "why"),
    [
        (None, "First paragraph of en.\n\nSecond paragraph.", "as it stands already"),
        (" ", None, "one line of 1 to 300"),
        (None, " \n", "must have 1 to"),
        (None, "x" * 60_001, "must have 1 to"),
        (None, "[only-a-name]: https://example.org", "empty once its Markdown is read"),
    ],
)
def test_a_text_that_no_mail_could_carry_changes_nothing(
    house: House, statement: int, now: datetime, title: str | None, body: str | None, why: str
) -> None:
    with pytest.raises(StatementRefusal, match=why):
        reword(house, statement, now, title=title, body=body)
    with house.database.read() as session:
        text = text_for(session, session.get_one(Statement, statement), "en")
    assert text.title == "A statement on prisoners of war"
