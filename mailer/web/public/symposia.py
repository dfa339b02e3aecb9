"""Symposia: what is to come and what has been, each with its own time."""

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailer.messages.when import is_zone
from mailer.services.programme import public
from mailer.services.registration import offers
from mailer.web import zones
from mailer.web.public.calendars import feed_links
from mailer.web.public.linked_data import linked_data
from mailer.web.routes import page
from mailer.web.site import Visiting

router = APIRouter()


@page(router, "/symposia")
def symposia(visit: Visiting) -> Response:
    with visit.house.database.read() as session:
        programme = public.programme(session, visit.now)
        feeds = feed_links(session, visit)
    return visit.page("symposia.html", programme=programme, feeds=feeds)


@page(router, "/symposia/{slug}")
def symposium(visit: Visiting, slug: str, zone: str = "") -> Response:
    with visit.house.database.read() as session:
        board = offers.of_symposium(session, slug, visit.now)
    if board is None:
        raise HTTPException(404)
    found, offer = board.dates[0].page, board.dates[0].offer
    reader_zone = zone if is_zone(zone) else None
    return visit.page(
        "symposium.html",
        symposium=found,
        offer=offer,
        reader_zone=reader_zone,
        zones=zones.groups(visit.language, reader_zone),
        linked_data=linked_data(visit.house, found),
    )
