"""The same reader on HTML: visible text by blocks, links, and no bombs."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.ingest.draft import PageDraft
from mailer.ingest.errors import PageError
from mailer.ingest.html import looks_like_html, read_html
from mailer.ingest.page import read_page
from mailer.vocabulary import FieldSource

WEB = "https://site.example/programme?utm_source=mail"
PAGE = """<!DOCTYPE html>
<html lang="fr-CA"><head><title>Not this title</title>
<link rel="Canonical" href="/the-page#top"><script>var a = "July 1, 2020";</script></head>
<body><nav><p>July 2, 2020</p></nav>
<div hidden><p>July 3, 2020</p></div><div style="display: none">July 4, 2020</div>
<article><h1>A <em>Title</em></h1><p>July 17, 2021</p>
<p>First <b>paragraph</b> &amp; a <a href="https://example.org/x?y=(1)">link</a>,
   wrapped.</p><p>Second<br>line.</p><ul><li>One</li><li>Two</li></ul><blockquote>Said.</blockquote></article>
<div><p><span>Friday, May 3, 2024, 12noon&nbsp;ET,&nbsp; </span><span>"One, &amp; Two"</span><br>
Friday, Sep<b>tember 27</b>, 12noon ET, “Three”<br>December 2024 (date TBA), Four</p></div>
<p>As part of the Year of Things, we host a series of symposia.</p>
<p>Register for each event <a href="../register?for=all">here</a>.</p>
<footer><p>July 5, 2020</p><p>© 2024</p></footer></body></html>"""


def read(html: str, source: str = WEB) -> PageDraft:
    return read_page(html, fetched_on=date(2026, 11, 23), source=source)


def test_a_statement_in_html() -> None:
    (statement,) = read(PAGE).statements
    assert statement.title == "A Title"
    assert statement.published_on == date(2021, 7, 17)
    assert statement.language == "fr"
    assert statement.sources["language"] is FieldSource.EXPLICIT
    assert statement.url == statement.key == "https://site.example/the-page"
    assert statement.body.split("\n\n") == [
        "First **paragraph** & a [link](<https://example.org/x?y=%281%29>), wrapped.",
        "Second\\\nline.",
        "- One",
        "- Two",
        "> Said.",
    ]


def test_a_programme_in_html_with_its_link() -> None:
    page = read(PAGE)
    assert [(s.title, s.day) for s in page.symposia] == [
        ("One, & Two", date(2024, 5, 3)),
        ("Three", date(2024, 9, 27)),
        ("Four", None),
    ]
    assert {s.register_url for s in page.symposia} == {"https://site.example/register?for=all"}
    assert {s.sources["register_url"] for s in page.symposia} == {FieldSource.CONTEXT}
    assert {s.series for s in page.symposia} == {"Year of Things"}
    assert not page.unread
    assert not page.questions


def test_a_saved_page_has_its_canonical_address_and_no_guessed_links() -> None:
    page = read(PAGE.replace("/the-page#top", "https://other.example/the-page"), source="file:page.html")
    assert page.statements[0].url == "https://other.example/the-page"
    assert page.symposia[0].register_url == "https://other.example/register?for=all"
    assert read(PAGE, source="file:page.html").symposia[0].register_url is None


def test_a_canonical_address_of_another_host_is_not_believed() -> None:
    page = read(PAGE.replace("/the-page#top", "https://other.example/the-page"))
    assert page.statements[0].url == "https://site.example/programme"


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "data:text/html,x", "mailto:a@example.org", "", "http://[x"]
)
def test_a_link_that_is_no_web_address_is_missing(href: str) -> None:
    page = read(PAGE.replace("../register?for=all", href), source="file:page.html")
    assert page.symposia[0].register_url is None
    assert "javascript" not in page.statements[0].body


def test_the_title_below_the_date_when_that_is_the_heading() -> None:
    (statement,) = read("<p>News</p><p>July 17, 2021</p><h2>The Title</h2><p>Words.</p>").statements
    assert (statement.title, statement.body) == ("The Title", "Words.")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<!doctype html><p>x", True),
        ("\n <html>", True),
        ("<!-- x --><p>", True),
        ("<p>x</p>", True),
        ("A < B and <b>", False),
        ("Statement", False),
        ("<3 you", False),
        ("", False),
    ],
)
def test_html_is_told_from_text(text: str, html: bool) -> None:
    assert looks_like_html(text) is html


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("<>/abpdiv =\"'&;!-lionul2024May3, "), max_size=200))
def test_any_markup_is_read_without_an_error(text: str) -> None:
    document = read_html(f"<div>{text}")
    assert all(line.text and "\n" not in line.text for line in document.lines)


BOMBS = {
    "nested": "<div>",
    "formatting repeated in every block": "<b id={i}><p>x",
    "an end tag hidden in an attribute": "<b id={i} title='</b>'><p>x",
    "an end tag hidden in a script": "<b id={i}><script></b></script><p>x",
    "tables": "<table><tr><td>",
    "lists": "<ul><li>",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_nesting_bomb_is_refused(bomb: str) -> None:
    with pytest.raises(PageError, match="nested so deeply"):
        read_html("".join(bomb.format(i=i) for i in range(30_000)))


@pytest.mark.parametrize("junk", ['<a "', "<", "<!--", "<a b='", "</"])
def test_markup_that_never_ends_is_read(junk: str) -> None:
    assert len(read_html(junk * 100_000).lines) <= 1


def test_a_large_honest_page_is_read() -> None:
    page = (
        "<main>"
        + "<div class='row'><section><p>Word <b>word</b> <a href='/x'>word</a></p></section></div>" * 5_000
    )
    assert len(read_html(page).lines) == 5_000
