"""The promise of languages, tried with chance: everybody is told once, and later news reach exactly those
whom they concern, whether they hear at once or by digests.

A simulated clock, a real database and a real SMTP server. Statements, translations, holds, corrections of all
texts or of one come in any order, and readers change language and frequency in between. Whom a correction or
a translation concerns is read from the very mails that each reader got.
"""

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st
from sqlalchemy import select

from mailer import settings
from mailer.db.people import Subscription
from mailer.db.programme import Statement, StatementText
from mailer.services.audience import people, preferences
from mailer.services.house import House, open_house
from mailer.services.programme import corrections, digests, statements, translations
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.sending.audit_books import audit
from mailer.vocabulary import Frequency, SubscriptionState
from tests.services.conftest import Hands
from tests.smtp_server import MailServer, Taken

START = datetime(2024, 3, 8, 12, 0, tzinfo=UTC)
READERS = {
    "en@example.org": ("en",),
    "hy@example.org": ("hy", "en"),
    "fr@example.org": ("fr", "hy"),
    "uk@example.org": ("uk", "fr"),
}
LANGUAGES = ("hy", "fr")
AGAIN = ("another language", "autre langue", "այլ լեզվով", "іншою мовою")
MARK = re.compile(r"\bs(\d+)-(en|hy|fr)-(\d+)\b")
WORDS = re.compile(r"\bwrong-(\d+)-(\d+)\b")

readers, languages = st.sampled_from(sorted(READERS)), st.sampled_from(LANGUAGES)
act = st.one_of(
    st.tuples(st.just("publish")),
    st.tuples(st.just("translate"), languages),
    st.tuples(st.just("translate"), languages),
    st.tuples(st.just("tell_of"), languages),
    st.tuples(st.just("tell_of"), languages),
    st.tuples(st.just("hold"), languages, st.booleans()),
    st.tuples(st.just("correct"), st.sampled_from([None, "hy", "fr", "en"])),
    st.tuples(st.just("choose"), readers, st.sampled_from(Frequency)),
    st.tuples(st.just("wish"), readers, st.sampled_from(["en", "hy", "fr", "uk"])),
    st.tuples(st.just("wait"), st.integers(1, 60 * 40)),
)


class Text(NamedTuple):
    """One text of a statement that a mail brought; `again`: as now available."""

    statement: int
    language: str
    version: int
    again: bool = False


class Story:
    """One house and its readers, taken through a list of steps."""

    def __init__(self, house: House, server: MailServer) -> None:
        self.house, self.server, self.hands = house, server, Hands(house, server.url, START)
        self.newest = 0
        self.wished = {address: wished[0] for address, wished in READERS.items()}
        self.expecting: set[tuple[int, str, str]] = set()  # statement, language, who is to be told of it
        self.corrected: list[tuple[int, int, str | None, set[str]]] = []  # statement, number, language, whom
        with house.database.write() as session:
            for address, wished in READERS.items():
                person = people.add(
                    session, house, address=address, name=None, languages=wished, zone=None, now=START
                )
                session.flush()
                session.add(
                    Subscription(
                        subscriber_id=person.id,
                        topic_id=people.topic(session, "statements").id,
                        state=SubscriptionState.CONFIRMED,
                        frequency=Frequency.DAILY if address[:2] in {"hy", "uk"} else Frequency.AT_ONCE,
                        changed_at=START,
                    )
                )

    def publish(self) -> None:
        with self.house.database.write() as session:
            found = Statement(
                key=f"s{self.newest + 1}",
                slug=f"s{self.newest + 1}",
                language="en",
                dated=START.date(),
                created_at=START,
            )
            session.add(found)
            session.flush()
            self.newest = found.id
            session.add(
                StatementText(
                    statement_id=found.id,
                    language="en",
                    title="A title",
                    body=f"s{found.id}-en-1",
                    created_at=START,
                )
            )
            session.flush()
            statements.publish(
                session, self.house, found, actor="test", now=self.hands.now, anyway=True, undo_seconds=0
            )
        self.work()

    def _with(self, change: Callable[..., object]) -> None:
        if not self.newest:
            return
        with self.house.database.write() as session:
            try:
                change(session, session.get_one(Statement, self.newest))
            except StatementRefusal:
                session.rollback()
        self.work()

    def translate(self, language: str) -> None:
        self._with(
            lambda session, found: translations.translate(
                session,
                self.house,
                found,
                language=language,
                title="A title",
                body=f"s{found.id}-{language}-{found.version}",
                ready=True,
                actor="test",
                now=self.hands.now,
            )
        )

    def tell_of(self, language: str) -> None:
        def change(session: object, found: Statement) -> None:
            translations.tell_of(
                session,  # type: ignore[arg-type]
                self.house,
                found,
                language=language,
                actor="test",
                now=self.hands.now,
            )
            for address in READERS:
                texts = [text for text in self.texts(address) if text.statement == found.id]
                lacks = bool(texts) and all(text.language != language for text in texts)
                if lacks and self.wished[address] == language:
                    self.expecting.add((found.id, language, address))

        self._with(change)

    def hold(self, language: str, on: bool) -> None:
        service = translations.hold if on else translations.send_now
        self._with(
            lambda session, found: service(
                session, found, language=language, actor="test", now=self.hands.now
            )
        )

    def correct(self, only: str | None) -> None:
        def change(session: object, found: Statement) -> None:
            number = 1 + sum(one[0] == found.id for one in self.corrected)
            draft = corrections.draft_correction(
                session,  # type: ignore[arg-type]
                found,
                title=None,
                body=f"s{found.id}-{only or found.language}-{found.version + 1}",
                wrong=f"wrong-{found.id}-{number}",
                right="It is right.",
                actor="test",
                now=self.hands.now,
                only=only,
            )
            corrections.announce(session, draft, found, actor="test", now=self.hands.now)  # type: ignore[arg-type]
            concerned = {
                address
                for address in READERS
                if any(
                    text.statement == found.id and only in {None, text.language}
                    for text in self.texts(address)
                )
            }
            self.corrected.append((found.id, number, only, concerned))
            self.expecting = {one for one in self.expecting if one[0] != found.id}

        self._with(change)

    def choose(self, address: str, frequency: Frequency) -> None:
        with self.house.database.write() as session:
            person = people.find(session, self.house, address)
            assert person is not None
            preferences.set_frequency(session, person.id, "statements", frequency)

    def wish(self, address: str, language: str) -> None:
        self.wished[address] = language
        self.expecting = {one for one in self.expecting if one[2] != address}
        with self.house.database.write() as session:
            person = people.find(session, self.house, address)
            assert person is not None
            link = self.house.preferences_url(person.id, self.hands.now).rsplit("/", 1)[1]
            preferences.change(
                session,
                self.house,
                link,
                topics=["statements"],
                language=language,
                zone="",
                now=self.hands.now,
            )
        self.work()

    def wait(self, minutes: int) -> None:
        self.hands.now += timedelta(minutes=minutes)
        self.work()

    def work(self) -> None:
        digests.plan_all(self.house, self.hands.now)
        while self.hands.work():
            pass

    def finish(self) -> None:
        """Nobody waits any more, and a quiet week and a day."""
        with self.house.database.write() as session:
            for found in session.scalars(select(Statement)).all():
                for language in LANGUAGES:
                    translations.send_now(session, found, language=language, actor="test", now=self.hands.now)
        for _ in range(9):
            self.wait(60 * 24)
        self.hands.close()

    def texts(self, address: str) -> list[Text]:
        return [text for mail in self.server.to(address) for text in texts_of(mail)]


def words_of(mail: Taken) -> str:
    part = mail.message.get_body(("plain",))
    assert part is not None
    return " ".join(str(part.get_content()).split())


def kind_of(mail: Taken) -> str:
    return str(mail.message["Feedback-ID"]).split(":")[2]


def texts_of(mail: Taken) -> list[Text]:
    """Each text that a mail brings; what stands between it and the one before tells whether it is again."""
    words, texts, place = words_of(mail), [], 0
    for found in MARK.finditer(words):
        said = words[place : found.start()]
        place = found.end()
        again = any(phrase in said for phrase in AGAIN)
        texts.append(Text(int(found[1]), found[2], int(found[3]), again))
    return texts


def check(story: Story, address: str) -> None:
    first: Counter[int] = Counter()
    heard: Counter[tuple[int, int]] = Counter()
    had: list[Text] = []
    for mail in story.server.to(address):
        for text in texts_of(mail):
            own = [one for one in had if one.statement == text.statement]
            if text.again:
                assert any(one.language != text.language for one in own), "told again without a fallback"
                assert all(one.version < text.version for one in own if one.language == text.language), (
                    "told again of what they have"
                )
            elif kind_of(mail) in {"statement-alert", "digest"}:
                assert not own, "as new, and it is not"
                first[text.statement] += 1
            had.append(text)
        heard.update((int(found[1]), int(found[2])) for found in WORDS.finditer(words_of(mail)))
    for statement, language, whom in story.expecting:
        assert whom != address or any((one.statement, one.language) == (statement, language) for one in had)
    assert first == Counter(range(1, story.newest + 1))
    for statement, number, _, concerned in story.corrected:
        assert heard[statement, number] == (address in concerned)


@pytest.fixture(scope="module")
def fresh_house(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], House]]:
    numbers, folder, opened = count(), tmp_path_factory.mktemp("languages"), []

    def make() -> House:
        data = folder / str(next(numbers))
        shutil.copytree(sqlite_template, data)
        chosen = settings.load(data=data, base_url="https://mailer.example.org")
        settings.use(chosen)
        opened.append(open_house(chosen))
        return opened[-1]

    yield make
    for house in opened:
        house.database.engine.dispose()


@pytest.mark.slow
@tried(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(act, min_size=4, max_size=16))
def test_everybody_is_told_once_and_later_news_reach_whom_they_concern(
    fresh_house: Callable[[], House], server: MailServer, story: list[tuple[object, ...]]
) -> None:
    house = fresh_house()
    server.mails.clear()
    told = Story(house, server)
    told.publish()
    for name, *rest in story:
        getattr(told, str(name))(*rest)
    told.finish()
    assert audit(house, told.hands.now) == []
    for address in READERS:
        check(told, address)
