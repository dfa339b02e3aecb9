"""Register: the form of one symposium or of a series' dates. It says the same whatever address is written."""

import asyncio
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailer.services.programme import calendars
from mailer.services.registration import limits, offers, request
from mailer.services.registration.offers import Board
from mailer.web import nonce, zones
from mailer.web.public.calendars import FeedLink, feed_link
from mailer.web.public.registration_form import MOST_FIELDS, Filled, Found, Problem, problems, read_form, wish
from mailer.web.public.subscribe import EVEN_SECONDS
from mailer.web.routes import form, page
from mailer.web.site import Visit, Visiting

router = APIRouter()

Find = Callable[[Session], Board | None]


async def _read(request: Request) -> FormData:
    return await request.form(max_files=0, max_fields=MOST_FIELDS)


Sent = Annotated[FormData, Depends(_read)]


@page(router, "/symposia/{slug}/register")
def show_form(visit: Visiting, slug: str) -> Response:
    return _show(visit, lambda session: offers.of_symposium(session, slug, visit.now))


@form(router, "/symposia/{slug}/register")
async def take_form(request: Request, visit: Visiting, slug: str, sent: Sent) -> Response:
    return await _take_evenly(
        request, visit, sent, lambda session: offers.of_symposium(session, slug, visit.now)
    )


@page(router, "/series/{key}")
def show_series(visit: Visiting, key: str, date: str = "") -> Response:
    return _show(visit, lambda session: offers.of_series(session, key, visit.now), date)


@form(router, "/series/{key}")
async def take_series(request: Request, visit: Visiting, key: str, sent: Sent) -> Response:
    return await _take_evenly(request, visit, sent, lambda session: offers.of_series(session, key, visit.now))


@page(router, "/register/sent")
def sent(visit: Visiting) -> Response:
    return visit.page("register_sent.html", hours=request.LINK_HOURS)


def _board(visit: Visit, find: Find) -> Board:
    with visit.house.database.read() as session:
        board = find(session)
    if board is None:
        raise HTTPException(404)
    return board


def _show(visit: Visit, find: Find, date: str = "") -> Response:
    return _form(visit, _board(visit, find), Filled(language=visit.language, slugs=(date,) if date else ()))


async def _take_evenly(request: Request, visit: Visit, sent: FormData, find: Find) -> Response:
    filled = read_form(sent, visit.language)
    client = request.client.host if request.client else None
    # Whether the address is known shows in how long the database is busy; the answer takes as long for all.
    answer, _ = await asyncio.gather(
        run_in_threadpool(_take, visit, filled, client, find), asyncio.sleep(EVEN_SECONDS)
    )
    return answer


def _take(visit: Visit, filled: Filled, client: str | None, find: Find) -> Response:
    board = _board(visit, find)
    if filled.trapped:  # a field no person sees: a program filled it in, and learns nothing
        return visit.go("/register/sent")
    found = list(problems(board, filled))
    timely = nonce.holds(visit.house.tokens, nonce.Form.REGISTER, filled.shown, visit.now, least=nonce.HASTE)
    if not timely and not found:
        found.append(Found(problem=Problem.TIMING, field="send"))
    if found:
        return _form(visit, board, filled, tuple(found))
    with visit.house.database.write() as session:
        allowed = limits.allowed(session, visit.house, client, visit.now)
    if not allowed:
        raise HTTPException(429, headers={"Retry-After": "3600"})
    with visit.house.database.write() as session:
        request.ask(session, visit.house, wish(board, filled), visit.now)
    return visit.go("/register/sent")


def _form(visit: Visit, board: Board, filled: Filled, found: tuple[Found, ...] = ()) -> Response:
    return visit.page(
        "register.html",
        status=422 if found else 200,
        private=bool(found),
        board=board,
        feed=_feed(visit, board),
        filled=filled,
        problems=found,
        fields={one.field: one.problem.value for one in reversed(found)},
        zones=zones.groups(visit.language, filled.zone or None),
        shown=nonce.make(visit.house.tokens, nonce.Form.REGISTER, visit.now),
    )


def _feed(visit: Visit, board: Board) -> FeedLink | None:
    """The calendar of a series, to subscribe to."""
    if board.series is None or board.series_key is None:
        return None
    return feed_link(visit, calendars.offer_of_series(board.series_key, board.series))
