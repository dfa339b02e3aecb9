"""Digests in many languages: each item in the first of the reader's own, held where staff hold it, and told
again, once, to exactly those who got it in another."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import select, update

from mailer.db.audience import books
from mailer.db.digests import DigestItem
from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Statement
from mailer.services.audience import preferences
from mailer.services.audience.unsubscribe import leave
from mailer.services.desk import mailings
from mailer.services.house import House
from mailer.services.programme import corrections, digests, translations
from mailer.services.sending.expand import expand_mailing
from mailer.vocabulary import ConsentSource, DeliveryState, Frequency, MailingKind, MailingState
from tests.services import rows
from tests.services.conftest import Hands
from tests.services.test_corrections import correct, retract
from tests.services.test_digests import choose, owed, publish, text_of, told, turn
from tests.services.test_translations import body_of, hold, tell_of, translate
from tests.smtp_server import MailServer

Subscribe = Callable[..., int]
Reader = Callable[..., int]
MORNING = datetime(2024, 2, 2, 13, 0, tzinfo=UTC)  # 08:00 in New York, the day after
DAY = timedelta(days=1)
AGAIN = "We sent you this statement in another language."
DEJA = "Nous vous avons envoyé cette déclaration dans une autre langue."


@pytest.fixture
def reader(subscribe: Subscribe, house: House) -> Reader:
    """Adds a confirmed subscriber of daily digests, or of another frequency; returns their id."""

    def add(name: str, *languages: str, frequency: Frequency = Frequency.DAILY) -> int:
        number = subscribe(f"{name}@example.org", languages=languages)
        choose(house, number, frequency)
        return number

    return add


def texts_had(house: House, person: int) -> list[tuple[str, int | None, str | None]]:
    with house.database.read() as session:
        found = select(DigestItem).where(DigestItem.subscriber_id == person).order_by(DigestItem.translation)
        return [(one.translation, one.version, one.language) for one in session.scalars(found)]


def change_language(house: House, person: int, language: str, now: datetime) -> None:
    with house.database.write() as session:
        link = house.preferences_url(person, now).rsplit("/", 1)[1]
        preferences.change(session, house, link, topics=["statements"], language=language, zone="", now=now)


def test_each_item_is_in_the_first_language_of_the_reader_that_there_is(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    chain = reader("pl", "pl", "uk", "en")
    plain = reader("fr", "fr", "ar")
    reader("hy", "hy-AM", "en")
    publish(house, "First statement", hands.now, languages=("en", "uk", "hy"))
    publish(house, "Second statement", hands.now, languages=("en", "ar"))
    hands.work()
    hands.now = MORNING
    assert turn(house, hands) == 3
    polish = body_of(server.to("pl@example.org")[0])
    assert "First statement (uk)" in polish  # not the original: Ukrainian comes before English
    assert polish.count("Цей текст ще не перекладено. Мова тексту: англійська.") == 1  # of the second
    french = body_of(server.to("fr@example.org")[0])
    assert "Second statement (ar)" in french
    assert "Ce texte n’est pas encore traduit. Langue du texte : arabe." in french
    assert "Ce texte n’est pas encore traduit. Langue du texte : anglais." in french
    assert "First statement (hy)" in text_of(server, "hy@example.org")
    assert texts_had(house, chain) == [("", 1, "uk"), ("", 1, "en")]
    assert texts_had(house, plain) == [("", 1, "en"), ("", 1, "ar")]


def test_each_item_runs_its_own_way_in_a_frame_that_runs_the_other(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    reader("ar", "ar", "en")
    publish(house, "First statement", hands.now, languages=("en", "ar"))
    publish(house, "Second statement", hands.now)
    hands.work()
    hands.now = MORNING
    turn(house, hands)
    page = LexborHTMLParser(body_of(server.to("ar@example.org")[0], "html"))
    assert page.css_first("html").attributes["dir"] == "rtl"
    english, arabic = page.css("td.entry-cell")
    assert (english.attributes["dir"], arabic.attributes["dir"]) == ("ltr", "rtl")
    title = english.css_first("h2 span")
    assert (title.text(), title.attributes["lang"], title.attributes["dir"]) == (
        "Second statement",
        "en",
        "ltr",
    )
    remark = english.css_first("div")
    assert (remark.attributes["lang"], remark.attributes["dir"]) == ("ar", "rtl")
    assert "لم يُترجَم هذا النص بعد" in remark.text()
    assert arabic.css_first("div") is None


def test_an_item_on_hold_stays_out_until_its_translation_is_there(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    reader("hy", "hy", "en")
    reader("en", "en")
    first = publish(house, "First statement", hands.now)
    publish(house, "Second statement", hands.now, languages=("en", "hy"))
    hold(house, first, "hy", hands.now)
    hands.work()
    hands.now = MORNING
    assert turn(house, hands) == 2
    assert "First statement" not in text_of(server, "hy@example.org")
    assert "Second statement (hy)" in text_of(server, "hy@example.org")
    with house.database.read() as session:
        assert translations.waiting(session, session.get_one(Statement, first)) == 1
    for _ in range(5):  # longer than a digest lives
        hands.now += DAY
        assert turn(house, hands) == 0
    assert translate(house, first, "hy", hands.now) == 1
    hands.now += DAY
    assert turn(house, hands) == 1
    assert "A title in hy" in text_of(server, "hy@example.org")
    hands.now += DAY
    assert turn(house, hands) == 0


def test_a_digest_of_which_everything_is_on_hold_is_not_even_made(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    reader("hy", "hy")
    statement = publish(house, "First statement", hands.now)
    hold(house, statement, "hy", hands.now)
    hands.work()
    hands.now = MORNING
    assert turn(house, hands) == 0
    with house.database.read() as session:
        assert not session.scalars(select(Mailing).where(Mailing.kind == MailingKind.DIGEST)).all()
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        assert translations.send_now(session, found, language="hy", actor="test", now=hands.now) == 1
    hands.now += DAY
    assert turn(house, hands) == 1
    assert "First statement" in text_of(server, "hy@example.org")


def test_a_hold_that_comes_when_the_digest_is_made_already_still_holds(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    reader("hy", "hy")
    statement = publish(house, "First statement", hands.now)
    hands.work()
    hands.now = MORNING
    digests_planned(house, hands)
    hold(house, statement, "hy", hands.now)
    assert hands.work() == 0
    with house.database.read() as session:
        digest = session.scalars(select(Mailing).where(Mailing.kind == MailingKind.DIGEST)).one()
        assert books(session, digest.id).skipped == {"nothing_left": 1}
    assert owed(house) == 1
    translate(house, statement, "hy", hands.now)
    hands.now += DAY
    assert turn(house, hands) == 1


def digests_planned(house: House, hands: Hands) -> None:
    """Announced and expanded, and not sent yet."""
    digests.plan_all(house, hands.now)
    with house.database.write() as session:
        for number in session.scalars(
            select(Mailing.id).where(Mailing.state == MailingState.EXPANDING)
        ).all():
            expand_mailing(session, number, hands.now)


def test_who_turns_to_another_language_does_not_go_on_waiting(
    house: House, server: MailServer, hands: Hands, reader: Reader, subscribe: Subscribe
) -> None:
    daily = reader("daily", "hy", "en")
    once = subscribe("once@example.org", languages=("hy", "en"))
    statement = publish(house, "First statement", hands.now)
    hold(house, statement, "hy", hands.now)
    hands.now = MORNING
    assert turn(house, hands) == 0
    for person in (daily, once):
        change_language(house, person, "en", hands.now)
    hands.now += DAY
    assert turn(house, hands) == 2
    assert "First statement" in text_of(server, "daily@example.org")
    assert told(server, "once@example.org") == ["First statement"]


def test_exactly_those_who_got_the_fallback_are_told_of_the_translation(
    house: House, server: MailServer, hands: Hands, reader: Reader, subscribe: Subscribe
) -> None:
    reader("daily", "fr", "en")
    reader("weekly", "fr", "en", frequency=Frequency.WEEKLY)  # has not been told of it yet
    reader("second", "en", "fr")
    doubtful = reader("doubt", "fr-CA")
    failed = reader("failed", "fr")
    gone = reader("gone", "fr")
    turned = reader("turned", "fr")
    subscribe("once@example.org", languages=("fr",))
    statement = publish(house, "First statement", hands.now)
    hands.work()
    hands.now = MORNING
    assert turn(house, hands) == 6
    with house.database.write() as session:
        for person, state in ((doubtful, DeliveryState.IN_DOUBT), (failed, DeliveryState.FAILED)):
            session.execute(update(Delivery).where(Delivery.subscriber_id == person).values(state=state))
        person_gone = server.to("gone@example.org")[-1].message
        token = str(person_gone["List-Unsubscribe"]).split("/u/")[1].split(">")[0]
        leave(session, house, token, ConsentSource.ONE_CLICK, hands.now)
    choose(house, turned, Frequency.AT_ONCE)
    translate(house, statement, "fr", hands.now)
    server.mails.clear()
    key = tell_of(house, statement, "fr", hands.now)
    hands.work()
    assert {mail.recipient for mail in server.mails} == {"once@example.org", "turned@example.org"}
    assert server.to("turned@example.org")[0].message["In-Reply-To"]
    with house.database.read() as session:
        account = books(session, mailings.find(session, key).id)
        assert (account.sent, account.skipped, account.balanced) == (2, {"unsubscribed": 1}, True)
    hands.now += DAY
    assert turn(house, hands) == 2
    for name in ("daily", "doubt"):
        french = body_of(server.to(f"{name}@example.org")[-1])
        assert DEJA in french
        assert "A title in fr" in french
        assert "nouvelle" not in french.split("A title in fr")[0].split("Traduction")[-1]
    hands.now = datetime(2024, 2, 5, 13, 0, tzinfo=UTC)
    assert turn(house, hands) == 1  # the weekly reader, for the first time, in French
    assert DEJA not in body_of(server.to("weekly@example.org")[-1])
    tell_of(house, statement, "fr", hands.now)
    for _ in range(8):
        hands.now += DAY
        assert turn(house, hands) == 0
    assert gone


def test_the_retold_stand_behind_what_is_new(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    reader("daily", "fr", "en")
    first = publish(house, "First statement", hands.now)
    hands.work()
    hands.now = MORNING
    assert turn(house, hands) == 1
    translate(house, first, "fr", hands.now)
    tell_of(house, first, "fr", hands.now)
    publish(house, "Second statement", hands.now, languages=("en", "fr"))
    hands.work()
    hands.now += DAY
    assert turn(house, hands) == 1
    french = text_of(server, "daily@example.org")
    assert french.index("Second statement (fr)") < french.index("A title in fr")
    assert "1 nouvelle déclaration" in french


def test_stopping_the_translations_mailing_stops_its_items_too(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    reader("daily", "fr")
    statement = publish(house, "First statement", hands.now)
    hands.work()
    hands.now = MORNING
    assert turn(house, hands) == 1
    translate(house, statement, "fr", hands.now)
    key = tell_of(house, statement, "fr", hands.now)
    with house.database.write() as session:
        found = mailings.find(session, key)
        expand_mailing(session, found.id, hands.now)
        mailings.cancel(session, found, actor="test", now=hands.now)
    hands.now += DAY
    assert turn(house, hands) == 0


def test_who_wishes_for_another_language_by_then_is_told_nothing(
    house: House, server: MailServer, hands: Hands, reader: Reader, subscribe: Subscribe
) -> None:
    person = reader("daily", "fr")
    once = subscribe("once@example.org", languages=("fr",))
    statement = publish(house, "First statement", hands.now)
    hands.work()
    hands.now = MORNING
    turn(house, hands)
    translate(house, statement, "fr", hands.now)
    key = tell_of(house, statement, "fr", hands.now)
    with house.database.write() as session:
        expand_mailing(session, mailings.find(session, key).id, hands.now)
    change_language(house, person, "en", hands.now)
    change_language(house, once, "en", hands.now)
    hands.now += DAY
    assert turn(house, hands) == 0
    assert texts_had(house, person) == [("", 1, "en")]


def test_a_translation_left_behind_by_a_correction_waits_for_its_own(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    person = reader("daily", "fr")
    statement = publish(house, "First statement", hands.now)
    hands.work()
    hands.now = MORNING
    turn(house, hands)
    translate(house, statement, "fr", hands.now)
    tell_of(house, statement, "fr", hands.now)
    hands.work()
    correct(house, statement, hands.now)
    assert hands.work() == 1  # the correction, in English
    hands.now += DAY
    assert turn(house, hands) == 0
    translate(house, statement, "fr", hands.now)
    tell_of(house, statement, "fr", hands.now)  # of the corrected text: nobody is told twice
    hands.work()
    hands.now += DAY
    assert turn(house, hands) == 1
    assert DEJA in body_of(server.to("daily@example.org")[-1])
    assert texts_had(house, person) == [("", 1, "en"), ("fr", 2, "fr")]
    hands.now += DAY
    assert turn(house, hands) == 0


def test_who_was_told_before_the_correction_is_told_of_the_corrected_translation_once_more(
    house: House, server: MailServer, hands: Hands, reader: Reader, subscribe: Subscribe
) -> None:
    """They have it in French, then got the correction in English: that was a fallback again."""
    reader("daily", "fr")
    subscribe("once@example.org", languages=("fr",))
    statement = publish(house, "First statement", hands.now)
    hands.work()
    hands.now = MORNING
    turn(house, hands)
    translate(house, statement, "fr", hands.now)
    tell_of(house, statement, "fr", hands.now)
    hands.work()
    hands.now += DAY
    turn(house, hands)
    correct(house, statement, hands.now)
    assert hands.work() == 2
    translate(house, statement, "fr", hands.now)
    server.mails.clear()
    key = tell_of(house, statement, "fr", hands.now)
    assert key == f"statement:{statement}:translation:fr:v2"
    hands.work()
    hands.now += DAY
    turn(house, hands)
    assert sorted(mail.recipient for mail in server.mails) == ["daily@example.org", "once@example.org"]


def test_a_retracted_statement_is_not_told_of_again(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    reader("daily", "fr")
    statement = publish(house, "First statement", hands.now)
    hands.work()
    hands.now = MORNING
    turn(house, hands)
    translate(house, statement, "fr", hands.now)
    tell_of(house, statement, "fr", hands.now)
    hands.work()
    retract(house, statement, hands.now)
    assert hands.work() == 1
    hands.now += DAY
    assert turn(house, hands) == 0


def test_a_correction_answers_in_the_language_in_which_the_digest_told_it(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    reader("uk", "uk", "hy", "en")
    statement = publish(house, "First statement", hands.now, languages=("en", "hy"))
    hands.work()
    hands.now = MORNING
    turn(house, hands)
    correct_in(house, statement, "hy", hands.now)
    assert hands.work() == 1
    mail = server.to("uk@example.org")[-1]
    assert "Գրված էր 212։" in body_of(mail)
    assert mail.message["In-Reply-To"] == server.to("uk@example.org")[0].message["Message-ID"]


def correct_in(house: House, statement: int, language: str, now: datetime) -> None:
    """A correction of the statement that is said in one more language."""
    correct(house, statement, now, announce=False)
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_of(session, found)
        corrections.add_language(
            session,
            draft,
            found,
            language=language,
            now=now,
            body="Ուղղված տեքստ։",
            wrong="Գրված էր 212։",
            right="Պետք է լինի 188։",
        )
        corrections.announce(session, draft, found, actor="test", now=now)


def test_a_digest_released_from_doubt_never_brings_the_corrected_text_as_new(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    """Its older text may have arrived: they are told of the correction, and the rest of the digest leaves."""
    reader("daily", "en")
    statement = publish(house, "First statement", hands.now)
    publish(house, "Second statement", hands.now)
    hands.work()
    hands.now = MORNING
    turn(house, hands)
    server.mails.clear()
    with house.database.read() as session:
        digest = session.scalars(select(Mailing.id).where(Mailing.kind == MailingKind.DIGEST)).one()
    rows.settled(house, rows.ids(house, digest), DeliveryState.IN_DOUBT, hands.now, claimed_at=hands.now)
    with house.database.write() as session:
        mailings.release(session, session.get_one(Mailing, digest), actor="test", now=hands.now)
    correct(house, statement, hands.now)
    while hands.work():
        pass
    subjects = sorted(told(server, "daily@example.org"))
    assert [subject.partition(" ")[0] for subject in subjects] == ["Correction:", "Statements"]
    (again,) = (mail for mail in server.mails if str(mail.message["Subject"]).startswith("Statements"))
    assert "Second statement" in body_of(again)
    assert "First statement" not in body_of(again)


def test_a_digest_released_from_doubt_does_not_bring_what_a_later_one_has_brought(
    house: House, server: MailServer, hands: Hands, reader: Reader
) -> None:
    reader("fr", "fr")
    first = publish(house, "First statement", hands.now, languages=("en",))
    publish(house, "Second statement", hands.now, languages=("en",))
    hands.work()
    hands.now = MORNING
    turn(house, hands)
    with house.database.read() as session:
        digest = session.scalars(select(Mailing.id).where(Mailing.kind == MailingKind.DIGEST)).one()
    rows.settled(house, rows.ids(house, digest), DeliveryState.IN_DOUBT, hands.now, claimed_at=hands.now)
    translate(house, first, "fr", hands.now)
    tell_of(house, first, "fr", hands.now)
    hands.work()
    hands.now += DAY
    turn(house, hands)
    server.mails.clear()
    with house.database.write() as session:
        assert mailings.release(session, session.get_one(Mailing, digest), actor="test", now=hands.now) == 1
    hands.work()
    (mail,) = server.mails
    assert "Second statement" in body_of(mail)
    assert "A title in fr" not in body_of(mail)
