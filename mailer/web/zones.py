"""The time zones a person can choose from: cities by continent, named in the page's language."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from babel import Locale

from mailer.messages.when import is_zone
from mailer.messages.words import city_words

# CLDR's territory for the first part of a zone's name. For oceans it knows only "the world".
_CONTINENTS = {
    "Africa": "002",
    "America": "019",
    "Antarctica": "AQ",
    "Arctic": "150",
    "Asia": "142",
    "Atlantic": "001",
    "Australia": "009",
    "Europe": "150",
    "Indian": "001",
    "Pacific": "009",
}


@dataclass(frozen=True)
class Zone:
    """One choice. `name` is what is stored, `city` what is read."""

    name: str
    city: str


@dataclass(frozen=True)
class Group:
    """The zones of one continent."""

    label: str
    zones: tuple[Zone, ...]


def groups(language: str, chosen: str | None = None) -> tuple[Group, ...]:
    """Every city, with the chosen zone among them even when it is one that is not offered."""
    offered = _offered(language)
    if chosen is None or any(zone.name == chosen for group in offered for zone in group.zones):
        return offered
    return (Group("", (Zone(chosen, city_words(chosen, language)),)), *offered)


@lru_cache(maxsize=16)
def _offered(language: str) -> tuple[Group, ...]:
    labels = Locale.parse(language).territories
    found: dict[str, list[Zone]] = {}
    for name in _names():
        label = str(labels[_CONTINENTS[name.split("/")[0]]])
        found.setdefault(label, []).append(Zone(name, city_words(name, language)))
    return tuple(
        Group(label, tuple(sorted(zones, key=lambda zone: zone.city)))
        for label, zones in sorted(found.items())
    )


def _names() -> Iterator[str]:
    """Today's names from the database's own table of inhabited places."""
    table = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        name = line.split("\t")[2]
        if is_zone(name) and name.split("/")[0] in _CONTINENTS:
            yield name
