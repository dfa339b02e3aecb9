"""One way in: octets of any kind, told by how they begin, and hostile ones refused in bounded time."""

import gzip
import json
from collections.abc import Callable
from datetime import date, time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from mailer.ingest.content import MOST_BYTES, open_content, read_content
from mailer.ingest.draft import PageDraft
from mailer.ingest.errors import PageError
from mailer.ingest.items import MOST_ITEMS
from mailer.ingest.page import PAGE_BYTES
from mailer.vocabulary import FieldSource, Medium, Precision, SourceKind

FIXTURES = Path(__file__).with_name("fixtures")
URL = "https://www.example.org/feed"


def read(octets: bytes, charset: str | None = None) -> PageDraft:
    return read_content(
        open_content(octets, charset), fetched_on=date(2024, 9, 1), source=URL, zone="America/New_York"
    )


def fixture(name: str) -> PageDraft:
    return read((FIXTURES / name).read_bytes())


def rss(items: str, head: str = "") -> bytes:
    return f'{head}<rss version="2.0"><channel><title>t</title>{items}</channel></rss>'.encode()


def item(number: int, body: str = "A text.") -> str:
    return f"<item><title>Title {number}</title><guid>{number}</guid><description>{body}</description></item>"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("statements.rss", SourceKind.FEED),
        ("statements.atom", SourceKind.FEED),
        ("statements.json", SourceKind.JSON_FEED),
        ("symposia.ics", SourceKind.CALENDAR),
        ("symposia.html", SourceKind.PAGE),
    ],
)
def test_a_kind_is_told_by_the_first_letters(name: str, kind: SourceKind) -> None:
    octets = (FIXTURES / name).read_bytes()
    for start in (b"", b"\xef\xbb\xbf"):
        assert open_content(start + octets).kind is kind
    assert read(octets).kind is kind


def test_rss() -> None:
    first, older = fixture("statements.rss").statements
    assert first.title == "Statement on the Detention of Prisoners of War & Civilians"
    assert first.published_on == date(2024, 7, 26)
    assert first.body == "More than a hundred people are still held.\n\nWe call for their **release**."
    assert first.url == first.key == "https://www.example.org/post/prisoners"
    assert (first.uid, first.medium, first.language) == (
        "https://www.example.org/?p=77",
        Medium.FEED,
        "en",
    )
    assert first.sources["published_on"] is FieldSource.CONTEXT
    assert older.sources["body"] is FieldSource.CONTEXT
    assert "only the beginning" in fixture("statements.rss").notes[0]


def test_atom() -> None:
    (one,) = fixture("statements.atom").statements
    assert one.title == "Заява про полонених — друга"
    assert one.published_on == date(2024, 7, 26)
    assert one.paragraphs == ("Перший абзац.", "Другий абзац.")
    assert one.uid == "urn:uuid:1225c695-cfb8-4ebb-aaaa-80da344efa6a"


def test_json_feed() -> None:
    first, second = fixture("statements.json").statements
    assert (first.uid, first.key) == ("77", "https://www.example.org/post/prisoners")
    assert (second.uid, second.language, second.paragraphs) == (
        "78",
        "hy",
        ("One paragraph.", "Another one."),
    )
    assert second.published_on == date(2024, 9, 1)


def test_the_same_statement_has_one_key_in_every_kind_of_feed() -> None:
    keys = {fixture(name).statements[0].key for name in ("statements.rss", "statements.json")}
    assert keys == {"https://www.example.org/post/prisoners"}


def test_events_in_a_page_s_data() -> None:
    page = fixture("symposia.html")
    drafts = {one.title: one for one in page.symposia}
    one = drafts["How to Identify Genocide"]
    assert (one.day, one.time, one.zone, one.minutes) == (
        date(2024, 9, 27),
        time(12),
        "America/New_York",
        90,
    )
    assert (one.series, one.online) == ("Year of Prevention", True)
    assert one.place is None
    assert any("holds a link" in note for note in page.notes)
    assert one.register_url == "https://www.example.org/register"
    assert (one.medium, one.needs_confirmation) == (Medium.LINKED_DATA, ())
    for title, asked in (("Midnight", "no hour was given"), ("No Offset", "without a time zone")):
        assert (drafts[title].precision, drafts[title].time) == (Precision.DATE, None)
        assert asked in drafts[title].needs_confirmation[0]
    assert drafts["A Day"].precision is Precision.DATE
    assert (drafts["A Month"].precision, drafts["A Month"].month) == (Precision.MONTH, (2024, 12))
    elsewhere = drafts["Elsewhere"]
    assert (elsewhere.time, elsewhere.zone) == (time(11), "America/New_York")
    assert "11:00 on 2024-10-04" in elsewhere.needs_confirmation[0]
    assert drafts["In the Body"].cancelled
    whys = [line.why for line in page.unread]
    assert any("no name" in why for why in whys)
    assert any("startDate" in why for why in whys)
    assert any("cannot be read" in why for why in whys)


LINES = """<html><body><p>Friday, September 27, 2024, 12noon ET, "How to Identify Genocide"</p>
<p>Friday, November 15, 2024, 12noon ET, "Another One"</p>{data}</body></html>"""


def with_data(start: str, **more: str) -> PageDraft:
    data = json.dumps({"@type": "Event", "name": "How to Identify Genocide", "startDate": start, **more})
    script = f'<script type="application/ld+json">{data}</script>'
    return read(LINES.format(data=script).encode())


@pytest.mark.parametrize("start", ["2024-09-27T12:00:00-04:00", "2024-09-27T16:00:00Z"])
def test_text_and_data_that_agree_are_one_event(start: str) -> None:
    page = with_data(start, location="Online")
    assert page.questions == ()
    one, other = page.symposia
    assert (one.day, one.time, one.zone, one.place) == (
        date(2024, 9, 27),
        time(12),
        "America/New_York",
        "Online",
    )
    assert (one.medium, other.medium) == (Medium.LINKED_DATA, Medium.PAGE)


@pytest.mark.parametrize("start", ["2024-09-27", "2024-09-27T00:00:00", "2024-09-27T12:00:00"])
def test_data_without_an_hour_take_it_from_the_text(start: str) -> None:
    one = with_data(start).symposia[0]
    assert (one.time, one.zone, one.needs_confirmation) == (time(12), "America/New_York", ())


@pytest.mark.parametrize("start", ["2024-09-27T13:00:00-04:00", "2024-09-28T12:00:00-04:00"])
def test_text_and_data_that_differ_are_held_with_both(start: str) -> None:
    page = with_data(start)
    one = page.symposia[0]
    assert len(page.symposia) == 2
    assert "Which is right?" in (one.held or "")
    assert start[8:10] in (one.held or "")
    assert page.questions == (one.held,)


def test_a_page_without_anything_names_its_feed() -> None:
    links = (
        '<link rel="alternate" type="application/rss+xml" href="/feed/">'
        '<link rel="alternate" type="text/html" hreflang="hy" href="/hy/">'
        '<link rel="Alternate" type="text/calendar; charset=utf-8" href="https://www.example.org/?ical=1">'
        '<link rel="alternate" type="application/rss+xml" href="javascript:x">'
    )
    page = read(f"<html><head>{links}</head><body><p>Drawn by a script</p></body></html>".encode())
    (note,) = page.notes
    assert note.endswith(" https://www.example.org/feed/ https://www.example.org/?ical=1")
    assert page.questions


def test_a_programme_in_a_post_is_no_part_of_the_statement() -> None:
    lines = "\n\n".join(f"Friday, September {day}, 2024, 12noon ET, “Title {day}”" for day in (20, 27))
    feed = {
        "version": "https://jsonfeed.org/version/1",
        "items": [{"id": "1", "title": "A post", "content_text": f"A text.\n\n{lines}\n\nAn end."}],
    }
    page = read(json.dumps(feed).encode())
    assert page.statements[0].body == "A text.\n\nAn end."
    assert [one.day for one in page.symposia] == [date(2024, 9, 20), date(2024, 9, 27)]


@pytest.mark.parametrize(
    ("octets", "charset"),
    [
        (
            rss(item(1, "Grüße"), '<?xml version="1.0" encoding="ISO-8859-1"?>').decode().encode("latin-1"),
            None,
        ),
        (
            rss(item(1, "Grüße"), '<?xml version="1.0" encoding="windows-1252"?>').decode().encode("cp1252"),
            "utf-8",
        ),
        (rss(item(1, "Grüße"), '<?xml version="1.0" encoding="ISO-8859-1"?>'), "utf-8"),
        (b"\xef\xbb\xbf" + rss(item(1, "Grüße")), None),
    ],
)
def test_charsets_by_server_by_xml_and_by_mark(octets: bytes, charset: str | None) -> None:
    assert read(octets, charset).statements[0].body == "Grüße"


def test_a_feed_that_is_not_well_formed_is_read_said_and_never_proof() -> None:
    page = read(rss(item(1) + "<item><title>B & C</title><description>x &nbsp; y</description></item>"))
    assert not page.whole
    assert "not well-formed" in page.notes[0]
    assert [one.title for one in page.statements] == ["Title 1", "B & C"]


def test_items_that_cannot_be_read_are_listed() -> None:
    page = read(rss("<item><guid>1</guid></item><item><title>Empty</title></item>" + item(3)))
    assert [line.why for line in page.unread] == [
        "The item has no title.",
        "The item has a title, but no text.",
    ]
    assert [one.title for one in page.statements] == ["Title 3"]


def test_script_in_a_feed_is_letters_or_nothing() -> None:
    body = "&lt;script&gt;alert(1)&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt; a &lt;b&gt;word&lt;/b&gt;"
    (one,) = read(
        rss(f"<item><title>&lt;i onload=x&gt;T</title><description>{body}</description></item>")
    ).statements
    assert (one.title, one.body) == ("T", "a **word**")


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a billion laughs": (
        lambda: rss("<item><title>&l9;</title></item>", f'<!DOCTYPE rss [<!ENTITY l0 "lol">{LAUGHS}]>'),
        "document type",
    ),
    "a file of ours": (
        lambda: rss(
            "<item><title>&x;</title></item>", '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
        ),
        "document type",
    ),
    "a document type behind a comment": (
        lambda: rss("", '<?xml version="1.0"?><!-- x --><!DOCTYPE rss SYSTEM "http://x.example/">'),
        "document type",
    ),
    "too many items": (lambda: rss("<item/>" * 100_000), f"at most {MOST_ITEMS:,}"),
    "too many items of JSON": (
        lambda: b'{"version": "https://jsonfeed.org/version/1", "items": [' + b"1," * 99_999 + b"1]}",
        "100,000 items",
    ),
    "a feed without end in depth": (lambda: rss("<a>" * 500_000), "nested"),
    "a large feed that is not well-formed": (
        lambda: rss("".join(item(number, "a & b " * 300) for number in range(900))),
        "large and not well-formed",
    ),
    "JSON without end in depth": (lambda: b'{"a":' + b"[" * 1_000_000, "nested too deeply"),
    "a number without end": (lambda: b'{"a":' + b"9" * 1_000_000 + b"}", "cannot be read"),
    "JSON that is cut off": (
        lambda: b'{"version": "https://jsonfeed.org/version/1", "items": [',
        "cannot be read",
    ),
    "other JSON": (lambda: b'{"openapi": "3.1"}', "no JSON Feed"),
    "a list that is none": (lambda: b'{"version": "https://jsonfeed.org/version/1"}', "no list of items"),
    "a large page": (lambda: b"x" * (PAGE_BYTES + 1), "larger than 2 MiB"),
    "a large calendar": (lambda: b"BEGIN:VCALENDAR\n" + b"x" * MOST_BYTES, "larger than 5 MiB"),
    "a packed thing": (lambda: gzip.compress(b"x" * 100_000), "binary|UTF-8"),
    "UTF-16": (lambda: rss(item(1)).decode().encode("utf-16"), "UTF-16"),
    "a wrong charset": (lambda: "Grüße".encode("latin-1"), "UTF-8"),
    "a nested page": (
        lambda: b'<html><script type="application/ld+json">{}</script>' + b"<div>" * 300_000,
        "nested",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_refused_with_a_clear_word(name: str) -> None:
    make, words = HOSTILE[name]
    with pytest.raises(PageError, match=words):
        read(make())


@pytest.mark.parametrize(
    "data",
    [
        "[" * 200_000,
        '{"@graph":[' + "null," * 100_000 + "null]}",
        "[" + ",".join(['{"@type":"Event","name":"a","startDate":"2024-09-27"}'] * 600) + "]",
        '{"@type":"Event","name":"a","startDate":' + "9" * 10_000 + "}",
        '{"@type":"Event","name":{"@value":["b"]},"startDate":["9999-99-99T99:99"]}',
        '{"@type":"Event","name":"a","startDate":"9999-12-31T23:59:59-23:59"}',
        '{"@type":"Event","name":"a","startDate":"0001-01-01T00:30:00+23:00"}',
    ],
)
def test_hostile_data_are_listed_and_the_page_is_read(data: str) -> None:
    page = read(LINES.format(data=f'<script type="application/ld+json">{data}</script>').encode())
    assert len(page.symposia) >= 2
    assert page.unread or len(page.symposia) == 3


@given(
    octets=some.one_of(
        some.binary(max_size=300),
        some.text(max_size=300).map(str.encode),
        some.sampled_from(
            ["statements.rss", "statements.atom", "statements.json", "symposia.ics", "symposia.html"]
        )
        .flatmap(lambda name: some.tuples(some.just(name), some.integers(0, 4_000), some.binary(max_size=8)))
        .map(lambda cut: _spoiled(*cut)),
    )
)
@settings(deadline=None, max_examples=150)
def test_whatever_comes_is_read_or_refused(octets: bytes) -> None:
    try:
        page = read(octets)
    except PageError:
        return
    assert all(one.title for one in (*page.statements, *page.symposia))


def _spoiled(name: str, at: int, octets: bytes) -> bytes:
    whole = (FIXTURES / name).read_bytes()
    return whole[:at] + octets + whole[at + len(octets) :]
