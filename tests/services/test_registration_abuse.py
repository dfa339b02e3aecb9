"""Registering against somebody's will or the clock: what strangers, late lists and parallel forms come to."""

import io
from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.ingest.people import read_people
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import places, reminders, symposia
from mailer.services.programme.dates import Moment, set_moment
from mailer.services.programme.register import Attendee
from mailer.services.programme.symposia import SymposiumRefusal
from mailer.services.registration import (
    asking,
    attendance,
    details,
    limits,
    request,
    roll,
    seldom,
    self_service,
)
from mailer.services.registration.details import Details
from mailer.services.registration.questions import Question
from mailer.services.registration.request import Wish
from mailer.services.registration.roll import UNSAID
from mailer.vocabulary import (
    Attendance,
    DeliveryState,
    MailingKind,
    Precision,
    QuestionKind,
    RegistrationState,
    SymposiumState,
)
from tests.services.conftest import Hands
from tests.services.test_registration import START, cancel, join, put, states, together, token
from tests.services.test_roll import bring, count, slug_of
from tests.smtp_server import MailServer

pytestmark = pytest.mark.slow

ANNA = "anna@example.org"


def wish(
    house: House, hands: Hands, *symposia_: int, address: str = ANNA, told: Details | None = None
) -> None:
    """Somebody sends the form."""
    asked = Wish(
        attendee=Attendee(address=address, languages=("en",)),
        symposia=symposia_,
        details=dict.fromkeys(symposia_, told or Details()),
    )
    with house.database.write() as session:
        request.ask(session, house, asked, hands.now)


def another(house: House, hands: Hands, moment: Moment, title: str) -> int:
    slug = title.lower().replace(" ", "-")
    with house.database.write() as session:
        made = Symposium(
            key=slug,
            slug=slug,
            title=title,
            precision=Precision.NONE,
            state=SymposiumState.ANNOUNCED,
            sources={},
            questions=[],
            generation=0,
            changed_at=hands.now,
            created_at=hands.now,
        )
        session.add(made)
        session.flush()
        set_moment(session, made, moment, hands.now)
        return made.id


def mailed(house: House, kind: MailingKind) -> int:
    with house.database.read() as session:
        return session.scalar(select(func.count()).where(Mailing.kind == kind)) or 0


def test_a_form_sent_by_a_stranger_does_not_open_the_door_for_a_list(
    house: House, hands: Hands, symposium: int
) -> None:
    (number,) = join(house, hands, symposium, "anna")
    cancel(house, hands, number)
    wish(house, hands, symposium)
    assert bring(house, hands, symposium, f"email\n{ANNA}\n").withdrew == 1
    assert "confirmed" not in states(house, symposium)
    with house.database.write() as session:  # her own word brings her back
        attend = house.attend_url(number, hands.now).rsplit("/", 1)[1]
        request.confirm(session, house, attend, [slug_of(house, symposium)], hands.now)
    assert states(house, symposium) == ["confirmed"]


def test_one_network_alone_cannot_shut_the_form_for_all(
    house: House, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PER_NETWORK", 3)
    monkeypatch.setattr(limits, "IN_ALL", 10)
    with house.database.write() as session:
        robot = [limits.allowed(session, house, "192.0.2.1", hands.now) for _ in range(30)]
        assert robot == [True] * 3 + [False] * 27
        assert limits.allowed(session, house, "198.51.100.1", hands.now)


def test_parallel_forms_for_many_symposia_are_one_mail_to_their_victim(
    house: House, hands: Hands, symposium: int
) -> None:
    day = Moment(precision=Precision.DATE, day=date(2024, 5, 3))
    several = [symposium, *(another(house, hands, day, f"Symposium {number}") for number in range(5))]
    wish(house, hands, symposium, address="boris@example.org")
    with house.database.write() as session:
        people.add(session, house, address=ANNA, name=None, languages=["en"], zone=None, now=hands.now)
    before = mailed(house, MailingKind.REGISTRATION_REQUEST)
    together(len(several), lambda number: wish(house, hands, several[number]))
    assert mailed(house, MailingKind.REGISTRATION_REQUEST) == before + 1


def test_forms_about_who_is_registered_do_not_mail_them_day_after_day(
    house: House, hands: Hands, symposium: int
) -> None:
    day = Moment(precision=Precision.DATE, day=date(2024, 5, 3))
    several = [symposium, *(another(house, hands, day, f"Symposium {number}") for number in range(3))]
    numbers = [join(house, hands, one, "anna")[0] for one in several]
    before = mailed(house, MailingKind.REGISTRATION_CONFIRMATION)
    for _ in range(6):
        for one in several:
            wish(house, hands, one)
        hands.now += timedelta(days=1, minutes=1)
    assert mailed(house, MailingKind.REGISTRATION_CONFIRMATION) - before == seldom.MOST
    with house.database.write() as session:  # what the owner asks for by the link has limits of its own
        assert self_service.again(session, house, token(house, numbers[0]), hands.now)


PAST = [
    Moment(precision=Precision.DATE, day=date(2024, 3, 1)),
    Moment(precision=Precision.MONTH, day=date(2024, 2, 1)),
    Moment(precision=Precision.YEAR, day=date(2023, 1, 1)),
]


@pytest.mark.parametrize("moment", PAST, ids=lambda one: one.precision.value)
def test_a_symposium_without_an_hour_ends_with_its_day(
    house: House, hands: Hands, symposium: int, moment: Moment
) -> None:
    one = another(house, hands, Moment(precision=Precision.DATE, day=date(2024, 3, 1)), "A day")
    put(house, hands, one, capacity=1)
    first, _ = join(house, hands, one, "anna", "boris")
    with house.database.write() as session:
        found = session.get_one(Symposium, one)
        found.precision, found.day = moment.precision, moment.day
        hands.now = datetime.fromisoformat("2024-03-02T12:00+00:00")
    with pytest.raises(SymposiumRefusal):
        join(house, hands, one, "late")
    with house.database.write() as session:
        found = session.get_one(Symposium, one)
        symposia.lock(session, found)
        places.give_back(session, house, found, session.get_one(Registration, first), hands.now)
    assert places.move_up_everywhere(house, hands.now) == 0
    assert states(house, one) == ["withdrawn", "waiting"]


def test_a_list_for_a_full_house_leaves_nothing_of_whom_it_turns_away(
    house: House, hands: Hands, symposium: int
) -> None:
    put(house, hands, symposium, capacity=1, waiting_list=False)
    before = count(house, Subscriber)
    rolled = bring(house, hands, symposium, "email\nanna@example.org\nboris@example.org\nclara@example.org\n")
    assert (rolled.confirmed, rolled.full) == (1, 2)
    assert states(house, symposium) == ["confirmed"]
    assert count(house, Subscriber) == before + 1


@pytest.mark.parametrize(
    "key", ["email", "address", "name", "language", "zone", "access", "attended", "reason"]
)
def test_a_question_is_not_called_as_a_column_of_a_list_is(
    house: House, hands: Hands, symposium: int, key: str
) -> None:
    question = Question(key=key, kind=QuestionKind.TEXT, labels={"en": "What?"})
    with house.database.write() as session, pytest.raises(SymposiumRefusal, match="another word"):
        asking.put_question(
            session, session.get_one(Symposium, symposium), question, actor="test", now=hands.now
        )


@pytest.mark.parametrize(("cell", "word"), [("x" * 1001, "longer"), ("a\x07b", "control")])
def test_access_needs_of_a_list_are_judged_as_those_of_the_form(
    house: House, hands: Hands, symposium: int, cell: str, word: str
) -> None:
    put(house, hands, symposium, asks_access=True)
    rolled = bring(
        house, hands, symposium, f"email,access\nanna@example.org,{cell}\nboris@example.org,ramp\n"
    )
    assert rolled.confirmed == 1
    assert [(line, word in sentence, "access" in sentence) for line, sentence in rolled.refused] == [
        (2, True, True)
    ]


def test_nobody_was_there_before_it_began(house: House, hands: Hands, symposium: int) -> None:
    (number,) = join(house, hands, symposium, "anna")

    def mark() -> attendance.Marked:
        rows = read_people(
            io.BytesIO(b"email\nanna@example.org\n"), known_topics=frozenset(), default_language=UNSAID
        )
        return attendance.mark_attendance(
            house,
            slug_of(house, symposium),
            rows,
            others_absent=True,
            keep=True,
            actor="test",
            now=hands.now,
        )

    with pytest.raises(SymposiumRefusal, match="has not begun"):
        mark()
    with house.database.read() as session:
        assert session.get_one(Registration, number).attendance is Attendance.UNKNOWN
    hands.now = START + timedelta(minutes=1)
    assert mark().attended == 1


def test_a_city_is_taken_back_as_it_is_chosen(house: House, hands: Hands, symposium: int) -> None:
    (number,) = join(house, hands, symposium, "anna", zone="Asia/Yerevan")
    with house.database.write() as session:
        own = token(house, number)
        assert self_service.change(session, house, own, language="en", zone="", now=hands.now)
    with house.database.read() as session:
        found = self_service.look(session, house, own, hands.now)
        assert found is not None
        assert found.zone is None


def test_signs_that_turn_the_writing_round_are_not_kept(house: House, hands: Hands, symposium: int) -> None:
    turned = "\u202egpj.exe\u2066Anna\u200b"
    told = Details(name=turned, access=f"{turned}\nsecond line", answers={"diet": turned})
    wish(house, hands, symposium, told=told)
    with house.database.read() as session:
        kept = details.read(house, session.scalars(select(Registration)).one())
    assert kept == Details(
        name="gpj.exeAnna", access="gpj.exeAnna\nsecond line", answers={"diet": "gpj.exeAnna"}
    )


def test_the_owner_confirms_what_they_ticked_and_what_is_long_past_is_not_offered(
    house: House, hands: Hands, symposium: int
) -> None:
    day = Moment(precision=Precision.DATE, day=date(2024, 5, 3))
    old, new = (another(house, hands, day, title) for title in ("An old wish", "A new wish"))
    wish(house, hands, old)
    hands.now += timedelta(days=8)
    wish(house, hands, new, symposium)
    with house.database.read() as session:
        number = session.scalars(
            select(Mailing.registration_id)
            .where(Mailing.kind == MailingKind.REGISTRATION_REQUEST)
            .order_by(Mailing.id.desc())
        ).first()
        assert number is not None
        found = request.look(session, house, house.attend_url(number, hands.now).rsplit("/", 1)[1], hands.now)
    assert {one.symposium.slug for one in found.asked} == {slug_of(house, new), slug_of(house, symposium)}


def test_a_withdrawn_state_outlives_forms_and_withdrawals_of_forms(
    house: House, server: MailServer, hands: Hands, symposium: int
) -> None:
    (number,) = join(house, hands, symposium, "anna")
    for _ in range(2):
        with house.database.write() as session:
            found = session.get_one(Symposium, symposium)
            symposia.lock(session, found)
            places.give_back(session, house, found, session.get_one(Registration, number), hands.now)
        wish(house, hands, symposium)
        assert states(house, symposium) == [RegistrationState.PENDING.value]
        assert bring(house, hands, symposium, f"email\n{ANNA}\n").withdrew == 1


def test_another_city_times_the_reminders_that_wait_anew(house: House, hands: Hands, symposium: int) -> None:
    (number,) = join(house, hands, symposium, "anna")

    def turns() -> list[datetime]:
        with house.database.write() as session:
            reminders.plan_all(session, house, hands.now)
        with house.database.read() as session:
            waiting = select(Delivery.due_at).where(Delivery.registration_id == number)
            return sorted(session.scalars(waiting.where(Delivery.state == DeliveryState.PENDING)))

    def choose(zone: str) -> None:
        with house.database.write() as session:
            own = token(house, number)
            assert self_service.change(session, house, own, language="en", zone=zone, now=hands.now)

    at_home = turns()
    choose("Australia/Sydney")  # noon in New York is four in the night there
    abroad = turns()
    assert abroad != at_home
    assert len(abroad) == len(at_home)
    choose("")
    assert turns() == at_home


def test_a_list_is_taken_in_by_and_by_and_foreseen_without_holding_anybody_up(
    house: House, hands: Hands, symposium: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roll, "SLICE", 2)
    put(house, hands, symposium, capacity=4)
    join(house, hands, symposium, "clara")
    people_ = "".join(f"guest{number}@example.org\n" for number in range(6))
    listed = f"email\n{people_}clara@example.org\nnobody\n"
    with house.database.write() as session:  # something else is being written all the while
        symposia.lock(session, session.get_one(Symposium, symposium))
        foreseen = bring(house, hands, symposium, listed, keep=False, mail=True)
    assert (foreseen.confirmed, foreseen.waiting, foreseen.known, len(foreseen.refused)) == (3, 3, 1, 1)
    assert vars(bring(house, hands, symposium, listed, mail=True)) == vars(foreseen)
    assert sorted(states(house, symposium)) == ["confirmed"] * 4 + ["waiting"] * 3
    with house.database.write() as session:
        symposia.lock(session, session.get_one(Symposium, symposium))
        assert bring(house, hands, symposium, listed, keep=False).known == 7
