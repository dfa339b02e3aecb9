"""Whether a statement that was read is one that is already known.

A near-duplicate is never alerted as new: the guard holds it as "perhaps the same as".
An edit never alerts either; it is offered as a correction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from mailer.ingest.draft import StatementDraft
from mailer.ingest.text import plain_title
from mailer.visible import one_line

TITLE_DAYS = 30
TEXT_DAYS = 180
ALIKE = 0.9  # share of equal three-word shingles
SHINGLE = 3


class Alike(StrEnum):
    """In what two statements are alike."""

    TITLE = "title"
    TEXT = "text"


@dataclass(frozen=True, kw_only=True)
class KnownStatement:
    """The stored statement's facts, in the language it was read in."""

    id: int
    key: str
    title: str
    published_on: date
    body: str
    url: str | None = None


@dataclass(frozen=True, kw_only=True)
class SameStatement:
    """Known, and unchanged."""

    known: KnownStatement


@dataclass(frozen=True, kw_only=True)
class EditedStatement:
    """Known by its key, with other words: a correction to offer."""

    known: KnownStatement
    fields: tuple[str, ...]  # of title, published_on, body


@dataclass(frozen=True, kw_only=True)
class PerhapsSame:
    """Not known by its key, but so alike that a person must say whether it is new."""

    known: KnownStatement
    why: str


@dataclass(frozen=True, kw_only=True)
class NewStatement:
    """Nothing known is like it."""


StatementVerdict = SameStatement | EditedStatement | PerhapsSame | NewStatement


def match_statement(draft: StatementDraft, known: Sequence[KnownStatement]) -> StatementVerdict:
    """Say what one statement draft means for the statements that are known."""
    by_key = next((each for each in known if each.key == draft.key), None)
    if by_key is not None:
        fields = edits_of(draft, by_key)
        return EditedStatement(known=by_key, fields=fields) if fields else SameStatement(known=by_key)
    for each in known:
        why = _why_alike(draft, each)
        if why:
            return PerhapsSame(known=each, why=why)
    return NewStatement()


def edits_of(draft: StatementDraft, known: KnownStatement) -> tuple[str, ...]:
    """The fields in which a draft has other words than the known statement: title, published_on, body."""
    different = {
        "title": one_line(draft.title) != one_line(known.title),
        "published_on": draft.published_on != known.published_on,
        "body": one_line(draft.body) != one_line(known.body),
    }
    return tuple(name for name, changed in different.items() if changed)


def _why_alike(draft: StatementDraft, known: KnownStatement) -> str | None:
    days = abs((draft.published_on - known.published_on).days)
    match alike((draft.title, draft.body), (known.title, known.body), days=days):
        case Alike.TITLE:
            return f"It has the title of “{known.title}” of {known.published_on}."
        case Alike.TEXT:
            return f"Its text is almost that of “{known.title}” of {known.published_on}."
    return None


def alike(one: tuple[str, str], other: tuple[str, str], *, days: int) -> Alike | None:
    """In what two (title, body) that came so many days apart are so alike that they may be one."""
    if days <= TITLE_DAYS and plain_title(one[0]) == plain_title(other[0]):
        return Alike.TITLE
    if days <= TEXT_DAYS and resemblance(one[1], other[1]) >= ALIKE:
        return Alike.TEXT
    return None


def resemblance(one: str, other: str) -> float:
    """Return the share of three-word shingles that two texts have in common, from 0 to 1 (Jaccard)."""
    ours, theirs = _shingles(one), _shingles(other)
    return len(ours & theirs) / len(ours | theirs) if ours or theirs else 1.0


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = plain_title(text).split()
    return (
        {tuple(words[at : at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1))}
        if words
        else set()
    )
