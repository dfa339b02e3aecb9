"""The demo's inbox as a folder: nothing half written, nothing lost at a restart, found by its words."""

import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as some

from mailer.services.desk.inbox import Inbox

MAIL = (
    b"Date: Thu, 01 Feb 2024 17:00:00 +0000\r\nFrom: =?utf-8?q?B=C3=BCro?= <news@example.org>\r\n"
    b"To: anna@example.org\r\nSubject: =?utf-8?b?0JfQsNGP0LLQsA==?=\r\n of today\r\n\r\nSubject: not this\r\n"
)


def test_a_mail_comes_back_octet_by_octet(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    data = bytes(range(256)) * 50
    number = inbox.store("b+x@bounces.example.org", ["почта@example.org", "b@example.org"], data)
    for one in (inbox, Inbox(tmp_path / "inbox")):
        caught = one.read(number)
        assert caught is not None
        assert (caught.sender, caught.data) == ("b+x@bounces.example.org", data)
        assert caught.recipients == ("почта@example.org", "b@example.org")


def test_headers_are_decoded_and_the_body_is_not_looked_at(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    inbox.store("", ["anna@example.org"], MAIL)
    (entry,) = inbox.list()
    assert entry.subject == "Заява of today"
    assert entry.headers["from"] == "Büro <news@example.org>"
    assert entry.size == len(MAIL)


def test_the_newest_comes_first_and_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    first = Inbox(tmp_path)
    numbers = [first.store("", [f"r{n}@example.org"], MAIL) for n in range(12)]
    again = Inbox(tmp_path)
    numbers.append(again.store("", ["last@example.org"], MAIL))
    assert numbers == list(range(1, 14))
    assert [entry.id for entry in again.list(0, 3)] == [13, 12, 11]
    assert [entry.id for entry in again.list(12, 3)] == [1]
    assert again.list(13, 3) == ()


def test_search_wants_every_word(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    inbox.store("", ["Anna@example.org"], MAIL)
    inbox.store("", ["olena@example.org"], b"Subject: Reminder\r\n\r\n")
    for query, found in (
        ("заява ANNA", 1),
        ("anna reminder", 0),
        ("example.org", 2),
        ("  ", 2),
        ("not this", 0),
    ):
        assert inbox.count(query) == found
        assert len(inbox.list(query=query)) == found


def test_what_a_killed_process_left_half_written_is_not_shown(tmp_path: Path) -> None:
    Inbox(tmp_path).store("", ["a@example.org"], MAIL)
    (tmp_path / "000000002.draft").write_bytes(b'{"sender":')
    (tmp_path / "000000003.mail").write_bytes(b"not an envelope\n")
    (tmp_path / "notes.mail").write_bytes(b"{}\n")
    inbox = Inbox(tmp_path)
    assert inbox.count() == 1
    assert not (tmp_path / "000000002.draft").exists()
    assert inbox.store("", ["b@example.org"], MAIL) == 2


def test_a_removed_file_is_simply_gone(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    number = inbox.store("", ["a@example.org"], MAIL)
    next(tmp_path.glob("*.mail")).unlink()
    assert inbox.read(number) is None
    assert inbox.read(99) is None


def test_many_senders_at_once_lose_nothing(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    numbers: list[int] = []

    def send(who: int) -> None:
        numbers.extend(inbox.store("", [f"{who}@example.org"], MAIL) for _ in range(50))

    threads = [threading.Thread(target=send, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 201))
    assert Inbox(tmp_path).count() == 200


def test_others_on_the_machine_cannot_read_it(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")
    inbox.store("", ["a@example.org"], MAIL)
    assert (tmp_path / "inbox").stat().st_mode & 0o077 == 0
    assert next((tmp_path / "inbox").glob("*.mail")).stat().st_mode & 0o077 == 0


@given(head=some.binary(max_size=400))
def test_no_header_breaks_the_list(tmp_path_factory: object, head: bytes) -> None:
    folder = tmp_path_factory.mktemp("inbox")  # type: ignore[attr-defined]
    inbox = Inbox(folder)
    inbox.store("", ["a@example.org"], b"Subject: " + head + b"\r\n\r\nText")
    assert inbox.count("a@example.org") == 1
    assert isinstance(inbox.list()[0].subject, str)
