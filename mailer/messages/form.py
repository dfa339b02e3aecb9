"""A form: a mail compiled once per mailing and language, filled per recipient by joining bytes.

`compile_form` checks the rendered mail and encodes everything that is the same for all readers;
`Form.fill` encodes one reader's values for where they stand and joins. No template runs per reader,
nothing of one reader can reach another's bytes, and the same values give the same bytes for ever.
Neither knows a clock, a random source or what a mailing is about.
"""

import hashlib
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mailer.messages.encoding import base64_lines
from mailer.messages.headers import MailingHeaders, head_segments
from mailer.messages.mail_html import check_html
from mailer.messages.refusal import FillError, FormError
from mailer.messages.segments import Insert, Joint, Place, Segment, TransferEncoding, body_segments
from mailer.messages.slots import MarkerInText, Slot, find_slots, split_slots
from mailer.messages.values import check_body_text, html_insert, text_insert

__all__ = ["CalendarPart", "FillError", "Form", "FormError", "MailingHeaders", "Rendered", "compile_form"]

_METHODS = ("PUBLISH", "REQUEST", "CANCEL")


class _Calendar(Enum):
    """Where the calendar's method and octets go."""

    METHOD = "method"
    OBJECT = "object"


_Piece = Segment | _Calendar


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A mail as the templates give it, in one language; subject, html and text may hold slots.

    `html` is the complete document with its CSS inlined, `text` the plain twin; lines end in '\\n'.
    """

    language: str
    subject: str
    html: str
    text: str


class CalendarPart(Protocol):
    """An iTIP object for the mail: its METHOD, and its octets with CRLF line ends."""

    @property
    def method(self) -> str: ...

    @property
    def octets(self) -> bytes: ...


@dataclass(frozen=True, kw_only=True)
class Form:
    """A compiled mail. `slots` names every value that `fill` needs, the reserved ones included.

    Immutable, and safe to share between threads.
    """

    language: str
    slots: frozenset[str]
    html_octets: int
    _fixed: tuple[bytes, ...]
    _places: tuple[tuple[Place, tuple[int, ...]], ...]
    _joints: tuple[tuple[Joint, int], ...]
    _methods: tuple[int, ...]
    _objects: tuple[int, ...]

    def fill(self, values: Mapping[str, str], *, calendar: CalendarPart | None = None) -> bytes:
        """The mail for one recipient: CRLF lines, ready for the wire, no line beginning with a dot.

        Pure ASCII, with one exception: a recipient whose local part is not ASCII stands in To as UTF-8
        (RFC 6532). Then `data.isascii()` is False and the mail needs SMTPUTF8. Values of other names are
        ignored. FillError names the slot whose value is missing or cannot stand where it is to stand.
        """
        pieces = list(self._fixed)
        name = ""
        try:
            for place, indexes in self._places:
                name = place.name
                octets = place.encode(values[name])
                for index in indexes:
                    pieces[index] = octets
            for joint, index in self._joints:
                pieces[index] = joint.fill(values)
        except KeyError as missing:
            raise FillError("has no value; give one", slot=str(missing.args[0])) from None
        except FillError as refused:
            raise FillError(refused.reason, slot=refused.slot or name) from None
        if calendar is not None or self._objects:
            self._place_calendar(pieces, calendar)
        return b"".join(pieces)

    def _place_calendar(self, pieces: list[bytes], calendar: CalendarPart | None) -> None:
        if calendar is None:
            raise FillError("the form has a place for a calendar object; give one to fill")
        if not self._objects:
            raise FillError("the form has no place for a calendar object; compile it with calendar=True")
        method = str(calendar.method)
        if method not in _METHODS or f"\r\nMETHOD:{method}\r\n".encode() not in calendar.octets:
            raise FillError("the calendar's METHOD line and its method differ; build it with calendar.itip")
        for index in self._methods:
            pieces[index] = method.encode("ascii")
        lines = base64_lines(calendar.octets)
        for index in self._objects:
            pieces[index] = lines


def compile_form(rendered: Rendered, headers: MailingHeaders, *, calendar: bool = False) -> Form:
    """The rendered mail as a form. `calendar`: every letter carries an iTIP object, given to `fill`.

    FormError says which rule the mail breaks and what to do: markup a mail may not hold, a slot where
    none may stand, no footer, no text, too large, a header that cannot be written.
    """
    _check_characters(rendered)
    check_html(rendered.html)
    try:
        head = head_segments(headers, rendered.subject)
        text = _body_part("text/plain", rendered.text, text_insert)
        document = _body_part("text/html", rendered.html, html_insert)
    except MarkerInText as damaged:
        raise FormError(str(damaged)) from None
    _check_twin(rendered)
    seed = hashlib.sha256(repr((rendered, headers, calendar)).encode()).hexdigest()[:24]
    return _form(rendered, [*head, *_structure(seed, [text, document], calendar=calendar)])


def _check_characters(rendered: Rendered) -> None:
    for what, body in (("text part", rendered.text), ("HTML", rendered.html)):
        try:
            check_body_text(_with_line_feeds(body) or "\n")
        except FillError as refused:
            raise FormError(f"{what}: {refused.reason.replace('the value', 'it')}") from None


def _with_line_feeds(body: str) -> str:
    return body.replace("\r\n", "\n").replace("\r", "\n")


def _check_twin(rendered: Rendered) -> None:
    if not "".join(piece for piece in split_slots(rendered.text) if isinstance(piece, str)).strip():
        raise FormError("the text part is empty; a mail needs its words as plain text too")
    links = {piece.name for piece in split_slots(rendered.html) if isinstance(piece, Slot) and piece.is_url}
    if missing := sorted(links - find_slots(rendered.text)):
        raise FormError(f"the text part lacks the link '{missing[0]}' of the HTML; add it to the text")


def _body_part(kind: str, body: str, insert: Callable[[Slot], Insert]) -> list[_Piece]:
    text = _with_line_feeds(body)
    pieces = split_slots(text if text.endswith("\n") else text + "\n")
    inserts = [piece if isinstance(piece, str) else insert(piece) for piece in pieces]
    encoding, segments = body_segments(inserts)
    head = f"Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    # Quoted-printable's last line end belongs to the text, so the boundary needs one of its own.
    end = b"\r\n" if encoding is TransferEncoding.QUOTED_PRINTABLE else b""
    return [head.encode(), *segments, end]


def _structure(seed: str, parts: list[list[_Piece]], *, calendar: bool) -> list[_Piece]:
    """The Content headers and the parts. Neither encoding can write '=_': no value forges a boundary."""
    if not calendar:
        return _multipart("alternative", f"=_alt_{seed}", parts)
    invitation: list[_Piece] = [
        b"Content-Type: text/calendar; method=",
        _Calendar.METHOD,
        b"; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        _Calendar.OBJECT,
    ]
    attachment: list[_Piece] = [
        b'Content-Type: application/ics; name="invite.ics"\r\n'
        b'Content-Disposition: attachment; filename="invite.ics"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n",
        _Calendar.OBJECT,
    ]
    alternative = _multipart("alternative", f"=_alt_{seed}", [*parts, invitation])
    return _multipart("mixed", f"=_mix_{seed}", [alternative, attachment])


def _multipart(kind: str, boundary: str, parts: list[list[_Piece]]) -> list[_Piece]:
    pieces: list[_Piece] = [f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n\r\n'.encode()]
    for part in parts:
        pieces += [f"--{boundary}\r\n".encode(), *part]
    return [*pieces, f"--{boundary}--\r\n".encode()]


def _form(rendered: Rendered, pieces: list[_Piece]) -> Form:
    fixed: list[bytes] = []
    places: dict[Place, list[int]] = {}
    joints: list[tuple[Joint, int]] = []
    marks: dict[_Calendar, list[int]] = {_Calendar.METHOD: [], _Calendar.OBJECT: []}
    for is_fixed, group in itertools.groupby(pieces, key=lambda piece: isinstance(piece, bytes)):
        if is_fixed:
            fixed.append(b"".join(piece for piece in group if isinstance(piece, bytes)))
            continue
        for piece in group:
            index = len(fixed)
            fixed.append(b"")
            if isinstance(piece, Place):
                places.setdefault(piece, []).append(index)
            elif isinstance(piece, _Calendar):
                marks[piece].append(index)
            elif not isinstance(piece, bytes):
                joints.append((piece, index))
    return Form(
        language=rendered.language,
        slots=frozenset(place.name for place in places).union(*(joint.names for joint, _ in joints)),
        html_octets=len(rendered.html.encode()),
        _fixed=tuple(fixed),
        _places=tuple((place, tuple(indexes)) for place, indexes in places.items()),
        _joints=tuple(joints),
        _methods=tuple(marks[_Calendar.METHOD]),
        _objects=tuple(marks[_Calendar.OBJECT]),
    )
