"""Ways into a meeting that stand where a place or a registration belongs: whoever has one can come in.

They are not taken. Staff give the room's address to the house, and each attendee gets a link of their own.
"""

import re
from urllib.parse import urlsplit

NO_PLACE = (
    "Its place holds a link, a code or a mail address, so it was not taken: files and pages are passed on. "
    "Set it with: mailer symposium set --place"
)
NO_FORM = (
    "Its address leads into a meeting, so it was not taken for a form: whoever has it can come in. "
    "Set it with: mailer symposium set --join-url"
)
_ROOMS = (
    *("zoom.us", "zoom.com", "zoomgov.com", "teams.microsoft.com", "teams.live.com", "meet.google.com"),
    *("webex.com", "gotomeeting.com", "gotomeet.me", "meet.goto.com", "whereby.com", "meet.jit.si"),
    *("bluejeans.com", "join.skype.com"),
)
_CODE = re.compile(
    r"""
      ://
    | (?<![\w@.-])(?:[\w-]+\.)+[^\W\d_]{2,}(?::\d+)?/       # a host with a path
    | [\w.+'-]+@[\w-]+\.\w                                   # somebody's mail address
    | \b(?:meeting|webinar)[ -]?id\b
    | \b(?:passcode|password|pwd|pin)\b\s*[:=#]
    | \+?\d[\d ()-]{6,},,                                   # a number to dial, with a code behind it
    """,
    re.I | re.X,
)


def is_way_in(place: str | None) -> bool:
    """True for a place that is a link, or holds a meeting's number or code."""
    return place is not None and _CODE.search(place) is not None


def is_room(url: str | None) -> bool:
    """True for the web address of a meeting's room; not for its registration form."""
    if url is None:
        return False
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    at_rooms = any(host == room or host.endswith(f".{room}") for room in _ROOMS)
    return at_rooms and "regist" not in parts.path.lower()
