"""Headers: what is written, byte by byte, and what two readers of `email` make of it."""

import email
import email.policy
import re
from collections.abc import Mapping
from dataclasses import replace
from email.header import decode_header, make_header
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailer.messages.header_words import UnsafeHeader, encoded_words, unstructured
from mailer.messages.headers import MailingHeaders, head_segments, header_address
from mailer.messages.refusal import FillError, FormError
from mailer.messages.segments import Place
from mailer.messages.slots import text_slot, url_slot

HEADERS = MailingHeaders(
    from_name="Rights Office",
    from_address="news@example.org",
    reply_to="office@example.org",
    list_id="statements.lists.example.org",
    list_name="Statements",
    list_help="https://example.org/help",
    list_owner="mailto:office@example.org",
    list_archive="https://example.org/statements",
    unsubscribe=True,
    bulk=True,
    auto_submitted=True,
    feedback_id="m12:statements:alert:rightsoffice",
    in_reply_to=True,
)
VALUES = {
    "date": "Mon, 23 Nov 2026 12:00:00 +0000",
    "to_address": "anna@example.org",
    "message_id": "<abc.def@example.org>",
    "in_reply_to": "<before@example.org>",
    "unsubscribe_url": "https://mail.example.org/u/" + "a" * 120,
    "unsubscribe_mailto": "mailto:u+" + "a" * 120 + "@bounces.example.org?subject=unsubscribe",
    "first_name": "Anna",
}
FORBIDDEN = [chr(code) for code in (*range(0x20), 0x7F, 0x85, 0x2028, 0x2029)]


def head(
    headers: MailingHeaders = HEADERS,
    *,
    subject: str = "A statement",
    values: Mapping[str, str] | None = None,
) -> bytes:
    filled = VALUES | dict(values or {})
    octets = b""
    for segment in head_segments(headers, subject):
        if isinstance(segment, bytes):
            octets += segment
        elif isinstance(segment, Place):
            octets += segment.encode(filled[segment.name])
        else:
            octets += segment.fill(filled)
    return octets


def changed(**change: Any) -> MailingHeaders:
    return replace(HEADERS, **change)


def read(octets: bytes, name: str) -> str:
    """One header as both of the standard library's policies read it; they must agree."""
    modern = email.message_from_bytes(octets + b"\r\n", policy=email.policy.default)
    legacy = email.message_from_bytes(octets + b"\r\n", policy=email.policy.compat32)
    assert not modern.defects
    assert len(modern.get_all(name, [])) == 1
    unfolded = re.sub(r"\r\n(?=[ \t])", "", str(legacy[name]))
    assert str(make_header(decode_header(unfolded))) == str(modern[name])
    return str(modern[name])


def test_every_header_in_its_order() -> None:
    assert head().decode() == (
        "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        "From: Rights Office <news@example.org>\r\n"
        "Reply-To: office@example.org\r\n"
        "To: anna@example.org\r\n"
        "Subject: A statement\r\n"
        "Message-ID: <abc.def@example.org>\r\n"
        "In-Reply-To: <before@example.org>\r\n"
        "References: <before@example.org>\r\n"
        "List-Id: Statements <statements.lists.example.org>\r\n"
        f"List-Unsubscribe: <{VALUES['unsubscribe_url']}>,\r\n"
        f" <{VALUES['unsubscribe_mailto']}>\r\n"
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        "List-Help: <https://example.org/help>\r\n"
        "List-Owner: <mailto:office@example.org>\r\n"
        "List-Archive: <https://example.org/statements>\r\n"
        "List-Post: NO\r\n"
        "Precedence: list\r\n"
        "X-Auto-Response-Suppress: All\r\n"
        "Auto-Submitted: auto-generated\r\n"
        "Feedback-ID: m12:statements:alert:rightsoffice\r\n"
        "MIME-Version: 1.0\r\n"
    )


def test_a_confirmation_carries_no_list_headers() -> None:
    bare = head(MailingHeaders(from_name="", from_address="news@example.org", auto_submitted=True))
    assert re.findall(rb"(?m)^[A-Za-z-]+(?=:)", bare) == [
        b"Date",
        b"From",
        b"To",
        b"Subject",
        b"Message-ID",
        b"Auto-Submitted",
        b"MIME-Version",
    ]


def test_a_test_mail_says_so_in_its_subject() -> None:
    assert read(head(replace(HEADERS, test=True)), "Subject") == "[test] A statement"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Rights Office", b"From: Rights Office <news@example.org>"),
        ("Office, Rights", b'From: "Office, Rights" <news@example.org>'),
        ('The "Office"', b'From: "The \\"Office\\"" <news@example.org>'),
        ("news@example.org", b'From: "news@example.org" <news@example.org>'),
        ("example.org", b'From: "example.org" <news@example.org>'),
        ("=?utf-8?q?x?=", b"From: =?utf-8?b?PT91dGYtOD9xP3g/PQ==?= <news@example.org>"),
        ("Բյուրո", b"From: =?utf-8?b?1LLVtdW41oLWgNW4?= <news@example.org>"),
        ("", b"From: news@example.org"),
    ],
)
def test_a_senders_name_is_atoms_a_quoted_string_or_encoded_words(name: str, line: bytes) -> None:
    assert line + b"\r\n" in head(replace(HEADERS, from_name=name))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=200))
@example("ا" * 100)
@example("a, b; c <d@e> " * 12)
@example("x" * 300 + " é")
def test_any_senders_name_reads_back(name: str) -> None:
    octets = head(replace(HEADERS, from_name=name))
    message = email.message_from_bytes(octets + b"\r\n", policy=email.policy.compat32)
    raw = str(message["From"])
    assert raw.endswith("<news@example.org>")
    assert_lines(octets)
    shown = raw.removesuffix("<news@example.org>").replace("\r\n", "").strip()
    if shown.startswith('"'):
        assert re.sub(r"\\(.)", r"\1", shown[1:-1]) == name
    else:
        assert str(make_header(decode_header(shown))) == name


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1).filter(str.strip))
@example("x" * 5000)
@example("é" * 5000)
@example("a b " * 600)
@example("a  b")
@example(" spaces around ")
@example("\U0001f469\u200d\U0001f469\u200d\U0001f467 " * 20)
@example("每个人都有权利" * 20)
@example("=?utf-8?q?not_a_word?=")
@example("plain " * 30 + "é")
def test_any_subject_reads_back_in_sound_lines(subject: str) -> None:
    try:
        octets = head(subject=subject)
    except ValueError:
        # Marks of slots are the only characters a subject cannot hold.
        assert re.search("[\ue000\ue001]|slot.invalid|%ee%80%8[01]", subject.lower())
        return
    assert_lines(octets)
    assert decoded_subject(octets) == subject


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=300))
def test_a_subject_with_a_slot_is_encoded_with_the_value_in_it(name: str) -> None:
    octets = head(subject=f"Dear {text_slot('first_name')}, a word", values={"first_name": name})
    assert_lines(octets)
    assert decoded_subject(octets) == f"Dear {name}, a word"


def decoded_subject(octets: bytes) -> str:
    """RFC 2047 by hand: unfold, join neighbouring words, decode each; exact to the last space."""
    line = re.search(rb"(?m)^Subject: ((?:.*\r\n)(?:[ \t].*\r\n)*)", octets)
    assert line is not None
    text = line[1].decode("ascii").removesuffix("\r\n").replace("\r\n ", " ")
    text = re.sub(r"(?<=\?=) (?==\?)", "", text)

    def decode(word: re.Match[str]) -> str:
        assert len(word[0]) <= 75
        chunk, _ = decode_header(word[0])[0]
        return chunk.decode() if isinstance(chunk, bytes) else chunk

    return re.sub(r"=\?utf-8\?[qb]\?[^? ]*\?=", decode, text)


def assert_lines(octets: bytes) -> None:
    assert octets.isascii()
    for line in octets.split(b"\r\n"):
        assert b"\r" not in line
        assert b"\n" not in line
        assert len(line) <= (76 if b"=?utf-8?" in line else 998)
        assert not line.startswith(b".")
        assert line == b"" or line.strip()


def test_short_subjects_read_back_by_both_policies() -> None:
    for subject in ("A statement", "Заява про 17 липня", "بيان صحفي جديد", "声明 2026"):
        assert read(head(subject=subject), "Subject") == subject


def test_a_word_is_written_in_the_shorter_of_b_and_q() -> None:
    assert encoded_words("café au lait", room=60) == ["=?utf-8?q?caf=C3=A9_au_lait?="]
    assert encoded_words("声明", room=60) == ["=?utf-8?b?5aOw5piO?="]


def test_a_long_name_leaves_no_line_too_long_and_keeps_the_address_whole() -> None:
    octets = head(
        replace(HEADERS, from_name="Office for the Rights of All People Everywhere in the World and Beyond")
    )
    assert b"Beyond\r\n <news@example.org>\r\n" in octets


LIST_UNSUBSCRIBE = re.compile(
    rb"\r\nList-Unsubscribe: <https://[!-;=?-~]+>,\r\n <mailto:[!-;=?-~]+>\r\n"
    rb"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)


@pytest.mark.parametrize("length", [1, 20, 60, 77, 78, 200, 800])
def test_the_one_click_pair_is_one_physical_line_per_address(length: int) -> None:
    octets = head(
        values={
            "unsubscribe_url": "https://mail.example.org/u/" + "x" * length,
            "unsubscribe_mailto": f"mailto:u+{'x' * length}@bounces.example.org?subject=unsubscribe",
        }
    )
    assert len(LIST_UNSUBSCRIBE.findall(octets)) == 1
    assert octets.count(b"List-Unsubscribe:") == 1


def test_a_message_id_is_never_folded() -> None:
    long = f"<{'a' * 200}@{'b' * 50}.example.org>"
    assert f"\r\nMessage-ID: {long}\r\n".encode() in head(values={"message_id": long})


@pytest.mark.parametrize("character", FORBIDDEN)
@pytest.mark.parametrize("slot", sorted(VALUES))
def test_no_control_character_enters_a_header_through_a_slot(slot: str, character: str) -> None:
    value = VALUES[slot][:-4] + character + VALUES[slot][-4:]
    with pytest.raises(FillError) as refused:
        head(subject=f"Dear {text_slot('first_name')}", values={slot: value})
    assert VALUES[slot] not in str(refused.value)


@pytest.mark.parametrize("character", FORBIDDEN)
@pytest.mark.parametrize(
    "field",
    [
        "from_name",
        "from_address",
        "reply_to",
        "list_id",
        "list_name",
        "list_help",
        "list_owner",
        "feedback_id",
    ],
)
def test_no_control_character_enters_a_header_of_the_mailing(field: str, character: str) -> None:
    value = str(getattr(HEADERS, field))
    with pytest.raises(FormError):
        head(changed(**{field: f"{value[:3]}{character}Bcc: x@example.org{value[3:]}"}))


@pytest.mark.parametrize("character", FORBIDDEN)
def test_no_control_character_enters_the_subject(character: str) -> None:
    for slot in ("", text_slot("first_name")):
        with pytest.raises(FormError, match="subject"):
            head(subject=f"A {character} {slot} statement")


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(VALUES)),
    st.one_of(st.text(), st.text(st.sampled_from('ab.@<>,"\\ :/\r\n\u2028é例'))),
    st.sampled_from(
        ["{}", "{}@example.org", "a@{}", "<{}@example.org>", "https://example.org/{}", "mailto:{}"]
    ),
)
@example("to_address", "ß" * 5000, "a@{}")
@example("to_address", "\u0300a", "a@{}")
def test_no_value_of_any_shape_adds_a_header_or_a_line(slot: str, text: str, shape: str) -> None:
    subject = f"Dear {text_slot('first_name')}"
    try:
        octets = head(subject=subject, values={slot: shape.format(text)})
    except FillError:
        return
    names = re.compile(rb"(?m)^[!-9;-~]+:")
    assert names.findall(octets) == names.findall(head(subject=subject))
    for line in octets.removesuffix(b"\r\n").split(b"\r\n"):
        assert re.match(rb"[!-9;-~]+: \S| \S", line)
        assert len(line) <= 998
        assert b"\r" not in line
        assert b"\n" not in line


@pytest.mark.parametrize(
    ("slot", "value"),
    [
        ("date", "2026-11-23T12:00:00Z"),
        ("date", "Mon, 23 Nov 2026 12:00:00 GMT"),
        ("message_id", "abc@example.org"),
        ("message_id", "<abc>"),
        ("message_id", "<a@b> <c@d>"),
        ("message_id", "<é@example.org>"),
        ("to_address", "anna"),
        ("to_address", "anna@example.org, eva@example.org"),
        ("to_address", "Anna <anna@example.org>"),
        ("to_address", "anna @example.org"),
        ("to_address", "anna..b@example.org"),
        ("to_address", "@example.org"),
        ("to_address", "anna@"),
        ("to_address", "anna@exa mple.org"),
        ("to_address", "anna@" + "a" * 300 + ".org"),
        ("to_address", "a" * 1000 + "@example.org"),
        ("to_address", ""),
        ("unsubscribe_url", "mailto:u@example.org"),
        ("unsubscribe_url", "https://example.org/a,b"),
        ("unsubscribe_url", "https://example.org/>,<mailto:x@example.org"),
        ("unsubscribe_url", "https://exämple.org/u"),
        ("unsubscribe_url", "https://example.org/" + "x" * 1000),
        ("unsubscribe_mailto", "https://example.org/u"),
        ("unsubscribe_mailto", "mailto:ü@example.org"),
        ("first_name", ""),
        ("first_name", "\ud800"),
    ],
)
def test_a_value_that_is_not_what_its_header_needs_is_refused(slot: str, value: str) -> None:
    with pytest.raises(FillError):
        head(subject=f"Dear {text_slot('first_name')}", values={slot: value})


@pytest.mark.parametrize(
    ("address", "written"),
    [
        ("anna@example.org", "anna@example.org"),
        ("Anna.B+tag=1@Example.org", "Anna.B+tag=1@Example.org"),
        ("o'neil@example.org", "o'neil@example.org"),
        ('"anna b"@example.org', '"anna b"@example.org'),
        ('"a@b\\"c"@example.org', '"a@b\\"c"@example.org'),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@例え.test", "anna@xn--r8jz45g.test"),
        ("анна@пошта.example", "анна@xn--80a1acn3a.example"),
        ("x" * 64 + "@example.org", "x" * 64 + "@example.org"),
    ],
)
def test_an_address_is_written_with_an_a_label(address: str, written: str) -> None:
    assert header_address(address) == written
    assert f"\r\nTo: {written}\r\n".encode() in head(values={"to_address": address})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"from_address": "nobody"}, "From"),
        ({"from_address": "új@example.org"}, "From"),
        ({"from_name": "x" * 1000 + ","}, "From"),
        ({"reply_to": "x"}, "Reply-To"),
        ({"list_id": "statements"}, "List-Id"),
        ({"list_id": "a b.example.org"}, "List-Id"),
        ({"list_id": "a." * 200 + "org"}, "List-Id"),
        ({"list_help": "example.org/help"}, "List-Help"),
        ({"list_owner": "mailto:a@example.org, b@example.org"}, "List-Owner"),
        ({"list_archive": "https://example.org/" + "x" * 1000}, "List-Archive"),
        ({"feedback_id": "a:b:c:d:sender"}, "Feedback-ID"),
        ({"feedback_id": "a:b:c:no"}, "Feedback-ID"),
        ({"feedback_id": "x" * 200 + ":sender"}, "Feedback-ID"),
    ],
)
def test_a_header_that_cannot_be_written_is_named(change: dict[str, str], named: str) -> None:
    with pytest.raises(FormError, match=named):
        head(changed(**change))


@pytest.mark.parametrize("subject", ["", "   ", url_slot("unsubscribe_url")])
def test_a_subject_is_words(subject: str) -> None:
    with pytest.raises(FormError, match="subject"):
        head(subject=subject)


def test_a_list_name_in_any_script_is_encoded() -> None:
    octets = head(replace(HEADERS, list_name="Заяви та повідомлення організації для всіх"))
    assert_lines(octets)
    assert octets.count(b"List-Id:") == 1
    assert b" <statements.lists.example.org>\r\n" in octets


def test_an_unstructured_header_refuses_half_a_character() -> None:
    with pytest.raises(UnsafeHeader, match=r"U\+D800"):
        unstructured("Subject", "a \ud800")
