"""What an e-mail address is, for every room: its wire form and its index form.

Two addresses that reach the same mailbox must give the same blind index, and the
same person must be found in ten years, so these functions are never changed
without re-indexing. They check no delivery and know no network.
"""

import re
import unicodedata

import idna

DOMAIN_OCTETS = 253  # RFC 1035 2.3.4, without the root dot
_LABELS = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # a line end here would end an SMTP command


class AddressError(ValueError):
    """The text is no e-mail address. The message never repeats it."""


def wire_address(address: str) -> str:
    """Return the address as an SMTP envelope carries it; the local part keeps its case.

    The domain becomes A-labels in lower case (RFC 5890, UTS 46), so that no server needs
    SMTPUTF8 for a domain; the local part becomes NFC (RFC 6532 3.1).
    Raises AddressError when there is no local part, no domain, a control character, or no
    such domain name. Whether the address is valid in every other way is not asked.
    """
    local, _, domain = address.strip().rpartition("@")
    if not local or not domain:
        raise AddressError("An address needs something before and after its @-sign.")
    if _CONTROL.search(local):
        raise AddressError("An address holds no control characters and no line ends.")
    return f"{unicodedata.normalize('NFC', local)}@{a_labels(domain)}"


def normalise_address(address: str) -> str:
    """Return the one form under which an address is indexed and compared.

    As `wire_address`, with the local part in lower case: RFC 5321 2.4 lets a server tell
    `Anna@` from `anna@`, no server that people use does, and a person who types their
    address with a capital must still be found. It is never mailed to.
    Raises AddressError as `wire_address` does.
    """
    local, _, domain = wire_address(address).rpartition("@")
    return f"{unicodedata.normalize('NFC', local.lower())}@{domain}"


def a_labels(domain: str) -> str:
    """Return a domain name as lower-case A-labels, without a final dot (`bücher.example` -> `xn--...`).

    Raises AddressError for what is no domain name.
    """
    name = domain.strip().rstrip(".")
    # The length comes first: idna takes quadratic time on endless labels.
    if not name or len(name) > DOMAIN_OCTETS:
        raise AddressError("The part after the @-sign is no domain name.")
    try:
        labels = name if name.isascii() else idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except idna.IDNAError as error:
        raise AddressError("The part after the @-sign is no domain name.") from error
    labels = labels.lower()
    if len(labels) > DOMAIN_OCTETS or not _LABELS.fullmatch(labels):
        raise AddressError("The part after the @-sign is no domain name.")
    return labels
