"""What schema.org says of an Event, as far as one can hold a page to it without the network.

Written by hand from the definitions of Event, EventStatusType, Organization and Place. A property that is
not in these tables is refused, so a new one has to be looked up and written down here first.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

Check = Callable[[object], bool]
STATES = {"EventCancelled", "EventMovedOnline", "EventPostponed", "EventRescheduled", "EventScheduled"}
MODES = {"OnlineEventAttendanceMode", "OfflineEventAttendanceMode", "MixedEventAttendanceMode"}
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")  # BCP 47


def is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def is_url(value: object) -> bool:
    return (
        isinstance(value, str)
        and urlsplit(value).scheme in {"http", "https"}
        and bool(urlsplit(value).netloc)
    )


def moment(value: object) -> datetime | date | None:
    """schema.org's Date or DateTime: ISO 8601; an hour comes with its offset, else it is nobody's hour."""
    if not isinstance(value, str):
        return None
    try:
        if "T" not in value:
            return date.fromisoformat(value)
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def is_moment(value: object) -> bool:
    return moment(value) is not None


def is_state(value: object) -> bool:
    return isinstance(value, str) and value.removeprefix("https://schema.org/") in STATES and "/" in value


def is_mode(value: object) -> bool:
    return isinstance(value, str) and value.removeprefix("https://schema.org/") in MODES and "/" in value


TYPES: Mapping[str, Mapping[str, Check]] = {
    "Event": {
        "name": is_text,
        "inLanguage": lambda value: isinstance(value, str) and bool(LANGUAGE.fullmatch(value)),
        "url": is_url,
        "startDate": is_moment,
        "endDate": is_moment,
        "previousStartDate": is_moment,
        "eventStatus": is_state,
        "eventAttendanceMode": is_mode,
        "organizer": lambda value: not list(complaints_of(value, {"Organization", "Person"})),
        "location": lambda value: not list(complaints_of(value, {"Place", "VirtualLocation"})),
    },
    "Organization": {"name": is_text, "url": is_url},
    "Place": {"name": is_text},
    "VirtualLocation": {"name": is_text, "url": is_url},
}


def complaints(data: Mapping[str, Any]) -> list[str]:
    """Everything an Event breaks; empty for a good one."""
    found = [] if data.get("@context") == "https://schema.org" else ["the context is not schema.org"]
    found += complaints_of({name: value for name, value in data.items() if name != "@context"}, {"Event"})
    return found or list(_contradictions(data))


def complaints_of(thing: object, allowed: set[str]) -> Iterator[str]:
    if not isinstance(thing, dict) or thing.get("@type") not in allowed & TYPES.keys():
        yield f"not one of {sorted(allowed)}"
        return
    checks = TYPES[thing["@type"]]
    for name, value in thing.items():
        if name == "@type":
            continue
        if name not in checks:
            yield f"{thing['@type']} has no {name} here"
            continue
        values = value if isinstance(value, list) else [value]  # any property may be repeated
        if not values or not all(checks[name](one) for one in values):
            yield f"{name} is not what it must be"


def _contradictions(data: Mapping[str, Any]) -> Iterator[str]:
    """What eventStatus, startDate and previousStartDate say of each other in their definitions."""
    state = str(data.get("eventStatus", "")).rpartition("/")[2]
    start, previous = data.get("startDate"), data.get("previousStartDate")
    if not data.get("name") or start is None:
        yield "an event without a name or a start is told to nobody"
    if state in {"EventRescheduled", "EventPostponed"} and previous is None:
        yield f"{state} wants previousStartDate"
    if state == "EventScheduled" and previous is not None:
        yield "EventScheduled has no previousStartDate"
    if state == "EventRescheduled" and start == previous:
        yield "rescheduled to the same start"
    if "endDate" in data:
        begins, ends = moment(start), moment(data["endDate"])
        if not isinstance(begins, datetime) or not isinstance(ends, datetime) or ends <= begins:
            yield "the end is not after the start"
