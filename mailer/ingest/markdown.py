"""Words from outside, written as Markdown that shows exactly these words.

A statement's body is kept as Markdown; a star or a number in somebody's sentence
must not become a list, and `((words))` in it must not become our placeholder.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import quote

_ANYWHERE = re.compile(r"[\\`*\[\]<>~|]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|\({2,}|\){2,}")
# At a run's edge the next letter belongs to another run: what could combine with it is escaped.
_IN_RUN = re.compile(rf"{_ANYWHERE.pattern}|^[()]|[()!&]$")
_AT_START = re.compile(r"(?:(#{1,6})(?=\s|$)|([-+=])|(\d{1,9})([.)])(?=\s|$))")
_SAFE_SCHEMES = ("https://", "http://", "mailto:")
_URL_LETTERS = ":/?#@!$&'*+,;=%~-._"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A stretch of text of one look."""

    text: str
    strong: bool = False
    em: bool = False
    href: str | None = None


def escape(text: str) -> str:
    """Return one line of text as Markdown in which no character has a meaning (CommonMark 2.4)."""
    return _escape_start(_ANYWHERE.sub(_backslash, text))


def inline(runs: Iterable[Run]) -> str:
    """Return runs as one line of Markdown: emphasis and http, https and mailto links are kept."""
    merged = [
        Run(text="".join(run.text for run in group), strong=look[0], em=look[1], href=look[2])
        for look, group in groupby(runs, key=lambda run: (run.strong, run.em, run.href))
    ]
    parts: list[str] = []
    for index, run in enumerate(merged):
        before = merged[index - 1].text[-1:] if index else ""
        after = merged[index + 1].text[:1] if index + 1 < len(merged) else ""
        parts.append(_marked(run, before, after))
    return _escape_start(" ".join("".join(parts).split()))


def _marked(run: Run, before: str, after: str) -> str:
    words = run.text.strip()
    if not words:
        return run.text
    lead = run.text[: len(run.text) - len(run.text.lstrip())]
    tail = run.text[len(run.text.rstrip()) :]
    marked = _IN_RUN.sub(_backslash, words)
    marks = ("**" if run.strong else "") + ("_" if run.em and not run.strong else "")
    if marks and _can_stand(words, before if not lead else " ", after if not tail else " "):
        marked = f"{marks}{marked}{marks[::-1]}"
    if run.href and run.href.lower().startswith(_SAFE_SCHEMES):
        marked = f"[{marked}](<{quote(run.href, safe=_URL_LETTERS)}>)"
    return lead + marked + tail


def _can_stand(words: str, before: str, after: str) -> bool:
    """Emphasis opens and closes only beside a blank, or a letter inside (CommonMark 6.2), else it shows."""
    opens = before in ("", " ") or (words[0].isalnum() and not before.isalnum())
    closes = after in ("", " ") or (words[-1].isalnum() and not after.isalnum())
    return opens and closes


def _escape_start(line: str) -> str:
    start = _AT_START.match(line)
    if not start:
        return line
    return f"{start[3]}\\{line[len(start[3]) :]}" if start[3] else "\\" + line


def _backslash(match: re.Match[str]) -> str:
    return "".join("\\" + letter for letter in match[0])
