"""Confirm: the page behind a confirmation request. Looking confirms nothing; its button does."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from mailer.services.audience import subscribe
from mailer.services.audience.subscribe import Asked
from mailer.vocabulary import Link
from mailer.web import nonce
from mailer.web.routes import form, page
from mailer.web.site import Visit, Visiting

router = APIRouter()

STATUS = {Link.UNKNOWN: 404, Link.EXPIRED: 410}


@page(router, "/c/{token}")
def show(visit: Visiting, token: str) -> Response:
    with visit.house.database.read() as session:
        asked = subscribe.look(session, visit.house, token, visit.now)
    return _page(visit, token, asked)


@form(router, "/c/{token}")
def act(
    visit: Visiting,
    token: str,
    topics: Annotated[list[str], Form(default_factory=list)],
    shown: Annotated[str, Form()] = "",
) -> Response:
    if not nonce.holds(visit.house.tokens, nonce.Form.CONFIRM, shown, visit.now, about=token):
        return visit.go(f"/c/{token}", private=True, again="1")
    with visit.house.database.write() as session:
        subscribe.confirm(session, visit.house, token, visit.now, topics=topics)
    return visit.go(f"/c/{token}", private=True)


@form(router, "/c/{token}/again")
def ask_again(visit: Visiting, token: str) -> Response:
    with visit.house.database.write() as session:
        subscribe.ask_again(session, visit.house, token, visit.now)
    return visit.go("/subscribe/sent", private=True)


def _page(visit: Visit, token: str, asked: Asked) -> Response:
    return visit.in_languages(asked.languages).page(
        "confirm.html",
        status=STATUS.get(asked.link, 200),
        private=True,
        asked=asked,
        token=token,
        hours=subscribe.LINK_HOURS,
        again="again" in visit.query,
        shown=nonce.make(visit.house.tokens, nonce.Form.CONFIRM, visit.now, about=token),
    )
