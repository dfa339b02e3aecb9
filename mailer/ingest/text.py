"""Text from outside, made plain: invisible characters go, blanks become one.

Only what no reader can see is removed. Joiners stay: Persian and emoji need them.
"""

import hashlib
import unicodedata
from difflib import SequenceMatcher

SLUG_LETTERS = 160
_INVISIBLE = frozenset("\u200b\u2060\ufeff\u00ad\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Controls could end a header line; private-use letters are icon fonts, and our own slot markers.
_UNWANTED = frozenset(("Cc", "Co", "Cs"))


def visible(text: str) -> str:
    """Return the text without characters that have no look of their own, with line ends and blanks kept."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        letter
        for letter in unicodedata.normalize("NFC", text)
        if letter.isspace() or (letter not in _INVISIBLE and unicodedata.category(letter) not in _UNWANTED)
    )


def one_line(text: str) -> str:
    """Return the visible text with every run of blanks, of whatever kind, as one space."""
    return " ".join(visible(text).split())


def plain_title(title: str) -> str:
    """Return the title as it is compared: letters and digits of any script, lower case, one blank between.

    Quotation marks, dashes, `&` and capitals are typography: a page that changes them names the same thing.
    """
    folded = unicodedata.normalize("NFKC", title).casefold()
    return " ".join("".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in folded).split())


def slug(title: str) -> str:
    """Return `plain_title` joined with hyphens, at most 160 letters; a cut one ends in a hash."""
    words = plain_title(title).replace(" ", "-") or "untitled"
    if len(words) <= SLUG_LETTERS:
        return words
    digest = hashlib.sha256(words.encode()).hexdigest()[:12]
    return f"{words[: SLUG_LETTERS - 13].rstrip('-')}-{digest}"


def likeness(one: str, other: str) -> float:
    """Return how alike two titles are, from 0 (nothing shared) to 1 (the same), word by word."""
    return SequenceMatcher(None, plain_title(one).split(), plain_title(other).split(), autojunk=False).ratio()
