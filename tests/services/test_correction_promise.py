"""The promise of corrections, tried with chance: nobody is left with an older text, nobody gets both as new.

A simulated clock, a real database and a real SMTP server that greylists whom it likes. Corrections,
translations, doubts and sweeps come in any order, and at the end everybody's mails tell one story.
"""

import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from sqlalchemy import select

from mailer import settings
from mailer.db.mailings import Attempt, Delivery, Mailing
from mailer.db.people import Subscriber, Subscription
from mailer.db.programme import Statement, StatementText
from mailer.services.audience import people
from mailer.services.desk import mailings
from mailer.services.desk.mailings import MailingRefusal
from mailer.services.house import House, open_house
from mailer.services.programme import corrections, statements, translations
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.sending.audit_books import audit
from mailer.services.sending.split import split_announced
from mailer.vocabulary import DeliveryState, SubscriptionState
from tests.services.conftest import Hands
from tests.smtp_server import MailServer, Taken

START = datetime(2024, 3, 8, 12, 0, tzinfo=UTC)
READERS = {"a@example.org": ("en",), "b@example.org": ("hy", "en"), "c@example.org": ("hy",)}
steps = st.lists(
    st.one_of(
        st.tuples(st.just("correct")),
        st.tuples(st.just("retract")),
        st.tuples(st.just("translate")),
        st.tuples(st.just("hold"), st.booleans()),
        st.tuples(st.just("grey"), st.sets(st.sampled_from(sorted(READERS)))),
        st.tuples(st.just("lose_the_answer_of"), st.sampled_from(sorted(READERS))),
        st.tuples(st.just("release")),
        st.tuples(st.just("split")),
        st.tuples(st.just("wait"), st.integers(1, 300)),
        st.tuples(st.just("work")),
    ),
    max_size=14,
)


class Story:
    """One house with three readers and a published statement, taken through a list of steps."""

    def __init__(self, house: House, server: MailServer) -> None:
        self.house, self.server, self.hands = house, server, Hands(house, server.url, START)
        self.version, self.retracted = 1, False
        self.maybe: set[str] = set()  # whose alert was in doubt
        with house.database.write() as session:
            for address, languages in READERS.items():
                person = people.add(
                    session, house, address=address, name=None, languages=languages, zone=None, now=START
                )
                session.flush()
                topic = people.topic(session, "statements").id
                session.add(
                    Subscription(
                        subscriber_id=person.id,
                        topic_id=topic,
                        state=SubscriptionState.CONFIRMED,
                        changed_at=START,
                    )
                )
            found = Statement(key="s", slug="s", language="en", dated=date(2024, 3, 8), created_at=START)
            session.add(found)
            session.flush()
            self.statement = found.id
            session.add(
                StatementText(
                    statement_id=found.id, language="en", title="A title", body="v1.", created_at=START
                )
            )
            session.flush()
            statements.publish(session, house, found, actor="test", now=START)

    def take(self, step: tuple[object, ...]) -> None:
        getattr(self, str(step[0]))(*step[1:])

    def correct(self) -> None:
        with self.house.database.write() as session:
            found = session.get_one(Statement, self.statement)
            try:
                draft = corrections.draft_correction(
                    session,
                    found,
                    title=None,
                    body=f"v{self.version + 1}.",
                    wrong="w",
                    right="r",
                    actor="test",
                    now=self.hands.now,
                )
                corrections.announce(session, draft, found, actor="test", now=self.hands.now)
            except StatementRefusal:
                session.rollback()
                return
        self.version += 1

    def retract(self) -> None:
        with self.house.database.write() as session:
            found = session.get_one(Statement, self.statement)
            try:
                draft = corrections.draft_retraction(
                    session, found, reason="r", actor="test", now=self.hands.now
                )
                corrections.announce(session, draft, found, actor="test", now=self.hands.now)
            except StatementRefusal:
                session.rollback()
                return
        self.retracted = True

    def translate(self) -> None:
        with self.house.database.write() as session:
            found = session.get_one(Statement, self.statement)
            try:
                translations.translate(
                    session,
                    self.house,
                    found,
                    language="hy",
                    title="Վերնագիր",
                    body=f"v{self.version}.",
                    ready=True,
                    actor="test",
                    now=self.hands.now,
                )
            except StatementRefusal:
                session.rollback()

    def hold(self, on: bool) -> None:
        with self.house.database.write() as session:
            found = session.get_one(Statement, self.statement)
            service = translations.hold if on else translations.send_now
            service(session, found, language="hy", actor="test", now=self.hands.now)

    def grey(self, some: set[str]) -> None:
        self.server.reply_to_recipient = lambda to: "451 4.7.1 later" if to in some else None

    def lose_the_answer_of(self, address: str) -> None:
        """What was accepted for this reader counts as in doubt, as if the connection had died."""
        with self.house.database.write() as session:
            index = self.house.vault.address_index(address)
            sent = session.scalars(
                select(Delivery)
                .join(Subscriber, Subscriber.id == Delivery.subscriber_id)
                .join(Mailing, Mailing.id == Delivery.mailing_id)
                .where(
                    Subscriber.address_index == index,
                    Mailing.key == f"statement:{self.statement}:alert",
                    Delivery.state == DeliveryState.SENT,
                )
            ).all()
            for delivery in sent:
                delivery.state = DeliveryState.IN_DOUBT
                session.add(
                    Attempt(  # as settling writes it
                        delivery_id=delivery.id,
                        fence=delivery.fence or 0,
                        at=self.hands.now,
                        verdict=DeliveryState.IN_DOUBT.value,
                        fault="none",
                        phase="dot",
                        reason="lost",
                    )
                )
                self.maybe.add(address)

    def release(self) -> None:
        with self.house.database.write() as session:
            alert = mailings.find(session, f"statement:{self.statement}:alert")
            try:
                mailings.release(session, alert, actor="test", now=self.hands.now)
            except MailingRefusal:
                session.rollback()

    def split(self) -> None:
        split_announced(self.house, self.hands.now)

    def wait(self, minutes: int) -> None:
        self.hands.now += timedelta(minutes=minutes)

    def work(self) -> None:
        self.hands.work()

    def finish(self) -> None:
        self.grey(set())
        self.hold(False)
        for _ in range(12):
            self.wait(120)
            self.work()
        self.hands.close()


def version_of(mail: Taken) -> int:
    part = mail.message.get_body(("plain",))
    assert part is not None
    found = [word for word in str(part.get_content()).split() if word[:1] == "v" and word[1:-1].isdigit()]
    return int(found[-1][1:-1]) if found else 0


def check(story: Story, address: str) -> None:
    """The reader's mails, in order: the alert at most once, then every correction of what they had."""
    told = [(str(mail.message["Feedback-ID"]).split(":")[2], mail) for mail in story.server.to(address)]
    alerts = [mail for kind, mail in told if kind == "statement-alert"]
    corrected = [version_of(mail) for kind, mail in told if kind == "correction"]
    retractions = sum(kind == "retraction" for kind, _ in told)
    if address not in story.maybe:
        assert len(alerts) <= 1
    had = {version_of(mail) for mail in alerts}
    assert len(had) <= 1  # never the older text and then the corrected one as if it were new
    if not alerts:
        assert not corrected
        assert not retractions
        assert story.retracted or story.hands.now > START + timedelta(days=3)
        return
    (first,) = had
    missed = story.version - first
    if story.retracted:
        assert retractions == 1
        assert len(corrected) <= missed  # those that had not left were called off
    else:
        assert len(corrected) == missed
        assert max([first, *corrected]) == story.version
    ids = {mail.message["Message-ID"] for mail in alerts}
    answers = [mail.message["In-Reply-To"] for kind, mail in told if kind != "statement-alert"]
    assert set(answers) <= ids
    assert len(ids) == 1


@pytest.fixture(scope="module")
def fresh_house(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], House]:
    numbers = count()
    folder = tmp_path_factory.mktemp("stories")

    def make() -> House:
        data = folder / str(next(numbers))
        shutil.copytree(sqlite_template, data)
        chosen = settings.load(data=data, base_url="https://mailer.example.org")
        settings.use(chosen)
        return open_house(chosen)

    return make


@pytest.mark.slow
@tried(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example([("work",), ("lose_the_answer_of", "a@example.org"), ("release",), ("correct",)])
@given(steps)
def test_everybodys_mails_tell_one_story(
    fresh_house: Callable[[], House], server: MailServer, story: list[tuple[object, ...]]
) -> None:
    house = fresh_house()
    server.mails.clear()
    server.reply_to_recipient = lambda _to: None
    told = Story(house, server)
    try:
        for step in story:
            told.take(step)
        told.finish()
        assert audit(house, told.hands.now) == []
        for address in READERS:
            check(told, address)
    finally:
        house.database.engine.dispose()
