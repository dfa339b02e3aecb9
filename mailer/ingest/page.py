"""One page, as text or as HTML, read into draft statements and symposia.

Pure: the text, the day it was fetched and where it came from are arguments. Nothing
is stored, mailed or chosen silently.
"""

import re
from collections.abc import Mapping
from datetime import date
from urllib.parse import urlsplit

from mailer.ingest.document import Document, read_text
from mailer.ingest.draft import PageDraft, UnreadLine
from mailer.ingest.errors import PageError
from mailer.ingest.html import looks_like_html, read_html
from mailer.ingest.programme import Programme, read_programme, web_address
from mailer.ingest.statement import Origin, Statements, canonical_url, read_statements
from mailer.ingest.units import split_units
from mailer.ingest.zones import ZONES
from mailer.vocabulary import FieldSource

PAGE_BYTES = 2 * 1024 * 1024
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def read_page(
    text: str,
    *,
    fetched_on: date,
    source: str,
    zones: Mapping[str, str] = ZONES,
    language: str = "en",
) -> PageDraft:
    """Read one page.

    `source` is the page's address, or any other word for where it came from (a file's name).
    `zones` are the zone names this source uses, `language` its language where it does not say.
    Raises PageError for what is no page of text: empty, binary, too large.
    """
    _refuse_what_is_no_text(text)
    document = read_html(text) if looks_like_html(text) else read_text(text)
    url = _own_address(document, source)
    base_url = source if _is_web(source) else url
    units = split_units(document, zones)
    programme = read_programme(units, fetched_on=fetched_on, base_url=base_url)
    origin = Origin(
        url=url,
        language=document.language or language,
        language_source=FieldSource.EXPLICIT if document.language else FieldSource.CONTEXT,
    )
    statements = read_statements(units, programme.taken, origin)
    return PageDraft(
        statements=statements.drafts,
        symposia=programme.symposia,
        unread=_unread(programme, statements),
        questions=programme.questions or _nothing_found(programme, statements),
        notes=(*programme.notes, *statements.notes),
    )


def _refuse_what_is_no_text(text: str) -> None:
    # A second door: source.py has counted the bytes of what it read.
    if len(text) > PAGE_BYTES:
        raise PageError(too_large())
    if not text.strip("\ufeff \t\r\n"):
        raise PageError("The page is empty. Save it again with its text, or copy the text into a file.")
    if "\0" in text or len(_CONTROLS.findall(text)) > len(text) / 100:
        raise PageError(
            "This is not text but a binary file. "
            "Save the page as HTML or as plain text (UTF-8) and ingest that."
        )


def too_large(octets: int = PAGE_BYTES) -> str:
    """Return the sentence for a page over the limit."""
    return (
        f"The page is larger than {octets // 1024 // 1024} MiB, so it was not read. "
        "Copy the statement and the programme into a text file and ingest that."
    )


def _is_web(source: str) -> bool:
    return source.startswith(("https://", "http://"))


def _own_address(document: Document, source: str) -> str | None:
    """rel=canonical when it stays on the page's own host, else the address the page was fetched from."""
    own = source if _is_web(source) else None
    said = web_address(document.canonical, own) if document.canonical else None
    if said and (own is None or urlsplit(said).hostname == urlsplit(own).hostname):
        return canonical_url(said)
    return canonical_url(own) if own else None


def _unread(programme: Programme, statements: Statements) -> tuple[UnreadLine, ...]:
    return tuple(sorted((*programme.unread, *statements.unread), key=lambda line: line.number))


def _nothing_found(programme: Programme, statements: Statements) -> tuple[str, ...]:
    if statements.drafts or programme.symposia or _unread(programme, statements):
        return ()
    return (
        "No statement and no symposium was found. A statement is a title, a date such as “July 17, 2021” "
        "on a line of its own, and paragraphs; a programme is two or more lines such as "
        "“Friday, May 3, 2024, 12noon ET, Title”.",
    )
