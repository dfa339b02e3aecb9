"""MTA-STS (RFC 8461): the policy by which a domain tells senders to insist on verified TLS.

A policy once read holds until it expires, whatever an attacker takes away: a DNS record
that is gone and a page that cannot be fetched change nothing. How the page is fetched is
an argument; this module must never follow what the page says beyond its own fields.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from dns.rdtypes.txtbase import TXTBase

from mailer.smtp.lookup import Lookup, State

Fetch = Callable[[str], Awaitable[bytes]]
"""Gets a page over https: certificate verified, no redirect, status 200, text/plain; else raises."""

MAX_BYTES = 64 * 1024
MAX_HOSTS = 100
MAX_AGE = 31_557_600  # seconds; one year (RFC 8461 3.2)
REFRESH = 86_400.0  # seconds after which a policy is read again although its id is the same
RETRY = 300.0  # seconds before a page that could not be read is asked for again (RFC 8461 3.3)
FETCH_SECONDS = 10.0
MAX_POLICIES = 10_000

_RECORD = re.compile(rb"v=STSv1[ \t]*;")
_FIELD = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[!-:<>-~]+")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:[ \t]*([^\x00-\x1f\x7f]*?)[ \t]*")
_HOST = re.compile(
    r"(?:\*\.)?(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)


class PolicyError(ValueError):
    """The record or the page is no MTA-STS policy. Says which rule was broken."""


class Mode(StrEnum):
    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """A domain's policy: `max_age` in seconds; `hosts` are names, or `*.` and a name."""

    mode: Mode
    max_age: int
    hosts: tuple[str, ...] = ()

    def allows(self, host: str) -> bool:
        """Whether an MX host's name is one of the policy's; `*` stands for exactly one label."""
        name = host.lower().rstrip(".")
        _, _, parent = name.partition(".")
        return name in self.hosts or (bool(parent) and f"*.{parent}" in self.hosts)


def policy_id(records: Iterable[bytes]) -> str | None:
    """The id in the TXT records at `_mta-sts.domain` (RFC 8461 3.1); None for no policy.

    Two records are as good as none. Raises PolicyError for one without a readable id.
    """
    found = [record for record in records if _RECORD.match(record)]
    if len(found) != 1:
        return None
    fields = [field.strip(b" \t") for field in found[0].split(b";")[1:]]
    ids = [field[3:].decode("ascii") for field in fields if _FIELD.fullmatch(field) and field[:3] == b"id="]
    if len(ids) != 1 or not _ID.fullmatch(ids[0]):
        raise PolicyError("the MTA-STS record has no single id of 1 to 32 letters and digits")
    return ids[0]


def read_policy(page: bytes) -> Policy:
    """The policy in a page (RFC 8461 3.2); unknown fields are ignored. Raises PolicyError."""
    if len(page) > MAX_BYTES:
        raise PolicyError(f"the MTA-STS policy is longer than {MAX_BYTES} octets")
    try:
        text = page.decode("utf-8")
    except UnicodeDecodeError:
        raise PolicyError("the MTA-STS policy is not UTF-8") from None
    fields, hosts = _fields(text)
    if fields.get("version") != "STSv1":
        raise PolicyError("the MTA-STS policy has no version STSv1")
    try:
        mode = Mode(fields.get("mode", ""))
    except ValueError:
        raise PolicyError("the MTA-STS policy's mode is none of enforce, testing and none") from None
    max_age = fields.get("max_age", "")
    if not (max_age.isascii() and max_age.isdigit() and len(max_age) <= 10):
        raise PolicyError("the MTA-STS policy's max_age is no number of seconds")
    if mode is not Mode.NONE and not hosts:
        raise PolicyError("the MTA-STS policy names no host")
    return Policy(mode=mode, max_age=min(int(max_age), MAX_AGE), hosts=hosts)


def _fields(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Fields by name, the first of each counting, and all hosts."""
    fields: dict[str, str] = {}
    hosts: list[str] = []
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        if not line.strip(" \t"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise PolicyError("a line of the MTA-STS policy is no field")
        name, value = match.groups()
        if name == "mx":
            hosts.append(_host(value))
        else:
            fields.setdefault(name, value)
    if len(hosts) > MAX_HOSTS:
        raise PolicyError(f"the MTA-STS policy names more than {MAX_HOSTS} hosts")
    return fields, tuple(hosts)


def _host(value: str) -> str:
    name = value.lower().removesuffix(".")
    if len(name) > 253 or not _HOST.fullmatch(name):
        raise PolicyError("the MTA-STS policy names a host that is no host name")
    return name


@dataclass(kw_only=True, slots=True)
class _Kept:
    """What is remembered of a domain; times by the clock given to Policies."""

    id: str = ""
    policy: Policy | None = None
    expires: float = 0.0
    refresh: float = 0.0
    retry: float = 0.0


class Policies:
    """The policies of domains, kept by id until they expire. `clock` gives monotonic seconds.

    They are kept in memory: a start forgets them, and the first mail to a domain trusts what it finds.
    """

    def __init__(
        self,
        lookup: Lookup,
        fetch: Fetch,
        *,
        clock: Callable[[], float],
        fetch_seconds: float = FETCH_SECONDS,
        max_policies: int = MAX_POLICIES,
    ) -> None:
        self._lookup = lookup
        self._fetch = fetch
        self._clock = clock
        self._fetch_seconds = fetch_seconds
        self._max = max_policies
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def policy(self, domain: str) -> Policy | None:
        """The policy in force for a domain (A-labels, lower case), or None. Never raises."""
        now = self._clock()
        kept = self._kept.get(domain)
        if kept is not None and kept.expires <= now and kept.retry <= now:
            del self._kept[domain]
            kept = None
        announced = await self._announced(domain)
        if announced is not None and self._is_due(kept, announced, now):
            kept = await self._refresh(domain, announced, kept)
        return kept.policy if kept is not None and kept.expires > now else None

    @staticmethod
    def _is_due(kept: _Kept | None, announced: str, now: float) -> bool:
        if kept is None:
            return True
        return kept.retry <= now and (kept.id != announced or kept.refresh <= now)

    async def _announced(self, domain: str) -> str | None:
        found = await self._lookup.ask(f"_mta-sts.{domain}", "TXT")
        if found.state is not State.FOUND:
            return None
        texts = (b"".join(record.strings) for record in found.records if isinstance(record, TXTBase))
        try:
            return policy_id(texts)
        except PolicyError:
            return None

    async def _refresh(self, domain: str, announced: str, kept: _Kept | None) -> _Kept:
        """Read the page; a failure leaves what is kept, and waits before it asks again."""
        kept = kept or _Kept()
        try:
            async with asyncio.timeout(self._fetch_seconds):
                page = await self._fetch(f"https://mta-sts.{domain}/.well-known/mta-sts.txt")
            policy = read_policy(page)
        except Exception:  # the fetcher's errors are its own; each means the same here
            kept.retry = self._clock() + RETRY
        else:
            now = self._clock()
            kept = _Kept(
                id=announced,
                policy=policy,
                expires=now + policy.max_age,
                refresh=now + min(REFRESH, policy.max_age / 2),
            )
        self._kept[domain] = kept
        self._kept.move_to_end(domain)
        while len(self._kept) > self._max:
            self._kept.popitem(last=False)
        return kept
