"""Times in words, in the eight languages: the event's own zone first, then the reader's.

Every sentence names weekday, date and zone and is made from the offset of the
event's own date; nothing is a fixed phrase like "20:00 in Yerevan". Names come
from Babel (CLDR); the patterns below only set what CLDR leaves open: no time is
ever written "12 p.m." or "12 a.m.", a month alone stands in its stand-alone
form, and a city is a label, since many languages decline city names.

Digits: Persian is written in Persian digits throughout, Arabic and the others in
Latin ones, as CLDR sets it. Persian digits have the same direction class as
Latin ones, so `۱۲:۰۰` keeps its order in a right-to-left line. Offsets such as
`UTC-4` stay Latin everywhere. Dates are Gregorian in every language.
"""

import datetime as dt
from functools import lru_cache

from babel import Locale
from babel.core import get_global
from babel.dates import format_date, get_timezone_name

from mailer.messages.until import UNTIL
from mailer.messages.when import instant, is_zone, local, offset_at, zone_named
from mailer.messages.wording import WORDING, Wording
from mailer.vocabulary import Precision

# Places that the time zone database has renamed and CLDR still files under the old name.
_OLD_NAMES = {
    "Africa/Asmara": "Africa/Asmera",
    "America/Argentina/Buenos_Aires": "America/Buenos_Aires",
    "America/Argentina/Catamarca": "America/Catamarca",
    "America/Argentina/Cordoba": "America/Cordoba",
    "America/Argentina/Jujuy": "America/Jujuy",
    "America/Argentina/Mendoza": "America/Mendoza",
    "America/Atikokan": "America/Coral_Harbour",
    "America/Indiana/Indianapolis": "America/Indianapolis",
    "America/Kentucky/Louisville": "America/Louisville",
    "America/Nuuk": "America/Godthab",
    "Asia/Ho_Chi_Minh": "Asia/Saigon",
    "Asia/Kathmandu": "Asia/Katmandu",
    "Asia/Kolkata": "Asia/Calcutta",
    "Asia/Yangon": "Asia/Rangoon",
    "Atlantic/Faroe": "Atlantic/Faeroe",
    "Europe/Kyiv": "Europe/Kiev",
    "Pacific/Chuuk": "Pacific/Truk",
    "Pacific/Pohnpei": "Pacific/Ponape",
}
_UTC = "Etc/UTC"
_MIDDAY = dt.time(12)


def in_words(
    precision: Precision,
    *,
    day: dt.date | None,
    time: dt.time | None,
    zone: str,
    language: str,
    tba: str,
    with_offset: bool = False,
    ends_at: dt.datetime | None = None,
) -> str:
    """When the event is, in its own zone, as exactly as the world has said and no more.

    `day` is any day of the month or year when only that is known. `tba` is the
    translated remark for what is still open ("date to be announced", "time to be
    announced"); it stands in brackets, alone for Precision.NONE, and is unused
    for Precision.DATETIME. `with_offset` adds the offset of that date to the city:
    "(New York, UTC-4)". `ends_at` is an end that was announced, for Precision.DATETIME: "12 noon to
    1:30 PM". Raises ValueError when a part that `precision` promises is
    missing, for an unknown language, and UnknownZone. A time that the clocks skip is
    said as the later time it is shifted to, as the calendar file has it.
    """
    words = _wording(language)
    if precision is Precision.DATETIME:
        if day is None or time is None:
            raise ValueError("an event of precision 'datetime' needs its day and its time")
        return _plain(_event_line(instant(day, time, zone), ends_at, zone, language, with_offset))
    if not tba:
        raise ValueError(f"an event of precision '{precision}' needs the remark on what is still open (tba)")
    if precision is Precision.NONE:
        return _plain(tba)
    if day is None:
        raise ValueError(f"an event of precision '{precision}' needs a day of that {precision}")
    patterns = {Precision.DATE: words.day, Precision.MONTH: words.month, Precision.YEAR: words.year}
    return _plain(words.aside.format(text=_date(day, patterns[precision], language), aside=tba))


@lru_cache(maxsize=4096)
def reader_line(
    starts_at: dt.datetime,
    event_zone: str,
    reader_zone: str | None,
    language: str,
    ends_at: dt.datetime | None = None,
) -> str | None:
    """The same instant on the reader's clocks: "Yerevan: 20:00, Friday, September 27".

    With an end that was announced: "Yerevan: 20:00 to 21:30, Friday, September 27", and where it lies on
    another day of theirs, with that day.

    None when the reader's clocks show the event's own time at that instant, so
    that nothing is said twice. No zone, or one the database does not know, gives
    the line in UTC: never a guess. The year is added when it differs from the
    event's. Raises UnknownZone for the event's zone, ValueError for a time
    without a zone or an unknown language.
    """
    zone = reader_zone if reader_zone is not None and is_zone(reader_zone) else _UTC
    here, there = local(starts_at, event_zone), local(starts_at, zone)
    words = _wording(language)
    if all(offset_at(one, event_zone) == offset_at(one, zone) for one in (starts_at, ends_at or starts_at)):
        return None
    end = local(ends_at or starts_at, zone)
    pattern = words.day_without_year if here.year == there.year == end.year else words.day
    date, end_date = (_date(one.date(), pattern, language) for one in (there, end))
    said = words.reader
    if ends_at is not None:
        said = UNTIL[language].reader if end.date() == there.date() else UNTIL[language].reader_across
    city = words.utc if _cldr_key(zone) == _UTC else city_words(zone, language)
    time, end_time = _clock(there, words), _clock(end, words)
    return _plain(said.format(city=city, time=time, date=date, end=end_time, end_date=end_date))


def end_words(starts_at: dt.datetime, ends_at: dt.datetime, zone: str, language: str) -> str:
    """The end alone, on the clocks of a zone: "1:30 PM", "12 noon"; on another day with that day."""
    here = local(ends_at, zone)
    said = _event_time(here, language)
    if here.date() != local(starts_at, zone).date():
        words = _wording(language)
        said = words.moment.format(date=day_words(here.date(), language), time=said)
    return _plain(said)


def offset_words(moment: dt.datetime, zone: str) -> str:
    """The zone's offset at that instant: "UTC-4", "UTC+5:30", "UTC"; Latin in every language."""
    minutes = round(offset_at(moment, zone).total_seconds() / 60)
    if minutes == 0:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")


def day_words(day: dt.date, language: str) -> str:
    """A date with weekday and year: "Friday, September 27, 2024"."""
    return _plain(_date(day, _wording(language).day, language))


@lru_cache(maxsize=1024)
def city_words(zone: str, language: str) -> str:
    """The city of a zone as a label in the reader's language, in its basic form; "UTC" for UTC."""
    key = _cldr_key(zone)
    if key == _UTC:
        return "UTC"
    city = _locale(language).time_zones.get(key, {}).get("city")
    return str(city) if city else key.rpartition("/")[2].replace("_", " ")


@lru_cache(maxsize=1024)
def zone_words(zone: str, language: str) -> str:
    """The zone's long name for the whole year and its city: "Eastern Time (New York)".

    Never an abbreviation: outside English they are unknown or mere offsets.
    """
    name, city = _zone_name(zone, language), city_words(zone, language)
    if city in name:
        return _plain(name)
    return _plain(_wording(language).zone.format(name=name, inner=city))


def _event_line(
    starts_at: dt.datetime, ends_at: dt.datetime | None, zone: str, language: str, with_offset: bool
) -> str:
    words, here, end = _wording(language), local(starts_at, zone), local(ends_at or starts_at, zone)
    place = zone_words(zone, language)
    if with_offset and _cldr_key(zone) != _UTC:
        place = _add_inside(place, offset_words(starts_at, zone), words)
    # CLDR's Ukrainian zone names are mostly adverbs ("за ... часом"), which take no comma.
    pattern = words.event
    if ends_at is not None:
        pattern = UNTIL[language].event if end.date() == here.date() else UNTIL[language].event_across
    if language == "uk" and not place.startswith("за "):
        pattern = pattern.replace(" {zone}", ", {zone}")
    return pattern.format(
        date=day_words(here.date(), language),
        time=_event_time(here, language),
        end=_event_time(end, language),
        end_date=day_words(end.date(), language),
        zone=place,
    )


def _add_inside(place: str, offset: str, words: Wording) -> str:
    bracket = words.zone[-1]
    if place.endswith(bracket):
        return place.removesuffix(bracket) + words.inner_comma + offset + bracket
    return words.zone.format(name=place, inner=offset)


def _event_time(here: dt.datetime, language: str) -> str:
    """The event's clock: 24 hours, but in English AM and PM, kept away from the ambiguous twelve."""
    words = _wording(language)
    if language != "en" or here.hour == 0:
        return _clock(here, words)
    if here.hour == _MIDDAY.hour:
        return words.noon if here.minute == 0 else f"{here:%H:%M} in the afternoon"
    return f"{here.hour % 12}:{here:%M} {'AM' if here.hour < _MIDDAY.hour else 'PM'}"


def _clock(here: dt.datetime, words: Wording) -> str:
    at_noon = (here.hour, here.minute) == (_MIDDAY.hour, 0)
    return _digits(words.noon if at_noon else f"{here:%H:%M}", words)


def _zone_name(zone: str, language: str) -> str:
    locale, key = _locale(language), _cldr_key(zone)
    if key == _UTC:
        return str(locale.time_zones[_UTC]["long"]["standard"])
    meta_zone = get_global("meta_zones").get(key)
    generic = locale.meta_zones.get(meta_zone, {}).get("long", {}).get("generic")
    return str(generic or get_timezone_name(zone_named(zone), locale=locale))


def _cldr_key(zone: str) -> str:
    name = zone_named(zone).key
    if name in {"UTC", _UTC}:
        return _UTC
    current = str(get_global("zone_aliases").get(name, name))
    return _OLD_NAMES.get(current, current)


def _date(day: dt.date, pattern: str, language: str) -> str:
    text = str(format_date(day, pattern, locale=_locale(language)))
    if language == "fr" and day.day == 1:
        text = text.replace(" 1 ", " 1er ", 1)  # the only ordinal in a French date; CLDR leaves it out
    return _digits(text, _wording(language))


def _digits(text: str, words: Wording) -> str:
    return text.translate(str.maketrans("0123456789", words.digits))


def _plain(text: str) -> str:
    """CLDR's narrow no-break spaces are shown as boxes by some mail programs: a plain space."""
    return text.replace("\u202f", " ")


def _wording(language: str) -> Wording:
    if language not in WORDING:
        raise ValueError(f"no wording for the language {language[:20]!r}; known are: {', '.join(WORDING)}")
    return WORDING[language]


@lru_cache(maxsize=16)
def _locale(language: str) -> Locale:
    _wording(language)
    return Locale.parse(language)
