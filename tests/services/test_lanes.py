"""Lanes in SQL: one limit for all workers and across restarts, and what servers' replies make of it."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, update

from mailer.db.lanes import EVERYONE_ELSE, Lane, LaneDomain
from mailer.db.mailings import Attempt, Delivery, Mailing
from mailer.db.programme import Statement
from mailer.services import audit
from mailer.services.desk import lanes as desk
from mailer.services.desk.lanes import NewLimits
from mailer.services.house import House, open_house
from mailer.services.incidents import open_incidents
from mailer.services.programme import statements
from mailer.services.sending.lanes import (
    Allowances,
    allowances,
    give_back,
    limits_of_lanes,
    lock_and_allow,
    react,
    spend,
)
from mailer.services.sending.relay_lanes import know_lanes
from mailer.services.sending.sweep import sweep
from mailer.smtp import sites
from mailer.smtp.judge import judge
from mailer.smtp.outcome import Outcome, Phase

SENT = judge(Phase.DOT, 250, "2.0.0", "ok")
THROTTLED = judge(Phase.MAIL, 451, "4.7.28", "rate limited")
BLOCKED = judge(Phase.DOT, 550, "5.7.1", "listed at a blocklist")
SENDER = judge(Phase.MAIL, 550, None, "no")

MINUTE = timedelta(minutes=1)


@pytest.fixture
def google(house: House) -> int:
    """The id of a known site's lane."""
    with house.database.write() as session:
        know_lanes(session, house.vault)
        return lane_id(session, sites.GOOGLE)


def lane_id(session: Any, key: str) -> int:
    return int(session.scalar(select(Lane.id).where(Lane.key == key)))


def limit(house: House, lane: int, now: datetime, **given: Any) -> None:
    warm_up = given.pop("warm_up", False)
    with house.database.write() as session:
        found = desk.find(session, session.get_one(Lane, lane).key)
        desk.set_limits(session, found, NewLimits(**given), warm_up=warm_up, actor="test", now=now)


def allowed(house: House, now: datetime) -> Allowances:
    with house.database.read() as session:
        return allowances(session, now)


def take(house: House, lane: int, now: datetime, *, most: int, bulk: bool = False) -> int:
    """One claim, as a worker makes it."""
    with house.database.write() as session:
        room = lock_and_allow(session, now).of(lane, bulk)
        count = most if room is None else min(most, room)
        spend(session, now, {lane: count})
        return count


def said(house: House, lane: int, now: datetime, *outcomes: Outcome) -> list[str]:
    with house.database.write() as session:
        return react(session, [(lane, outcome) for outcome in outcomes], now)


def incidents(house: House) -> dict[str, str]:
    with house.database.read() as session:
        return {one.key: one.words for one in open_incidents(session)}


def test_lanes_without_limits_take_anything_and_are_never_written(
    house: House, google: int, now: datetime
) -> None:
    with house.database.write() as session:
        found = lock_and_allow(session, now)
        written = watch_writes(house, lambda: spend(session, now, {google: 500, EVERYONE_ELSE: 500}))
        written += watch_writes(house, lambda: react(session, [(google, SENT)] * 50, now))
    assert found == Allowances()
    assert found.of(google, bulk=True) is None
    assert written == []


def watch_writes(house: House, act: Callable[[], object]) -> list[str]:
    seen: list[str] = []

    def look(_c: Any, _u: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith(("UPDATE", "INSERT")):
            seen.append(statement)

    event.listen(house.database.engine, "before_cursor_execute", look)
    act()
    event.remove(house.database.engine, "before_cursor_execute", look)
    return seen


def test_a_rate_holds_and_says_when_there_is_more(house: House, google: int, now: datetime) -> None:
    limit(house, google, now, per_second=10.0)
    assert take(house, google, now, most=100) == 10
    shut = allowed(house, now)
    assert shut.of(google, bulk=False) == 0
    assert shut.of(EVERYONE_ELSE, bulk=False) is None
    assert shut.limited_lanes == {google}
    assert shut.closed_lanes == frozenset()
    assert shut.next_opening == now + timedelta(seconds=0.1)
    assert take(house, google, now + timedelta(seconds=0.5), most=100) == 5


def test_bulk_leaves_a_fifth_to_reminders(house: House, google: int, now: datetime) -> None:
    limit(house, google, now, per_hour=100)
    assert take(house, google, now, most=1_000, bulk=True) == 80
    assert take(house, google, now, most=1_000, bulk=True) == 0
    assert allowed(house, now).shut(bulk=True) == {google}
    assert allowed(house, now).shut(bulk=False) == frozenset()
    assert take(house, google, now, most=1_000) == 20
    assert allowed(house, now).next_opening == now + timedelta(hours=1)
    assert allowed(house, now).shut(bulk=False) == {google}
    assert take(house, google, now + timedelta(hours=1), most=1_000, bulk=True) == 80


def test_what_was_not_offered_comes_back(house: House, google: int, now: datetime) -> None:
    limit(house, google, now, per_day=50)
    take(house, google, now, most=50)
    with house.database.write() as session:
        give_back(session, now, {google: 30})
    assert allowed(house, now).of(google, bulk=False) == 30


def test_a_restart_grants_no_fresh_burst(house: House, google: int, now: datetime) -> None:
    limit(house, google, now, per_second=10.0, per_hour=15)
    assert take(house, google, now, most=100) == 10
    house.database.engine.dispose()
    again = open_house(house.settings)
    try:
        assert take(again, google, now, most=100) == 0
        assert take(again, google, now + timedelta(seconds=30), most=100) == 5
    finally:
        again.database.engine.dispose()


def test_all_workers_together_keep_one_limit(house: House, google: int, now: datetime) -> None:
    limit(house, google, now, per_hour=200)
    start = threading.Barrier(4)
    got: list[int] = []

    def work() -> None:
        own = open_house(house.settings)
        start.wait()
        for _ in range(15):
            got.append(take(own, google, now, most=7))
        own.database.engine.dispose()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(got) == 60  # none of them failed
    assert sum(got) == 200


def test_claims_and_settles_never_wait_for_each_other_in_a_circle(
    house: House, google: int, now: datetime
) -> None:
    for lane in (EVERYONE_ELSE, google):
        limit(house, lane, now, per_day=1_000_000)
    start = threading.Barrier(2)
    done: list[str] = []

    def claims() -> None:
        start.wait()
        for _ in range(40):
            with house.database.write() as session:
                lock_and_allow(session, now)
                spend(session, now, {EVERYONE_ELSE: 1, google: 1})
        done.append("claims")

    def settles() -> None:
        start.wait()
        for _ in range(40):
            with house.database.write() as session:
                react(session, [(google, SENDER), (google, SENT)], now)
                give_back(session, now, {EVERYONE_ELSE: 1})
        done.append("settles")

    workers = [threading.Thread(target=work) for work in (claims, settles)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(done) == ["claims", "settles"]


def test_throttling_slows_rests_and_wears_off(house: House, google: int, now: datetime) -> None:
    assert said(house, google, now, SENT, *[THROTTLED] * 20) == []
    assert allowed(house, now).closed_lanes == {google}
    assert allowed(house, now).of(google, bulk=False) == 0
    assert allowed(house, now).next_opening == now + MINUTE
    with house.database.read() as session:
        assert limits_of_lanes(session, now)[sites.GOOGLE].connections == 2

    later = now + 2 * MINUTE
    assert take(house, google, later, most=100) == 5  # a second's worth of half the pace
    after_all = now + 40 * MINUTE
    assert take(house, google, after_all, most=100) == 100
    with house.database.read() as session:
        assert session.get_one(Lane, google).slowness == 1


def test_a_block_stops_the_lane_and_a_person_opens_it(house: House, google: int, now: datetime) -> None:
    key = f"lane-blocked:{sites.GOOGLE}"
    assert said(house, google, now, BLOCKED, BLOCKED) == [key]
    assert said(house, google, now, BLOCKED) == []
    assert "550 5.7.1" in incidents(house)[key]
    a_year_later = now + timedelta(days=365)
    assert allowed(house, a_year_later).closed_lanes == {google}
    assert allowed(house, a_year_later).next_opening is None

    with house.database.write() as session:
        desk.open_lane(session, desk.find(session, sites.GOOGLE), actor="test", now=a_year_later)
    assert incidents(house) == {}
    assert allowed(house, a_year_later) == Allowances()


def test_the_breaker_counts_over_groups_and_a_sent_mail_clears_it(
    house: House, google: int, now: datetime
) -> None:
    key = f"lane-breaker:{sites.GOOGLE}"
    assert said(house, google, now, SENDER, SENDER, SENDER) == []
    assert said(house, google, now, SENT) == []
    assert said(house, google, now, *[SENDER] * 4) == []
    assert said(house, google, now, SENDER) == [key]
    assert allowed(house, now).closed_lanes == {google}

    later = now + 31 * MINUTE
    assert take(house, google, later, most=100) == 1
    assert said(house, google, later, SENT) == []
    assert incidents(house) == {}
    assert allowed(house, later) == Allowances()


def test_a_block_by_one_small_domain_stops_nobody_else(house: House, now: datetime) -> None:
    assert said(house, EVERYONE_ELSE, now, BLOCKED, SENT, BLOCKED) == []
    assert allowed(house, now) == Allowances()


@pytest.fixture
def four_warm(house: House, google: int, subscribe: Callable[..., int], statement: int, now: datetime) -> int:
    """Four deliveries of a lane that began to warm up today and took 100 mails; the lane."""
    for number in range(4):
        subscribe(f"reader{number}@example.org")
    with house.database.write() as session:
        statements.publish(session, house, session.get_one(Statement, statement), actor="test", now=now)
    sweep(house, now)
    with house.database.write() as session:
        session.execute(update(Delivery).values(lane_id=google))
        assert session.scalar(select(func.count()).select_from(Delivery)) == 4
        assert session.scalar(select(func.count()).select_from(Mailing)) == 1
    limit(house, google, now, warm_up=True)
    assert take(house, google, now, most=100) == 100
    assert allowed(house, now).of(google, bulk=True) == 60
    return google


def defer(house: House, now: datetime, count: int, outcome: Outcome) -> None:
    with house.database.write() as session:
        delivery = session.scalars(select(Delivery.id).limit(1)).one()
        session.add_all(
            Attempt(
                delivery_id=delivery,
                fence=1,
                at=now,
                verdict=outcome.verdict.value,
                fault=outcome.fault.value,
                phase=outcome.phase.value,
                code=outcome.code,
                enhanced=outcome.enhanced,
                reason=outcome.reason.value,
            )
            for _ in range(count)
        )


@pytest.mark.parametrize(
    ("count", "outcome", "tomorrow"),
    [
        (5, THROTTLED, 400),
        (6, THROTTLED, 200),
        (50, judge(Phase.RCPT, 450, "4.7.1", "greylisted, try again in 5 minutes"), 400),
    ],
)
def test_warming_up_doubles_after_a_good_day_only(
    house: House, four_warm: int, now: datetime, count: int, outcome: Outcome, tomorrow: int
) -> None:
    defer(house, now - timedelta(days=1), 50, THROTTLED)  # of the day before: judged already
    defer(house, now, count, outcome)
    next_day = now + timedelta(days=1)
    assert take(house, four_warm, next_day, most=150) == 150
    assert take(house, four_warm, next_day, most=10_000) == tomorrow - 150


def test_known_sites_have_their_lanes_and_domains_once(house: House, google: int) -> None:
    with house.database.write() as session:
        wrong = house.vault.domain_index("x@gmail.com")
        session.execute(
            update(LaneDomain).where(LaneDomain.domain_index == wrong).values(lane_id=EVERYONE_ELSE)
        )
        know_lanes(session, house.vault)
        assert session.scalar(select(LaneDomain.lane_id).where(LaneDomain.domain_index == wrong)) == google
        assert session.scalar(select(func.count()).select_from(LaneDomain)) == len(sites.KNOWN_DOMAINS)
        keys = session.scalars(select(Lane.key).where(Lane.id != EVERYONE_ELSE)).all()
        assert sorted(keys) == sorted(set(sites.KNOWN_DOMAINS.values()))
        assert not watch_writes(house, lambda: know_lanes(session, house.vault))


def test_staff_limits_closes_and_opens_and_the_audit_log_says_so(
    house: House, google: int, now: datetime
) -> None:
    limit(house, google, now, per_second=2.0, connections=3)
    with house.database.write() as session:
        lane = desk.find(session, sites.GOOGLE)
        with pytest.raises(desk.LaneRefusal):
            desk.set_limits(session, lane, NewLimits(per_day=0), actor="test", now=now)
        desk.close_lane(session, lane, minutes=5, actor="test", now=now)
        session.flush()
        report = next(one for one in desk.reports(session, now) if one.key == sites.GOOGLE)
        assert (report.limits.per_second, report.limits.connections) == (2.0, 3)
        assert report.limits.mails_per_connection == 50
        assert "staff" in report.state
        desk.remove_limits(session, lane, actor="test", now=now)
        desk.open_lane(session, lane, actor="test", now=now)
    assert allowed(house, now) == Allowances()
    with house.database.read() as session:
        assert audit.first_break(session) is None
        with pytest.raises(desk.UnknownLane):
            desk.find(session, "nowhere")
