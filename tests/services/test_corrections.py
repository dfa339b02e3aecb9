"""Corrections and retractions: who gets what, on both databases, into a real SMTP server."""

import re
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy import text as sql
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from mailer.db import embargoes, texts
from mailer.db.audience import books
from mailer.db.dialect import is_postgresql
from mailer.db.embargoes import Embargo
from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Correction, Statement
from mailer.services.desk import mailings
from mailer.services.desk.mailings import MailingRefusal
from mailer.services.desk.reasons import SENTENCES
from mailer.services.house import House
from mailer.services.programme import corrections, public, translations
from mailer.services.programme import statements as statements_of
from mailer.services.programme.reach import reach
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.sending.audit_books import audit as audit_books
from mailer.services.sending.claim import claim
from mailer.services.sending.expand import expand_mailing
from mailer.services.sending.split import split, split_announced
from mailer.vocabulary import (
    CorrectionState,
    DeliveryState,
    MailingState,
    SkipReason,
    StatementState,
    SubscriptionState,
    SuppressionReason,
)
from tests.services import rows
from tests.services.conftest import Hands
from tests.smtp_server import MailServer, Taken

Subscribe = Callable[..., int]
OLD, NEW, NEWER = "First paragraph of en", "Second thoughts about it", "Third thoughts about it"


def publish(house: House, statement: int, now: datetime) -> int:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        return statements_of.publish(session, house, found, actor="test", now=now).id


def correct(house: House, statement: int, now: datetime, *, body: str = NEW, announce: bool = True) -> int:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_correction(
            session,
            found,
            title=None,
            body=f"{body}.\n\nSecond paragraph.",
            wrong="It said 212.",
            right="It was 188.",
            actor="test",
            now=now,
        )
        if announce:
            corrections.announce(session, draft, found, actor="test", now=now)
        return draft.id


def retract(house: House, statement: int, now: datetime) -> int:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_retraction(
            session, found, reason="Two of our sources were the same.", actor="test", now=now
        )
        corrections.announce(session, draft, found, actor="test", now=now)
        return draft.id


def state_of(house: House, correction: int) -> CorrectionState:
    with house.database.read() as session:
        return session.get_one(Correction, correction).state


def account(house: House, key: str) -> dict[str, int]:
    with house.database.read() as session:
        found = books(session, mailings.find(session, key).id)
        assert found.balanced
        return {"sent": found.sent, "in doubt": found.in_doubt, "open": found.open, **found.skipped}


def text(mail: Taken) -> str:
    part = mail.message.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def kind(mail: Taken) -> str:
    """As a reader would see it: a correction, a retraction, or a statement with the old or the new text."""
    prefix = str(mail.message["Subject"]).partition(":")[0]
    if prefix in {"Correction", "Retraction"}:
        return prefix
    return "new" if NEW in text(mail) or NEWER in text(mail) else "old"


def mails_of(server: MailServer) -> dict[str, list[str]]:
    people = dict.fromkeys((mail.recipient for mail in server.mails), "")
    return {person: [kind(mail) for mail in server.to(person)] for person in people}


def change_subscription(house: House, person: int, state: SubscriptionState) -> None:
    with house.database.write() as session:
        found = session.scalars(select(Subscription).where(Subscription.subscriber_id == person)).one()
        found.state = state


def test_each_row_of_the_alert_gets_what_the_table_says(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    people = [subscribe(f"reader{number}@example.org") for number in range(9)]
    mailing = publish(house, statement, hands.now)
    hands.work()
    server.mails.clear()
    ids = rows.ids(house, mailing)
    at, states = hands.now, DeliveryState
    hands.now += timedelta(minutes=1)
    with house.database.write() as session:
        rows.change(session, ids[1:2], state=states.IN_DOUBT)
        rows.change(session, ids[2:3], state=states.DEFERRED, settled_at=None, due_at=at)
        rows.change(session, ids[3:4], state=states.FAILED)
        rows.change(session, ids[4:5], state=states.BOUNCED)
        rows.change(session, ids[5:6], state=states.SKIPPED, reason="unsubscribed")
        session.get_one(Mailing, mailing).state = MailingState.SENDING
        session.get_one(Subscriber, people[7]).suppressed = SuppressionReason.COMPLAINT
        rows.change(session, ids[8:9], subscriber_id=None)
    change_subscription(house, people[6], SubscriptionState.UNSUBSCRIBED)
    correction = correct(house, statement, hands.now, announce=False)
    with house.database.read() as session:
        found = session.get_one(Statement, statement)
        reached = reach(session, session.get_one(Correction, correction), found, hands.now)
    assert (reached.mailed, reached.instead, reached.called_off, reached.on_the_wire) == (3, 1, 0, 0)
    assert reached.left_out == {"unsubscribed": 1, "suppressed": 1, "erased": 1}
    assert hands.work() == 1  # a draft changes nothing: the deferred row goes on with the old text
    with house.database.write() as session:
        rows.change(session, ids[2:3], state=states.DEFERRED, settled_at=None, due_at=hands.now)
        session.get_one(Mailing, mailing).state = MailingState.SENDING
        draft, found = session.get_one(Correction, correction), session.get_one(Statement, statement)
        corrections.announce(session, draft, found, actor="test", now=hands.now)
    server.mails.clear()
    hands.work()
    assert mails_of(server) == {
        "reader0@example.org": ["Correction"],
        "reader1@example.org": ["Correction"],
        "reader2@example.org": ["new"],
        "reader4@example.org": ["Correction"],
    }
    key = f"statement:{statement}:correction:1"
    assert account(house, key) == {
        "sent": 3,
        "in doubt": 0,
        "open": 0,
        "unsubscribed": 1,
        "suppressed": 1,
        "erased": 1,
    }
    assert state_of(house, correction) is CorrectionState.DONE
    assert audit_books(house, hands.now) == []


def test_a_correction_answers_the_mail_that_this_person_got(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(5):
        subscribe(f"reader{number}@example.org")
    publish(house, statement, hands.now)
    hands.work()
    correct(house, statement, hands.now)
    hands.work()
    retract(house, statement, hands.now)
    hands.work()
    for number in range(5):
        alert, correction, retraction = (mail.message for mail in server.to(f"reader{number}@example.org"))
        for answer in (correction, retraction):
            assert answer["In-Reply-To"] == answer["References"] == alert["Message-ID"]
            assert answer["Message-ID"] != alert["Message-ID"]
            assert "List-Unsubscribe" in answer
        assert alert["In-Reply-To"] is None
    assert len({mail.message["Message-ID"] for mail in server.mails}) == 15
    first = text(server.to("reader0@example.org")[1])
    assert first.index("It said 212.") < first.index("It was 188.") < first.index(NEW)
    assert "https://mailer.example.org/statements/a-statement" in first[: first.index(NEW)]
    last = text(server.to("reader0@example.org")[2])
    assert "Two of our sources were the same." in last
    assert NEW not in last


def test_the_corrected_text_keeps_the_row_and_its_message_id(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("grey@example.org")
    mailing = publish(house, statement, hands.now)
    seen: list[str] = []
    server.reply_to_data = lambda _to: "451 4.7.1 later" if not seen and not seen.append("x") else None  # type: ignore[func-returns-value]
    assert hands.work() == 0
    (row,) = rows.ids(house, mailing)
    correct(house, statement, hands.now)
    hands.now += timedelta(hours=1)
    assert hands.work() == 1
    assert mails_of(server) == {"grey@example.org": ["new"]}
    with house.database.read() as session:
        delivery = session.get_one(Delivery, row)
        assert (delivery.state, delivery.version, delivery.language) == (DeliveryState.SENT, 2, "en")
        assert account(house, f"statement:{statement}:correction:1")["sent"] == 0


def test_a_later_correction_goes_to_holders_of_any_older_text_once_each(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(3):
        subscribe(f"reader{number}@example.org")
    publish(house, statement, hands.now)
    server.reply_to_recipient = lambda to: "451 4.7.1 later" if to.startswith("reader2") else None
    hands.work()
    correct(house, statement, hands.now)
    hands.work()
    server.reply_to_recipient = lambda _to: None
    hands.now += timedelta(hours=1)
    hands.work()
    hands.now += timedelta(hours=1)
    correct(house, statement, hands.now, body=NEWER)
    hands.work()
    assert mails_of(server) == {
        "reader0@example.org": ["old", "Correction", "Correction"],
        "reader1@example.org": ["old", "Correction", "Correction"],
        "reader2@example.org": ["new", "Correction"],
    }
    assert NEWER in text(server.to("reader2@example.org")[-1])


def test_nobody_joins_a_settling_correction_before_the_wire_is_empty(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(4):
        subscribe(f"reader{number}@example.org")
    mailing = publish(house, statement, hands.now)
    with house.database.write() as session:
        expand_mailing(session, mailing, hands.now)
    ids = rows.ids(house, mailing)
    fence = rows.claimed(house, ids[:2], hands.now)
    with house.database.write() as session:
        rows.change(session, ids[:2], version=1, language="en")
    correction = correct(house, statement, hands.now)
    assert split_announced(house, hands.now) == 0
    assert hands.work() == 0  # paused: nobody gets the older text, and nobody the correction yet
    assert state_of(house, correction) is CorrectionState.SETTLING
    with house.database.write() as session:
        rows.change(session, ids[:1], state=DeliveryState.SENT, settled_at=hands.now)
        rows.change(session, ids[1:2], state=DeliveryState.IN_DOUBT, settled_at=hands.now)
    assert fence
    assert hands.work() == 4
    assert sorted(kinds[0] for kinds in mails_of(server).values()) == ["Correction"] * 2 + ["new"] * 2


@pytest.mark.parametrize(
    "step", ["before the split", "in the split", "before the expansion", "while sending"]
)
def test_a_crash_at_any_step_is_carried_on_by_the_sweep(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int, step: str
) -> None:
    """What a crash leaves is what was committed; the sweep of another process finds it."""
    for number in range(6):
        subscribe(f"reader{number}@example.org")
    server.reply_to_recipient = lambda to: "451 4.7.1 later" if to[6] in "45" else None
    publish(house, statement, hands.now)
    hands.work()
    correction = correct(house, statement, hands.now)
    if step == "in the split":
        with house.database.write() as session:
            assert split(session, house, correction, hands.now)
            session.rollback()
        assert state_of(house, correction) is CorrectionState.SETTLING
    if step in {"before the expansion", "while sending"}:
        assert split_announced(house, hands.now) == 1
        assert split_announced(house, hands.now) == 0
    if step == "while sending":
        server.reply_to_data = lambda to: "421 4.3.2 going down" if to.startswith("reader3") else None
        hands.work()
        server.reply_to_data = lambda _to: None
    server.reply_to_recipient = lambda _to: None
    for _ in range(3):
        hands.now += timedelta(hours=1)
        hands.work()
    assert mails_of(server) == {
        **{f"reader{number}@example.org": ["old", "Correction"] for number in range(4)},
        **{f"reader{number}@example.org": ["new"] for number in (4, 5)},
    }
    with house.database.read() as session:
        assert mailings.find(session, f"statement:{statement}:alert").state is MailingState.DONE


def test_a_retraction_calls_off_what_has_not_left(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(4):
        subscribe(f"reader{number}@example.org")
    server.reply_to_recipient = lambda to: "451 4.7.1 later" if to.startswith("reader3") else None
    mailing = publish(house, statement, hands.now)
    hands.work()
    ids = rows.ids(house, mailing)
    with house.database.write() as session:
        rows.change(session, ids[:1], state=DeliveryState.IN_DOUBT)
    server.reply_to_recipient = lambda _to: None
    retract(house, statement, hands.now)
    for _ in range(3):
        hands.now += timedelta(hours=1)
        hands.work()
    assert mails_of(server) == {f"reader{n}@example.org": ["old", "Retraction"] for n in range(3)}
    assert account(house, f"statement:{statement}:alert")["retracted"] == 1
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        assert found.state is StatementState.RETRACTED
        with pytest.raises(StatementRefusal):
            statements_of.publish(session, house, found, actor="test", now=hands.now)
        with pytest.raises(MailingRefusal):
            mailings.release(session, session.get_one(Mailing, mailing), actor="test", now=hands.now)


def test_doubt_about_an_older_text_can_no_longer_be_released(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(2):
        subscribe(f"reader{number}@example.org")
    mailing = publish(house, statement, hands.now)
    hands.work()
    ids = rows.ids(house, mailing)
    with house.database.write() as session:
        rows.change(session, ids[:1], state=DeliveryState.IN_DOUBT)
    correct(house, statement, hands.now)
    hands.work()
    with house.database.write() as session, pytest.raises(MailingRefusal, match="corrected or retracted"):
        mailings.release(session, session.get_one(Mailing, mailing), actor="test", now=hands.now)
    with house.database.write() as session:
        found = session.get_one(Mailing, mailing)
        assert mailings.write_off(session, found, actor="test", now=hands.now) == 1


def test_what_was_released_from_doubt_is_told_and_not_sent_again(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    """It may have arrived once with the old text: then the corrected one must not come as if it were new."""
    subscribe("reader0@example.org")
    mailing = publish(house, statement, hands.now)
    hands.work()
    server.mails.clear()
    ids = rows.ids(house, mailing)
    rows.settled(house, ids, DeliveryState.IN_DOUBT, hands.now, claimed_at=hands.now)
    with house.database.write() as session:
        mailings.release(session, session.get_one(Mailing, mailing), actor="test", now=hands.now)
    correct(house, statement, hands.now)
    hands.work()
    assert mails_of(server) == {"reader0@example.org": ["Correction"]}
    assert account(house, f"statement:{statement}:alert")["corrected"] == 1


def test_a_correction_announced_while_mail_is_on_the_wire(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    """Nobody gets both texts as if they were new, and who got the old one gets exactly one correction."""
    for number in range(80):
        subscribe(f"reader{number}@example.org")
    publish(house, statement, hands.now)
    announced: list[int] = []

    def slow(_recipient: str) -> None:
        time.sleep(0.02)  # a server that takes its time, so that the announcement comes in the middle
        if len(server.mails) >= 20 and not announced:
            announced.append(correct(house, statement, hands.now))

    server.reply_to_recipient = slow
    hands.work()
    server.reply_to_recipient = lambda _to: None
    for _ in range(3):
        hands.now += timedelta(minutes=1)
        hands.work()
    told = mails_of(server)
    assert len(told) == 80
    stories = Counter(tuple(kinds) for kinds in told.values())
    assert set(stories) == {("old", "Correction"), ("new",)}
    assert stories["old", "Correction"] >= 20
    assert audit_books(house, hands.now) == []


def test_the_undo_window_holds_for_corrections_too(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader0@example.org")
    publish(house, statement, hands.now)
    hands.work()
    correct(house, statement, hands.now)
    patient = replace(house, settings=house.settings.model_copy(update={"undo_seconds": 60}))
    assert split_announced(patient, hands.now) == 1
    assert hands.work() == 0
    hands.now += timedelta(seconds=60)
    assert hands.work() == 1


def test_a_correction_in_the_language_it_was_received_in(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("en@example.org")
    subscribe("hy@example.org", languages=("hy", "en"))
    subscribe("uk@example.org", languages=("uk", "hy"))
    publish(house, statement, hands.now)
    hands.work()
    correction = correct(house, statement, hands.now, announce=False)
    with house.database.write() as session:
        found, draft = session.get_one(Statement, statement), session.get_one(Correction, correction)
        corrections.add_language(
            session,
            draft,
            found,
            language="hy",
            now=hands.now,
            body="Ուղղված տեքստ։",
            wrong="Գրված էր 212։",
            right="Պետք է լինի 188։",
        )
        corrections.announce(session, draft, found, actor="test", now=hands.now)
    hands.work()
    assert "Գրված էր 212։" in text(server.to("hy@example.org")[1])
    ukrainian = text(server.to("uk@example.org")[1])
    assert "Գրված էր 212։" in ukrainian
    assert "Цей текст ще не перекладено. Мова тексту: вірменська." in ukrainian
    assert "It said 212." in text(server.to("en@example.org")[1])


def test_a_correction_does_not_wait_for_translations(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("hy@example.org", languages=("hy", "en"))
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        translations.hold(session, found, language="hy", actor="test", now=hands.now)
    publish(house, statement, hands.now)
    assert hands.work() == 1  # the translation is there, so nobody waits
    correct(house, statement, hands.now)
    assert hands.work() == 1
    mail = server.to("hy@example.org")[1]
    assert "It was 188." in text(mail)
    assert "Այս տեքստը դեռ թարգմանված չէ։" in text(mail)
    html = mail.message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert re.search(r'<html lang="hy" dir="ltr"', html)


def test_the_archive_shows_what_changed_and_a_retraction_leaves_the_reason(
    house: House, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    publish(house, statement, hands.now)
    published = hands.now
    hands.now += timedelta(days=1)
    correct(house, statement, hands.now)
    hands.work()
    with house.database.read() as session:
        page = public.statement(session, "a-statement", "en", hands.now)
        assert page is not None
        (note,) = page.notes
        assert (note.words["wrong"], note.old_body[:21]) == ("It said 212.", OLD)
        shown = {piece.change.value for paragraph in note.changes for piece in paragraph}
        assert {"removed", "added"} <= shown
        assert page.languages == ("en",)  # the Armenian text is behind
        assert (page.published_at, page.updated_at) == (published, hands.now)
        armenian = public.statement(session, "a-statement", "hy", hands.now)
        assert armenian is not None
        assert armenian.language == "en"
    retract(house, statement, hands.now)
    with house.database.read() as session:
        page = public.statement(session, "a-statement", "en", hands.now)
        assert page is not None
        assert (page.title, page.body, page.retracted) == ("A statement on prisoners of war", "", True)
        (note,) = page.notes
        assert note.words == {"reason": "Two of our sources were the same."}
        assert not note.old_body


def test_what_was_announced_stays_as_it_was(house: House, statement: int, now: datetime) -> None:
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        with pytest.raises(StatementRefusal, match="only a published one"):
            corrections.draft_retraction(session, found, reason="Wrong.", actor="test", now=now)
    publish(house, statement, now)
    first = correct(house, statement, now, announce=False)
    second = correct(house, statement, now, body=NEWER, announce=False)  # takes the place of the first
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        assert [one.id for one in corrections.all_of(session, found)] == [second] or first == second
        draft = session.get_one(Correction, second)
        corrections.announce(session, draft, found, actor="test", now=now)
        corrections.announce(session, draft, found, actor="test", now=now)
        with pytest.raises(StatementRefusal, match="announced already"):
            corrections.add_language(session, draft, found, language="hy", now=now, wrong="x", right="y")
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        assert found.version == 2
        again = corrections.draft_retraction(session, found, reason="Wrong.", actor="test", now=now)
        assert again.number == 2
        with pytest.raises(StatementRefusal, match="still waits"):
            corrections.announce(session, again, found, actor="test", now=now)


def test_an_announcement_waits_for_the_claims_that_read_the_older_text(
    house: House, subscribe: Subscribe, statement: int, now: datetime
) -> None:
    """Else the split could look for older mails on the wire before such a claim is there to be seen."""
    subscribe("reader@example.org")
    mailing = publish(house, statement, now)
    draft = correct(house, statement, now, announce=False)
    with house.database.write() as session:
        expand_mailing(session, mailing, now)
    with house.database.write() as session:
        if not is_postgresql(session):
            return  # its writers wait for each other anyway
        assert [one.mailing_id for one in claim(session, house, worker="one", now=now).held] == [mailing]
        with house.database.write() as other:
            other.execute(sql("SET LOCAL lock_timeout = '100ms'"))
            with pytest.raises(OperationalError):
                corrections.announce(
                    other,
                    other.get_one(Correction, draft),
                    other.get_one(Statement, statement),
                    actor="test",
                    now=now,
                )
            other.rollback()
    retract(house, statement, now)
    assert split_announced(house, now) == 0


# --- two of the staff at once


def draft_of(session: Session, statement: int, actor: str, now: datetime, **how: bool) -> Correction:
    found = session.get_one(Statement, statement)
    return corrections.draft_correction(
        session,
        found,
        title=None,
        body=f"{NEWER} by {actor}.",
        wrong="It said 212.",
        right=f"{actor} knows.",
        actor=actor,
        now=now,
        **how,
    )


def test_nobody_writes_over_the_draft_of_somebody_else_unasked(
    house: House, statement: int, now: datetime
) -> None:
    publish(house, statement, now)
    with house.database.write() as session:
        looked_at = corrections.seen(draft_of(session, statement, "anna", now))
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        with pytest.raises(StatementRefusal, match="anna has written a correction"):
            draft_of(session, statement, "ben", now)
        with pytest.raises(StatementRefusal, match="anna has written a correction"):
            corrections.draft_retraction(session, found, reason="Wrong.", actor="ben", now=now)
    later = now + timedelta(seconds=1)
    with house.database.write() as session:
        draft_of(session, statement, "ben", later, anyway=True)
    with house.database.write() as session:
        found = session.get_one(Statement, statement)
        draft = corrections.draft_of(session, found)
        with pytest.raises(StatementRefusal, match="since you looked"):  # anna, who has seen her own
            corrections.announce(session, draft, found, actor="anna", now=later, as_seen=looked_at)
        assert found.version == 1
        as_seen = corrections.seen(draft)
        corrections.announce(session, draft, found, actor="ben", now=later, as_seen=as_seen)
        assert found.version == 2


def test_a_draft_written_while_another_is_announced_takes_nothing_of_it_away(
    house: House, statement: int, now: datetime
) -> None:
    publish(house, statement, now)
    first = correct(house, statement, now, announce=False)
    with house.database.write() as session:
        if not is_postgresql(session):
            return  # its writers wait for each other anyway
        found = session.get_one(Statement, statement)  # read before the other announces
        with house.database.write() as other:
            corrections.announce(
                other,
                other.get_one(Correction, first),
                other.get_one(Statement, statement),
                actor="test",
                now=now,
            )
        again = corrections.draft_retraction(session, found, reason="Wrong.", actor="test", now=now)
        assert (again.number, again.from_version) == (2, 2)
    assert state_of(house, first) is CorrectionState.SETTLING
    with house.database.read() as session:
        page = public.statement(session, "a-statement", "en", now)
        assert page is not None
        assert NEW in page.body


def _somebody_waits(house: House) -> bool:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with house.database.read() as session:
        return bool(session.scalar(sql(waiting)))


def test_an_announcement_and_a_claim_under_embargo_lock_in_the_same_order(
    house: House, subscribe: Subscribe, statement: int, now: datetime
) -> None:
    subscribe("reader@example.org")
    mailing = publish(house, statement, now)
    draft = correct(house, statement, now, announce=False)
    with house.database.write() as session:
        if not is_postgresql(session):
            return  # its writers wait for each other anyway
        session.add(
            Embargo(
                statement_id=statement,
                day=now.date(),
                wall_time=now.time(),
                zone="UTC",
                opens_at=now,
                tzdata="2024a",
            )
        )
        session.get_one(Mailing, mailing).embargo_at = now
    with ThreadPoolExecutor(1) as pool, house.database.write() as session:
        assert embargoes.over_at(session, [mailing], now)  # as a claim does, first

        def announce() -> None:
            with house.database.write() as other:
                corrections.announce(
                    other,
                    other.get_one(Correction, draft),
                    other.get_one(Statement, statement),
                    actor="test",
                    now=now,
                )

        announced = pool.submit(announce)
        while not _somebody_waits(house):
            assert not announced.done()
        session.execute(sql("SET LOCAL lock_timeout = '5s'"))
        assert texts.standings(session, [statement], lock=True)[statement].version == 1
        session.commit()
        announced.result()
    with house.database.read() as session:
        assert session.get_one(Statement, statement).version == 2


def test_what_staff_pause_while_a_correction_settles_stays_paused(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    for number in range(3):
        subscribe(f"reader{number}@example.org")
    key = publish(house, statement, hands.now)
    correction = correct(house, statement, hands.now)
    with house.database.write() as session:
        mailings.pause(session, session.get_one(Mailing, key), actor="anna", now=hands.now)
    hands.work()
    assert state_of(house, correction) is CorrectionState.DONE
    hands.work()
    assert server.mails == []
    with house.database.write() as session:
        mailings.resume(session, session.get_one(Mailing, key), actor="anna", now=hands.now)
    hands.now += timedelta(minutes=5)
    hands.work()
    assert list(mails_of(server).values()) == [["new"]] * 3


def test_what_staff_had_paused_before_a_correction_stays_paused(
    house: House, server: MailServer, hands: Hands, subscribe: Subscribe, statement: int
) -> None:
    subscribe("reader@example.org")
    key = publish(house, statement, hands.now)
    with house.database.write() as session:
        expand_mailing(session, key, hands.now)
        mailings.pause(session, session.get_one(Mailing, key), actor="anna", now=hands.now)
    correction = correct(house, statement, hands.now)
    hands.now += timedelta(minutes=5)
    hands.work()
    assert state_of(house, correction) is CorrectionState.DONE
    assert server.mails == []
    with house.database.write() as session:
        mailings.resume(session, session.get_one(Mailing, key), actor="anna", now=hands.now)
    hands.work()
    assert mails_of(server) == {"reader@example.org": ["new"]}


def test_every_reason_has_a_sentence() -> None:
    assert set(SkipReason) <= set(SENTENCES)
