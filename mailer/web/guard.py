"""What every answer passes through: a log line without secrets, security headers, a size limit, a last net.

Plain ASGI, outermost first. The log knows the route's template, never the path or the query,
and of an unexpected error only its kind and the places in the code: messages of libraries
may hold addresses.
"""

import secrets
import time
import traceback
from collections.abc import Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_OCTETS = 1024 * 1024
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "frame-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
FIXED_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
}
STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"

ErrorPage = Callable[[Scope, int, str | None], Response]

log = structlog.get_logger("mailer.web")


class AccessLog:
    """One line per request: method, route template, status and milliseconds."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            log.info(
                "request",
                method=scope["method"],
                route=route_of(scope),
                status=status,
                milliseconds=round((time.monotonic() - started) * 1000, 1),
            )


def route_of(scope: Scope) -> str:
    """The template of the route that served the request ("/u/{token}"), or "none"."""
    return str(getattr(scope.get("route"), "path", "none"))


class SecurityHeaders:
    """Adds to every answer the headers it does not set itself."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self._app = app
        self._headers = FIXED_HEADERS | ({"Strict-Transport-Security": STRICT_TRANSPORT} if https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, dressed)


class LastNet:
    """Turns an unexpected error into a page with a number that also stands in the log."""

    def __init__(self, app: ASGIApp, *, error_page: ErrorPage) -> None:
        self._app, self._error_page = app, error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as problem:  # the last net under every handler
            number = secrets.token_hex(4)
            log.error(
                "page-failed",
                number=number,
                route=route_of(scope),
                error=type(problem).__name__,
                places=_places(problem),
            )
            if not begun:
                await self._error_page(scope, 500, number)(scope, receive, send)


def _places(problem: BaseException) -> list[str]:
    frames = traceback.extract_tb(problem.__traceback__)[-8:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]


class BodyLimit:
    """Reads a request's body to its end, or refuses it with 413 when it is larger than the limit."""

    def __init__(self, app: ASGIApp, *, error_page: ErrorPage) -> None:
        self._app, self._error_page = app, error_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        messages = None if _exceeds(announced) else await _whole(receive)
        if messages is None:
            await self._error_page(scope, 413, None)(scope, receive, send)
            return
        rest = iter(messages)

        async def replay() -> Message:
            return next(rest, None) or await receive()

        await self._app(scope, replay, send)


def _exceeds(announced: str) -> bool:
    return not announced.isdecimal() or int(announced) > BODY_OCTETS


async def _whole(receive: Receive) -> list[Message] | None:
    """All messages of a body; None as soon as it is too large."""
    messages: list[Message] = []
    octets = 0
    while True:
        message = await receive()
        messages.append(message)
        octets += len(message.get("body", b""))
        if octets > BODY_OCTETS:
            return None
        if message["type"] != "http.request" or not message.get("more_body", False):
            return messages
