"""What a slot's value becomes in a body: checked, and escaped for where it stands.

A value is data. Nothing in it is expanded, and no way leads from it out of its place: words are
HTML-escaped in HTML, an address must be an http, https or mailto URL in plain ASCII.
"""

import html
import re
from functools import lru_cache

from mailer.messages.encoding import quoted_printable
from mailer.messages.refusal import FillError
from mailer.messages.segments import Insert
from mailer.messages.slots import Slot

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_URL = re.compile(r"(?:https?://[A-Za-z0-9\[]|mailto:[^?&])[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*").fullmatch

# Values that need neither check, escape nor encoding: nearly all of them.
_EASY_LENGTH = 75
_EASY_WORDS = re.compile(r"(?!\.|From )[!#$%(-;?-~]+(?: [!#$%(-;?-~]+)*").fullmatch
_EASY_URL = re.compile(r"https?://[A-Za-z0-9\[][A-Za-z0-9\-._~:/?#\[\]@!$()*+,;%]*").fullmatch


def check_body_text(text: str) -> str:
    """The text itself, or FillError: empty, half a character, or a control other than tab and newline."""
    if not text:
        raise FillError("the value is empty; give the neutral word of the language, or leave the slot out")
    if found := _CONTROL.search(text):
        raise FillError(f"the value holds the control character U+{ord(found[0]):04X}; take it out")
    if _SURROGATE.search(text):
        raise FillError("the value holds half a character (a lone surrogate); read it again as UTF-8")
    return text


def check_url(url: str) -> str:
    """The URL itself, or FillError: not http, https or mailto, or holding more than RFC 3986's ASCII."""
    if not _URL(url):
        raise FillError(
            "the value is not an https, http or mailto address in plain ASCII; "
            "percent-encode what is not, and write the host as an A-label"
        )
    return url


def _html_words(value: str) -> str:
    return html.escape(check_body_text(value))


def _html_url(value: str) -> str:
    return html.escape(check_url(value))


def _printable_text(value: str) -> bytes:
    if len(value) <= _EASY_LENGTH and _EASY_WORDS(value):
        return value.encode("ascii")
    return quoted_printable(check_body_text(value))


def _printable_html(value: str) -> bytes:
    if len(value) <= _EASY_LENGTH and _EASY_WORDS(value):
        return value.encode("ascii")
    return quoted_printable(_html_words(value))


def _printable_text_url(value: str) -> bytes:
    return _easy_url(value) or quoted_printable(check_url(value))


def _printable_html_url(value: str) -> bytes:
    return _easy_url(value) or quoted_printable(_html_url(value))


@lru_cache(maxsize=16)  # the same address stands in the text and in the HTML
def _easy_url(value: str) -> bytes | None:
    """An address of which no letter needs an escape, broken where its lines are full; else None."""
    if not _EASY_URL(value):
        return None
    if len(value) <= _EASY_LENGTH:
        return value.encode("ascii")
    lines = [value[start : start + _EASY_LENGTH] for start in range(0, len(value), _EASY_LENGTH)]
    if any(line[0] == "." for line in lines):  # a line that begins with a dot does need one
        return None
    return "=\r\n".join(lines).encode("ascii")


def text_insert(slot: Slot) -> Insert:
    """The slot as it stands in the plain text part."""
    if slot.is_url:
        return Insert(name=slot.name, finished=check_url, printable=_printable_text_url)
    return Insert(name=slot.name, finished=check_body_text, printable=_printable_text)


def html_insert(slot: Slot) -> Insert:
    """The slot as it stands in the HTML part: between tags, or as the whole of an `href`."""
    if slot.is_url:
        return Insert(name=slot.name, finished=_html_url, printable=_printable_html_url)
    return Insert(name=slot.name, finished=_html_words, printable=_printable_html)
