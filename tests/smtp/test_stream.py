"""A stream: letters go in while others are under way, and each comes out once, whatever else is asked for."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from mailer.smtp.journal import Journal, read
from mailer.smtp.letter import Lease, Letter, boottime
from mailer.smtp.outcome import Fault, Outcome, Reason, Verdict, decided_here
from mailer.smtp.stream import Stream

Make = Callable[..., Any]
PATIENCE = 20.0
CHUNKED = (b"PIPELINING", b"CHUNKING")


def collect(stream: Stream, count: int) -> dict[int, Outcome]:
    """That many outcomes; fails when a letter has two, or they do not come."""
    known: dict[int, Outcome] = {}
    end = time.monotonic() + PATIENCE
    while len(known) < count:
        assert time.monotonic() < end, f"{count - len(known)} outcomes never came"
        for number, outcome in stream.outcomes(0.5):
            assert number not in known
            known[number] = outcome
    return known


@dataclass
class Sketch:
    """A draft that remembers on which thread it was composed."""

    letter: Letter
    result: Any = None
    threads: list[str] = field(default_factory=list)

    @property
    def id(self) -> int:
        return self.letter.id

    @property
    def fence(self) -> int:
        return self.letter.fence

    def compose(self) -> Letter | Outcome:
        self.threads.append(threading.current_thread().name)
        if isinstance(self.result, Exception):
            raise self.result
        return self.letter if self.result is None else self.result


@pytest.mark.parametrize("extensions", [CHUNKED, (b"PIPELINING",), (b"8BITMIME",)])
def test_letters_fed_later_wake_the_resting_connections(
    raw_server: Make, engine: Make, letter: Make, extensions: tuple[bytes, ...]
) -> None:
    def script(wire: Any) -> None:
        wire.greet(*extensions)
        (wire.chunks if extensions is CHUNKED else wire.take_all)()

    server = raw_server(script)
    stream = engine(server.url, connections=2).open()
    assert stream.in_flight == 0
    for start in range(1, 201, 20):
        stream.feed([letter(number) for number in range(start, start + 20)])
        if start % 40 == 1:  # half of them while the others are under way
            assert all(o.verdict is Verdict.SENT for o in collect(stream, 20).values())
        else:
            stream.feed([letter(1000 + start)])
            outcomes = collect(stream, 21)
            assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert stream.in_flight == 0
    assert server.connections <= 2


def test_nothing_known_is_an_empty_list_after_the_timeout(inbox: Any, engine: Make) -> None:
    stream = engine(inbox.url).open()
    assert stream.outcomes(0.01) == []


def test_outcomes_come_before_all_are_known(raw_server: Make, engine: Make, letters: Make) -> None:
    held = threading.Event()

    def script(wire: Any) -> None:
        wire.greet()
        wire.take(3)
        held.wait(PATIENCE)
        wire.take_all()

    stream = engine(raw_server(script).url).open()
    stream.feed(letters(5))
    assert set(collect(stream, 3)) == {1, 2, 3}
    assert stream.in_flight == 2
    held.set()
    assert set(collect(stream, 2)) == {4, 5}


def test_what_is_fed_first_leaves_before_what_waits_already(
    raw_server: Make, engine: Make, letter: Make
) -> None:
    held = threading.Event()

    def script(wire: Any) -> None:
        wire.greet()
        wire.take(1)
        held.wait(PATIENCE)
        wire.take_all()

    server = raw_server(script)
    stream = engine(server.url).open()
    stream.feed([letter(number) for number in range(1, 11)])
    collect(stream, 1)
    stream.feed([letter(101), letter(102)], first=True)
    held.set()
    assert len(collect(stream, 11)) == 11
    # One or two of those that waited were on the connection already.
    assert [one for one in server.bodies if one > 100] == [101, 102]
    assert server.bodies.index(102) < server.bodies.index(5)
    assert [one for one in server.bodies if one <= 100] == list(range(1, 11))


def test_feeding_a_letter_that_is_in_flight_is_refused(raw_server: Make, engine: Make, letter: Make) -> None:
    server = raw_server(lambda wire: wire.wait_for_close())
    stream = engine(server.url).open()
    stream.feed([letter(1)])
    with pytest.raises(ValueError, match="same id"):
        stream.feed([letter(2), letter(1)])
    assert stream.in_flight == 1
    server.close()
    assert collect(stream, 1)[1].fault is Fault.RELAY
    stream.feed([letter(1)])  # its outcome was handed out: it may be tried again
    assert set(collect(stream, 1)) == {1}


def test_many_threads_may_feed(inbox: Any, engine: Make, letter: Make) -> None:
    stream = engine(inbox.url, connections=2).open()

    def feed(first: int) -> None:
        for number in range(first, first + 25):
            stream.feed([letter(number)])

    threads = [threading.Thread(target=feed, args=(first,)) for first in (1, 101, 201, 301)]
    for thread in threads:
        thread.start()
    assert {o.verdict for o in collect(stream, 100).values()} == {Verdict.SENT}
    for thread in threads:
        thread.join()
    assert len(inbox.ids) == len(set(inbox.ids)) == 100


def test_a_draft_is_composed_on_the_engine_s_thread_when_a_connection_takes_it(
    inbox: Any, engine: Make, letter: Make
) -> None:
    not_offered = decided_here(Verdict.FAILED, Fault.SENDER, Reason.RENDER, text="a slot is empty")
    drafts = [
        Sketch(letter(1)),
        Sketch(letter(2), not_offered),
        Sketch(letter(3), RuntimeError("secret@example.org")),
        Sketch(letter(4), letter(99)),
        Sketch(letter(5)),
    ]
    stream = engine(inbox.url).open()
    stream.feed(drafts)
    outcomes = collect(stream, 5)
    assert [outcomes[n].verdict for n in (1, 5)] == [Verdict.SENT] * 2
    assert outcomes[2] == not_offered
    assert [outcomes[n].reason for n in (3, 4)] == [Reason.RENDER] * 2
    assert all("secret" not in outcome.text for outcome in outcomes.values())
    assert inbox.ids == [1, 5]
    assert {name for draft in drafts for name in draft.threads} == {"smtp-engine"}


def test_a_draft_that_is_not_taken_is_not_composed(raw_server: Make, engine: Make, letters: Make) -> None:
    server = raw_server(lambda wire: (wire.greet(), wire.expect(b"MAIL"), wire.wait_for_close()))
    drafts = [Sketch(one) for one in letters(50)]
    stream = engine(server.url).open()
    stream.feed(drafts)
    while not server.lines or not server.lines[-1].startswith(b"MAIL"):
        stream.outcomes(0.01)
    stream.stop()
    assert {o.reason for o in collect(stream, 50).values()} == {Reason.STOPPED}
    assert sum(len(draft.threads) for draft in drafts) == 1


@pytest.mark.parametrize("extensions", [CHUNKED, (b"PIPELINING",), (b"8BITMIME",)])
def test_what_is_withdrawn_comes_back_at_once_and_the_others_go(
    raw_server: Make, engine: Make, letters: Make, journal: Journal, extensions: tuple[bytes, ...]
) -> None:
    asked, held = threading.Event(), threading.Event()

    def script(wire: Any) -> None:
        wire.greet(*extensions)
        wire.sock.settimeout(PATIENCE)
        while b"MAIL" not in wire._buffer:
            wire._more()
        asked.set()
        held.wait(PATIENCE)
        (wire.chunks if extensions is CHUNKED else wire.take_all)()

    server = raw_server(
        script,
        lambda wire: (wire.greet(*extensions), (wire.chunks if extensions is CHUNKED else wire.take_all)()),
    )
    stream = engine(f"{server.url}?depth=2", journal=journal).open()
    stream.feed(letters(10))
    assert asked.wait(PATIENCE)
    stream.withdraw([1, 5, 6, 77])
    back = collect(stream, 3)
    assert set(back) == {1, 5, 6}
    assert {(o.verdict, o.reason, o.retry_after) for o in back.values()} == {
        (Verdict.DEFERRED, Reason.STOPPED, 0.0)
    }
    stream.feed([letters(5)[4]])  # and may be fed again
    held.set()
    rest = collect(stream, 8)
    assert set(rest) == {2, 3, 4, 5, 7, 8, 9, 10}
    assert {o.verdict for o in rest.values()} == {Verdict.SENT}
    arrived = [body for _, _, body in server.taken] if extensions is CHUNKED else server.bodies
    assert sorted(arrived) == sorted(rest)
    assert {n for n, record in read(journal.path).records.items() if record.reply is None} == set()


def test_after_a_stop_the_stream_may_be_fed_again(inbox: Any, engine: Make, letter: Make) -> None:
    stream = engine(inbox.url).open()
    stream.feed([letter(number) for number in range(1, 501)])
    stream.stop()
    stream.feed([letter(number) for number in range(501, 511)])
    outcomes = collect(stream, 510)
    assert {outcomes[n].verdict for n in range(501, 511)} == {Verdict.SENT}
    sent = [n for n, o in outcomes.items() if o.verdict is Verdict.SENT]
    assert sorted(sent) == inbox.ids
    assert len(sent) < 510
    assert {o.reason for o in outcomes.values()} == {Reason.ACCEPTED, Reason.STOPPED}


def test_a_stop_whose_thread_is_held_up_halfway_still_ends(inbox: Any, engine: Make, letter: Make) -> None:
    """Nothing may leave any more, and the loop has not been told yet: it must not turn in a circle."""
    sender = engine(inbox.url)
    stream = sender.open()
    stream.feed([letter(number) for number in range(1, 5001)])
    first = stream.outcomes(PATIENCE)
    tell_loop, held = stream._call, threading.Event()
    stream._call = lambda what: (held.wait(0.5), tell_loop(what))
    stream.stop()
    stream._call = tell_loop
    outcomes = dict(first) | collect(stream, 5000 - len(first))
    assert {o.reason for o in outcomes.values()} == {Reason.ACCEPTED, Reason.STOPPED}
    assert sorted(n for n, o in outcomes.items() if o.verdict is Verdict.SENT) == inbox.ids


def test_letters_that_we_take_back_are_no_sign_of_a_bad_relay(
    raw_server: Make, engine: Make, letter: Make
) -> None:
    """Taking one back costs its connection; three such ends are no reason to leave the relay alone."""
    asked, withdrawn = threading.Semaphore(0), threading.Semaphore(0)

    def interrupted(wire: Any) -> None:
        wire.greet(b"8BITMIME")
        wire.expect(b"MAIL")
        asked.release()
        withdrawn.acquire(timeout=PATIENCE)
        wire.send(b"250 2.1.0 ok\r\n")
        wire.take_all()

    server = raw_server(*[interrupted] * 3, lambda wire: (wire.greet(), wire.take_all()))
    sender = engine(server.url)
    stream = sender.open()
    stream.feed([letter(number) for number in (1, 2, 3, 4)])
    outcomes: dict[int, Outcome] = {}
    for number in (1, 2, 3):
        assert asked.acquire(timeout=PATIENCE)
        stream.withdraw([number])
        outcomes |= collect(stream, 1)
        withdrawn.release()
    outcomes |= collect(stream, 1)
    assert [outcomes[number].reason for number in (1, 2, 3)] == [Reason.STOPPED] * 3
    assert outcomes[4].verdict is Verdict.SENT
    assert not sender.resting()


def test_close_waits_for_open_dots_and_keeps_their_outcomes(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    got_body, held = threading.Event(), threading.Event()

    def script(wire: Any) -> None:
        wire.greet()
        wire.envelope()
        wire.body()
        got_body.set()
        held.wait(PATIENCE)
        wire.send(b"250 2.0.0 taken\r\n")
        wire.wait_for_close()

    stream = engine(raw_server(script).url).open()
    stream.feed(letters(5))
    assert got_body.wait(PATIENCE)
    threading.Timer(0.1, held.set).start()
    stream.close()
    assert stream.in_flight == 0
    outcomes = dict(stream.outcomes(0))
    assert [n for n, o in outcomes.items() if o.verdict is Verdict.SENT] == [1]
    assert {outcomes[n].reason for n in range(2, 6)} == {Reason.STOPPED}
    with pytest.raises(RuntimeError, match="closed"):
        stream.feed(letters(1))


def test_a_relay_that_refused_is_asked_again_when_letters_are_fed(
    raw_server: Make, engine: Make, letters: Make, letter: Make
) -> None:
    server = raw_server(
        lambda wire: wire.send(b"554 5.7.1 go away\r\n"), lambda wire: (wire.greet(), wire.take_all())
    )
    sender = engine(server.url)
    stream = sender.open()
    stream.feed(letters(20))
    refused = collect(stream, 20)
    assert {(o.verdict, o.fault) for o in refused.values()} == {(Verdict.DEFERRED, Fault.RELAY)}
    assert list(sender.resting()) == [server.url]
    assert server.connections == 1
    stream.feed([letter(50)])
    assert collect(stream, 1)[50].verdict is Verdict.SENT


def test_a_second_stream_waits_for_the_end_of_the_first(inbox: Any, engine: Make, letter: Make) -> None:
    sender = engine(inbox.url)
    first = sender.open()
    first.feed([letter(1)])
    with pytest.raises(RuntimeError, match="sending already"):
        sender.open()
    collect(first, 1)
    second = sender.open()
    second.feed([letter(2)])
    assert set(collect(second, 1)) == {2}


@pytest.mark.parametrize("extensions", [CHUNKED, (b"PIPELINING",), (b"8BITMIME",)])
def test_no_dot_leaves_after_the_lease(
    raw_server: Make, engine: Make, letter: Make, journal: Journal, extensions: tuple[bytes, ...]
) -> None:
    server = raw_server(lambda wire: (wire.greet(*extensions), wire.take_all()))
    lease = Lease(boottime() - 1.0)
    stream = engine(server.url, journal=journal).open()
    stream.feed([letter(number, lease=lease) for number in range(1, 6)])
    outcomes = collect(stream, 5)
    assert {(o.verdict, o.reason) for o in outcomes.values()} == {(Verdict.DEFERRED, Reason.STOPPED)}
    assert server.bodies == []
    assert not read(journal.path).records


@pytest.mark.parametrize("extensions", [(b"PIPELINING",), (b"8BITMIME",)])
def test_a_lease_is_looked_at_between_the_record_and_the_dot(
    raw_server: Make,
    engine: Make,
    letter: Make,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    extensions: tuple[bytes, ...],
) -> None:
    lease = Lease(boottime() + 100.0)
    record = journal.record_group

    def record_and_sleep(replies: Any, dots: Any) -> None:
        record(replies, dots)
        lease.until = boottime() - 1.0

    monkeypatch.setattr(journal, "record_group", record_and_sleep)
    server = raw_server(lambda wire: (wire.greet(*extensions), wire.take_all()))
    stream = engine(server.url, journal=journal).open()
    stream.feed([letter(1, lease=lease)])
    outcome = collect(stream, 1)[1]
    assert (outcome.verdict, outcome.reason, outcome.retry_after) == (Verdict.DEFERRED, Reason.STOPPED, 0.0)
    assert server.bodies == []
    known = read(journal.path).records[1]
    assert known.dot
    assert known.reply is not None
    assert known.reply.verdict is Verdict.DEFERRED


def test_a_lease_that_is_renewed_lets_its_letters_go(inbox: Any, engine: Make, letters: Make) -> None:
    now = [100.0]
    lease = Lease(101.0)
    stream = engine(inbox.url, clock=lambda: now[0]).open()
    batch = [Letter(**{**_facts(one), "lease": lease}) for one in letters(2)]
    stream.feed(batch[:1])
    assert collect(stream, 1)[1].verdict is Verdict.SENT
    now[0], lease.until = 150.0, 200.0
    stream.feed(batch[1:])
    assert collect(stream, 1)[2].verdict is Verdict.SENT


def test_a_canonical_letter_is_sent_octet_for_octet(raw_server: Make, engine: Make, letter: Make) -> None:
    seen: list[bytes] = []

    def script(wire: Any) -> None:
        wire.greet()
        wire.envelope()
        seen.append(wire.body())
        wire.send(b"250 ok\r\n")
        wire.take_all()

    one = letter(1, canonical=True)
    stream = engine(raw_server(script).url).open()
    stream.feed([one])
    collect(stream, 1)
    assert seen == [one.data]


def _facts(letter: Letter) -> dict[str, Any]:
    return {name: getattr(letter, name) for name in ("id", "fence", "sender", "recipient", "data")}
