"""Sign-up: one registration handed in by another form tool, under that tool's own id, once.

The organisation vouches for the tool by giving it a token, so its people are registered
at once. They are mailed only when the tool asks for it, and whoever withdrew here is not
brought back by it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import select
from sqlalchemy.orm import Session

from mailer.addresses import AddressError, wire_address
from mailer.db.dialect import insert
from mailer.db.doors import SignUp
from mailer.db.programme import Registration, Symposium
from mailer.ingest.people import LONGEST_ADDRESS, MOST_LANGUAGES, language_tag
from mailer.messages.when import is_zone
from mailer.services.house import House
from mailer.services.programme import places
from mailer.services.programme.register import (
    HELD,
    Attendee,
    person_of,
    refuse_unless_open,
    registration_of,
    remember_choices,
)
from mailer.services.programme.symposia import SymposiumRefusal, lock
from mailer.services.registration import details
from mailer.services.registration.api_tokens import Bearer
from mailer.services.registration.details import Details
from mailer.services.registration.questions import check, read_questions, text_problem
from mailer.services.registration.request import LONGEST_NAME
from mailer.vocabulary import RegistrationState, SymposiumState

LONGEST_ID = 200  # characters of a tool's own id
FIELDS = frozenset(
    {"symposium", "id", "email", "name", "languages", "zone", "access_needs", "answers", "send_confirmation"}
)


class Refused(StrEnum):
    """Why a sign-up is not taken; programs tell them apart by this word."""

    INVALID = "invalid"
    UNKNOWN_SYMPOSIUM = "unknown_symposium"
    NOT_OPEN = "not_open"
    FULL = "full"
    WITHDRAWN = "withdrawn"
    OTHER_CONTENT = "other_content"


class SignUpRefusal(Exception):
    """A sign-up is not taken: a word for programs, a sentence for people, and the field that is at fault.

    The sentence never repeats what was sent.
    """

    def __init__(self, why: Refused, sentence: str, at: str | None = None) -> None:
        super().__init__(sentence)
        self.why, self.sentence, self.at = why, sentence, at


@dataclass(frozen=True, kw_only=True)
class Payload:
    """One sign-up, read and checked as far as it can be without the database."""

    symposium: str
    id: str = field(repr=False)
    attendee: Attendee = field(repr=False)
    access: str | None = field(default=None, repr=False)
    answers: Mapping[str, str] = field(default_factory=dict, repr=False)
    send_confirmation: bool = False


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What came of a sign-up. `repeated`: it was taken before, and nothing happened now."""

    registration_id: int | None
    state: RegistrationState | None
    repeated: bool


def read_payload(data: Any) -> Payload:
    """The payload of a JSON document. Raises SignUpRefusal that names the field."""
    if not isinstance(data, dict):
        raise _invalid("Send one JSON object.")
    if set(data) - FIELDS:
        raise _invalid(f"A field is unknown. Known fields: {', '.join(sorted(FIELDS))}.")
    symposium, own_id = _string(data, "symposium", 128), _string(data, "id", LONGEST_ID)
    name, zone = _optional(data, "name", LONGEST_NAME), _optional(data, "zone", 64)
    if zone is not None and not is_zone(zone):
        raise _invalid("Write the zone as the IANA does, such as Asia/Yerevan.", "zone")
    send = data.get("send_confirmation", False)
    if not isinstance(send, bool):
        raise _invalid("Write true or false.", "send_confirmation")
    address = _address(_string(data, "email", LONGEST_ADDRESS))
    name = " ".join(name.split()) if name else None
    return Payload(
        symposium=symposium,
        id=own_id,
        attendee=Attendee(address=address, name=name, languages=_languages(data), zone=zone),
        access=_optional(data, "access_needs", None),
        answers=_answers(data),
        send_confirmation=send,
    )


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
    registration_id, state = _register(session, house, symposium, payload, now)
    session.get_one(SignUp, new).registration_id = registration_id
    return Taken(registration_id=registration_id, state=state, repeated=False)


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


def _register(
    session: Session, house: House, symposium: Symposium, payload: Payload, now: datetime
) -> tuple[int, RegistrationState]:
    lock(session, symposium)
    try:
        refuse_unless_open(symposium, now)
    except SymposiumRefusal:
        sentence = "This symposium takes no registrations any more: it was called off or has begun."
        raise SignUpRefusal(Refused.NOT_OPEN, sentence, "symposium") from None
    answered = check(read_questions(symposium.form_fields), payload.answers)
    if answered.problems:
        key, why = next(iter(answered.problems.items()))
        raise _invalid(f"The answer to this question is {why.value.replace('_', ' ')}.", f"answers.{key}")
    person = person_of(session, house, payload.attendee, now)
    registration = registration_of(session, symposium, person, now)
    if registration.state in HELD:
        return registration.id, registration.state
    if registration.state is RegistrationState.WITHDRAWN:
        sentence = "This person withdrew from the symposium here. Only they can come back, by its own page."
        raise SignUpRefusal(Refused.WITHDRAWN, sentence)
    remember_choices(registration, payload.attendee)
    access = payload.access if symposium.asks_access else None
    told = Details(name=payload.attendee.name, access=access, answers=answered.answers)
    details.keep(house, registration, told)
    if not places.seat(session, house, symposium, registration, now, mail=payload.send_confirmation):
        raise SignUpRefusal(Refused.FULL, "All places are taken and there is no waiting list.", "symposium")
    return registration.id, registration.state


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


def _invalid(sentence: str, at: str | None = None) -> SignUpRefusal:
    return SignUpRefusal(Refused.INVALID, sentence, at)


def _string(data: Mapping[str, Any], name: str, longest: int) -> str:
    found = _optional(data, name, longest)
    if found is None:
        raise _invalid("This field is needed.", name)
    return found


def _optional(data: Mapping[str, Any], name: str, longest: int | None) -> str | None:
    found = data.get(name)
    if found is None:
        return None
    if not isinstance(found, str):
        raise _invalid("Write a text in quotation marks.", name)
    found = found.strip()
    if (longest is not None and len(found) > longest) or (found and text_problem(found)):
        raise _invalid("This text is too long or holds control characters.", name)
    return found or None


def _address(text: str) -> str:
    try:
        address = wire_address(text)
        validate_email(address, check_deliverability=False, allow_smtputf8=True, test_environment=True)
    except (AddressError, EmailNotValidError):
        raise _invalid("This is not an e-mail address that can be mailed to.", "email") from None
    return address


def _languages(data: Mapping[str, Any]) -> tuple[str, ...]:
    found = data.get("languages") or []
    if not isinstance(found, list) or len(found) > MOST_LANGUAGES:
        raise _invalid(f'Write a list of at most {MOST_LANGUAGES} tags: ["hy", "en"].', "languages")
    tags = [language_tag(one) if isinstance(one, str) else None for one in found]
    if None in tags:
        raise _invalid("A language is unknown. Write tags such as en, hy or pt-BR.", "languages")
    return tuple(dict.fromkeys(tag for tag in tags if tag is not None))


def _answers(data: Mapping[str, Any]) -> Mapping[str, str]:
    found = data.get("answers") or {}
    if not isinstance(found, dict) or not all(isinstance(one, str | bool) for one in found.values()):
        raise _invalid('Write an object of texts, or true and false: {"diet": "none"}.', "answers")
    return {
        str(key): ("yes" if value else "no") if isinstance(value, bool) else value
        for key, value in found.items()
    }
