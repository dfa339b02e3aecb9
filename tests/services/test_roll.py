"""Lists in: sign-ups and attendance, shown before they are kept, hostile or not, twice or once."""

import io
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from mailer.db.mailings import Mailing
from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.ingest.people import read_people
from mailer.messages.when import UnknownZone
from mailer.services.house import House
from mailer.services.programme.symposia import SymposiumRefusal
from mailer.services.registration import asking, attendance, details, roll, setting
from mailer.services.registration.attendance import Marked
from mailer.services.registration.questions import Question
from mailer.services.registration.roll import UNSAID, Rolled
from mailer.services.registration.setting import Facts, Window
from mailer.vocabulary import Attendance, QuestionKind
from tests.services.conftest import Hands
from tests.services.test_registration import START, cancel, join, put, states
from tests.smtp_server import MailServer

LIST = """email,name,language,zone,access,diet
anna@example.org,Anna,hy,Asia/Yerevan,A ramp,none
boris@example.org,Boris,,,,
clara@example.org,"=HYPERLINK(""https://evil.example"")",en,,,vegan
"""


def slug_of(house: House, symposium: int) -> str:
    with house.database.read() as session:
        return session.get_one(Symposium, symposium).slug


def bring(
    house: House, hands: Hands, symposium: int, text: str, *, keep: bool = True, mail: bool = False
) -> Rolled:
    rows = read_people(
        io.BytesIO(text.encode()),
        known_topics=frozenset(),
        default_language=UNSAID,
        others={"access", "diet"},
    )
    return roll.import_sign_ups(
        house, slug_of(house, symposium), rows, mail=mail, keep=keep, actor="test", now=hands.now
    )


def ask_diet(house: House, hands: Hands, symposium: int, *choices: str) -> None:
    question = Question(key="diet", kind=QuestionKind.CHOICE, labels={"en": "Diet"}, choices=choices)
    with house.database.write() as session:
        found = session.get_one(Symposium, symposium)
        asking.put_question(session, found, question, actor="test", now=hands.now)


def count(house: House, what: type[Registration] | type[Subscriber] | type[Mailing]) -> int:
    with house.database.read() as session:
        return session.scalar(select(func.count()).select_from(what)) or 0


def test_a_dry_run_says_what_would_happen_and_keeps_nothing(
    house: House, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=2)
    join(house, hands, symposium, "clara")
    before = count(house, Mailing)
    shown = bring(house, hands, symposium, LIST, keep=False, mail=True)
    assert (shown.confirmed, shown.waiting, shown.known, shown.mailed) == (1, 1, 1, 2)
    assert (count(house, Registration), count(house, Subscriber), count(house, Mailing)) == (1, 1, before)
    kept = bring(house, hands, symposium, LIST, mail=True)
    assert vars(kept) == vars(shown)
    assert states(house, symposium) == ["confirmed", "confirmed", "waiting"]


def test_people_of_a_list_are_mailed_only_when_asked_and_never_twice(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    bring(house, hands, symposium, LIST)
    assert hands.work() == 0
    again = bring(house, hands, symposium, LIST, mail=True)
    assert (again.known, again.mailed) == (3, 0)
    bring(house, hands, symposium, "email\ndora@example.org\n", mail=True)
    bring(house, hands, symposium, "email\ndora@example.org\n", mail=True)
    assert hands.work() == 1


def test_what_the_list_says_of_a_person_is_kept_for_this_symposium(
    house: House, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, asks_access=True)
    ask_diet(house, hands, symposium, "none", "vegan")
    bring(house, hands, symposium, LIST)
    with house.database.read() as session:
        anna, boris, _ = session.scalars(select(Registration).order_by(Registration.id)).all()
        assert (anna.languages, anna.zone) == (["hy"], "Asia/Yerevan")
        assert (boris.languages, boris.zone) == (None, None)
        told = details.read(house, anna)
        assert (told.name, told.access, told.answers) == ("Anna", "A ramp", {"diet": "none"})


def test_no_row_brings_back_who_withdrew_and_no_bad_row_undoes_a_good_one(
    house: House, hands: Hands, symposium: int
) -> None:
    ask_diet(house, hands, symposium, "none")
    (anna,) = join(house, hands, symposium, "anna")
    cancel(house, hands, anna)
    hostile = LIST + 'not-an-address,X,,,,\n"eve\x00@example.org",E,,,,\nanna@example.org,A,,,,\n'
    rolled = bring(house, hands, symposium, hostile)
    assert (rolled.withdrew, rolled.confirmed) == (1, 1)
    assert [line for line, _ in rolled.refused] == [4, 5, 6, 7]  # an answer nobody offers, and three more
    assert not any("example" in sentence for _, sentence in rolled.refused)
    assert states(house, symposium) == ["withdrawn", "confirmed"]


def test_a_list_longer_than_any_symposium_is_refused_whole(
    house: House, hands: Hands, symposium: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll, "MOST_ROWS", 2)
    with pytest.raises(roll.TooLong, match="Split it"):
        bring(house, hands, symposium, LIST)
    assert count(house, Registration) == 0


def test_nobody_is_imported_into_a_symposium_that_is_over(house: House, hands: Hands, symposium: int) -> None:
    hands.now = START + timedelta(hours=1)
    with pytest.raises(SymposiumRefusal, match="is over"):
        bring(house, hands, symposium, LIST)


def mark(house: House, hands: Hands, symposium: int, text: str, **more: bool) -> Marked:
    rows = read_people(
        io.BytesIO(text.encode()), known_topics=frozenset(), default_language=UNSAID, others={"attended"}
    )
    given = {"others_absent": False, "keep": True, **more}
    return attendance.mark_attendance(
        house, slug_of(house, symposium), rows, actor="test", now=hands.now, **given
    )


def test_who_was_there_is_what_the_list_says(house: House, hands: Hands, symposium: int) -> None:
    put(house, hands, symposium, capacity=3)
    numbers = join(house, hands, symposium, "anna", "boris", "clara", "dora")
    hands.now = START + timedelta(hours=3)
    text = (
        "email,attended\nanna@example.org,\nboris@example.org,Absent\ndora@example.org,yes\n"
        "eve@example.org,yes\nclara@example.org,perhaps\n"
    )
    shown = mark(house, hands, symposium, text, keep=False)
    marked = mark(house, hands, symposium, text)
    assert vars(shown) == vars(marked)
    assert (marked.attended, marked.absent, marked.strangers, len(marked.refused)) == (1, 1, 2, 1)

    def attendance() -> list[Attendance]:
        with house.database.read() as session:
            return [session.get_one(Registration, number).attendance for number in numbers]

    unknown = Attendance.UNKNOWN
    assert attendance() == [Attendance.ATTENDED, Attendance.ABSENT, unknown, unknown]
    mark(house, hands, symposium, "email\nanna@example.org\n", others_absent=True)
    assert attendance() == [Attendance.ATTENDED, Attendance.ABSENT, Attendance.ABSENT, unknown]


def test_facts_that_contradict_each_other_are_refused_and_nothing_is_kept(
    house: House, hands: Hands, symposium: int
) -> None:
    def wall(text: str) -> datetime:
        return datetime.fromisoformat(text)

    refused: list[tuple[Facts, str]] = [
        (Facts(ends=wall("2024-02-23T11:59")), "before the start"),
        (Facts(minutes=0), "from 1 minute"),
        (Facts(minutes=30, ends=wall("2024-02-23T13:00")), "not both"),
        (Facts(capacity=-1), "number of people"),
        (Facts(languages=("klingon-x",)), "no language"),
        (Facts(room="http://rooms.example.com"), "https://"),
        (Facts(room="javascript:alert(1)"), "https://"),
        (Facts(place="x" * 301), "300 letters"),
        (
            Facts(window=Window(opens=wall("2024-02-20T09:00"), closes=wall("2024-02-19T09:00"), zone="UTC")),
            "close before it opens",
        ),
        (
            Facts(window=Window(opens=None, closes=wall("2024-02-23T13:01"), zone="America/New_York")),
            "is over",
        ),
    ]

    def try_it(facts: Facts) -> None:
        with house.database.write() as session:
            found = session.get_one(Symposium, symposium)
            for given in (Facts(capacity=7), facts):
                setting.set_facts(session, house, found, given, actor="test", now=hands.now)

    for facts, words in refused:
        with pytest.raises(SymposiumRefusal, match=words):
            try_it(facts)
    with pytest.raises(UnknownZone):
        try_it(Facts(window=Window(opens=wall("2024-02-01T09:00"), closes=None, zone="Mars/Olympus")))
    with house.database.read() as session:
        assert session.get_one(Symposium, symposium).capacity is None


def test_every_fact_that_staff_set_has_its_source(house: House, hands: Hands, symposium: int) -> None:
    came = put(
        house,
        hands,
        symposium,
        minutes=90,
        speakers=("Dr. A", "Dr. B"),
        languages=("en", "hy"),
        online=True,
        capacity=80,
        asks_access=True,
    )
    assert set(came.changed) == {"minutes", "speakers", "languages", "online", "capacity", "asks_access"}
    with house.database.read() as session:
        found = session.get_one(Symposium, symposium)
        assert {found.sources[name] for name in came.changed} == {"staff"}
        assert (found.end_source.value, found.sequence) == ("announced", 1)
    assert put(house, hands, symposium, minutes=90).changed == ()


def test_a_long_list_tells_how_far_it_is(house: House, hands: Hands, symposium: int) -> None:
    text = "email\n" + "".join(f"reader{number}@example.org\n" for number in range(120))
    people = list(read_people(io.BytesIO(text.encode()), known_topics=frozenset(), default_language=UNSAID))
    for keep in (False, True):
        told: list[int] = []
        roll.import_sign_ups(
            house,
            slug_of(house, symposium),
            people,
            mail=False,
            keep=keep,
            actor="test",
            now=hands.now,
            progress=told.append,
        )
        assert told == [50, 100, 120]
