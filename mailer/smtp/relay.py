"""The relay: where mail goes and how safely, read from one URL.

    smtps://user:password@host          TLS from the first byte (port 465)
    smtp://user:password@host           STARTTLS, certificate verified (port 587)
    smtp://127.0.0.1:2525               loopback: no TLS needed
    smtp://host:25?tls=none&insecure=yes   clear text, for a closed network of your own; never with a password

Options: `tls=starttls|none`, `insecure=yes`, `ca=/path/to/ca.pem` (a private
authority), `connections=N` (1 to 50), `depth=N` (1 to 32: mails in flight on one
connection where the relay offers CHUNKING), `chunking=no`, and, among several
relays separated by white space, `weight=N` (1 to 100). There is no way to skip the
check of a certificate. The password and the user never appear in repr, str or an error.
"""

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import idna

DEFAULT_CONNECTIONS = 4
MAX_CONNECTIONS = 50
DEFAULT_DEPTH, MAX_DEPTH = 8, 32
MAX_WEIGHT = 100
_PORT_IMPLICIT, _PORT_SUBMISSION, _PORT_PLAIN = 465, 587, 25
_OPTIONS = ("tls", "insecure", "ca", "connections", "depth", "chunking", "weight")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
_EXAMPLE = "for instance smtp://user:password@relay.example.org:587"


class RelayError(ValueError):
    """The relay's URL cannot be used: what is wrong with it, and what to write instead."""


class Tls(StrEnum):
    IMPLICIT = "implicit"
    STARTTLS = "starttls"
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Relay:
    """A relay that is safe to talk to. `password` is only ever read by the login."""

    host: str
    port: int
    tls: Tls
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    connections: int = DEFAULT_CONNECTIONS
    depth: int = DEFAULT_DEPTH
    chunking: bool = True
    weight: int = 1
    ca: Path | None = None

    @classmethod
    def parse(cls, url: str) -> "Relay":
        """Read the URL; raises RelayError with a message that shows neither the URL nor a secret."""
        scheme, host, port, user, password, options = _split(url)
        implicit = scheme == "smtps"
        tls = _tls(options, host, implicit=implicit)
        if user is not None and tls is Tls.NONE and not is_loopback(host):
            raise RelayError(
                "a password must not travel in clear text: remove tls=none, or remove user and password"
            )
        if port is None:
            port = {Tls.IMPLICIT: _PORT_IMPLICIT, Tls.STARTTLS: _PORT_SUBMISSION, Tls.NONE: _PORT_PLAIN}[tls]
        _check_port(port, implicit=implicit)
        return cls(
            host=host,
            port=port,
            tls=tls,
            user=user,
            password=password,
            connections=_number(options, "connections", DEFAULT_CONNECTIONS, MAX_CONNECTIONS),
            depth=_number(options, "depth", DEFAULT_DEPTH, MAX_DEPTH),
            chunking=_chunking(options),
            weight=_number(options, "weight", 1, MAX_WEIGHT),
            ca=_ca(options, tls),
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'smtps' if self.tls is Tls.IMPLICIT else 'smtp'}://{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """True when the host is this machine by its name alone; nothing is looked up."""
        return is_loopback(self.host)

    def without_secrets(self, text: str) -> str:
        """A server's text with the login taken out, also in the forms in which AUTH sends it."""
        for secret in self._secret_forms():
            text = text.replace(secret, "<secret>")
        return text

    def _secret_forms(self) -> list[str]:
        plain = [word for word in (self.password, self.user) if word]
        joined = (
            [f"\0{self.user}\0{self.password}", f"{self.user}\0{self.user}\0{self.password}"]
            if self.user
            else []
        )
        coded = [base64.b64encode(word.encode("utf-8")).decode("ascii") for word in plain + joined]
        return sorted(plain + coded, key=len, reverse=True)


def parse_all(text: str) -> tuple[Relay, ...]:
    """One relay or several, their URLs separated by white space; raises RelayError."""
    urls = text.split()
    if not urls:
        raise RelayError(f"no relay is named: give at least one URL, {_EXAMPLE}")
    relays = tuple(Relay.parse(url) for url in urls)
    if len({str(relay) for relay in relays}) != len(relays):
        raise RelayError("two of the relays are the same host and port: keep one, with a greater weight")
    return relays


def is_loopback(host: str) -> bool:
    """True for `localhost`, 127.0.0.0/8 and ::1, written exactly so. Never asks DNS, which could lie."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address in ipaddress.ip_network("127.0.0.0/8") if address.version == 4 else str(address) == "::1"


def _split(url: str) -> tuple[str, str, int | None, str | None, str | None, Mapping[str, str]]:
    if any(ord(character) < 33 or ord(character) == 127 for character in url):
        raise RelayError(
            "the relay's URL holds a space or a control character: write such characters as %20 and so on"
        )
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.lower() not in ("smtp", "smtps"):
        raise RelayError(f"the relay's URL must begin with smtp:// or smtps://, {_EXAMPLE}")
    # No exception of urllib gets out: some quote a piece of the password.
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise RelayError(
            "the relay's port is not a number from 1 to 65535, or the password holds one of / ? # [ ] "
            "unescaped: write %2F %3F %23 %5B %5D"
        ) from None
    if parts.path not in ("", "/") or parts.fragment:
        raise RelayError(
            "nothing may follow the relay's port but options (?tls=...); "
            "if the password holds / ? or #, write %2F %3F %23"
        )
    user, password = _login(parts.username, parts.password)
    return scheme.lower(), _host(host), port, user, password, _read_options(parts.query)


def _login(user: str | None, password: str | None) -> tuple[str | None, str | None]:
    if not user and not password:
        return None, None
    if not user or not password:
        raise RelayError("the relay's URL needs user and password together, as smtp://user:password@host")
    user, password = unquote(user), unquote(password)
    if any(ord(character) < 32 or ord(character) == 127 for character in user + password):
        raise RelayError("the relay's user or password holds a control character")
    return user, password


def _host(host: str) -> str:
    if not host:
        raise RelayError(f"the relay's URL names no host, {_EXAMPLE}")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        name = ""
    if not _HOST.match(name) or ".." in name:
        raise RelayError(
            "the relay's host is not a host name or an IP address; write relay.example.org or [2001:db8::1]"
        )
    return name.lower()


def _read_options(query: str) -> Mapping[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _OPTIONS:
            raise RelayError(f"the relay's URL has an unknown option; known are {', '.join(_OPTIONS)}")
        if name in options:
            raise RelayError(f"the relay's URL gives the option {name} twice; keep one")
        options[name] = value
    return options


def _tls(options: Mapping[str, str], host: str, *, implicit: bool) -> Tls:
    asked = options.get("tls")
    if asked is not None and asked not in ("starttls", "none"):
        raise RelayError("the option tls is starttls or none; for TLS from the first byte write smtps://")
    if implicit:
        if asked is not None:
            raise RelayError("smtps:// is TLS already: remove the option tls, or write smtp://")
        return Tls.IMPLICIT
    if is_loopback(host):
        return Tls.STARTTLS if asked == "starttls" else Tls.NONE
    if asked == "none" and options.get("insecure") != "yes":
        raise RelayError(
            "tls=none would send addresses in clear text through the network: remove it, "
            "or, on a closed network of your own only, write ?tls=none&insecure=yes"
        )
    return Tls.NONE if asked == "none" else Tls.STARTTLS


def _check_port(port: int, *, implicit: bool) -> None:
    if not 1 <= port <= 65535:
        raise RelayError("the relay's port must be from 1 to 65535")
    if implicit and port in (_PORT_SUBMISSION, _PORT_PLAIN):
        raise RelayError(
            f"port {port} begins in clear text and uses STARTTLS: write smtp:// instead of smtps://"
        )
    if not implicit and port == _PORT_IMPLICIT:
        raise RelayError("port 465 is TLS from the first byte: write smtps:// instead of smtp://")


def _number(options: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = options.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= most):
        raise RelayError(f"the option {name} is a number from 1 to {most}")
    return int(text)


def _chunking(options: Mapping[str, str]) -> bool:
    asked = options.get("chunking", "yes")
    if asked not in ("yes", "no"):
        raise RelayError("the option chunking is yes (where the relay offers it) or no")
    return asked == "yes"


def _ca(options: Mapping[str, str], tls: Tls) -> Path | None:
    text = options.get("ca")
    if text is None:
        return None
    path = Path(text)
    if tls is Tls.NONE:
        raise RelayError("the option ca needs TLS: remove ca, or add tls=starttls")
    if not path.is_file():
        raise RelayError("the option ca names no readable file: give the full path of a PEM certificate")
    return path
