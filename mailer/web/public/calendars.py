"""Calendar files and feeds, as calendar programs fetch them, and the links by which people subscribe.

An address decides its answer alone: no cookie, no language of the browser, no person. `?lang=`
chooses the language of the remarks.
"""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailer.messages.catalogues import language_name
from mailer.services.programme import calendars
from mailer.services.programme.calendars import Offer, PublicCalendar
from mailer.web.public.answers import cached, settled
from mailer.web.routes import page
from mailer.web.site import Visit, Visiting

router = APIRouter()

CALENDAR = "text/calendar; charset=utf-8; method=PUBLISH"


@dataclass(frozen=True, kw_only=True)
class FeedLink:
    """One feed as a page offers it: `https` to copy, `webcal` to open in a calendar program.

    `series` or `language` (in words) names what is in it; neither means all symposia.
    """

    https: str
    webcal: str
    series: str | None
    language: str | None


def feed_links(session: Session, visit: Visit) -> tuple[FeedLink, ...]:
    """Every feed, with the remarks in the language of the page."""
    return tuple(feed_link(visit, offer) for offer in calendars.offers(session))


def feed_link(visit: Visit, offer: Offer) -> FeedLink:
    """The addresses of one feed; a series' page gets its own by `calendars.offer_of_series(key, name)`."""
    https = f"{visit.house.settings.base_url}{offer.path}?lang={visit.language}"
    return FeedLink(
        https=https,
        webcal=f"webcal://{https.partition('://')[2]}",
        series=offer.name,
        language=language_name(offer.spoken, said_in=visit.language) if offer.spoken else None,
    )


@page(router, "/symposia.ics")
def all_symposia(request: Request, visit: Visiting) -> Response:
    with visit.house.database.read() as session:
        found = calendars.feed_of_all(session, visit.house, language=visit.asked_for)
    return _answer(request, visit, found, "symposia.ics")


@page(router, "/symposia/{slug}.ics")
def one_symposium(request: Request, visit: Visiting, slug: str) -> Response:
    with visit.house.database.read() as session:
        found = calendars.symposium_file(session, visit.house, slug, language=visit.asked_for)
    return _answer(request, visit, found, "symposium.ics")


@page(router, "/calendars/series/{key}.ics")
def one_series(request: Request, visit: Visiting, key: str) -> Response:
    with visit.house.database.read() as session:
        found = calendars.feed_of_series(session, visit.house, key, language=visit.asked_for)
    return _answer(request, visit, found, "series.ics")


@page(router, "/calendars/languages/{spoken}.ics")
def one_language(request: Request, visit: Visiting, spoken: str) -> Response:
    with visit.house.database.read() as session:
        found = calendars.feed_of_language(session, visit.house, spoken, language=visit.asked_for)
    return _answer(request, visit, found, "symposia.ics")


def _answer(request: Request, visit: Visit, found: PublicCalendar | None, name: str) -> Response:
    if found is None:
        raise HTTPException(404)
    modified_at = settled(found.changed_at, visit.now)
    return cached(request, found.octets, CALENDAR, name=name, modified_at=modified_at)
