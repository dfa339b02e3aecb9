"""Sources that misbehave, and staff who act at the same moment: nothing twice, nothing lost, staff win."""

import threading
from collections.abc import Callable
from datetime import date, time, timedelta

import pytest
from sqlalchemy import select

from mailer.db.mailings import Mailing
from mailer.db.programme import Proposal, Statement, Symposium
from mailer.db.staff import AuditEntry
from mailer.services.house import House
from mailer.services.programme import proposals, symposia
from mailer.services.programme.dates import Moment
from mailer.services.programme.entering import SymposiumEntry, enter_symposium
from mailer.services.programme.proposals import ProposalRefusal
from mailer.services.programme.symposia import Edit
from mailer.services.sources import registry
from mailer.vocabulary import ItemFate, Precision
from tests.services.watching import (
    NOON,
    Watch,
    announce_all,
    calendar,
    count,
    event,
    line,
    page,
    rss,
    server,
    waiting,
    watch,
)
from tests.web_server import WebServer

pytestmark = pytest.mark.slow

__all__ = ["server", "watch"]  # the fixtures

DAY = timedelta(days=1)


def only(house: House) -> Symposium:
    with house.database.read() as session:
        return session.scalars(select(Symposium)).one()


def accept(house: House, number: int) -> Mailing | None:
    with house.database.write() as session:
        return proposals.accept(session, house, proposals.find(session, number), actor="anna", now=NOON)


def edit(house: House, new: Edit) -> None:
    with house.database.write() as session:
        one = session.scalars(select(Symposium)).one()
        symposia.edit(session, house, one, new, actor="anna", now=NOON)


def test_an_event_whose_key_changes_at_every_fetch_is_one_event(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("first", "Talk", "20241004T120000"))
    one = watch("/c.ics")
    one.taken()
    announce_all(house)
    for number in range(3):
        server.pages["/c.ics"] = calendar(event(f"other-{number}", "Talk", "20241004T120000"))
        one.taken()
        assert count(house, Symposium) == 1
        assert waiting(house) == []
    server.pages["/c.ics"] = calendar(event("other-2", "Talk", "20241011T120000"))
    assert one.taken().proposals == 1


def test_an_event_under_two_keys_in_one_file_is_one_draft_and_a_question(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    twice = calendar(event("a", "Talk", "20241004T120000"), event("b", "Talk", "20241004T120000"))
    server.pages["/c.ics"] = twice
    one = watch("/c.ics")
    assert one.taken().drafts == 1
    (question,) = waiting(house)
    assert "twice" in question.note
    one.taken()
    assert (count(house, Symposium), len(waiting(house))) == (1, 1)


def test_two_calendars_that_list_one_event_make_one_draft(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/a.ics"] = calendar(event("a", "Talk", "20241004T120000"))
    server.pages["/b.ics"] = calendar(
        event("b", "Talk", "20241004T120000"), event("c", "Talk", "20241011T120000")
    )
    watch("/a.ics").taken()
    other = watch("/b.ics")
    other.taken()
    assert count(house, Symposium) == 2  # the second of the other's is another day
    assert other.items()["Talk"].symposium_id is not None
    assert waiting(house) == []


def test_a_move_that_waits_outlives_a_fetch_that_missed_the_event(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    others = [event(str(n), f"Talk {n}", f"2024100{n}T120000") for n in (2, 3, 4)]
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241010T120000"), *others)
    one = watch("/c.ics")
    one.taken()
    moved = calendar(event("1", "Ahead", "20241011T120000"), *others)
    server.pages["/c.ics"] = moved
    assert one.taken().proposals == 1
    server.pages["/c.ics"] = calendar(*others)
    assert one.taken().vanished == 1
    server.pages["/c.ics"] = moved
    one.taken()
    (proposal,) = waiting(house)
    assert proposal.changes == {"day": ["2024-10-10", "2024-10-11"]}


def test_what_staff_set_meanwhile_is_not_overwritten_by_an_older_proposal(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241004T120000"))
    one = watch("/c.ics")
    one.taken()
    announce_all(house)
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241011T130000"))
    one.taken()
    (proposal,) = waiting(house)
    noon = Moment(
        precision=Precision.DATETIME, day=date(2024, 10, 18), wall_time=time(12), zone="America/New_York"
    )
    edit(house, Edit(moment=noon))
    with pytest.raises(ProposalRefusal, match=r"2024-10-18.*reject"):
        accept(house, proposal.id)
    assert only(house).day == date(2024, 10, 18)
    with house.database.write() as session:
        proposals.reject(session, proposals.find(session, proposal.id), actor="anna", now=NOON)
    one.taken()
    assert waiting(house) == []


def test_a_new_hour_is_not_taken_to_a_day_that_staff_set_meanwhile(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241004T120000"))
    one = watch("/c.ics")
    one.taken()
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241004T130000"))
    one.taken()
    (proposal,) = waiting(house)
    other_day = Moment(
        precision=Precision.DATETIME, day=date(2024, 10, 18), wall_time=time(12), zone="America/New_York"
    )
    edit(house, Edit(moment=other_day))
    with pytest.raises(ProposalRefusal, match="meanwhile"):
        accept(house, proposal.id)


def test_two_staff_who_accept_at_once_change_it_once(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/f"] = rss(1)
    one = watch("/f", take_old=True)
    one.taken()
    server.pages["/f"] = rss(1, words="Other words, and more of them.")
    one.taken()
    (proposal,) = waiting(house)
    both, said = threading.Barrier(2, timeout=30), []

    def decide() -> None:
        both.wait()
        try:
            accept(house, proposal.id)
            said.append("accepted")
        except ProposalRefusal:
            said.append("refused")

    threads = [threading.Thread(target=decide) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == ["accepted", "refused"]
    with house.database.read() as session:
        assert session.scalars(select(Statement)).one().version == 2
        actions = session.scalars(select(AuditEntry.action)).all()
        assert actions.count("proposal-accepted") == 1


def test_a_new_title_does_not_move_an_hour_that_comes_twice(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241103T003000"))
    one = watch("/c.ics")
    one.taken()
    later = Moment(
        precision=Precision.DATETIME,
        day=date(2024, 11, 3),
        wall_time=time(1, 30),
        zone="America/New_York",
        later=True,
    )
    edit(house, Edit(moment=later))
    with house.database.write() as session:
        found = session.scalars(select(Symposium)).one()
        wanted = Proposal(
            fingerprint="f",
            symposium_id=found.id,
            changes={"title": ["Ahead", "Renamed"]},
            raw="",
            created_at=NOON,
        )
        session.add(wanted)
        session.flush()
        number = wanted.id
    accept(house, number)
    after = only(house)
    assert (after.title, after.later) == ("Renamed", True)


@pytest.mark.parametrize(("said", "day"), [("October 2024 (date TBA), “Talk about law”", date(2024, 10, 1))])
def test_a_day_that_is_withdrawn_leaves_the_month(
    house: House, server: WebServer, watch: Callable[..., Watch], said: str, day: date
) -> None:
    server.pages["/p"] = page(line(4, "Talk about law"), line(11, "Talk about aid"))
    one = watch("/p")
    one.taken()
    server.pages["/p"] = page(said, line(11, "Talk about aid"))
    one.taken()
    (proposal,) = waiting(house)
    accept(house, proposal.id)
    with house.database.read() as session:
        found = session.scalars(select(Symposium).where(Symposium.title == "Talk about law")).one()
    assert (found.precision, found.day, found.wall_time) == (Precision.MONTH, day, None)


def test_a_calendar_that_no_longer_counts_its_changes_is_still_heard(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241004T120000", "SEQUENCE:3"))
    one = watch("/c.ics")
    one.taken()
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241011T120000"))
    assert one.taken().proposals == 1


def test_a_source_that_was_forgotten_and_added_again_uses_its_keys_anew(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Annual talk", "20241004T120000"))
    one = watch("/c.ics")
    one.taken()
    with house.database.write() as session:
        registry.remove(session, registry.find(session, str(one.id)), actor="t", now=NOON)
    server.pages["/c.ics"] = calendar(event("1", "Annual talk", "20251003T120000"))
    again = watch("/c.ics")
    assert again.taken(NOON + 365 * DAY).drafts == 1


def test_an_event_that_was_over_and_is_ahead_again_is_proposed(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20240902T120000"))
    one = watch("/c.ics")
    one.taken()
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241011T120000"))
    assert one.taken(NOON + 3 * DAY).proposals == 1


def test_a_year_alone_is_not_over_before_it_ends(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    with house.database.write() as session:
        year = Moment(precision=Precision.YEAR, day=date(2024, 1, 1))
        entry = SymposiumEntry(title="Talk about law", moment=year)
        enter_symposium(session, entry, actor="anna", now=NOON)
    server.pages["/p"] = page(line(4, "Talk about law"), line(11, "Talk about aid"))
    assert watch("/p").taken().drafts == 1
    (proposal,) = waiting(house)
    assert proposal.changes["day"] == [None, "2024-10-04"]
    accept(house, proposal.id)


def test_a_single_line_in_a_feed_s_post_is_asked_about(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/f"] = rss(1)
    one = watch("/f")
    one.taken()
    words = f"&lt;p&gt;Join us.&lt;/p&gt;&lt;p&gt;{line(4, 'Talk about law')}&lt;/p&gt;"
    server.pages["/f"] = rss(1, 2, words=words)
    one.taken()
    assert any("Talk about law" in each.raw for each in waiting(house))


def test_a_language_that_is_none_is_refused_when_the_source_is_added(house: House) -> None:
    wanted = registry.Wanted(
        url="https://example.org/", every=timedelta(hours=1), zone="UTC", language="klingon-of-the-north"
    )
    with house.database.write() as session, pytest.raises(registry.SourceRefusal, match="language"):
        registry.add(session, wanted, actor="t", now=NOON)


@pytest.mark.parametrize("kind", ["page", "calendar"])
def test_a_source_s_word_for_a_zone_is_said_once(
    house: House, server: WebServer, watch: Callable[..., Watch], kind: str
) -> None:
    lines = [f"Friday, October {day}, 2024, 12noon CST, “Talk {day}”" for day in (4, 11)]
    events = [event(str(day), f"Talk {day}", f"202410{day:02}T120000") for day in (4, 11)]
    central = [each.replace("America/New_York", "CST") for each in events]
    server.pages["/p"] = page(*lines) if kind == "page" else calendar(*central)
    one = watch("/p")
    assert one.taken().held == 2
    with house.database.write() as session:
        word, zone = registry.read_zone_name("CST = America/Chicago")
        registry.name_zone(session, registry.find(session, str(one.id)), word, zone, actor="anna", now=NOON)
    assert one.taken().drafts == 2
    assert waiting(house) == []
    with house.database.read() as session:
        assert set(session.scalars(select(Symposium.zone))) == {"America/Chicago"}


@pytest.mark.parametrize("text", ["CST", "CST=", "=America/Chicago", "CST=Mars/Base", "CST=EST", "a" * 99])
def test_a_word_for_a_zone_that_means_none_is_refused(text: str) -> None:
    with pytest.raises(registry.SourceRefusal, match="CST=America/Chicago"):
        registry.read_zone_name(text)


def test_one_of_several_on_a_day_that_is_gone_is_told_and_the_rest_stays(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(*(event(str(n), f"Talk {n}", "20241004T120000") for n in range(4)))
    one = watch("/c.ics")
    one.taken()
    server.pages["/c.ics"] = calendar(*(event(str(n), f"Talk {n}", "20241004T120000") for n in range(3)))
    assert one.taken().vanished == 1
    assert one.items()["Talk 3"].fate is ItemFate.TAKEN
