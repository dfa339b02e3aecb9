"""Markdown to HTML and text: what comes through, what stays letters, and that both say the same."""

import html
import re
from urllib.parse import unquote

import html5lib  # type: ignore[import-untyped]
import pytest
from css_inline import CSSInliner
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from mailer.messages import lines
from mailer.messages.catalogues import UnknownLanguage
from mailer.messages.mail_html import check_html
from mailer.messages.markup import MarkupError, render
from mailer.messages.slots import (
    expand_placeholders,
    find_slots,
    holds_marker,
    split_slots,
    text_slot,
    url_slot,
)

ALLOWED = frozenset({"first_name", "local_time", "preferences_url"})
TAGS = re.findall(
    r"\w+",
    "a bdi blockquote br caption code em h2 h3 h4 h5 h6 hr li ol p pre strong table tbody td th thead tr ul",
)


def page(fragment: str) -> str:
    return (
        '<!doctype html><html lang="en" dir="ltr"><head><title>x</title></head>'
        f'<body>{fragment}<p id="footer">f</p></body></html>'
    )


@pytest.mark.parametrize(
    ("markdown", "fragment", "text"),
    [
        ("Plain *em* **strong** `code`", None, "Plain em strong code"),
        ("# Title\n\nWords", "<h2>Title</h2>\n<p>Words</p>", "Title\n=====\n\nWords"),
        ("one\ntwo", "<p>one\ntwo</p>", "one two"),
        ("one\\\ntwo", "<p>one<br>\ntwo</p>", "one\ntwo"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>", "- a\n- b"),
        ("- a\n\n- b", None, "- a\n\n- b"),
        ("7. a\n8. b", '<ol start="7">\n<li>a</li>\n<li>b</li>\n</ol>', "7. a\n8. b"),
        ("- a\n  1. b\n     > c", None, "- a\n  1. b\n     > c"),
        ("> a\n>\n> b", None, "> a\n>\n> b"),
        ("    x  y\n    z", "<pre><code>x  y\nz\n</code></pre>", "    x  y\n    z"),
        ("```\nx\n```", None, "    x"),
        ("a\n\n***\n\nb", "<p>a</p>\n<hr>\n<p>b</p>", "a\n\n* * *\n\nb"),
        ("第一行\n第二行", None, "第一行第二行"),
        ("a &amp; b &lt;", "<p>a &amp; b &lt;</p>", "a & b <"),
        ("", "", ""),
    ],
)
def test_by_example(markdown: str, fragment: str | None, text: str) -> None:
    body = render(markdown, language="en")
    assert fragment is None or body.html == fragment
    assert body.text == text


def test_links_are_underlined_and_become_numbered_notes() -> None:
    body = render(
        "[One](https://example.org/a?b=1&c=2), [two](mailto:office@example.org), [again](https://example.org/a?b=1&c=2)",
        language="en",
    )
    assert (
        '<a href="https://example.org/a?b=1&amp;c=2" style="text-decoration:underline">One</a>' in body.html
    )
    assert body.html.count("text-decoration:underline") == 3
    assert body.text == (
        "One [1], two [2], again [1]\n\n[1] https://example.org/a?b=1&c=2\n[2] mailto:office@example.org"
    )


def test_a_bare_address_is_isolated_and_needs_no_note() -> None:
    body = render("<https://example.org/x> <office@example.org>", language="ar")
    assert "<bdi>https://example.org/x</bdi></a>" in body.html
    assert body.text == "https://example.org/x office@example.org"


@pytest.mark.parametrize(
    ("markdown", "tags"),
    [
        ("# a\n\n## b\n\n### c", ["h2", "h3", "h4"]),
        ("### a\n\n# b", ["h2", "h2"]),
        ("# a\n\n##### b\n\n## c", ["h2", "h3", "h3"]),
        ("## a\n\n## b", ["h2", "h2"]),
        ("# a\n\n## b\n\n### c\n\n#### d\n\n##### e\n\n###### f", ["h2", "h3", "h4", "h5", "h6", "h6"]),
        ("Title\n===\n\nPart\n---", ["h2", "h3"]),
    ],
)
def test_headings_begin_at_the_second_level_and_skip_none(markdown: str, tags: list[str]) -> None:
    assert re.findall(r"<(h\d)>", render(markdown, language="en").html) == tags


@pytest.mark.parametrize(("language", "direction", "side"), [("en", "ltr", "left"), ("fa", "rtl", "right")])
def test_a_table_has_scopes_directions_and_sides(language: str, direction: str, side: str) -> None:
    body = render(
        ": When we meet\n\n| Day | Hour |\n|---|:-:|\n| Monday | 12:00 |\n| Friday | |", language=language
    )
    table = LexborHTMLParser(body.html).css_first("table")
    assert table is not None
    cells = table.css("th, td, caption")
    assert all(cell.attributes["dir"] == direction for cell in cells)
    assert [cell.attributes["style"] for cell in cells] == [
        f"text-align:{side}",
        *[f"text-align:{side}", "text-align:center"] * 3,
    ]
    assert [cell.attributes["scope"] for cell in table.css("th")] == ["col", "col"]
    assert body.text == "When we meet\n\nDay: Monday\nHour: 12:00\n\nDay: Friday"


def test_a_table_without_rows_or_with_an_unnamed_column_keeps_its_words() -> None:
    assert render("| a | b |\n|---|---|", language="en").text == "a\nb"
    assert render("| a | |\n|---|---|\n| x | y |", language="en").text == "a: x\ny"


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](vbscript:x)",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "[x](http://example.org)",
        "[x](//example.org)",
        "[x](/relative)",
        "[x](ftp://example.org)",
        "[x](https://ｓｌｏｔ.invalid/~unsubscribe_url~)",
        "<javascript:alert(1)>",
        "<http://example.org>",
        "{{ 7 * 7 }} {% for x in range(10**9) %}",
        "${7 * 7} #{7 - 7} <%= 7 + 7 %>",
        '"><svg onload=alert(1)>',
        "</p></td></table><style>*{display:none}</style>",
        "<!--[if mso]><p>x</p><![endif]-->",
        "a <b onclick=x>b</b>",
        "'a'|center(2000000000)",
    ],
)
def test_an_attack_comes_out_as_letters(attack: str) -> None:
    body = render(f"before {attack} after", language="en")
    assert LexborHTMLParser(body.html).css("a, script, img, style, svg, b") == []
    shown = LexborHTMLParser(body.html).text()
    assert html.unescape(attack) in shown
    assert html.unescape(attack) in body.text.replace("\n", " ")
    check_html(page(body.html))


def test_an_image_becomes_its_description() -> None:
    body = render(
        "See ![a dove](https://example.org/x.png) and [![home](https://example.org/y.png)](https://example.org/)",
        language="en",
    )
    assert "<img" not in body.html
    assert "png" not in body.html
    assert ">home</a>" in body.html
    assert body.text == "See a dove and home [1]\n\n[1] https://example.org/"


def test_a_link_title_is_left_out() -> None:
    assert "title" not in render('[x](https://example.org "a title")', language="en").html


def test_placeholders_come_through_in_text_and_as_whole_links() -> None:
    markdown = expand_placeholders(
        "# Dear **((first_name))**\n\n- `((local_time))`\n\n"
        "> [set](((preferences_url))) ((preferences_url))\n\n"
        "| ((first_name)) |\n|---|\n| ((first_name)) |",
        ALLOWED,
    )
    body = render(markdown, language="en")
    assert find_slots(body.html) == find_slots(body.text) == ALLOWED
    assert body.html.count(text_slot("first_name")) == body.text.count(text_slot("first_name")) == 3
    assert f'<a href="{url_slot("preferences_url")}" style="text-decoration:underline">set</a>' in body.html
    inlined = CSSInliner(load_remote_stylesheets=False).inline(page(body.html))
    check_html(inlined)
    assert sorted(str(piece) for piece in split_slots(inlined) if not isinstance(piece, str)) == sorted(
        str(piece) for piece in split_slots(body.html) if not isinstance(piece, str)
    )


@pytest.mark.parametrize(
    "markdown",
    [
        "[x](https://example.org/((first_name)))",
        "[x](https://example.org/?a=((local_time)))",
        '[x](https://example.org "((first_name))")',
        "![x](((preferences_url)))",
        "[unused]: https://example.org/((first_name))",
        "[unused]: ((preferences_url))",
        "```((first_name))\nx\n```",
    ],
)
def test_a_placeholder_where_it_cannot_be_filled_is_refused(markdown: str) -> None:
    with pytest.raises(MarkupError, match=r"\(\("):
        render(expand_placeholders(markdown, ALLOWED), language="en")


@pytest.mark.parametrize(
    "forged",
    [
        "&#xE000;unsubscribe_url&#xE001;",
        "[x](https://slot&#46;invalid/~unsubscribe_url~)",
        "[x](https://slot\\.invalid/~unsubscribe_url~)",
        "[x](https://SLOT.invalid/~unsubscribe_url~)",
        "[x](https://example.org/%EE%80%80unsubscribe_url%EE%80%81)",
        "see slot.invalid",
    ],
)
def test_a_slot_cannot_be_forged_by_markdown(forged: str) -> None:
    with pytest.raises(MarkupError):
        render(forged, language="en")


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(UnknownLanguage):
        render("x", language="not a language")


def test_long_lines_are_folded_inside_lists_and_quotes_but_never_links_or_arabic() -> None:
    words = "everyone has the right to an effective remedy " * 6
    url = "https://example.org/" + "x" * 100
    body = render(f"{words}\n\n- {words}\n  > {words}\n\n12. {words}\n\n[l]({url})\n\n`{url}`", language="en")
    wide = [line for line in body.text.split("\n") if lines.columns(line) > 72]
    assert wide == [url, f"[1] {url}"]
    assert all(line.startswith(("- ", "  ", "  > ")) for line in body.text.split("\n\n")[1].split("\n"))
    arabic = "لكل شخص الحق في حرية الرأي والتعبير " * 6
    assert arabic.strip() in render(arabic, language="ar").text
    assert f"> {arabic.strip()}" in render(f"> {arabic}", language="en").text


def test_chinese_is_folded_between_characters() -> None:
    text = render("人人有权享有主张和发表意见的自由，" * 12, language="zh").text
    assert all(lines.columns(line) <= 74 for line in text.split("\n"))
    assert not any(line.startswith("，") for line in text.split("\n"))
    assert text.replace("\n", "") == "人人有权享有主张和发表意见的自由，" * 12


MARKDOWN = st.text(
    st.one_of(
        st.sampled_from("#*_`[]()<>!&|-+.:\n \\\"'1"), st.characters(exclude_categories=("Cs", "Cc", "Co"))
    ),
    max_size=200,
)


@settings(deadline=None, max_examples=300)
@given(MARKDOWN, st.sampled_from(["en", "ar", "zh"]))
def test_whatever_is_written_the_html_is_sound_and_the_text_says_the_same(
    markdown: str, language: str
) -> None:
    try:
        body = render(markdown, language=language)
    except MarkupError:
        assert holds_marker(unquote(html.unescape(markdown)).replace("\\", ""))
        return
    check_html(page(body.html))
    tree = html5lib.parse(f"<!doctype html><title>x</title>{body.html}", namespaceHTMLElements=False)
    inside = tree.find("body")
    assert {element.tag for element in inside.iter()} <= {"body", *TAGS}
    links = {element.get("href") for element in inside.iter("a")}
    assert all(link.removeprefix("mailto:") in body.text for link in links)
    assert all(not line.endswith(" ") for line in body.text.split("\n"))
    shown = set(re.findall(r"\w+", "".join(inside.itertext())))
    assert shown <= set(re.findall(r"\w+", body.text.replace("\n", " "))) | set(
        re.findall(r"\w+", body.text.replace("\n", ""))
    )
