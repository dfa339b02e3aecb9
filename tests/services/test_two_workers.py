"""Two of everything at once: a reminder leaves once, is planned once, and nobody waits for the other.

The PostgreSQL tests let two transactions stand open side by side; where one would have to wait for the
other, the barrier between them breaks.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import func, select

from mailer import settings
from mailer.db.audience import books
from mailer.db.mailings import Claim, Delivery, Mailing
from mailer.db.programme import Registration, ReminderRule, Symposium
from mailer.services.desk import mailings
from mailer.services.house import House
from mailer.services.programme import reminders
from mailer.services.programme.register import Attendee, register
from mailer.services.sending.claim import claim
from mailer.vocabulary import DeliveryState, MailingKind, SymposiumState
from tests.services.conftest import Hands
from tests.services.symposium_desk import Desk
from tests.services.test_registration import together
from tests.services.test_symposia import DAY, START
from tests.smtp_server import MailServer

ATTENDEES = 60
PATIENCE = 60  # seconds until a barrier that nobody reaches breaks
on_postgresql = pytest.mark.parametrize("house", ["postgresql"], indirect=True)


@pytest.fixture
def other(house: House, server: MailServer, hands: Hands) -> Iterator[Hands]:
    """A second worker of the same house."""
    other = Hands(house, server.url, hands.now)
    yield other
    other.close()


@pytest.fixture
def crowd(desk: Desk) -> Desk:
    """Many attendees who know all there is to know, a moment before their reminder; slices are small."""
    house = desk.house
    with house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        for number in range(ATTENDEES):
            attendee = Attendee(address=f"guest{number}@example.org")
            register(session, house, found, attendee, desk.hands.now, mail=False)
    chosen = house.settings.model_copy(update={"slice_size": 10})
    settings.use(chosen)
    object.__setattr__(house, "settings", chosen)
    desk.at(START - 7 * DAY)
    desk.server.mails.clear()
    return desk


def at_the_same_time(*works: Callable[[], None]) -> None:
    together(len(works), lambda number: works[number]())


def test_two_workers_in_one_minute_send_a_reminder_once(crowd: Desk, other: Hands) -> None:
    crowd.hands.now = other.now = START - DAY
    at_the_same_time(lambda: [crowd.hands.work(), None][1], lambda: [other.work(), None][1])
    sent = Counter(mail.recipient for mail in crowd.server.mails)
    assert sent == {f"guest{number}@example.org": 1 for number in range(ATTENDEES)}
    with crowd.house.database.read() as session:
        mailing = mailings.find(session, f"symposium:{crowd.symposium}:reminder:1d:r1")
        assert books(session, mailing.id).sent == ATTENDEES
        assert set(session.scalars(select(Delivery.attempts).where(Delivery.mailing_id == mailing.id))) == {1}
    assert crowd.at(START - DAY) == []


@on_postgresql
def test_two_claims_side_by_side_share_what_is_due(crowd: Desk) -> None:
    """Each passes over what the other holds, and neither waits."""
    both, held = threading.Barrier(2, timeout=PATIENCE), dict[int, set[int]]()

    def work(number: int) -> None:
        with crowd.house.database.write() as session:
            found = claim(session, crowd.house, worker=f"send-{number}-1-abcdef", now=START - DAY, limit=40)
            held[number] = {one.id for one in found.held}
            both.wait()

    together(2, work)
    assert held[0].isdisjoint(held[1])
    assert sorted(map(len, held.values())) == [ATTENDEES - 40, 40]
    with crowd.house.database.read() as session:
        claimed = select(func.count()).where(Delivery.state == DeliveryState.CLAIMED)
        assert session.scalar(claimed) == ATTENDEES
        assert session.scalar(select(func.count()).select_from(Claim).where(Claim.released_at.is_(None))) == 2


def unplanned(desk: Desk, count: int = 6) -> None:
    """More symposia with an attendee each, all of them waiting for the sweep to plan them."""
    with desk.house.database.write() as session:
        first = session.get_one(Symposium, desk.symposium)
        for number in range(1, count):
            one = Symposium(
                key=f"another-{number}",
                slug=f"another-{number}",
                title=first.title,
                precision=first.precision,
                day=first.day,
                wall_time=first.wall_time,
                zone=first.zone,
                starts_at=first.starts_at,
                state=SymposiumState.ANNOUNCED,
                sources={},
                questions=[],
                generation=1,
                changed_at=desk.hands.now,
                created_at=desk.hands.now,
            )
            session.add(one)
        session.flush()
        for one in session.scalars(select(Symposium)).unique():
            register(
                session, desk.house, one, Attendee(address="guest@example.org"), desk.hands.now, mail=False
            )
            one.planned_at = None


def planned(desk: Desk) -> list[tuple[str, int]]:
    with desk.house.database.read() as session:
        rows = session.execute(
            select(Mailing.key, func.count(Delivery.id))
            .outerjoin(Delivery, Delivery.mailing_id == Mailing.id)
            .where(Mailing.kind == MailingKind.REMINDER)
            .group_by(Mailing.key)
        )
        return sorted((key, count) for key, count in rows)


def test_two_that_plan_at_once_plan_once(desk: Desk) -> None:
    unplanned(desk)
    ahead = list[int]()
    at_the_same_time(*[lambda: ahead.append(desk.plan())] * 3)
    assert sorted(ahead) == [0, 0, 18]
    assert [count for _, count in planned(desk)] == [1] * 18


@on_postgresql
def test_who_plans_passes_over_what_another_has_planned_meanwhile(desk: Desk) -> None:
    """Both have seen that it waits; the second is let in when the first is done, and has nothing to do."""
    unplanned(desk, 1)
    first_has_it, ahead = threading.Event(), list[int]()

    def first() -> None:
        with desk.house.database.write() as session:
            one = session.get_one(Symposium, desk.symposium)
            session.refresh(one, with_for_update={"of": Symposium})
            first_has_it.set()
            with desk.house.database.read() as looking:  # until the second stands before the lock
                waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                while not looking.connection().exec_driver_sql(waits).scalar():
                    looking.rollback()
            ahead.append(reminders.plan(session, desk.house, one, desk.hands.now))

    def second() -> None:
        assert first_has_it.wait(PATIENCE)
        ahead.append(desk.plan())

    at_the_same_time(first, second)
    assert ahead == [3, 0]
    assert [count for _, count in planned(desk)] == [1] * 3


def test_a_plan_beside_registrations_leaves_nobody_out(desk: Desk) -> None:
    """Whoever comes while it is planned has one row in each reminder, by whichever door it came in."""
    unplanned(desk, 1)

    def come(number: int) -> None:
        if number % 3 == 0:
            desk.plan()
        else:
            desk.join(f"late{number}@example.org")

    together(9, come)
    desk.plan()
    with desk.house.database.read() as session:
        people = session.scalar(select(func.count()).select_from(Registration))
        rules = session.scalar(select(func.count()).select_from(ReminderRule))
        assert (people, rules) == (7, 4)  # the follow-up is not approved
    assert [count for _, count in planned(desk)] == [7] * 3
