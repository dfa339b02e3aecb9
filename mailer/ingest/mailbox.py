"""Whether a text is a mailbox that mail can be sent to; with a reason that repeats none of it.

The syntax is RFC 5321, 6531 and 5890. No name server is asked: that a domain exists
today is not what makes an address right.
"""

import re

from email_validator import EmailNotValidError, validate_email

from mailer.addresses import AddressError, a_labels

LOCAL_OCTETS = 64  # RFC 5321 4.5.3.1.1
ADDRESS_OCTETS = 254  # RFC 5321 4.5.3.1.3 with its erratum 1690
_LIMIT = 320  # longer texts are not looked at


class BadMailbox(ValueError):
    """The text is no mailbox. The message says why, without any part of the text."""

    def __init__(self, sentence: str, *, too_long: bool = False) -> None:
        super().__init__(sentence)
        self.too_long = too_long


def mailbox(text: str) -> str:
    """Return the address in its wire form: the local part in NFC, the domain as A-labels.

    Addresses in reserved domains (example.org, .test, .invalid) are valid: lists are rehearsed with
    them. A quoted local part is taken, its needless quotation marks are not kept. Raises BadMailbox.
    """
    if len(text) > _LIMIT:
        raise BadMailbox("The address is too long.", too_long=True)
    local, _, domain = text.rpartition("@")
    obvious = _obvious(text, local, domain)
    if obvious:
        raise BadMailbox(obvious)
    try:
        labels = a_labels(domain)
        checked = validate_email(
            f"{local}@{_as_public(labels)}",
            check_deliverability=False,
            allow_smtputf8=True,
            allow_quoted_local=True,
            test_environment=True,
        )
    except (AddressError, EmailNotValidError, UnicodeError):
        raise BadMailbox("The address is not valid. Look for a typing mistake in it.") from None
    if len(checked.local_part.encode()) > LOCAL_OCTETS:
        raise BadMailbox(f"The part before the @ is longer than {LOCAL_OCTETS} octets.", too_long=True)
    address = f"{checked.local_part}@{labels}"
    if len(address.encode()) > ADDRESS_OCTETS:
        raise BadMailbox(f"The address is longer than {ADDRESS_OCTETS} octets.", too_long=True)
    return address


def _obvious(text: str, local: str, domain: str) -> str | None:
    """The mistakes people make, in words of their own."""
    if "@" not in text:
        return "There is no @ in the address."
    if not local or not domain:
        return "Something is missing before or after the @."
    if re.search(r"\s", text) and not local.startswith('"'):
        return "There is a blank in the address."
    if "@" in local and not local.startswith('"'):
        return "There are two @ in the address."
    if domain.endswith(".") or ".." in text:
        return "There is a dot too many in the address."
    if "." not in domain:
        return "The part after the @ has no dot."
    return None


def _as_public(labels: str) -> str:
    # The library accepts .test on request but never .invalid, which RFC 2606 reserves in the same way.
    name, _, last = labels.rpartition(".")
    return f"{name}.test" if last == "invalid" else labels
