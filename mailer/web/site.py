"""One web app's belongings, and one visit to it: what every handler is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from mailer.services.desk.inbox import Inbox
from mailer.services.house import House
from mailer.services.sending.gate import EmbargoGate
from mailer.web import tongue
from mailer.web.assets import Assets
from mailer.web.pages import Pages

PRIVATE = {  # pages behind a token: kept nowhere, told to nobody, found by no search engine
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}
PUBLIC = {"Cache-Control": "no-cache", "Vary": "Accept-Language"}


@dataclass(frozen=True)
class Site:
    """What the app stands on. `gate`: by it embargoes open. `inbox` is there in demo mode only."""

    house: House
    clock: Callable[[], datetime]
    assets: Assets
    pages: Pages
    inbox: Inbox | None
    gate: EmbargoGate


@dataclass(frozen=True)
class Visit:
    """One request: who is served in which language, and when. `language` is changed by `in_language`."""

    site: Site
    path: str
    query: Mapping[str, str]
    language: str
    asked_for: str | None  # the language in the address, if one stands there
    now: datetime

    @property
    def house(self) -> House:
        return self.site.house

    @property
    def gate(self) -> EmbargoGate:
        return self.site.gate

    def in_languages(self, wished: tuple[str, ...]) -> "Visit":
        """The same visit in the reader's own language, unless the address asks for another."""
        return replace(self, language=self.asked_for or tongue.best(wished) or self.language)

    def to(self, path: str, **query: str) -> str:
        """A link within the site that keeps the language the reader chose in the address."""
        if self.asked_for:
            query = {**query, "lang": self.asked_for}
        return f"{path}?{urlencode(query)}" if query else path

    def page(
        self, template: str, *, status: int = 200, private: bool = False, **facts: object
    ) -> HTMLResponse:
        """A rendered page; `private` for those behind a token."""
        html = self.site.pages.render(template, self.language, {**facts, "visit": self, "private": private})
        headers = {**(PRIVATE if private else PUBLIC), "Content-Language": self.language}
        return HTMLResponse(html, status_code=status, headers=headers)

    def go(self, path: str, *, private: bool = False, **query: str) -> RedirectResponse:
        """After a form: 303 to the page that shows what came of it."""
        headers = PRIVATE if private else {"Cache-Control": "no-store"}
        return RedirectResponse(self.to(path, **query), status_code=303, headers=headers)

    def languages(self) -> list[tuple[str, str, str]]:
        """(code, own name, link to this page in it) for the language switch."""
        rest = {name: value for name, value in self.query.items() if name != "lang"}
        return [
            (code, name, f"?{urlencode({**rest, 'lang': code})}") for code, name in tongue.OWN_NAMES.items()
        ]


def site_of(request: Request) -> Site:
    """The site of the app that serves this request."""
    site: Site = request.app.state.site
    return site


async def visit_of(request: Request) -> Visit:
    """Read language and time of a visit once."""
    return make_visit(site_of(request), request.scope["path"], request.query_params, request.headers)


def make_visit(site: Site, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Visit:
    asked_for = tongue.spoken(query.get("lang"))
    language = asked_for or tongue.accepted(headers.get("accept-language", ""))
    return Visit(site, path, query, language, asked_for, site.clock())


Visiting = Annotated[Visit, Depends(visit_of)]
