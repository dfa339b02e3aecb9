"""A calendar file cut down to the lines that are read, before a library is asked.

A library follows every VTIMEZONE's rules, decodes every attachment and counts every
property; a hostile file makes each of them a bomb. So only an event's own few
properties are let through, and only so many.
"""

import re

from mailer.ingest.errors import PageError

MOST_EVENTS = 2_000
MOST_LINES = 60_000  # of what is let through
LINE_LETTERS = 20_000
_READ = frozenset(
    (
        *("UID", "SUMMARY", "DTSTART", "DTEND", "DURATION", "STATUS", "SEQUENCE", "LOCATION", "URL"),
        *("RRULE", "RDATE", "EXDATE", "RECURRENCE-ID"),
    )
)
_OF_CALENDAR = frozenset(("METHOD", "X-WR-TIMEZONE"))
_FOLD = re.compile(r"\r?\n[ \t]")
_ZONE = re.compile(r";TZID=", re.I)
ZONE = "X-TZID"  # the parameter under which a zone's name is handed on
_NAME = re.compile(r"[A-Za-z0-9-]+")
_NO_LONGER_A_LINE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x85\u2028\u2029]")


def only_events(text: str) -> str:
    """Return the file with nothing in it but its events and their dates, places and titles.

    Raises PageError for what is no whole calendar, and past every limit.
    """
    kept: list[str] = []
    inside: list[str] = []
    events = 0
    for line in re.split(r"\r?\n|\r", _FOLD.sub("", _NO_LONGER_A_LINE.sub(" ", text))):
        match = _NAME.match(line)
        name = match[0].upper() if match else ""
        if name == "BEGIN":
            inside.append(line.partition(":")[2].strip().upper())
            events += inside == ["VCALENDAR", "VEVENT"]
            if events > MOST_EVENTS:
                raise PageError(_too_many(f"more than {MOST_EVENTS:,} events"))
            if len(inside) > 20:
                raise PageError(_broken("its parts are nested too deeply"))
        if _is_read(name, inside):
            kept.append(_bounded(line))
            if len(kept) > MOST_LINES:
                raise PageError(_too_many(f"more than {MOST_LINES:,} lines about events"))
        if name == "END" and (not inside or inside.pop() != line.partition(":")[2].strip().upper()):
            raise PageError(_broken("its parts do not close in the order in which they were opened"))
    if inside:
        raise PageError(_broken(f"it ends inside of {inside[-1][:20]}, so it was cut off on its way"))
    if not kept:
        raise PageError(_broken("it holds no VCALENDAR"))
    return "\r\n".join(kept) + "\r\n"


def _is_read(name: str, inside: list[str]) -> bool:
    if inside == ["VCALENDAR", "VEVENT"]:
        return name in _READ or name in ("BEGIN", "END")
    return inside == ["VCALENDAR"] and (name in _OF_CALENDAR or name in ("BEGIN", "END"))


def _bounded(line: str) -> str:
    if len(line) > LINE_LETTERS:
        raise PageError(_broken(f"one of its lines is longer than {LINE_LETTERS:,} letters"))
    # The library would guess what a zone's name means; that is decided by the reader.
    return _ZONE.sub(f";{ZONE}=", line, count=1) if line[:3].upper() != "SUM" else line


def _too_many(what: str) -> str:
    return f"The calendar holds {what}, so nothing of it was read. Ask its owner for a shorter one."


def _broken(why: str) -> str:
    return f"The calendar file is not whole: {why}. Nothing of it was read; fetch or save it again."
