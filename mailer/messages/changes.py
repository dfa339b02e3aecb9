"""What changed between two texts, for a reader: paragraph by paragraph, word by word.

Only paragraphs that differ are shown. The pieces are plain text; whoever shows them
escapes them.
"""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum

_BLANK_LINES = re.compile(r"\n\s*\n")
_TOKENS = re.compile(r"\s+|\w+|[^\w\s]")
ALIKE = 0.3  # paragraphs less alike than this are shown as one removed and one added


class Change(StrEnum):
    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Words in a row that were kept, removed or added."""

    change: Change
    text: str


Paragraph = tuple[Piece, ...]


def changes(old: str, new: str) -> tuple[Paragraph, ...]:
    """The paragraphs that differ, in the order of the new text; those that are gone stand where they were."""
    before, after = _paragraphs(old), _paragraphs(new)
    found: list[Paragraph] = []
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            found += _block(before[i1:i2], after[j1:j2])
    return tuple(found)


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in _BLANK_LINES.split(text) if part.strip()]


def _block(before: list[str], after: list[str]) -> list[Paragraph]:
    """Paragraphs that were replaced, in pairs as they stand; what has no partner was removed or added."""
    pairs = list(zip(before, after, strict=False))
    rest = [(old, "") for old in before[len(pairs) :]] + [("", new) for new in after[len(pairs) :]]
    return [paragraph for old, new in (*pairs, *rest) for paragraph in _pair(old, new)]


def _pair(old: str, new: str) -> list[Paragraph]:
    ours, theirs = _TOKENS.findall(old), _TOKENS.findall(new)
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    if matcher.ratio() < ALIKE:
        whole = ((Change.REMOVED, old), (Change.ADDED, new))
        return [(Piece(change=change, text=text),) for change, text in whole if text]
    pieces: list[Piece] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(Piece(change=Change.SAME, text="".join(ours[i1:i2])))
            continue
        if i2 > i1:
            pieces.append(Piece(change=Change.REMOVED, text="".join(ours[i1:i2])))
        if j2 > j1:
            pieces.append(Piece(change=Change.ADDED, text="".join(theirs[j1:j2])))
    return [_joined(pieces)]


def _joined(pieces: list[Piece]) -> Paragraph:
    """A lone blank between two changes belongs to them: struck out and added words stay readable."""
    removed = added = ""
    joined: list[Piece] = []

    def flush() -> None:
        nonlocal removed, added
        for change, text in ((Change.REMOVED, removed), (Change.ADDED, added)):
            if text:
                joined.append(Piece(change=change, text=text))
        removed = added = ""

    for number, piece in enumerate(pieces):
        between = piece.change is Change.SAME and not piece.text.strip() and 0 < number < len(pieces) - 1
        if between:
            removed, added = removed + piece.text, added + piece.text
        elif piece.change is Change.SAME:
            flush()
            joined.append(piece)
        elif piece.change is Change.REMOVED:
            removed += piece.text
        else:
            added += piece.text
    flush()
    return tuple(joined)
