"""Slots: the places of a mail that differ from reader to reader.

A slot is written into rendered text as a marker that nothing else may produce: private-use
characters in text, a reserved host (RFC 2606 `.invalid`) where a whole URL stands.
Text from outside must pass `refuse_markers`; a slot's value is data and is never read for
markers or placeholders again.
"""

import difflib
import html
import re
from dataclasses import dataclass

_OPEN, _CLOSE = "\ue000", "\ue001"
_HOST = "slot.invalid"
_NAME = r"[a-z][a-z0-9_]{0,39}"
_MARKER = re.compile(rf"{_OPEN}(?P<text>{_NAME}){_CLOSE}|https://slot\.invalid/~(?P<url>{_NAME})~")
# Percent-encoded as well: that is what Markdown makes of a text slot inside a link's address.
_MARKS = (_OPEN, _CLOSE, _HOST, "%ee%80%80", "%ee%80%81")
_PLACEHOLDER = re.compile(r"(?<!\\)\(\((?!\()(?P<inside>[^()\n]*)(?P<close>\)\))?")


class MarkerInText(ValueError):
    """Text from outside holds a slot marker, or something that would become one."""


class UnknownPlaceholder(ValueError):
    """Staff text holds `((name))` for a name this mail does not offer."""

    def __init__(self, name: str, line: int, suggestion: str | None, *, closed: bool = True) -> None:
        self.name = name
        self.line = line
        self.suggestion = suggestion
        if not closed:
            what = f"line {line}: '((' is not closed by '))' on the same line."
        elif suggestion:
            what = f"line {line}: there is no placeholder (({name})). Did you mean (({suggestion}))?"
        else:
            what = f"line {line}: there is no placeholder (({name})) in this kind of mail."
        super().__init__(rf"{what} For two brackets as letters write \(( instead.")


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One place to fill. `is_url`: the whole URL is the value and is checked as one."""

    name: str
    is_url: bool


def text_slot(name: str) -> str:
    """The marker of a slot that holds words. ValueError if the name is not lower-case a-z, 0-9, _."""
    return f"{_OPEN}{_checked(name)}{_CLOSE}"


def url_slot(name: str) -> str:
    """The marker of a slot that holds a whole URL; it passes Markdown, nh3 and css-inline unchanged."""
    return f"https://{_HOST}/~{_checked(name)}~"


def find_slots(text: str) -> frozenset[str]:
    """The names of all slots in a rendered text, of either kind."""
    return frozenset(match["text"] or match["url"] for match in _MARKER.finditer(text))


def holds_marker(text: str) -> bool:
    """Whether there is a marker in the text, whole, damaged or percent-encoded."""
    lowered = text.lower()
    return any(mark in lowered for mark in _MARKS)


def split_slots(text: str) -> list[str | Slot]:
    """The text cut at its markers, in order; empty strings between them are left out.

    Raises MarkerInText if half a marker is left over: a marker was cut, changed or forged on the way.
    """
    pieces: list[str | Slot] = []
    position = 0
    for match in _MARKER.finditer(text):
        pieces.append(text[position : match.start()])
        pieces.append(Slot(name=match["text"] or match["url"], is_url=match["url"] is not None))
        position = match.end()
    pieces.append(text[position:])
    for piece in pieces:
        if isinstance(piece, str) and holds_marker(piece):
            raise MarkerInText(
                "a slot marker was damaged on its way through the template; a slot stands alone in text, "
                "or is the whole of a link's address"
            )
    return [piece for piece in pieces if piece]


def refuse_markers(text: str) -> None:
    """Raise MarkerInText if text from outside could be taken for a slot, also once its entities are read."""
    if holds_marker(text) or holds_marker(html.unescape(text)):
        raise MarkerInText(
            "the text holds a character (U+E000 or U+E001) or the host name 'slot.invalid', which are kept "
            "for the mailer itself; remove it"
        )


def expand_placeholders(markdown: str, allowed: frozenset[str]) -> str:
    r"""Staff's `((first_name))` as slot markers; a name that ends in `_url` becomes a URL slot.

    Spaces inside the brackets are ignored; `\((` stays two letters. Raises UnknownPlaceholder with the
    line (from 1) and the nearest known name, and MarkerInText if the text holds a marker already.
    """
    refuse_markers(markdown)

    def marker(match: re.Match[str]) -> str:
        name = match["inside"].strip()
        line = markdown.count("\n", 0, match.start()) + 1
        if match["close"] is None:
            raise UnknownPlaceholder(name[:40], line, None, closed=False)
        if name not in allowed:
            wanted = re.sub(r"[\s-]+", "_", name.lower())
            near = difflib.get_close_matches(wanted, sorted(allowed), n=1, cutoff=0.6)
            raise UnknownPlaceholder(name[:40], line, near[0] if near else None)
        return url_slot(name) if name.endswith("_url") else text_slot(name)

    return _PLACEHOLDER.sub(marker, markdown)


def _checked(name: str) -> str:
    if not re.fullmatch(_NAME, name):
        raise ValueError("a slot's name is 1 to 40 of a-z, 0-9 and _, and begins with a letter")
    return name
