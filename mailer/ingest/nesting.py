"""How much work a page's tags would make for an HTML parser, counted before one is asked.

The standard's parser must look through all open elements at every tag, and repeats
open formatting in every new block: two megabytes of `<div>` take it minutes, two of
`<b id=1><p>` all memory. Real pages stay far below the limit.
"""

import re

from mailer.ingest.errors import PageError

MOST_WORK = 3_000_000  # tags times elements open at each; a heavy real page has some 600,000

# Tags as the standard's tokenizer cuts them; possessive, so that each letter is looked at once or twice.
_TAG = re.compile(
    r"""<!--(?:-?>|.*?(?:--!?>|\Z))
      | <(?:[!?]|/(?![a-z]))[^>]*>?
      | <(?P<end>/?)(?P<name>[a-z][^\s/>]*)
        (?>[\s/]+|(?:=[^\s/>=]*|[^\s/>=]+)(?>\s*=\s*(?:"[^"]*"|'[^']*'|(?!["'])[^\s>]+)?)?)*+(?P<whole>>?)""",
    re.I | re.S | re.X,
)
_RAW_TEXT = frozenset(("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"))
_NEVER_OPEN = frozenset(
    (
        # without content
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta"),
        *("source", "track", "wbr"),
        # closed by the next of their kind
        *("p", "li", "dt", "dd", "option", "tr", "td", "th", "tbody", "thead", "tfoot"),
    )
)


def refuse_bombs(text: str) -> None:
    """Raise PageError for a page whose tags are nested so that reading it would never end."""
    open_by_tag: dict[str, int] = {}
    open_now = work = position = 0
    while tag := _TAG.search(text, position):
        position = tag.end()
        name = (tag["name"] or "").lower()
        if not name:
            continue
        if not tag["whole"]:
            return  # the page ends inside a tag: a parser drops it
        work += open_now
        if work > MOST_WORK:
            raise PageError(
                "The page's HTML is nested so deeply that it was not read. "
                "Open it in a browser, copy the text, save it as a text file and ingest that."
            )
        if name in _NEVER_OPEN:
            continue
        if tag["end"]:
            if open_by_tag.get(name, 0):
                open_by_tag[name] -= 1
                open_now -= 1
            continue
        if name in _RAW_TEXT:
            position = _end_of_raw_text(text, name, position)
            continue
        open_by_tag[name] = open_by_tag.get(name, 0) + 1
        open_now += 1


def _end_of_raw_text(text: str, name: str, start: int) -> int:
    end = re.compile(rf"</{re.escape(name)}", re.I).search(text, start)
    return end.start() if end else len(text)
