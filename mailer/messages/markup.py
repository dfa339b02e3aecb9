"""Markdown of staff and of statements: safe HTML for the mail, and its plain text twin.

CommonMark with tables and without raw HTML; what comes out passes an allow-list besides. Only https
and mailto links are links, anything else stays letters. No images: an image becomes its description.
Headings begin at level 2 and leave none out, because the template holds the one first-level heading.
A paragraph that begins with ': ' right before a table is its caption.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

from mailer.messages.catalogues import Voice, voice
from mailer.messages.slots import MarkerInText, find_slots, split_slots
from mailer.messages.text_twin import text_twin

_ATTRIBUTES: dict[str, set[str]] = {
    "*": set(),
    "a": {"href", "style"},
    "caption": {"dir", "style"},
    "code": {"dir"},
    "ol": {"start"},
    "td": {"dir", "style"},
    "th": {"dir", "scope", "style"},
}
_TAG_NAMES = (
    "a bdi blockquote br caption code em h2 h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul"
)
_TAGS = set(_TAG_NAMES.split())
_STYLES = {"text-align", "text-decoration"}
_SCHEMES = {"https", "mailto"}
_LINK = re.compile(r"https://[^/?#]|mailto:[^?]", re.I)
_CAPTION = ": "
_FIRST_LEVEL, _LAST_LEVEL = 2, 6


class MarkupError(ValueError):
    """A placeholder stands where none can be filled. The message says which and where it may stand."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """One text twice: `html` is a fragment for the template's content cell, `text` its twin. Both may
    hold slots."""

    html: str
    text: str


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        # nh3 judges here already, so that the text twin has exactly the links the HTML will have.
        return _LINK.match(url) is not None and "href" in _clean(f'<a href="{escape(url)}">')


_PARSER = _Markdown("commonmark", {"html": False}).enable("table")


def render(markdown: str, *, language: str) -> Body:
    """Markdown as HTML and text; `language` is the text's own and decides which way tables run.

    Slot markers come through in text and as whole link addresses; MarkupError if one stands elsewhere,
    such as in a part of an address, or if an entity was to forge one; UnknownLanguage.
    """
    spoken = voice(language)
    tokens = _PARSER.parse(markdown)
    _settle_headings(tokens)
    _settle_captions(tokens)
    _describe_images(tokens)
    try:
        text = text_twin(SyntaxTreeNode(tokens), right_to_left=spoken.direction == "rtl")
        _dress(tokens, spoken)
        html = _clean(_PARSER.renderer.render(tokens, _PARSER.options, {}))
        split_slots(html)
    except MarkerInText as damaged:
        raise _misplaced(find_slots(markdown)) from damaged
    for rendered in (html, text):
        if amiss := find_slots(markdown) ^ find_slots(rendered):
            raise _misplaced(amiss)
    return Body(html=html.strip(), text=text)


def _clean(fragment: str) -> str:
    return nh3.clean(
        fragment,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        filter_style_properties=_STYLES,
        link_rel=None,
    )


def _settle_headings(tokens: Sequence[Token]) -> None:
    """Bring the levels into h2 to h6: the highest becomes h2, and none is skipped on the way down."""
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    highest = min((int(token.tag[1]) for token in headings), default=1)
    level = _FIRST_LEVEL - 1
    for opening, closing in zip(headings[::2], headings[1::2], strict=True):
        level = min(int(opening.tag[1]) - highest + _FIRST_LEVEL, level + 1, _LAST_LEVEL)
        opening.tag = closing.tag = f"h{level}"


def _settle_captions(tokens: list[Token]) -> None:
    """A paragraph that begins with ': ' right before a table becomes its caption (as Pandoc has it)."""
    for index in range(3, len(tokens)):
        opening, words, closing, table = tokens[index - 3 : index + 1]
        first = words.children[0] if words.children else None
        if table.type != "table_open" or first is None or not first.content.startswith(_CAPTION):
            continue
        first.content = first.content.removeprefix(_CAPTION)
        opening.type, closing.type = "caption_open", "caption_close"
        opening.tag = closing.tag = "caption"
        opening.hidden = closing.hidden = False
        tokens[index - 3 : index + 1] = [table, opening, words, closing]


def _describe_images(tokens: Sequence[Token]) -> None:
    for token in tokens:
        if token.children:
            token.children = [
                piece
                for child in token.children
                for piece in ((child.children or []) if child.type == "image" else [child])
            ]


def _dress(tokens: Sequence[Token], spoken: Voice) -> None:
    """Give the HTML what mail programs need on the element itself. The text twin is made before."""
    for token in tokens:
        if token.type in ("caption_open", "th_open", "td_open"):
            token.attrSet("dir", spoken.direction)
            token.attrSet("style", token.attrGet("style") or f"text-align:{spoken.near}")
        if token.type == "th_open":
            token.attrSet("scope", "col")
        if token.children:
            token.children = [piece for child in token.children for piece in _dressed(child)]


def _dressed(token: Token) -> list[Token]:
    if token.type == "code_inline":
        token.attrSet("dir", "auto")
    if token.type == "link_open":
        token.attrSet("style", "text-decoration:underline")
    if token.markup == "autolink":
        # An address reads from left to right whatever stands around it.
        closing = token.type == "link_close"
        isolate = Token("html_inline", "", 0, content="</bdi>" if closing else "<bdi>")
        return [isolate, token] if closing else [token, isolate]
    return [token]


def _misplaced(slots: frozenset[str]) -> MarkupError:
    names = ", ".join(f"(({name}))" for name in sorted(slots)) or "A placeholder"
    return MarkupError(
        f"{names} stands where it cannot be filled. A placeholder stands in the text, or is the whole "
        "address of a link; it cannot be a part of an address, a link's title or an image"
    )
