"""A page's lines sorted by what they are: prose, dated lines, series text, links, chrome.

Only whole lines are looked at, so a date inside a sentence is never an event. A line
that a text editor wrapped out of a paragraph stays with its paragraph, even when it
happens to start with a date.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import groupby

from mailer.ingest.dates import Contradiction, DateLine, Unreadable, read_date_alone, read_line
from mailer.ingest.document import Document, Line
from mailer.ingest.zones import ZONES

WRAPPED_LETTERS = 40  # a shorter line was ended by its writer, not by an editor's margin
_SENTENCE_ENDS = tuple('.!?:;…"”’)')
_SERIES = re.compile(r"As part of (?:the |our )?(?P<name>[^,]{2,120}), .*\b(?:series|symposi)", re.I)
_REGISTER = re.compile(r"Register for each event here[.:]?", re.I)
_FOOTER = re.compile(
    r"(?:©|\(c\) ?\d|copyright\b).{0,120}|.{0,200}\b501\(c\)\(\d\).{0,120}|.{0,200}\bEIN: ?\d.{0,60}", re.I
)
_CHROME = re.compile(
    r"(?:top|bottom) of page|back to top|skip to (?:main )?content|share|print|menu|search|log ?in"
    r"|instagram|facebook|twitter|x|telegram|whatsapp|youtube|linkedin|tiktok|threads|bluesky|mastodon|rss",
    re.I,
)


class UnitKind(StrEnum):
    PROSE = "prose"
    HEADING = "heading"
    DATE = "date"  # a full date alone on its line
    EVENT = "event"
    UNREAD = "unread"  # starts like a date, is none of the grammar's
    SERIES = "series"
    REGISTER = "register"
    CHROME = "chrome"  # the site's furniture
    FOOTER = "footer"  # furniture that ends the page's text


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A line, or a paragraph of wrapped lines, with what it was read as."""

    number: int
    kind: UnitKind
    text: str
    markdown: str  # with its mark: heading, list item, quotation
    paragraph: int
    links: tuple[str, ...] = ()
    in_footer: bool = False
    event: DateLine | None = None
    why_unread: str | None = None
    day: date | None = None
    series: str | None = None


def split_units(document: Document, zones: Mapping[str, str] = ZONES) -> list[Unit]:
    """Sort the document's lines. Zone names are those the source is known to use."""
    return [
        unit
        for _, lines in groupby(document.lines, key=lambda line: line.paragraph)
        for unit in _paragraph(list(lines), zones, wrapped=document.wrapped)
    ]


def _paragraph(lines: list[Line], zones: Mapping[str, str], *, wrapped: bool) -> Iterator[Unit]:
    prose: list[Line] = []
    for line in lines:
        if wrapped and prose and not line.prefix and _goes_on(prose[-1]):
            prose.append(line)
            continue
        unit = _special(line, zones)
        joins = unit is None and wrapped and not line.prefix
        if prose and not joins:
            yield _prose(prose)
            prose = []
        if unit is not None:
            yield unit
        else:
            prose.append(line)
    if prose:
        yield _prose(prose)


def _goes_on(line: Line) -> bool:
    return len(line.text) >= WRAPPED_LETTERS and not line.text.endswith(_SENTENCE_ENDS)


def _special(line: Line, zones: Mapping[str, str]) -> Unit | None:
    """The unit of a line that is more than prose by itself; None for prose."""
    for kind, pattern in (
        (UnitKind.REGISTER, _REGISTER),
        (UnitKind.CHROME, _CHROME),
        (UnitKind.FOOTER, _FOOTER),
    ):
        if pattern.fullmatch(line.text):
            return _unit(line, kind)
    alone = read_date_alone(line.text)
    if isinstance(alone, Contradiction):
        return _unit(line, UnitKind.UNREAD, why_unread=alone.why)
    if alone is not None:
        return _unit(line, UnitKind.DATE, day=alone)
    reading = read_line(line.text, zones)
    if isinstance(reading, Unreadable):
        return _unit(line, UnitKind.UNREAD, why_unread=reading.why)
    return _unit(line, UnitKind.EVENT, event=reading) if reading else None


def _prose(lines: list[Line]) -> Unit:
    first = lines[0]
    text = " ".join(line.text for line in lines)
    series = _SERIES.match(text)
    kind = UnitKind.SERIES if series else UnitKind.HEADING if first.heading else UnitKind.PROSE
    return Unit(
        number=first.number,
        kind=kind,
        text=text,
        markdown=first.prefix + " ".join(line.markdown for line in lines),
        paragraph=first.paragraph,
        links=tuple(link for line in lines for link in line.links),
        in_footer=first.footer,
        series=series["name"].strip() if series else None,
    )


def _unit(
    line: Line,
    kind: UnitKind,
    *,
    event: DateLine | None = None,
    why_unread: str | None = None,
    day: date | None = None,
) -> Unit:
    return Unit(
        number=line.number,
        kind=kind,
        text=line.text,
        markdown=line.prefix + line.markdown,
        paragraph=line.paragraph,
        links=line.links,
        in_footer=line.footer,
        event=event,
        why_unread=why_unread,
        day=day,
    )
