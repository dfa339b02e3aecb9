"""A symposium's time on any clock of the world: the page that mails lead to.

The reader chooses a city; nothing about them is guessed from an address or a browser, and the
choice stands in the page's own address only. No cookie, no script.
"""

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailer.messages.when import is_zone
from mailer.services.programme import public
from mailer.web import zones
from mailer.web.routes import page
from mailer.web.site import Visiting

router = APIRouter()


@page(router, "/time/{slug}")
def converter(visit: Visiting, slug: str, zone: str = "") -> Response:
    with visit.house.database.read() as session:
        found = public.symposium(session, slug, visit.now)
    if found is None:
        raise HTTPException(404)
    reader_zone = zone if is_zone(zone) else None
    return visit.page(
        "converter.html",
        symposium=found,
        reader_zone=reader_zone,
        zones=zones.groups(visit.language, reader_zone),
    )
