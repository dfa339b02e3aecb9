"""Join: an attendee's door to the room. Looking opens nothing; its button leads there, and none notes it."""

from fastapi import APIRouter
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from mailer.services.registration import joining
from mailer.services.registration.joining import Door
from mailer.web.guard import CONTENT_SECURITY_POLICY
from mailer.web.routes import form, page
from mailer.web.site import PRIVATE, Visiting

router = APIRouter()

STATUS = {Door.UNKNOWN: 404, Door.SHUT: 410, Door.OVER: 410, Door.CALLED_OFF: 410}
# The button's answer leads to another host, which browsers hold against the page it stood on.
LEADS_AWAY = CONTENT_SECURITY_POLICY.replace("form-action 'self'", "form-action 'self' https:")


@page(router, "/j/{token}")
def show(visit: Visiting, token: str) -> Response:
    with visit.house.database.read() as session:
        found = joining.look(session, visit.house, token, visit.now)
    answer = visit.in_languages(found.languages).page(
        "join.html", status=STATUS.get(found.door, 200), private=True, found=found, token=token
    )
    if found.door is Door.OPEN:
        answer.headers["Content-Security-Policy"] = LEADS_AWAY
    return answer


@form(router, "/j/{token}")
def enter(visit: Visiting, token: str) -> Response:
    with visit.house.database.read() as session:
        room = joining.room_of(session, visit.house, token, visit.now)
    if room is None:
        return visit.go(f"/j/{token}", private=True)
    return RedirectResponse(room, status_code=303, headers=PRIVATE)
