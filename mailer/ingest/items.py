"""A feed's items, of whatever format, made draft statements - and symposia where a post holds a programme.

A feed's dates order its items and date a statement; they never say when something starts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby

from mailer.ingest.document import Document, read_text
from mailer.ingest.draft import PageDraft, StatementDraft, SymposiumDraft, UnreadLine
from mailer.ingest.errors import PageError
from mailer.ingest.event import each_once, is_sensible, plain_address, short_line, short_uid
from mailer.ingest.html import read_html
from mailer.ingest.programme import WEAK, Programme, read_programme, web_address
from mailer.ingest.statement import TITLE_LETTERS, canonical_url, statement_key
from mailer.ingest.units import Unit, UnitKind, split_units
from mailer.vocabulary import FieldSource, Medium, SourceKind

MOST_ITEMS = 1_000
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:-[A-Za-z0-9]+)*")
_PROSE = frozenset((UnitKind.PROSE, UnitKind.HEADING, UnitKind.SERIES, UnitKind.DATE, UnitKind.UNREAD))


@dataclass(frozen=True, kw_only=True)
class FeedItem:
    """One item as its feed gives it; all of it is a stranger's text. `body` is HTML or plain text."""

    guid: str
    url: str
    title: str
    body: str = field(repr=False)
    is_html: bool
    summary_only: bool
    published_on: date | None
    language: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Read:
    statement: StatementDraft | UnreadLine
    symposia: tuple[SymposiumDraft, ...] = ()
    notes: tuple[str, ...] = ()


def refuse_many(count: int) -> None:
    """Raise PageError for a feed of more items than are read."""
    if count > MOST_ITEMS:
        raise PageError(
            f"The feed holds {count:,} items, and at most {MOST_ITEMS:,} are read, so nothing was. "
            "Most sites offer a feed of the latest ones: give its address."
        )


def read_items(
    items: Sequence[FeedItem],
    *,
    kind: SourceKind,
    fetched_on: date,
    source: str,
    zones: Mapping[str, str],
    language: str,
    notes: tuple[str, ...] = (),
    whole: bool = True,
) -> PageDraft:
    """Return what a feed's items give, in its order; an item that cannot be read is listed, never dropped."""
    read = [
        _read(item, number, fetched_on=fetched_on, source=source, zones=zones, language=language)
        for number, item in enumerate(items, start=1)
    ]
    statements: dict[str, StatementDraft] = {}
    for one in read:
        if isinstance(one.statement, StatementDraft):
            # Of two with one name the later one, whatever their order: an order means nothing.
            name = one.statement.uid or one.statement.key
            statements[name] = max(statements.get(name, one.statement), one.statement, key=_age)
    return PageDraft(
        statements=tuple(statements.values()),
        symposia=tuple(each_once(draft for one in read for draft in one.symposia)),
        unread=tuple(one.statement for one in read if isinstance(one.statement, UnreadLine)),
        notes=(*notes, *dict.fromkeys(note for one in read for note in one.notes)),
        kind=kind,
        whole=whole,
    )


def _age(draft: StatementDraft) -> tuple[date, str]:
    return draft.published_on, draft.raw


def _read(
    item: FeedItem, number: int, *, fetched_on: date, source: str, zones: Mapping[str, str], language: str
) -> _Read:
    title = short_line(_plain(item.title), TITLE_LETTERS)
    if not title:
        words = short_line(_plain(item.body), 80) or "an item without words"
        return _Read(
            statement=UnreadLine(number=number, text=words, why="The item has no title.", asks=False)
        )
    try:
        document = read_html(item.body) if item.is_html else read_text(item.body)
    except PageError as problem:
        return _Read(statement=UnreadLine(number=number, text=title, why=str(problem), asks=False))
    address = web_address(item.url, source) if plain_address(item.url) else None
    url = plain_address(address) if address else None
    units = split_units(document, zones)
    dated = item.published_on
    published = dated if dated and is_sensible(dated) else fetched_on
    programme = read_programme(units, fetched_on=published, base_url=url or source)
    body = _markdown(units, programme)
    if not body:
        return _Read(
            statement=UnreadLine(
                number=number, text=title, why="The item has a title, but no text.", asks=False
            ),
            symposia=_of_feed(programme, number),
        )
    statement = _statement(item, title, body, url, published, _language(item, document, language))
    note = (f"The feed gives only the beginning of “{title}”: take the whole from its page.",)
    notes = (*(note if item.summary_only else ()), *programme.questions)
    return _Read(statement=statement, symposia=_of_feed(programme, number), notes=notes)


def _statement(
    item: FeedItem, title: str, body: str, url: str | None, published: date, language: tuple[str, FieldSource]
) -> StatementDraft:
    address = canonical_url(url) if url else None
    key = statement_key(title, body, address)
    return StatementDraft(
        key=key,
        title=title,
        published_on=published,
        body=body,
        language=language[0],
        url=address,
        sources={
            "title": FieldSource.EXPLICIT,
            "published_on": FieldSource.CONTEXT,
            "body": FieldSource.CONTEXT if item.summary_only else FieldSource.EXPLICIT,
            "language": language[1],
            **({"url": FieldSource.EXPLICIT} if address else {}),
        },
        raw="\n\n".join([title, published.isoformat(), body]),
        uid=short_uid(item.guid) or None,
        medium=Medium.FEED,
    )


def _language(item: FeedItem, document: Document, fallback: str) -> tuple[str, FieldSource]:
    said = _LANGUAGE.fullmatch((item.language or document.language or "").strip())
    return (said[1].lower(), FieldSource.EXPLICIT) if said else (fallback, FieldSource.CONTEXT)


def _of_feed(programme: Programme, number: int) -> tuple[SymposiumDraft, ...]:
    """A post's dated lines. One that stands alone is offered; what may be prose is left: posts are prose."""
    return tuple(
        replace(one, medium=Medium.FEED, line=number) for one in programme.symposia if one.held != WEAK
    )


def _markdown(units: Sequence[Unit], programme: Programme) -> str:
    prose = [unit for index, unit in enumerate(units) if index not in programme.taken and unit.kind in _PROSE]
    return "\n\n".join(
        "\\\n".join(unit.markdown for unit in lines)
        for _, lines in groupby(prose, key=lambda unit: (unit.paragraph, unit.markdown[:2] in ("- ", "> ")))
    )


def _plain(text: str) -> str:
    """A title's own words: feeds put tags and entities into them."""
    if "<" not in text and "&" not in text:
        return text
    try:
        return " ".join(line.text for line in read_html(text).lines)
    except PageError:
        return ""
