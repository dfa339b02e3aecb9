"""What a fact must be before it may stand in a mail: there, free of slot markers, and linked safely.

Only strings are looked at, at any depth; what they mean is for the services to know.
"""

import dataclasses
from collections.abc import Iterator
from urllib.parse import urlsplit

from mailer.messages.refusal import FillError
from mailer.messages.slots import refuse_markers
from mailer.messages.values import check_url

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class FactRefused(ValueError):
    """A fact that may not stand in a mail. The message names the fact and says what to do."""


def check_facts(facts: object, path: str) -> None:
    """Raise FactRefused for the first string in a facts dataclass that is blank, holds a slot marker where
    none may be, or is a `url` that is not https (http is let through to this machine only, for the demo).

    `path` begins the name that the message gives to the fact: "reminder.symposium.title".
    """
    for name, value, may_hold_slots in _strings(facts, path):
        if not value.strip():
            raise FactRefused(f"{name} is blank. Fill it in, or leave the optional fact out.")
        if not may_hold_slots:
            try:
                refuse_markers(value)
            except ValueError as error:
                raise FactRefused(f"{name}: {error}") from error
        if name.endswith("url"):
            _check_address(name, value)


def _check_address(name: str, url: str) -> None:
    try:
        check_url(url)
    except FillError as error:
        raise FactRefused(f"{name}: {error.reason}") from error
    address = urlsplit(url)
    if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _LOOPBACK):
        raise FactRefused(f"{name} is not an https address. A mail links to https only.")


def _strings(facts: object, path: str) -> Iterator[tuple[str, str, bool]]:
    """Every string in a facts dataclass with its dotted name, and whether slot markers may be in it."""
    if not dataclasses.is_dataclass(facts):
        return
    for field in dataclasses.fields(facts):
        value = getattr(facts, field.name)
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, str):
                yield f"{path}.{field.name}", item, bool(field.metadata.get("may_hold_slots"))
            else:
                yield from _strings(item, f"{path}.{field.name}")
