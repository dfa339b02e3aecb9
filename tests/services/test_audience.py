"""Coming, choosing and leaving: consent, one-click, preferences, erasure, on both databases."""

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from mailer.db.audience import books
from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Consent, Subscriber, Subscription, Suppression
from mailer.db.programme import Statement
from mailer.services.audience import people, preferences, unsubscribe
from mailer.services.audience.subscribe import MOST_REQUESTS, Confirmed, Wish, confirm
from mailer.services.audience.subscribe import ask as ask_service
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.vocabulary import (
    ConsentKind,
    ConsentSource,
    DeliveryState,
    SubscriptionState,
    SuppressionReason,
)
from tests.services.conftest import Hands
from tests.smtp_server import MailServer, Taken

Subscribe = Callable[..., int]
WISH = Wish(address="new@example.org", topics=("statements",), languages=("fr",))


def ask(house: House, hands: Hands) -> None:
    with house.database.write() as session:
        ask_service(session, house, WISH, ConsentSource.FORM, hands.now)


def token_in(mail: Taken, door: str) -> str:
    text = mail.message.get_body(("plain",)).get_content()
    links = [word.strip("<>()[].,") for word in text.split() if f"/{door}/" in word]
    return urlsplit(links[0]).path.rsplit("/", 1)[1]


def publish(house: House, statement: int, now: datetime) -> int:
    with house.database.write() as session:
        return statements.publish(
            session, house, session.get_one(Statement, statement), actor="test", now=now
        ).id


def test_nobody_is_on_a_list_before_they_said_yes_twice(
    house: House, server: MailServer, hands: Hands, statement: int
) -> None:
    ask(house, hands)
    assert hands.work() == 1
    alert = publish(house, statement, hands.now)
    assert hands.work() == 0
    token = token_in(server.mails[0], "c")
    with house.database.write() as session:
        assert confirm(session, house, token, hands.now) is Confirmed.NOW
        assert confirm(session, house, token, hands.now) is Confirmed.BEFORE
    assert hands.work() == 1  # the welcome
    with house.database.read() as session:
        assert books(session, alert).skipped == {"unconfirmed": 1}
        kinds = session.scalars(select(Consent.kind).order_by(Consent.id)).all()
    assert kinds == [ConsentKind.ASKED, ConsentKind.CONFIRMED]
    assert "List-Unsubscribe" not in server.mails[0].message
    assert "List-Unsubscribe" in server.mails[1].message


def test_a_stranger_cannot_have_somebody_mailed_again_and_again(
    house: House, server: MailServer, hands: Hands
) -> None:
    for _ in range(5):
        ask(house, hands)
    hands.work()
    assert len(server.mails) == 1
    for _ in range(6):
        hands.now += timedelta(hours=25)
        ask(house, hands)
        hands.work()
    assert len(server.mails) == MOST_REQUESTS


def test_a_confirmation_link_ends_after_three_days_and_a_forged_one_never_works(
    house: House, server: MailServer, hands: Hands
) -> None:
    ask(house, hands)
    hands.work()
    token = token_in(server.mails[0], "c")
    forged = ("b" if token[0] == "a" else "a") + token[1:]
    with house.database.write() as session:
        assert confirm(session, house, forged, hands.now) is Confirmed.UNKNOWN
        assert confirm(session, house, token, hands.now + timedelta(hours=74)) is Confirmed.EXPIRED


def test_one_click_takes_a_person_out_before_what_waits_can_leave(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("leaving@example.org")
    subscribe("staying@example.org")
    alert = publish(house, statement, hands.now)
    server.reply_to_recipient = lambda to: "451 4.3.0 later" if to.startswith("leaving") else None
    assert hands.work() == 1
    with house.database.write() as session:
        leaving = people.find(session, house, "leaving@example.org")
        assert leaving is not None
        delivery = session.scalars(select(Delivery).where(Delivery.subscriber_id == leaving.id)).one()
        url = house.unsubscribe_links(delivery.id)[0]
    token = url.rsplit("/", 1)[1]
    for _ in range(3):
        with house.database.write() as session:
            unsubscribe.leave(session, house, token, ConsentSource.ONE_CLICK, hands.now)
    server.reply_to_recipient = lambda _to: None
    hands.now += timedelta(days=1)
    assert hands.work() == 0
    with house.database.read() as session:
        account = books(session, alert)
        assert (account.sent, account.skipped, account.open) == (1, {"unsubscribed": 1}, 0)
        withdrawn = select(func.count()).where(Consent.kind == ConsentKind.WITHDRAWN)
        assert session.scalar(withdrawn) == 1


@pytest.mark.parametrize("token", ["", "a", "x" * 40, "ä" * 30, "a" * 100_000])
def test_a_forged_token_changes_nothing(
    house: House, now: datetime, subscribe: Subscribe, token: str
) -> None:
    subscribe("reader@example.org")
    with house.database.write() as session:
        assert unsubscribe.leave(session, house, token, ConsentSource.ONE_CLICK, now) == unsubscribe.NOWHERE
        states = session.scalars(select(Subscription.state)).all()
    assert states == [SubscriptionState.CONFIRMED]


def test_an_erased_person_leaves_only_a_keyed_hash_and_no_import_brings_them_back(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    person = subscribe("gone@example.org", name="Gone")
    alert = publish(house, statement, hands.now)
    hands.work()
    token = house.preferences_url(person, hands.now).rsplit("/", 1)[1]
    with house.database.write() as session:
        assert preferences.erase(session, house, token, hands.now)
    with house.database.write() as session:
        assert not preferences.erase(session, house, token, hands.now)
        assert session.scalar(select(func.count()).select_from(Subscriber)) == 0
        assert session.scalar(select(func.count()).select_from(Consent)) == 0
        assert session.scalars(select(Suppression.reason)).all() == [SuppressionReason.ERASED]
        assert books(session, alert).sent == 1
        again = people.add(
            session, house, address="Gone@example.org", name=None, languages=["en"], zone=None, now=hands.now
        )
        assert again.suppressed is SuppressionReason.ERASED


def test_who_had_themselves_erased_can_come_back_by_their_own_wish(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe
) -> None:
    person = subscribe("new@example.org")
    with house.database.write() as session:
        preferences.erase_person(session, house, session.get_one(Subscriber, person), hands.now)
    ask(house, hands)
    assert hands.work() == 1
    with house.database.write() as session:
        token = token_in(server.mails[0], "c")
        assert confirm(session, house, token, hands.now) is Confirmed.NOW
        assert session.scalars(select(Subscriber.suppressed)).all() == [None]
        assert session.scalar(select(func.count()).select_from(Suppression)) == 0


def test_preferences_change_topics_language_and_zone_by_the_link(
    house: House, now: datetime, subscribe: Subscribe
) -> None:
    person = subscribe("reader@example.org", languages=("en", "fr"))
    token = house.preferences_url(person, now).rsplit("/", 1)[1]
    with house.database.write() as session:
        held = preferences.change(
            session, house, token, topics=["symposia"], language="hy", zone="Asia/Yerevan", now=now
        )
        assert isinstance(held, preferences.Held)
        assert held.languages == ("hy", "en", "fr")
        assert held.zone == "Asia/Yerevan"
        assert {choice.topic.key for choice in held.choices if choice.on} == {"symposia"}
        late = now + timedelta(days=32)
        assert not isinstance(preferences.look(session, house, token, late), preferences.Held)


def test_a_suppressed_person_is_in_the_books_and_gets_nothing(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("bounced@example.org")
    with house.database.write() as session:
        people.suppress(session, house, "bounced@example.org", SuppressionReason.BOUNCE, hands.now)
    alert = publish(house, statement, hands.now)
    assert hands.work() == 0
    with house.database.read() as session:
        assert books(session, alert).skipped == {"suppressed": 1}
        assert session.scalars(select(Delivery.state)).all() == [DeliveryState.SKIPPED]
        assert session.scalar(select(func.count()).select_from(Mailing)) == 1
