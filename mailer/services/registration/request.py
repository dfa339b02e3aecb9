"""Request: somebody fills in the registration form, and the address's owner confirms by their mail.

Whoever knows an address could register it. So a form only asks: it takes no place, and
nothing follows until the link in the mail is opened and its button pressed. The form says
the same for every address; what is true goes to the address alone, and not often.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mailer.db.mailings import Mailing
from mailer.db.people import Subscriber
from mailer.db.programme import Registration, Symposium
from mailer.db.seal import NAME
from mailer.messages.tokens import Purpose, read
from mailer.services.audience import people
from mailer.services.house import House
from mailer.services.programme import places, public
from mailer.services.programme.public import SymposiumPage
from mailer.services.programme.register import Attendee, person_of, registration_of, remember_choices
from mailer.services.programme.symposia import lock
from mailer.services.registration import details, opening, seldom, self_service
from mailer.services.registration.details import Details
from mailer.services.registration.opening import TAKEN_IN, Opening
from mailer.services.registration.questions import Question, read_questions
from mailer.services.sending.announce import Announcement, announce
from mailer.vocabulary import Link, MailingKind, RegistrationState

LINK_HOURS = 72
LONGEST_NAME = 200  # characters
MOST_DATES = 60  # symposia one form may name


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody asked for on a form. `details` holds what they answered, by the symposium's id."""

    attendee: Attendee
    symposia: tuple[int, ...]
    details: dict[int, Details] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One symposium of a request, and where the registration for it stands."""

    symposium: SymposiumPage
    state: RegistrationState
    token: str  # opens the attendee's own page of it
    opening: Opening

    @property
    def open(self) -> bool:
        return self.opening in TAKEN_IN


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the page behind a request's link shows. `told` is what the form said, for the owner to see."""

    link: Link
    asked: tuple[Asked, ...] = ()
    told: Details = field(default_factory=Details, repr=False)
    questions: tuple[Question, ...] = ()
    languages: tuple[str, ...] = ()


def ask(session: Session, house: House, wish: Wish, now: datetime) -> None:
    """Note the wish and send one request for all of it, within the limits. Says nothing of the address.

    What is held already stays as it is: a stranger changes nobody's registration. Its owner, who may
    have lost the mail, gets their confirmation once more, as seldom as a request. Only who waited when it
    began is asked anew: that wait is over.
    """
    person = person_of(session, house, wish.attendee, now)
    seldom.hold(session, person)
    pending: list[Registration] = []
    held: list[Registration] = []
    for symposium in _in_order(session, wish.symposia):
        lock(session, symposium)
        if not opening.is_open(session, symposium, now):
            continue
        registration = registration_of(session, symposium, person, now)
        if places.holds(registration, now):
            held.append(registration)
            continue
        registration.state, registration.registered_at = RegistrationState.PENDING, now
        remember_choices(registration, wish.attendee)
        details.keep(house, registration, wish.details.get(symposium.id, Details()))
        pending.append(registration)
    session.flush()
    if pending:
        _request(session, house, person, pending, now)
    elif held and seldom.may_write(session, person, Mailing.key.like("registration:%:asked:%"), now):
        self_service.copy(session, house, held[0], "asked", now)


def _in_order(session: Session, ids: Sequence[int]) -> list[Symposium]:
    """The symposia by id: two forms that name the same ones lock them in one order."""
    wanted = select(Symposium).where(Symposium.id.in_(ids[:MOST_DATES])).order_by(Symposium.id)
    return list(session.scalars(wanted).unique())


def _request(
    session: Session, house: House, person: Subscriber, pending: Sequence[Registration], now: datetime
) -> None:
    is_request = Mailing.kind == MailingKind.REGISTRATION_REQUEST
    if not seldom.may_write(session, person, is_request, now):
        return
    first, *others = pending
    number = session.scalar(select(func.count()).where(is_request, Mailing.registration_id == first.id)) or 0
    announcement = Announcement(
        key=f"registration:{first.id}:request:{number + 1}",
        kind=MailingKind.REGISTRATION_REQUEST,
        symposium_id=first.symposium_id,
        registration_id=first.id,
        expires_at=places.last_call(
            (one.symposium for one in pending), MailingKind.REGISTRATION_REQUEST, now
        ),
        facts={"more": [one.symposium_id for one in others]} if others else {},
    )
    announce(session, house, announcement, now)


def look(session: Session, house: House, token: str, now: datetime) -> Request:
    """What a request's link is about. Changes nothing."""
    found, age = _find(session, house, token, now)
    if found is None:
        return Request(link=Link.UNKNOWN)
    person = session.get_one(Subscriber, found.subscriber_id)
    languages = tuple(found.languages or person.languages)
    if found.state is not RegistrationState.PENDING:
        done = [found] if found.confirmed_at is None else _confirmed_with(session, found)
        return Request(link=Link.CONFIRMED, asked=_asked(session, house, done, now), languages=languages)
    if age > LINK_HOURS:
        return Request(link=Link.EXPIRED, languages=languages)
    pending = _pending(session, found, now)
    return Request(
        link=Link.OPEN,
        asked=_asked(session, house, pending, now),
        told=_told(house, pending),
        questions=_questions(pending),
        languages=languages,
    )


def confirm(session: Session, house: House, token: str, slugs: Collection[str], now: datetime) -> Link:
    """Take a place, or one on the waiting list, for each of the named symposia the person asked for.

    Repeating it changes nothing. A symposium that has closed, or is full without a waiting list,
    stays unconfirmed, which the page shows.
    """
    found, age = _find(session, house, token, now)
    if found is None:
        return Link.UNKNOWN
    if found.state is not RegistrationState.PENDING:
        return Link.CONFIRMED
    if age > LINK_HOURS:
        return Link.EXPIRED
    chosen = [one for one in _pending(session, found, now) if one.symposium.slug in slugs]
    if not chosen:
        return Link.OPEN
    person = session.get_one(Subscriber, found.subscriber_id)
    seldom.hold(session, person)
    people.lift(session, house, person)
    for registration in chosen:
        _take_place(session, house, person, registration, now)
    return Link.CONFIRMED


def _take_place(
    session: Session, house: House, person: Subscriber, registration: Registration, now: datetime
) -> None:
    symposium = registration.symposium
    lock(session, symposium)
    session.refresh(registration)
    if registration.state is not RegistrationState.PENDING or not opening.is_open(session, symposium, now):
        return
    registration.confirmed_at = now
    name = details.read(house, registration).name
    if name:
        person.name = house.vault.seal(NAME, person.id, name)
    places.seat(session, house, symposium, registration, now)


def ask_again(session: Session, house: House, token: str, now: datetime) -> None:
    """Send a new request in place of an expired one, within the same limits."""
    found, _ = _find(session, house, token, now)
    if found is None or found.state is not RegistrationState.PENDING:
        return
    person = session.get_one(Subscriber, found.subscriber_id)
    seldom.hold(session, person)
    open_ = [one for one in _pending(session, found, now) if opening.is_open(session, one.symposium, now)]
    if open_:
        open_.sort(key=lambda one: one.id != found.id)  # the new link is about the same one
        _request(session, house, person, open_, now)


def _find(session: Session, house: House, token: str, now: datetime) -> tuple[Registration | None, int]:
    """The registration a request's link is about, and the link's age in hours."""
    numbers = read(house.tokens, Purpose.ATTEND, token, 2)
    if numbers is None:
        return None, 0
    return session.get(Registration, numbers[0]), int(now.timestamp()) // 3_600 - numbers[1]


def _pending(session: Session, found: Registration, now: datetime) -> list[Registration]:
    """What a link's registration was asked for with, or lately: of an old form nobody thinks any more."""
    lately = Registration.registered_at > now - details.UNCONFIRMED
    statement = (
        select(Registration)
        .where(
            Registration.subscriber_id == found.subscriber_id,
            Registration.state == RegistrationState.PENDING,
            lately | (Registration.id == found.id),
        )
        .order_by(Registration.symposium_id)
    )
    return list(session.scalars(statement))


def _told(house: House, pending: Sequence[Registration]) -> Details:
    """What the forms said, each thing once."""
    told = [details.read(house, one) for one in pending]
    answers = {key: answer for one in told for key, answer in one.answers.items()}
    return Details(
        name=next((one.name for one in told if one.name), None),
        access=next((one.access for one in told if one.access), None),
        answers=answers,
    )


def _questions(pending: Sequence[Registration]) -> tuple[Question, ...]:
    found = {
        question.key: question for one in pending for question in read_questions(one.symposium.form_fields)
    }
    return tuple(found.values())


def _confirmed_with(session: Session, found: Registration) -> list[Registration]:
    """What was confirmed by the same press of the button."""
    statement = (
        select(Registration)
        .where(
            Registration.subscriber_id == found.subscriber_id,
            Registration.confirmed_at == found.confirmed_at,
        )
        .order_by(Registration.symposium_id)
    )
    return list(session.scalars(statement))


def _asked(
    session: Session, house: House, registrations: Sequence[Registration], now: datetime
) -> tuple[Asked, ...]:
    """Those registrations as a page shows them, by their day."""
    in_order = sorted(registrations, key=lambda one: (one.symposium.day or date.max, one.symposium_id))
    return tuple(_asked_for(session, house, one, now) for one in in_order)


def _asked_for(session: Session, house: House, registration: Registration, now: datetime) -> Asked:
    symposium = registration.symposium
    return Asked(
        symposium=public.page_of(symposium, now),
        state=registration.state,
        token=house.registration_url(registration.id).rsplit("/", 1)[1],
        opening=opening.opening_of(session, symposium, now),
    )
