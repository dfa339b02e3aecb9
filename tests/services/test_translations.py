"""One statement in many languages: who gets which, who waits, who is told later."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser
from sqlalchemy import select

from mailer.db.audience import books
from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber
from mailer.db.programme import Statement, StatementText
from mailer.db.texts import Standing
from mailer.messages import templates
from mailer.services.desk import mailings
from mailer.services.house import House
from mailer.services.programme import corrections, preflight, translations
from mailer.services.programme import statements as statements_of
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.sending.texts import chain, choose_text
from mailer.vocabulary import DeliveryState, SubscriptionState, TextState
from tests.services import rows
from tests.services.conftest import Hands
from tests.smtp_server import MailServer, Taken

Subscribe = Callable[..., int]
TAGS = st.sampled_from(["en", "hy", "hy-AM", "ar", "fr", "fr-CA", "uk", "ru", "fa", "zh-Hant", "de"])


def publish(house: House, statement: int, now: datetime, **wish: bool) -> int:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        return statements_of.publish(session, house, found, actor="test", now=now, **wish).id


def translate(house: House, statement: int, language: str, now: datetime, *, ready: bool = True) -> int:
    with house.database.write() as session:
        return translations.translate(
            session,
            house,
            session.get_one(Statement, statement),
            language=language,
            title=f"A title in {language}",
            body=f"A body in {language}.",
            ready=ready,
            actor="test",
            now=now,
        )


def hold(house: House, statement: int, language: str, now: datetime) -> None:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        translations.hold(session, found, language=language, actor="test", now=now)


def tell_of(house: House, statement: int, language: str, now: datetime) -> str:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        return translations.tell_of(session, house, found, language=language, actor="test", now=now).key


def body_of(mail: Taken, kind: str = "plain") -> str:
    part = mail.message.get_body((kind,))
    assert part is not None
    return " ".join(str(part.get_content()).split()) if kind == "plain" else str(part.get_content())


def got(house: House, mailing: int) -> list[tuple[str, int | None, str | None]]:
    with house.database.read() as session:
        found = select(Delivery).where(Delivery.mailing_id == mailing).order_by(Delivery.subscriber_id)
        return [(one.state.value, one.version, one.language) for one in session.scalars(found)]


@given(st.lists(TAGS, max_size=4), st.sets(TAGS), TAGS, st.none() | TAGS)
def test_the_chain_ends_at_the_original(
    wished: list[str], ready: set[str], original: str, received: str | None
) -> None:
    standing = Standing(1, original, 3, False, frozenset(), frozenset(ready | {original}))
    text = choose_text(standing, wished, received=received)
    assert text.language in standing.ready
    assert text.version == 3
    tags = [*([received] if received else []), *chain(wished)]
    sooner = tags[: tags.index(text.language)] if text.language in tags else tags
    assert not set(sooner) & standing.ready  # nothing that was wished for more is there
    assert text.language in tags or text.language == original
    if wished and text.language in chain(wished[:1]):
        assert not text.fallback


def test_each_reader_gets_the_first_language_there_is_and_the_row_says_which(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("en@example.org")
    subscribe("hy@example.org", languages=("hy-AM", "en"))
    subscribe("fr@example.org", languages=("fr", "hy"))
    subscribe("uk@example.org", languages=("uk",))
    subscribe("none@example.org", languages=())
    subscribe("de@example.org", languages=("de", "en"))
    translate(house, statement, "fr", hands.now, ready=False)  # a draft is nobody's text
    mailing = publish(house, statement, hands.now)
    assert hands.work() == 6
    assert got(house, mailing) == [("sent", 1, language) for language in ("en", "hy", "hy", "en", "en", "en")]
    assert "Ce texte n’est pas encore traduit. Langue du texte : arménien." in body_of(
        server.to("fr@example.org")[0]
    )
    assert "Цей текст ще не перекладено. Мова тексту: англійська." in body_of(server.to("uk@example.org")[0])
    for address in ("en", "hy", "none", "de"):
        assert "First paragraph" in body_of(server.to(f"{address}@example.org")[0])
        assert "not been translated" not in body_of(server.to(f"{address}@example.org")[0])


def test_language_direction_and_dates_follow_the_text(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("ar@example.org", languages=("ar",))
    publish(house, statement, hands.now)
    hands.work()
    (mail,) = server.to("ar@example.org")
    page = LexborHTMLParser(body_of(mail, "html"))
    assert (page.css_first("html").attributes["lang"], page.css_first("html").attributes["dir"]) == (
        "ar",
        "rtl",
    )
    prose = page.css_first("td.prose")
    assert (prose.attributes["lang"], prose.attributes["dir"]) == ("en", "ltr")
    assert "text-align:left" in (prose.attributes["style"] or "")
    dateline = page.css_first("p.dateline span")
    assert (dateline.text(), dateline.attributes["lang"], dateline.attributes["dir"]) == (
        "July 17, 2021",
        "en",
        "ltr",
    )
    notice = page.css_first("p.notice")
    assert "لم يُترجَم هذا النص بعد" in notice.text()
    assert parsedate_to_datetime(str(mail.message["Date"])) == hands.now


def test_a_translation_that_is_ready_while_rows_are_open_is_taken(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("early@example.org", languages=("fr",))
    subscribe("late@example.org", languages=("fr",))
    server.reply_to_recipient = lambda to: "451 4.7.1 later" if to.startswith("late") else None
    mailing = publish(house, statement, hands.now)
    hands.work()
    translate(house, statement, "fr", hands.now)
    server.reply_to_recipient = lambda _to: None
    hands.now += timedelta(hours=1)
    hands.work()
    assert got(house, mailing) == [("sent", 1, "en"), ("sent", 1, "fr")]
    assert "A body in fr." in body_of(server.to("late@example.org")[0])


def test_readers_who_wait_are_not_lost_and_get_their_language(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("en@example.org")
    subscribe("fr@example.org", languages=("fr", "en"))
    subscribe("left@example.org", languages=("fr",))
    hold(house, statement, "fr", hands.now)
    mailing = publish(house, statement, hands.now)
    assert hands.work() == 1
    hands.now += timedelta(days=10)  # longer than an alert lives
    assert hands.work() == 0
    with house.database.read() as session:
        account = books(session, mailing)
        assert (account.sent, account.open, account.balanced) == (1, 2, True)
        assert translations.waiting(session, session.get_one(Statement, statement)) == 2
    with house.database.write() as session:
        rows.change(session, rows.ids(house, mailing)[2:], state=DeliveryState.SKIPPED, reason="unsubscribed")
    assert translate(house, statement, "fr", hands.now) == 1
    assert hands.work() == 1
    assert "A body in fr." in body_of(server.to("fr@example.org")[0])
    assert got(house, mailing)[1] == ("sent", 1, "fr")


def test_staff_may_let_them_wait_no_longer(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("fr@example.org", languages=("fr",))
    subscribe("uk@example.org", languages=("uk",))
    hold(house, statement, "fr", hands.now)
    hold(house, statement, "uk", hands.now)
    mailing = publish(house, statement, hands.now)
    assert hands.work() == 0
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        assert translations.send_now(session, found, language="fr", actor="test", now=hands.now) == 2
    assert hands.work() == 1  # the Ukrainian reader still waits
    assert got(house, mailing) == [("sent", 1, "en"), ("pending", None, None)]


def test_who_got_another_language_is_told_once_of_the_translation(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("en@example.org")
    subscribe("fr@example.org", languages=("fr-CA", "en"))
    subscribe("second@example.org", languages=("en", "fr"))
    doubtful = subscribe("doubt@example.org", languages=("fr",))
    failed = subscribe("failed@example.org", languages=("fr",))
    subscribe("later@example.org", languages=("fr",))
    server.reply_to_recipient = lambda to: "451 4.7.1 later" if to.startswith("later") else None
    publish(house, statement, hands.now)
    hands.work()
    with house.database.write() as session:
        for person, state in ((doubtful, DeliveryState.IN_DOUBT), (failed, DeliveryState.FAILED)):
            ids = session.scalars(select(Delivery.id).where(Delivery.subscriber_id == person)).all()
            rows.change(session, list(ids), state=state)
    with pytest.raises(StatementRefusal, match="no ready translation"):
        tell_of(house, statement, "fr", hands.now)
    translate(house, statement, "fr", hands.now)
    server.mails.clear()
    key = tell_of(house, statement, "fr", hands.now)
    assert key == f"statement:{statement}:translation:fr"
    assert tell_of(house, statement, "fr", hands.now) == key
    server.reply_to_recipient = lambda _to: None
    hands.now += timedelta(hours=1)
    hands.work()
    told = {mail.recipient: mail for mail in server.mails}
    assert set(told) == {"fr@example.org", "doubt@example.org", "later@example.org"}
    assert "Nous vous avons envoyé cette déclaration dans une autre langue." in body_of(
        told["fr@example.org"]
    )
    assert "A body in fr." in body_of(told["fr@example.org"])
    assert told["fr@example.org"].message["In-Reply-To"]
    assert told["later@example.org"].message["In-Reply-To"] is None  # it took the translation itself
    hands.now += timedelta(hours=1)
    assert hands.work() == 0


def doubt(house: House, mailing: int) -> None:
    """Nobody knows whether the mailing's mails arrived."""
    with house.database.write() as session:
        rows.change(session, rows.ids(house, mailing), state=DeliveryState.IN_DOUBT)


def release(house: House, mailing: int, now: datetime) -> int:
    with house.database.write() as session:
        found = session.get_one(Mailing, mailing)
        return mailings.release(session, found, actor="test", now=now)


def number_of(house: House, key: str) -> int:
    with house.database.read() as session:
        return mailings.find(session, key).id


def test_an_alert_in_doubt_does_not_bring_what_the_translation_has_brought(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("fr@example.org", languages=("fr-CA", "en"))
    subscribe("en@example.org")  # of whom the same is in doubt, and who was told nothing since
    alert = publish(house, statement, hands.now)
    hands.work()
    doubt(house, alert)
    translate(house, statement, "fr", hands.now)
    tell_of(house, statement, "fr", hands.now)
    hands.now += timedelta(minutes=5)
    hands.work()
    server.mails.clear()
    assert release(house, alert, hands.now) == 1
    hands.work()
    assert [mail.recipient for mail in server.mails] == ["en@example.org"]
    with pytest.raises(mailings.MailingRefusal, match="by another mail"):
        release(house, alert, hands.now)


def test_of_an_alert_and_a_translation_both_in_doubt_one_is_sent_again(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("fr@example.org", languages=("fr",))
    alert = publish(house, statement, hands.now)
    hands.work()
    translate(house, statement, "fr", hands.now)
    later = number_of(house, tell_of(house, statement, "fr", hands.now))
    hands.now += timedelta(minutes=5)
    hands.work()
    doubt(house, alert)
    doubt(house, later)
    assert release(house, alert, hands.now) == 1
    with pytest.raises(mailings.MailingRefusal, match="by another mail"):
        release(house, later, hands.now)
    hands.work()
    assert got(house, alert) == [("sent", 1, "fr")]
    with pytest.raises(mailings.MailingRefusal, match="by another mail"):
        release(house, later, hands.now)


def test_the_corrected_text_of_a_translation_is_released_although_the_wrong_one_had_arrived(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("fr@example.org", languages=("fr",))
    translate(house, statement, "fr", hands.now)
    alert = publish(house, statement, hands.now)
    hands.work()
    assert got(house, alert) == [("sent", 1, "fr")]
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_correction(
            session, found, title=None, body="New.", wrong="w", right="r", actor="test", now=hands.now
        )
        corrections.announce(session, draft, found, actor="test", now=hands.now)
    hands.now += timedelta(minutes=5)
    assert hands.work() == 1  # the correction, in the original's language
    translate(house, statement, "fr", hands.now)
    later = number_of(house, tell_of(house, statement, "fr", hands.now))
    hands.now += timedelta(minutes=5)
    assert hands.work() == 1
    doubt(house, later)
    assert release(house, later, hands.now) == 1
    assert hands.work() == 1
    assert got(house, later) == [("sent", 2, "fr")]


def test_who_wishes_for_another_language_by_now_gets_it(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    reader = subscribe("fr@example.org", languages=("fr",))
    alert = publish(house, statement, hands.now)
    hands.work()
    translate(house, statement, "fr", hands.now)
    tell_of(house, statement, "fr", hands.now)
    hands.now += timedelta(minutes=5)
    hands.work()
    doubt(house, alert)
    with house.database.write() as session:
        session.get_one(Subscriber, reader).languages = ["hy"]
    assert release(house, alert, hands.now) == 1
    hands.work()
    assert got(house, alert) == [("sent", 1, "hy")]


def test_a_translation_waits_until_nobody_has_the_alert_in_hand(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("fr@example.org", languages=("fr",))
    mailing = publish(house, statement, hands.now)
    hands.work()
    server.mails.clear()
    translate(house, statement, "fr", hands.now)
    ids = rows.ids(house, mailing)
    rows.claimed(house, ids, hands.now)
    key = tell_of(house, statement, "fr", hands.now)
    assert hands.work() == 0
    with house.database.write() as session:
        rows.change(session, ids, state=DeliveryState.SENT, settled_at=hands.now)
    assert hands.work() == 1
    with house.database.read() as session:
        assert books(session, mailings.find(session, key).id).sent == 1


def test_a_correction_leaves_translations_behind_until_they_are_brought_up(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("hy@example.org", languages=("hy",))
    server.reply_to_recipient = lambda _to: "451 4.7.1 later"
    hold(house, statement, "hy", hands.now)
    mailing = publish(house, statement, hands.now)
    hands.work()
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_correction(
            session, found, title=None, body="New.", wrong="w", right="r", actor="test", now=hands.now
        )
        corrections.announce(session, draft, found, actor="test", now=hands.now)
        known = {one.language: one for one in translations.states(session, found)}
        assert (known["hy"].state, known["hy"].version) == (TextState.STALE, 1)
    server.reply_to_recipient = lambda _to: None
    hands.now += timedelta(hours=1)
    assert hands.work() == 0  # its readers wait for the Armenian text again
    assert translate(house, statement, "hy", hands.now) == 1
    assert hands.work() == 1
    assert got(house, mailing) == [("sent", 2, "hy")]


def test_what_readers_may_have_is_not_changed_under_them(
    house: House, statement: int, subscribe: Subscribe, now: datetime
) -> None:
    translate(house, statement, "fr", now)
    translate(house, statement, "fr", now)  # before it is published, it may change
    publish(house, statement, now)
    with pytest.raises(StatementRefusal, match="corrected with"):
        translate(house, statement, "fr", now)
    for language in ("en", "not a language", ""):
        with pytest.raises(StatementRefusal):
            translate(house, statement, language, now)


def test_preflight_counts_who_would_get_what(
    house: House, statement: int, subscribe: Subscribe, now: datetime
) -> None:
    for number, languages in enumerate([("en",), ("en", "fr"), ("hy",), ("fr", "hy"), ("fr",), ("uk",), ()]):
        subscribe(f"reader{number}@example.org", languages=languages)
    subscribe("waiting@example.org", state=SubscriptionState.PENDING)
    hold(house, statement, "uk", now)
    with house.database.read() as session:
        lines = preflight.preflight(session, session.get_one(Statement, statement))
    assert {(one.wished, one.gets, one.waits): (one.readers, one.falls_back) for one in lines} == {
        ("en", "en", False): (2, False),
        ("hy", "hy", False): (1, False),
        ("fr", "hy", False): (1, True),
        ("fr", "en", False): (1, True),
        ("uk", "en", True): (1, False),
        (None, "en", False): (1, False),
    }
    states = {one.wished: one.state for one in lines}
    assert (states["fr"], states["hy"]) == (TextState.MISSING, TextState.READY)


def test_the_languages_of_the_frame_are_known_to_the_chain() -> None:
    assert {chain([language])[0] for language in templates.LANGUAGES} == set(templates.LANGUAGES)


def another(house: House, now: datetime, dated: date, title: str, body: str) -> int:
    with house.database.write() as session:
        found = Statement(key=title, slug="another", language="en", dated=dated, created_at=now)
        session.add(found)
        session.flush()
        session.add(
            StatementText(statement_id=found.id, language="en", title=title, body=body, created_at=now)
        )
        return found.id


TITLE = "A  Statement on “Prisoners of War”"
BODY = "First paragraph of en.\n\nSecond paragraph."


@pytest.mark.parametrize(
    ("days", "title", "body", "asked"),
    [
        (20, TITLE, "Quite other words about it.", True),
        (40, TITLE, "Quite other words about it.", False),
        (170, "A new title", BODY, True),
        (190, "A new title", BODY, False),
        (0, "A new title", "Quite other words about it.", False),
    ],
)
def test_a_statement_much_like_one_that_was_sent_is_asked_about(
    house: House,
    server: MailServer,
    hands: Hands,
    subscribe: Subscribe,
    statement: int,
    days: int,
    title: str,
    body: str,
    asked: bool,
) -> None:
    subscribe("reader@example.org")
    publish(house, statement, hands.now)
    hands.work()
    hands.now += timedelta(days=days)
    again = another(house, hands.now, date(2021, 7, 17) + timedelta(days=days), title, body)
    if asked:
        with pytest.raises(StatementRefusal, match="--anyway"):
            publish(house, again, hands.now)
        assert hands.work() == 0
        publish(house, again, hands.now, anyway=True)
    else:
        publish(house, again, hands.now)
    assert hands.work() == 1
    publish(house, again, hands.now)  # publishing twice alerts once, and asks nothing
    assert hands.work() == 0
