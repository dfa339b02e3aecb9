"""Text from outside as it is compared: titles without their typography, and how alike two texts are."""

import hashlib
import unicodedata
from difflib import SequenceMatcher

SLUG_LETTERS = 160


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
