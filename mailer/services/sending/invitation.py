"""What an attendee's mail holds of time: the calendar object, and the start on their own clock."""

from datetime import datetime, timedelta

from mailer.db.programme import Symposium, SymposiumDate, SymposiumVersion
from mailer.messages.calendar import Calendar, CalendarEvent, Method, Status, itip
from mailer.messages.catalogues import end_estimated, same_time, still_open
from mailer.messages.linkless import without_links
from mailer.messages.words import reader_line
from mailer.services.house import House
from mailer.visible import one_line
from mailer.vocabulary import EndSource, Precision, SymposiumState


def has_day(moment: Symposium | SymposiumDate | SymposiumVersion) -> bool:
    """Whether a calendar can hold it: its day is known. A month or less becomes no entry anywhere."""
    return moment.starts_at is not None or (moment.precision is Precision.DATE and moment.day is not None)


def is_online(symposium: Symposium) -> bool:
    """Whether one takes part from afar: it was said, or nothing was and there is a room behind a link."""
    return symposium.room is not None if symposium.online is None else symposium.online


def announced_end(moment: Symposium | SymposiumVersion) -> datetime | None:
    """When it ends; None where nobody has announced an end."""
    if moment.starts_at is None or moment.end_source is EndSource.ASSUMED:
        return None
    return moment.starts_at + timedelta(minutes=moment.minutes)


def calendar_event(
    house: House,
    symposium: Symposium,
    *,
    sequence: int,
    stamped_at: datetime,
    language: str,
) -> CalendarEvent:
    """The symposium as a calendar sees it, with remarks in the language; only for one whose day is known.

    A day without an hour is a whole day, tentative until the hour is announced, and says so.
    """
    starts_at, whole_day = symposium.starts_at, symposium.starts_at is None
    cancelled = symposium.state is SymposiumState.CANCELLED
    return CalendarEvent(
        uid=symposium.uid,
        sequence=sequence,
        dtstamp=stamped_at,
        starts_at=starts_at,
        day=symposium.day if whole_day and has_day(symposium) else None,
        ends_at=starts_at + timedelta(minutes=symposium.minutes) if starts_at else None,
        end_assumed=not whole_day and symposium.end_source is EndSource.ASSUMED,
        end_note=end_estimated(language),
        summary=_summary(house, symposium),
        description=_description(symposium, language, whole_day=whole_day),
        location=one_line(symposium.place or ""),
        url=house.url("symposia", symposium.slug),
        organizer_name=house.settings.organisation,
        organizer_address=house.settings.from_address,
        status=Status.CANCELLED if cancelled else Status.CONFIRMED,
    )


def _summary(house: House, symposium: Symposium) -> str:
    """Its title; where that is nothing but a link, which no file may hold, whose it is."""
    named = (symposium.title, symposium.series.name if symposium.series else "", house.settings.organisation)
    lines = (one_line(without_links(name)) for name in named)
    return next((line for line in lines if line), house.settings.organisation)


def _description(symposium: Symposium, language: str, *, whole_day: bool) -> str:
    series = symposium.series.name if symposium.series else ""
    remark = still_open(language, day_known=True) if whole_day else ""
    return "\n\n".join(part for part in (series, remark) if part)


def invitation(
    house: House,
    symposium: Symposium,
    *,
    sequence: int,
    cancelled: bool,
    attendee: str,
    stamped_at: datetime,
    language: str,
) -> Calendar:
    """The iTIP object for one attendee: REQUEST, or CANCEL when there is nothing left to come to."""
    event = calendar_event(house, symposium, sequence=sequence, stamped_at=stamped_at, language=language)
    method = Method.CANCEL if cancelled else Method.REQUEST
    return Calendar(method=method, octets=itip(event, method, attendee=attendee))


def stamp(symposium: Symposium, written_at: datetime) -> datetime:
    """The DTSTAMP of one mail: when its row was written, or its facts changed later than that.

    A notice may wait while its reader leaves, comes back and hears of other facts; with the same SEQUENCE
    the later DTSTAMP holds (RFC 5546 2.1.5), so it must not be the earlier one.
    """
    changed_at = symposium.facts_changed_at
    return written_at if changed_at is None else max(written_at, changed_at)


def has_hour(moment: Symposium | SymposiumVersion | None) -> bool:
    """Whether there is an instant to say on other clocks."""
    return moment is not None and moment.starts_at is not None and moment.zone is not None


def old_local_time(told: SymposiumVersion, zone: str | None, language: str) -> dict[str, str]:
    """The slot that says the time they were told on the reader's clock."""
    if told.starts_at is None or told.zone is None:
        return {}
    line = reader_line(told.starts_at, told.zone, zone, language, announced_end(told))
    return {"old_local_time": line or same_time(language)}


def local_time(symposium: Symposium, zone: str | None, language: str) -> dict[str, str]:
    """The slot that says the start on the reader's clock, in UTC when their zone is unknown."""
    if symposium.starts_at is None or symposium.zone is None:
        return {}
    line = reader_line(symposium.starts_at, symposium.zone, zone, language, announced_end(symposium))
    return {"local_time": line or same_time(language)}
