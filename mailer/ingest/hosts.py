"""Which addresses of the internet may be fetched from: public ones, spelled plainly.

A page's address can be chosen by a stranger, and every private service of the host's
network is one misspelt number away. So a host has one spelling, and an address is
refused unless it is public by our own list, whatever the Python version thinks.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from mailer.addresses import AddressError, a_labels
from mailer.ingest.errors import FetchError
from mailer.networks import Address, Network, is_public

PORTS = {"https": 443, "http": 80}
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|\d+)", re.I)


@dataclass(frozen=True, kw_only=True)
class Target:
    """A checked web address: what to connect to, and what to ask for there."""

    url: str
    scheme: str
    host: str  # A-labels, or an address as text
    port: int
    path: str  # with the query; always starts with "/"


def read_url(url: str, *, plain_http: bool = False, any_port: bool = False) -> Target:
    """Read a web address and refuse what must not be fetched, before any name is resolved.

    https on port 443; http on port 80 only with `plain_http`; no user name, no other spelling of
    a host. Raises FetchError with the reason.
    """
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise FetchError("The web address holds a blank, a control character or a backslash. Correct it.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchError("This is no web address. It should look like https://example.org/page.") from error
    scheme = parts.scheme.lower()
    if scheme not in PORTS or (scheme == "http" and not plain_http):
        raise FetchError("Only https addresses are fetched. Write https:// or save the page as a file.")
    if parts.username is not None or parts.password is not None:
        raise FetchError("The web address holds a user name. Only public pages are fetched: remove it.")
    if port is not None and port != PORTS[scheme] and not any_port:
        raise FetchError(f"Port {port} is not fetched from, only 443 for https and 80 for http.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = read_host(parts.hostname or "")
    return Target(url=url, scheme=scheme, host=host, port=port or PORTS[scheme], path=ascii_path(path))


def read_host(host: str) -> str:
    """Return the host as A-labels or as a plain address; raise FetchError for every other spelling.

    Only four plain decimal numbers count as IPv4: 127.1, 0177.0.0.1, 2130706433 and full-width
    digits are how a private address gets past a check.
    """
    wrong = FetchError(
        "The web address names no public host. Write its full name, as in https://example.org/."
    )
    if ":" in host:
        return str(_ip(host.encode("ascii", "replace").decode(), wrong))
    last = host.rpartition(".")[2]
    if host.isascii() and _NUMBER.fullmatch(last):
        return str(_ip(host, wrong))
    try:
        name = a_labels(host)
    except AddressError:
        raise wrong from None
    # A final dot and a number of another script would be the same host spelled differently.
    if (
        host.endswith(".")
        or not _NAME.fullmatch(name)
        or name.endswith((".localhost", ".local", ".internal"))
    ):
        raise wrong
    return name


def _ip(text: str, wrong: FetchError) -> Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise wrong from None


def ascii_path(path: str) -> str:
    """Return a path and query as ASCII, as RFC 3987 3.1 maps them; what is encoded stays as it is."""
    return "".join(letter if letter.isascii() else _percent(letter) for letter in path)


def _percent(letter: str) -> str:
    return "".join(f"%{octet:02X}" for octet in letter.encode("utf-8", "surrogatepass"))


def refuse_private(addresses: Sequence[Address], allow: Sequence[Network] = ()) -> None:
    """Raise FetchError unless every address is public or in an allowed network: one bad one spoils all."""
    if not addresses:
        raise FetchError("The host has no address. Check the spelling of the web address.")
    for address in addresses:
        if not is_public(address) and not any(address in network for network in allow):
            raise FetchError(
                "The host's name leads to an address that is not public, so nothing was fetched. "
                "If it is your own site, save the page as a file and ingest that."
            )
