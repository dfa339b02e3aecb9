"""Addresses as they stand on the wire: `MAIL FROM:<here>` and `RCPT TO:<here>`.

Pure. Turns a domain into A-labels (UTS 46, IDNA 2008) and refuses whatever
could be misread as another command, parameter or mailbox. The local part is
never changed. No message of this module ever holds the address.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from mailer.addresses import AddressError, a_labels

MAX_ADDRESS = 254  # RFC 5321 4.5.3.1.3: a path is 256 octets with its brackets
MAX_LOCAL_PART = 64  # RFC 5321 4.5.3.1.1

_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
_DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*\Z")
# RFC 5321 lets a quoted local part hold angle brackets; enough servers end the
# mailbox at the first ">" that such an address may reach somebody else.
_QUOTED = re.compile(r'"(?:[ !#-;=?-\[\]-~]|\\[ -;=?-~])*"\Z')
_DOMAIN = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\Z"
)
# What nearly every address is; all else takes the long way, with the same rules.
_PLAIN = re.compile(rf"({_ATEXT}+(?:\.{_ATEXT}+)*)@([A-Za-z0-9.-]+)\Z")
_ASCII_SPECIALS = frozenset('()<>[]:;@\\,"')
# Controls, separators, surrogates, private use: never part of a mailbox name.
_REFUSED_CATEGORIES = frozenset({"Cc", "Zs", "Zl", "Zp", "Cs", "Co"})


class AddressSyntaxError(ValueError):
    """The address cannot stand in an SMTP command. Says which rule, never the address."""


@dataclass(frozen=True, slots=True)
class WireAddress:
    """A mailbox in the octets of the wire, without angle brackets."""

    octets: bytes = field(repr=False)
    utf8: bool
    """True when the local part is not ASCII, so that the server must offer SMTPUTF8 (RFC 6531)."""


NULL_SENDER = WireAddress(octets=b"", utf8=False)


def to_wire(address: str) -> WireAddress:
    """The address as it goes into an SMTP command; raises AddressSyntaxError.

    Domain literals (`user@[192.0.2.1]`) are refused: no subscriber has one, and
    they would let a sign-up aim mail at a machine inside the relay's network.
    """
    plain = _PLAIN.match(address)
    if plain is not None and plain.end(1) <= MAX_LOCAL_PART and plain.end() <= MAX_ADDRESS:
        _domain_to_wire(plain[2])
        return WireAddress(address.encode("ascii"), False)
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise AddressSyntaxError("an address needs a local part, an @ and a domain")
    utf8 = not local.isascii()
    if utf8:
        _check_utf8_local_part(local)
    elif not (_DOT_ATOM.match(local) or _QUOTED.match(local)):
        raise AddressSyntaxError(
            "the local part holds a character or an order of dots that SMTP does not allow"
        )
    local_octets = local.encode("utf-8")
    if len(local_octets) > MAX_LOCAL_PART:
        raise AddressSyntaxError(f"the local part is longer than {MAX_LOCAL_PART} octets")
    octets = local_octets + b"@" + _domain_to_wire(domain)
    if len(octets) > MAX_ADDRESS:
        raise AddressSyntaxError(f"the address is longer than {MAX_ADDRESS} octets")
    return WireAddress(octets, utf8)


def _check_utf8_local_part(local: str) -> None:
    for character in local:
        if character in _ASCII_SPECIALS or unicodedata.category(character) in _REFUSED_CATEGORIES:
            raise AddressSyntaxError("the local part holds a character that SMTP does not allow")
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise AddressSyntaxError("the local part holds an order of dots that SMTP does not allow")


@lru_cache(maxsize=4096)
def _domain_to_wire(domain: str) -> bytes:
    ascii_domain = domain if domain.isascii() else _to_a_labels(domain)
    if len(ascii_domain) > MAX_ADDRESS or not _DOMAIN.match(ascii_domain):
        raise AddressSyntaxError("the domain is not a host name")
    return ascii_domain.encode("ascii")


def _to_a_labels(domain: str) -> str:
    if any(character.isspace() for character in domain):  # the shared function would strip it
        raise AddressSyntaxError("the domain holds a space")
    try:
        return a_labels(domain)
    except AddressError:
        raise AddressSyntaxError("the domain is not a valid international host name") from None
