"""Subscribe: the form, and the page that says to look into one's mail. Both say the same to everybody."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated

from email_validator import EmailNotValidError, validate_email
from fastapi import APIRouter, Form, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailer.addresses import AddressError, wire_address
from mailer.messages.catalogues import LANGUAGES
from mailer.services.audience import people
from mailer.services.audience.people import TopicName
from mailer.services.audience.subscribe import LINK_HOURS, Wish, ask
from mailer.services.registration import limits
from mailer.vocabulary import ConsentSource, Frequency
from mailer.web import nonce
from mailer.web.public import often as frequencies
from mailer.web.routes import form, page
from mailer.web.site import Visit, Visiting

EVEN_SECONDS = 0.25  # what an answer to the form takes, whatever the database has to do
ADDRESS_CHARACTERS = 254  # RFC 5321 4.5.3.1.3, without the angle brackets

router = APIRouter()


class Problem(StrEnum):
    """What keeps a form from being taken; the template has a sentence for each."""

    ADDRESS_MISSING = "address_missing"
    ADDRESS_ODD = "address_odd"
    TOPICS = "topics"
    TIMING = "timing"


@dataclass(frozen=True, kw_only=True)
class Filled:
    """The form as it was sent, to be shown again when something is missing."""

    address: str = ""
    topics: tuple[str, ...] = ()
    often: Mapping[str, Frequency] = field(default_factory=dict)
    language: str


@page(router, "/subscribe")
def show_form(visit: Visiting, topic: str = "") -> Response:
    filled = Filled(language=visit.language, topics=(topic,) if topic else ())
    return _form(visit, _topics(visit), filled, ())


@form(router, "/subscribe")
async def take_form(
    request: Request,
    visit: Visiting,
    topics: Annotated[list[str], Form(default_factory=list)],
    often: Annotated[list[str], Form(default_factory=list)],
    address: Annotated[str, Form()] = "",
    language: Annotated[str, Form()] = "",
    shown: Annotated[str, Form()] = "",
    leave_empty: Annotated[str, Form()] = "",
) -> Response:
    if leave_empty:  # a field no person sees: a program filled it in, and learns nothing
        return visit.go("/subscribe/sent")
    filled = Filled(
        address=address.strip(),
        topics=tuple(topics),
        often=frequencies.read(often),
        language=language if language in LANGUAGES else visit.language,
    )
    client = request.client.host if request.client else None
    # Whether the address is known shows in how long the database is busy; the answer takes as long for all.
    answer, _ = await asyncio.gather(
        run_in_threadpool(_take, visit, filled, shown, client), asyncio.sleep(EVEN_SECONDS)
    )
    return answer


def _take(visit: Visit, sent: Filled, shown: str, client: str | None) -> Response:
    offered = _topics(visit)
    filled = replace(sent, topics=tuple(one.key for one in offered if one.key in sent.topics))
    problems = tuple(_problems(visit, filled, shown))
    if problems:
        return _form(visit, offered, filled, problems)
    wish = Wish(
        address=filled.address,
        topics=filled.topics,
        languages=(filled.language,),
        frequencies=filled.often,
    )
    with visit.house.database.write() as session:
        allowed = limits.allowed(session, visit.house, client, visit.now)
    if not allowed:
        raise HTTPException(429, headers={"Retry-After": "3600"})
    with visit.house.database.write() as session:
        ask(session, visit.house, wish, ConsentSource.FORM, visit.now)
    return visit.go("/subscribe/sent")


@page(router, "/subscribe/sent")
def sent(visit: Visiting) -> Response:
    return visit.page("sent.html", hours=LINK_HOURS)


def _topics(visit: Visit) -> tuple[TopicName, ...]:
    with visit.house.database.read() as session:
        return people.public_topics(session)


def _problems(visit: Visit, filled: Filled, shown: str) -> list[Problem]:
    found = []
    if not filled.address:
        found.append(Problem.ADDRESS_MISSING)
    elif not _is_address(filled.address):
        found.append(Problem.ADDRESS_ODD)
    if not filled.topics:
        found.append(Problem.TOPICS)
    timely = nonce.holds(visit.house.tokens, nonce.Form.SUBSCRIBE, shown, visit.now, least=nonce.HASTE)
    if not timely and not found:
        found.append(Problem.TIMING)
    return found


def _is_address(address: str) -> bool:
    if len(address) > ADDRESS_CHARACTERS:
        return False
    try:
        wire_address(address)
        validate_email(address, check_deliverability=False, allow_smtputf8=True, test_environment=True)
    except (AddressError, EmailNotValidError):
        return False
    return True


def _form(
    visit: Visit, topics: tuple[TopicName, ...], filled: Filled, problems: tuple[Problem, ...]
) -> Response:
    return visit.page(
        "subscribe.html",
        status=422 if problems else 200,
        private=bool(problems),
        topics=topics,
        filled=filled,
        problems=problems,
        shown=nonce.make(visit.house.tokens, nonce.Form.SUBSCRIBE, visit.now),
    )
