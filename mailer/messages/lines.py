"""Lines of plain text: how wide they are, where they may be folded or cut.

Widths are columns of a terminal, as RFC 5322's 78 are meant: a Chinese character takes two. Lines
in a right-to-left script are never folded, since no mail program rejoins them in the right order,
and no direction marks are added. A slot marker is one word and is never cut.
"""

import re
import unicodedata

from mailer.messages.slots import Slot, split_slots, text_slot, url_slot

WIDTH = 72
_SLOT_WIDTH = 12  # about as wide as a name
_CLOSING = "，。、；：？！）」』》】〉”’…—·.,;:?!)]}%"
_OPENING = "（「『《【〈“‘([{"
_NO_BREAK = "\u00a0"
_AFTER_FIGURE = re.compile(r"(?<=\d) (?=[^\s(（]{1,6}(?:\s|$))")
_OFFSET_AT_END = re.compile(r"(?<=\u00a0)UTC[-+][0-9:]+\)$")  # Chinese has no blank there and breaks anywhere
_LAST_BRACKET = re.compile(r"[(（][^()（）]{1,24}[)）]$")


def columns(text: str) -> int:
    """How many columns the text takes on one line; a text slot counts as a name would."""
    pieces = split_slots(text)
    return sum(_SLOT_WIDTH if isinstance(piece, Slot) else _columns(piece) for piece in pieces)


def underline(title: str, mark: str = "=") -> str:
    """A line of marks as long as the title, but no longer than a line."""
    return mark * max(1, min(columns(title), WIDTH))


def fold(text: str) -> str:
    """Every line folded at words (or between Chinese characters) to 72 columns, its indentation kept.

    A word longer than that, such as a URL, stays whole on a line of its own.
    """
    return "\n".join(_fold_line(line.rstrip()) for line in text.split("\n"))


def shorten(text: str, limit: int) -> str:
    """The text in at most `limit` characters, cut with an ellipsis after a word where one ends near."""
    atoms = _atoms(text)
    if sum(map(_count, atoms)) <= limit:
        return text
    kept: list[str] = []
    room = limit - 1
    for atom in atoms:
        if _count(atom) > room:
            break
        kept.append(atom)
        room -= _count(atom)
    following = atoms[len(kept)]
    if not following.isspace():
        kept = _to_boundary(kept, following)
    return "".join(kept).rstrip(" ,;:–—-،") + "…"


def length(text: str) -> int:
    """Characters, where a text slot counts as a name would."""
    return sum(map(_count, _atoms(text)))


def unbroken(when: str) -> str:
    """A time in words for HTML: "12 noon" and the place in brackets at its end stay on one line."""
    joined = _AFTER_FIGURE.sub(_NO_BREAK, when)
    return _LAST_BRACKET.sub(lambda bracket: bracket[0].replace(" ", _NO_BREAK), joined)


def offset_at_end(when: str) -> str:
    """The offset with its bracket at the end of a time in words, or nothing: "UTC-5" must not break.

    Not the whole bracket: with text twice as large it would not fit a phone, and may break after the city.
    """
    offset = _OFFSET_AT_END.search(when)
    return offset[0] if offset else ""


def is_right_to_left(text: str) -> bool:
    """Whether the first letter with a direction belongs to a right-to-left script."""
    for character in text:
        direction = unicodedata.bidirectional(character)
        if direction in {"R", "AL"}:
            return True
        if direction == "L":
            return False
    return False


def _fold_line(line: str) -> str:
    if columns(line) <= WIDTH or is_right_to_left(line):
        return line
    indent = line[: len(line) - len(line.lstrip(" "))]
    lines: list[str] = []
    current, taken = indent, len(indent)
    for gap, word in _words(line.strip(" ")):
        wide = columns(word)
        if current == indent:
            gap = ""
        elif taken + len(gap) + wide > WIDTH:
            lines.append(current)
            current, taken, gap = indent, len(indent), ""
        current += gap + word
        taken += len(gap) + wide
    return "\n".join([*lines, current])


def _words(line: str) -> list[tuple[str, str]]:
    """The pieces between which the line may break, each with the space that stands before it."""
    words: list[tuple[str, str]] = []
    for spaced in line.split(" "):
        gap = " "
        for piece in _breakable(spaced):
            words.append((gap, piece))
            gap = ""
    return words


def _breakable(word: str) -> list[str]:
    """A word, cut between wide characters; punctuation stays with what it closes or opens."""
    pieces: list[str] = []
    for character in word:
        before = pieces[-1] if pieces else ""
        wide = _width(character) == 2 or (before != "" and _width(before[-1]) == 2)
        if before and (not wide or character in _CLOSING or before[-1] in _OPENING):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _columns(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _atoms(text: str) -> list[str]:
    """Single characters, and slot markers as one atom each."""
    atoms: list[str] = []
    for piece in split_slots(text):
        if isinstance(piece, Slot):
            atoms.append(url_slot(piece.name) if piece.is_url else text_slot(piece.name))
        else:
            atoms.extend(piece)
    return atoms


def _count(atom: str) -> int:
    return 1 if len(atom) == 1 else _SLOT_WIDTH


def _to_boundary(kept: list[str], following: str) -> list[str]:
    """Back to the last space if it is near; else only so far that no letter loses its marks."""
    for back in range(1, min(len(kept), 24)):
        if kept[-back].isspace():
            return kept[:-back]
    while kept and len(following) == 1 and _width(following) == 0:
        following = kept.pop()
    return kept
