"""Calendar objects (RFC 5545, iTIP RFC 5546): the file a symposium travels in.

Own serializer: the octets are CR LF, folded at 75 octets between characters, in UTC, the
same on every run. Nobody's name and no address but the reader's own and the organiser's
may ever stand in one, and no link but the symposium's public page: people pass these files
on, so a link in a text is left out. What has no day gets no entry. The lines that differ
per person come last, so that all before them is the same for everyone.
"""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import quote, urlsplit

from mailer.addresses import AddressError, wire_address
from mailer.messages.linkless import without_links
from mailer.messages.when import in_utc

PRODUCT = "-//mailer//Symposium calendar 1//EN"
FOLD_OCTETS = 75  # RFC 5545 3.1, without the line end
END_NOT_ANNOUNCED = "The end has not been announced; the end given here is an estimate."
_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,254}")
_LINE_ENDS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_URL_CHARACTERS = re.compile(r"[!-~]+")
_MAILTO_PLAIN = "!$'*+-._~"
_LARGEST_SEQUENCE = 2**31 - 1  # RFC 5545 3.3.8


class CalendarError(ValueError):
    """This event cannot be put into a calendar; the message says which rule and what to do."""


class Method(StrEnum):
    """What the calendar object asks of its reader (RFC 5546)."""

    PUBLISH = "PUBLISH"  # download and feed: nobody is invited
    REQUEST = "REQUEST"  # invitation and update, to one attendee
    CANCEL = "CANCEL"  # called off, or withdrawn: to one attendee who had a REQUEST


class Status(StrEnum):
    CONFIRMED = "CONFIRMED"
    TENTATIVE = "TENTATIVE"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, kw_only=True)
class CalendarEvent:
    """One symposium date. Raises CalendarError at once for what no calendar can hold.

    `uid` is a random id for life, without host or person. `starts_at` is an instant with
    its end; or `day` is a day whose hour is not known yet; a symposium of which only the
    month is known has neither and becomes no entry. `end_note` is the sentence that is
    added to the description when `end_assumed`, in the reader's language.
    """

    uid: str
    sequence: int
    dtstamp: dt.datetime
    summary: str
    organizer_name: str
    organizer_address: str
    status: Status
    starts_at: dt.datetime | None = None
    day: dt.date | None = None
    ends_at: dt.datetime | None = None
    end_assumed: bool = False
    description: str = ""
    location: str = ""
    url: str = ""
    end_note: str = END_NOT_ANNOUNCED

    def __post_init__(self) -> None:
        if not _UID.fullmatch(self.uid):
            raise CalendarError("the UID is a random id of letters, digits and hyphens, with no host in it")
        if not 0 <= self.sequence <= _LARGEST_SEQUENCE:
            raise CalendarError(f"SEQUENCE is a whole number from 0, not {self.sequence}")
        if not without_links(self.summary).strip():
            raise CalendarError("a calendar entry needs a title (SUMMARY) that is more than a link")
        in_utc(self.dtstamp)
        self._check_times()

    def _check_times(self) -> None:
        if self.starts_at is None and self.day is None:
            raise CalendarError(
                "an event of which only the month, or no date at all, is known has no calendar entry: "
                "make one when its day is fixed"
            )
        if self.starts_at is None:
            if self.ends_at is not None or self.end_assumed:
                raise CalendarError("a day without an hour has no end of its own: leave ends_at out")
            return
        if self.day is not None:
            raise CalendarError("an event has either an instant (starts_at) or a day, not both")
        if self.ends_at is None:
            raise CalendarError(
                "a calendar entry needs an end: give the staff's usual length and set end_assumed"
            )
        if in_utc(self.ends_at) <= in_utc(self.starts_at):
            raise CalendarError("the end lies before or at the start: check both times")


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """A finished iTIP object: what a mail carries twice, as a part and as a file."""

    method: Method
    octets: bytes


def calendar(event: CalendarEvent, method: Method, *, attendee: str | None) -> Calendar:
    """The iTIP object of `itip` together with its method, as a form takes it."""
    return Calendar(method=method, octets=itip(event, method, attendee=attendee))


def itip(event: CalendarEvent, method: Method, *, attendee: str | None) -> bytes:
    """One calendar object with one event, by the table of RFC 5546 3.2.

    REQUEST and CANCEL name exactly one attendee, the reader; PUBLISH names none. A CANCEL
    is always STATUS:CANCELLED and needs a SEQUENCE above that of the REQUEST it takes
    back, so never 0. Raises CalendarError.
    """
    _check_method(event, method, attendee)
    lines = [*_opening(method), *_event_lines(event, method, attendee), "END:VCALENDAR"]
    return _octets(lines)


def feed(events: Iterable[CalendarEvent], *, name: str, ttl: dt.timedelta) -> bytes:
    """A public feed or download (METHOD:PUBLISH), in order of date: the same events give the same octets.

    `ttl` is how often a reader should come again, in whole minutes. Cancelled events stay
    in, as STATUS:CANCELLED. A feed without events is valid here, although RFC 5545 wants
    one component: "nothing is planned" has to be sayable. Raises CalendarError.
    """
    lines = [*_opening(Method.PUBLISH), f"NAME:{_text(name)}", f"X-WR-CALNAME:{_text(name)}"]
    every = _duration(ttl)
    lines += [f"REFRESH-INTERVAL;VALUE=DURATION:{every}", f"X-PUBLISHED-TTL:{every}"]
    for event in sorted(events, key=lambda event: (_start(event), event.uid)):
        lines += _event_lines(event, Method.PUBLISH, None)
    return _octets([*lines, "END:VCALENDAR"])


def _check_method(event: CalendarEvent, method: Method, attendee: str | None) -> None:
    if method is Method.PUBLISH and attendee is not None:
        raise CalendarError("a published calendar names no attendee: leave the attendee out")
    if method is not Method.PUBLISH and not attendee:
        raise CalendarError(f"a {method} goes to one attendee: give the reader's address")
    if method is Method.REQUEST and event.status is Status.CANCELLED:
        raise CalendarError("a cancelled event invites nobody: send a CANCEL")
    if method is Method.CANCEL and event.sequence == 0:
        raise CalendarError("a CANCEL follows a REQUEST: its SEQUENCE is higher than that one's, so never 0")


def _opening(method: Method) -> list[str]:
    return ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODUCT}", "CALSCALE:GREGORIAN", f"METHOD:{method}"]


def _event_lines(event: CalendarEvent, method: Method, attendee: str | None) -> list[str]:
    name = f";CN={_quoted(event.organizer_name)}" if event.organizer_name.strip() else ""
    organizer = f"ORGANIZER{name}:{_mailto(event.organizer_address)}"
    lines = ["BEGIN:VEVENT", f"UID:{event.uid}", *_time_lines(event)]
    lines.append(f"SUMMARY:{_text(without_links(event.summary))}")
    if description := _description(event):
        lines.append(f"DESCRIPTION:{_text(description)}")
    if location := without_links(event.location).strip():
        lines.append(f"LOCATION:{_text(location)}")
    if event.url:
        lines.append(f"URL:{_url(event.url)}")
    lines += [organizer, f"STATUS:{_status(event, method)}"]
    if method is Method.REQUEST:
        # Others may see the reader's calendar; to them this is a time that is taken, no more.
        lines.append("CLASS:PRIVATE")
    # From here on a line may differ from person to person.
    lines += [f"DTSTAMP:{_utc(event.dtstamp)}", f"SEQUENCE:{event.sequence}"]
    if attendee is not None:
        answered = ";PARTSTAT=ACCEPTED;RSVP=FALSE" if method is Method.REQUEST else ""
        lines.append(f"ATTENDEE{answered}:{_mailto(attendee)}")
    return [*lines, "END:VEVENT"]


def _time_lines(event: CalendarEvent) -> list[str]:
    if event.day is not None:
        after = event.day + dt.timedelta(days=1)  # DTEND of a day is exclusive, RFC 5545 3.6.1
        return [
            f"DTSTART;VALUE=DATE:{event.day:%Y%m%d}",
            f"DTEND;VALUE=DATE:{after:%Y%m%d}",
            "TRANSP:TRANSPARENT",  # an hour somewhere in it does not make the day a busy one
        ]
    assert event.starts_at is not None  # as checked when the event was made
    assert event.ends_at is not None
    return [f"DTSTART:{_utc(event.starts_at)}", f"DTEND:{_utc(event.ends_at)}"]


def _status(event: CalendarEvent, method: Method) -> Status:
    if method is Method.CANCEL or event.status is Status.CANCELLED:
        return Status.CANCELLED
    return Status.TENTATIVE if event.day is not None else event.status


def _description(event: CalendarEvent) -> str:
    parts = [without_links(event.description).strip(), event.end_note.strip() if event.end_assumed else ""]
    return "\n\n".join(part for part in parts if part)


def _start(event: CalendarEvent) -> str:
    return f"{event.day:%Y%m%d}" if event.starts_at is None else _utc(event.starts_at)


def _utc(moment: dt.datetime) -> str:
    return f"{in_utc(moment):%Y%m%dT%H%M%SZ}"


def _duration(ttl: dt.timedelta) -> str:
    minutes = int(ttl.total_seconds() // 60)
    if minutes < 1:
        raise CalendarError("a feed's refresh interval is a minute or more")
    hours, rest = divmod(minutes, 60)
    return "PT" + (f"{hours}H" if hours else "") + (f"{rest}M" if rest or not hours else "")


def _text(value: str) -> str:
    r"""A TEXT value, RFC 5545 3.3.11: line ends of every kind become `\n`; other controls are refused."""
    joined = _LINE_ENDS.sub("\n", value)
    if _CONTROLS.search(joined):
        raise CalendarError("a text for a calendar holds a control character: remove it")
    escaped = joined.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return escaped.replace("\n", "\\n")


def _quoted(value: str) -> str:
    """A parameter value in quotes. A double quote cannot stand there (RFC 5545 3.2); it becomes ' ."""
    one_line = _LINE_ENDS.sub(" ", value)
    if _CONTROLS.search(one_line):
        raise CalendarError("the organiser's name holds a control character: remove it")
    return '"' + one_line.replace('"', "'") + '"'


def _mailto(address: str) -> str:
    """A calendar address: a mailto URI, RFC 6068, with the domain in A-labels."""
    try:
        local, _, domain = wire_address(address).rpartition("@")
    except AddressError as error:
        raise CalendarError(f"this cannot stand in a calendar: {error}") from error
    return f"mailto:{quote(local, safe=_MAILTO_PLAIN)}@{domain}"


def _url(url: str) -> str:
    if urlsplit(url).scheme not in {"http", "https"} or not _URL_CHARACTERS.fullmatch(url):
        raise CalendarError("the URL of a calendar entry is a complete http(s) address in ASCII, no blanks")
    return url


def _octets(lines: Iterable[str]) -> bytes:
    try:
        return b"".join(_folded(line.encode("utf-8")) for line in lines)
    except UnicodeEncodeError as error:
        raise CalendarError("a text for a calendar holds half a character: type it again") from error


def _folded(line: bytes) -> bytes:
    """A content line in pieces of at most 75 octets, never split inside a UTF-8 character."""
    if len(line) <= FOLD_OCTETS:
        return line + b"\r\n"
    pieces, at, room = [], 0, FOLD_OCTETS
    while len(line) - at > room:
        cut = at + room
        while line[cut] & 0xC0 == 0x80:  # an octet inside a character
            cut -= 1
        pieces.append(line[at:cut])
        at, room = cut, FOLD_OCTETS - 1  # the next lines begin with a blank
    pieces.append(line[at:])
    return b"\r\n ".join(pieces) + b"\r\n"
