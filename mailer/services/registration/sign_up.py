"""Sign-up: one registration handed in by another form tool, under that tool's own id, once.

The organisation vouches for the tool by giving it a token, so its people are registered
at once. They are mailed only when the tool asks for it, and whoever withdrew here is not
brought back by it.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.db.dialect import insert
from mailer.db.doors import SignUp
from mailer.db.programme import Registration, Symposium
from mailer.services.house import House
from mailer.services.programme import places
from mailer.services.programme.register import (
    person_of,
    refuse_unless_open,
    registration_of,
    remember_choices,
)
from mailer.services.programme.symposia import SymposiumRefusal, lock
from mailer.services.registration import details
from mailer.services.registration.api_tokens import Bearer
from mailer.services.registration.details import Details
from mailer.services.registration.payload import Payload, Refused, SignUpRefusal, invalid
from mailer.services.registration.questions import check, read_questions
from mailer.vocabulary import RegistrationState, SymposiumState


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What came of a sign-up. `repeated`: it was taken before, and nothing happened now.

    `known`: nothing happened either, because this address has a registration by another door.
    """

    registration_id: int | None
    state: RegistrationState | None
    repeated: bool = False
    known: bool = False


def take(session: Session, house: House, bearer: Bearer, payload: Payload, now: datetime) -> Taken:
    """Register the person, once for each of the tool's ids. Raises SignUpRefusal; nothing is kept then.

    The same id with the same content answers as at first; with another content it is refused.
    """
    content = _content_hash(house, payload)
    row = insert(session, SignUp).values(
        token_id=bearer.id,
        external=house.vault.hidden_index("sign-up", payload.id),
        content=content,
        created_at=now,
    )
    new = session.execute(
        row.on_conflict_do_nothing(index_elements=["token_id", "external"]).returning(SignUp.id)
    ).scalar_one_or_none()
    if new is None:
        return _repeated(session, house, bearer, payload, content)
    symposium = session.scalars(
        select(Symposium).where(Symposium.slug == payload.symposium, Symposium.state != SymposiumState.DRAFT)
    ).one_or_none()
    if symposium is None:
        sentence = "No announced symposium has this slug: the last part of its page's address."
        raise SignUpRefusal(Refused.UNKNOWN_SYMPOSIUM, sentence, "symposium")
    taken = _register(session, house, symposium, payload, now)
    session.get_one(SignUp, new).registration_id = taken.registration_id
    return taken


def _repeated(session: Session, house: House, bearer: Bearer, payload: Payload, content: bytes) -> Taken:
    before = session.scalars(
        select(SignUp).where(
            SignUp.token_id == bearer.id,
            SignUp.external == house.vault.hidden_index("sign-up", payload.id),
        )
    ).one()
    if before.content != content:
        raise SignUpRefusal(
            Refused.OTHER_CONTENT,
            "This id was used before, with other content. Use a new id for a new sign-up.",
            "id",
        )
    registration = session.get(Registration, before.registration_id) if before.registration_id else None
    return Taken(
        registration_id=before.registration_id,
        state=registration.state if registration else None,
        repeated=True,
    )


def _register(session: Session, house: House, symposium: Symposium, payload: Payload, now: datetime) -> Taken:
    lock(session, symposium)
    try:
        refuse_unless_open(symposium, now)
    except SymposiumRefusal:
        sentence = "This symposium takes no registrations any more: it was called off or is over."
        raise SignUpRefusal(Refused.NOT_OPEN, sentence, "symposium") from None
    answered = check(read_questions(symposium.form_fields), payload.answers)
    if answered.problems:
        key, why = next(iter(answered.problems.items()))
        raise invalid(f"The answer to this question is {why.value.replace('_', ' ')}.", f"answers.{key}")
    person = person_of(session, house, payload.attendee, now)
    registration = registration_of(session, symposium, person, now)
    if places.holds(registration, now):
        return Taken(registration_id=registration.id, state=registration.state, known=True)
    if places.has_left(registration):
        sentence = "This person withdrew from the symposium here. Only they can come back, by its own page."
        raise SignUpRefusal(Refused.WITHDRAWN, sentence)
    remember_choices(registration, payload.attendee)
    access = payload.access if symposium.asks_access else None
    told = Details(name=payload.attendee.name, access=access, answers=answered.answers)
    details.keep(house, registration, told)
    if not places.seat(session, house, symposium, registration, now, mail=payload.send_confirmation):
        sentence = "All places are taken and there is no waiting list, or it has begun."
        raise SignUpRefusal(Refused.FULL, sentence, "symposium")
    return Taken(registration_id=registration.id, state=registration.state)


def _content_hash(house: House, payload: Payload) -> bytes:
    told = [
        payload.symposium,
        payload.attendee.address,
        payload.attendee.name,
        payload.attendee.languages,
        payload.attendee.zone,
        payload.access,
        sorted(payload.answers.items()),
        payload.send_confirmation,
    ]
    return house.vault.hidden_index("sign-up-content", json.dumps(told, ensure_ascii=False))
