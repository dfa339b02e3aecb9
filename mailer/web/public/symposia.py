"""Symposia: what is to come and what has been, each with its own time, and calendar files to take along."""

import json
from typing import Any

from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailer.messages.when import is_zone
from mailer.services.house import House
from mailer.services.programme import public
from mailer.services.programme.public import SymposiumPage
from mailer.services.registration import offers
from mailer.web import zones
from mailer.web.pages import machine_time
from mailer.web.public.answers import cached
from mailer.web.routes import page
from mailer.web.site import Visiting

router = APIRouter()

CALENDAR = "text/calendar; charset=utf-8; method=PUBLISH"
SCHEMA = "https://schema.org/"


@page(router, "/symposia")
def symposia(visit: Visiting) -> Response:
    with visit.house.database.read() as session:
        programme = public.programme(session, visit.now)
    return visit.page("symposia.html", programme=programme)


@page(router, "/symposia.ics")
def symposia_calendar(request: Request, visit: Visiting) -> Response:
    with visit.house.database.read() as session:
        octets = public.calendar_feed(session, visit.house)
    return cached(request, octets, CALENDAR, name="symposia.ics")


@page(router, "/symposia/{slug}.ics")
def symposium_calendar(request: Request, visit: Visiting, slug: str) -> Response:
    with visit.house.database.read() as session:
        octets = public.calendar_file(session, visit.house, slug)
    if octets is None:
        raise HTTPException(404)
    return cached(request, octets, CALENDAR, name="symposium.ics")


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


def linked_data(house: House, found: SymposiumPage) -> Markup | None:
    """schema.org's Event for search engines; None for a symposium without a day."""
    if not found.has_calendar:
        return None
    data: dict[str, Any] = {
        "@context": SCHEMA,
        "@type": "Event",
        "name": found.title,
        "inLanguage": found.language,
        "url": house.url("symposia", found.slug),
        "startDate": machine_time(found),
        "eventStatus": f"{SCHEMA}{_status(found)}",
        "organizer": {"@type": "Organization", "name": house.settings.organisation, "url": house.url("")},
    }
    if found.ends_at is not None and not found.end_assumed:
        data["endDate"] = found.ends_at.isoformat()
    if found.moved_from and not found.cancelled:
        data["previousStartDate"] = machine_time(found.moved_from[-1])
    if found.place:
        data["location"] = {"@type": "Place", "name": found.place}
    # "<" is the only sign that could end the script element.
    return Markup(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704


def _status(found: SymposiumPage) -> str:
    if found.cancelled:
        return "EventCancelled"
    return "EventRescheduled" if found.moved_from else "EventScheduled"
