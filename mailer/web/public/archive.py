"""The archive of statements: published ones only, each in every language it exists in, and a feed of them."""

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailer.services.programme import public
from mailer.web.public.answers import cached
from mailer.web.public.atom import atom
from mailer.web.routes import page
from mailer.web.site import Visiting

router = APIRouter()

IN_FEED = 30


@page(router, "/statements")
def statements(visit: Visiting, page: str = "1") -> Response:
    with visit.house.database.read() as session:
        pages = public.pages_of_statements(session, visit.now, visit.gate)
        number = int(page) if page.isascii() and page.isdecimal() and len(page) < 7 else 0
        if not 1 <= number <= pages:
            raise HTTPException(404)
        found = public.statements(session, visit.language, visit.now, page=number, gate=visit.gate)
    return visit.page("statements.html", statements=found, page=number, pages=pages)


@page(router, "/statements.atom")
def statements_feed(request: Request, visit: Visiting) -> Response:
    with visit.house.database.read() as session:
        found = public.statements(session, visit.language, visit.now, limit=IN_FEED, gate=visit.gate)
    octets = atom(visit.house, found, visit.language)
    return cached(request, octets, "application/atom+xml; charset=utf-8", by_language=True)


@page(router, "/statements/{slug}")
def statement(visit: Visiting, slug: str, text: str = "") -> Response:
    with visit.house.database.read() as session:
        zone = visit.house.settings.zone
        wished = text or visit.language
        found = public.statement(session, slug, wished, visit.now, zone=zone, gate=visit.gate)
    if found is None:
        raise HTTPException(404)
    return visit.page("statement.html", statement=found, chosen=bool(text))
