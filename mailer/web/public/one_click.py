"""What a mail program's unsubscribe button posts (RFC 8058): exactly `List-Unsubscribe=One-Click`.

Urlencoded or multipart, plain or gzipped, with or without a right content type. Nothing
here refuses a request; it only answers whether the body says so.
"""

import zlib
from collections.abc import AsyncIterator, Iterable
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

FIELD, VALUE = "List-Unsubscribe", "One-Click"
MOST_OCTETS = 64 * 1024
MOST_FIELDS = 20


async def asks_to_leave(request: Request) -> bool:
    """True when the body is a one-click unsubscribe."""
    body = _unpacked(await request.body(), request.headers.get("content-encoding", ""))
    if body is None or len(body) > MOST_OCTETS:
        return False
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        return _says_so((await _multipart(request, body)).multi_items())
    try:
        pairs = parse_qsl(body.decode("ascii").strip(), max_num_fields=MOST_FIELDS)
    except (UnicodeDecodeError, ValueError):
        return False
    return _says_so(pairs)


def _says_so(pairs: Iterable[tuple[str, object]]) -> bool:
    return any(name == FIELD and isinstance(value, str) and value.strip() == VALUE for name, value in pairs)


def _unpacked(body: bytes, encoding: str) -> bytes | None:
    if encoding.strip().lower() not in {"gzip", "x-gzip"}:
        return body
    try:
        return zlib.decompressobj(wbits=31).decompress(body, MOST_OCTETS + 1)
    except zlib.error:
        return None


async def _multipart(request: Request, body: bytes) -> FormData:
    async def stream() -> AsyncIterator[bytes]:
        yield body
        yield b""

    parser = MultiPartParser(request.headers, stream(), max_files=0, max_fields=MOST_FIELDS)  # type: ignore[arg-type]
    try:
        return await parser.parse()
    except (MultiPartException, KeyError, UnicodeError, ValueError):
        return FormData()
