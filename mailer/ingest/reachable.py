"""Whether something is there at a web address: its server is asked, and what it holds is not read.

The same guard as for pages: public addresses only, each redirect is a new beginning, one
deadline for all of it. HEAD is asked first; where a server will not hear of it, GET, of
which only the header is read, so that a recording of gigabytes costs nothing.
"""

import http.client
import time
from collections.abc import Callable
from urllib.parse import urljoin

from mailer.ingest.errors import FetchError, ServerError
from mailer.ingest.fetch import AGENT, HEADER_BYTES, MOVED, Limits, Resolve, connect, resolve_all, send
from mailer.ingest.guarded import Deadline, GuardedSocket
from mailer.ingest.hosts import read_url

QUICK = Limits(seconds=5.0)  # for each of the two questions


def answers(
    url: str,
    *,
    limits: Limits = QUICK,
    resolve: Resolve | None = None,
    agent: str = AGENT,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when the address answers with success (2xx), at its end of redirects.

    Raises FetchError for a refused address, silence, and every limit; ServerError for another code.
    """
    try:
        _follow("HEAD", url, limits, resolve, agent, clock)
    except FetchError:
        _follow("GET", url, limits, resolve, agent, clock)


def _follow(
    method: str,
    url: str,
    limits: Limits,
    resolve: Resolve | None,
    agent: str,
    clock: Callable[[], float],
) -> None:
    deadline = Deadline(clock() + limits.seconds, clock)
    for _ in range(limits.redirects + 1):
        onwards = _ask(method, url, limits, resolve, agent, deadline)
        if onwards is None:
            return
        url = onwards
    raise FetchError(f"It redirects more than {limits.redirects} times. Give the address it ends at.")


def _ask(
    method: str, url: str, limits: Limits, resolve: Resolve | None, agent: str, deadline: Deadline
) -> str | None:
    """Ask once: None for success, or the address it redirects to."""
    target = read_url(url, plain_http=limits.plain_http, any_port=bool(limits.allow))
    addresses = resolve_all(target, limits, resolve, deadline)
    guarded = GuardedSocket(connect(target, addresses, limits, deadline), deadline, HEADER_BYTES)
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = guarded
    try:
        send(connection, target, agent, method=method)
        response = connection.getresponse()
        location = response.headers["Location"]
    except (OSError, http.client.HTTPException) as error:
        raise FetchError("Its server broke off. Try again.") from error
    finally:
        connection.close()
        guarded.end()
    if response.status in MOVED and location:
        return urljoin(target.url, str(location))
    if not 200 <= response.status < 300:
        raise ServerError(f"Its server answers {response.status}. Check the address.", status=response.status)
    return None
