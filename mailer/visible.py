"""What of a text can be seen: invisible characters go, blanks become one.

Only what no reader can see is removed. Joiners stay: Persian and emoji need them.
"""

import unicodedata

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
