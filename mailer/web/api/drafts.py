"""POST /api/statements and /api/symposia: another program hands in a draft. It mails nobody.

A person publishes or announces it. The same draft handed in again is the same draft.
"""

import datetime as dt
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mailer.messages.slots import MarkerInText
from mailer.messages.when import UnknownZone, zone_named
from mailer.services.programme.dates import Moment
from mailer.services.programme.entering import (
    AlreadyThere,
    EntryRefusal,
    StatementEntry,
    SymposiumEntry,
    enter_statement,
    enter_symposium,
)
from mailer.services.programme.refusals import StatementRefusal
from mailer.services.registration import api_tokens
from mailer.services.registration.api_tokens import Bearer, Scope
from mailer.vocabulary import Precision
from mailer.web.api.answers import NO_STORE, refusal
from mailer.web.site import Visit, Visiting

router = APIRouter()

Line = Annotated[str, Field(min_length=1, max_length=300)]
Address = Annotated[str, Field(max_length=2_000)]
Enter = Callable[[Session, Visit, Bearer], int]


class Given(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class GivenStatement(Given):
    """A statement; `body` is Markdown."""

    title: Line
    body: Annotated[str, Field(min_length=1, max_length=500_000)]
    date: dt.date
    language: Annotated[str, Field(max_length=35)] = "en"
    url: Address | None = None


class GivenSymposium(Given):
    """A symposium with the most exact date that is known: `date` with or without `time`, `month`, `year`."""

    title: Line
    date: dt.date | None = None
    time: dt.time | None = None
    zone: Annotated[str, Field(max_length=64)] | None = None
    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")] | None = None
    year: Annotated[int, Field(ge=1970, le=2100)] | None = None
    minutes: int | None = None
    place: Line | None = None
    series: Line | None = None
    register_url: Address | None = None


@router.post("/api/statements", include_in_schema=False)
async def statement(request: Request, visit: Visiting) -> Response:
    return await _handed_in(request, visit, _statement)


@router.post("/api/symposia", include_in_schema=False)
async def symposium(request: Request, visit: Visiting) -> Response:
    return await _handed_in(request, visit, _symposium)


async def _handed_in(request: Request, visit: Visit, read: Callable[[bytes], Enter]) -> Response:
    authorization = request.headers.get("authorization", "")
    body = await request.body()
    return await run_in_threadpool(_take, visit, authorization, body, read)


def _take(visit: Visit, authorization: str, body: bytes, read: Callable[[bytes], Enter]) -> Response:
    with visit.house.database.read() as session:
        bearer = api_tokens.bearer_of(session, authorization, visit.now)
    if bearer is None:
        sentence = "Send Authorization: Bearer TOKEN, with a token that is neither revoked nor expired."
        return refusal(401, "unauthorized", sentence)
    if Scope.DRAFTS not in bearer.scopes:
        return refusal(403, "forbidden", "This token may not hand in drafts: it lacks that scope.")
    try:
        enter = read(body)
        number = _entered(visit, bearer, enter)
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_url=False)[0]
        at = ".".join(str(part) for part in first["loc"])
        return refusal(422, "invalid", f"{first['msg']}.", at or None)
    except AlreadyThere as found:
        if found.same:
            return JSONResponse({"id": found.id, "repeated": True}, headers=NO_STORE)
        return refusal(
            409, "already_there", f"One much like it is there already, with the number {found.id}."
        )
    except (EntryRefusal, StatementRefusal, MarkerInText, UnknownZone) as problem:
        return refusal(422, "invalid", str(problem))
    return JSONResponse({"id": number, "repeated": False}, status_code=201, headers=NO_STORE)


def _entered(visit: Visit, bearer: Bearer, enter: Enter) -> int:
    try:
        with visit.house.database.write() as session:
            return enter(session, visit, bearer)
    except IntegrityError:  # the same came in at this very moment: now it is there to be found
        with visit.house.database.write() as session:
            return enter(session, visit, bearer)


def _statement(body: bytes) -> Enter:
    given = GivenStatement.model_validate_json(body)
    entry = StatementEntry(
        title=given.title, body=given.body, dated=given.date, language=given.language, url=given.url
    )
    return lambda session, visit, bearer: (
        enter_statement(session, entry, actor=_actor(bearer), now=visit.now).id
    )


def _symposium(body: bytes) -> Enter:
    given = GivenSymposium.model_validate_json(body)
    moment = _moment(given)

    def enter(session: Session, visit: Visit, bearer: Bearer) -> int:
        entry = SymposiumEntry(
            title=given.title,
            moment=moment(visit.house.settings.zone),
            minutes=given.minutes,
            place=given.place,
            series=given.series,
            register_url=given.register_url,
        )
        return enter_symposium(session, entry, actor=_actor(bearer), now=visit.now).id

    return enter


def _moment(given: GivenSymposium) -> Callable[[str], Moment]:
    """The date as exactly as it was given; an hour without a zone is the organisation's own."""
    if sum(one is not None for one in (given.date, given.month, given.year)) > 1:
        raise EntryRefusal("Give one of date, month and year: the most exact that is known.")
    if given.time is not None and given.date is None:
        raise EntryRefusal("An hour needs its day: give date too.")
    if given.time is not None and given.time.tzinfo is not None:
        raise EntryRefusal("Give the local time without an offset, and the place's zone.")
    facts: dict[str, Any] = {"precision": Precision.NONE}
    if given.date is not None:
        facts = {"precision": Precision.DATE, "day": given.date}
    elif given.month is not None:
        facts = {"precision": Precision.MONTH, "day": dt.date.fromisoformat(f"{given.month}-01")}
    elif given.year is not None:
        facts = {"precision": Precision.YEAR, "day": dt.date(given.year, 1, 1)}
    if given.time is None:
        return lambda own: Moment(**facts)
    exact = {
        **facts,
        "precision": Precision.DATETIME,
        "wall_time": given.time.replace(second=0, microsecond=0),
    }
    zone = given.zone
    return lambda own: Moment(**exact, zone=zone_named(zone or own).key)


def _actor(bearer: Bearer) -> str:
    return f"api:{bearer.name}"[:64]
