"""Forms: what is compiled once and filled per recipient, read back by two parsers and scanned byte by byte.

Python's `email` only reads here; the second reader is a small RFC 2045 walk of our own.
"""

import base64
import email
import email.policy
import html
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.messages.calendar import Calendar, Method
from mailer.messages.form import FillError, Form, FormError, MailingHeaders, Rendered, compile_form
from mailer.messages.slots import holds_marker, text_slot, url_slot

HEADERS = MailingHeaders(
    from_name="Rights Office",
    from_address="news@example.org",
    list_id="statements.lists.example.org",
    list_name="Statements",
    unsubscribe=True,
    bulk=True,
)
VALUES = {
    "to_address": "anna@example.org",
    "date": "Mon, 23 Nov 2026 12:00:00 +0000",
    "message_id": "<abc.def@example.org>",
    "first_name": "Anna",
    "local_time": "Yerevan: 20:00, Friday, September 27",
    "unsubscribe_url": "https://mail.example.org/u/abcdefgh",
    "unsubscribe_mailto": "mailto:u+abcdefgh@bounces.example.org?subject=unsubscribe",
    "preferences_url": "https://mail.example.org/p/abcdefgh?a=1&b=2",
}
WORDS = {
    "en": "Everyone has the right to freedom of opinion and expression.",
    "es": "Toda persona tiene derecho a la libertad de opinión y de expresión.",
    "fr": "Tout individu a droit à la liberté d’opinion et d’expression.",
    "ar": "لكل شخص الحق في حرية الرأي والتعبير.",
    "hy": "Յուրաքանչյուր ոք ունի համոզմունքների ազատության իրավունք։",
    "uk": "Кожна людина має право на свободу переконань.",
    "fa": "هر کس حق آزادی عقیده و بیان دارد.",
    "zh": "人人有权享有主张和发表意见的自由",
}
FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
ICS = Calendar(
    method=Method.REQUEST,
    octets=b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\n" + b"X-FILLER:" + b"y" * 60 + b"\r\nEND:VCALENDAR\r\n",
)


def document(
    body: str, *, title: str = "A statement", footer: str = '<p id="footer">Rights Office</p>'
) -> str:
    return (
        f'<!doctype html><html lang="en" dir="ltr"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body>{body}{footer}</body></html>"
    )


def rendered(
    language: str = "en", *, subject: str = "A statement", body: str = "", text: str = ""
) -> Rendered:
    words = WORDS[language]
    return Rendered(
        language=language,
        subject=subject,
        html=document(
            f"<p>Dear {text_slot('first_name')},</p>{body}<p>{words * 30}</p><p>{text_slot('local_time')}</p>"
            f'<p><a href="{url_slot("preferences_url")}">Change</a> '
            f'<a href="{url_slot("unsubscribe_url")}">Leave</a></p>'
        ),
        text=(
            f"Dear {text_slot('first_name')},\n\n{text}"
            + f"{words}\n" * 30
            + f"\n{text_slot('local_time')}\n\n"
            f"{url_slot('preferences_url')}\n{url_slot('unsubscribe_url')}\n"
        ),
    )


@dataclass(frozen=True)
class Part:
    """A part as the small reader sees it; `content` is decoded, `children` are inner parts."""

    kind: str
    headers: dict[str, str]
    content: bytes
    children: tuple["Part", ...]


def walk(octets: bytes) -> Part:
    """RFC 2045 and 2046 read by hand: strict about line ends, boundaries and encodings."""
    head, _, body = octets.partition(b"\r\n\r\n")
    names = [line.split(":", 1) for line in re.sub(r"\r\n[ \t]", " ", head.decode()).split("\r\n")]
    headers = {name.lower(): value.strip() for name, value in names}
    assert len(headers) == len(names)
    kind = headers["content-type"].split(";")[0]
    if kind.startswith("multipart/"):
        found = re.search(r'boundary="([^"]+)"', headers["content-type"])
        assert found is not None
        boundary = found[1].encode()
        assert b"=_" in boundary
        preamble, *parts, epilogue = re.split(rb"(?:^|\r\n)--" + re.escape(boundary), body)
        assert preamble == b""
        assert epilogue in (b"--\r\n", b"--")
        assert all(part.startswith(b"\r\n") for part in parts)
        return Part(kind, headers, b"", tuple(walk(part[2:]) for part in parts))
    encoding = headers["content-transfer-encoding"]
    if encoding == "base64":
        return Part(kind, headers, base64.b64decode(body.replace(b"\r\n", b""), validate=True), ())
    assert encoding == "quoted-printable"
    joined = body.replace(b"=\r\n", b"")
    plain = re.sub(rb"=([0-9A-F]{2})", lambda escape: bytes([int(escape[1], 16)]), joined)
    assert len(re.findall(rb"=", joined)) == len(re.findall(rb"=[0-9A-F]{2}", joined))
    return Part(kind, headers, plain, ())


def leaves(part: Part) -> list[Part]:
    return [leaf for child in part.children for leaf in leaves(child)] if part.children else [part]


def read_everywhere(octets: bytes) -> list[tuple[str, bytes]]:
    """(type, content) of every leaf, on which three readers agree."""
    own = [(leaf.kind, leaf.content) for leaf in leaves(walk(octets))]
    for policy in (email.policy.default, email.policy.compat32, email.policy.SMTPUTF8):
        message = email.message_from_bytes(octets, policy=policy)
        read = []
        for part in message.walk():
            assert not part.defects
            if not part.is_multipart():
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                read.append((part.get_content_type(), payload))
        assert read == own
    return own


def plain(text: str, values: dict[str, str], *, escape: bool) -> bytes:
    """The part as if the values had simply been written into the rendered text."""
    for name, value in values.items():
        shown = html.escape(value) if escape else value
        text = text.replace(url_slot(name), shown).replace(text_slot(name), shown)
    return (text if text.endswith("\n") else text + "\n").replace("\n", "\r\n").encode()


def assert_clean(octets: bytes, *, header_ascii: bool = True) -> None:
    """Every rule about bytes and lines that a mail on the wire has to keep."""
    head, _, body = octets.partition(b"\r\n\r\n")
    assert octets.isascii() if header_ascii else body.isascii()
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\x00", octets)
    for line in octets.split(b"\r\n"):
        assert not line.startswith(b".")
        assert len(line) <= 998
    for line in body.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith(b"From ")
    for line in head.split(b"\r\n"):
        assert b"=?utf-8?" not in line or len(line) <= 76
    # DKIM's relaxed form of the body (RFC 6376 3.4.4) is the body itself.
    assert not re.search(rb"\t|  | \r\n", body)
    assert body.endswith(b"--\r\n")


@pytest.mark.parametrize("language", WORDS)
def test_a_mail_in_every_language_is_clean_and_reads_back(language: str) -> None:
    mail = rendered(language)
    octets = compile_form(mail, HEADERS).fill(VALUES)
    assert_clean(octets)
    assert read_everywhere(octets) == [
        ("text/plain", plain(mail.text, VALUES, escape=False)),
        ("text/html", plain(mail.html, VALUES, escape=True)),
    ]


def test_the_structure_is_an_alternative_with_text_first() -> None:
    message = walk(compile_form(rendered(), HEADERS).fill(VALUES))
    assert message.kind == "multipart/alternative"
    assert [part.kind for part in message.children] == ["text/plain", "text/html"]
    assert all("charset=utf-8" in part.headers["content-type"] for part in message.children)
    assert message.headers["mime-version"] == "1.0"


def test_each_header_stands_once_and_no_unwanted_one_at_all() -> None:
    head = compile_form(rendered(), HEADERS).fill(VALUES).partition(b"\r\n\r\n")[0]
    names = [name.lower() for name in re.findall(rb"(?m)^([!-9;-~]+):", head)]
    assert len(names) == len(set(names))
    assert not {b"return-path", b"bcc", b"cc", b"sender", b"x-mailer", b"user-agent"} & set(names)
    assert names[-1] == b"content-type"


def test_the_one_click_pair_is_raw() -> None:
    octets = compile_form(rendered(), HEADERS).fill(VALUES)
    pair = (
        rb"\r\nList-Unsubscribe: <https://mail\.example\.org/u/abcdefgh>,\r\n"
        rb" <mailto:u\+abcdefgh@bounces\.example\.org\?subject=unsubscribe>\r\n"
        rb"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    )
    assert len(re.findall(pair, octets)) == 1


def test_a_form_names_the_slots_it_needs() -> None:
    form = compile_form(rendered(), HEADERS)
    assert form.slots == set(VALUES)
    bare = compile_form(
        Rendered(language="en", subject="Confirm", html=document("<p>x</p>"), text="x"),
        MailingHeaders(from_name="", from_address="news@example.org"),
    )
    assert bare.slots == {"to_address", "date", "message_id"}
    assert bare.language == "en"


@pytest.mark.parametrize("slot", sorted(VALUES))
def test_a_missing_value_is_named(slot: str) -> None:
    form = compile_form(rendered(subject=f"For {text_slot('local_time')}"), HEADERS)
    with pytest.raises(FillError, match=slot) as refused:
        form.fill({name: value for name, value in VALUES.items() if name != slot})
    assert refused.value.slot == slot


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("slot", "value"),
    [
        (slot, f"{VALUES[slot]}{character}secret")
        for slot in sorted(VALUES)
        for character in "\x00\r\x1b\x0b\ud800"
    ]
    + [(slot, "") for slot in sorted(VALUES)]
    + [
        ("preferences_url", "javascript:alert(1)//secret"),
        ("preferences_url", "data:text/html,secret"),
        ("preferences_url", 'https://example.org/"onclick="secret'),
        ("preferences_url", "https://example.org/<secret>"),
        ("preferences_url", "https://example.org/a secret"),
        ("preferences_url", "//example.org/secret"),
        ("preferences_url", "/secret"),
        ("preferences_url", "https:/secret"),
        ("preferences_url", "HTTPS\n://secret"),
        ("preferences_url", "https://exämple.org/secret"),
    ],
)
def test_a_value_that_cannot_stand_there_is_refused_without_repeating_it(
    language: str, slot: str, value: str
) -> None:
    with pytest.raises(FillError) as refused:
        compile_form(rendered(language), HEADERS).fill(VALUES | {slot: value})
    assert refused.value.slot == slot
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__


BODY_VALUE = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs", "Cc")),
        st.sampled_from(".=\n\t <>&\"'()"),
        st.characters(min_codepoint=0x20, max_codepoint=0x7E),
    ),
    min_size=1,
    max_size=200,
)
PATH = st.text(st.sampled_from("abcXYZ019-._~:/?#[]@!$&'()*+;=%"), max_size=200)


@settings(max_examples=150, deadline=None)
@given(
    language=st.sampled_from(sorted(WORDS)),
    name=st.one_of(BODY_VALUE, st.sampled_from(["x" * 5000, FAMILY * 50, "名" * 900, ".\n.\n.", "From x"])),
    time=BODY_VALUE,
    path=PATH,
)
def test_the_decoded_mail_is_the_plain_render_whatever_the_values(
    language: str, name: str, time: str, path: str
) -> None:
    values = VALUES | {
        "first_name": name,
        "local_time": time,
        "preferences_url": f"https://example.org/{path}",
        "unsubscribe_url": f"https://mail.example.org/{path}",
    }
    mail = rendered(language)
    octets = compile_form(mail, HEADERS).fill(values)
    assert_clean(octets)
    # The values stand in by position, so that a value which looks like a marker cannot help the test.
    pieces = re.compile("\ue000([a-z_]+)\ue001|https://slot.invalid/~([a-z_]+)~")
    expected = [
        pieces.sub(lambda found: values[found[1] or found[2]], mail.text),
        pieces.sub(lambda found: html.escape(values[found[1] or found[2]]), mail.html) + "\n",
    ]
    assert [content for _, content in read_everywhere(octets)] == [
        text.replace("\n", "\r\n").encode() for text in expected
    ]


@pytest.mark.parametrize("language", ["en", "hy"])
@pytest.mark.parametrize("shape", ["{}", "{}ab", "a{}b", "ab{}", "a {} b"])
def test_every_ascii_character_alone_is_escaped_for_its_place(language: str, shape: str) -> None:
    mail = rendered(language)
    form = compile_form(mail, HEADERS)
    for character in map(chr, range(0x20, 0x7F)):
        values = VALUES | {"first_name": shape.format(character)}
        url = f"https://example.org/{shape.format(character)}"
        if re.fullmatch(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+", url):
            values["preferences_url"] = url
        octets = form.fill(values)
        assert_clean(octets)
        assert [content for _, content in read_everywhere(octets)] == [
            plain(mail.text, values, escape=False),
            plain(mail.html, values, escape=True),
        ]


FIXED = st.text(
    st.one_of(st.characters(exclude_categories=("Cs", "Cc", "Co")), st.sampled_from(".=\n\t F")), max_size=300
)


@settings(max_examples=100, deadline=None)
@given(before=FIXED, after=FIXED)
def test_any_fixed_text_reads_back(before: str, after: str) -> None:
    if holds_marker(before + after) or not (before + after).strip():
        return
    mail = Rendered(
        language="en",
        subject="A statement",
        html=document(f"{html.escape(before)}{text_slot('first_name')}{html.escape(after)}"),
        text=f"{before}{text_slot('first_name')}{after}",
    )
    octets = compile_form(mail, HEADERS).fill(VALUES)
    assert_clean(octets)
    assert read_everywhere(octets) == [
        ("text/plain", plain(mail.text, VALUES, escape=False)),
        ("text/html", plain(mail.html, VALUES, escape=True)),
    ]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_a_value_is_never_read_for_markers_or_placeholders(language: str) -> None:
    mail = rendered(language, subject=f"For {text_slot('first_name')}")
    name = f"((local_time)) {text_slot('local_time')} {url_slot('unsubscribe_url')} {{{{ 7*7 }}}} &amp; <b>"
    octets = compile_form(mail, HEADERS).fill(VALUES | {"first_name": name})
    (_, text), (_, page) = read_everywhere(octets)
    assert f"Dear {name},".encode() in text
    assert f"Dear {html.escape(name)},".encode() in page
    assert text.count(VALUES["local_time"].encode()) == 1


@pytest.mark.parametrize("language", WORDS)
def test_the_bytes_for_one_reader_hold_nothing_of_another(language: str) -> None:
    form = compile_form(rendered(language, subject=f"For {text_slot('first_name')}"), HEADERS)

    def reader(mark: str) -> dict[str, str]:
        return {
            "to_address": f"{mark}to@example.org",
            "date": "Mon, 23 Nov 2026 12:00:00 +0000",
            "message_id": f"<{mark}id@example.org>",
            "first_name": f"{mark}name",
            "local_time": f"{mark}time 時間",
            "unsubscribe_url": f"https://mail.example.org/u/{mark}url",
            "unsubscribe_mailto": f"mailto:{mark}mail@example.org",
            "preferences_url": f"https://mail.example.org/p/{mark}pref",
        }

    marks = [f"zq{number:03d}" for number in range(60)]
    with ThreadPoolExecutor(4) as pool:
        letters = list(pool.map(lambda mark: form.fill(reader(mark)), marks * 3))
    for mark, octets in zip(marks * 3, letters, strict=True):
        seen = octets + b"".join(content for _, content in read_everywhere(octets))
        assert set(re.findall(rb"zq\d{3}", seen)) == {mark.encode()}
        assert octets == letters[marks.index(mark)]


def test_the_same_mailing_compiles_to_the_same_bytes_and_another_to_another_boundary() -> None:
    first, again = (compile_form(rendered(), HEADERS).fill(VALUES) for _ in range(2))
    other = compile_form(rendered(subject="Another"), HEADERS).fill(VALUES)
    assert first == again
    assert re.findall(rb'boundary="(.*)"', first) != re.findall(rb'boundary="(.*)"', other)


def test_a_local_part_in_utf_8_stays_so_and_only_then_the_mail_is_not_ascii() -> None:
    form = compile_form(rendered(), HEADERS)
    assert form.fill(VALUES | {"to_address": "anna@bücher.example"}).isascii()
    octets = form.fill(VALUES | {"to_address": "աննա@bücher.example"})
    assert not octets.isascii()
    assert_clean(octets, header_ascii=False)
    assert "\r\nTo: աննա@xn--bcher-kva.example\r\n".encode() in octets
    message = email.message_from_bytes(octets, policy=email.policy.SMTPUTF8)
    read = message["To"].addresses[0].addr_spec.encode("utf-8", "surrogateescape")
    assert read.decode() == "աննա@xn--bcher-kva.example"


def test_a_calendar_stands_in_the_alternative_and_beside_it_with_the_same_octets() -> None:
    form = compile_form(rendered(), HEADERS, calendar=True)
    octets = form.fill(VALUES, calendar=ICS)
    assert_clean(octets)
    message = walk(octets)
    alternative, attachment = message.children
    assert (message.kind, alternative.kind) == ("multipart/mixed", "multipart/alternative")
    assert [part.kind for part in alternative.children] == ["text/plain", "text/html", "text/calendar"]
    invitation = alternative.children[2]
    assert invitation.headers["content-type"] == "text/calendar; method=REQUEST; charset=utf-8"
    assert attachment.headers["content-type"] == 'application/ics; name="invite.ics"'
    assert attachment.headers["content-disposition"] == 'attachment; filename="invite.ics"'
    assert invitation.content == attachment.content == ICS.octets
    assert [kind for kind, _ in read_everywhere(octets)] == [
        "text/plain",
        "text/html",
        "text/calendar",
        "application/ics",
    ]
    read = email.message_from_bytes(octets, policy=email.policy.default)
    assert [part.get_filename() for part in read.iter_attachments()] == ["invite.ics"]


def test_a_calendar_is_asked_for_exactly_where_there_is_a_place_for_it() -> None:
    with pytest.raises(FillError, match="give one"):
        compile_form(rendered(), HEADERS, calendar=True).fill(VALUES)
    with pytest.raises(FillError, match="calendar=True"):
        compile_form(rendered(), HEADERS).fill(VALUES, calendar=ICS)
    with pytest.raises(FillError, match="METHOD"):
        compile_form(rendered(), HEADERS, calendar=True).fill(
            VALUES, calendar=replace(ICS, method=Method.CANCEL)
        )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": ""}, "text part is empty"),
        ({"text": " \n\t\n"}, "text part is empty"),
        ({"text": text_slot("first_name")}, "text part is empty"),
        ({"text": "no link to leave by"}, "lacks the link 'preferences_url'"),
        ({"text": "\ue000first_name"}, "marker"),
        ({"text": "a\x00b"}, "text part"),
        ({"text": "a\ud800b"}, "text part"),
        ({"html": document("<p>\x1b</p>")}, "HTML"),
        ({"html": document("\ud800")}, "HTML"),
        ({"html": ""}, "footer"),
        ({"html": document("<p>x</p>", footer="")}, "footer"),
        ({"html": document("x" * 100_000)}, "Gmail"),
        ({"html": document("é" * 50_000)}, "Gmail"),
        ({"subject": ""}, "subject"),
    ],
)
def test_a_mail_that_breaks_a_rule_does_not_compile(change: dict[str, str], reason: str) -> None:
    with pytest.raises(FormError, match=reason):
        compile_form(replace(rendered(), **change), HEADERS)


def test_line_ends_of_any_kind_become_crlf() -> None:
    mail = replace(rendered(), text=rendered().text.replace("\n", "\r\n", 2).replace("\n", "\r", 1))
    assert compile_form(mail, HEADERS).slots == set(VALUES)
    octets = compile_form(replace(mail, text="one\rtwo\r\nthree\n" + rendered().text), HEADERS).fill(VALUES)
    assert read_everywhere(octets)[0][1].startswith(b"one\r\ntwo\r\nthree\r\nDear Anna,")


def test_the_form_knows_the_size_of_its_html() -> None:
    form: Form = compile_form(rendered("ar"), HEADERS)
    assert form.html_octets == len(rendered("ar").html.encode())
