"""Pages around the pages: help, health, static files, and what is said to robots."""

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mailer.services.desk.readiness import ready
from mailer.web.assets import FOREVER
from mailer.web.routes import page
from mailer.web.site import Visiting

router = APIRouter()

BEHIND_TOKENS = ("/attend/", "/c/", "/inbox", "/j/", "/p/", "/r/", "/u/")
ROBOTS = "User-agent: *\n" + "".join(f"Disallow: {path}\n" for path in BEHIND_TOKENS)


@page(router, "/help")
def help_page(visit: Visiting) -> Response:
    return visit.page("help.html")


@page(router, "/healthz")
def health(visit: Visiting) -> Response:
    serving = ready(visit.house)
    return JSONResponse(
        {"status": "ok" if serving else "unavailable"},
        status_code=200 if serving else 503,
        headers={"Cache-Control": "no-store"},
    )


@page(router, "/robots.txt")
def robots() -> Response:
    return PlainTextResponse(ROBOTS)


@page(router, "/static/{name}")
def static(visit: Visiting, name: str) -> Response:
    asset = visit.site.assets.find(name)
    if asset is None:
        raise HTTPException(404)
    return Response(asset.content, media_type=asset.content_type, headers={"Cache-Control": FOREVER})
