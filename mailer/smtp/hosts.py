"""The words of direct delivery: the hosts a domain's mail goes to, how safely, or why to none.

Only values, and the one question direct delivery asks (`Roads`). Who answers it by DNS is
`roads`; what a TLS policy means for a handshake is `tls`. A refusal never holds an address.
"""

import socket
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from mailer.smtp.dane import TlsaRecord
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict, decided_here


class TlsPolicy(StrEnum):
    """What a connection must prove before it gets a letter, weakest first."""

    OPPORTUNISTIC = "opportunistic"  # TLS where offered, else clear text
    REQUIRE = "require"  # TLS, from whomever
    VERIFIED = "verified"  # a certificate of a public authority for the host's name (MTA-STS)
    DANE = "dane"  # a certificate that the host's TLSA records name


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """One address to try. `name` is sent as SNI and is what a verified certificate must carry."""

    name: str
    address: str
    family: int  # socket.AF_INET or AF_INET6
    port: int = 25
    tls: TlsPolicy
    tlsa: tuple[TlsaRecord, ...] = ()
    names: tuple[str, ...] = ()
    """With DANE: the names of which a certificate below a DANE-TA authority must carry one."""

    @property
    def is_ipv6(self) -> bool:
        return self.family == socket.AF_INET6


@dataclass(frozen=True, kw_only=True, slots=True)
class Road:
    """Where one domain's mail goes. With a refusal no host may be tried, and there is none."""

    site: str
    hosts: tuple[Host, ...] = ()
    refusal: Outcome | None = None


class Roads(Protocol):
    async def road(self, domain: str) -> Road:
        """The road for a recipient's domain; the answer may be remembered. Never raises for bad DNS."""
        ...


def _refusal(verdict: Verdict, reason: Reason, enhanced: str, text: str) -> Outcome:
    # A failure is the address's own; a deferral is nobody's whose mail could be held back for it.
    fault = Fault.RECIPIENT if verdict is Verdict.FAILED else Fault.NONE
    return replace(decided_here(verdict, fault, reason, text=text), enhanced=enhanced)


NO_SUCH_DOMAIN = _refusal(Verdict.FAILED, Reason.ADDRESS, "5.1.2", "the domain does not exist")
NULL_MX = _refusal(Verdict.FAILED, Reason.ADDRESS, "5.1.10", "the domain says that it takes no mail")
NOT_A_DOMAIN = _refusal(Verdict.FAILED, Reason.ADDRESS_SYNTAX, "5.1.2", "this is no domain name")
DNS_SILENT = _refusal(
    Verdict.DEFERRED, Reason.TIMEOUT, "4.4.3", "the domain's name servers did not answer in time"
)
DNS_FAILS = _refusal(Verdict.DEFERRED, Reason.TEMPORARY, "4.4.3", "the domain's name servers give no answer")
DOMAIN_VANISHED = _refusal(
    Verdict.DEFERRED, Reason.TEMPORARY, "4.4.3", "the domain is said not to exist, but it did lately"
)
NO_HOST = _refusal(
    Verdict.DEFERRED, Reason.CONNECT, "4.4.4", "the domain's mail hosts have no address that may be tried"
)
POLICY_NAMES_NO_HOST = _refusal(
    Verdict.DEFERRED, Reason.NO_TLS, "4.7.5", "the domain's MTA-STS policy allows none of its mail hosts"
)
DANE_UNKNOWN = _refusal(
    Verdict.DEFERRED, Reason.NO_TLS, "4.7.5", "the TLSA records of the domain's mail hosts cannot be read"
)
