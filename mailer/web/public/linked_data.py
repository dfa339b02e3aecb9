"""What search engines read of a symposium: schema.org's Event as JSON-LD, in the page and never in a mail."""

import json
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from mailer.messages.when import local
from mailer.services.house import House
from mailer.services.programme.public import EarlierDate, SymposiumPage
from mailer.web.pages import machine_time

SCHEMA = "https://schema.org/"
# Inside a script element only these can be read as markup; JSON may write any letter as a number.
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


def linked_data(house: House, found: SymposiumPage) -> Markup | None:
    """The Event; None for a symposium that never had a day.

    A rescheduled one names every start it had, a postponed one keeps the start that no longer holds,
    as schema.org's `eventStatus` and `previousStartDate` ask. An assumed end is not told, and no speaker:
    a search engine keeps a name longer than this page would.
    """
    earlier = [machine_time(one) for one in found.moved_from if one.has_day]
    if not found.has_calendar and not earlier:
        return None
    data: dict[str, Any] = {
        "@context": SCHEMA.rstrip("/"),
        "@type": "Event",
        "name": found.title,
        "inLanguage": _one_or_all(found.languages or (found.language,)),
        "url": house.url("symposia", found.slug),
        "startDate": machine_time(found) if found.has_calendar else _last(found.moved_from),
        "eventStatus": f"{SCHEMA}{_status(found)}",
        "organizer": {"@type": "Organization", "name": house.settings.organisation, "url": house.url("")},
    }
    if found.ends_at is not None and not found.end_assumed:
        data["endDate"] = local(found.ends_at, found.zone).isoformat(timespec="minutes")
    if earlier and not found.cancelled:
        data["previousStartDate"] = _one_or_all(earlier)
    data |= _where(house, found)
    return Markup(json.dumps(data, ensure_ascii=False).translate(_ESCAPES))  # noqa: S704 - no sign of markup is left


def _where(house: House, found: SymposiumPage) -> dict[str, Any]:
    """Online: the symposium's page stands for the room, whose address is nobody's but the attendees'."""
    if found.online is None:
        return {"location": {"@type": "Place", "name": found.place}} if found.place else {}
    if found.online:
        page = house.url("symposia", found.slug)
        mode, location = "OnlineEventAttendanceMode", {"@type": "VirtualLocation", "url": page}
    else:
        mode, location = "OfflineEventAttendanceMode", {"@type": "Place", "name": found.place or ""}
    told: dict[str, Any] = {"eventAttendanceMode": f"{SCHEMA}{mode}"}
    return told | ({"location": location} if found.online or found.place else {})


def _one_or_all(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _last(moved_from: tuple[EarlierDate, ...]) -> str:
    return next(machine_time(one) for one in reversed(moved_from) if one.has_day)


def _status(found: SymposiumPage) -> str:
    if found.cancelled:
        return "EventCancelled"
    if found.postponed:
        return "EventPostponed"
    moved = any(one.has_day for one in found.moved_from)
    return "EventRescheduled" if moved else "EventScheduled"
