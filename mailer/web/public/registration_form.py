"""The registration form as it comes in: its fields, read within limits, and what is wrong with them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from email_validator import EmailNotValidError, validate_email
from starlette.datastructures import FormData

from mailer.addresses import AddressError, wire_address
from mailer.messages.catalogues import LANGUAGES
from mailer.messages.when import is_zone
from mailer.services.programme.register import Attendee
from mailer.services.registration.details import Details
from mailer.services.registration.offers import Board, Date
from mailer.services.registration.questions import AnswerProblem, check, text_problem
from mailer.services.registration.request import LONGEST_NAME, MOST_DATES, Wish

ADDRESS_CHARACTERS = 254  # RFC 5321 4.5.3.1.3, without the angle brackets
MOST_FIELDS = 200
ANSWER = "answer_"  # what the name of a question's field begins with


class Problem(StrEnum):
    """What keeps a form from being taken; the template has a sentence for each."""

    ADDRESS_MISSING = "address_missing"
    ADDRESS_ODD = "address_odd"
    DATES = "dates"
    CLOSED = "closed"
    MISSING = "missing"
    TOO_LONG = "too_long"
    NOT_OFFERED = "not_offered"
    UNREADABLE = "unreadable"
    TIMING = "timing"


OF_TEXT = {
    AnswerProblem.MISSING: Problem.MISSING,
    AnswerProblem.TOO_LONG: Problem.TOO_LONG,
    AnswerProblem.NOT_OFFERED: Problem.NOT_OFFERED,
    AnswerProblem.CONTROL_CHARACTERS: Problem.UNREADABLE,
}


@dataclass(frozen=True, kw_only=True)
class Found:
    """One problem, and the id of the field it is about."""

    problem: Problem
    field: str


@dataclass(frozen=True, kw_only=True)
class Filled:
    """The form as it was sent, to be shown again when something is missing. `answers` by question."""

    address: str = ""
    name: str = ""
    language: str
    zone: str = ""
    slugs: tuple[str, ...] = ()
    every: bool = False
    access: str = ""
    answers: Mapping[str, str] = field(default_factory=dict)
    shown: str = ""
    trapped: bool = False


def read_form(form: FormData, language: str) -> Filled:
    """The fields of a form; what is not a text, or not of ours, is passed over."""

    def text(name: str) -> str:
        value = form.get(name, "")
        return value.strip() if isinstance(value, str) else ""

    chosen, zone = text("language"), text("zone")
    answers = {name.removeprefix(ANSWER): text(name) for name in form if name.startswith(ANSWER)}
    return Filled(
        address=text("address"),
        name=" ".join(text("name").split()),
        language=chosen if chosen in LANGUAGES else language,
        zone=zone if is_zone(zone) else "",
        slugs=tuple(str(one) for one in form.getlist("dates"))[:MOST_DATES],
        every=bool(text("every")),
        access=text("access"),
        answers=answers,
        shown=text("shown"),
        trapped=bool(text("leave_empty")),
    )


def picked(board: Board, filled: Filled) -> tuple[Date, ...]:
    """The open dates that the form is about: the one there is, those ticked, or all."""
    if board.series is None or filled.every:
        return board.open_dates
    return tuple(one for one in board.open_dates if one.page.slug in filled.slugs)


def problems(board: Board, filled: Filled) -> Iterator[Found]:
    """What is wrong with the form, in the order of its fields; nothing about whose address it is."""
    if not filled.address:
        yield Found(problem=Problem.ADDRESS_MISSING, field="address")
    elif not _is_address(filled.address):
        yield Found(problem=Problem.ADDRESS_ODD, field="address")
    yield from _text_problems("name", filled.name, longest=LONGEST_NAME)
    dates = picked(board, filled)
    if not board.open_dates:
        yield Found(problem=Problem.CLOSED, field="dates")
    elif not dates:
        yield Found(problem=Problem.DATES, field="dates")
    elif not filled.every and set(filled.slugs) - {one.page.slug for one in board.open_dates}:
        yield Found(problem=Problem.CLOSED, field="dates")
    yield from _text_problems("access", filled.access)
    told: set[str] = set()
    for one in dates:
        for key, problem in check(one.offer.questions, filled.answers).problems.items():
            if key not in told:
                told.add(key)
                yield Found(problem=OF_TEXT[problem], field=ANSWER + key)


def _text_problems(name: str, text: str, *, longest: int | None = None) -> Iterable[Found]:
    problem = text_problem(text) if text else None
    if longest is not None and len(text) > longest:
        problem = AnswerProblem.TOO_LONG
    return [] if problem is None else [Found(problem=OF_TEXT[problem], field=name)]


def _is_address(address: str) -> bool:
    if len(address) > ADDRESS_CHARACTERS:
        return False
    try:
        wire_address(address)
        validate_email(address, check_deliverability=False, allow_smtputf8=True, test_environment=True)
    except (AddressError, EmailNotValidError):
        return False
    return True


def wish(board: Board, filled: Filled) -> Wish:
    """What a form without problems asks for."""
    dates = picked(board, filled)
    return Wish(
        attendee=Attendee(
            address=wire_address(filled.address),
            name=filled.name or None,
            languages=(filled.language,),
            zone=filled.zone or None,
        ),
        symposia=tuple(one.id for one in dates),
        details={one.id: _details(one, filled) for one in dates},
    )


def _details(one: Date, filled: Filled) -> Details:
    return Details(
        name=filled.name or None,
        access=filled.access if one.offer.asks_access and filled.access else None,
        answers=check(one.offer.questions, filled.answers).answers,
    )
