"""Error pages in house style and in the reader's language. Each says what happened and what to do next."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from mailer.web.api.answers import refusal
from mailer.web.site import Site, Visit, make_visit

FOR_PROGRAMS = {  # status: a word, and what to do
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address takes another method; see the documentation."),
    413: ("too_large", "The body is too large. Send less at once."),
    422: ("invalid", "Something in the request was missing or damaged."),
    500: (
        "failed",
        "It was not your doing. Try again in a few minutes, with the same id.",
    ),
}
TOLD = frozenset({404, 405, 410, 413, 422, 429, 500, 503})  # those with words of their own


def visit_in(site: Site, scope: Scope) -> Visit:
    """The visit a request makes, also when no handler was reached."""
    return make_visit(site, scope["path"], QueryParams(scope["query_string"]), Headers(scope=scope))


def error_page(site: Site, scope: Scope, status: int, number: str | None = None) -> Response:
    """The page of one status. `number` is what a person can name to us when it is our fault."""
    if scope["path"].startswith("/api/"):
        return refusal(status, *FOR_PROGRAMS.get(status, FOR_PROGRAMS[500]))
    told = status if status in TOLD else (500 if status >= 500 else 422)
    visit = visit_in(site, scope)
    return visit.page("error.html", status=status, private=True, told=told, number=number)


def install(app: FastAPI, site: Site) -> None:
    """Let every refusal of the framework come out as a page."""

    async def refused(request: Request, problem: Exception) -> Response:
        status = problem.status_code if isinstance(problem, HTTPException) else 422
        response = error_page(site, request.scope, status)
        if isinstance(problem, HTTPException) and problem.headers:
            response.headers.update(problem.headers)
        return response

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, refused)
