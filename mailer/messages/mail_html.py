"""What the HTML of a mail may hold, and where its slots may stand.

A strict reader of the document our own templates and css-inline produce: a tag that is not on the
list, an address that loads something, an `on*` attribute, a slot anywhere but in text or as a whole
`href`, and the form is refused. What it does not understand it refuses as well.
The footer is the element with `id="footer"`.
"""

import html
import re
from collections.abc import Iterator

from mailer.messages.refusal import FormError
from mailer.messages.slots import MarkerInText, Slot, holds_marker, split_slots

LARGEST = 100_000  # octets of UTF-8; Gmail cuts a mail off at 102 KB and hides its footer
FOOTER_ID = "footer"

_TAG_NAMES = (
    "html head meta title style body div center section article header footer main address "
    "table caption colgroup col thead tbody tfoot tr th td p h1 h2 h3 h4 h5 h6 ul ol li dl dt dd "
    "blockquote pre code em strong b i u s del ins small sub sup abbr cite q time span bdi bdo "
    "a br hr wbr"
)
_TAGS = frozenset(_TAG_NAMES.split())
_LOADING_NAMES = (
    "src srcset imagesrcset background poster data dynsrc lowsrc action formaction ping manifest "
    "longdesc profile codebase classid archive usemap srcdoc xlink:href"
)
_LOADING = frozenset(_LOADING_NAMES.split())
_NAME = r"[^\s\"'<>/=\x00-\x1f]+"
_VALUE = r"\"[^\"]*\"|'[^']*'|[^\s\"'=<>`]+"
_TOKEN = re.compile(
    rf"""(?P<comment><!--(?!-?>).*?-->)
    |(?P<doctype><!doctype\ html(?:\s[^>]*)?>)
    |</(?P<close>[a-z][a-z0-9]*)\s*>
    |<(?P<open>[a-z][a-z0-9]*)(?P<attributes>(?:\s+{_NAME}(?:\s*=\s*(?:{_VALUE}))?)*)\s*/?>
    |(?P<text>[^<]+)""",
    re.X | re.S | re.I,
)
_RAW = {tag: re.compile(rf"[^<]*</{tag}\s*>", re.I) for tag in ("style", "title")}
_ATTRIBUTE = re.compile(rf"({_NAME})(?:\s*=\s*({_VALUE}))?")
_HREF = re.compile(r"https?://[^\s]+|mailto:[^\s]+", re.I).fullmatch
_CSS = re.compile(
    r"url\(|image\(|image-set\(|src\(|@import|@font-face|expression\(|behavior\s*:|-moz-binding", re.I
)
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-f]{1,6})\s?|(.))", re.I | re.S)
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_IN_COMMENT = re.compile(
    r"<\s*/?\s*(script|form|input|button|iframe|object|embed|img|v:\w+|link|base|video|audio|svg)\b"
    r"|\b(src|background|on\w+)\s*=",
    re.I,
)


def check_html(document: str) -> None:
    """Raise FormError, with the rule and what to do, if the document must not be mailed."""
    size = len(document.encode())
    if size > LARGEST:
        raise FormError(
            f"the HTML is {size:,} octets and Gmail cuts mails at 102 KB; shorten it to {LARGEST:,} or fewer"
        )
    footer = False
    raw_text: str | None = None  # inside <style> or <title>
    for token in _tokens(document):
        if token["text"]:
            _check_text(token["text"], raw_text)
        elif token["comment"]:
            _check_comment(token["comment"])
        elif tag := (token["open"] or token["close"] or "").lower():
            if tag not in _TAGS:
                raise FormError(f"a mail may not hold <{tag}>; take it out of the template")
            raw_text = tag if token["open"] and tag in ("style", "title") else None
            if token["open"]:
                footer |= _check_attributes(tag, token["attributes"])
        if holds_marker(token[0]) and not (token["text"] or token["open"]):
            raise FormError("a slot stands inside a comment or a closing tag; move it into text")
    if not footer:
        raise FormError(
            f'the HTML has no footer (an element with id="{FOOTER_ID}") that says who writes, why, '
            "and how to leave; add it"
        )


def _tokens(document: str) -> Iterator[re.Match[str]]:
    position = 0
    while position < len(document):
        match = _TOKEN.match(document, position)
        if match is None:
            line = document.count("\n", 0, position) + 1
            raise FormError(
                f"line {line} of the HTML cannot be read: a stray '<', an open quote or comment, or a slot "
                "in a tag; write &lt; for the letter and close what is open"
            )
        yield match
        position = match.end()
        tag = (match["open"] or "").lower()
        # What these hold is not markup: it runs to the closing tag, whatever stands in it.
        if tag in ("style", "title") and not _RAW[tag].match(document, position):
            raise FormError(f"<{tag}> holds a '<' or is not closed in the HTML; correct it")


def _check_text(text: str, raw_text: str | None) -> None:
    if raw_text and holds_marker(text):
        raise FormError(f"a slot stands inside <{raw_text}>, which is the same for all; take it out")
    if raw_text == "style":
        _check_css(text)
    try:
        split_slots(text)
    except MarkerInText as damaged:
        raise FormError(f"in the HTML {damaged}") from None


def _check_attributes(tag: str, attributes: str) -> bool:
    """Check one tag's attributes; True if it is the footer."""
    footer = False
    seen: set[str] = set()
    for match in _ATTRIBUTE.finditer(attributes):
        name = match[1].lower()
        value = _unquoted(match[2] or "")
        if name in seen:
            raise FormError(f"<{tag}> has the attribute {name} twice; keep one")
        seen.add(name)
        if name == "href":
            _check_href(tag, value)
        elif holds_marker(match[0]):
            raise FormError(f"a slot stands in <{tag}>; a slot stands in text or is the whole of an href")
        elif name.startswith("on") or name in _LOADING:
            raise FormError(f"<{tag}> has the attribute {name}, which a mail may not have; take it out")
        elif name == "style":
            _check_css(value)
        elif name == "http-equiv" and value.lower() not in ("content-type", "x-ua-compatible"):
            raise FormError("a mail may hold no <meta http-equiv> that acts; take it out")
        footer |= name == "id" and value == FOOTER_ID
    return footer


def _unquoted(value: str) -> str:
    return html.unescape(value[1:-1] if value[:1] in ('"', "'") else value)


def _check_href(tag: str, value: str) -> None:
    if tag != "a":
        raise FormError(f"<{tag}> has an href; only <a> may link")
    if holds_marker(value):
        try:
            pieces = split_slots(value)
        except MarkerInText:
            pieces = []
        if len(pieces) != 1 or not isinstance(pieces[0], Slot) or not pieces[0].is_url:
            raise FormError("a slot is only a part of an href; make the whole address one URL slot")
    elif not _HREF(value):
        raise FormError(
            "a link leads to something else than a full https, http or mailto address; correct it"
        )


def _check_css(css: str) -> None:
    plain = _CSS_ESCAPE.sub(lambda found: chr(int(found[1], 16) % 0x110000) if found[1] else found[2], css)
    for form in (plain, _CSS_COMMENT.sub("", plain)):
        if found := _CSS.search(form):
            raise FormError(f"the style holds '{found[0]}', which can load something; take it out")


def _check_comment(comment: str) -> None:
    if "--!>" in comment:
        raise FormError("a comment of the HTML holds '--!>', which may or may not end it; take it out")
    if found := _IN_COMMENT.search(comment):
        what = next(filter(None, found.groups()))
        raise FormError(f"a comment of the HTML holds '{what}', which Outlook would run or load; take it out")
    _check_css(comment)
