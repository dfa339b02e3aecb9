"""Preferences: a person's choices, changed by the link in their mail; or, at their wish, all deleted."""

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.responses import Response

from mailer.services.audience import preferences
from mailer.services.audience.preferences import Closed, Held
from mailer.web import nonce, tongue, zones
from mailer.web.public import often as frequencies
from mailer.web.routes import form, page
from mailer.web.site import Visit, Visiting

router = APIRouter()


@page(router, "/p/{token}")
def show(visit: Visiting, token: str) -> Response:
    held = _look(visit, token)
    if isinstance(held, Closed):
        return _closed(visit, held)
    theirs = visit.in_languages(held.languages)
    return theirs.page(
        "preferences.html",
        private=True,
        held=held,
        token=token,
        chosen=tongue.best(held.languages) or tongue.FALLBACK,
        zones=zones.groups(theirs.language, held.zone),
        saved="saved" in visit.query,
    )


@form(router, "/p/{token}")
def save(
    visit: Visiting,
    token: str,
    topics: Annotated[list[str], Form(default_factory=list)],
    often: Annotated[list[str], Form(default_factory=list)],
    language: Annotated[str, Form()] = "",
    zone: Annotated[str, Form()] = "",
) -> Response:
    with visit.house.database.write() as session:
        held = preferences.change(
            session,
            visit.house,
            token,
            topics=topics,
            language=language,
            zone=zone,
            now=visit.now,
            frequencies=frequencies.read(often),
        )
    if isinstance(held, Closed):
        return _closed(visit, held)
    return visit.go(f"/p/{token}", private=True, saved="1")


@page(router, "/p/{token}/erase")
def ask_erase(visit: Visiting, token: str) -> Response:
    held = _look(visit, token)
    if isinstance(held, Closed):
        return _closed(visit, held)
    return visit.in_languages(held.languages).page(
        "erase.html",
        private=True,
        token=token,
        again="again" in visit.query,
        shown=nonce.make(visit.house.tokens, nonce.Form.ERASE, visit.now, about=token),
    )


@form(router, "/p/{token}/erase")
def erase(visit: Visiting, token: str, shown: Annotated[str, Form()] = "") -> Response:
    held = _look(visit, token)
    if isinstance(held, Closed):
        return _closed(visit, held)
    if not nonce.holds(visit.house.tokens, nonce.Form.ERASE, shown, visit.now, about=token):
        return visit.go(f"/p/{token}/erase", private=True, again="1")
    with visit.house.database.write() as session:
        preferences.erase(session, visit.house, token, visit.now)
    # Nobody is left whose language could be looked up, so the next page is told.
    return visit.go("/erased", private=True, lang=visit.in_languages(held.languages).language)


@page(router, "/erased")
def erased(visit: Visiting) -> Response:
    return visit.page("erased.html")


def _look(visit: Visit, token: str) -> Held | Closed:
    with visit.house.database.read() as session:
        return preferences.look(session, visit.house, token, visit.now)


def _closed(visit: Visit, closed: Closed) -> Response:
    if closed is Closed.EXPIRED:
        return visit.page("expired.html", status=410, private=True, days=preferences.LINK_DAYS)
    return visit.page("no_such_link.html", status=404, private=True, confirming=False)
