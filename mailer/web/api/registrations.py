"""POST /api/registrations: a sign-up from another form tool, once for each of the tool's own ids."""

import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mailer.services.registration import api_tokens, limits, payload, sign_up
from mailer.services.registration.api_tokens import Scope
from mailer.services.registration.payload import Refused, SignUpRefusal
from mailer.services.registration.sign_up import Taken
from mailer.web.api.answers import NO_STORE, refusal
from mailer.web.site import Visit, Visiting

router = APIRouter()

MOST_OCTETS = 64 * 1024
STATUS_OF = {
    Refused.INVALID: 422,
    Refused.UNKNOWN_SYMPOSIUM: 404,
    Refused.NOT_OPEN: 409,
    Refused.FULL: 409,
    Refused.WITHDRAWN: 409,
    Refused.OTHER_CONTENT: 409,
}


@router.post("/api/registrations", include_in_schema=False)
async def register(request: Request, visit: Visiting) -> Response:
    authorization = request.headers.get("authorization", "")
    body = await request.body()
    return await run_in_threadpool(_register, visit, authorization, body)


def _register(visit: Visit, authorization: str, body: bytes) -> Response:
    with visit.house.database.read() as session:
        bearer = api_tokens.bearer_of(session, authorization, visit.now)
    if bearer is None:
        sentence = "Send Authorization: Bearer TOKEN, with a token that is neither revoked nor expired."
        return refusal(401, "unauthorized", sentence)
    if Scope.REGISTRATIONS not in bearer.scopes:
        return refusal(403, "forbidden", "This token may not register anybody: it lacks that scope.")
    if len(body) > MOST_OCTETS:
        return refusal(413, "too_large", f"One sign-up holds at most {MOST_OCTETS // 1024} KiB.")
    try:
        sent = payload.read_payload(_document(body))
        with visit.house.database.write() as session:
            allowed = limits.allowed_tool(session, visit.house, bearer.id, visit.now)
        if not allowed:
            return _too_many()
        with visit.house.database.write() as session:
            taken = sign_up.take(session, visit.house, bearer, sent, visit.now)
    except SignUpRefusal as refused:
        return refusal(STATUS_OF[refused.why], refused.why.value, refused.sentence, refused.at)
    return _answer(taken)


def _too_many() -> Response:
    sentence = f"This token hands in at most {limits.PER_TOOL} sign-ups an hour. Send the rest an hour later."
    answer = refusal(429, "too_many", sentence)
    answer.headers["Retry-After"] = "3600"
    return answer


def _document(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise SignUpRefusal(Refused.INVALID, "The body is not JSON in UTF-8.") from None


def _answer(taken: Taken) -> Response:
    told = {
        "registration": taken.registration_id,
        "state": taken.state.value if taken.state else "erased",
        "repeated": taken.repeated,
        "known": taken.known,
    }
    status = 200 if taken.repeated or taken.known else 201
    return JSONResponse(told, status_code=status, headers=NO_STORE)
