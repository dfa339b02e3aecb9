"""How a page is declared: for GET and HEAD alike, outside the API's document."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

Handler = TypeVar("Handler", bound=Callable[..., object])


def page(router: APIRouter, path: str) -> Callable[[Handler], Handler]:
    """A page that is looked at: GET and HEAD, which never change anything."""
    return router.api_route(
        path,
        methods=["GET", "HEAD"],
        include_in_schema=False,
        response_class=HTMLResponse,
        response_model=None,
    )


def form(router: APIRouter, path: str) -> Callable[[Handler], Handler]:
    """What a form posts to: changes something and answers with 303, or 422 and the form again."""
    return router.post(path, include_in_schema=False, response_class=HTMLResponse, response_model=None)
