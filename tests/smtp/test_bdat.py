"""Several whole letters in flight: whatever happens in between, each letter gets its own answer alone.

The first letter to a host goes by DATA, so that its voice is known; what follows are groups.
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailer.smtp.journal import Journal, read
from mailer.smtp.letter import Lease
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict

Make = Callable[..., Any]
OFFERED = (b"PIPELINING", b"CHUNKING", b"8BITMIME")
DEPTH = 8
REPLIES = 4 * DEPTH - 1  # of the first group, letters 2 to 9: every one but the first is led by RSET


def by_id(outcomes: list[tuple[int, Outcome]]) -> dict[int, Outcome]:
    assert len({number for number, _ in outcomes}) == len(outcomes)
    return dict(outcomes)


def behave(wire: Any) -> None:
    wire.greet(*OFFERED)
    wire.chunks()


def begin(wire: Any) -> None:
    """Greet and take the first letter, by DATA."""
    wire.greet(*OFFERED)
    wire.expect(b"RSET")
    wire.send(b"250 2.0.0 flushed\r\n")
    wire.take(1)


def in_order(taken: list[tuple[int, int, int]]) -> list[int]:
    """The letters that were taken; fails when an envelope carried another letter's sender or body."""
    assert all(sender == recipient == body for sender, recipient, body in taken)
    return sorted(body for _, _, body in taken)


def cut_after(replies: int, then: Callable[[Any], None]) -> Callable[[Any], None]:
    """A server that takes everything and says so, up to a number of replies; then something happens."""

    def script(wire: Any) -> None:
        begin(wire)
        left = [replies]
        send = wire.send

        def count(data: bytes) -> None:
            if left[0] == 0:
                then(wire)
                raise EOFError
            left[0] -= 1
            send(data)

        wire.send = count
        if replies == 0:
            wire.line()  # something has come: the client is in the middle of it
            wire.send = send
            then(wire)
            raise EOFError
        wire.chunks()

    return script


def last_answered(replies: int) -> int:
    """The last letter that is answered by so many replies: 3 for the second letter, 4 for each after it."""
    return 1 if replies < 3 else 2 + (replies - 3) // 4


def test_every_letter_arrives_once_in_its_own_envelope(
    raw_server: Make, engine: Make, letters: Make, journal: Journal
) -> None:
    server = raw_server(behave)
    outcomes = by_id(list(engine(server.url, journal=journal, connections=2).send(letters(300))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert in_order(server.taken) == list(range(1, 301))
    assert all(outcome.text == f"taken {number}" for number, outcome in outcomes.items())
    assert all(record.reply is not None for record in read(journal.path).records.values())


def test_a_group_is_in_flight_at_once_and_never_more_than_the_depth(
    raw_server: Make, engine: Make, letters: Make, journal: Journal
) -> None:
    seen: list[int] = []

    def script(wire: Any) -> None:
        begin(wire)
        wire.expect(b"MAIL")
        while wire._buffer.count(b" LAST\r\n") < DEPTH:
            wire._more()
        wire.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            wire._more()
        seen.append(wire._buffer.count(b" LAST\r\n"))
        seen.append(len(read(journal.path).records))

    server = raw_server(script, behave)
    outcomes = by_id(list(engine(server.url, journal=journal).send(letters(21))))
    assert seen == [DEPTH, 1 + DEPTH]
    assert Counter(o.verdict for o in outcomes.values()) == {Verdict.IN_DOUBT: DEPTH, Verdict.SENT: 13}


@pytest.mark.parametrize(("option", "lasts"), [("depth=1", 1), ("depth=3", 3), ("chunking=no", 0)])
def test_the_relay_s_options_bound_what_is_in_flight(
    raw_server: Make, engine: Make, letters: Make, option: str, lasts: int
) -> None:
    seen: list[bytes] = []

    def script(wire: Any) -> None:
        if lasts:
            begin(wire)
        else:
            wire.greet(*OFFERED)
            wire.take(1)
        wire.sock.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            while True:
                wire._more()
        seen.append(wire._buffer)

    server = raw_server(script, behave)
    by_id(list(engine(f"{server.url}?{option}").send(letters(9))))
    assert seen[0].count(b" LAST\r\n") == lasts
    assert seen[0].count(b"DATA\r\n") == (1 if option == "chunking=no" else 0)


def test_chunking_without_pipelining_is_not_used(raw_server: Make, engine: Make, letters: Make) -> None:
    server = raw_server(lambda wire: (wire.greet(b"CHUNKING"), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(3))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert not any(line.startswith(b"BDAT") for line in server.lines)


@pytest.mark.parametrize("replies", range(REPLIES))
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_cut_after_any_reply_leaves_exactly_the_unanswered_in_doubt(
    raw_server: Make, engine: Make, letters: Make, journal: Journal, replies: int, leave: str
) -> None:
    """What the first connection took, what is in doubt and the rest make up everything, without overlap."""
    then = (lambda wire: wire.reset()) if leave == "reset" else (lambda wire: wire.sock.close())
    server = raw_server(cut_after(replies, then), behave)
    outcomes = by_id(list(engine(server.url, journal=journal).send(letters(21))))
    sent = {n for n, o in outcomes.items() if o.verdict is Verdict.SENT}
    doubt = {n for n, o in outcomes.items() if o.verdict is Verdict.IN_DOUBT}
    assert sent | doubt == set(range(1, 22))
    assert len(doubt) <= DEPTH
    if leave == "close":  # a reset may overtake replies that were sent before it
        answered = last_answered(replies)
        assert set(range(1, answered + 1)) <= sent
        assert answered + 1 in doubt
    taken = Counter([1, *in_order(server.taken)])
    assert max(taken.values()) == 1
    assert sent <= set(taken)
    records = read(journal.path).records
    assert {n for n, record in records.items() if record.reply is None} == doubt
    assert {n for n, record in records.items() if record.reply is not None} == sent


@pytest.mark.parametrize("replies", range(REPLIES))
def test_a_421_after_any_reply_is_no_doubt_and_loses_nothing(
    raw_server: Make, engine: Make, letters: Make, journal: Journal, replies: int
) -> None:
    """The letter whose answer it stands for and all after it were not accepted: none is in doubt."""

    def closing(wire: Any) -> None:
        # What this server took and did not say is its own lie; what counts is what it said.
        del wire.server.taken[last_answered(replies) - 1 :]
        wire.sock.sendall(b"421 4.3.2 closing\r\n")
        wire.wait_for_close()

    server = raw_server(cut_after(replies, closing), behave)
    outcomes = by_id(list(engine(server.url, journal=journal).send(letters(21))))
    first = last_answered(replies) + 1
    others = {n: o.verdict for n, o in outcomes.items() if n != first}
    assert set(others.values()) == {Verdict.SENT}
    assert outcomes[first].verdict in (Verdict.SENT, Verdict.DEFERRED)
    if outcomes[first].verdict is Verdict.DEFERRED:
        assert (outcomes[first].code, outcomes[first].fault) == (421, Fault.LANE)
    assert max(Counter([1, *in_order(server.taken)]).values()) == 1
    assert all(record.reply is not None for record in read(journal.path).records.values())


@pytest.mark.parametrize(
    "garbage", [b"what\r\n", b"250-half\r\n251 half\r\n", b"354 go ahead\r\n", b"150 x\r\n"]
)
@pytest.mark.parametrize("replies", [0, 1, 2, 3, 4, 7, 12, 17, REPLIES - 1])
def test_nonsense_after_any_reply_ends_the_connection_and_then_it_is_one_command_at_a_time(
    raw_server: Make, engine: Make, letters: Make, replies: int, garbage: bytes
) -> None:
    def talk(wire: Any) -> None:
        wire.sock.sendall(garbage)
        wire.wait_for_close()

    server = raw_server(cut_after(replies, talk), lambda wire: (wire.greet(*OFFERED), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(21))))
    answered = last_answered(replies)
    doubt = {n for n, o in outcomes.items() if o.verdict is Verdict.IN_DOUBT}
    assert doubt == {n for n, o in outcomes.items() if o.reason is Reason.PROTOCOL}
    assert doubt == set(range(answered + 1, max(doubt) + 1))
    assert len(doubt) <= DEPTH
    assert {o.verdict for o in outcomes.values()} <= {Verdict.SENT, Verdict.IN_DOUBT}
    assert Counter(server.bodies).most_common(1)[0][1] == 1
    assert set(server.bodies).isdisjoint(doubt)


WHIMS = {
    ("mail", "550 5.5.0"): (Verdict.DEFERRED, Phase.MAIL, 550),
    ("mail", "451 4.3.0"): (Verdict.DEFERRED, Phase.MAIL, 451),
    ("rcpt", "550 5.1.1"): (Verdict.FAILED, Phase.RCPT, 550),
    ("rcpt", "450 4.2.0"): (Verdict.DEFERRED, Phase.RCPT, 450),
    ("last", "554 5.7.1"): (Verdict.FAILED, Phase.DOT, 554),
    ("last", "452 4.3.1"): (Verdict.DEFERRED, Phase.DOT, 452),
}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(
    plan=st.dictionaries(st.integers(1, 40), st.sampled_from(sorted(WHIMS)), max_size=40),
    depth=st.integers(1, 32),
)
def test_refusals_in_flight_are_never_credited_to_another_letter(
    raw_server: Make,
    engine: Make,
    letters: Make,
    plan: dict[int, tuple[str, str]],
    depth: int,
) -> None:
    def say(step: str, letter: int) -> bytes | None:
        whim = plan.get(letter)
        return f"{whim[1]} because of {letter}\r\n".encode() if whim and whim[0] == step else None

    server = raw_server(lambda wire: (wire.greet(*OFFERED), wire.chunks(say)))
    outcomes = by_id(list(engine(f"{server.url}?depth={depth}").send(letters(40))))
    expected = {n: WHIMS[plan[n]] if n in plan else (Verdict.SENT, Phase.DOT, 250) for n in range(1, 41)}
    assert {n: (o.verdict, o.phase, o.code) for n, o in outcomes.items()} == expected
    assert all(outcome.text.split()[-1] == str(number) for number, outcome in outcomes.items())
    assert in_order(server.taken) == sorted(set(range(1, 41)) - set(plan))
    assert server.connections == 1


def test_a_mail_taken_although_its_recipient_was_refused_is_in_doubt(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def contrary(wire: Any) -> None:
        begin(wire)
        wire.expect(b"MAIL")
        wire.send(b"250 2.1.0 ok\r\n550 5.1.1 no such user\r\n250 2.0.0 taken\r\n")
        wire.wait_for_close()

    server = raw_server(contrary, lambda wire: (wire.greet(*OFFERED), wire.take_all()))
    outcomes = by_id(list(engine(f"{server.url}?depth=1").send(letters(4))))
    assert (outcomes[2].verdict, outcomes[2].reason) == (Verdict.IN_DOUBT, Reason.PROTOCOL)
    assert {outcomes[n].verdict for n in (1, 3, 4)} == {Verdict.SENT}


def test_a_refused_recipient_stays_refused_when_the_connection_is_lost(
    raw_server: Make, engine: Make, letters: Make, journal: Journal
) -> None:
    def script(wire: Any) -> None:
        begin(wire)
        wire.expect(b"MAIL")
        wire.send(b"250 2.1.0 ok\r\n550 5.1.1 no such user\r\n")

    server = raw_server(script, behave)
    outcomes = by_id(list(engine(f"{server.url}?depth=2", journal=journal).send(letters(4))))
    assert (outcomes[2].verdict, outcomes[2].code) == (Verdict.FAILED, 550)
    assert outcomes[3].verdict is Verdict.IN_DOUBT
    assert outcomes[4].verdict is Verdict.SENT
    reply = read(journal.path).records[2].reply
    assert reply is not None
    assert reply.verdict is Verdict.FAILED


@pytest.mark.parametrize("place", range(REPLIES))
def test_one_reply_too_many_in_a_group_is_credited_to_nobody(
    raw_server: Make, engine: Make, letters: Make, place: int
) -> None:
    """The server says one thing twice: the letters behind it are in doubt, none has another's answer."""

    def stutter(wire: Any) -> None:
        begin(wire)
        said = [0]
        send = wire.send

        def twice(data: bytes) -> None:
            send(data * 2 if said[0] == place else data)
            said[0] += 1

        wire.send = twice
        wire.chunks()

    server = raw_server(stutter, lambda wire: (wire.greet(*OFFERED), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(21))))
    for number, outcome in outcomes.items():
        if outcome.verdict is Verdict.SENT and outcome.text not in ("taken", "ok"):
            assert outcome.text == f"taken {number}"
    doubt = {n for n, o in outcomes.items() if o.verdict is Verdict.IN_DOUBT}
    assert 0 < len(doubt) <= DEPTH
    assert {outcomes[n].reason for n in doubt} == {Reason.PROTOCOL}
    assert max(Counter(in_order(server.taken) + server.bodies).values()) == 1


@pytest.mark.parametrize("place", range(REPLIES))
def test_one_reply_too_few_in_a_group_is_credited_to_nobody(
    raw_server: Make, engine: Make, letters: Make, place: int
) -> None:
    """The server swallows one reply, and takes no letter whose last it did not answer."""

    def swallow(wire: Any) -> None:
        begin(wire)
        said = [0]
        send, taken = wire.send, wire.server.taken

        def not_all(data: bytes) -> None:
            said[0] += 1
            if said[0] - 1 != place:
                send(data)
            elif data.startswith(b"250 2.0.0 taken"):
                taken.pop()

        wire.send = not_all
        wire.chunks()

    server = raw_server(swallow, behave)
    outcomes = by_id(list(engine(server.url, limits=Limits(dot=1.0)).send(letters(9))))
    sent = {n for n, o in outcomes.items() if o.verdict is Verdict.SENT}
    assert sent <= {*in_order(server.taken), *server.bodies}
    for number in sent - {1}:
        assert outcomes[number].text == f"taken {number}"


@pytest.mark.parametrize("reset", [b"250 2.0.0 taken\r\n", b"250 2.0.0 taken too\r\n"])
def test_a_server_whose_reset_sounds_like_a_letter_taken_gets_one_at_a_time(
    raw_server: Make, engine: Make, letters: Make, reset: bytes
) -> None:
    def script(wire: Any) -> None:
        wire.greet(*OFFERED)
        wire.chunks(lambda step, _: reset if step == "rset" else None)

    server = raw_server(script)
    outcomes = by_id(list(engine(server.url).send(letters(10))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert not any(line.startswith(b"BDAT") for line in server.lines)


def test_a_server_that_says_the_same_to_everything_gets_one_letter_at_a_time(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.greet(*OFFERED)
        wire.take_all()

    server = raw_server(script)
    outcomes = by_id(list(engine(server.url).send(letters(30))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert server.bodies == list(range(1, 31))
    assert not any(line.startswith(b"BDAT") for line in server.lines)


def test_what_has_its_last_is_not_withdrawn(raw_server: Make, engine: Make, letters: Make) -> None:
    in_flight, held = threading.Event(), threading.Event()

    def script(wire: Any) -> None:
        begin(wire)
        wire.expect(b"MAIL")
        in_flight.set()
        held.wait(20)
        wire._buffer = b"MAIL FROM:<b+2@bounces.example.org>\r\n" + wire._buffer
        wire.chunks()

    stream = engine(f"{raw_server(script).url}?depth=3").open()
    stream.feed(letters(10))
    assert in_flight.wait(20)
    stream.withdraw([3, 4, 7, 8])
    known: dict[int, Outcome] = {}
    while not {7, 8} <= set(known):
        known.update(stream.outcomes(1))
    held.set()
    while len(known) < 10:
        known.update(stream.outcomes(1))
    assert {n for n, o in known.items() if o.reason is Reason.STOPPED} == {7, 8}
    assert {n for n, o in known.items() if o.verdict is Verdict.SENT} == set(range(1, 11)) - {7, 8}


def test_a_quota_used_up_in_flight_stops_what_has_not_left(
    raw_server: Make, engine: Make, letters: Make, journal: Journal
) -> None:
    def say(step: str, letter: int) -> bytes | None:
        over = letter >= 5 and step == "rcpt"
        return b"454 4.7.0 daily message quota exceeded\r\n" if over else None

    server = raw_server(lambda wire: (wire.greet(*OFFERED), wire.chunks(say)))
    outcomes = by_id(list(engine(server.url, journal=journal).send(letters(60))))
    assert in_order(server.taken) == [1, 2, 3, 4]
    left = [o for n, o in outcomes.items() if n > 4]
    assert {(o.verdict, o.fault, o.reason) for o in left} == {
        (Verdict.DEFERRED, Fault.RELAY, Reason.THROTTLED)
    }
    assert len(read(journal.path).records) <= 4 + 2 * DEPTH


def test_a_452_for_too_many_recipients_moves_to_a_fresh_connection(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def few(wire: Any) -> None:
        wire.greet(*OFFERED)
        wire.chunks(lambda step, letter: b"452 4.5.3 too many\r\n" if (step, letter) == ("rcpt", 5) else None)

    server = raw_server(few, behave)
    outcomes = by_id(list(engine(server.url).send(letters(12))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert in_order(server.taken) == list(range(1, 13))
    assert server.connections == 2


def test_a_large_letter_goes_by_data_between_the_others(raw_server: Make, engine: Make, letter: Make) -> None:
    server = raw_server(behave)
    batch = [letter(number, size=200_000 if number % 5 == 0 else 0) for number in range(1, 31)]
    outcomes = by_id(list(engine(server.url).send(batch)))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}
    assert in_order(server.taken) == list(range(1, 31))
    assert sum(line == b"DATA" for line in server.lines) == 1 + 6


def test_octets_go_as_they_are_without_dot_stuffing(raw_server: Make, engine: Make, letter: Make) -> None:
    seen: list[bytes] = []

    def script(wire: Any) -> None:
        begin(wire)
        wire.expect(b"MAIL")
        wire.expect(b"RCPT")
        seen.append(wire.octets(int(wire.line().split()[1])))
        wire.send(b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.0.0 taken\r\n")
        wire.take_all()

    data = b"X-Id: 2\r\n\r\n.\r\n..x\r\nno end"
    list(engine(raw_server(script).url).send([letter(1), letter(2, data=data)]))
    assert seen == [data + b"\r\n"]


def test_a_group_is_one_record_in_the_journal(
    raw_server: Make, engine: Make, letters: Make, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[tuple[int, int]] = []
    record = journal.record_group

    def count(replies: Any, dots: Any) -> None:
        groups.append((len(replies), len(dots)))
        record(replies, dots)

    monkeypatch.setattr(journal, "record_group", count)
    server = raw_server(behave)
    by_id(list(engine(server.url, journal=journal).send(letters(100))))
    assert groups[:2] == [(0, 1), (1, DEPTH)]
    assert sum(dots for _, dots in groups) == sum(replies for replies, _ in groups) == 100


def test_what_is_out_of_lease_after_the_record_does_not_leave_and_the_others_do(
    raw_server: Make, engine: Make, letter: Make, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    record = journal.record_group

    def record_and_sleep(replies: Any, dots: Any) -> None:
        record(replies, dots)
        now[0] = 200.0 if len(dots) > 1 else now[0]

    monkeypatch.setattr(journal, "record_group", record_and_sleep)
    short, long = Lease(150.0), Lease(1000.0)
    server = raw_server(behave)
    batch = [letter(number, lease=short if number in (3, 5) else long) for number in range(1, 8)]
    outcomes = by_id(list(engine(server.url, journal=journal, clock=lambda: now[0]).send(batch)))
    assert in_order(server.taken) == [1, 2, 4, 6, 7]
    assert {outcomes[n].reason for n in (3, 5)} == {Reason.STOPPED}
    assert all(outcomes[n].retry_after == 0 for n in (3, 5))
    assert server.connections == 1  # nothing of them was begun: the connection goes on
    replies = [read(journal.path).records[n].reply for n in (3, 5)]
    assert [reply.verdict for reply in replies if reply] == [Verdict.DEFERRED] * 2


def test_a_server_that_holds_its_replies_until_the_letter_is_dealt_with_is_waited_for(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    """RSET's short limit is not for a letter whose LAST is on the wire: giving up would make doubt of it."""

    def slow(wire: Any) -> None:
        begin(wire)
        send = wire.send
        wire.send = lambda data: (
            threading.Event().wait(0.4) if data.startswith(b"250 2.0.0 flushed") else None,
            send(data),
        )
        wire.chunks()

    server = raw_server(slow)
    outcomes = by_id(list(engine(server.url, limits=Limits(reset=0.1, mail=0.1, rcpt=0.1)).send(letters(3))))
    assert {o.verdict for o in outcomes.values()} == {Verdict.SENT}


def test_what_comes_back_after_a_stop_is_not_offered_again(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    """They had their LAST when the stop came; then the server says that it took none of them."""
    in_flight, stopped = threading.Event(), threading.Event()

    def closing(wire: Any) -> None:
        begin(wire)
        while wire._buffer.count(b" LAST\r\n") < 3:
            wire._more()
        in_flight.set()
        stopped.wait(20)
        wire.send(b"421 4.3.2 closing\r\n")

    server = raw_server(closing, behave)
    stream = engine(server.url).open()
    stream.feed(letters(4))
    assert in_flight.wait(20)
    stream.stop()
    while stream.stopping:
        threading.Event().wait(0.01)
    stopped.set()
    outcomes: dict[int, Outcome] = {}
    while stream.in_flight:
        outcomes |= by_id(stream.outcomes(0.5))
    assert outcomes.pop(1).verdict is Verdict.SENT
    assert {o.verdict for o in outcomes.values()} == {Verdict.DEFERRED}
    assert server.taken == []


def test_stop_lets_what_has_its_last_finish(raw_server: Make, engine: Make, letters: Make) -> None:
    holder: dict[str, Any] = {}

    def script(wire: Any) -> None:
        wire.greet(*OFFERED)
        wire.chunks(lambda step, letter: holder["engine"].stop() if (step, letter) == ("last", 2) else None)

    server = raw_server(script)
    holder["engine"] = engine(server.url)
    outcomes = by_id(list(holder["engine"].send(letters(200))))
    sent = [n for n, o in outcomes.items() if o.verdict is Verdict.SENT]
    assert sorted(sent) == in_order(server.taken)
    assert 1 + DEPTH <= len(sent) <= 1 + 2 * DEPTH
    assert {o.reason for o in outcomes.values()} == {Reason.ACCEPTED, Reason.STOPPED}
