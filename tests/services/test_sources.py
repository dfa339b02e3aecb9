"""Watched sources against a real web server: fetched politely, compared, and never a mail."""

import gzip
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from mailer.db.mailings import Mailing
from mailer.db.programme import Proposal, Statement, Symposium
from mailer.db.sources import RobotsFile, Source
from mailer.ingest.errors import FetchError
from mailer.services.house import House
from mailer.services.programme import proposals
from mailer.services.programme.proposals import ProposalRefusal
from mailer.services.sources import lease, registry
from mailer.services.sources.check import check, check_due, check_now
from mailer.services.sources.registry import SourceRefusal, Wanted
from mailer.services.sources.taking import Taken
from mailer.vocabulary import ItemFate, ProposalState, SourceKind, SourceState, SymposiumState
from tests.services.watching import (
    HOUR,
    ICS,
    NOON,
    Watch,
    announce_all,
    calendar,
    count,
    event,
    incidents,
    line,
    page,
    rss,
    server,
    waiting,
    watch,
)
from tests.web_server import Reply, WebServer
from workers import tasks

__all__ = ["server", "watch"]  # the fixtures


def test_the_first_read_marks_all_as_seen_and_later_ones_are_drafts(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = rss(1, 2)
    one = watch("/feed")
    assert one.taken() == Taken(first=True, seen=2)
    assert count(house, Statement) == 0
    server.pages["/feed"] = rss(3, 1, 2)
    assert one.taken() == Taken(drafts=1, unchanged=2)
    assert one.taken() == Taken(unchanged=3)
    assert count(house, Statement) == 1
    assert count(house, Mailing) == 0
    assert one.row.kind is SourceKind.FEED


def test_what_was_only_seen_stays_so_when_its_words_change(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = rss(1)
    one = watch("/feed")
    one.taken()
    server.pages["/feed"] = rss(1, words="A typing error is mended.")
    assert one.taken() == Taken(seen=1)
    assert count(house, Statement) == 0


def test_statements_that_are_there_already_can_be_asked_for(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = rss(1, 2)
    assert watch("/feed", take_old=True).taken().drafts == 2
    assert count(house, Mailing) == 0


def test_events_ahead_become_drafts_and_events_behind_are_only_seen(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(
        event("1", "Ahead", "20241004T120000"),
        event("2", "Behind", "20240801T120000"),
        event("3", "Called off", "20241005T120000", "STATUS:CANCELLED"),
        event("4", "Backwards", "20241006T120000", "DTEND;TZID=America/New_York:20241006T110000"),
    )
    one = watch("/c.ics")
    assert one.taken() == Taken(first=True, drafts=1, seen=2, held=1)
    items = one.items()
    assert items["Ahead"].symposium_id is not None
    assert items["Behind"].fate is ItemFate.SEEN
    assert "before it starts" in items["Backwards"].why
    assert one.taken() == Taken(unchanged=4)
    with house.database.read() as session:
        assert registry.held_counts(session, NOON.date()) == {one.id: 1}


def test_a_moved_event_is_a_proposal_and_accepting_it_moves(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241004T120000"))
    one = watch("/c.ics")
    one.taken()
    announce_all(house)
    planned = count(house, Mailing)
    server.pages["/c.ics"] = calendar(event("1", "Ahead, renamed", "20241011T130000", "SEQUENCE:1"))
    assert one.taken().proposals == 1
    assert one.taken().proposals == 0
    assert count(house, Symposium) == 1
    assert count(house, Mailing) == planned  # its reminders, from when it was announced
    (proposal,) = waiting(house)
    assert set(proposal.changes) == {"day", "time", "title"}
    with house.database.write() as session:
        found = proposals.find(session, proposal.id)
        assert proposals.accept(session, house, found, actor="test", now=NOON) is not None
    with house.database.read() as session:
        (moved,) = session.scalars(select(Symposium))
        assert (moved.title, str(moved.day), str(moved.wall_time)) == (
            "Ahead, renamed",
            "2024-10-11",
            "13:00:00",
        )
    assert one.taken().proposals == 0


def test_an_older_copy_of_an_event_says_nothing(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241011T120000", "SEQUENCE:2"))
    one = watch("/c.ics")
    one.taken()
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241004T120000", "SEQUENCE:1"))
    assert one.taken() == Taken(unchanged=1)


def test_a_cancelled_event_is_a_proposal_to_call_it_off(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241004T120000"))
    one = watch("/c.ics")
    one.taken()
    announce_all(house)
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241004T120000", "STATUS:CANCELLED"))
    assert one.taken().proposals == 1
    (proposal,) = waiting(house)
    assert proposal.changes == {"state": ["announced", "cancelled"]}
    with house.database.write() as session:
        found = proposals.find(session, proposal.id)
        assert proposals.accept(session, house, found, actor="test", now=NOON) is not None
        assert session.scalars(select(Symposium.state)).one() is SymposiumState.CANCELLED


def test_a_proposal_whose_source_takes_it_back_is_withdrawn_and_may_return(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    before, after = (calendar(event("1", "Ahead", f"2024100{day}T120000")) for day in (4, 5))
    server.pages["/c.ics"] = before
    one = watch("/c.ics")
    one.taken()
    for expected in (1, 0, 1):
        server.pages["/c.ics"] = after if expected else before
        one.taken()
        assert len(waiting(house)) == expected
    with house.database.read() as session:
        assert session.scalars(select(Proposal.state)).all() == [ProposalState.OPEN]


def test_a_vanished_line_is_told_and_cancels_nothing(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    lines = [line(day, f"Talk about {word}") for day, word in ((4, "law"), (11, "memory"), (18, "aid"))]
    server.pages["/p"] = page(*lines)
    one = watch("/p")
    assert one.taken().drafts == 3
    announce_all(house)
    server.pages["/p"] = page(*lines[:2])
    assert one.taken().vanished == 1
    assert one.taken().vanished == 0
    (notice,) = waiting(house)
    assert (notice.changes, notice.raw) == ({"listed": ["yes", "no"]}, "Talk about aid")
    with house.database.write() as session, pytest.raises(ProposalRefusal, match="call-off"):
        proposals.accept(session, house, proposals.find(session, notice.id), actor="t", now=NOON)
    with house.database.read() as session:
        assert set(session.scalars(select(Symposium.state))) == {SymposiumState.ANNOUNCED}
    server.pages["/p"] = page(*lines)
    one.taken()
    assert waiting(house) == []


@pytest.mark.parametrize(
    "answer",
    [
        page(),
        page(line(4, "Talk about law")),
        Reply(
            b"<html><body><h1>Error</h1><p>Something went wrong. Please try again later.</p></body></html>"
        ),
    ],
)
def test_a_fetch_that_lost_most_of_it_is_not_believed(
    house: House, server: WebServer, watch: Callable[..., Watch], answer: Reply
) -> None:
    lines = [line(day, f"Talk about {word}") for day, word in ((4, "law"), (11, "memory"), (18, "aid"))]
    server.pages["/p"] = page(*lines)
    one = watch("/p")
    one.taken()
    server.pages["/p"] = answer
    assert one.taken().suspect
    assert waiting(house) == []
    assert "--believe" in incidents(house)[0]
    server.pages["/p"] = page(*lines)
    assert one.taken() == Taken(unchanged=3)
    assert incidents(house) == []
    server.pages["/p"] = answer
    assert one.taken(believe=True).vanished >= 2


def test_more_than_five_changes_that_would_mail_are_all_held(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    def at(hour: int) -> Reply:
        return calendar(*(event(str(n), f"Talk {n}", f"202410{n + 3:02}T{hour}0000") for n in range(6)))

    server.pages["/c.ics"] = at(12)
    one = watch("/c.ics")
    one.taken()
    announce_all(house)
    server.pages["/c.ics"] = at(13)
    assert one.taken().proposals == 6
    found = waiting(house)
    assert {each.state for each in found} == {ProposalState.HELD}
    with house.database.write() as session:
        held = proposals.find(session, found[0].id)
        with pytest.raises(ProposalRefusal, match="--held"):
            proposals.accept(session, house, held, actor="t", now=NOON)
        assert proposals.accept(session, house, held, actor="t", now=NOON, held_too=True) is not None


def test_a_feed_that_changed_its_keys_is_not_believed(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = rss(1)
    one = watch("/feed")
    one.taken()
    server.pages["/feed"] = rss(*range(2, 8))
    assert "6 statements" in one.taken().suspect
    assert count(house, Statement) == 0


def test_an_edited_statement_is_a_proposal_and_alerts_nobody(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = rss(1)
    one = watch("/feed", take_old=True)
    one.taken()
    server.pages["/feed"] = rss(1, words="Other words, and more of them.")
    assert one.taken().proposals == 1
    (proposal,) = waiting(house)
    assert set(proposal.changes) == {"body"}
    with house.database.write() as session:
        proposals.accept(session, house, proposals.find(session, proposal.id), actor="t", now=NOON)
    with house.database.read() as session:
        (statement,) = session.scalars(select(Statement))
        assert [text.version for text in statement.texts] == [1, statement.version] == [1, 2]
    assert one.taken().proposals == 0
    assert count(house, Mailing) == 0


def test_a_lower_source_only_proposes_and_says_what_outranks_it(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(
        event("1", "Talk about law", "20241004T120000"), event("2", "Talk about aid", "20241011T120000")
    )
    watch("/c.ics").taken()
    server.pages["/p"] = page(line(4, "Talk about law"), line(11, "Talk about aid", "3:00 p.m."))
    other = watch("/p")
    assert other.taken() == Taken(first=True, proposals=1)
    assert other.taken() == Taken(unchanged=2)
    (proposal,) = waiting(house)
    assert "A calendar is trusted more" in proposal.note
    assert count(house, Symposium) == 2


def test_two_sources_that_disagree_do_not_argue_for_ever(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/p"] = page(line(4, "Talk about law"), line(11, "Talk about aid"))
    server.pages["/c.ics"] = calendar(event("1", "Talk about law", "20241004T130000"))
    one, other = watch("/p"), watch("/c.ics")
    assert one.taken().drafts == 2
    assert other.taken() == Taken(first=True, proposals=1)
    (proposal,) = waiting(house)
    assert (proposal.changes, proposal.note) == ({"time": ["12:00:00", "13:00:00"]}, "")
    with house.database.write() as session:
        proposals.accept(session, house, proposals.find(session, proposal.id), actor="t", now=NOON)
    assert (one.taken().proposals, other.taken().proposals) == (0, 0)
    assert waiting(house) == []


def test_next_year_s_date_of_a_title_is_another_symposium(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/p"] = page(line(4, "Annual talk"), line(11, "Another talk"))
    one = watch("/p")
    assert one.taken().drafts == 2
    year = timedelta(days=365)
    server.pages["/p"] = page(
        "Friday, October 3, 2025, 12noon ET, “Annual talk”",
        "Friday, October 10, 2025, 12noon ET, “Third talk”",
    )
    assert one.taken(NOON + year) == Taken(drafts=2)
    assert waiting(house) == []


def test_a_repeated_event_brings_its_next_dates_and_moves_none(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    circle = event("1", "Reading circle", "20240105T120000", "RRULE:FREQ=MONTHLY;BYDAY=1FR")
    server.pages["/c.ics"] = calendar(circle)
    one = watch("/c.ics")
    assert one.taken().drafts == 12
    later = NOON + timedelta(days=40)
    assert one.taken(later) == Taken(drafts=2, unchanged=10)
    assert waiting(house) == []
    assert count(house, Symposium) == 14


def test_only_what_changed_is_fetched_again(server: WebServer, watch: Callable[..., Watch]) -> None:
    def tagged(tag: str, body: Reply) -> Callable[[object], Reply]:
        def answer(headers: object) -> Reply:
            if headers.get("if-none-match") == tag:  # type: ignore[attr-defined]
                return Reply(status=304)
            return Reply(body.body, headers={"etag": tag})

        return answer

    server.pages["/feed"] = tagged('"a"', rss(1))
    one = watch("/feed")
    run = lambda now: check_due(one.house, now, web=server.web)  # noqa: E731
    assert run(NOON) == 1
    assert one.row.etag == '"a"'
    assert run(NOON) == 0
    later = NOON + 2 * HOUR
    assert run(later) == 1
    assert (one.row.checked_at, one.row.read_at) == (later, NOON)
    server.pages["/feed"] = tagged('"b"', rss(1, 2))
    assert run(later + 2 * HOUR) == 1
    assert (one.row.etag, len(one.items())) == ('"b"', 2)
    assert run(later + 24 * HOUR) == 1
    asked = [headers.get("if-none-match") for path, headers in server.requests if path == "/feed"]
    assert asked == [None, '"a"', '"a"', None]


def test_the_caller_says_who_it_is(server: WebServer, watch: Callable[..., Watch]) -> None:
    server.pages["/feed"] = rss(1)
    watch("/feed").taken()
    path, headers = server.requests[-1]
    assert path == "/feed"
    assert "https://mailer.example.org" in headers["user-agent"]
    assert "office@example.org" in headers["user-agent"]
    assert "cookie" not in headers


def test_robots_are_asked_once_a_day_and_kept_to(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = rss(1)
    server.pages["/private/feed"] = rss(2)
    server.pages["/robots.txt"] = Reply(b"User-agent: *\nDisallow: /private/\nCrawl-delay: 7200\n")
    one, other = watch("/feed"), watch("/private/feed")
    one.taken()
    one.taken()
    assert one.row.next_check_at >= NOON + 2 * HOUR
    assert "robots.txt" in other.check().trouble
    assert server.paths() == ["/robots.txt", "/feed", "/feed"]
    server.pages["/robots.txt"] = Reply(b"User-agent: mailer\nDisallow:\n")
    check_due(house, NOON + 2 * HOUR, web=server.web, most=1)
    assert server.paths().count("/robots.txt") == 1
    assert other.check(NOON + 3 * HOUR).trouble == ""
    assert server.paths().count("/robots.txt") == 2
    one.taken(NOON + 28 * HOUR)
    assert server.paths().count("/robots.txt") == 3
    assert count_robots(house) == 1


def count_robots(house: House) -> int:
    with house.database.read() as session:
        return session.scalar(select(func.count()).select_from(RobotsFile)) or 0


def test_of_robots_without_end_the_beginning_is_kept_to(
    server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = rss(1)
    server.pages["/private/feed"] = rss(2)
    rules = b"User-agent: *\nDisallow: /private/\n" + b"# filler\n" * 200_000
    server.pages["/robots.txt"] = Reply(rules)
    assert watch("/feed").check().trouble == ""
    assert "asks programs not to" in watch("/private/feed").check().trouble


def test_where_robots_cannot_be_had_nothing_is_fetched(
    server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = rss(1)
    server.pages["/robots.txt"] = Reply(status=503)
    one = watch("/feed")
    assert "cannot be fetched" in one.check().trouble
    assert server.paths() == ["/robots.txt"]
    server.pages["/robots.txt"] = Reply(status=404)
    assert one.check(NOON + 2 * HOUR).trouble == ""


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("http://10.0.0.1/", "another site"),
        ("http://127.0.0.1/", "another site"),
        ("https://elsewhere.example/feed", "elsewhere.example"),
        ("http://user@site.example/", "user name"),
        ("/again", "more than 3 times"),
    ],
)
def test_redirects_stay_at_the_site(
    server: WebServer, watch: Callable[..., Watch], target: str, words: str
) -> None:
    for path in ("/feed", "/again"):
        server.pages[path] = Reply(status=302, headers={"location": target})
    assert words in watch("/feed").check().trouble


def test_a_redirect_to_its_own_www_is_followed_and_a_private_address_refused(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/old"] = Reply(
        status=301, headers={"location": f"http://www.site.example:{server.port}/feed"}
    )
    server.pages["/feed"] = rss(1)
    one = watch("/old")
    assert one.taken().seen == 1
    with house.database.write() as session:
        session.get_one(Source, one.id).url = f"http://elsewhere.example:{server.port}/feed"
    asked = len(server.requests)
    assert "robots.txt cannot be fetched" in one.check(NOON + HOUR).trouble
    assert len(server.requests) == asked


def test_failures_wait_longer_and_longer_and_are_told(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = Reply(status=500)
    one = watch("/feed")
    waits = []
    for _ in range(4):
        assert "500" in one.check().trouble
        waits.append(one.row.next_check_at - NOON)
    assert waits[0] > 1.7 * HOUR
    assert waits[3] > 12 * HOUR
    assert "could not be read" in incidents(house)[0]
    server.pages["/feed"] = rss(1)
    one.taken()
    assert incidents(house) == []
    assert one.row.next_check_at <= NOON + 1.2 * HOUR


@pytest.mark.parametrize(
    ("headers", "hours"),
    [
        ({"retry-after": "36000"}, 10),
        ({"date": "Sun, 01 Sep 2024 16:00:00 GMT", "retry-after": "Mon, 02 Sep 2024 16:00:00 GMT"}, 24),
    ],
)
def test_a_server_that_asks_for_patience_gets_it(
    server: WebServer, watch: Callable[..., Watch], headers: dict[str, str], hours: int
) -> None:
    # The server's own Date goes out first: http.server always sends one.
    server.pages["/feed"] = Reply(status=429, headers={k: v for k, v in headers.items() if k != "date"})
    if "date" in headers:
        soon = datetime.now(UTC) + timedelta(hours=24)
        server.pages["/feed"] = Reply(
            status=503, headers={"retry-after": f"{soon:%a, %d %b %Y %H:%M:%S} GMT"}
        )
    one = watch("/feed")
    assert one.check().trouble
    assert one.row.next_check_at >= NOON + timedelta(hours=hours) - timedelta(minutes=2)


def test_an_address_that_is_gone_for_good_is_paused(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = Reply(status=410)
    one = watch("/feed")
    one.check()
    assert one.row.state is SourceState.PAUSED
    assert "gone for good" in incidents(house)[0]
    assert check_due(house, NOON + 48 * HOUR, web=server.web) == 0
    with house.database.write() as session:
        registry.resume(session, session.get_one(Source, one.id), actor="t", now=NOON)
    server.pages["/feed"] = rss(1)
    assert one.taken().seen == 1


def test_another_kind_than_expected_is_no_page_of_it(server: WebServer, watch: Callable[..., Watch]) -> None:
    server.pages["/c.ics"] = page("Hello")
    assert "a page where a calendar" in watch("/c.ics", kind=SourceKind.CALENDAR).check().trouble


def test_what_is_announced_is_not_trusted(server: WebServer, watch: Callable[..., Watch]) -> None:
    server.pages["/x"] = Reply(rss(1).body, headers={"content-type": "text/calendar"})
    one = watch("/x")
    assert one.taken().seen == 1
    assert one.row.kind is SourceKind.FEED


def test_a_server_that_does_not_answer_in_time_is_left(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    over = threading.Event()

    def never(_headers: object) -> Reply:
        over.wait(60)
        return Reply()

    server.pages["/feed"] = never
    one = watch("/feed")
    patience = replace(server.web, limits=replace(server.web.limits, seconds=0.3))
    checked = check_now(house, one.id, NOON, web=patience)
    over.set()
    assert checked is not None
    assert "too long" in checked.trouble


def test_a_bomb_never_unfolds(server: WebServer, watch: Callable[..., Watch]) -> None:
    bomb = gzip.compress(b"BEGIN:VCALENDAR\r\n" + bytes(64 * 1024 * 1024))
    server.pages["/c.ics"] = Reply(bomb, headers={"content-encoding": "gzip", **ICS})
    assert "larger than 5 MiB" in watch("/c.ics").check().trouble


def test_what_the_beat_says_is_checked(house: House) -> None:
    with house.database.write() as session:
        wanted = Wanted(url="https://nowhere.invalid/feed", every=HOUR, zone="UTC")
        number = registry.add(session, wanted, actor="t", now=NOON).id
    tasks.use(house)
    tasks.check_sources()
    with house.database.read() as session:
        found = session.get_one(Source, number)
        assert (found.failures, found.leased_until) == (1, None)
        assert "robots.txt" in found.trouble


def test_two_workers_fetch_a_source_once(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    both = threading.Barrier(2, timeout=30)
    for number in range(4):
        server.pages[f"/feed{number}"] = rss(number + 1)
        watch(f"/feed{number}")

    def work() -> None:
        both.wait()
        check_due(house, NOON, web=server.web, most=10)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fetched = [path for path in server.paths() if path != "/robots.txt"]
    assert sorted(fetched) == [f"/feed{number}" for number in range(4)]


def test_a_worker_that_comes_back_late_changes_nothing(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/feed"] = rss(1)
    one = watch("/feed")
    with house.database.write() as session:
        late = lease.take_due(session, NOON)
        assert late is not None
        assert lease.take_due(session, NOON) is None
    assert check_now(house, one.id, NOON, web=server.web) is None
    one.taken(NOON + lease.LEASE)
    assert "Somebody else" in check(house, late, NOON, web=server.web).trouble
    assert len(one.items()) == 1


def test_a_source_can_be_paused_and_removed_and_what_it_made_stays(
    house: House, server: WebServer, watch: Callable[..., Watch]
) -> None:
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241004T120000"))
    one = watch("/c.ics")
    one.taken()
    server.pages["/c.ics"] = calendar(event("1", "Ahead", "20241005T120000"))
    one.taken()
    with house.database.write() as session:
        found = registry.find(session, one.row.name)
        registry.pause(session, found, actor="t", now=NOON)
    assert check_due(house, NOON + 48 * HOUR, web=server.web) == 0
    with house.database.write() as session:
        registry.remove(session, registry.find(session, str(one.id)), actor="t", now=NOON)
    assert waiting(house) == []
    assert count(house, Symposium) == 1
    with house.database.read() as session:
        assert registry.all_sources(session) == []


def test_what_cannot_be_watched_is_said_when_it_is_added(house: House) -> None:
    def add(url: str, every: str = "1h") -> None:
        with house.database.write() as session:
            wanted = Wanted(url=url, every=registry.read_every(every), zone="UTC")
            registry.add(session, wanted, actor="t", now=NOON)

    add("https://www.example.co.uk/events/feed")
    with house.database.read() as session:
        assert registry.all_sources(session)[0].name == "example-events-feed"
    with pytest.raises(SourceRefusal, match="watched already"):
        add("https://www.example.co.uk/events/feed")
    for url in ("http://example.org/", "https://127.0.0.1:8080/", "https://localhost/", "file:///etc/passwd"):
        with pytest.raises(FetchError):
            add(url)
    for every in ("5m", "1y", "", "99999d", "-1h"):
        with pytest.raises(SourceRefusal, match="15m"):
            add("https://example.org/x", every)
