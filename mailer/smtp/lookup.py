"""One question to DNS and its answer as a value: there, not there, no such name, or unknown.

The difference between "no" and "unknown" decides whether mail fails or waits, so it is
drawn here once. Every question ends in bounded time, and nothing a name server sends
raises. What a resolver claims to have validated is believed only from this machine.
"""

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.resolver

PATIENCE = 5.0  # seconds for one question, over all name servers
MAX_ALIASES = 8  # CNAMEs followed by asking again, beside those in one answer
AT_ONCE = 256  # questions in flight
_FLAGS = dns.flags.RD | dns.flags.AD  # AD in a question asks for AD in the answer (RFC 6840 5.7)
_PAYLOAD = 1232  # octets that pass every network unfragmented; a longer answer comes by TCP


class State(Enum):
    FOUND = "found"
    NO_RECORD = "no record"  # the name exists, without this type
    NO_NAME = "no name"
    UNKNOWN = "unknown"  # SERVFAIL, an answer that cannot be read, a loop
    SILENT = "silent"  # no answer in time


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What DNS says. `name` is where the aliases end; `ttl` in seconds also holds for a "no"."""

    state: State
    records: tuple[dns.rdata.Rdata, ...] = ()
    name: str
    secure: bool = False
    ttl: int = 0

    @property
    def is_known(self) -> bool:
        """False when asking again could give any other answer."""
        return self.state not in (State.UNKNOWN, State.SILENT)


def stub_resolver(nameservers: Sequence[str] = (), *, port: int = 53) -> dns.asyncresolver.Resolver:
    """A resolver that asks these addresses, or the system's; no search list, no cache of its own."""
    resolver = dns.asyncresolver.Resolver(configure=not nameservers)
    if nameservers:
        resolver.nameservers = list(nameservers)
    resolver.port = port
    resolver.timeout = PATIENCE / 2
    resolver.lifetime = PATIENCE
    resolver.cache = None
    resolver.use_edns(0, 0, _PAYLOAD)
    resolver.flags = _FLAGS
    return resolver


class Lookup:
    """Asks a resolver. With `validating`, its AD flag is believed; without, no answer is secure.

    Raises ValueError when `validating` is asked of a resolver that is not on this machine: the
    flag travels in clear text, and whoever could forge it could forge the answer too.
    """

    def __init__(
        self, resolver: dns.asyncresolver.Resolver, *, validating: bool = False, patience: float = PATIENCE
    ) -> None:
        if validating and not _is_trusted(resolver):
            raise ValueError(
                "DANE needs a validating resolver on this machine: name 127.0.0.1 or ::1 as its only address"
            )
        self._resolver = resolver
        self._validating = validating
        self._patience = patience
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def ask(self, name: str, kind: str) -> Found:
        """The records of one type at a name, through its aliases. Never raises."""
        asked = name
        secure = True
        for _ in range(MAX_ALIASES):
            found = await self._ask_once(asked, kind)
            secure = secure and found.secure
            if found.state is not State.NO_RECORD or found.name == asked:
                return Found(
                    state=found.state, records=found.records, name=found.name, secure=secure, ttl=found.ttl
                )
            asked = found.name  # an alias whose end the answer does not hold
        return Found(state=State.UNKNOWN, name=name)

    async def _ask_once(self, name: str, kind: str) -> Found:
        try:
            question = dns.name.from_text(name)
        except (dns.exception.DNSException, UnicodeError):  # too long, for instance below _25._tcp
            return Found(state=State.NO_NAME, name=name, secure=True)
        try:
            async with self._turn:
                answer = await self._resolver.resolve(
                    question, kind, raise_on_no_answer=False, search=False, lifetime=self._patience
                )
        except dns.resolver.NXDOMAIN as no:
            return self._no_name(no, name)
        except dns.exception.Timeout:
            return Found(state=State.SILENT, name=name)
        except (dns.exception.DNSException, OSError, EOFError, ValueError):
            return Found(state=State.UNKNOWN, name=name)
        return Found(
            state=State.NO_RECORD if answer.rrset is None else State.FOUND,
            records=tuple(answer.rrset or ()),
            name=plain(answer.canonical_name),
            secure=self._is_secure(answer.response.flags),
            ttl=answer.chaining_result.minimum_ttl,
        )

    def _no_name(self, no: dns.resolver.NXDOMAIN, name: str) -> Found:
        responses: list[dns.message.QueryMessage] = list(no.kwargs["responses"].values())
        return Found(
            state=State.NO_NAME,
            name=name,
            secure=all(self._is_secure(response.flags) for response in responses),
            ttl=min((response.resolve_chaining().minimum_ttl for response in responses), default=0),
        )

    def _is_secure(self, flags: int) -> bool:
        return self._validating and bool(flags & dns.flags.AD)


def plain(name: dns.name.Name) -> str:
    """A name of DNS as text in lower case without its final dot; octets that are no text are escaped."""
    return name.to_text(omit_final_dot=True).lower()


def _is_trusted(resolver: dns.asyncresolver.Resolver) -> bool:
    if not resolver.flags or not resolver.flags & dns.flags.AD:
        return False
    return bool(resolver.nameservers) and all(_is_loopback(str(server)) for server in resolver.nameservers)


def _is_loopback(server: str) -> bool:
    try:
        return ipaddress.ip_address(server).is_loopback
    except ValueError:  # a resolver over https, by name
        return False
