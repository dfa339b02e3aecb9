"""Answers that readers' programs fetch again and again: an ETag, and 304 when nothing has changed."""

from hashlib import sha256

from fastapi import Request
from starlette.responses import Response


def cached(
    request: Request, octets: bytes, content_type: str, *, name: str = "", by_language: bool = False
) -> Response:
    """The octets with their ETag, or 304 when the reader has them (RFC 9110 13.1.2).

    `name` makes it a download under that name; it is ours, never a visitor's.
    """
    tag = f'"{sha256(octets).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=300, must-revalidate"}
    if by_language:
        headers["Vary"] = "Accept-Language"
    if _has(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    if name:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(octets, media_type=content_type, headers=headers)


def _has(if_none_match: str, tag: str) -> bool:
    offered = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return tag in offered or "*" in offered
