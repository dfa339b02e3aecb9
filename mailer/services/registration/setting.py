"""Setting: what staff say of a symposium beside its date, each field with its source.

A wrong value is refused with what to write instead, and then nothing of the command is
kept. More capacity moves people up from the waiting list in the same transaction; less
takes nobody's place away.
"""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from unicodedata import category
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError
from sqlalchemy.orm import Session

from mailer.db.programme import Symposium
from mailer.db.seal import ROOM
from mailer.messages import when
from mailer.messages.values import check_url
from mailer.services import audit
from mailer.services.house import House
from mailer.services.programme import places, symposia
from mailer.services.programme.facts import facts_of, stamp
from mailer.services.programme.symposia import SymposiumRefusal, lock
from mailer.services.sending.outlook import event_of
from mailer.vocabulary import EndSource, FieldSource, RegistrationState, SymposiumState

LONGEST_MINUTES = 14 * 24 * 60
MOST_CAPACITY = 1_000_000
MOST_SPEAKERS = 20
LONGEST_TEXT = 300  # characters of a place or a speaker
LONGEST_URL = 2_000


@dataclass(frozen=True, kw_only=True)
class Window:
    """From when until when the form is open: wall times in a zone. An empty one is no limit."""

    opens: datetime | None
    closes: datetime | None
    zone: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is set; None leaves a field as it is. `capacity` 0 and an empty text take the fact away.

    `minutes` and `ends` (a wall time in the symposium's zone) are two ways to say the same.
    """

    minutes: int | None = None
    ends: datetime | None = None
    speakers: tuple[str, ...] | None = None
    languages: tuple[str, ...] | None = None
    title: str | None = None
    place: str | None = None
    online: bool | None = None
    room: str | None = None
    capacity: int | None = None
    waiting_list: bool | None = None
    window: Window | None = None
    asks_access: bool | None = None
    register_url: str | None = None


@dataclass(frozen=True, kw_only=True)
class Set:
    """What came of it: the names of the fields that changed, and how many moved up."""

    changed: tuple[str, ...]
    moved_up: int
    over: int  # more people have a place than there are now
    told_at: datetime | None = None  # when attendees hear of what they must know


def set_facts(
    session: Session, house: House, symposium: Symposium, facts: Facts, *, actor: str, now: datetime
) -> Set:
    """Set the given fields. Raises SymposiumRefusal, UnknownZone; a later fault undoes the earlier ones."""
    lock(session, symposium)
    if symposium.state is SymposiumState.CANCELLED:
        raise SymposiumRefusal("This symposium was called off; nothing of it can be set any more.")
    told, before = stamp(session, symposium, now), facts_of(symposium)
    changed = [
        field.name
        for field in fields(facts)
        if getattr(facts, field.name) is not None and _SETTERS[field.name](house, symposium, facts)
    ]
    if changed:
        symposium.changed_at = now
        symposium.sources = {**symposium.sources, **dict.fromkeys(changed, FieldSource.STAFF.value)}
        audit.record(
            session,
            actor=actor,
            action="symposium-set",
            subject=f"symposium:{symposium.id}",
            now=now,
            detail={"fields": changed},
        )
    notice = symposia.follow(session, house, symposium, before=before, told=told, actor=actor, now=now)
    session.flush()
    moved = places.move_up(session, house, symposium, now)
    return Set(
        changed=tuple(changed),
        moved_up=moved,
        over=_over(session, symposium),
        told_at=notice.due_at if notice else None,
    )


def _over(session: Session, symposium: Symposium) -> int:
    if symposium.capacity is None:
        return 0
    return max(0, places.count(session, symposium, RegistrationState.CONFIRMED) - symposium.capacity)


def _minutes(_house: House, symposium: Symposium, facts: Facts) -> bool:
    return _take_minutes(symposium, facts.minutes or 0)


def _ends(_house: House, symposium: Symposium, facts: Facts) -> bool:
    if symposium.starts_at is None or symposium.zone is None or facts.ends is None:
        raise SymposiumRefusal(
            "Its hour is not known yet, so it has no end. Give its length instead: --duration 90"
        )
    if facts.minutes is not None:
        raise SymposiumRefusal("Give its end or its length, not both.")
    ends_at = when.instant(facts.ends.date(), facts.ends.time(), symposium.zone)
    if ends_at <= symposium.starts_at:
        raise SymposiumRefusal(
            f"The end is before the start ({symposium.day} {symposium.wall_time:%H:%M} {symposium.zone}). "
            f"Write day and time when it ends on another day: --ends 2024-09-28T01:00"
        )
    return _take_minutes(symposium, int((ends_at - symposium.starts_at) / timedelta(minutes=1)))


def _take_minutes(symposium: Symposium, minutes: int) -> bool:
    if not 1 <= minutes <= LONGEST_MINUTES:
        raise SymposiumRefusal("A symposium lasts from 1 minute to 14 days. Give its length in minutes.")
    told = (symposium.minutes, symposium.end_source)
    symposium.minutes, symposium.end_source = minutes, EndSource.ANNOUNCED
    return told != (symposium.minutes, symposium.end_source)


def _speakers(_house: House, symposium: Symposium, facts: Facts) -> bool:
    given = [one for one in facts.speakers or () if one.strip()]
    if len(given) > MOST_SPEAKERS:
        raise SymposiumRefusal(f"Name at most {MOST_SPEAKERS} speakers.")
    return _replace(symposium, "speakers", [_text(one, "A speaker's name") for one in given])


def _languages(_house: House, symposium: Symposium, facts: Facts) -> bool:
    return _replace(symposium, "languages", [_language(one) for one in facts.languages or () if one.strip()])


def _language(tag: str) -> str:
    try:
        Locale.parse(tag, sep="-")
    except (ValueError, UnknownLocaleError):
        raise SymposiumRefusal(
            f'"{tag[:20]}" is no language that is known. Write a tag such as en, hy or pt-BR.'
        ) from None
    return tag


def _title(_house: House, symposium: Symposium, facts: Facts) -> bool:
    title = _text(facts.title or "", "A title")
    if not title:
        raise SymposiumRefusal("A symposium needs a title.")
    return _replace(symposium, "title", title)


def _place(_house: House, symposium: Symposium, facts: Facts) -> bool:
    return _replace(symposium, "place", _text(facts.place or "", "A place") or None)


def _online(_house: House, symposium: Symposium, facts: Facts) -> bool:
    return _replace(symposium, "online", facts.online)


def _room(house: House, symposium: Symposium, facts: Facts) -> bool:
    url = facts.room or ""
    if url:
        _https(url, "The join link")
    old = house.vault.open(ROOM, symposium.id, symposium.room) if symposium.room else ""
    symposium.room = house.vault.seal(ROOM, symposium.id, url) if url else None
    return old != url


def _capacity(_house: House, symposium: Symposium, facts: Facts) -> bool:
    capacity = facts.capacity or 0
    if not 0 <= capacity <= MOST_CAPACITY:
        raise SymposiumRefusal("A capacity is a number of people, 1 or more; 0 takes the limit away.")
    return _replace(symposium, "capacity", capacity or None)


def _waiting_list(_house: House, symposium: Symposium, facts: Facts) -> bool:
    return _replace(symposium, "waiting_list", facts.waiting_list)


def _asks_access(_house: House, symposium: Symposium, facts: Facts) -> bool:
    return _replace(symposium, "asks_access", facts.asks_access)


def _register_url(_house: House, symposium: Symposium, facts: Facts) -> bool:
    if facts.register_url:
        _https(facts.register_url, "The address where people register")
    return _replace(symposium, "register_url", facts.register_url or None)


def _window(_house: House, symposium: Symposium, facts: Facts) -> bool:
    window = facts.window
    if window is None:
        return False
    when.zone_named(window.zone)
    opens, closes = (_instant(one, window.zone) for one in (window.opens, window.closes))
    if opens is not None and closes is not None and closes <= opens:
        raise SymposiumRefusal("Registration would close before it opens. Look at both times and the zone.")
    over_at = event_of(symposium).over_at
    if closes is not None and over_at is not None and closes > over_at:
        raise SymposiumRefusal(
            "Registration would close after the symposium is over. It ends with it by itself: "
            "leave the closing time out with --closes none, or give an earlier one."
        )
    symposium.registration_opens_at, symposium.registration_closes_at = opens, closes
    told = {
        name: wall.isoformat(timespec="minutes")
        for name, wall in (("opens", window.opens), ("closes", window.closes))
        if wall is not None
    }
    return _replace(symposium, "registration_window", {**told, "zone": window.zone} if told else {})


def _instant(wall: datetime | None, zone: str) -> datetime | None:
    return None if wall is None else when.instant(wall.date(), wall.time(), zone)


def _replace(symposium: Symposium, name: str, value: object) -> bool:
    if getattr(symposium, name) == value:
        return False
    setattr(symposium, name, value)
    return True


def _text(text: str, what: str) -> str:
    told = " ".join(text.split())
    if len(told) > LONGEST_TEXT or any(category(letter) in {"Cc", "Co", "Cs"} for letter in told):
        raise SymposiumRefusal(f"{what} is at most {LONGEST_TEXT} letters, without control characters.")
    return told


def _https(url: str, what: str) -> None:
    try:
        check_url(url)
        parts = urlsplit(url)
        fine = parts.scheme == "https" and bool(parts.hostname) and parts.username is None
    except ValueError:
        fine = False
    if not fine or len(url) > LONGEST_URL:
        raise SymposiumRefusal(
            f"{what} is a whole address that begins with https://, such as https://host/room."
        )


_SETTERS = {
    "minutes": _minutes,
    "ends": _ends,
    "speakers": _speakers,
    "languages": _languages,
    "title": _title,
    "place": _place,
    "online": _online,
    "room": _room,
    "capacity": _capacity,
    "waiting_list": _waiting_list,
    "window": _window,
    "asks_access": _asks_access,
    "register_url": _register_url,
}
