"""Unsubscribe: one click from a mail program (RFC 8058), or one button on a page. Nobody is asked why.

A valid token always works: without cookie, login or limit, as often as it comes, and for
as long as mails are kept. Looking at the page changes nothing.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import PlainTextResponse
from starlette.responses import Response

from mailer.services.audience import unsubscribe
from mailer.vocabulary import ConsentSource
from mailer.web import nonce
from mailer.web.public.one_click import asks_to_leave
from mailer.web.routes import form, page
from mailer.web.site import PRIVATE, Visiting

router = APIRouter()

DONE = "You will get no more of these mails.\n"
NOT_ONE_CLICK = "Nothing was changed. Send List-Unsubscribe=One-Click, or open this address in a browser.\n"


@page(router, "/u/{token}")
def show(visit: Visiting, token: str) -> Response:
    with visit.house.database.read() as session:
        leaving = unsubscribe.show(session, visit.house, token, visit.now)
    if leaving is None:
        return visit.page("no_such_link.html", status=404, private=True, confirming=False)
    keys, now = visit.house.tokens, visit.now
    return visit.in_languages(leaving.languages).page(
        "unsubscribe.html",
        private=True,
        leaving=leaving,
        token=token,
        again="again" in visit.query,
        undone="undone" in visit.query,
        leave_nonce=nonce.make(keys, nonce.Form.LEAVE, now, about=token),
        undo_nonce=nonce.make(keys, nonce.Form.UNDO, now, about=token),
    )


@router.post("/u/{token}", include_in_schema=False)
def one_click(
    visit: Visiting, token: str, wanted: Annotated[bool, Depends(asks_to_leave)]
) -> PlainTextResponse:
    if not wanted:
        return PlainTextResponse(NOT_ONE_CLICK, status_code=422, headers=PRIVATE)
    with visit.house.database.write() as session:
        unsubscribe.leave(session, visit.house, token, ConsentSource.ONE_CLICK, visit.now)
    return PlainTextResponse(DONE, headers=PRIVATE)


@form(router, "/u/{token}/leave")
def leave(visit: Visiting, token: str, shown: Annotated[str, Form()] = "") -> Response:
    if not nonce.holds(visit.house.tokens, nonce.Form.LEAVE, shown, visit.now, about=token):
        return visit.go(f"/u/{token}", private=True, again="1")
    with visit.house.database.write() as session:
        unsubscribe.leave(session, visit.house, token, ConsentSource.FORM, visit.now)
    return visit.go(f"/u/{token}", private=True)


@form(router, "/u/{token}/undo")
def undo(visit: Visiting, token: str, shown: Annotated[str, Form()] = "") -> Response:
    if not nonce.holds(visit.house.tokens, nonce.Form.UNDO, shown, visit.now, about=token):
        return visit.go(f"/u/{token}", private=True, again="1")
    with visit.house.database.write() as session:
        unsubscribe.undo(session, visit.house, token, visit.now)
    return visit.go(f"/u/{token}", private=True, undone="1")
