"""Payload: a sign-up as another tool sends it, read and checked as far as it can be without the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from email_validator import EmailNotValidError, validate_email

from mailer.addresses import AddressError, wire_address
from mailer.ingest.people import LONGEST_ADDRESS, MOST_LANGUAGES, language_tag
from mailer.messages.when import is_zone
from mailer.services.programme.register import Attendee
from mailer.services.registration.questions import text_problem
from mailer.services.registration.request import LONGEST_NAME

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


def read_payload(data: Any) -> Payload:
    """The payload of a JSON document. Raises SignUpRefusal that names the field."""
    if not isinstance(data, dict):
        raise invalid("Send one JSON object.")
    if set(data) - FIELDS:
        raise invalid(f"A field is unknown. Known fields: {', '.join(sorted(FIELDS))}.")
    symposium, own_id = _string(data, "symposium", 128), _string(data, "id", LONGEST_ID)
    name, zone = _optional(data, "name", LONGEST_NAME), _optional(data, "zone", 64)
    if zone is not None and not is_zone(zone):
        raise invalid("Write the zone as the IANA does, such as Asia/Yerevan.", "zone")
    send = data.get("send_confirmation", False)
    if not isinstance(send, bool):
        raise invalid("Write true or false.", "send_confirmation")
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


def invalid(sentence: str, at: str | None = None) -> SignUpRefusal:
    """What is raised for a field that cannot be read."""
    return SignUpRefusal(Refused.INVALID, sentence, at)


def _string(data: Mapping[str, Any], name: str, longest: int) -> str:
    found = _optional(data, name, longest)
    if found is None:
        raise invalid("This field is needed.", name)
    return found


def _optional(data: Mapping[str, Any], name: str, longest: int | None) -> str | None:
    found = data.get(name)
    if found is None:
        return None
    if not isinstance(found, str):
        raise invalid("Write a text in quotation marks.", name)
    found = found.strip()
    if (longest is not None and len(found) > longest) or (found and text_problem(found)):
        raise invalid("This text is too long or holds control characters.", name)
    return found or None


def _address(text: str) -> str:
    try:
        address = wire_address(text)
        validate_email(address, check_deliverability=False, allow_smtputf8=True, test_environment=True)
    except (AddressError, EmailNotValidError):
        raise invalid("This is not an e-mail address that can be mailed to.", "email") from None
    return address


def _languages(data: Mapping[str, Any]) -> tuple[str, ...]:
    found = data.get("languages") or []
    if not isinstance(found, list) or len(found) > MOST_LANGUAGES:
        raise invalid(f'Write a list of at most {MOST_LANGUAGES} tags: ["hy", "en"].', "languages")
    tags = [language_tag(one) if isinstance(one, str) else None for one in found]
    if None in tags:
        raise invalid("A language is unknown. Write tags such as en, hy or pt-BR.", "languages")
    return tuple(dict.fromkeys(tag for tag in tags if tag is not None))


def _answers(data: Mapping[str, Any]) -> Mapping[str, str]:
    found = data.get("answers") or {}
    if not isinstance(found, dict) or not all(isinstance(one, str | bool) for one in found.values()):
        raise invalid('Write an object of texts, or true and false: {"diet": "none"}.', "answers")
    answers = {
        key: ("yes" if value else "no") if isinstance(value, bool) else value for key, value in found.items()
    }
    if any(text_problem(text) for pair in answers.items() for text in pair):
        raise invalid("An answer is too long or holds control characters.", "answers")
    return answers
