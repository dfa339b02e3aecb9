"""A page as its visible lines, whether it came as text or as HTML.

Lines of one paragraph share its number. Text is wrapped by whoever saved it, so
its lines join with a blank; a line break in HTML was meant.
"""

import re
from dataclasses import dataclass

from mailer.ingest.markdown import escape
from mailer.visible import one_line

# What an editor calls a line, and the separators that page builders paste in.
_LINE_END = re.compile(r"\r\n|[\r\n\v\f\u2028\u2029]")
_BULLET = re.compile(r"[•◦▪‣·*–-] (?=\S)")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One visible line. `prefix` is its Markdown mark: "", "## ", "- ", "2. ", "> "."""

    number: int
    text: str
    markdown: str
    paragraph: int
    prefix: str = ""
    links: tuple[str, ...] = ()
    footer: bool = False

    @property
    def heading(self) -> bool:
        return self.prefix.startswith("#")


@dataclass(frozen=True, kw_only=True)
class Document:
    """The lines in reading order, and what the page says about itself."""

    lines: tuple[Line, ...]
    wrapped: bool  # True: a paragraph's lines are joined with a blank
    canonical: str | None = None
    language: str | None = None


def read_text(text: str) -> Document:
    """Read plain text: an empty line ends a paragraph."""
    lines: list[Line] = []
    paragraph = 0
    for number, raw in enumerate(_LINE_END.split(text), start=1):
        words = one_line(raw)
        if not words:
            paragraph += 1
            continue
        bullet = _BULLET.match(words)
        words = words[bullet.end() :] if bullet else words
        lines.append(
            Line(
                number=number,
                text=words,
                markdown=escape(words),
                paragraph=paragraph,
                prefix="- " if bullet else "",
            )
        )
    return Document(lines=tuple(lines), wrapped=True)
