"""The headers of a mail, in a fixed order, each at most once, by an own serializer.

Python's `email` turns a long List-Unsubscribe into encoded words, and then Gmail and Outlook show no
unsubscribe button; so every header here is written as its RFC says and nothing is guessed.
Never written: Return-Path, Bcc, Cc, Sender, X-Mailer, User-Agent. To holds one address, no name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailer.addresses import AddressError, wire_address
from mailer.messages.header_words import LINE, UnsafeHeader, check_header_text, fold, phrase, unstructured
from mailer.messages.refusal import FillError, FormError
from mailer.messages.segments import Place, Segment
from mailer.messages.slots import Slot, split_slots

TEST_PREFIX = "[test] "

_ATEXT = r"A-Za-z0-9!#$%&'*+\-/=?^_`{|}~"
_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?)*"
_ASCII_ADDRESS = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*@{_HOST}").fullmatch
_LOCAL_PART = re.compile(  # RFC 5322 dot-atom or quoted string, with RFC 6532's characters
    rf"[{_ATEXT}\u00a1-\U0010ffff]+(?:\.[{_ATEXT}\u00a1-\U0010ffff]+)*"
    r'|"(?:[ !#-\[\]-~\u00a1-\U0010ffff]|\\[ -~])*"'
).fullmatch
_MESSAGE_ID = re.compile(rf"<[{_ATEXT}.]{{1,500}}@[A-Za-z0-9.\-]{{1,255}}>").fullmatch
_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{1,2} "
    r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4}"
).fullmatch
# No comma: it parts the addresses of a List header (RFC 2369).
_URI = re.compile(r"(?:https?://|mailto:)[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+;=%]{1,900}").fullmatch
_LIST_ID = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)+").fullmatch
_FEEDBACK_ID = re.compile(r"(?:[!-9;-~]*:){0,3}[!-9;-~]{5,15}").fullmatch
_LONGEST_LIST_ID = 255  # RFC 2919
_LONGEST_FEEDBACK_ID = 150
_LONGEST_ADDRESS = 900  # octets; with its name and 'To: ' it stays on one line of 998


@dataclass(frozen=True, kw_only=True)
class MailingHeaders:
    """What the headers of one mailing say; the same for every recipient of it.

    `list_id` is `topic.lists.example.org`; the list URIs are https, http or mailto. `unsubscribe` adds
    the one-click pair (RFC 8058) from the slots unsubscribe_url and unsubscribe_mailto, `in_reply_to`
    adds In-Reply-To and References from the slot of that name, `test` marks the subject.
    """

    from_name: str
    from_address: str
    reply_to: str | None = None
    list_id: str | None = None
    list_name: str | None = None
    list_help: str | None = None
    list_owner: str | None = None
    list_archive: str | None = None
    unsubscribe: bool = False
    bulk: bool = False
    auto_submitted: bool = False
    feedback_id: str | None = None
    in_reply_to: bool = False
    test: bool = False


def header_address(address: str) -> str:
    """An address as it stands in a header: as `wire_address` writes it, and by RFC 5322's grammar.

    The result is ASCII unless the local part is not; such a mail needs SMTPUTF8 (RFC 6532). FillError
    (which never repeats the address) if it is no address.
    """
    if len(address) <= _LONGEST_ADDRESS and _ASCII_ADDRESS(address):
        return address
    try:
        written = wire_address(check_header_text(address))
    except (AddressError, UnsafeHeader):
        written = ""
    if not _LOCAL_PART(written.rpartition("@")[0]):
        raise FillError("the value is not an address; correct it or leave the recipient out")
    if len(written.encode()) > _LONGEST_ADDRESS:
        raise FillError("the address is too long for a header line; correct it or leave the recipient out")
    return written


def head_segments(headers: MailingHeaders, subject: str) -> list[Segment]:
    """All headers before the Content headers, each ended by CRLF, as fixed octets and places to fill.

    The subject may hold text slots. FormError names the header that cannot be written, and what to do.
    """
    segments: list[Segment] = [b"Date: ", Place(name="date", encode=_date), b"\r\n"]
    segments.append(_mailbox_line("From", headers.from_name, headers.from_address))
    if headers.reply_to is not None:
        segments.append(_mailbox_line("Reply-To", "", headers.reply_to))
    segments += (b"To: ", Place(name="to_address", encode=_address), b"\r\n")
    segments += _subject_segments((TEST_PREFIX if headers.test else "") + subject)
    segments += (b"Message-ID: ", Place(name="message_id", encode=_message_id), b"\r\n")
    if headers.in_reply_to:
        segments += (b"In-Reply-To: ", Place(name="in_reply_to", encode=_message_id), b"\r\n")
        segments += (b"References: ", Place(name="in_reply_to", encode=_message_id), b"\r\n")
    segments += _list_segments(headers)
    if headers.bulk:
        segments += (b"Precedence: list\r\n", b"X-Auto-Response-Suppress: All\r\n")
    if headers.auto_submitted:
        segments.append(b"Auto-Submitted: auto-generated\r\n")
    if headers.feedback_id is not None:
        if not _FEEDBACK_ID(headers.feedback_id) or len(headers.feedback_id) > _LONGEST_FEEDBACK_ID:
            raise FormError(
                "Feedback-ID is at most four fields parted by ':' in plain ASCII, the last of "
                "5 to 15 letters; correct it"
            )
        segments.append(f"Feedback-ID: {headers.feedback_id}\r\n".encode())
    segments.append(b"MIME-Version: 1.0\r\n")
    return segments


def _list_segments(headers: MailingHeaders) -> list[Segment]:
    segments: list[Segment] = []
    if headers.list_id is not None:
        segments.append(_list_id_line(headers.list_id, headers.list_name or ""))
    if headers.unsubscribe:
        # One physical line per address, folded only after the comma, never encoded: receivers insist.
        segments += (b"List-Unsubscribe: <", Place(name="unsubscribe_url", encode=_web_uri))
        segments += (b">,\r\n <", Place(name="unsubscribe_mailto", encode=_mail_uri), b">\r\n")
        segments.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    for name, uri in (
        ("List-Help", headers.list_help),
        ("List-Owner", headers.list_owner),
        ("List-Archive", headers.list_archive),
    ):
        if uri is None:
            continue
        if not _URI(uri):
            raise FormError(
                f"{name} is one https, http or mailto address in ASCII without commas; correct it"
            )
        segments.append(f"{name}: <{uri}>\r\n".encode())
    if headers.list_id is not None:
        segments.append(b"List-Post: NO\r\n")
    return segments


def _list_id_line(list_id: str, list_name: str) -> bytes:
    if not _LIST_ID(list_id) or len(list_id) > _LONGEST_LIST_ID:
        raise FormError("List-Id looks like topic.lists.example.org: ASCII, a dot, at most 255; correct it")
    try:
        tokens = phrase(list_name, room=LINE - len("List-Id: ")) if list_name else []
        return f"{fold('List-Id', [*tokens, f'<{list_id}>'])}\r\n".encode()
    except UnsafeHeader as unsafe:
        raise FormError(f"the list's name {unsafe}") from None


def _mailbox_line(header: str, name: str, address: str) -> bytes:
    try:
        written = header_address(address)
        written.encode("ascii")
        tokens = [*phrase(name, room=LINE - len(header) - 2), f"<{written}>"] if name else [written]
        return f"{fold(header, tokens)}\r\n".encode()
    except FillError as refused:
        raise FormError(f"{header}: {refused.reason}") from None
    except UnsafeHeader as unsafe:
        raise FormError(f"{header}: the name {unsafe}") from None
    except UnicodeEncodeError:
        raise FormError(f"{header}: the local part is not ASCII, which few servers take; change it") from None


def _subject_segments(subject: str) -> list[Segment]:
    if not subject.removeprefix(TEST_PREFIX).strip():
        raise FormError("the subject is empty; give the mailing a subject")
    pieces = split_slots(subject)
    if any(isinstance(piece, Slot) and piece.is_url for piece in pieces):
        raise FormError("the subject holds a URL slot; a subject may hold words only")
    try:
        if not any(isinstance(piece, Slot) for piece in pieces):
            return [f"{unstructured('Subject', subject)}\r\n".encode()]
        for piece in pieces:
            if isinstance(piece, str):
                check_header_text(piece)
    except UnsafeHeader as unsafe:
        raise FormError(f"the subject {unsafe}") from None
    names = frozenset(piece.name for piece in pieces if isinstance(piece, Slot))
    return [_SubjectLine(names=names, pieces=tuple(pieces))]


@dataclass(frozen=True, kw_only=True)
class _SubjectLine:
    """A subject that differs from reader to reader: put together first, then encoded as a whole."""

    names: frozenset[str]
    pieces: tuple[str | Slot, ...]

    def fill(self, values: Mapping[str, str]) -> bytes:
        words = "".join(
            piece if isinstance(piece, str) else _header_words(piece.name, values[piece.name])
            for piece in self.pieces
        )
        return f"{unstructured('Subject', words)}\r\n".encode()


def _header_words(slot: str, value: str) -> str:
    if not value:
        raise FillError("the value is empty; give the neutral word of the language", slot=slot)
    try:
        return check_header_text(value)
    except UnsafeHeader as unsafe:
        raise FillError(f"the value {unsafe}", slot=slot) from None


def _address(value: str) -> bytes:
    return header_address(value).encode()


def _date(value: str) -> bytes:
    if not _DATE(value):
        raise FillError("the value is not a date as RFC 5322 writes it, with a numeric zone")
    return value.encode("ascii")


def _message_id(value: str) -> bytes:
    if not _MESSAGE_ID(value):
        raise FillError("the value is not a Message-ID in ASCII, in angle brackets")
    return value.encode("ascii")


def _web_uri(value: str) -> bytes:
    if not value.startswith("http") or not _URI(value):
        raise FillError(
            "the value is not an https or http address in ASCII without commas, below 900 letters"
        )
    return value.encode("ascii")


def _mail_uri(value: str) -> bytes:
    if not value.startswith("mailto:") or not _URI(value):
        raise FillError("the value is not a mailto address in ASCII without commas, below 900 letters")
    return value.encode("ascii")
