"""Replies from bytes, and what of their text may be kept: no address, no control character, 1 KB."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.smtp.reply import MAX_TEXT, Reply, ReplyError, ReplyReader, hide_addresses, keepable


def read(data: bytes) -> list[Reply]:
    return list(ReplyReader().feed(data))


def test_a_reply_of_one_line() -> None:
    [reply] = read(b"250 2.1.0 Ok\r\n")
    assert (reply.code, reply.enhanced, reply.text) == (250, "2.1.0", "Ok")


def test_a_reply_of_several_lines_is_one() -> None:
    [reply] = read(b"550-5.1.1 The account\r\n550-5.1.1 you tried\r\n550 5.1.1 does not exist\r\n")
    assert (reply.code, reply.enhanced) == (550, "5.1.1")
    assert reply.text == "The account you tried does not exist"


@pytest.mark.parametrize("line", [b"354\r\n", b"354 \r\n"])
def test_a_reply_may_have_no_text(line: bytes) -> None:
    [reply] = read(line)
    assert (reply.code, reply.enhanced, reply.text) == (354, None, "")


def test_several_replies_come_in_order() -> None:
    assert [reply.code for reply in read(b"250 a\r\n550-b\r\n550 c\r\n354 d\r\n")] == [250, 550, 354]


@pytest.mark.parametrize(
    ("text", "enhanced"),
    [
        (b"5.1.1 unknown", "5.1.1"),
        (b"5.1.10 unknown", "5.1.10"),
        (b"sorry, no mailbox here by that name (#5.1.1)", "5.1.1"),
        (b"5.1.1.1 is an address", None),
        (b"3.1.1 no class", None),
        (b"1.2.3", None),
        (b"no code", None),
    ],
)
def test_enhanced_codes(text: bytes, enhanced: str | None) -> None:
    [reply] = read(b"550 " + text + b"\r\n")
    assert reply.enhanced == enhanced


@given(cuts=st.lists(st.integers(min_value=0, max_value=80), max_size=20))
def test_how_the_bytes_are_cut_does_not_matter(cuts: list[int]) -> None:
    data = b"250-first\r\n250 2.1.0 second\r\n354\r\n550-5.1.1 x\r\n550 5.1.1 y\r\n421 bye\r\n"
    reader, replies = ReplyReader(), []
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(places):
        replies += list(reader.feed(data[start:end]))
    assert replies == read(data)
    assert not reader.has_unread


def test_unread_bytes_are_known_of() -> None:
    reader = ReplyReader()
    assert [reply.code for reply in reader.feed(b"250 ok\r\n25")] == [250]
    assert reader.has_unread
    assert [reply.code for reply in reader.feed(b"0-x\r\n")] == []
    assert reader.has_unread
    assert [reply.code for reply in reader.feed(b"250 y\r\n")] == [250]
    assert not reader.has_unread


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n",
        b"25 x\r\n",
        b"2500 x\r\n",
        b"250x\r\n",
        b"199 x\r\n",
        b"600 x\r\n",
        b"250 ok\n",
        b"250 ok\r250 ok\r\n",
        b"250-a\r\n251 b\r\n",
        b"\r\n",
        b"\xff\xfe\xfd\r\n",
        b"250 " + b"x" * 4096 + b"\r\n",
        b"x" * 5000,
        b"250-x\r\n" * 64,
    ],
)
def test_what_is_no_reply_is_refused(data: bytes) -> None:
    with pytest.raises(ReplyError):
        read(data)


def test_replies_before_the_garbage_still_count() -> None:
    replies = ReplyReader().feed(b"250 taken\r\nGARBAGE\r\n")
    assert next(replies).code == 250
    with pytest.raises(ReplyError):
        next(replies)


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_are_replies_or_refused(pieces: list[bytes]) -> None:
    reader = ReplyReader()
    try:
        for piece in pieces:
            for reply in reader.feed(piece):
                assert 200 <= reply.code <= 599
                assert isinstance(reply.text, str)
    except ReplyError:
        return
    assert isinstance(reader.has_unread, bool)


ADDRESSES = [
    "john.doe@example.org",
    "John.Doe+tag@sub.example.org",
    "john.doe@xn--bcher-kva.example",
    "джон@пример.испытание",
    '"john doe"@example.org',
    "b+canary=example.org@bounces.example.org",
    "john.doe%40example.org",
    "john.doe=40example.org",
    "john.doe&#64;example.org",
    "https://help.example.org/?who=john.doe@example.org&x=1",
    "rfc822;john.doe@example.org",
    "john.doe\uff20example.org",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("frame", ["{}", "<{}>", "<{}>: unknown", "550 [{}]", "to={}, size=3", "({})."])
def test_addresses_are_hidden(address: str, frame: str) -> None:
    kept = keepable("before " + frame.format(address) + " after")
    assert "<addr>" in kept
    for piece in ("john", "doe", "canary", "джон", "example.org@"):
        assert piece not in kept.lower()
    assert kept.startswith("before ")


def test_the_recipients_local_part_is_hidden_where_it_stands_alone() -> None:
    kept = keepable("john.doe: no mailbox for JOHN.DOE, johnny may do", "john.doe@example.org")
    assert kept == "<addr>: no mailbox for <addr>, johnny may do"


def test_an_address_over_two_lines_is_hidden() -> None:
    [reply] = read(b"550-5.1.1 <john.doe@\r\n550 5.1.1 example.org> unknown\r\n")
    assert "john" not in keepable(reply.text, "john.doe@example.org")


def test_controls_become_spaces() -> None:
    assert hide_addresses("a\x00b\x1bc\x7fd\x85e\u2028f\u202eg\th") == "a b c d e f g h"


@given(st.text(max_size=3000))
def test_what_is_kept_is_short_printable_and_without_an_at_sign(text: str) -> None:
    kept = keepable(text)
    assert len(kept.encode("utf-8", "replace")) <= MAX_TEXT
    assert "@" not in kept
    assert kept.isprintable()


@given(
    local=st.from_regex(r"[a-z]{6,20}(\.[a-z]{3,9})?", fullmatch=True),
    before=st.text(max_size=1500),
    after=st.text(max_size=1500),
)
def test_the_recipient_is_in_nothing_that_is_kept(local: str, before: str, after: str) -> None:
    address = f"{local}@example.org"
    kept = keepable(f"{before} {address} {after} {local}", address)
    assert address not in kept


def test_a_huge_text_is_cut_between_words() -> None:
    kept = keepable("john.doe@example.org " * 600 + "y" * 10_000)
    assert len(kept) <= MAX_TEXT
    assert "john" not in kept
    assert keepable("x" * 1_000_000) == ""
