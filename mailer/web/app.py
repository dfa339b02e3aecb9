"""Makes the web app: the public pages, and in demo mode the inbox. It opens nothing and starts nothing."""

from collections.abc import Callable
from datetime import datetime

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Scope

from mailer.services.desk.inbox import Inbox
from mailer.services.house import House
from mailer.services.sending.gate import OPEN_BY_NOW, EmbargoGate
from mailer.web import errors
from mailer.web.api import drafts, registrations
from mailer.web.assets import Assets
from mailer.web.demo import viewer
from mailer.web.guard import AccessLog, BodyLimit, LastNet, SecurityHeaders
from mailer.web.pages import Pages
from mailer.web.public import (
    archive,
    attend,
    calendars,
    confirm,
    converter,
    join,
    own,
    preferences,
    register,
    service,
    start,
    subscribe,
    symposia,
    unsubscribe,
)
from mailer.web.site import Site

# Calendars before symposia: "/symposia/{slug}" would take "/symposia/one.ics" for a slug.
PUBLIC = (
    start,
    subscribe,
    confirm,
    unsubscribe,
    preferences,
    archive,
    calendars,
    symposia,
    converter,
    register,
    attend,
    own,
    join,
    service,
)


def create_app(
    house: House,
    *,
    clock: Callable[[], datetime],
    inbox: Inbox | None,
    gate: EmbargoGate = OPEN_BY_NOW,
) -> FastAPI:
    """The web app of one house. `clock` gives the present moment in UTC; by `gate` embargoes open; `inbox`
    is for demo mode only."""
    assets = Assets()
    site = Site(house, clock, assets, Pages(house, assets, demo=inbox is not None), inbox, gate)
    app = FastAPI(title="mailer", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.site = site
    for module in PUBLIC:
        app.include_router(module.router)
    app.include_router(registrations.router)
    app.include_router(drafts.router)
    if inbox is not None:
        app.include_router(viewer.router)
    errors.install(app, site)

    def error_page(scope: Scope, status: int, number: str | None) -> Response:
        return errors.error_page(site, scope, status, number)

    # The last added is the outermost.
    app.add_middleware(BodyLimit, error_page=error_page)
    app.add_middleware(LastNet, error_page=error_page)
    app.add_middleware(SecurityHeaders, https=house.settings.base_url.startswith("https://"))
    app.add_middleware(AccessLog)
    return app
