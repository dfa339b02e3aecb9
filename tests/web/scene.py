"""A furnished house for the pages' tests: a programme, people with links in their hands, and real mails."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer import mx
from mailer.db.mailings import Delivery, Mailing
from mailer.db.people import Subscription
from mailer.db.programme import Correction, Registration, Series, Statement, StatementText, Symposium
from mailer.db.seal import ROOM
from mailer.messages.tokens import Purpose, mint
from mailer.services.audience import people
from mailer.services.desk.inbox import Inbox
from mailer.services.house import House
from mailer.services.programme import reminders, statements, symposia
from mailer.services.programme.dates import Moment, set_moment
from mailer.services.programme.register import Attendee, register, registration_of
from mailer.services.registration import details
from mailer.services.registration.details import Details
from mailer.services.registration.questions import Question, write_questions
from mailer.services.sending.sweep import sweep
from mailer.vocabulary import (
    CorrectionKind,
    CorrectionState,
    MailingKind,
    Precision,
    QuestionKind,
    RegistrationState,
    StatementState,
    SubscriptionState,
    SymposiumState,
)
from tests.services.conftest import PAUSE, Hands, noon

READERS = {
    "anna@example.org": "en",
    "layla@example.org": "ar",
    "anahit@example.org": "hy",
    "olena@example.org": "uk",
    "shirin@example.org": "fa",
    "carmen@example.org": "es",
    "claire@example.org": "fr",
    "mei@example.org": "zh",
}
ROOM_URL = "https://rooms.example.com/a-secret-room?pwd=x"
BODY = """Three **years** after the [ceasefire](https://example.org/ceasefire) the prisoners are still held.

## What we ask for

1. Their names.
2. Visits by the Red Cross.

> Silence in the face of such illegality only encourages further lawlessness.

| Year | Prisoners |
|------|-----------|
| 2020 | 120 |
| 2021 | 80 |

<script>alert("no")</script>
"""
BODIES = {
    "en": ("On the Continued Detention of Prisoners of War", BODY),
    "hy": ("Ռազմագերիների շարունակվող անազատության մասին", "Երեք տարի անց գերիները դեռ պահվում են։"),
    "ar": ("بشأن استمرار احتجاز أسرى الحرب", "بعد ثلاث سنوات لا يزال الأسرى محتجزين في Baku منذ 2020."),
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Tokens and slugs by which the tests open pages."""

    leave: str  # Anna's unsubscribe link of an alert
    leave_arabic: str
    left: str  # of somebody who has left by it
    stop_reminders: str
    confirm: str
    confirm_expired: str
    confirmed: str
    preferences: str
    preferences_arabic: str
    preferences_expired: str
    attend: str  # Olena's request, not confirmed yet
    attend_expired: str
    attended: str  # Anna's, confirmed
    own: str  # Anna's registration
    own_arabic: str  # Layla's, who waits
    own_withdrawn: str
    join: str  # Anna's door to a room that is open
    join_not_yet: str
    join_shut: str
    draft_statement: str
    draft_symposium: str


def furnish(house: House, now: datetime, inbox: Inbox | None = None) -> Scene:
    """Fill an empty house; with an inbox, the mails are really sent into it."""
    with house.database.write() as session:
        _programme(session, now)
        _ask_questions(symposia.find(session, "restorative"))
        held = symposia.find(session, "ukraine")
        held.room = house.vault.seal(ROOM, held.id, ROOM_URL)
        for address, language in READERS.items():
            _reader(session, house, address, language, SubscriptionState.CONFIRMED, now)
        waiting = _reader(session, house, "waiting@example.org", "en", SubscriptionState.PENDING, now)
        _reader(session, house, "left@example.org", "fr", SubscriptionState.UNSUBSCRIBED, now)
    _send(house, now, inbox)
    with house.database.write() as session:
        return _scene(session, house, waiting, now)


def _programme(session: Session, now: datetime) -> None:
    statement = Statement(
        key="pow", slug="prisoners-of-war", language="en", dated=date(2021, 7, 17), created_at=now
    )
    session.add(statement)
    draft = Statement(
        key="draft", slug="not-yet-public", language="en", dated=date(2024, 3, 1), created_at=now
    )
    session.add(draft)
    session.flush()
    for language, (title, body) in BODIES.items():
        session.add(
            StatementText(
                statement_id=statement.id, language=language, title=title, body=body, created_at=now
            )
        )
    session.add(
        StatementText(
            statement_id=draft.id, language="en", title="A secret draft", body="Secret.", created_at=now
        )
    )
    for slug, kind in (
        ("a-corrected-one", CorrectionKind.CORRECTION),
        ("a-retracted-one", CorrectionKind.RETRACTION),
    ):
        _noted(session, slug, kind, now)
    series = Series(
        key="prevention",
        name="Year of Prevention",
        text="A series of Friday symposia with universal relevance to prevention.",
    )
    session.add(series)
    session.flush()
    exact = [
        ("ukraine", "How to Identify Genocide: The Ukraine Case", date(2024, 2, 23)),
        ("global", "When Genocide is Global: The Case of Armenians", date(2024, 3, 22)),
        ("restorative", "Restorative Justice & Genocide Prevention", date(2024, 7, 26)),
    ]
    for slug, title, day in exact:
        _symposium(session, series, slug, title, noon(day), now)
    _symposium(session, series, "first", "The First Symposium", noon(date(2023, 11, 17)), now)
    _symposium(
        session,
        None,
        "open-day",
        "A Day of Open Doors",
        Moment(precision=Precision.DATE, day=date(2024, 5, 3)),
        now,
    )
    summit = Moment(precision=Precision.MONTH, day=date(2024, 12, 1))
    _symposium(session, None, "summit", "Online Global Youth Summit", summit, now)
    _symposium(session, series, "called-off", "A Symposium That Was Called Off", noon(date(2024, 4, 5)), now)
    hidden = _symposium(session, series, "hidden-draft", "A Hidden Draft", noon(date(2024, 9, 27)), now)
    hidden.state = SymposiumState.DRAFT
    for one in hidden.dates:
        one.announced = False


def _ask_questions(symposium: Symposium) -> None:
    symposium.capacity, symposium.asks_access, symposium.speakers = 2, True, ["Dr. <b>Who</b>", "Մարիամ"]
    symposium.languages = ["en", "hy"]
    symposium.form_fields = write_questions(
        [
            Question(
                key="diet",
                kind=QuestionKind.YES_NO,
                labels={"en": "Will you eat with us?", "hy": "Կճաշե՞ք մեզ հետ"},
            ),
            Question(
                key="role",
                kind=QuestionKind.CHOICE,
                labels={"en": "You come as"},
                required=True,
                choices=("Student", "Teacher"),
            ),
            Question(key="note", kind=QuestionKind.TEXT, labels={"en": "Anything else?"}),
        ]
    )


def _noted(session: Session, slug: str, kind: CorrectionKind, now: datetime) -> None:
    """A statement of long ago that was corrected in two languages, or retracted."""
    corrects = kind is CorrectionKind.CORRECTION
    old = Statement(
        key=slug,
        slug=slug,
        language="en",
        dated=date(2020, 3, 1),
        state=StatementState.PUBLISHED if corrects else StatementState.RETRACTED,
        version=2 if corrects else 1,
        created_at=now - timedelta(days=30),
        published_at=now - timedelta(days=20),
    )
    session.add(old)
    session.flush()
    texts = [("en", "212", "people were held"), ("ar", "212", "شخصًا كانوا محتجزين")]
    texts += [("en", "188", "people were held"), ("ar", "188", "شخصًا كانوا محتجزين")]
    for number, (language, figure, rest) in enumerate(texts if corrects else texts[:1]):
        session.add(
            StatementText(
                statement_id=old.id,
                language=language,
                version=1 + number // 2,
                title=f"{BODIES[language][0]} – {slug}",
                body=f"## 2020\n\n{figure} {rest}.\n\nThis stays as it was.",
                created_at=now,
            )
        )
    words = {
        "en": {"wrong": "It said 212.", "right": "It was 188."},
        "ar": {"wrong": "كُتب 212.", "right": "الصواب 188."},
    }
    session.add(
        Correction(
            statement_id=old.id,
            number=1,
            kind=kind,
            state=CorrectionState.DONE,
            from_version=1,
            to_version=2 if corrects else None,
            words=words if corrects else {"en": {"reason": "Two of our sources were the same."}},
            actor="test",
            created_at=now,
            announced_at=now,
            done_at=now,
        )
    )


def _symposium(
    session: Session, series: Series | None, slug: str, title: str, moment: Moment, now: datetime
) -> Symposium:
    symposium = Symposium(
        key=slug,
        slug=slug,
        title=title,
        series_id=series.id if series else None,
        precision=Precision.NONE,
        state=SymposiumState.ANNOUNCED,
        place="Online" if slug != "open-day" else None,
        register_url="https://example.org/register" if slug == "ukraine" else None,
        sources={},
        questions=[],
        generation=0,
        changed_at=now,
        created_at=now,
    )
    session.add(symposium)
    session.flush()
    set_moment(session, symposium, moment, now)
    return symposium


def _reader(
    session: Session, house: House, address: str, language: str, state: SubscriptionState, now: datetime
) -> int:
    zone = "Asia/Yerevan" if language == "hy" else None
    name = address.split("@")[0].title() if language == "en" else None
    person = people.add(session, house, address=address, name=name, languages=[language], zone=zone, now=now)
    session.flush()
    subscription = Subscription(
        subscriber_id=person.id,
        topic_id=people.topic(session, "statements").id,
        state=state,
        changed_at=now,
    )
    session.add(subscription)
    session.flush()
    return subscription.id


def _send(house: House, now: datetime, inbox: Inbox | None) -> None:
    """An alert and a reminder; with an inbox also confirmations, a move and a cancellation, really sent."""
    if inbox is None:
        hands = Hands(house, "smtp://127.0.0.1:9", now)
        _publish(house, hands)
        _register(house, hands, ("ukraine", "global"), ("anna@example.org",))
        _remind(house, hands)
        sweep(house, hands.now)
        hands.close()
        return
    listener = mx.start(mx.CatchAll(inbox), "127.0.0.1", 0)
    hands = Hands(house, f"smtp://127.0.0.1:{listener.port}", now)
    _publish(house, hands)
    _register(house, hands, ("ukraine", "global", "called-off"), tuple(READERS))
    hands.work()
    _move_and_call_off(house, hands)
    hands.now += PAUSE
    hands.work()
    _remind(house, hands)
    hands.work()
    hands.close()
    listener.stop()


def _publish(house: House, hands: Hands) -> None:
    with house.database.write() as session:
        statement = statements.find(session, "prisoners-of-war")
        statements.publish(session, house, statement, actor="test", now=hands.now)


def _register(house: House, hands: Hands, slugs: tuple[str, ...], addresses: tuple[str, ...]) -> None:
    with house.database.write() as session:
        for slug in slugs:
            for address in addresses:
                attendee = Attendee(address=address, languages=(READERS[address],))
                register(session, house, symposia.find(session, slug), attendee, hands.now)


def _move_and_call_off(house: House, hands: Hands) -> None:
    with house.database.write() as session:
        moved = symposia.find(session, "global")
        symposia.move(session, house, moved, noon(date(2024, 3, 22), 13), actor="test", now=hands.now)
        off = symposia.find(session, "called-off")
        symposia.call_off(session, house, off, reason="The speaker is ill.", actor="test", now=hands.now)


def _remind(house: House, hands: Hands) -> None:
    due = datetime.fromisoformat("2024-02-22T17:00:00+00:00")
    with house.database.write() as session:
        reminders.plan_all(session, house, due - timedelta(minutes=1))
    hands.now = due + timedelta(seconds=30)


def _scene(session: Session, house: House, waiting: int, now: datetime) -> Scene:
    def leave(kind: MailingKind, address: str) -> str:
        person = people.find(session, house, address)
        assert person is not None
        delivery = session.scalars(
            select(Delivery.id)
            .join(Mailing, Mailing.id == Delivery.mailing_id)
            .where(Mailing.kind == kind, Delivery.subscriber_id == person.id)
            .order_by(Mailing.due_at)
        ).first()
        assert delivery is not None
        return mint(house.tokens, Purpose.UNSUBSCRIBE, delivery)

    def subscription(address: str) -> Subscription:
        person = people.find(session, house, address)
        assert person is not None
        return session.scalars(select(Subscription).where(Subscription.subscriber_id == person.id)).one()

    gone = subscription("claire@example.org")
    gone.state = SubscriptionState.UNSUBSCRIBED
    anna, layla = (subscription(one) for one in ("anna@example.org", "layla@example.org"))
    return Scene(
        leave=leave(MailingKind.STATEMENT_ALERT, "anna@example.org"),
        leave_arabic=leave(MailingKind.STATEMENT_ALERT, "layla@example.org"),
        left=leave(MailingKind.STATEMENT_ALERT, "claire@example.org"),
        stop_reminders=leave(MailingKind.REMINDER, "anna@example.org"),
        confirm=_last(house.confirm_url(waiting, now)),
        confirm_expired=_last(house.confirm_url(waiting, now - timedelta(hours=80))),
        confirmed=_last(house.confirm_url(anna.id, now)),
        preferences=_last(house.preferences_url(anna.subscriber_id, now)),
        preferences_arabic=_last(house.preferences_url(layla.subscriber_id, now)),
        preferences_expired=_last(house.preferences_url(anna.subscriber_id, now - timedelta(days=40))),
        attend=_last(house.attend_url(_asked(session, house, "olena@example.org", now).id, now)),
        attend_expired=_last(
            house.attend_url(_asked(session, house, "olena@example.org", now).id, now - timedelta(hours=80))
        ),
        attended=_last(
            house.attend_url(_registration(session, house, "ukraine", "anna@example.org").id, now)
        ),
        own=_last(house.registration_url(_registration(session, house, "ukraine", "anna@example.org").id)),
        own_arabic=_last(
            house.registration_url(
                _asked(session, house, "layla@example.org", now, RegistrationState.WAITING).id
            )
        ),
        own_withdrawn=_last(
            house.registration_url(
                _asked(session, house, "claire@example.org", now, RegistrationState.WITHDRAWN).id
            )
        ),
        join=_last(house.join_url(_registration(session, house, "ukraine", "anna@example.org").id, 1)),
        join_not_yet=_last(house.join_url(_registration(session, house, "global", "anna@example.org").id, 1)),
        join_shut=_last(house.join_url(_registration(session, house, "ukraine", "anna@example.org").id, 0)),
        draft_statement="not-yet-public",
        draft_symposium="hidden-draft",
    )


def _asked(
    session: Session,
    house: House,
    address: str,
    now: datetime,
    state: RegistrationState = RegistrationState.PENDING,
) -> Registration:
    """A registration for the symposium with a capacity, without any mail of its own."""
    person = people.find(session, house, address)
    assert person is not None
    found = registration_of(session, symposia.find(session, "restorative"), person, now)
    found.state = state
    details.keep(
        house, found, Details(name=address.split("@")[0].title(), access="A ramp", answers={"diet": "yes"})
    )
    session.flush()
    return found


def _registration(session: Session, house: House, slug: str, address: str) -> Registration:
    person = people.find(session, house, address)
    assert person is not None
    return session.scalars(
        select(Registration).where(
            Registration.subscriber_id == person.id,
            Registration.symposium_id == symposia.find(session, slug).id,
        )
    ).one()


def _last(url: str) -> str:
    return url.rsplit("/", 1)[1]
