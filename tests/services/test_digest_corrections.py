"""Who read a statement in a digest is told of its correction too, as an answer to that digest."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from mailer.db.mailings import Mailing
from mailer.db.programme import Statement
from mailer.services.audience import preferences
from mailer.services.desk import mailings
from mailer.services.desk.mailings import MailingRefusal
from mailer.services.house import House
from mailer.services.programme import corrections, digests
from mailer.services.programme.reach import reach
from mailer.vocabulary import DeliveryState, Frequency, MailingKind
from tests.services import rows
from tests.services.conftest import Hands
from tests.services.test_corrections import Subscribe, correct, publish, retract, text
from tests.smtp_server import MailServer

MORNING = datetime(2024, 2, 2, 13, 0, tzinfo=UTC)  # 08:00 in New York, the day after


def daily(house: House, subscribe: Subscribe, address: str) -> None:
    number = subscribe(address)
    with house.database.write() as session:
        assert preferences.set_frequency(session, number, "statements", Frequency.DAILY)


def turn(house: House, hands: Hands) -> int:
    digests.plan_all(house, hands.now)
    return hands.work()


def test_a_correction_answers_the_digest_that_told_the_older_text(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    daily(house, subscribe, "daily@example.org")
    subscribe("once@example.org")
    publish(house, statement, hands.now)
    assert turn(house, hands) == 1
    hands.now = MORNING
    assert turn(house, hands) == 1
    correct(house, statement, hands.now)
    assert hands.work() == 2
    digest, correction = server.to("daily@example.org")
    assert str(correction.message["Subject"]).startswith("Correction:")
    assert correction.message["In-Reply-To"] == digest.message["Message-ID"]
    retract(house, statement, hands.now)
    assert hands.work() == 2
    assert turn(house, hands) == 0


def test_doubt_about_a_digest_with_the_older_text_can_no_longer_be_released(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    daily(house, subscribe, "daily@example.org")
    publish(house, statement, hands.now)
    turn(house, hands)
    hands.now = MORNING
    assert turn(house, hands) == 1
    with house.database.write() as session:
        digest = session.scalars(select(Mailing).where(Mailing.kind == MailingKind.DIGEST)).one()
        rows.change(session, rows.ids(house, digest.id), state=DeliveryState.IN_DOUBT)
    correct(house, statement, hands.now)
    assert hands.work() == 1
    with house.database.write() as session, pytest.raises(MailingRefusal, match="corrected or retracted"):
        mailings.release(session, session.get_one(Mailing, digest.id), actor="test", now=hands.now)


def test_a_digest_to_come_tells_the_corrected_text_and_needs_no_correction(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    daily(house, subscribe, "daily@example.org")
    publish(house, statement, hands.now)
    turn(house, hands)
    correction = correct(house, statement, hands.now, announce=False)
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        (draft,) = corrections.all_of(session, found)
        assert draft.id == correction
        assert reach(session, draft, found, hands.now).instead == 1
        corrections.announce(session, draft, found, actor="test", now=hands.now)
    turn(house, hands)
    hands.now = MORNING
    assert turn(house, hands) == 1
    assert turn(house, hands) == 0
    (digest,) = server.to("daily@example.org")
    assert "Second thoughts about it" in text(digest)
