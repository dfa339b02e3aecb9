"""A journal under steady load: it stays short and whole, and a death at any point leaves one."""

import errno
import multiprocessing
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from mailer.smtp import journal as journal_module
from mailer.smtp.journal import Journal, dead_journals, discard, read
from mailer.smtp.journal_format import HEADER_SIZE, RECORD_SIZE
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict

pytestmark = pytest.mark.slow

SENT = Outcome(verdict=Verdict.SENT, fault=Fault.NONE, phase=Phase.DOT, reason=Reason.ACCEPTED, code=250)
LATER = Outcome(verdict=Verdict.DEFERRED, fault=Fault.LANE, phase=Phase.DOT, reason=Reason.CLOSING, code=421)
SMALL = HEADER_SIZE + 40 * RECORD_SIZE
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Journals give way to shorter ones after a few records."""
    monkeypatch.setattr(journal_module, "_SHORTEN_AT", SMALL)


def stream_on(journal: Journal, first: int, count: int, *, open_at_once: int = 5) -> None:
    """Letters in a stream: some are always open."""
    for number in range(first, first + count):
        journal.about_to_send([(number, number + 7)])
        if number % 2:
            journal.replied(number, number + 7, SENT)
        journal.settled([number - open_at_once])


def test_a_stream_without_a_pause_does_not_make_a_long_file(short: None, tmp_path: Path) -> None:
    with Journal.open(tmp_path, "w") as journal:
        sizes = set()
        for first in range(1000, 3000, 10):
            stream_on(journal, first, 10)
            sizes.add(journal.path.stat().st_size)
        assert max(sizes) <= SMALL + 60 * RECORD_SIZE
        records = read(journal.path).records
        assert {n: (r.fence, r.dot, r.reply) for n, r in records.items()} == {
            n: (n + 7, True, SENT if n % 2 else None) for n in range(2995, 3000)
        }
        assert list(tmp_path.iterdir()) == [journal.path]


def test_a_letter_that_goes_again_after_a_421_is_open_again(short: None, tmp_path: Path) -> None:
    with Journal.open(tmp_path, "w") as journal:
        journal.about_to_send([(1, 7)])
        journal.replied(1, 7, LATER)
        stream_on(journal, 1000, 200)
        assert read(journal.path).records[1].reply == LATER
        journal.about_to_send([(1, 7)])
        stream_on(journal, 2000, 200)
        assert (read(journal.path).records[1].dot, read(journal.path).records[1].reply) == (True, None)


def test_everything_settled_leaves_an_empty_file_and_closing_none(short: None, tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "w")
    for _ in range(30):
        journal.about_to_send([(number, 1) for number in range(100)])
        journal.settled(range(100))
    assert journal.path.stat().st_size == HEADER_SIZE
    journal.close()
    assert list(tmp_path.iterdir()) == []


def test_a_thousand_settled_letters_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    real = os.write

    def count(descriptor: int, data: bytes) -> int:
        writes.append(len(data))
        return real(descriptor, data)

    with Journal.open(tmp_path, "w") as journal:
        journal.about_to_send([(number, 1) for number in range(1000)])
        monkeypatch.setattr(os, "write", count)
        journal.settled(range(1000))
    assert writes == [1000 * RECORD_SIZE]


def test_the_header_and_its_name_are_on_the_disk_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with Journal.open(tmp_path / "journals", "w") as journal:
        assert synced == [f".{journal.path.name}.new", "journals"]
        journal.about_to_send([(1, 1)])
        assert len(synced) == 2


@pytest.mark.parametrize("failing", ["open", "write", "fsync", "rename"])
def test_when_a_shorter_file_cannot_be_made_the_long_one_serves(
    short: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    with Journal.open(tmp_path, "w") as journal:
        journal.about_to_send([(1, 7)])
        with monkeypatch.context() as patch:
            _fail(patch, failing)
            stream_on(journal, 1000, 100)
        assert {1, *range(1095, 1100)} == set(read(journal.path).records)
        assert list(tmp_path.iterdir()) == [journal.path]
        stream_on(journal, 1100, 300)
        assert {1, *range(1395, 1400)} == set(read(journal.path).records)
        assert journal.path.stat().st_size < 200 * RECORD_SIZE
    assert dead_journals(tmp_path) == [journal.path]


def _fail(patch: pytest.MonkeyPatch, what: str) -> None:
    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    real = os.write
    if what == "write":  # the big one of a new file is cut short, the small ones of the stream are not
        patch.setattr(os, "write", lambda fd, data: real(fd, data[:20] if len(data) > HEADER_SIZE else data))
    elif what == "rename":
        patch.setattr(Path, "rename", full)
    else:
        patch.setattr(os, what, full)


def test_a_living_owner_is_never_taken_for_dead_and_always_readable(short: None, tmp_path: Path) -> None:
    """While files change places, others look for the dead and read: they see one whole file, and a life."""
    over = threading.Event()
    seen: list[Any] = []

    def look() -> None:
        while not over.is_set():
            seen.append(dead_journals(tmp_path))
            seen.append(discard(journal.path))
            contents = read(journal.path)
            seen.append((contents.damaged, contents.records[1].fence))

    with Journal.open(tmp_path, "w") as journal:
        journal.about_to_send([(1, 7)])
        watchers = [threading.Thread(target=look) for _ in range(3)]
        for watcher in watchers:
            watcher.start()
        for first in range(1000, 6000, 100):
            stream_on(journal, first, 100)
        over.set()
        for watcher in watchers:
            watcher.join()
        assert [each for each in seen if each not in ([], False, (0, 7))] == []
        assert len(seen) > 3
    assert dead_journals(tmp_path) == [journal.path]


# --- deaths


def _work_until_killed(folder: Path, told: Any) -> None:
    journal_module._SHORTEN_AT = SMALL
    journal = Journal.open(folder, "victim")
    for number in range(10, 1_000_000):
        journal.about_to_send([(number, 7)])
        told.send_bytes(b"d%d" % number)
        if number % 3:
            journal.replied(number, 7, SENT)
            told.send_bytes(b"r%d" % number)
        told.send_bytes(b"s%d" % (number - 4))
        journal.settled([number - 4])


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_owner_leaves_one_readable_journal_with_all_it_said(tmp_path: Path, seed: int) -> None:
    here, there = SPAWN.Pipe(duplex=False)
    victim = SPAWN.Process(target=_work_until_killed, args=(tmp_path, there))
    victim.start()
    there.close()
    said = [here.recv_bytes() for _ in range(random.Random(seed).randrange(200, 3000))]
    victim.kill()
    victim.join()
    while True:
        try:
            said.append(here.recv_bytes())
        except (EOFError, OSError):
            break
    [path] = dead_journals(tmp_path)
    contents = read(path)
    dots, replies, settling = ({int(w[1:]) for w in said if w[:1] == kind} for kind in (b"d", b"r", b"s"))
    assert contents.damaged == 0
    assert dots - settling <= {n for n, record in contents.records.items() if record.dot}
    assert replies - settling <= {n for n, record in contents.records.items() if record.reply == SENT}
    assert max(contents.records) <= max(dots) + 1
    assert discard(path)
    assert list(tmp_path.iterdir()) == []  # nothing half-made is left either


def _die_at(folder: Path, place: str) -> None:
    journal = Journal.open(folder, "victim")
    journal.about_to_send([(1, 7), (2, 7)])
    journal.replied(2, 7, SENT)
    journal_module._SHORTEN_AT = journal._shorten_at = SMALL

    def die(*_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    patched: Any = {"rename": Path, "write": os, "fsync": os, "close": os}[place]
    if place == "write":
        real = os.write

        def half(descriptor: int, data: Any) -> int:
            if len(data) >= HEADER_SIZE:
                real(descriptor, data[:99])
                die()
            return real(descriptor, data)

        os.write = half
    else:
        setattr(patched, place, die)
    stream_on(journal, 1000, 10_000)


@pytest.mark.parametrize("place", ["write", "fsync", "rename", "close"])
def test_a_death_while_files_change_places_leaves_one_whole_journal(tmp_path: Path, place: str) -> None:
    """`close` is the old file's, right after the new one got the name."""
    victim = SPAWN.Process(target=_die_at, args=(tmp_path, place))
    victim.start()
    victim.join()
    assert victim.exitcode == -signal.SIGKILL
    [path] = dead_journals(tmp_path)
    contents = read(path)
    assert contents.damaged == 0
    assert (contents.records[1].reply, contents.records[2].reply) == (None, SENT)
    assert contents.records[1].dot
    assert discard(path)
    assert list(tmp_path.iterdir()) == []
