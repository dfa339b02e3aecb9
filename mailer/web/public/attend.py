"""Attend: the page behind a request to confirm a registration. Looking confirms nothing; its button does."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from mailer.services.registration import request
from mailer.vocabulary import Link
from mailer.web import nonce
from mailer.web.routes import form, page
from mailer.web.site import Visiting

router = APIRouter()

STATUS = {Link.UNKNOWN: 404, Link.EXPIRED: 410}


@page(router, "/attend/{token}")
def show(visit: Visiting, token: str) -> Response:
    with visit.house.database.read() as session:
        found = request.look(session, visit.house, token, visit.now)
    return visit.in_languages(found.languages).page(
        "attend.html",
        status=STATUS.get(found.link, 200),
        private=True,
        found=found,
        token=token,
        hours=request.LINK_HOURS,
        again="again" in visit.query,
        shown=nonce.make(visit.house.tokens, nonce.Form.ATTEND, visit.now, about=token),
    )


@form(router, "/attend/{token}")
def act(
    visit: Visiting,
    token: str,
    dates: Annotated[list[str], Form(default_factory=list)],
    shown: Annotated[str, Form()] = "",
) -> Response:
    if not nonce.holds(visit.house.tokens, nonce.Form.ATTEND, shown, visit.now, about=token):
        return visit.go(f"/attend/{token}", private=True, again="1")
    with visit.house.database.write() as session:
        request.confirm(session, visit.house, token, dates, visit.now)
    return visit.go(f"/attend/{token}", private=True)


@form(router, "/attend/{token}/again")
def ask_again(visit: Visiting, token: str) -> Response:
    with visit.house.database.write() as session:
        request.ask_again(session, visit.house, token, visit.now)
    return visit.go("/register/sent", private=True)
