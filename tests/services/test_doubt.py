"""Doubt, settled by the log of the local Postfix: only what the log proves is written down."""

import gzip
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db.mailings import Attempt, Delivery, Mailing
from mailer.db.programme import Registration, Symposium
from mailer.db.staff import AuditEntry
from mailer.messages.tokens import message_id
from mailer.services.desk import mailings
from mailer.services.desk.doubts import doubtful
from mailer.services.house import House
from mailer.services.sending import doubt
from mailer.services.sending.doubt import Resolved, Undecided, resolve_doubt
from mailer.services.sending.relay_log import search
from mailer.smtp.postfix_log import Fate
from mailer.vocabulary import DeliveryState, MailingState
from tests.services import rows

Subscribe = Callable[..., int]

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
PERSON = "cli:test"


class Desk:
    """An alert of which the first readers are in doubt since `doubted`, and the relay's log."""

    def __init__(self, house: House, mailing: int, path: Path, now: datetime) -> None:
        changed = house.settings.model_copy(update={"postfix_log": path, "smtp_url": "smtp://127.0.0.1:25"})
        self.house, self.mailing, self.path = replace(house, settings=changed), mailing, path
        self.ids = rows.ids(house, mailing)
        self.claimed, self.doubted = now - 2 * HOUR, now - HOUR
        self.lines: list[str] = []

    def write(self, at: datetime, text: str) -> None:
        self.lines.append(f"{at:%Y-%m-%dT%H:%M:%S.%f}+00:00 relay postfix/{text}\n")

    def frame(self) -> None:
        """Lines of other business around the doubt: the log covers it."""
        self.write(self.claimed - HOUR, "qmgr[7]: AAAAAAAAAA1: removed")
        self.lines.sort()
        self.write(self.doubted + SECOND, "smtpd[5]: disconnect from localhost[127.0.0.1]")
        self.path.write_text("".join(self.lines))

    def takes(self, delivery: int, at: datetime) -> None:
        """Postfix accepts this delivery's mail."""
        queue_id = f"{delivery:010X}"
        name = message_id(self.house.message_keys, self.message_key, delivery, "example.org")
        self.write(at, f"smtpd[5]: {queue_id}: client=localhost[127.0.0.1]")
        self.write(at, f"cleanup[6]: {queue_id}: message-id={name}")
        self.write(at, f"qmgr[7]: {queue_id}: from=<b+x@example.org>, size=9, nrcpt=1 (queue active)")

    @property
    def message_key(self) -> int:
        with self.house.database.read() as session:
            return session.get_one(Mailing, self.mailing).message_key

    def resolve(self, now: datetime, actor: str = PERSON) -> Resolved:
        return resolve_doubt(self.house, now, mailing_id=self.mailing, actor=actor)


@pytest.fixture
def desk(house: House, subscribe: Subscribe, statement: int, tmp_path: Path, now: datetime) -> Desk:
    """Three readers: the first two in doubt, the third has it; the mailing is done."""
    mailing = rows.alert(house, subscribe, statement, now - 3 * HOUR, 3)
    desk = Desk(house, mailing, tmp_path / "mail.log", now)
    rows.settled(house, desk.ids[:2], DeliveryState.IN_DOUBT, desk.doubted, claimed_at=desk.claimed)
    rows.settled(house, desk.ids[2:], DeliveryState.SENT, desk.doubted, claimed_at=desk.claimed)
    rows.closed(house, mailing, desk.doubted)
    return desk


def test_what_the_relay_took_is_sent_and_what_it_never_had_goes_out_again(desk: Desk, now: datetime) -> None:
    desk.takes(desk.ids[0], desk.doubted - SECOND)
    desk.frame()
    assert desk.resolve(now) == Resolved(accepted=1, not_accepted=1)
    assert rows.states(desk.house, desk.mailing) == ["sent", "pending", "sent"]
    with desk.house.database.read() as session:
        assert session.get_one(Mailing, desk.mailing).state is MailingState.SENDING
        first, second = (session.get_one(Delivery, number) for number in desk.ids[:2])
        assert (first.settled_at, second.settled_at, second.due_at) == (desk.doubted, None, now)
        noted = session.scalars(select(Attempt).order_by(Attempt.id.desc()).limit(2)).all()
        assert {(one.delivery_id, one.verdict) for one in noted} == {
            (desk.ids[0], "sent"),
            (desk.ids[1], "deferred"),
        }
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "doubt-settled")).one()
        assert (entry.actor, entry.detail) == (PERSON, {"sent": 1, "back": 1})
    assert desk.resolve(now) == Resolved()


def test_a_mail_that_was_tried_twice_is_looked_for_from_its_first_doubt_on(desk: Desk, now: datetime) -> None:
    desk.takes(desk.ids[0], desk.claimed + SECOND)
    again = now - timedelta(minutes=30)
    rows.settled(desk.house, desk.ids[:1], DeliveryState.IN_DOUBT, again + SECOND, claimed_at=again)
    desk.doubted = again + SECOND
    desk.frame()
    assert desk.resolve(now).accepted == 1


def test_silence_is_no_answer_before_the_relay_had_its_time(desk: Desk) -> None:
    desk.frame()
    early = desk.doubted + doubt.MARGIN - SECOND
    assert desk.resolve(early).undecided == {Undecided.TOO_EARLY: 2}
    assert desk.resolve(early + SECOND).not_accepted == 2


def test_acceptance_needs_no_patience(desk: Desk) -> None:
    desk.takes(desk.ids[0], desk.doubted - SECOND)
    desk.frame()
    assert desk.resolve(desk.doubted + SECOND).accepted == 1


def test_a_log_that_begins_later_proves_nothing_until_its_older_files_are_there(
    desk: Desk, now: datetime
) -> None:
    desk.frame()
    whole = desk.path.read_text().splitlines(keepends=True)
    desk.path.write_text(whole[-1])
    assert desk.resolve(now).undecided == {Undecided.LOG_TOO_SHORT: 2}
    with gzip.open(f"{desk.path}.2.gz", "wt") as older:
        older.writelines(whole[:-1])
    Path(f"{desk.path}.1").write_text("")
    assert desk.resolve(now).not_accepted == 2


def test_a_mail_is_found_in_a_compressed_older_file(desk: Desk, now: datetime) -> None:
    desk.takes(desk.ids[0], desk.doubted - SECOND)
    desk.frame()
    whole = desk.path.read_text().splitlines(keepends=True)
    desk.path.write_text(whole[-1])
    with gzip.open(f"{desk.path}-20240201.gz", "wt") as older:
        older.writelines(whole[:-1])
    assert desk.resolve(now) == Resolved(accepted=1, not_accepted=1)


def test_a_log_without_any_later_line_may_have_stopped(desk: Desk, now: datetime) -> None:
    desk.frame()
    desk.path.write_text("".join(desk.path.read_text().splitlines(keepends=True)[:-1]))
    assert desk.resolve(now).undecided == {Undecided.LOG_SILENT: 2}


def test_dropped_lines_make_silence_worthless(desk: Desk, now: datetime) -> None:
    desk.frame()
    words = "rsyslogd: imuxsock lost 9 messages from pid 5 due to rate-limiting"
    lost = f"{desk.doubted.isoformat()} relay {words}\n"
    whole = desk.path.read_text().splitlines(keepends=True)
    desk.path.write_text("".join([whole[0], lost, *whole[1:]]))
    assert desk.resolve(now).undecided == {Undecided.LINES_LOST: 2}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"postfix_log": None}, Undecided.NO_LOG),
        ({"postfix_log": Path("/nowhere/mail.log")}, Undecided.UNREADABLE),
        ({"smtp_url": "smtp://127.0.0.1 smtp://other.example.org"}, Undecided.OTHER_RELAYS),
        ({"smtp_url": ""}, Undecided.OTHER_RELAYS),
    ],
)
def test_what_cannot_be_known_stays_in_doubt_and_is_said(
    desk: Desk, now: datetime, changes: dict[str, object], why: Undecided
) -> None:
    desk.frame()
    desk.house = replace(desk.house, settings=desk.house.settings.model_copy(update=changes))
    assert desk.resolve(now) == Resolved(undecided={why: 2})
    assert rows.states(desk.house, desk.mailing) == ["in_doubt", "in_doubt", "sent"]


def test_what_was_stopped_or_is_too_late_is_not_sent_again(desk: Desk, now: datetime) -> None:
    desk.frame()
    with desk.house.database.write() as session:
        rows.change(session, desk.ids[:1], not_after=now)
    assert desk.resolve(now).not_accepted == 2
    assert rows.states(desk.house, desk.mailing)[:2] == ["expired", "pending"]
    rows.settled(desk.house, desk.ids[1:2], DeliveryState.IN_DOUBT, desk.doubted, claimed_at=desk.claimed)
    rows.closed(desk.house, desk.mailing, now, MailingState.CANCELLED)
    assert desk.resolve(now).not_accepted == 1
    assert rows.states(desk.house, desk.mailing)[1] == "cancelled"
    with desk.house.database.read() as session:
        assert session.get_one(Mailing, desk.mailing).state is MailingState.CANCELLED


def test_who_was_released_while_the_log_was_read_is_left_alone(desk: Desk, now: datetime) -> None:
    with desk.house.database.read() as session:
        seen = doubt._doubts(session, desk.mailing)
    rows.claimed(desk.house, desk.ids[:1], now)
    rows.settled(desk.house, desk.ids[1:2], DeliveryState.IN_DOUBT, now, claimed_at=now)  # a newer doubt
    with desk.house.database.write() as session:
        verdicts: dict[int, Fate | Undecided] = {one.id: Fate.REFUSED for one in seen}
        assert not doubt._write(session, seen, verdicts, now, PERSON)
    assert rows.states(desk.house, desk.mailing) == ["claimed", "in_doubt", "sent"]


def test_an_attendee_who_has_the_mail_has_heard_of_its_date(
    desk: Desk, symposium: int, now: datetime
) -> None:
    with desk.house.database.write() as session:
        reader = session.get_one(Delivery, desk.ids[0]).subscriber_id or 0
        registration = Registration(
            symposium_id=symposium, subscriber_id=reader, state="confirmed", registered_at=now
        )
        session.add(registration)
        session.get_one(Mailing, desk.mailing).symposium_id = symposium
        session.get_one(Symposium, symposium).facts_version = 4
        session.flush()
        rows.change(session, desk.ids[:1], registration_id=registration.id)
        number = registration.id
    desk.takes(desk.ids[0], desk.doubted - SECOND)
    desk.frame()
    desk.resolve(now)
    with desk.house.database.read() as session:
        assert session.get_one(Registration, number).told_version == 4


@pytest.mark.parametrize(
    ("age", "looked"),
    [
        (timedelta(minutes=12), True),
        (timedelta(minutes=43), False),
        (HOUR, True),  # the clock's minute is a multiple of 30
        (25 * HOUR, False),
    ],
)
def test_the_minutely_look_reads_the_log_only_as_often_as_it_helps(
    desk: Desk, now: datetime, age: timedelta, looked: bool
) -> None:
    desk.frame()
    found = resolve_doubt(desk.house, desk.doubted + age)
    assert found == (Resolved(not_accepted=2) if looked else Resolved())


def test_without_a_log_the_minutely_look_asks_nothing(desk: Desk, now: datetime) -> None:
    changes = {"postfix_log": None}
    desk.house = replace(desk.house, settings=desk.house.settings.model_copy(update=changes))
    assert resolve_doubt(desk.house, now) == Resolved()


def test_one_doubt_can_be_released_or_written_off_alone(desk: Desk, now: datetime) -> None:
    first, second, third = desk.ids
    with desk.house.database.write() as session:
        found = session.get_one(Mailing, desk.mailing)
        assert [one.delivery for one in doubtful(session, found)] == [first, second]
        assert mailings.write_off(session, found, actor="test", now=now, delivery_id=second) == 1
        assert mailings.release(session, found, actor="test", now=now, delivery_id=first) == 1
        with pytest.raises(mailings.MailingRefusal):
            mailings.release(session, found, actor="test", now=now, delivery_id=third)
    assert rows.states(desk.house, desk.mailing) == ["pending", "failed", "sent"]
    with desk.house.database.read() as session:
        entries = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(2)).all()
        assert [(one.action, one.detail) for one in entries] == [
            ("doubt-released", {"deliveries": 1, "delivery": first}),
            ("doubt-written-off", {"deliveries": 1, "delivery": second}),
        ]


def test_nobody_is_released_for_whom_it_is_too_late(desk: Desk, now: datetime) -> None:
    with desk.house.database.write() as session:
        rows.change(session, desk.ids[:1], not_after=now)
        found = session.get_one(Mailing, desk.mailing)
        assert mailings.release(session, found, actor="test", now=now) == 1
    assert rows.states(desk.house, desk.mailing) == ["in_doubt", "pending", "sent"]


AT = datetime(2024, 2, 1, 12, 0, tzinfo=UTC)


def syslog(path: Path, hours: int) -> None:
    """A log without zones, one mail a second."""
    with path.open("w") as file:
        for second in range(hours * 3600):
            at = (AT + second * SECOND).astimezone()
            stamp = f"{at:%b} {at.day:2} {at:%H:%M:%S}"
            file.write(
                f"{stamp} relay postfix/cleanup[6]: {second:010X}: message-id=<m{second}@example.org>\n"
            )
            file.write(f"{stamp} relay postfix/qmgr[7]: {second:010X}: from=<b@example.org>, size=9\n")
    os.utime(path, (AT.timestamp() + hours * 3600, AT.timestamp() + hours * 3600))


def test_a_long_log_is_read_from_the_moment_that_matters_in_bounded_memory(tmp_path: Path) -> None:
    path, hours = tmp_path / "mail.log", 8
    syslog(path, hours)
    assert path.stat().st_size > 4_000_000
    now, since = AT + hours * HOUR, AT + 7 * HOUR
    tracemalloc.start()
    found = search(path, ["m60", f"m{7 * 3600 + 5}", "m999999"], since, now)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.fates == {f"m{7 * 3600 + 5}": Fate.ACCEPTED}  # m60 stands hours before
    assert found.begins is not None
    assert found.begins < since
    assert found.ends == now - SECOND
    assert peak < 4_000_000


def test_a_log_whose_clock_is_of_another_zone_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    syslog(path, 2)
    assert search(path, ["m60"], AT + HOUR, AT + 9 * HOUR).begins is not None
    written = AT.timestamp() + 5 * 3600  # the file was written three hours after what its lines say
    os.utime(path, (written, written))
    assert search(path, ["m60"], AT + HOUR, AT + 9 * HOUR).begins is None
