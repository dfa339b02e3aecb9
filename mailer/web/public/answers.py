"""Answers that readers' programs fetch again and again: validators, and 304 when nothing has changed."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from hashlib import sha256

from fastapi import Request
from starlette.responses import Response

# A date has whole seconds: what changed just now may change again within the same one (RFC 9110 8.8.2.2).
_SETTLED = timedelta(seconds=2)


def cached(
    request: Request,
    octets: bytes,
    content_type: str,
    *,
    name: str = "",
    by_language: bool = False,
    modified_at: datetime | None = None,
) -> Response:
    """The octets with their ETag, or 304 when the reader has them (RFC 9110 13.1.2 and 13.1.3).

    `name` makes it a download under that name; it is ours, never a visitor's. `modified_at` is when
    they last changed, for programs that know no ETag; leave it out while that is too fresh to tell.
    """
    tag = f'"{sha256(octets).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=300, must-revalidate"}
    if by_language:
        headers["Vary"] = "Accept-Language"
    if modified_at is not None:
        headers["Last-Modified"] = format_datetime(modified_at.astimezone(UTC), usegmt=True)
    if _is_known(request, tag, modified_at):
        return Response(status_code=304, headers=headers)
    if name:
        headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(octets, media_type=content_type, headers=headers)


def settled(changed_at: datetime | None, now: datetime) -> datetime | None:
    """The moment as a Last-Modified may say it; None while the same second could still bring a change."""
    return changed_at if changed_at is not None and now - changed_at >= _SETTLED else None


def _is_known(request: Request, tag: str, modified_at: datetime | None) -> bool:
    """Whether the reader has these octets. Who sends an ETag is judged by it alone."""
    if_none_match = request.headers.getlist("if-none-match")  # several lines are one list (RFC 9110 5.3)
    if if_none_match:
        return _has(",".join(if_none_match), tag)
    seen_at = _date(request.headers.get("if-modified-since", ""))
    return modified_at is not None and seen_at is not None and modified_at.replace(microsecond=0) <= seen_at


def _has(if_none_match: str, tag: str) -> bool:
    offered = [part.strip().removeprefix("W/") for part in if_none_match.split(",")]
    return tag in offered or "*" in offered


def _date(text: str) -> datetime | None:
    """An HTTP date; None for anything else, which then asks for nothing (RFC 9110 13.1.3)."""
    try:
        found = parsedate_to_datetime(text[:64])
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
