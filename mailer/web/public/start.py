"""The start page: what is new, what is coming, and the way to the mails."""

from fastapi import APIRouter
from starlette.responses import Response

from mailer.services.programme import public
from mailer.web.routes import page
from mailer.web.site import Visiting

LATEST = 5  # statements and symposia shown here

router = APIRouter()


@page(router, "/")
def start(visit: Visiting) -> Response:
    with visit.house.database.read() as session:
        statements = public.statements(session, visit.language, visit.now, limit=LATEST, gate=visit.gate)
        programme = public.programme(session, visit.now)
    upcoming = [one for one in programme.upcoming if not one.cancelled][:LATEST]
    return visit.page("start.html", statements=statements, symposia=upcoming)
