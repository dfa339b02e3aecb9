"""What reading a page gives: drafts, lines that were not understood, and questions.

A draft is a proposal to staff: it mails nobody by itself. A held one is not stored
before a person has answered what it leaves open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time

from mailer.vocabulary import FieldSource, Precision

# Keys of SymposiumDraft.sources: "day" is the day of the month with its month, "year" stands beside it
# because it alone can be inferred.
SYMPOSIUM_FIELDS = ("title", "day", "month", "year", "time", "zone", "series", "register_url")
STATEMENT_FIELDS = ("title", "published_on", "body", "language", "url")


@dataclass(frozen=True, kw_only=True)
class StatementDraft:
    """A statement as the page gives it. `body` is Markdown; `raw` the words as they stood there."""

    key: str
    title: str
    published_on: date
    body: str
    language: str
    url: str | None
    sources: Mapping[str, FieldSource]
    raw: str

    @property
    def paragraphs(self) -> tuple[str, ...]:
        return tuple(self.body.split("\n\n"))


@dataclass(frozen=True, kw_only=True)
class SymposiumDraft:
    """A symposium as one line of the page gives it.

    `held` says why it may not be stored as it is, `readings` the dates it could have; a fact in doubt
    is None. `needs_confirmation` are sentences a person must answer before any mail about it leaves.
    """

    key: str
    title: str
    series: str | None
    series_text: str | None
    precision: Precision
    day: date | None
    month: tuple[int, int] | None  # (year, month), also when the day is known
    time: time | None
    zone: str | None  # IANA
    sources: Mapping[str, FieldSource]
    raw: str
    line: int  # where it stands in the page
    register_url: str | None = None
    month_day: tuple[int, int] | None = None  # as printed, known even while the year is not
    needs_confirmation: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    held: str | None = None
    readings: tuple[date, ...] = ()


@dataclass(frozen=True, kw_only=True)
class UnreadLine:
    """A line that looks like a date and could not be read. It is shown to staff, never dropped."""

    number: int
    text: str
    why: str


@dataclass(frozen=True, kw_only=True)
class PageDraft:
    """All that one page gives. `questions` need an answer; `notes` are worth knowing."""

    statements: tuple[StatementDraft, ...]
    symposia: tuple[SymposiumDraft, ...]
    unread: tuple[UnreadLine, ...] = ()
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
