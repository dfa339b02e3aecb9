"""Text for calendar files, which people pass on: without addresses of web pages.

Staff sometimes write the way into a meeting where a place belongs. A calendar file
travels to whoever is sent it, so no text in one may lead into a meeting. Pure.
"""

import re

# With a scheme; or a host, by name or by number, with a path behind it; or a host that begins with "www.".
# What closes a sentence or a bracket behind it stays, whatever else is glued to it goes.
_LINK = re.compile(
    r"""
    (?:
      [a-z][a-z0-9+.-]*://
      | \bwww\.
      | (?<![\w@.-])(?:[\w-]+\.)+[^\W\d_]{2,}(?::\d+)?/
      | (?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?/
    )
    \S*?(?=[)\]>.,;:!?،؛。]*(?:\s|$))
    """,
    re.IGNORECASE | re.VERBOSE,
)
_EMPTY_BRACKETS = re.compile(r"[(\[<]\s*[)\]>]")
_HANGING = re.compile(r"^[\s,;:|–—-]+|[\s,;:|–—-]+$")


def without_links(text: str) -> str:
    """The text without its links, and without the commas and brackets that held them."""
    if _LINK.search(text) is None:
        return text
    left = _EMPTY_BRACKETS.sub("", _LINK.sub("", text))
    return re.sub(r"[ \t]{2,}", " ", _HANGING.sub("", left))
