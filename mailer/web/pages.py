"""Rendering: a template, a language and some facts become an HTML page.

Templates are code from templates/web; nothing a stranger typed is ever a template, and
everything printed is escaped. One Jinja environment per language is kept.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import nh3
from babel.dates import format_date
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from mailer.messages import lines, markup, words
from mailer.messages.catalogues import (
    date_in_words,
    direction,
    gettext_for,
    language_name,
    number_in_words,
    templates_folder,
)
from mailer.services.house import House
from mailer.services.programme.public import SymposiumPage
from mailer.vocabulary import Precision
from mailer.web.assets import Assets
from mailer.web.tongue import OWN_NAMES, own_name

DOMAIN = "web"  # the gettext catalogue of the pages
PROSE_ATTRIBUTES = {
    "a": {"href"},
    "caption": {"dir"},
    "code": {"dir"},
    "ol": {"start"},
    "td": {"dir"},
    "th": {"dir", "scope"},
}


@dataclass(frozen=True)
class Pages:
    """Renders pages. `demo` shows the way to the demo's inbox."""

    house: House
    assets: Assets
    demo: bool = False
    _environments: dict[str, Environment] = field(default_factory=dict, repr=False)

    def render(self, template: str, language: str, facts: Mapping[str, Any]) -> str:
        """The page as HTML. A fact the template needs and does not get is a bug, never a blank."""
        return self._environment(language).get_template(template).render(facts)

    def _environment(self, language: str) -> Environment:
        # Two threads may make the same one at first; either serves.
        if language not in self._environments:
            self._environments[language] = self._make(language)
        return self._environments[language]

    def _make(self, language: str) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(templates_folder() / "web"),
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.install_gettext_translations(  # type: ignore[attr-defined]
            gettext_for(language, DOMAIN), newstyle=True
        )
        environment.globals.update(
            organisation=self.house.organisation,
            home=self.house.settings.base_url,
            asset=self.assets.url,
            demo=self.demo,
            language=language,
            direction=direction,
            own_name=own_name,
            own_names=OWN_NAMES,
            **_wordings(language),
        )
        environment.filters["prose"] = prose
        return environment


def prose(markdown: str, language: str) -> Markup:
    """Markdown as safe HTML: what the mails show, without the inline styles that only mails need."""
    html = markup.render(markdown, language=language).html
    cleaned = nh3.clean(
        html, attributes=PROSE_ATTRIBUTES, url_schemes={"https", "mailto"}, link_rel="noreferrer"
    )
    return Markup(cleaned)  # noqa: S704 - cleaned by two allow-lists


def _wordings(language: str) -> dict[str, Any]:
    """Dates and zones in words, in one language."""

    def long_date(day: date) -> str:
        return date_in_words(day, said_in=language)

    def month_name(day: date) -> str:
        return str(format_date(day, "LLL", locale=language)).rstrip(".")

    def number(figure: int) -> str:
        return number_in_words(figure, said_in=language)

    def when(moment: Any, still_open: str) -> str:
        said = words.in_words(
            moment.precision,
            day=moment.day,
            time=moment.wall_time,
            zone=moment.zone,
            language=language,
            tba=still_open,
            with_offset=moment.precision is Precision.DATETIME,
            ends_at=getattr(moment, "announced_end", None),  # an earlier date, or a window, has none
        )
        return lines.unbroken(said)

    def elsewhere(symposium: SymposiumPage, reader_zone: str | None) -> str | None:
        if symposium.starts_at is None:
            return None
        ends_at = symposium.announced_end
        return words.reader_line(symposium.starts_at, symposium.zone, reader_zone, language, ends_at)

    def named(other: str) -> str:
        return language_name(other, said_in=language)

    def machine(moment: Any) -> str:
        return machine_time(moment)

    return {
        "elsewhere": elsewhere,
        "language_name": named,
        "long_date": long_date,
        "machine_time": machine,
        "month_name": month_name,
        "number": number,
        "offset_at_end": lines.offset_at_end,
        "when": when,
    }


def machine_time(moment: Any) -> str:
    """What stands in <time datetime>: an instant with its offset, a day, a month, a year, or nothing."""
    if moment.starts_at is not None:
        return str(moment.starts_at.astimezone(ZoneInfo(moment.zone)).isoformat(timespec="minutes"))
    if moment.day is None:
        return ""
    patterns = {Precision.MONTH: "%Y-%m", Precision.YEAR: "%Y"}
    return str(moment.day.strftime(patterns.get(moment.precision, "%Y-%m-%d")))
