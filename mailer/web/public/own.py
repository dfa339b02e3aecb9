"""Own: an attendee's page of one registration, by the link in their mail. Looking changes nothing."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form
from sqlalchemy.orm import Session
from starlette.responses import Response

from mailer.services.registration import self_service
from mailer.web import nonce, tongue, zones
from mailer.web.routes import form, page
from mailer.web.site import Visit, Visiting

router = APIRouter()

Shown = Annotated[str, Form()]
NOTES = frozenset({"saved", "sent", "often", "again"})


@page(router, "/r/{token}")
def show(visit: Visiting, token: str) -> Response:
    with visit.house.database.read() as session:
        own = self_service.look(session, visit.house, token, visit.now)
    if own is None:
        return visit.page("no_such_link.html", status=404, private=True, confirming=False)
    theirs = visit.in_languages(own.languages)
    return theirs.page(
        "own.html",
        private=True,
        own=own,
        token=token,
        chosen=tongue.best(own.languages) or tongue.FALLBACK,
        zones=zones.groups(theirs.language, own.zone),
        note=next((name for name in visit.query if name in NOTES), ""),
        shown=nonce.make(visit.house.tokens, nonce.Form.REGISTRATION, visit.now, about=token),
    )


@form(router, "/r/{token}/cancel")
def cancel(visit: Visiting, token: str, shown: Shown = "") -> Response:
    return _act(
        visit, token, shown, "", lambda session: self_service.cancel(session, visit.house, token, visit.now)
    )


@form(router, "/r/{token}/change")
def change(
    visit: Visiting,
    token: str,
    language: Annotated[str, Form()] = "",
    zone: Annotated[str, Form()] = "",
    shown: Shown = "",
) -> Response:
    return _act(
        visit,
        token,
        shown,
        "saved",
        lambda session: self_service.change(
            session, visit.house, token, language=language, zone=zone, now=visit.now
        ),
    )


@form(router, "/r/{token}/again")
def again(visit: Visiting, token: str, shown: Shown = "") -> Response:
    return _act(
        visit,
        token,
        shown,
        "sent",
        lambda session: self_service.again(session, visit.house, token, visit.now),
        refused="often",
    )


def _act(
    visit: Visit,
    token: str,
    shown: str,
    done: str,
    act: Callable[[Session], bool],
    *,
    refused: str = "",
) -> Response:
    """Do it for whom has seen the page, and go back to it with a note of what came of it."""
    if not nonce.holds(visit.house.tokens, nonce.Form.REGISTRATION, shown, visit.now, about=token):
        note = "again"
    else:
        with visit.house.database.write() as session:
            note = done if act(session) else refused
    return visit.go(f"/r/{token}", private=True, **({note: "1"} if note else {}))
