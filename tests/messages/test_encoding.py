"""Quoted-printable and base64, whole and in pieces; what a strict reader decodes is what went in."""

import base64
import quopri
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mailer.messages.encoding import SOFT_BREAK, base64_lines, quoted_printable
from mailer.messages.segments import Insert, Joint, Place, Segment, TransferEncoding, body_segments
from mailer.messages.slots import Slot
from mailer.messages.values import text_insert

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
AWKWARD = [
    "x" * 5000,
    "é" * 5000,
    FAMILY * 60,
    "مرحبا بكم في كل مكان " * 40,
    "每个人都有权利" * 100,
    "." * 300,
    "...\n.\n..",
    "From me\nFrom you\n>From",
    "a" * 75 + ".dot after a full line",
    "a" * 75 + "From after a full line",
    "=3D= =\n=",
    " trailing \n tab\t\n  two spaces  \n",
    "--=_alt_0000",
    "a  b   c\t\td",
    "\n\n\n",
]
BODY = st.text(
    alphabet=st.one_of(
        st.sampled_from(". =\n\tF"),
        st.characters(exclude_categories=("Cs", "Cc")),
        st.characters(max_codepoint=0x7E, min_codepoint=0x20),
    ),
    max_size=400,
)


def decode_printable(encoded: bytes) -> bytes:
    """RFC 2045 6.7 read strictly: anything a sender must not write raises."""
    result = b""
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.endswith((b" ", b"\t"))
        soft = line.endswith(b"=")
        content = line[:-1] if soft else line
        assert re.fullmatch(rb"(?:[\t -<>-~]|=[0-9A-F]{2})*", content)
        result += re.sub(rb"=([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), content)
        result += b"" if soft else b"\r\n"
    return result.removesuffix(b"\r\n")


def assert_sound(encoded: bytes) -> None:
    for line in encoded.split(b"\r\n"):
        assert len(line) <= 76
        assert not line.startswith((b".", b"From "))
        assert not re.search(rb"[\r\n\t\x80-\xff]|  ", line)
        assert not line.endswith(b" ")


@settings(deadline=None)
@given(BODY)
@example(AWKWARD[0])
@example(AWKWARD[1])
@example(AWKWARD[2])
@example(AWKWARD[3])
@example(AWKWARD[4])
@example("\n".join(AWKWARD[5:]))
def test_quoted_printable_reads_back_and_every_line_is_sound(text: str) -> None:
    encoded = quoted_printable(text) + SOFT_BREAK
    assert_sound(encoded)
    assert decode_printable(encoded) == text.replace("\n", "\r\n").encode()
    assert quopri.decodestring(encoded) == text.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("text", AWKWARD)
def test_no_break_falls_inside_a_character(text: str) -> None:
    for line in quoted_printable(text).split(b"\r\n"):
        quopri.decodestring(line.removesuffix(b"=")).decode()


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("plain", b"plain"),
        ("a=b", b"a=3Db"),
        (".", b"=2E"),
        (".a\n.b", b"=2Ea\r\n=2Eb"),
        ("From x", b"=46rom x"),
        ("a \nb\t\nc", b"a=20\r\nb=09\r\nc"),
        ("é", b"=C3=A9"),
        ("a  b", b"a =20b"),
    ],
)
def test_quoted_printable_by_example(text: str, encoded: bytes) -> None:
    assert quoted_printable(text) == encoded


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_base64_reads_back_in_lines_of_76(octets: bytes) -> None:
    lines = base64_lines(octets)
    assert base64.b64decode(lines, validate=False) == octets
    assert all(len(line) <= 76 for line in lines.split(b"\r\n"))
    assert lines.endswith(b"\r\n") or not octets


def fill(segments: list[Segment], values: dict[str, str]) -> bytes:
    return b"".join(octets_of(segment, values) for segment in segments)


def octets_of(segment: Segment, values: dict[str, str]) -> bytes:
    if isinstance(segment, bytes):
        return segment
    if isinstance(segment, Place):
        return segment.encode(values[segment.name])
    joint: Joint = segment
    return joint.fill(values)


def insert(name: str) -> Insert:
    return text_insert(Slot(name=name, is_url=False))


PIECES = st.lists(st.one_of(BODY, st.sampled_from(["one", "two", "three"]).map(insert)), max_size=8)
VALUES = st.fixed_dictionaries({name: BODY.filter(bool) for name in ("one", "two", "three")})


@settings(deadline=None)
@given(PIECES, VALUES)
def test_the_decoded_join_is_the_plain_render_in_either_encoding(
    pieces: list[str | Insert], values: dict[str, str]
) -> None:
    # Words of another script make base64 the smaller one, so both are walked.
    for last in ("\n", "每个人都有权利" * 60 + "\n"):
        body = [*pieces, last]
        encoding, segments = body_segments(body)
        octets = fill(segments, values)
        plain = "".join(piece if isinstance(piece, str) else values[piece.name] for piece in body)
        assert octets.endswith(b"\r\n")
        assert_sound(octets)
        if encoding is TransferEncoding.BASE64:
            assert base64.b64decode(octets) == plain.replace("\n", "\r\n").encode()
        else:
            assert decode_printable(octets) == plain.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("length", range(1, 8))
@pytest.mark.parametrize("fixed", [1, 2, 56, 57, 58, 59, 114, 115])
def test_base64_segments_fit_after_a_value_of_any_length(length: int, fixed: int) -> None:
    body: list[str | Insert] = [
        "权" * 300,
        insert("one"),
        "b" * fixed,
        insert("two"),
        insert("one"),
        "c" * 99,
        "\n",
    ]
    encoding, segments = body_segments(body)
    assert encoding is TransferEncoding.BASE64
    octets = fill(segments, {"one": "x" * length, "two": "权" * length})
    expected = "权" * 300 + "x" * length + "b" * fixed + "权" * length + "x" * length + "c" * 99 + "\r\n"
    assert base64.b64decode(octets) == expected.encode()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Words in English, with one naïve letter.\n" * 20, TransferEncoding.QUOTED_PRINTABLE),
        ("Слова українською мовою.\n" * 20, TransferEncoding.BASE64),
        ("\n", TransferEncoding.QUOTED_PRINTABLE),
    ],
)
def test_the_smaller_encoding_is_chosen(text: str, encoding: TransferEncoding) -> None:
    chosen, segments = body_segments([text])
    assert chosen is encoding
    other = base64.encodebytes if encoding is TransferEncoding.QUOTED_PRINTABLE else quopri.encodestring
    assert len(fill(segments, {})) <= len(other(text.encode())) * 1.05
