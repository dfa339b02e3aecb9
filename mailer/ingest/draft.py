"""What reading a page gives: drafts, lines that were not understood, and questions.

A draft is a proposal to staff: it mails nobody by itself. A held one is not stored
before a person has answered what it leaves open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from mailer.vocabulary import FieldSource, Medium, Precision, SourceKind

Hour = time

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
    uid: str | None = None  # what its feed knows it by
    medium: Medium = Medium.PAGE

    @property
    def paragraphs(self) -> tuple[str, ...]:
        return tuple(self.body.split("\n\n"))


@dataclass(frozen=True, kw_only=True)
class SymposiumDraft:
    """A symposium as one line of a page, or one event of a calendar, gives it.

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
    line: int  # where it stands in the page or file
    register_url: str | None = None
    month_day: tuple[int, int] | None = None  # as printed, known even while the year is not
    printed_time: Hour | None = None  # as printed, known even while its zone is not
    needs_confirmation: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    held: str | None = None
    readings: tuple[date, ...] = ()
    uid: str | None = None  # what its calendar or page knows it by, with the occurrence's own date
    sequence: int | None = None  # RFC 5545 3.8.7.4: a lower one is an older copy
    minutes: int | None = None  # None: no end was given
    place: str | None = None
    online: bool | None = None
    cancelled: bool = False  # its source calls it off
    medium: Medium = Medium.PAGE

    @property
    def starts_at(self) -> datetime | None:
        """The moment in UTC, when day, hour and zone are known."""
        if self.day is None or self.time is None or self.zone is None:
            return None
        return datetime.combine(self.day, self.time, ZoneInfo(self.zone)).astimezone(UTC)


@dataclass(frozen=True, kw_only=True)
class UnreadLine:
    """A line that looks like a date and could not be read. It is shown to staff, never dropped."""

    number: int
    text: str
    why: str
    asks: bool = True  # False: no event's line, so a date and a title would be no answer to it


@dataclass(frozen=True, kw_only=True)
class PageDraft:
    """All that one page, feed or calendar gives. `questions` need an answer; `notes` are worth knowing.

    `whole` is False when something of it may be missing, so that nothing may be called gone.
    """

    statements: tuple[StatementDraft, ...]
    symposia: tuple[SymposiumDraft, ...]
    unread: tuple[UnreadLine, ...] = ()
    questions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kind: SourceKind = SourceKind.PAGE
    whole: bool = True
