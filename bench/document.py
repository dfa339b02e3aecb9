"""Puts tables between their marks in docs/performance.md, so that no figure there is written by hand."""

from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


class MarksMissing(Exception):
    """The page has lost the marks between which figures stand; the message says which."""


def between(page: str, name: str, text: str) -> str:
    """The page with `text` between `<!-- name: begin -->` and `<!-- name: end -->`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise MarksMissing(f"docs/performance.md needs the lines {begin} and {end}, once and in this order")
    head, rest = page.split(begin)
    tail = rest.split(end)[1]
    return f"{head}{begin}\n{text}\n{end}{tail}"


def write(name: str, text: str) -> None:
    """Replace that part of the page."""
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")
