"""What a source leaves open is asked once, answered by a person, and never asked again or undone."""

from collections.abc import Callable
from datetime import date, time, timedelta

import pytest
from sqlalchemy import select

from mailer.db.mailings import Mailing
from mailer.db.programme import Proposal, Statement, Symposium
from mailer.db.staff import AuditEntry
from mailer.ingest.answers import Answers, NoAnswer, chosen, in_year
from mailer.services.house import House
from mailer.services.programme import answering, proposals
from mailer.services.programme.answering import AnswerRefusal
from mailer.services.sources import registry
from mailer.vocabulary import FieldSource, ItemFate, Precision, ProposalState
from tests.services.watching import (
    HOUR,
    NOON,
    Watch,
    announce_all,
    calendar,
    count,
    event,
    page,
    server,
    waiting,
    watch,
)
from tests.web_server import Reply, WebServer

__all__ = ["server", "watch"]  # the fixtures

NOT_SAID = "October 4, 12noon ET, “Talk about law”"  # neither year nor weekday
PLAIN = "Friday, October 11, 2024, 12noon ET, “Talk about aid”"
LAST = "Friday, October 18, 2024, 12noon ET, “Talk about memory”"


def asked(house: House) -> list[Proposal]:
    return [one for one in waiting(house) if one.question is not None]


def answer(house: House, number: int, said: Answers) -> list[str]:
    with house.database.write() as session:
        found = proposals.find(session, number)
        return answering.answer(session, found, said, actor="anna", now=NOON)


def accept(house: House, number: int) -> Mailing | None:
    with house.database.write() as session:
        return proposals.accept(session, house, proposals.find(session, number), actor="anna", now=NOON)


def reject(house: House, number: int) -> None:
    with house.database.write() as session:
        proposals.reject(session, proposals.find(session, number), actor="anna", now=NOON)


def symposium(house: House, title: str) -> Symposium:
    with house.database.read() as session:
        return session.scalars(select(Symposium).where(Symposium.title == title)).one()


def floating(uid: str, title: str, start: str = "20241004T120000") -> str:
    return f"BEGIN:VEVENT\r\nUID:{uid}\r\nSUMMARY:{title}\r\nDTSTART:{start}\r\nEND:VEVENT"


def draft_of(proposal: Proposal) -> answering.Question:
    return answering.question_of(proposal)


def test_a_missing_year_is_asked_answered_and_never_asked_again(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/p"] = page(NOT_SAID, PLAIN, LAST)
    one = watch("/p")
    assert (one.taken().held, count(house, Symposium)) == (1, 2)
    (question,) = asked(house)
    assert "Which year is it?" in question.note
    draft = draft_of(question).symposium
    assert draft is not None
    assert answer(house, question.id, in_year(draft, 2024)) == []
    assert count(house, Symposium) == 2
    accept(house, question.id)
    made = symposium(house, "Talk about law")
    assert (made.day, made.wall_time, made.zone) == (date(2024, 10, 4), time(12), "America/New_York")
    assert {made.sources[name] for name in ("year", "month", "day")} == {FieldSource.STAFF.value}
    assert (made.sources["time"], made.questions) == (FieldSource.EXPLICIT.value, [])
    assert one.items()["Talk about law"].fate is ItemFate.TAKEN
    assert one.items()["Talk about law"].symposium_id == made.id
    assert count(house, Mailing) == 0
    for lines in ((NOT_SAID, PLAIN, LAST), ("We begin.", "Friday, October 3, 2024", NOT_SAID, PLAIN, LAST)):
        server.pages["/p"] = page(*lines)
        one.taken()
        assert [each for each in waiting(house) if each.raw == NOT_SAID] == []
        assert symposium(house, "Talk about law").day == date(2024, 10, 4)
    with house.database.read() as session:
        actions = session.scalars(select(AuditEntry.action)).all()
        assert {"proposal-answered", "proposal-accepted"} <= set(actions)


def test_nothing_open_is_accepted(house: House, server: WebServer, watch: Callable[..., Watch]) -> None:
    server.pages["/p"] = page(NOT_SAID, PLAIN)
    watch("/p").taken()
    (question,) = asked(house)
    with pytest.raises(AnswerRefusal, match=f"proposal answer {question.id}"):
        accept(house, question.id)
    assert "--date" in " ".join(answer(house, question.id, Answers(title="A talk")))
    with pytest.raises(AnswerRefusal, match="Nobody has answered all"):
        accept(house, question.id)
    with pytest.raises(AnswerRefusal, match="Say the answer"):
        answer(house, question.id, Answers())
    assert count(house, Symposium) == 1


def test_a_contradiction_is_answered_by_one_of_its_readings(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/p"] = page("Monday, October 4, 2024, 12noon ET, “Talk about law”", PLAIN)
    one = watch("/p")
    one.taken()
    (question,) = asked(house)
    draft = draft_of(question).symposium
    assert draft is not None
    assert draft.readings == (date(2024, 10, 4), date(2024, 9, 30), date(2024, 10, 7))
    assert "--reading 1 for Fri 2024-10-04" in " ".join(answer(house, question.id, Answers(as_read=True)))
    with pytest.raises(NoAnswer, match="1 to 3"):
        chosen(draft, 4)
    assert answer(house, question.id, Answers(day=chosen(draft, 3))) == []
    accept(house, question.id)
    assert symposium(house, "Talk about law").day == date(2024, 10, 7)
    assert one.taken().held == 0
    assert waiting(house) == []


@pytest.mark.parametrize("start", ["DTSTART:20241004T120000", "DTSTART;TZID=Middle Earth:20241004T120000"])
def test_an_hour_without_a_place_is_answered_by_a_zone(
    house: House, server: WebServer, watch: Callable[..., Watch], start: str
) -> None:
    placeless = "\r\n".join(["BEGIN:VEVENT", "UID:1", "SUMMARY:Talk", start, "END:VEVENT"])
    server.pages["/c.ics"] = calendar(placeless)
    one = watch("/c.ics")
    one.taken()
    (question,) = asked(house)
    assert "--zone" in " ".join(answer(house, question.id, Answers(minutes=90)))
    assert answer(house, question.id, Answers(zone="Asia/Yerevan")) == []
    accept(house, question.id)
    made = symposium(house, "Talk")
    assert (made.wall_time, made.zone, made.minutes) == (time(12), "Asia/Yerevan", 90)
    assert (made.precision, made.sources["zone"]) == (Precision.DATETIME, "staff")
    server.pages["/c.ics"] = calendar(
        placeless.replace("SUMMARY", "X-NEW:1\r\nSUMMARY"), event("2", "B", "20241005T120000")
    )
    assert one.taken().held == 0
    assert waiting(house) == []


def test_an_hour_that_comes_twice_is_answered_by_first_or_later(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Talk", "20241103T013000"))
    watch("/c.ics").taken()
    (question,) = asked(house)
    assert "--fold" in " ".join(answer(house, question.id, Answers(as_read=True)))
    assert answer(house, question.id, Answers(later=True)) == []
    accept(house, question.id)
    made = symposium(house, "Talk")
    assert made.later
    assert made.starts_at is not None
    assert made.starts_at.hour == 6


def test_an_unread_line_is_asked_and_made_a_draft(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    line = "Friday 4 October at noon: Talk about law"
    server.pages["/p"] = page(PLAIN, line, LAST)
    one = watch("/p")
    one.taken()
    (question,) = asked(house)
    assert (question.raw, question.medium.value if question.medium else "") == (line, "page")
    left = answer(house, question.id, Answers(title="Talk about law"))
    assert "--date" in " ".join(left)
    answer(house, question.id, Answers(day=date(2024, 10, 4), hour=time(12)))
    assert answer(house, question.id, Answers(zone="America/New_York")) == []
    accept(house, question.id)
    assert symposium(house, "Talk about law").raw == line
    one.taken()
    assert waiting(house) == []
    # The site mends its line: it is the same symposium.
    server.pages["/p"] = page(PLAIN, "Friday, October 4, 2024, 12noon ET, “Talk about law”", LAST)
    one.taken()
    assert count(house, Symposium) == 3
    assert waiting(house) == []


def test_what_is_rejected_is_not_asked_again_and_no_longer_counted(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/p"] = page(NOT_SAID, PLAIN, LAST)
    one = watch("/p")
    one.taken()
    reject(house, asked(house)[0].id)
    assert one.items()["Talk about law"].fate is ItemFate.SEEN
    server.pages["/p"] = page("Some words.", NOT_SAID, PLAIN, LAST)
    one.taken()
    assert waiting(house) == []
    with house.database.read() as session:
        assert registry.held_counts(session, NOON.date()) == {}


def test_an_answer_that_waits_outlives_other_words_at_the_source(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(
        "BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Talk\r\nDTSTART:20241004T120000\r\nEND:VEVENT"
    )
    one = watch("/c.ics")
    one.taken()
    answer(house, asked(house)[0].id, Answers(zone="Asia/Yerevan"))
    server.pages["/c.ics"] = calendar(
        "BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:Talks\r\nDTSTART:20241004T120000\r\nEND:VEVENT"
    )
    one.taken()
    (question,) = asked(house)
    assert draft_of(question).answers.zone == "Asia/Yerevan"
    assert draft_of(question).title == "Talks"


def test_a_question_whose_line_is_gone_or_plain_now_is_withdrawn(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/p"] = page(NOT_SAID, PLAIN, LAST)
    one = watch("/p")
    one.taken()
    server.pages["/p"] = page("Friday, October 4, 2024, 12noon ET, “Talk about law”", PLAIN, LAST)
    assert one.taken().drafts == 1
    assert waiting(house) == []
    with house.database.read() as session:
        assert session.scalars(select(Proposal.state)).all() == [ProposalState.WITHDRAWN]


def test_a_known_symposium_takes_the_answer_when_it_is_accepted(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Talk", "20241004T120000"))
    one = watch("/c.ics")
    one.taken()
    announce_all(house)
    server.pages["/c.ics"] = calendar(floating("1", "Talk", "20241011T120000"))
    one.taken()
    (question,) = asked(house)
    assert answer(house, question.id, Answers(zone="Europe/Kyiv")) == []
    assert symposium(house, "Talk").day == date(2024, 10, 4)
    assert accept(house, question.id) is not None
    moved = symposium(house, "Talk")
    assert (moved.day, moved.zone) == (date(2024, 10, 11), "Europe/Kyiv")
    assert one.taken(NOON + HOUR).held == 0
    assert waiting(house) == []


def test_one_that_staff_entered_meanwhile_is_named(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/p"] = page(NOT_SAID, PLAIN)
    server.pages["/q"] = page("Friday, October 4, 2024, 12noon ET, “Talk about law”", PLAIN)
    one = watch("/p")
    one.taken()
    watch("/q").taken()
    (question,) = asked(house)
    answer(house, question.id, Answers(day=date(2024, 10, 4)))
    with pytest.raises(AnswerRefusal, match="--is talk-about-law"):
        accept(house, question.id)
    known = symposium(house, "Talk about law")
    assert answer(house, question.id, Answers(same_as=known.id)) == []
    accept(house, question.id)
    assert one.items()["Talk about law"].symposium_id == known.id
    assert count(house, Symposium) == 2
    server.pages["/p"] = page("Some words.", NOT_SAID, PLAIN)
    one.taken()
    assert waiting(house) == []


def test_a_statement_much_like_a_known_one_is_asked(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    def feed(guid: str) -> Reply:
        text = (
            f'<rss version="2.0"><channel><title>t</title><item><title>On peace</title><guid>{guid}</guid>'
            f"<link>https://site.example/{guid}</link><pubDate>Sun, 01 Sep 2024 10:00:00 GMT</pubDate>"
            f"<description>Words about it, number {guid}.</description></item></channel></rss>"
        )
        return Reply(text.encode())

    server.pages["/a"], server.pages["/b"] = feed("a"), feed("b")
    watch("/a", take_old=True).taken()
    other = watch("/b", take_old=True)
    other.taken()
    (question,) = asked(house)
    assert "perhaps" in question.note.lower() or "title" in question.note
    with pytest.raises(AnswerRefusal, match="statement"):
        answer(house, question.id, Answers(day=date(2024, 10, 4)))
    assert answer(house, question.id, Answers(as_read=True)) == []
    accept(house, question.id)
    assert (count(house, Statement), count(house, Mailing)) == (2, 0)
    other.taken(NOON + timedelta(days=1))
    assert waiting(house) == []


def test_questions_of_one_source_come_fifty_at_a_time(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(*(floating(str(n), f"Talk {n}") for n in range(60)))
    one = watch("/c.ics")
    assert one.taken().held == 60
    assert len(asked(house)) == 50
    for question in asked(house)[:10]:
        reject(house, question.id)
    one.taken()
    assert len(asked(house)) == 50
