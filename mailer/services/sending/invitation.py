"""What an attendee's mail holds of time: the calendar object, and the start on their own clock."""

from datetime import datetime, timedelta

from mailer.db.programme import Symposium
from mailer.messages.calendar import Calendar, CalendarEvent, Method, Status, itip
from mailer.messages.catalogues import same_time
from mailer.messages.words import reader_line
from mailer.services.house import House
from mailer.vocabulary import EndSource, SymposiumState


def calendar_event(
    house: House, symposium: Symposium, *, sequence: int, stamped_at: datetime
) -> CalendarEvent:
    """The symposium as a calendar sees it; only for one whose hour is known."""
    if symposium.starts_at is None:
        raise ValueError("A symposium without an hour has no calendar entry.")
    cancelled = symposium.state is SymposiumState.CANCELLED
    page = house.url("symposia", symposium.slug)
    return CalendarEvent(
        uid=symposium.uid,
        sequence=sequence,
        dtstamp=stamped_at,
        starts_at=symposium.starts_at,
        ends_at=symposium.starts_at + timedelta(minutes=symposium.minutes),
        end_assumed=symposium.end_source is EndSource.ASSUMED,
        summary=symposium.title,
        description=symposium.series.name if symposium.series else "",
        location=symposium.place or "",
        url=page,
        organizer_name=house.settings.organisation,
        organizer_address=house.settings.from_address,
        status=Status.CANCELLED if cancelled else Status.CONFIRMED,
    )


def invitation(
    house: House, symposium: Symposium, *, sequence: int, cancelled: bool, attendee: str, stamped_at: datetime
) -> Calendar:
    """The iTIP object for one attendee: REQUEST, or CANCEL when the symposium is called off."""
    event = calendar_event(house, symposium, sequence=sequence, stamped_at=stamped_at)
    method = Method.CANCEL if cancelled else Method.REQUEST
    return Calendar(method=method, octets=itip(event, method, attendee=attendee))


def local_time(symposium: Symposium, zone: str | None, language: str) -> dict[str, str]:
    """The slot that says the start on the reader's clock, in UTC when their zone is unknown."""
    if symposium.starts_at is None or symposium.zone is None:
        return {}
    line = reader_line(symposium.starts_at, symposium.zone, zone, language)
    return {"local_time": line or same_time(language)}
