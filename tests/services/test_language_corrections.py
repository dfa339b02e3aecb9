"""A mistake in the text of one language alone: its readers are told, and nobody else hears of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from mailer.db.audience import books
from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Statement
from mailer.services.desk import mailings
from mailer.services.desk.mailings import MailingRefusal
from mailer.services.house import House
from mailer.services.programme import corrections, public, translations
from mailer.services.programme.reach import Reach, reach
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.sending.audit_books import audit as audit_books
from mailer.services.sending.split import split_announced
from mailer.vocabulary import DeliveryState, Frequency, MailingKind, TextState
from tests.services import rows
from tests.services.conftest import Hands
from tests.services.test_corrections import correct, kind, mails_of, publish
from tests.services.test_digests import choose, turn
from tests.services.test_translations import body_of, got, tell_of, translate
from tests.smtp_server import MailServer

Subscribe = Callable[..., int]
WRONG, RIGHT = "Գրված էր 212։", "Պետք է լինի 188։"
NEW_HY = "Ուղղված հայերեն տեքստ։"
MORNING = datetime(2024, 2, 2, 13, 0, tzinfo=UTC)


def correct_only(
    house: House, statement: int, language: str, now: datetime, *, body: str = NEW_HY, announce: bool = True
) -> int:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_correction(
            session,
            found,
            title=None,
            body=body,
            wrong=WRONG,
            right=RIGHT,
            actor="test",
            now=now,
            only=language,
        )
        if announce:
            corrections.announce(session, draft, found, actor="test", now=now)
        return draft.id


def reach_of(house: House, statement: int, now: datetime) -> Reach:
    with house.database.read() as session:
        found = session.get_one(Statement, statement)
        return reach(session, corrections.draft_of(session, found), found, now)


def test_only_those_who_got_that_text_are_told_the_doubtful_too(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("en@example.org")
    subscribe("hy@example.org", languages=("hy",))
    subscribe("uk@example.org", languages=("uk", "hy"))  # got it as their fallback
    doubt = subscribe("doubt@example.org", languages=("hy",))
    subscribe("doubt-en@example.org")
    mailing = publish(house, statement, hands.now)
    hands.work()
    ids = rows.ids(house, mailing)
    rows.settled(house, ids[3:], DeliveryState.IN_DOUBT, hands.now, claimed_at=hands.now)
    with house.database.write() as session:
        rows.change(session, ids[3:4], language="hy", version=1)
    server.mails.clear()
    correct_only(house, statement, "hy", hands.now, announce=False)
    reached = reach_of(house, statement, hands.now)
    assert (reached.mailed, reached.instead, reached.on_the_wire) == (3, 0, 0)
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_of(session, found)
        corrections.announce(session, draft, found, actor="test", now=hands.now)
    assert hands.work() == 3
    told = {mail.recipient: body_of(mail) for mail in server.mails}
    assert set(told) == {"hy@example.org", "uk@example.org", "doubt@example.org"}
    assert all(WRONG in body and RIGHT in body and NEW_HY in body for body in told.values())
    assert "Цей текст ще не перекладено. Мова тексту: вірменська." in told["uk@example.org"]
    why = "Це виправлення стосується лише тексту, який ми вам надіслали. Мова тексту: вірменська."
    assert why in told["uk@example.org"]
    assert all(mail.message["In-Reply-To"] for mail in server.mails)
    with house.database.write() as session:  # the English doubt may be released: its text stands
        found = session.get_one(Mailing, mailing)
        assert mailings.release(session, found, actor="test", now=hands.now) == 1
    with house.database.read() as session:
        assert session.scalars(select(Delivery.state).where(Delivery.subscriber_id == doubt)).first() is (
            DeliveryState.IN_DOUBT
        )
    server.mails.clear()
    assert hands.work() == 1
    assert mails_of(server) == {"doubt-en@example.org": ["old"]}
    with house.database.write() as session, pytest.raises(MailingRefusal, match="corrected or retracted"):
        mailings.release(session, session.get_one(Mailing, mailing), actor="test", now=hands.now)
    assert audit_books(house, hands.now) == []


def test_who_is_still_in_the_queue_gets_the_corrected_text_and_nobody_is_stale(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("en@example.org")
    subscribe("hy@example.org", languages=("hy",))
    translate(house, statement, "fr", hands.now, ready=False)
    server.reply_to_recipient = lambda _to: "451 4.7.1 later"
    mailing = publish(house, statement, hands.now)
    hands.work()
    correct_only(house, statement, "hy", hands.now, announce=False)
    assert reach_of(house, statement, hands.now).instead == 1  # the Armenian reader alone
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_of(session, found)
        corrections.announce(session, draft, found, actor="test", now=hands.now)
    server.reply_to_recipient = lambda _to: None
    hands.now += timedelta(hours=1)
    assert hands.work() == 2
    assert got(house, mailing) == [("sent", 2, "en"), ("sent", 2, "hy")]
    assert NEW_HY in body_of(server.to("hy@example.org")[0])
    assert "First paragraph of en" in body_of(server.to("en@example.org")[0])
    with house.database.read() as session:
        states = translations.states(session, session.get_one(Statement, statement))
        assert {one.language: one.state for one in states} == {
            "en": TextState.READY,
            "hy": TextState.READY,
            "fr": TextState.DRAFT,
        }
    assert translate(house, statement, "fr", hands.now) == 0  # the draft can still be finished


def test_the_readers_of_digests_and_of_later_translations_are_among_them(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for name, languages in (("daily-hy", ("hy",)), ("daily-en", ("en",)), ("daily-fr", ("fr",))):
        choose(house, subscribe(f"{name}@example.org", languages=languages), Frequency.DAILY)
    subscribe("once-fr@example.org", languages=("fr",))
    publish(house, statement, hands.now)
    hands.work()
    hands.now = MORNING
    assert turn(house, hands) == 3
    translate(house, statement, "fr", hands.now)
    tell_of(house, statement, "fr", hands.now)
    hands.work()
    hands.now += timedelta(days=1)
    assert turn(house, hands) == 1
    server.mails.clear()
    correct_only(house, statement, "hy", hands.now)
    assert hands.work() == 1
    correct_only(house, statement, "fr", hands.now, body="Texte corrigé.")
    assert hands.work() == 2
    assert sorted(mail.recipient for mail in server.mails) == [
        "daily-fr@example.org",
        "daily-hy@example.org",
        "once-fr@example.org",
    ]
    assert "Texte corrigé." in body_of(server.to("once-fr@example.org")[0])


def test_the_wire_is_waited_for_in_that_language_alone(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("en@example.org")
    subscribe("hy@example.org", languages=("hy",))
    mailing = publish(house, statement, hands.now)
    hands.work()
    ids = rows.ids(house, mailing)
    rows.claimed(house, ids, hands.now)
    server.mails.clear()
    correct_only(house, statement, "hy", hands.now)
    assert split_announced(house, hands.now) == 0
    with house.database.write() as session:
        rows.change(session, ids[1:], state=DeliveryState.IN_DOUBT, settled_at=hands.now)
    assert split_announced(house, hands.now) == 1
    assert hands.work() == 1
    assert server.to("hy@example.org")


def test_corrections_of_one_language_and_of_all_follow_each_other(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("en@example.org")
    subscribe("hy@example.org", languages=("hy", "en"))
    publish(house, statement, hands.now)
    hands.work()
    correct_only(house, statement, "hy", hands.now)
    assert hands.work() == 1
    correct(house, statement, hands.now)  # of the statement itself: the Armenian text is behind now
    assert hands.work() == 2
    assert [kind(mail) for mail in server.to("en@example.org")] == ["old", "Correction"]
    assert len(server.to("hy@example.org")) == 3
    with pytest.raises(StatementRefusal, match="no text in hy"):
        correct_only(house, statement, "hy", hands.now)
    translate(house, statement, "hy", hands.now)
    correct_only(house, statement, "hy", hands.now)
    assert hands.work() == 1  # who ever had an older Armenian text
    correct_only(house, statement, "en", hands.now, body="Other words.")
    assert hands.work() == 2  # both have it in English
    with house.database.read() as session:
        found = session.get_one(Statement, statement)
        assert found.version == 5
        assert [(one.number, one.language) for one in corrections.all_of(session, found)] == [
            (1, "hy"),
            (2, None),
            (3, "hy"),
            (4, "en"),
        ]


def test_a_correction_of_one_language_overtaken_by_one_of_all_is_not_told_any_more(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("hy@example.org", languages=("hy", "en"))
    publish(house, statement, hands.now)
    hands.work()
    correct_only(house, statement, "hy", hands.now)
    server.reply_to_recipient = lambda _to: "451 4.7.1 later"
    hands.work()
    correct(house, statement, hands.now)
    server.reply_to_recipient = lambda _to: None
    for _ in range(3):
        hands.now += timedelta(hours=1)
        hands.work()
    assert len(server.to("hy@example.org")) == 2
    assert "It was 188." in body_of(server.to("hy@example.org")[1])
    with house.database.read() as session:
        first = mailings.find(session, f"statement:{statement}:correction:1")
        assert books(session, first.id).skipped == {"corrected": 1}


def test_the_archive_tells_it_in_that_language_alone(
    house: House, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    publish(house, statement, hands.now)
    published = hands.now
    hands.now += timedelta(days=1)
    correct_only(house, statement, "hy", hands.now)
    hands.work()
    with house.database.read() as session:
        english = public.statement(session, "a-statement", "en", hands.now)
        armenian = public.statement(session, "a-statement", "hy", hands.now)
        assert english is not None
        assert armenian is not None
        assert (english.notes, english.updated_at) == ((), published)
        assert armenian.updated_at == hands.now
        (note,) = armenian.notes
        assert (note.language, note.words["wrong"], note.old_body[:21]) == (
            "hy",
            WRONG,
            "First paragraph of hy",
        )
        assert english.languages == ("en", "hy")


def test_what_is_asked_for_wrongly_is_refused(
    house: House, subscribe: Subscribe, statement: int, now: datetime
) -> None:
    translate(house, statement, "fr", now, ready=False)
    publish(house, statement, now)
    for language, why in (("uk", "no text in uk"), ("fr", "no text in fr"), ("nonsense", "no language tag")):
        with pytest.raises(StatementRefusal, match=why):
            correct_only(house, statement, language, now)
    with pytest.raises(StatementRefusal, match="stands already"):
        correct_only(house, statement, "hy", now, body="First paragraph of hy.\n\nSecond paragraph.")
    correct_only(house, statement, "hy", now, announce=False)
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_of(session, found)
        with pytest.raises(StatementRefusal, match="hy text alone"):
            corrections.add_language(session, draft, found, language="fr", now=now, wrong="x", right="y")
    correct(house, statement, now, announce=False)  # takes the place of the Armenian draft
    with house.database.read() as session:
        (draft,) = corrections.all_of(session, session.get_one(Statement, statement))
        assert draft.language is None
        assert not session.scalars(select(Mailing).where(Mailing.kind == MailingKind.CORRECTION)).all()
