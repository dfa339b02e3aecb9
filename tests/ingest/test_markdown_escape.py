"""Whatever stood on the page stands in the mail: the same letters, and no markup of their own."""

import html
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mailer.ingest.markdown import Run, escape, inline

MARKDOWN = MarkdownIt("commonmark").enable("table").enable("strikethrough")
LETTERS = st.text(alphabet=st.sampled_from("ab 1.)(-+=#*_`[]<>~|&;\\!:\"'/é"), max_size=40)
RUNS = st.lists(
    st.builds(
        Run,
        text=LETTERS.filter(bool),
        strong=st.booleans(),
        em=st.booleans(),
        href=st.sampled_from([None, None, "https://example.org/a b?x=<y>&z=(1)", "javascript:x"]),
    ),
    max_size=6,
)


def shown(markdown: str) -> str:
    """What a reader sees of it."""
    text = re.sub(r"</?(?:p|strong|em|a)\b[^>]*>", "", MARKDOWN.render(markdown))
    return " ".join(html.unescape(text).split())


@settings(max_examples=500, deadline=None)
@given(LETTERS)
def test_a_line_shows_its_own_letters(text: str) -> None:
    line = " ".join(text.split())
    assert shown(escape(line)) == line
    assert "((" not in escape(line)
    assert "))" not in escape(line)


@settings(max_examples=500, deadline=None)
@given(RUNS)
def test_runs_show_their_own_letters(runs: list[Run]) -> None:
    markdown = inline(runs)
    assert shown(markdown) == " ".join("".join(run.text for run in runs).split())
    assert "((" not in markdown


def test_looks_and_links_are_kept() -> None:
    runs = [
        Run(text="A "),
        Run(text="bold ", strong=True),
        Run(text="and "),
        Run(text="slanted", em=True),
        Run(text=" "),
        Run(text="link", href="https://example.org/"),
        Run(text=" and "),
        Run(text="script", href="javascript:alert(1)"),
    ]
    assert inline(runs) == "A **bold** and _slanted_ [link](<https://example.org/>) and script"
