"""Statements of a page: a title, a date on a line of its own, and the paragraphs below.

The programme, navigation and footers are no part of a statement's body, so a changed
programme is not an edited statement.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from mailer.ingest.draft import StatementDraft, UnreadLine
from mailer.ingest.text import plain_title, slug
from mailer.ingest.units import Unit, UnitKind
from mailer.vocabulary import FieldSource

TITLE_LETTERS = 300
KEY_LETTERS = 255
_PROSE = frozenset((UnitKind.PROSE, UnitKind.HEADING, UnitKind.SERIES, UnitKind.EVENT, UnitKind.UNREAD))
_TRACKING = re.compile(r"utm_\w+|fbclid|gclid|igshid|mc_[ce]id|mtm_\w+|_hs\w+", re.I)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the page is from, for address and language."""

    url: str | None  # its canonical address
    language: str
    language_source: FieldSource


@dataclass(frozen=True, kw_only=True)
class Statements:
    """What was read. `unread` are dates that stand alone without a title and a text."""

    drafts: tuple[StatementDraft, ...]
    unread: tuple[UnreadLine, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Head:
    first: int  # unit where the statement starts: its title or its date
    text: int  # unit where its text starts
    title: Unit
    date_line: Unit
    day: date
    certain: bool  # the title is a heading, or is printed twice


def read_statements(units: Sequence[Unit], taken: frozenset[int], origin: Origin) -> Statements:
    """Read every statement; `taken` are the units that belong to the programme."""
    heads = [head for index in range(len(units)) if (head := _head(units, index, taken))]
    ends = [*(head.first for head in heads), len(units)][1:]
    drafts: list[StatementDraft] = []
    unread: list[UnreadLine] = []
    left_over = 0
    for head, end in zip(heads, ends, strict=True):
        body, rest = _body(units, head.text, end, taken)
        if body:
            drafts.append(_draft(head, body, origin, alone=len(heads) == 1))
            left_over += rest
        else:
            why = "A date alone on its line, without a text below it: neither a statement nor a symposium."
            line = head.date_line
            unread.append(UnreadLine(number=line.number, text=line.text, why=why, asks=False))
    note = f"Not taken into a statement: {left_over} paragraph(s) that stand after the programme."
    return Statements(drafts=tuple(drafts), unread=tuple(unread), notes=(note,) if left_over else ())


def _head(units: Sequence[Unit], index: int, taken: frozenset[int]) -> _Head | None:
    """The head of a statement whose date stands at this unit: title above, below, or both."""
    day = units[index].day
    if day is None or units[index].in_footer:
        return None
    above = _title_beside(units, index, -1, taken)
    below = _title_beside(units, index, 1, taken)
    twice = above is not None and below is not None and _same_title(units[above], units[below])
    prefers_below = below is not None and units[below].kind is UnitKind.HEADING
    if above is not None and (twice or units[above].kind is UnitKind.HEADING or not prefers_below):
        certain = twice or units[above].kind is UnitKind.HEADING
        text = below + 1 if twice and below is not None else index + 1
        return _Head(
            first=above, text=text, title=units[above], date_line=units[index], day=day, certain=certain
        )
    if below is None:
        return None
    return _Head(
        first=index,
        text=below + 1,
        title=units[below],
        date_line=units[index],
        day=day,
        certain=prefers_below,
    )


def _title_beside(units: Sequence[Unit], index: int, step: int, taken: frozenset[int]) -> int | None:
    """The nearest unit above or below a date, when it can be a title."""
    at = index + step
    while 0 <= at < len(units) and units[at].kind is UnitKind.CHROME:
        at += step
    if not 0 <= at < len(units) or at in taken or units[at].kind not in (UnitKind.PROSE, UnitKind.HEADING):
        return None
    text = units[at].text
    return at if len(text) <= TITLE_LETTERS and not text.endswith((".", ":", ";", ",")) else None


def _same_title(one: Unit, other: Unit) -> bool:
    return plain_title(one.text) == plain_title(other.text)


def _body(units: Sequence[Unit], start: int, end: int, taken: frozenset[int]) -> tuple[list[Unit], int]:
    """The first stretch of prose, and how many paragraphs after it were left."""
    body: list[Unit] = []
    rest = 0
    closed = False
    for index in range(start, end):
        unit = units[index]
        if unit.in_footer or unit.kind is UnitKind.FOOTER:
            break
        if index in taken:
            closed = bool(body)
        elif unit.kind in _PROSE:
            rest += closed
            if not closed:
                body.append(unit)
    return body, rest


def _draft(head: _Head, body: Sequence[Unit], origin: Origin, *, alone: bool) -> StatementDraft:
    title = head.title.text
    markdown = _markdown(body)
    return StatementDraft(
        key=statement_key(title, markdown, origin.url, alone=alone),
        title=title,
        published_on=head.day,
        body=markdown,
        language=origin.language,
        url=origin.url,
        sources={
            "title": FieldSource.EXPLICIT if head.certain else FieldSource.CONTEXT,
            "published_on": FieldSource.EXPLICIT,
            "body": FieldSource.EXPLICIT,
            "language": origin.language_source,
            **({"url": FieldSource.EXPLICIT} if origin.url else {}),
        },
        raw="\n\n".join([title, head.day.isoformat(), *(unit.text for unit in body)]),
    )


def _markdown(body: Sequence[Unit]) -> str:
    """Join paragraphs; lines that HTML broke on purpose stay apart inside theirs."""
    paragraphs = [
        "\\\n".join(unit.markdown for unit in lines)
        for _, lines in groupby(body, key=lambda unit: (unit.paragraph, unit.markdown[:2] in ("- ", "> ")))
    ]
    return "\n\n".join(paragraphs)


def statement_key(title: str, body: str, url: str | None, *, alone: bool = True) -> str:
    """Return what ingest knows a statement by: its address, or without one a hash of title and body.

    On a page with several statements the title is added to the address.
    """
    key = url if url and alone else f"{url}#{slug(title)}" if url else None
    if key and len(key) <= KEY_LETTERS:
        return key
    words = unicodedata.normalize("NFC", key or f"{title}\0{body}")
    return f"sha256:{hashlib.sha256(words.encode()).hexdigest()[:32]}"


def canonical_url(url: str) -> str:
    """Return a page's address without fragment and tracking parameters, with its host in lower case."""
    parts = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True)]
    query = urlencode([(name, value) for name, value in kept if not _TRACKING.fullmatch(name)])
    return urlunsplit((parts.scheme.lower(), parts.netloc.lower(), parts.path or "/", query, ""))
