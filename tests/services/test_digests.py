"""Digests: each statement reaches each reader once, at once or in a digest, at the hour of their own zone."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

import pytest
from sqlalchemy import func, select, update

from mailer import settings
from mailer.db.audience import books
from mailer.db.digests import DigestItem
from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Statement, StatementText
from mailer.messages import when
from mailer.services.audience import preferences
from mailer.services.audience.unsubscribe import leave, undo
from mailer.services.desk import mailings
from mailer.services.house import House
from mailer.services.programme import digests, embargo, review, statements
from mailer.services.programme.digests import Turn, newest_turn
from mailer.services.sending.embargo_time import at_instant
from mailer.services.sending.expand import expand_mailing
from mailer.vocabulary import (
    ConsentSource,
    Frequency,
    MailingKind,
    MailingState,
    StatementState,
    SubscriptionState,
)
from tests.services.conftest import Hands
from tests.services.test_corrections import correct, retract
from tests.smtp_server import MailServer

Subscribe = Callable[..., int]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NEW_YORK, YEREVAN, SYDNEY = "America/New_York", "Asia/Yerevan", "Australia/Sydney"


@pytest.fixture
def reader(subscribe: Subscribe, house: House) -> Callable[..., int]:
    """Adds a confirmed subscriber of statements with a frequency; returns their id."""

    def add(address: str, frequency: Frequency, **other: object) -> int:
        number = subscribe(address, **other)
        choose(house, number, frequency)
        return number

    return add


def choose(house: House, subscriber: int, frequency: Frequency) -> None:
    with house.database.write() as session:
        assert preferences.set_frequency(session, subscriber, "statements", frequency)


def publish(house: House, title: str, now: datetime, *, languages: tuple[str, ...] = ("en",)) -> int:
    """A new statement, published and announced; its number."""
    with house.database.write() as session:
        statement = Statement(
            key=title, slug=title.lower().replace(" ", "-"), language="en", dated=now.date(), created_at=now
        )
        session.add(statement)
        session.flush()
        for language in languages:
            session.add(
                StatementText(
                    statement_id=statement.id,
                    language=language,
                    title=title if language == "en" else f"{title} ({language})",
                    body=f"The first lines of {title}.\n\nMore.",
                    created_at=now,
                )
            )
        session.flush()
        statements.publish(session, house, statement, actor="test", now=now)
        return statement.id


def turn(house: House, hands: Hands) -> int:
    """What the beat does at this moment; how many mails left."""
    digests.plan_all(house, hands.now)
    return hands.work()


def told(server: MailServer, address: str) -> list[str]:
    """Subjects of what this reader got."""
    return [str(mail.message["Subject"]) for mail in server.to(address)]


def text_of(server: MailServer, address: str) -> str:
    return server.to(address)[-1].message.get_body(("plain",)).get_content()


def test_a_digest_tells_in_the_morning_what_came_out_the_day_before(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    reader("once@example.org", Frequency.AT_ONCE)
    reader("daily@example.org", Frequency.DAILY)
    reader("weekly@example.org", Frequency.WEEKLY)
    publish(house, "First statement", hands.now)  # Thursday, noon in New York
    publish(house, "Second statement", hands.now + HOUR)
    hands.now += HOUR
    assert turn(house, hands) == 2
    assert told(server, "once@example.org") == ["First statement", "Second statement"]

    hands.now = datetime(2024, 2, 2, 12, 59, tzinfo=UTC)
    assert turn(house, hands) == 0
    hands.now += timedelta(minutes=1)  # 08:00 in New York
    assert turn(house, hands) == 1
    assert turn(house, hands) == 0
    assert told(server, "daily@example.org") == ["Statements – February 2, 2024"]
    text = text_of(server, "daily@example.org")
    assert "2 new statements" in text
    assert text.index("First statement") > text.index("Second statement")
    assert "The first lines of First statement." in text
    assert "https://mailer.example.org/statements/first-statement" in text
    assert "https://mailer.example.org/statements" in text.splitlines()

    hands.now = datetime(2024, 2, 5, 13, 0, tzinfo=UTC)  # Monday
    assert turn(house, hands) == 1
    assert told(server, "weekly@example.org") == ["Statements – February 5, 2024"]
    hands.now += 14 * DAY
    assert turn(house, hands) == 0


def test_a_digest_is_a_list_mail_with_its_way_out(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    reader("daily@example.org", Frequency.DAILY)
    publish(house, "First statement", hands.now)
    hands.work()
    hands.now += DAY
    turn(house, hands)
    (mail,) = server.mails
    message = mail.message
    assert message["List-Id"].endswith("<statements.lists.example.org>")
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Precedence"] == "list"
    token = str(message["List-Unsubscribe"]).split("/u/")[1].split(">")[0]
    with house.database.write() as session:
        leave(session, house, token, ConsentSource.ONE_CLICK, hands.now)
    publish(house, "Second statement", hands.now)
    hands.work()
    hands.now += DAY
    assert turn(house, hands) == 0


def test_each_zone_has_its_own_morning_and_its_own_day(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    reader("york@example.org", Frequency.DAILY)
    reader("yerevan@example.org", Frequency.DAILY, zone=YEREVAN)
    reader("sydney@example.org", Frequency.DAILY, zone=SYDNEY)
    publish(house, "First statement", hands.now)  # 1 February, 17:00 UTC
    hands.work()
    left: dict[str, datetime] = {}
    for _ in range(24):
        hands.now += HOUR
        before = len(server.mails)
        turn(house, hands)
        left |= {mail.recipient: hands.now for mail in server.mails[before:]}
    assert left == {
        "sydney@example.org": datetime(2024, 2, 1, 21, 0, tzinfo=UTC),
        "yerevan@example.org": datetime(2024, 2, 2, 4, 0, tzinfo=UTC),
        "york@example.org": datetime(2024, 2, 2, 13, 0, tzinfo=UTC),
    }
    assert {str(mail.message["Subject"]) for mail in server.mails} == {"Statements – February 2, 2024"}
    with house.database.read() as session:
        keys = session.scalars(select(Mailing.key).where(Mailing.kind == MailingKind.DIGEST)).all()
    assert sorted(keys) == [
        "digest:statements:daily:2024-02-02:20240201T2100z",
        "digest:statements:daily:2024-02-02:20240202T0400z",
        "digest:statements:daily:2024-02-02:20240202T1300z",
    ]


@pytest.mark.parametrize(
    ("zone", "now", "expected"),
    [
        # New York's clocks go forward on 10 March and back on 3 November 2024.
        (NEW_YORK, "2024-03-09T13:00Z", "2024-03-09T13:00Z"),
        (NEW_YORK, "2024-03-10T11:59Z", "2024-03-09T13:00Z"),
        (NEW_YORK, "2024-03-10T12:00Z", "2024-03-10T12:00Z"),
        (NEW_YORK, "2024-11-03T12:59Z", "2024-11-02T12:00Z"),
        (NEW_YORK, "2024-11-03T13:00Z", "2024-11-03T13:00Z"),
        ("Europe/Kyiv", "2024-03-31T05:00Z", "2024-03-31T05:00Z"),
        ("Europe/Kyiv", "2024-03-30T05:59Z", "2024-03-29T06:00Z"),
        ("Pacific/Kiritimati", "2024-02-01T18:00Z", "2024-02-01T18:00Z"),
        ("Pacific/Honolulu", "2024-02-01T18:00Z", "2024-02-01T18:00Z"),
    ],
)
def test_the_civil_hour_is_right_on_both_sides_of_every_change(zone: str, now: str, expected: str) -> None:
    chosen = settings.load(zone="UTC")
    found = newest_turn(Frequency.DAILY, zone, chosen, datetime.fromisoformat(now))
    assert found.due_at == datetime.fromisoformat(expected)
    assert when.local(found.due_at, zone).time() == time(8)


def test_the_same_instant_may_be_two_days() -> None:
    chosen, now = settings.load(zone="UTC"), datetime(2024, 2, 1, 18, 0, tzinfo=UTC)
    east = newest_turn(Frequency.DAILY, "Pacific/Kiritimati", chosen, now)
    west = newest_turn(Frequency.DAILY, "Pacific/Honolulu", chosen, now)
    assert east == Turn(day="2024-02-02", due_at=now)
    assert west == Turn(day="2024-02-01", due_at=now)


def test_an_hour_that_the_clocks_skip_or_pass_twice_is_there_once() -> None:
    chosen = settings.load(zone="UTC", digest_hour=2)
    skipped = newest_turn(Frequency.DAILY, NEW_YORK, chosen, datetime(2024, 3, 10, 20, tzinfo=UTC))
    assert skipped.due_at == datetime(2024, 3, 10, 7, tzinfo=UTC)  # 03:00, for there is no 02:00
    once = settings.load(zone="UTC", digest_hour=1)
    for hour in (5, 6, 12):
        twice = newest_turn(Frequency.DAILY, NEW_YORK, once, datetime(2024, 11, 3, hour, tzinfo=UTC))
        assert twice.due_at == datetime(2024, 11, 3, 5, tzinfo=UTC)  # the first of the two


def test_the_weekday_is_the_readers_own() -> None:
    chosen = settings.load(zone="UTC", digest_weekday="friday")
    for zone, expected in ((SYDNEY, "2024-02-01T21:00Z"), (NEW_YORK, "2024-01-26T13:00Z")):
        found = newest_turn(Frequency.WEEKLY, zone, chosen, datetime(2024, 2, 1, 22, tzinfo=UTC))
        assert found.due_at == datetime.fromisoformat(expected)


def test_a_machine_that_was_off_sends_one_digest_late(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    reader("daily@example.org", Frequency.DAILY)
    publish(house, "First statement", hands.now)
    hands.work()
    hands.now = datetime(2024, 2, 6, 20, 0, tzinfo=UTC)
    assert turn(house, hands) == 1
    hands.now += 3 * DAY
    assert turn(house, hands) == 0
    assert told(server, "daily@example.org") == ["Statements – February 6, 2024"]


def test_a_digest_that_could_not_leave_for_days_is_told_by_the_next_one(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    reader("daily@example.org", Frequency.DAILY)
    publish(house, "First statement", hands.now)
    hands.work()
    hands.now += DAY
    digests.plan_all(house, hands.now)
    with house.database.write() as session:
        for number in session.scalars(select(Mailing.id).where(Mailing.kind == MailingKind.DIGEST)):
            expand_mailing(session, number, hands.now)
    hands.now += 4 * DAY
    assert hands.work() == 0
    assert turn(house, hands) == 1
    assert "First statement" in text_of(server, "daily@example.org")
    hands.now += DAY
    assert turn(house, hands) == 0


def test_who_has_just_chosen_a_digest_waits_for_the_next_hour(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    reader("daily@example.org", Frequency.DAILY)
    publish(house, "First statement", hands.now)
    assert turn(house, hands) == 0  # 08:00 was four hours ago, and nothing was owed then
    hands.now += timedelta(hours=19)
    assert turn(house, hands) == 0
    hands.now += HOUR
    assert turn(house, hands) == 1


def test_a_change_of_mind_before_the_digest_keeps_what_is_owed(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    person = reader("reader@example.org", Frequency.WEEKLY)
    publish(house, "First statement", hands.now)
    hands.work()
    choose(house, person, Frequency.AT_ONCE)
    publish(house, "Second statement", hands.now)
    assert turn(house, hands) == 1
    assert told(server, "reader@example.org") == ["Second statement"]
    hands.now += DAY
    assert turn(house, hands) == 1
    text = text_of(server, "reader@example.org")
    assert "First statement" in text
    assert "Second statement" not in text


def test_what_is_not_public_is_never_told(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    reader("daily@example.org", Frequency.DAILY)
    withdrawn = publish(house, "Withdrawn", hands.now)
    stays = publish(house, "Stays", hands.now)
    hands.work()
    hands.now += DAY
    digests.plan_all(house, hands.now)
    with house.database.write() as session:
        session.execute(update(Statement).where(Statement.id == withdrawn).values(state=StatementState.DRAFT))
        session.execute(update(Statement).where(Statement.id == stays).values(version=2))
        text = session.scalars(select(StatementText).where(StatementText.statement_id == stays)).one()
        session.get_one(Statement, stays).version = 2
        session.add(
            StatementText(
                statement_id=stays,
                language="en",
                version=2,
                title="Stays, corrected",
                body=text.body,
                created_at=hands.now,
            )
        )
    assert hands.work() == 1
    told_now = text_of(server, "daily@example.org")
    assert "Stays, corrected" in told_now
    assert "Withdrawn" not in told_now


def test_a_digest_of_which_nothing_is_left_does_not_leave_and_says_why(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    reader("daily@example.org", Frequency.DAILY)
    number = publish(house, "Withdrawn", hands.now)
    hands.work()
    hands.now += DAY
    digests.plan_all(house, hands.now)
    with house.database.write() as session:
        mailing = session.scalars(select(Mailing).where(Mailing.kind == MailingKind.DIGEST)).one()
        expand_mailing(session, mailing.id, hands.now)
        session.execute(
            update(Statement).where(Statement.id == number).values(state=StatementState.RETRACTED)
        )
    assert hands.work() == 0
    with house.database.read() as session:
        account = books(session, mailing.id)
        assert account.skipped == {"nothing_left": 1}
        assert account.balanced


@pytest.mark.parametrize("state", [MailingState.PAUSED, MailingState.CANCELLED])
def test_an_alert_that_staff_hold_back_is_held_back_in_digests_too(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int], state: MailingState
) -> None:
    reader("daily@example.org", Frequency.DAILY)
    reader("once@example.org", Frequency.AT_ONCE)
    number = publish(house, "First statement", hands.now)
    key = f"statement:{number}:alert"
    with house.database.write() as session:
        if state is MailingState.PAUSED:
            mailings.pause(session, mailings.find(session, key), actor="test", now=hands.now)
        else:
            mailings.cancel(session, mailings.find(session, key), actor="test", now=hands.now)
    hands.work()
    hands.now += DAY
    assert turn(house, hands) == 0
    if state is MailingState.PAUSED:
        with house.database.write() as session:
            mailings.resume(session, mailings.find(session, key), actor="test", now=hands.now)
        hands.work()
        hands.now += DAY
        assert turn(house, hands) == 1
        assert len(told(server, "daily@example.org")) == 1


def test_what_is_under_embargo_is_owed_from_its_moment_on(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int], statement: int
) -> None:
    reader("daily@example.org", Frequency.DAILY)
    opens = datetime(2024, 2, 2, 13, 30, tzinfo=UTC)  # half an hour after the digest of that day
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        review.ask(session, found, actor="anna", now=hands.now)
        review.approve(session, found, actor="ben", now=hands.now)
        embargo.schedule(session, house, found, at_instant(opens, NEW_YORK), actor="anna", now=hands.now)
    hands.work()
    assert owed(house) == 1
    hands.now = opens - timedelta(minutes=30)
    assert turn(house, hands) == 0
    hands.now = opens
    assert turn(house, hands) == 0
    hands.now = opens - timedelta(minutes=30) + DAY
    assert turn(house, hands) == 1
    assert "A statement on prisoners of war" in text_of(server, "daily@example.org")


def owed(house: House) -> int:
    with house.database.read() as session:
        return session.scalar(select(func.count()).where(DigestItem.delivery_id.is_(None))) or 0


def test_a_digests_reader_is_told_of_a_correction_and_of_a_retraction(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int], statement: int
) -> None:
    reader("daily@example.org", Frequency.DAILY)
    reader("weekly@example.org", Frequency.WEEKLY)
    with house.database.write() as session:
        statements.publish(session, house, session.get_one(Statement, statement), actor="test", now=hands.now)
    hands.work()
    hands.now += DAY
    assert turn(house, hands) == 1
    digest = server.mails[-1].message["Message-ID"]

    correct(house, statement, hands.now)
    while hands.work():
        pass
    (mail,) = server.mails[1:]
    assert mail.recipient == "daily@example.org"
    assert str(mail.message["Subject"]).startswith("Correction:")
    assert mail.message["In-Reply-To"] == digest
    hands.now = datetime(2024, 2, 5, 13, 0, tzinfo=UTC)
    assert turn(house, hands) == 1
    assert "Second thoughts about it" in text_of(server, "weekly@example.org")

    retract(house, statement, hands.now)
    while hands.work():
        pass
    retracted = server.mails[3:]
    assert {str(mail.message["Subject"]).partition(":")[0] for mail in retracted} == {"Retraction"}
    assert sorted(mail.recipient for mail in retracted) == ["daily@example.org", "weekly@example.org"]


def test_readers_of_the_same_statements_share_a_form_and_others_have_their_own(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    for number in range(3):
        reader(f"early{number}@example.org", Frequency.DAILY)
    publish(house, "First statement", hands.now, languages=("en", "hy"))
    hands.work()
    reader("late@example.org", Frequency.DAILY)
    reader("armenian@example.org", Frequency.DAILY, languages=("hy",))
    publish(house, "Second statement", hands.now + HOUR, languages=("en", "hy"))
    hands.now += HOUR
    hands.work()
    hands.now += DAY
    assert turn(house, hands) == 5
    for number in range(3):
        assert "First statement" in text_of(server, f"early{number}@example.org")
    assert "First statement" not in text_of(server, "late@example.org")
    assert "Second statement (hy)" in text_of(server, "armenian@example.org")
    forms = hands.dispatcher.composer._forms
    assert len(forms) == 3


def test_who_comes_back_is_not_told_of_the_time_away_but_a_slip_of_the_hand_loses_nothing(
    house: House, server: MailServer, hands: Hands, reader: Callable[..., int]
) -> None:
    person = reader("reader@example.org", Frequency.DAILY)
    publish(house, "First statement", hands.now)
    hands.work()
    hands.now += DAY
    turn(house, hands)
    token = str(server.mails[0].message["List-Unsubscribe"]).split("/u/")[1].split(">")[0]
    publish(house, "Second statement", hands.now)
    hands.work()
    with house.database.write() as session:
        leave(session, house, token, ConsentSource.ONE_CLICK, hands.now)
    with house.database.write() as session:
        undo(session, house, token, hands.now)
    hands.now += DAY
    assert turn(house, hands) == 1
    publish(house, "Third statement", hands.now)
    hands.work()
    with house.database.write() as session:
        leave(session, house, token, ConsentSource.ONE_CLICK, hands.now)
    hands.now += 90 * DAY
    with house.database.write() as session:
        link = house.preferences_url(person, hands.now).rsplit("/", 1)[1]
        preferences.change(session, house, link, topics=["statements"], language="en", zone="", now=hands.now)
    publish(house, "Fourth statement", hands.now)
    hands.work()
    hands.now += DAY
    assert turn(house, hands) == 1
    assert "Third statement" not in text_of(server, "reader@example.org")


def test_erasing_a_person_leaves_no_item_behind(
    house: House, hands: Hands, reader: Callable[..., int]
) -> None:
    person = reader("reader@example.org", Frequency.DAILY)
    publish(house, "First statement", hands.now)
    hands.work()
    with house.database.write() as session:
        preferences.erase_person(session, house, session.get_one(Subscriber, person), hands.now)
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(DigestItem)) == 0


def test_the_unconfirmed_are_owed_nothing(house: House, hands: Hands, subscribe: Subscribe) -> None:
    waiting = subscribe("waiting@example.org", state=SubscriptionState.PENDING)
    choose(house, waiting, Frequency.DAILY)
    number = publish(house, "First statement", hands.now)
    hands.work()
    with house.database.read() as session:
        alert = mailings.find(session, f"statement:{number}:alert")
        assert books(session, alert.id).skipped == {"unconfirmed": 1}
        assert session.scalar(select(func.count()).select_from(DigestItem)) == 0
        assert session.scalar(select(func.count()).select_from(Delivery)) == 1
        assert session.scalars(select(Subscription.frequency)).one() is Frequency.DAILY
        assert date(2024, 2, 1) == hands.now.date()
