"""The self-audit: each invariant, broken by hand in SQL, becomes an incident and closes when mended."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from mailer.db.mailings import Claim, Delivery, Mailing
from mailer.db.people import Consent, Subscription
from mailer.db.staff import Heartbeat
from mailer.services.audience.unsubscribe import leave_topic
from mailer.services.desk import switches
from mailer.services.house import House
from mailer.services.incidents import open_incidents, raise_incident
from mailer.services.sending.audit_books import CHECKS, KINDS, audit
from mailer.services.sending.lanes import allowances
from mailer.services.sending.sweep import journal_folder
from mailer.vocabulary import (
    ConsentKind,
    ConsentSource,
    DeliveryState,
    MailingState,
)
from tests.services import rows

Subscribe = Callable[..., int]

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Books:
    """An alert to four readers: three got it, the last is as a test wants it; the audit is content."""

    def __init__(self, house: House, mailing: int, now: datetime) -> None:
        self.house, self.mailing, self.now = house, mailing, now
        self.ids = rows.ids(house, mailing)
        self.sent = now - 10 * MINUTE
        self.fence = rows.settled(house, self.ids[:3], DeliveryState.SENT, self.sent, claimed_at=self.sent)
        rows.settled(house, self.ids[3:], DeliveryState.FAILED, self.sent, claimed_at=self.sent)
        rows.closed(house, mailing, now - MINUTE)

    def found(self, later: timedelta = timedelta(0)) -> list[str]:
        return sorted(finding.key for finding in audit(self.house, self.now + later))

    def sql(self, statement: str, **values: Any) -> None:
        """A hand in the database."""
        with self.house.database.write() as session:
            session.execute(text(statement), values)

    def change(self, **values: Any) -> None:
        """The last reader's delivery, changed by hand."""
        with self.house.database.write() as session:
            rows.change(session, self.ids[3:], **values)

    def change_mailing(self, **values: Any) -> None:
        with self.house.database.write() as session:
            session.execute(update(Mailing).where(Mailing.id == self.mailing).values(**values))

    @property
    def words(self) -> dict[str, str]:
        with self.house.database.read() as session:
            return {one.key: one.words for one in open_incidents(session)}


@pytest.fixture
def books(house: House, subscribe: Subscribe, statement: int, now: datetime) -> Books:
    mailing = rows.alert(house, subscribe, statement, now - HOUR, 4)
    books = Books(house, mailing, now)
    assert books.found() == []
    return books


def test_every_check_is_shown_to_fire_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert {kind for kind in KINDS if f'"{kind}:' not in source and f'f"{kind}:' not in source} == set()
    assert len(CHECKS) == len({check.__name__ for check in CHECKS})


def lost_state(books: Books) -> None:
    books.sql("UPDATE deliveries SET state = 'lost' WHERE id = :id", id=books.ids[3])


def no_moment(books: Books) -> None:
    books.sql("UPDATE deliveries SET settled_at = NULL WHERE id = :id", id=books.ids[3])


def sent_by_nobody(books: Books) -> None:
    books.change(state=DeliveryState.SENT, fence=None)


def sent_too_late(books: Books) -> None:
    books.change(state=DeliveryState.SENT, not_after=books.sent - MINUTE)


def sent_before_it_opened(books: Books) -> None:
    books.change_mailing(opens_at=books.sent + MINUTE)


def done_with_open_rows(books: Books) -> None:
    books.change(state=DeliveryState.DEFERRED, settled_at=None)


def claimed_by_nobody(books: Books) -> None:
    books.change_mailing(state=MailingState.SENDING, finished_at=None)
    books.change(state=DeliveryState.CLAIMED, fence=999_999, settled_at=None)


def claimed_under_a_closed_claim(books: Books) -> None:
    books.change_mailing(state=MailingState.SENDING, finished_at=None)
    books.change(state=DeliveryState.CLAIMED, settled_at=None)


def of_no_mailing(books: Books) -> None:
    books.change(state=DeliveryState.PENDING, mailing_id=4711, settled_at=None)


def doubtful_of_no_mailing(books: Books) -> None:
    books.change(state=DeliveryState.IN_DOUBT, mailing_id=4711)


def of_no_person(books: Books) -> None:
    books.change(subscriber_id=4711)


@pytest.mark.parametrize(
    ("hand", "keys"),
    [
        (lost_state, ["books:{}"]),
        (no_moment, ["unsettled:{}"]),
        (sent_by_nobody, ["unclaimed:{}"]),
        (sent_too_late, ["late:{}"]),
        (sent_before_it_opened, ["early:{}"]),
        (done_with_open_rows, ["unfinished:{}"]),
        (claimed_by_nobody, ["orphan:{}"]),
        (claimed_under_a_closed_claim, ["orphan:{}"]),
        (of_no_mailing, ["stray:4711"]),
        (doubtful_of_no_mailing, ["stray:4711"]),
        (of_no_person, ["nobody:{}"]),
    ],
)
def test_rows_that_contradict_themselves_are_told(
    books: Books, hand: Callable[[Books], None], keys: list[str]
) -> None:
    expected = [key.format(books.mailing) for key in keys]
    with books.house.database.read() as session:
        before = session.get_one(Delivery, books.ids[3])
        kept = {column.name: getattr(before, column.name) for column in Delivery.__table__.columns}
        mailing = session.get_one(Mailing, books.mailing)
        opened = {"opens_at": mailing.opens_at, "state": mailing.state, "finished_at": mailing.finished_at}
    hand(books)
    assert books.found() == expected
    assert list(books.words) == expected
    # Long after the mailing ended it is still wrong, and still told.
    assert books.found(later=timedelta(days=2)) == expected
    books.change(**{name: value for name, value in kept.items() if name != "id"})
    books.change_mailing(**opened)
    assert books.found(later=timedelta(days=2)) == []
    assert books.words == {}


def test_words_say_what_is_wrong_and_what_to_do_and_name_nobody(books: Books) -> None:
    lost_state(books)
    books.found()
    (words,) = books.words.values()
    assert "statement:1:alert do not balance: 1 of 4" in words
    assert re.search(r"[.] \w.*[.]$", words)
    assert "@" not in words


def test_an_old_mailing_is_not_counted_through_again(books: Books) -> None:
    lost_state(books)
    books.change_mailing(finished_at=books.now - 2 * HOUR)
    assert books.found() == []


def leave(books: Books, at: datetime) -> None:
    """The first reader leaves the topic."""
    with books.house.database.write() as session:
        reader = session.get_one(Delivery, books.ids[0]).subscriber_id or 0
        found = session.scalars(select(Subscription).where(Subscription.subscriber_id == reader)).one()
        leave_topic(session, found, ConsentSource.ONE_CLICK, at)


@pytest.mark.parametrize(("before", "told"), [(5 * MINUTE, True), (MINUTE / 2, False), (-MINUTE, False)])
def test_whoever_was_mailed_after_leaving_is_told(books: Books, before: timedelta, told: bool) -> None:
    leave(books, books.sent - before)
    assert books.found() == ([f"left:{books.mailing}"] if told else [])


def test_who_came_back_before_the_claim_may_be_mailed(books: Books) -> None:
    leave(books, books.sent - 20 * MINUTE)
    with books.house.database.write() as session:
        reader = session.get_one(Delivery, books.ids[0]).subscriber_id or 0
        topic = session.get_one(Mailing, books.mailing).topic_id or 0
        back = Consent(
            subscriber_id=reader,
            topic_id=topic,
            kind=ConsentKind.CONFIRMED,
            source=ConsentSource.FORM,
            at=books.sent - 10 * MINUTE,
        )
        session.add(back)
    leave(books, books.now)
    assert books.found() == []


def without_unique(books: Books, table: str, constraint: str) -> None:
    """Take a rule away; SQLite can do that only by making the table anew."""
    engine = books.house.database.engine
    if engine.dialect.name == "postgresql":
        books.sql(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
        return
    raw = engine.raw_connection()
    cursor = raw.cursor()
    for statement in (
        "PRAGMA foreign_keys=OFF",
        "PRAGMA legacy_alter_table=ON",
        f"ALTER TABLE {table} RENAME TO kept",
        f"CREATE TABLE {table} AS SELECT * FROM kept",
        "DROP TABLE kept",
    ):
        cursor.execute(statement)
    cursor.close()
    raw.close()
    engine.dispose()


def test_two_deliveries_for_one_reader_are_told(books: Books) -> None:
    without_unique(books, "deliveries", "uq_deliveries_mailing_id_subscriber_id")
    assert books.found() == ["guard:deliveries"]
    books.sql(
        "UPDATE deliveries SET subscriber_id = (SELECT subscriber_id FROM deliveries WHERE id = :first) "
        "WHERE id = :second",
        first=books.ids[0],
        second=books.ids[1],
    )
    assert books.found() == ["guard:deliveries", f"twice:{books.mailing}"]


def test_two_readers_of_one_address_are_told(books: Books) -> None:
    without_unique(books, "subscribers", "uq_subscribers_address_index")
    assert books.found() == ["guard:subscribers"]
    books.sql("UPDATE subscribers SET address_index = (SELECT min(address_index) FROM subscribers)")
    assert books.found() == ["guard:subscribers", f"twice:{books.mailing}"]


def open_again(books: Books, due_at: datetime) -> None:
    """The last reader still waits since then, and nothing was claimed for half an hour."""
    with books.house.database.write() as session:
        session.execute(update(Claim).values(claimed_at=books.now - 30 * MINUTE))
    books.change_mailing(state=MailingState.SENDING, finished_at=None)
    books.change(state=DeliveryState.DEFERRED, settled_at=None, due_at=due_at)


def test_what_is_due_and_does_not_leave_is_told(books: Books) -> None:
    open_again(books, books.now - 14 * MINUTE)
    assert books.found() == []
    assert books.found(later=2 * MINUTE) == ["overdue:bulk"]
    assert "statement:1:alert have been due since 2024-02-01 16:46 UTC" in books.words["overdue:bulk"]


def claims_something(books: Books) -> None:
    rows.claimed(books.house, [], books.now - MINUTE, released=True)


def kills_the_switch(books: Books) -> None:
    with books.house.database.write() as session:
        switches.stop(session, reason="a drill", actor="test", now=books.now)


def closes_the_lane(books: Books) -> None:
    books.sql("UPDATE lanes SET closed_until = :later, closed_why = 'staff'", later=later_text(books))


def pauses(books: Books) -> None:
    books.change_mailing(state=MailingState.PAUSED)


def rests_the_relay(books: Books) -> None:
    books.sql(
        "INSERT INTO lanes (id, key, tokens, hour_count, day_count, faults, slowness, closed_until) "
        "VALUES (77, 'relay:127.0.0.1:2525', 0, 0, 0, 0, 1, :later)",
        later=later_text(books),
    )
    changed = books.house.settings.model_copy(update={"smtp_url": "smtp://127.0.0.1:2525"})
    object.__setattr__(books.house, "settings", changed)


def later_text(books: Books) -> Any:
    later = books.now + HOUR
    sqlite = books.house.database.engine.dialect.name == "sqlite"
    return f"{later:%Y-%m-%d %H:%M:%S.%f}" if sqlite else later


@pytest.mark.parametrize(
    "reason", [claims_something, kills_the_switch, closes_the_lane, pauses, rests_the_relay]
)
def test_standing_still_for_a_reason_is_no_incident(books: Books, reason: Callable[[Books], None]) -> None:
    open_again(books, books.now - HOUR)
    assert books.found() == ["overdue:bulk"]
    reason(books)
    assert books.found() == []
    with books.house.database.read() as session:
        assert allowances(session, books.now) is not None


def test_what_was_let_go_has_a_moment_to_get_going(books: Books) -> None:
    open_again(books, books.now - HOUR)
    kills_the_switch(books)
    later = 10 * MINUTE
    with books.house.database.write() as session:
        switches.go(session, actor="test", now=books.now + later)
    assert books.found(later=later + MINUTE) == []
    assert books.found(later=later + 3 * MINUTE) == ["overdue:bulk"]
    closes_the_lane(books)
    assert books.found(later=HOUR + MINUTE) == []
    assert books.found(later=HOUR + 3 * MINUTE) == ["overdue:bulk"]


def test_what_is_urgent_is_told_although_other_mail_flows(books: Books) -> None:
    open_again(books, books.now - HOUR)
    books.change_mailing(rank=20)
    books.change(rank=20)
    claims_something(books)
    assert books.found() == ["overdue:urgent"]


def test_a_lease_that_nobody_recovers_is_told(books: Books) -> None:
    books.change_mailing(state=MailingState.SENDING, finished_at=None)
    rows.claimed(books.house, books.ids[3:], books.now)
    books.change(settled_at=None)
    assert books.found(later=16 * MINUTE) == []  # the lease itself was two minutes
    assert books.found(later=18 * MINUTE) == ["lease:send-test-1-aaaaaa"]
    with books.house.database.write() as session:
        session.execute(update(Claim).where(Claim.released_at.is_(None)).values(released_at=books.now))
        rows.change(session, books.ids[3:], state=DeliveryState.SENT, settled_at=books.now)
    assert books.found(later=18 * MINUTE) == []


@pytest.mark.parametrize(
    "state", [MailingState.EXPANDING, MailingState.SCHEDULED], ids=["not expanded", "not opened"]
)
def test_a_mailing_that_does_not_get_going_is_told(books: Books, state: MailingState) -> None:
    books.change_mailing(state=state, created_at=books.now, due_at=books.now, finished_at=None)
    assert books.found(later=9 * MINUTE) == []
    assert books.found(later=11 * MINUTE) == [f"stuck:{books.mailing}"]


def test_more_doubt_than_one_breakdown_explains_is_told(
    books: Books, subscribe: Subscribe, house: House
) -> None:
    changed = books.house.settings.model_copy(
        update={"smtp_url": "smtp://127.0.0.1:25?depth=1&connections=2", "smtp_connections": 2}
    )
    object.__setattr__(books.house, "settings", changed)
    rows.settled(house, books.ids[:2], DeliveryState.IN_DOUBT, books.now, claimed_at=books.now)
    assert books.found() == []
    rows.settled(house, books.ids[2:3], DeliveryState.IN_DOUBT, books.now, claimed_at=books.now)
    assert books.found() == ["doubt:send-test-1-aaaaaa"]
    assert books.found(later=HOUR) == []


def test_a_journal_that_was_set_aside_is_told(books: Books) -> None:
    folder = journal_folder(books.house)
    folder.mkdir(exist_ok=True)
    (folder / "send-dead.1.abc.bad").write_bytes(b"")
    assert books.found() == ["journal:unreadable"]
    (folder / "send-dead.1.abc.bad").unlink()
    assert books.found() == []


def test_a_process_that_fell_silent_is_told_for_a_day(books: Books) -> None:
    with books.house.database.write() as session:
        session.add(Heartbeat(name="worker-send", at=books.now))
    assert books.found(later=2 * MINUTE) == []
    assert books.found(later=4 * MINUTE) == ["silent:worker-send"]
    assert books.found(later=timedelta(hours=25)) == []


def test_an_audit_changes_nothing_but_incidents(books: Books) -> None:
    lost_state(books)
    books.found()
    with books.house.database.read() as session:
        states = session.execute(text("SELECT state FROM deliveries ORDER BY id")).scalars().all()
    assert states.count("lost") == 1


def test_another_rooms_incidents_are_left_alone(books: Books) -> None:
    with books.house.database.write() as session:
        raise_incident(session, "relay-auth:relay:host:587", "The relay refused our login.", books.now)
    books.found()
    assert list(books.words) == ["relay-auth:relay:host:587"]
