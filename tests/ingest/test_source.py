"""A page from a file, the standard input or the web: text, or one clear refusal."""

import io
import os
from pathlib import Path

import pytest

from mailer.ingest.decode import decode
from mailer.ingest.errors import FetchError, PageError
from mailer.ingest.fetch import Fetched
from mailer.ingest.page import PAGE_BYTES
from mailer.ingest.source import Loaded, load


class Unread(io.RawIOBase):
    """A stream that fails the test when it is read."""

    def readable(self) -> bool:
        return True

    def readinto(self, _: object) -> int:
        raise AssertionError("read")


NOTHING = io.BufferedReader(Unread())


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "page.txt").write_text("Héllo", encoding="utf-8-sig")
    assert load(str(tmp_path / "page.txt"), NOTHING) == Loaded(text="Héllo", origin="file:page.txt")


def test_the_standard_input() -> None:
    assert load("-", io.BytesIO("Barev, Բարև".encode())) == Loaded(text="Barev, Բարև", origin="stdin")


def test_a_web_address_is_known_by_where_it_led_without_tracking() -> None:
    page = Fetched(url="https://Example.org/page?id=3&utm_source=x#part", body="é".encode(), charset="utf-8")
    assert load("https://example.org/", NOTHING, fetch_page=lambda _: page) == Loaded(
        text="é", origin="https://example.org/page?id=3"
    )


def test_a_web_address_goes_through_the_guard() -> None:
    with pytest.raises(FetchError):
        load("https://localhost/", NOTHING)
    with pytest.raises(FetchError, match="https"):
        load("HTTP://example.org/", NOTHING)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    large = tmp_path / "large.txt"
    with large.open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    with pytest.raises(PageError, match="larger than 2 MiB"):
        load(str(large), NOTHING)


def test_a_pipe_without_an_end_is_read_to_the_limit_only() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
            buffer[:] = b"x" * len(buffer)
            self.given += len(buffer)
            return len(buffer)

    endless = Endless()
    with pytest.raises(PageError, match="larger than 2 MiB"):
        load("-", io.BufferedReader(endless))
    assert endless.given < 2 * PAGE_BYTES


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="There is no file"):
        load(str(tmp_path / "none.txt"), NOTHING)
    with pytest.raises(PageError, match="is a folder"):
        load(str(tmp_path), NOTHING)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "shut.txt").touch(0o000)
    with pytest.raises(PageError, match="cannot be read"):
        load(str(tmp_path / "shut.txt"), NOTHING)


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"%PDF-1.7 ...", "a PDF"),
        (b"PK\x03\x04....", "Word"),
        ("Grüße".encode("utf-16"), "UTF-16"),
        (b"GIF89a\x00\x01", "binary"),
        ("Grüße".encode("latin-1"), "byte 3 is 0xFC"),
        (b"x" * (PAGE_BYTES + 1), "larger than"),
    ],
)
def test_what_is_no_text_is_refused_with_the_next_step(octets: bytes, words: str) -> None:
    with pytest.raises(PageError, match=words) as refused:
        decode(octets)
    assert any(step in str(refused.value) for step in ("Save", "Copy"))


def test_a_charset_that_the_server_declares_is_believed() -> None:
    assert decode("Grüße “so”".encode("cp1252"), "ISO-8859-1") == "Grüße “so”"
    assert decode("Привіт".encode("koi8-u"), "koi8-u") == "Привіт"
    with pytest.raises(PageError, match="x-strange"):
        decode(b"abc", "x-strange")
