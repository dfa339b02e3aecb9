"""HTML read as a person sees it: visible text by blocks, links, the page's own address.

Scripts, navigation and hidden parts are not read. The tree is walked without
recursion, so that a page nested a million deep costs memory of its size, no more.
"""

import re
from collections.abc import Mapping

from selectolax.lexbor import LexborHTMLParser, LexborNode

from mailer.ingest.document import Document, Line
from mailer.ingest.markdown import Run, inline
from mailer.ingest.nesting import refuse_bombs
from mailer.visible import one_line, visible

_LOOKS_LIKE_HTML = re.compile(r"\s*(?:<!doctype html|<!--|<\?xml|<[a-z][a-z0-9]*[\s>/])", re.I)
_NOT_READ = frozenset(
    (
        *("head", "title", "script", "style", "noscript", "template", "svg", "math", "canvas", "audio"),
        *("video", "nav", "iframe", "object", "embed", "button", "select", "textarea", "dialog"),
    )
)
_BLOCKS = frozenset(
    (
        *("body", "p", "div", "section", "article", "header", "footer", "main", "aside", "center", "address"),
        *("h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "hr"),
        *("table", "thead", "tbody", "tr", "figure", "figcaption", "form", "fieldset", "details", "summary"),
    )
)
_HEADINGS = {f"h{level}": "#" * max(level, 2) + " " for level in range(1, 7)}
_LANGUAGE = re.compile(r"([A-Za-z]{2,3})(?:-[A-Za-z0-9]+)*")
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0*\.?0+(?![\d.]*[1-9])", re.I
)


def looks_like_html(text: str) -> bool:
    """True when the text starts as an HTML document or fragment does."""
    return _LOOKS_LIKE_HTML.match(text) is not None


def read_html(text: str) -> Document:
    """Read an HTML page or fragment into its visible lines. Raises PageError for a nesting bomb."""
    refuse_bombs(text)
    tree = LexborHTMLParser(visible(text))
    reader = _Reader()
    if tree.body is not None:
        reader.walk(tree.body)
    root = tree.root
    said = _LANGUAGE.fullmatch((root.attributes.get("lang") or "").strip()) if root is not None else None
    canonical = tree.css_first('link[rel~="canonical" i][href]')
    return Document(
        lines=tuple(reader.lines),
        wrapped=False,
        canonical=canonical.attributes.get("href") if canonical is not None else None,
        language=said[1].lower() if said else None,
    )


class _Reader:
    """Collects runs of text until a block or a line ends."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._runs: list[Run] = []
        self._paragraph = 0
        self._prefixes: list[str] = []
        self._counters: list[int | None] = []
        self._hrefs: list[str] = []
        self._depth = {"strong": 0, "em": 0, "footer": 0}

    def walk(self, root: LexborNode) -> None:
        stack: list[tuple[LexborNode, bool]] = [(root, False)]
        while stack:
            node, leaving = stack.pop()
            tag = node.tag or ""
            if tag == "-text":
                self._text(node.text_content or "")
                continue
            if leaving:
                self._leave(tag)
                continue
            attributes = node.attributes
            if tag.startswith("-") or tag in _NOT_READ or _hidden(attributes):
                continue
            self._enter(tag, attributes)
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(list(node.iter(include_text=True))))
        self._end_block()

    def _text(self, text: str) -> None:
        self._runs.append(
            Run(
                text=re.sub(r"\s+", " ", text),
                strong=self._depth["strong"] > 0,
                em=self._depth["em"] > 0,
                href=self._hrefs[-1] if self._hrefs else None,
            )
        )

    def _enter(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        if tag in _BLOCKS:
            self._end_block()
        if tag == "br":
            self._end_line()
        elif tag in ("td", "th"):
            self._text(" ")
        elif tag in ("ul", "ol"):
            self._counters.append(0 if tag == "ol" else None)
        elif tag == "a":
            self._hrefs.append((attributes.get("href") or "").strip())
        self._count(tag, 1)
        prefix = self._prefix(tag)
        if prefix is not None:
            self._prefixes.append(prefix)

    def _leave(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._end_block()
        if tag in ("ul", "ol"):
            self._counters.pop()
        elif tag == "a":
            self._hrefs.pop()
        self._count(tag, -1)
        if tag in _HEADINGS or tag in ("li", "blockquote"):
            self._prefixes.pop()

    def _count(self, tag: str, step: int) -> None:
        look = {"b": "strong", "i": "em"}.get(tag, tag)
        if look in self._depth:
            self._depth[look] += step

    def _prefix(self, tag: str) -> str | None:
        if tag == "li":
            count = self._counters[-1] if self._counters else None
            if count is None:
                return "- "
            self._counters[-1] = count + 1
            return f"{count + 1}. "
        return "> " if tag == "blockquote" else _HEADINGS.get(tag)

    def _end_block(self) -> None:
        self._end_line()
        self._paragraph += 1

    def _end_line(self) -> None:
        text = one_line("".join(run.text for run in self._runs))
        if text:
            self.lines.append(
                Line(
                    number=len(self.lines) + 1,
                    text=text,
                    markdown=inline(self._runs),
                    paragraph=self._paragraph,
                    prefix=self._prefixes[-1] if self._prefixes else "",
                    links=tuple(dict.fromkeys(run.href for run in self._runs if run.href)),
                    footer=self._depth["footer"] > 0,
                )
            )
        self._runs.clear()


def _hidden(attributes: Mapping[str, str | None]) -> bool:
    return (
        "hidden" in attributes
        or (attributes.get("aria-hidden") or "").lower() == "true"
        or _HIDDEN_STYLE.search(attributes.get("style") or "") is not None
    )
