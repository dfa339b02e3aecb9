"""The journal: what was written is read back, a torn tail is absent, and no dot leaves without its record."""

import errno
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer.smtp import journal_format
from mailer.smtp.journal import (
    Journal,
    JournalError,
    current_boot_id,
    dead_journals,
    discard,
    read,
)
from mailer.smtp.journal_format import (
    HEADER_SIZE,
    RECORD_SIZE,
    Kind,
    pack_header,
    pack_record,
    seed_of,
    unpack_record,
)
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict

Make = Callable[..., Any]

SENT = Outcome(verdict=Verdict.SENT, fault=Fault.NONE, phase=Phase.DOT, reason=Reason.ACCEPTED, code=250)
GONE = Outcome(
    verdict=Verdict.FAILED, fault=Fault.RECIPIENT, phase=Phase.DOT, reason=Reason.ADDRESS, code=550
)


def test_what_was_written_is_read(journal: Journal) -> None:
    journal.about_to_send([(1, 7), (2, 7), (3, 8)])
    journal.replied(1, 7, SENT)
    journal.replied(2, 7, GONE)
    contents = read(journal.path)
    assert (contents.worker, contents.boot_id, contents.damaged) == ("send@test", current_boot_id(), 0)
    assert {number: (record.fence, record.dot) for number, record in contents.records.items()} == {
        1: (7, True),
        2: (7, True),
        3: (8, True),
    }
    assert [contents.records[number].reply for number in (1, 2, 3)] == [SENT, GONE, None]


def test_what_is_settled_is_forgotten(journal: Journal) -> None:
    journal.about_to_send([(1, 7), (2, 7)])
    journal.replied(1, 7, SENT)
    journal.settled([1, 99])
    assert set(read(journal.path).records) == {2}


def test_a_later_claim_replaces_an_earlier_one(journal: Journal) -> None:
    journal.about_to_send([(1, 7)])
    journal.replied(1, 7, SENT)
    journal.about_to_send([(1, 8)])
    record = read(journal.path).records[1]
    assert (record.fence, record.dot, record.reply) == (8, True, None)


def test_a_group_is_one_write(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    real = os.write

    def write(descriptor: int, data: bytes) -> int:
        writes.append(len(data))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", write)
    journal.record_group([(1, 7, SENT), (2, 7, GONE)], [(3, 7), (4, 7)])
    assert writes == [4 * RECORD_SIZE]


def test_a_settled_journal_is_removed_when_it_is_closed(tmp_path: Path) -> None:
    with Journal.open(tmp_path, "w") as journal:
        journal.about_to_send([(1, 7)])
        journal.settled([1])
        assert journal.path.exists()
    assert list(tmp_path.iterdir()) == []


def test_an_unsettled_journal_stays(tmp_path: Path) -> None:
    with Journal.open(tmp_path, "w") as journal:
        journal.about_to_send([(1, 7)])
    assert dead_journals(tmp_path) == [journal.path]
    assert set(read(journal.path).records) == {1}


def test_a_long_life_does_not_make_a_long_file(tmp_path: Path) -> None:
    with Journal.open(tmp_path, "w") as journal:
        for start in range(0, 120_000, 1000):
            ids = range(start, start + 1000)
            journal.about_to_send([(number, 1) for number in ids])
            journal.settled(ids)
        journal.about_to_send([(999_999, 1)])
        assert journal.path.stat().st_size < 5_000_000
        assert set(read(journal.path).records) == {999_999}


def test_a_living_owner_is_not_dead(journal: Journal) -> None:
    assert dead_journals(journal.path.parent) == []
    assert discard(journal.path) is False
    assert journal.path.exists()


def _own_and_wait(folder: Path, ready: Any) -> None:
    journal = Journal.open(folder, "victim")
    journal.about_to_send([(1, 7), (2, 7)])
    journal.replied(1, 7, SENT)
    ready.send(str(journal.path))
    signal.pause()


def test_a_killed_owner_is_dead_and_its_records_stand(tmp_path: Path) -> None:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_own_and_wait, args=(tmp_path, there))
    process.start()
    path = Path(here.recv())
    assert dead_journals(tmp_path) == []
    assert set(read(path).records) == {1, 2}  # a living owner's can be read, too
    process.kill()
    process.join()
    assert dead_journals(tmp_path) == [path]
    records = read(path).records
    assert (records[1].reply, records[2].reply) == (SENT, None)
    assert discard(path) is True
    assert discard(path) is False
    assert dead_journals(tmp_path) == []


def test_nothing_in_the_folder_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / ".half-made.journal.new").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("x")
    assert dead_journals(tmp_path) == []
    assert dead_journals(tmp_path / "missing") == []


@pytest.mark.parametrize("worker", ["send@host-1", "../../etc/x", "ümlaut", "a b/c", ""])
def test_any_worker_name_stays_in_the_folder(tmp_path: Path, worker: str) -> None:
    with Journal.open(tmp_path / "j", worker) as journal:
        assert journal.path.parent == tmp_path / "j"
        assert read(journal.path).worker == worker


def test_a_name_too_long_for_the_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="64 octets"):
        Journal.open(tmp_path, "w" * 65)


def test_the_file_is_for_its_owner_only(journal: Journal) -> None:
    assert journal.path.stat().st_mode & 0o777 == 0o600
    assert journal.path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 1000, b"MLRJRNAL" + b"\0" * 500])
def test_what_is_no_journal_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.journal"
    path.write_bytes(data)
    with pytest.raises(JournalError, match="move it away"):
        read(path)


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_format, "VERSION", 2)
    header = pack_header(current_boot_id(), "w", b"s" * 12)
    monkeypatch.undo()
    path = tmp_path / "x.journal"
    path.write_bytes(header)
    with pytest.raises(JournalError, match="another version"):
        read(path)


def test_a_missing_journal_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot read"):
        read(tmp_path / "none.journal")


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(JournalError, match="cannot create"):
        Journal.open(tmp_path / "file" / "journals", "w")


# --- failed and torn writes


def test_a_short_write_is_taken_back_and_raises(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.about_to_send([(1, 7)])
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: real(fd, data[:20]))
        with pytest.raises(JournalError, match="disk is full"):
            journal.about_to_send([(2, 7)])
    journal.about_to_send([(3, 7)])
    contents = read(journal.path)
    assert set(contents.records) == {1, 3}
    assert contents.damaged == 0


def test_a_failed_write_raises_and_later_ones_work(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(JournalError, match="No space left"):
            journal.about_to_send([(1, 7)])
    journal.about_to_send([(2, 7)])
    assert set(read(journal.path).records) == {2}


def test_a_torn_write_that_cannot_be_taken_back_ends_the_journal(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_fd: int, _size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: real(fd, data[:20]))
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(JournalError):
            journal.about_to_send([(1, 7)])
    with pytest.raises(JournalError, match="closed"):
        journal.about_to_send([(2, 7)])


def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "w")
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.about_to_send([(1, 7)])


IDS = st.integers(min_value=0, max_value=2**63 - 1)
FENCES = st.integers(min_value=0, max_value=2**63 - 1)
OUTCOMES = st.builds(
    Outcome,
    verdict=st.sampled_from(Verdict),
    fault=st.sampled_from(Fault),
    phase=st.sampled_from(Phase),
    reason=st.sampled_from(Reason),
    code=st.none() | st.integers(min_value=200, max_value=599),
)
WRITTEN = st.tuples(st.sampled_from(Kind), IDS, FENCES, OUTCOMES)


@given(kind=st.sampled_from(Kind), number=IDS, fence=FENCES, outcome=OUTCOMES, seed=st.integers(0, 2**32 - 1))
def test_a_record_comes_back_as_it_was(
    kind: Kind, number: int, fence: int, outcome: Outcome, seed: int
) -> None:
    kept = outcome if kind is Kind.REPLY else None
    packed = pack_record(kind, number, fence, seed, kept)
    assert len(packed) == RECORD_SIZE
    record = unpack_record(packed, seed)
    assert record is not None
    assert (record.kind, record.id, record.fence, record.outcome) == (kind, number, fence, kept)


@given(
    number=IDS,
    fence=FENCES,
    seed=st.integers(0, 2**32 - 1),
    place=st.integers(0, RECORD_SIZE - 1),
    flip=st.integers(1, 255),
)
def test_a_changed_record_is_no_record(number: int, fence: int, seed: int, place: int, flip: int) -> None:
    packed = bytearray(pack_record(Kind.DOT, number, fence, seed))
    packed[place] ^= flip
    assert unpack_record(bytes(packed), seed) is None


@given(number=IDS, fence=FENCES, seed=st.integers(0, 2**32 - 1), other=st.integers(0, 2**32 - 1))
def test_a_record_of_another_file_is_no_record(number: int, fence: int, seed: int, other: int) -> None:
    packed = pack_record(Kind.DOT, number, fence, seed)
    assert (unpack_record(packed, other) is None) == (seed != other)


def _file(records: list[tuple[Kind, int, int, Outcome]]) -> bytes:
    header = pack_header("b" * 36, "w", b"salt" * 3)
    seed = seed_of(header)
    return header + b"".join(
        pack_record(kind, number, fence, seed, outcome if kind is Kind.REPLY else None)
        for kind, number, fence, outcome in records
    )


@given(
    records=st.lists(WRITTEN, max_size=12),
    cut=st.integers(min_value=0),
    tail=st.binary(max_size=3 * RECORD_SIZE),
)
def test_a_torn_tail_counts_as_absent(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[Kind, int, int, Outcome]],
    cut: int,
    tail: bytes,
) -> None:
    """Whatever the last write left behind, the file reads as the whole records before it, and no damage."""
    path = tmp_path_factory.getbasetemp() / "torn.journal"
    whole = cut % (len(records) + 1)
    kept = HEADER_SIZE + whole * RECORD_SIZE
    path.write_bytes(_file(records)[:kept])
    expected = read(path)
    torn = _file(records)[kept : kept + cut % RECORD_SIZE]
    path.write_bytes(_file(records)[:kept] + torn)
    assert read(path) == expected
    path.write_bytes(_file(records)[:kept] + tail)  # the disk's old blocks after a power loss
    assert read(path) == expected


@given(records=st.lists(WRITTEN, min_size=2, max_size=12, unique_by=lambda record: record[1]), data=st.data())
def test_a_hole_in_the_middle_is_known(
    tmp_path_factory: pytest.TempPathFactory,
    records: list[tuple[Kind, int, int, Outcome]],
    data: st.DataObject,
) -> None:
    place = data.draw(st.integers(0, len(records) - 2))
    octets = bytearray(_file(records))
    start = HEADER_SIZE + place * RECORD_SIZE
    octets[start : start + RECORD_SIZE] = b"\0" * RECORD_SIZE
    path = tmp_path_factory.getbasetemp() / "hole.journal"
    path.write_bytes(octets)
    contents = read(path)
    assert contents.damaged == 1
    expected = {record[1] for record in records if record[0] is not Kind.SETTLED} - {records[place][1]}
    assert set(contents.records) == expected


REASONS = """
    accepted address address_syntax refused mailbox_full disabled blocked sender too_big eai malformed
    greylisted throttled authentication too_many_recipients temporary closing lost timeout protocol
    connect no_tls auth relay_denied too_late render stopped journal
"""


def test_the_numbers_of_words_never_change() -> None:
    """A journal may be read by a later version: the order of these words is part of the format."""
    assert [str(word) for word in Verdict] == ["sent", "deferred", "failed", "in_doubt"]
    assert [str(word) for word in Fault] == ["none", "recipient", "sender", "lane", "relay"]
    assert [str(word) for word in Phase] == (
        ["connect", "tls", "greeting", "ehlo", "auth", "mail", "rcpt", "data", "dot"]
    )
    assert [str(word) for word in Reason][:28] == REASONS.split()
    assert [int(kind) for kind in Kind] == [1, 2, 3]
    assert (HEADER_SIZE, RECORD_SIZE) == (128, 28)


# --- with the engine


@pytest.mark.parametrize("extensions", [(b"PIPELINING",), (b"8BITMIME",)])
def test_the_record_is_there_before_the_bytes_and_the_reply_before_the_outcome(
    raw_server: Make, engine: Make, letters: Make, journal: Journal, extensions: tuple[bytes, ...]
) -> None:
    seen: list[dict[int, tuple[bool, bool]]] = []

    def script(wire: Any) -> None:
        wire.greet(*extensions)
        for _ in range(3):
            wire.envelope()
            wire.body()
            records = read(journal.path).records
            seen.append({n: (record.dot, record.reply is not None) for n, record in records.items()})
            wire.send(b"250 2.0.0 taken\r\n")
        wire.take_all()

    server = raw_server(script)
    replies = [
        (number, read(journal.path).records[number].reply)
        for number, _ in engine(server.url, journal=journal).send(letters(3))
    ]
    assert seen == [
        {1: (True, False)},
        {1: (True, True), 2: (True, False)},
        {1: (True, True), 2: (True, True), 3: (True, False)},
    ]
    assert replies == [(1, SENT), (2, SENT), (3, SENT)]


def test_the_fence_of_the_letter_is_in_its_records(
    inbox: Any, engine: Make, letter: Make, journal: Journal
) -> None:
    list(engine(inbox.url, journal=journal).send([letter(1, fence=4711)]))
    assert read(journal.path).records[1].fence == 4711


def test_a_letter_without_a_dot_leaves_no_record(
    inbox: Any, engine: Make, letter: Make, journal: Journal
) -> None:
    inbox.replies["RCPT", "reader2@example.org"] = "550 5.1.1 unknown"
    batch = [letter(1), letter(2), letter(3, recipient="not an address")]
    assert len(list(engine(inbox.url, journal=journal).send(batch))) == 3
    assert set(read(journal.path).records) == {1}


def test_no_address_is_in_the_journal(inbox: Any, engine: Make, letter: Make, journal: Journal) -> None:
    inbox.replies["DOT", "canary@example.org"] = "554 5.7.1 <canary@example.org> is spam"
    list(engine(inbox.url, journal=journal).send([letter(1, recipient="canary@example.org")]))
    assert b"canary" not in journal.path.read_bytes()
    assert set(read(journal.path).records) == {1}


def test_doubt_is_a_dot_without_a_reply(
    raw_server: Make, engine: Make, letters: Make, journal: Journal
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.take(1)
        wire.envelope()
        wire.body()

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = dict(engine(server.url, journal=journal).send(letters(3)))
    assert outcomes[2].verdict is Verdict.IN_DOUBT
    records = read(journal.path).records
    assert [records[number].reply for number in (1, 2, 3)] == [SENT, None, SENT]


def test_without_a_journal_record_nothing_leaves(
    raw_server: Make, engine: Make, letters: Make, journal: Journal
) -> None:
    server = raw_server(lambda wire: (wire.greet(), wire.take_all()))
    journal.close()
    outcomes = dict(engine(server.url, journal=journal).send(letters(20)))
    assert len(outcomes) == 20
    assert {(o.verdict, o.fault, o.reason) for o in outcomes.values()} == {
        (Verdict.DEFERRED, Fault.RELAY, Reason.JOURNAL)
    }
    assert all(outcome.retry_after for outcome in outcomes.values())
    assert server.bodies == []


def test_a_journal_that_fails_later_keeps_what_is_known(
    raw_server: Make, engine: Make, letters: Make, journal: Journal
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.take(2)
        wire.envelope()
        wire.body()
        journal.close()
        wire.send(b"250 2.0.0 third taken\r\n")
        wire.take_all()

    server = raw_server(script)
    outcomes = dict(engine(server.url, journal=journal).send(letters(8)))
    assert [outcomes[number].verdict for number in (1, 2, 3)] == [Verdict.SENT] * 3
    assert {outcomes[number].reason for number in range(4, 9)} == {Reason.JOURNAL}
    assert server.bodies == [1, 2, 3]


def test_a_worker_that_wakes_after_its_time_withdraws(
    raw_server: Make, engine: Make, letter: Make, journal: Journal
) -> None:
    """The clock is looked at before the body: waiting for the 354 may have taken minutes."""
    now = [100.0]

    def script(wire: Any) -> None:
        wire.greet()
        wire.expect(b"MAIL")
        now[0] = 200.0
        wire.send(b"250 ok\r\n250 ok\r\n354 go\r\n")
        wire.wait_for_close()

    server = raw_server(script)
    sender = engine(server.url, journal=journal, clock=lambda: now[0])
    [(_, outcome)] = sender.send([letter(1, not_after=150.0)])
    assert (outcome.verdict, outcome.reason) == (Verdict.DEFERRED, Reason.TOO_LATE)
    assert server.bodies == []


def test_a_worker_that_sleeps_between_record_and_bytes_withdraws_and_says_so(
    raw_server: Make, engine: Make, letter: Make, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    record = journal.record_group

    def record_and_sleep(*group: Any) -> None:
        record(*group)
        now[0] = 200.0

    monkeypatch.setattr(journal, "record_group", record_and_sleep)
    server = raw_server(lambda wire: (wire.greet(), wire.take_all()))
    sender = engine(server.url, journal=journal, clock=lambda: now[0])
    [(_, outcome)] = sender.send([letter(1, not_after=150.0)])
    assert (outcome.verdict, outcome.reason) == (Verdict.DEFERRED, Reason.TOO_LATE)
    assert server.bodies == []
    known = read(journal.path).records[1]
    assert known.reply is not None
    assert known.reply.verdict is Verdict.DEFERRED
