"""Public calendars: the file of one symposium, and feeds of all, of one series, of one language.

METHOD:PUBLISH, so nobody is named but the organiser. There are no personal feeds: a feed's address
lies with a calendar provider, and would say who attends what. The same state gives the same
octets: what is stamped is when a symposium changed, never when somebody asked.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from sqlalchemy.orm import Session

from mailer.db.programme import Symposium
from mailer.messages.calendar import CalendarEvent, Method, feed, itip
from mailer.messages.catalogues import LANGUAGES, language_name
from mailer.services.house import House
from mailer.services.programme.public import find_public, public_symposia
from mailer.services.sending.invitation import calendar_event, has_day
from mailer.vocabulary import SymposiumState

FEED_TTL = timedelta(hours=1)  # how often a calendar program is asked to come again
OTHERWISE = "en"


@dataclass(frozen=True, kw_only=True)
class PublicCalendar:
    """A finished file. `changed_at` is when anything last changed that could stand in it, if anything did."""

    octets: bytes
    changed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One feed that can be subscribed to. `path` lies under the house's own address; `name` is as its
    series is called, or None for all symposia and for those of one `spoken` language."""

    path: str
    name: str | None = None
    spoken: str | None = None


def offers(session: Session) -> tuple[Offer, ...]:
    """Every feed there is: all; each series; each language, where symposia are held in more than one."""
    found = list(public_symposia(session))
    series = sorted({(one.series.name, one.series.key) for one in found if one.series is not None})
    languages = sorted({language for one in found for language in _spoken(one)})
    spoken = languages if len(languages) > 1 else []
    return (
        Offer(path="/symposia.ics"),
        *(offer_of_series(key, name) for name, key in series),
        *(Offer(path=f"/calendars/languages/{one}.ics", spoken=one) for one in spoken),
    )


def offer_of_series(key: str, name: str) -> Offer:
    """The feed of one series, for its page."""
    return Offer(path=f"/calendars/series/{quote(key, safe='')}.ics", name=name)


def symposium_file(
    session: Session, house: House, slug: str, *, language: str | None = None
) -> PublicCalendar | None:
    """The calendar file of one public symposium; None where there is none to give.

    A symposium without a day has none: no calendar can hold it. Remarks are in the language asked
    for, else in the symposium's own.
    """
    found = find_public(session, slug)
    if found is None or not has_day(found):
        return None
    octets = itip(_event(house, found, language), Method.PUBLISH, attendee=None)
    return PublicCalendar(octets=octets, changed_at=found.changed_at)


def feed_of_all(session: Session, house: House, *, language: str | None = None) -> PublicCalendar:
    """All public symposia that have a day; those called off stay in it as cancelled."""
    found = list(public_symposia(session))
    return _feed(house, found, found, house.settings.organisation, language)


def feed_of_series(
    session: Session, house: House, key: str, *, language: str | None = None
) -> PublicCalendar | None:
    """The same for one series; None for one of which nothing is public."""
    found = list(public_symposia(session))
    chosen = [one for one in found if one.series is not None and one.series.key == key]
    if not chosen or chosen[0].series is None:
        return None
    name = f"{chosen[0].series.name} – {house.settings.organisation}"
    return _feed(house, found, chosen, name, language)


def feed_of_language(
    session: Session, house: House, spoken: str, *, language: str | None = None
) -> PublicCalendar | None:
    """The same for the symposia held in one language; None for a language in which there are none."""
    found = list(public_symposia(session))
    chosen = [one for one in found if spoken in _spoken(one)]
    if not chosen:
        return None
    said_in = language or _known(spoken)
    name = f"{house.settings.organisation} ({language_name(spoken, said_in=said_in)})"
    return _feed(house, found, chosen, name, said_in)


def _feed(
    house: House, found: Iterable[Symposium], chosen: Iterable[Symposium], name: str, language: str | None
) -> PublicCalendar:
    events = [_event(house, one, language) for one in chosen if has_day(one)]
    # One that left the feed changed it too, so the time is that of all.
    changed_at = max((one.changed_at for one in found), default=None)
    return PublicCalendar(octets=feed(events, name=name, ttl=FEED_TTL), changed_at=changed_at)


def _event(house: House, found: Symposium, language: str | None) -> CalendarEvent:
    return calendar_event(
        house,
        found,
        sequence=found.sequence,
        stamped_at=_stamped_at(found),
        language=language or _known(found.language),
    )


def _stamped_at(found: Symposium) -> datetime:
    """When something last changed that stands in the file: not the capacity, nor the follow-up's approval."""
    if found.state is SymposiumState.CANCELLED or found.facts_changed_at is None:
        return found.changed_at
    return found.facts_changed_at


def _spoken(found: Symposium) -> tuple[str, ...]:
    """The languages it is held in; where nobody has said them, that of its title."""
    return tuple(found.languages) or (found.language,)


def _known(language: str) -> str:
    return language if language in LANGUAGES else OTHERWISE
