"""The guarded fetcher: one page over https, from a public address, within limits.

The name is resolved once, every address it has is checked, and the connection goes to
a checked address, so that a second answer of the name server changes nothing. Each
redirect is a new beginning. No proxy, cookie or password of the environment is used.
"""

import http.client
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

from mailer.ingest.errors import FetchError, ServerError
from mailer.ingest.guarded import Deadline, GuardedSocket, resolve_within
from mailer.ingest.hosts import Target, read_url, refuse_private
from mailer.ingest.page import PAGE_BYTES, too_large
from mailer.networks import Address, Network

REDIRECTS = 3
SECONDS = 10.0  # for names, connections, redirects and the body together
HEADER_BYTES = 64 * 1024
LONGEST_PATIENCE = 7 * 86_400  # seconds of Retry-After that are respected
AGENT = "mailer (statement and programme reader)"
TYPES = (
    *("text/html", "application/xhtml+xml", "text/plain", "text/calendar", "text/xml", "application/xml"),
    *("application/rss+xml", "application/atom+xml", "application/rdf+xml"),
    *("application/feed+json", "application/json", "application/octet-stream"),
)
TAG_LETTERS = 500  # a longer ETag or date is not kept, so the page is fetched whole next time
MOVED = (301, 302, 303, 307, 308)

Resolve = Callable[[str, int], Sequence[Address]]


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A page as its server sent it, unpacked. `url` is where the last redirect led."""

    url: str
    body: bytes = field(repr=False)
    charset: str | None
    etag: str | None = None
    modified: str | None = None  # Last-Modified, as the server wrote it
    unchanged: bool = False  # 304: the server says that what was fetched before still holds


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a server called the copy that is known already (RFC 9110 13.1)."""

    etag: str | None = None
    modified: str | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a fetch may cost and where it may go.

    `allow` is for tests only: networks beside the public ones, on any port.
    """

    seconds: float = SECONDS
    octets: int = PAGE_BYTES
    redirects: int = REDIRECTS
    types: tuple[str, ...] = TYPES  # none: whatever comes
    cut: bool = False  # what is longer is cut at the limit, not refused
    plain_http: bool = False
    allow: tuple[Network, ...] = ()
    tls: ssl.SSLContext | None = None  # None: the system's certificates


def fetch(
    url: str,
    *,
    limits: Limits | None = None,
    resolve: Resolve | None = None,
    agent: str = AGENT,
    clock: Callable[[], float] = time.monotonic,
    seen: Seen | None = None,
    permit: Callable[[Target], None] | None = None,
) -> Fetched:
    """Fetch one page. `agent` should name a way to reach the operator; `clock` gives seconds.

    With `seen` the server may answer that nothing changed. `permit` is asked before each address, also
    before those of redirects, and raises FetchError to refuse one.
    Raises FetchError for a refused address, an answer that is no page, and every limit; ServerError, which
    is one, when the server answered with another code.
    """
    limits = limits or Limits()
    deadline = Deadline(clock() + limits.seconds, clock)
    for _ in range(limits.redirects + 1):
        target = read_url(url, plain_http=limits.plain_http, any_port=bool(limits.allow))
        if permit is not None:
            permit(target)
        addresses = resolve_all(target, limits, resolve, deadline)
        answer = _ask(target, addresses, limits, deadline, agent, seen or Seen())
        if isinstance(answer, Fetched):
            return answer
        url = urljoin(target.url, answer)
    raise FetchError(f"The page redirects more than {limits.redirects} times. Give the address it ends at.")


def resolve_all(
    target: Target, limits: Limits, resolve: Resolve | None, deadline: Deadline
) -> Sequence[Address]:
    """All addresses of the host, once; raises FetchError unless each may be connected to."""
    found = (
        resolve(target.host, target.port) if resolve else resolve_within(deadline, target.host, target.port)
    )
    refuse_private(found, limits.allow)
    return found


def _ask(
    target: Target,
    addresses: Sequence[Address],
    limits: Limits,
    deadline: Deadline,
    agent: str,
    seen: Seen,
) -> Fetched | str:
    """Ask one server: the page, or the address it redirects to."""
    guarded = GuardedSocket(connect(target, addresses, limits, deadline), deadline, HEADER_BYTES)
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = guarded  # what http.client uses of a socket
    try:
        send(connection, target, agent, limits.types, seen)
        response = connection.getresponse()
        location = response.headers["Location"]
        if response.status in MOVED and location:
            return str(location)
        if response.status == http.client.NOT_MODIFIED and (seen.etag or seen.modified):
            return Fetched(url=target.url, body=b"", charset=None, unchanged=True)
        _refuse_what_is_no_page(response, limits.types)
        guarded.allow(limits.octets)
        return Fetched(
            url=target.url,
            body=_read(response, limits.octets, cut=limits.cut),
            charset=response.headers.get_content_charset(),
            etag=_short(response.headers["ETag"]),
            modified=_short(response.headers["Last-Modified"]),
        )
    except (OSError, http.client.HTTPException, zlib.error) as error:
        raise FetchError(
            "The server broke off or answered in a way that cannot be read. Try again, or save the page."
        ) from error
    finally:
        connection.close()
        guarded.end()


def connect(
    target: Target, addresses: Sequence[Address], limits: Limits, deadline: Deadline
) -> socket.socket:
    """Connect to the first checked address that answers; never resolve the name again."""
    for address in addresses:
        try:
            plain = socket.create_connection((str(address), target.port), timeout=deadline.left())
        except OSError:
            continue
        if target.scheme == "http":
            return plain
        try:
            plain.settimeout(deadline.left())
            context = limits.tls or ssl.create_default_context()
            return context.wrap_socket(plain, server_hostname=target.host)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            raise FetchError(
                "The server's certificate is not valid for its name, so nothing was read."
            ) from error
        except OSError:
            plain.close()
    deadline.left()
    raise FetchError("The server does not answer. Try again later, or save the page as a file.")


def _short(header: str | None) -> str | None:
    usable = header is not None and len(header) <= TAG_LETTERS and header.isascii() and header.isprintable()
    return header if usable else None


def send(
    connection: http.client.HTTPConnection,
    target: Target,
    agent: str,
    types: Sequence[str] = (),
    seen: Seen = Seen(),
    *,
    method: str = "GET",
) -> None:
    """Send a request for the target."""
    default = target.port == (443 if target.scheme == "https" else 80)
    host = f"[{target.host}]" if ":" in target.host else target.host
    connection.putrequest(method, target.path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host if default else f"{host}:{target.port}")
    connection.putheader("User-Agent", agent)
    connection.putheader("Accept", ", ".join(types) or "*/*")
    connection.putheader("Accept-Encoding", "gzip")
    connection.putheader("Connection", "close")
    if seen.etag:
        connection.putheader("If-None-Match", seen.etag)
    if seen.modified:
        connection.putheader("If-Modified-Since", seen.modified)
    connection.endheaders()


def _refuse_what_is_no_page(response: http.client.HTTPResponse, types: Sequence[str]) -> None:
    if response.status != http.client.OK:
        raise ServerError(
            f"The server answered {response.status}, not with a page. Check the web address.",
            status=response.status,
            retry_after=_seconds(response.headers["Retry-After"], response.headers["Date"]),
        )
    kind = response.headers.get_content_type()
    if types and kind not in types:
        raise FetchError(f"The address holds {kind}, not a page of text. Save its text as a file.")
    encoding = (response.headers["Content-Encoding"] or "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise FetchError(f"The page is packed as {encoding}, which was not asked for. Save it as a file.")


def _seconds(asked: str | None, date: str | None) -> int | None:
    """Retry-After in seconds; one given as a date is held to the server's own Date."""
    if asked is None:
        return None
    if asked.strip().isdecimal():
        return min(int(asked.strip()[:9]), LONGEST_PATIENCE)
    try:
        wait = parsedate_to_datetime(asked) - parsedate_to_datetime(date or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(int(wait.total_seconds()), 0), LONGEST_PATIENCE)


def _read(response: http.client.HTTPResponse, octets: int, *, cut: bool) -> bytes:
    body = response.read(octets + 1)
    whole = len(body) > octets or not response.length
    if (response.headers["Content-Encoding"] or "").strip().lower() in ("gzip", "x-gzip"):
        # Unpacked up to the limit and one octet more: a bomb never unfolds.
        unpacker = zlib.decompressobj(wbits=31)
        body = unpacker.decompress(body, octets + 1)
        whole = unpacker.eof or len(body) > octets
    if len(body) > octets and cut:
        return body[:octets]
    if len(body) > octets:
        raise FetchError(too_large(octets))
    if not whole:
        # Half a page would look like a programme with half its lines gone.
        raise FetchError("The page arrived cut off, so it was not read. Try again.")
    return body
