"""Servers that hang up, stay silent, talk nonsense or answer out of step: each letter gets what is certain.

Before the final dot a loss is `deferred`; after it, without a reply, it is
`in_doubt`; a 421 is always `deferred`. No letter is offered twice after its dot.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from mailer.smtp.journal import Journal, read
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict

Make = Callable[..., Any]
Script = Callable[[Any], None]
Step = Callable[[Any], None]

PIPELINED = (b"PIPELINING", b"8BITMIME")
LOCK_STEP = (b"8BITMIME",)
IMPATIENT = Limits(
    connect=5, tls=0.3, greeting=0.3, ehlo=0.3, auth=0.3, mail=0.3, rcpt=0.3, data=0.3, block=0.3, dot=0.3
)


def by_id(outcomes: list[tuple[int, Outcome]]) -> dict[int, Outcome]:
    assert len({number for number, _ in outcomes}) == len(outcomes)
    return dict(outcomes)


def until(phase: Phase, then: Step, extensions: tuple[bytes, ...] = PIPELINED) -> Script:
    """A server that is in good order up to a phase, and then does something else than answer."""

    def script(wire: Any) -> None:
        if phase is Phase.GREETING:
            then(wire)
            return
        if phase is Phase.EHLO:
            wire.send(b"220 hello\r\n")
            wire.expect(b"EHLO")
            then(wire)
            return
        wire.greet(*extensions)
        for word, here in ((b"MAIL", Phase.MAIL), (b"RCPT", Phase.RCPT), (b"DATA", Phase.DATA)):
            wire.expect(word)
            if phase is here:
                then(wire)
                return
            wire.send(b"354 go\r\n" if word == b"DATA" else b"250 ok\r\n")
        wire.body()
        then(wire)

    return script


def close(wire: Any) -> None:
    wire.sock.close()


def reset(wire: Any) -> None:
    wire.reset()


def silence(wire: Any) -> None:
    wire.wait_for_close()


def say(data: bytes) -> Step:
    def step(wire: Any) -> None:
        wire.send(data)
        wire.wait_for_close()

    return step


LETTER_PHASES = [Phase.MAIL, Phase.RCPT, Phase.DATA]
GARBAGE = [
    b"hello\r\n",
    b"25\r\n",
    b"999 what\r\n",
    b"150 busy\r\n",
    b"250-one\r\n251 two\r\n",
    b"250 bare line feed\n",
    b"\0\xff\xfe\r\n",
    b"\r\n",
    b"250 " + b"x" * 5000 + b"\r\n",
    b"250-more\r\n" * 65,
    b"x" * 1_000_000,
]


@pytest.mark.parametrize("extensions", [PIPELINED, LOCK_STEP])
@pytest.mark.parametrize("leave", [close, reset])
@pytest.mark.parametrize("phase", LETTER_PHASES)
def test_a_loss_before_the_dot_defers_that_letter_and_the_others_go_on(
    raw_server: Make,
    engine: Make,
    letters: Make,
    phase: Phase,
    leave: Step,
    extensions: tuple[bytes, ...],
) -> None:
    server = raw_server(until(phase, leave, extensions), lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(4))))
    assert outcomes[1].verdict is Verdict.DEFERRED
    assert outcomes[1].fault is Fault.LANE
    assert outcomes[1].reason is Reason.LOST
    assert {outcomes[number].verdict for number in (2, 3, 4)} == {Verdict.SENT}
    assert server.bodies == [2, 3, 4]
    assert server.connections == 2


@pytest.mark.parametrize("extensions", [PIPELINED, LOCK_STEP])
@pytest.mark.parametrize("leave", [close, reset])
def test_a_loss_after_the_dot_is_in_doubt_and_is_never_offered_again(
    raw_server: Make, engine: Make, letters: Make, leave: Step, extensions: tuple[bytes, ...]
) -> None:
    server = raw_server(until(Phase.DOT, leave, extensions), lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(4))))
    assert (outcomes[1].verdict, outcomes[1].fault, outcomes[1].phase) == (
        Verdict.IN_DOUBT,
        Fault.NONE,
        Phase.DOT,
    )
    assert {outcomes[number].verdict for number in (2, 3, 4)} == {Verdict.SENT}
    assert server.bodies == [1, 2, 3, 4]


@pytest.mark.parametrize("leave", [close, reset])
def test_a_loss_in_the_middle_of_a_large_body_is_no_doubt(
    raw_server: Make, engine: Make, letter: Make, journal: Journal, leave: Step
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.envelope()
        wire.skip(300_000)
        leave(wire)

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    batch = [letter(1, size=20_000_000), letter(2)]
    outcomes = by_id(list(engine(server.url, journal=journal).send(batch)))
    assert (outcomes[1].verdict, outcomes[1].phase) == (Verdict.DEFERRED, Phase.DATA)
    assert outcomes[2].verdict is Verdict.SENT
    assert server.bodies == [2]
    assert 1 not in read(journal.path).records


def test_a_server_that_stops_reading_is_left_within_the_block_limit(
    raw_server: Make, engine: Make, letter: Make
) -> None:
    held: list[Any] = []

    def script(wire: Any) -> None:
        wire.greet()
        wire.envelope()
        held.append(wire.sock.dup())  # open, and never read again
        raise EOFError

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    sender = engine(server.url, limits=Limits(block=0.3))
    outcomes = by_id(list(sender.send([letter(1, size=20_000_000), letter(2)])))
    assert (outcomes[1].verdict, outcomes[1].reason) == (Verdict.DEFERRED, Reason.TIMEOUT)
    assert outcomes[2].verdict is Verdict.SENT
    for sock in held:
        sock.close()


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize("phase", LETTER_PHASES)
def test_garbage_before_the_dot_ends_the_connection_and_defers(
    raw_server: Make, engine: Make, letters: Make, phase: Phase, garbage: bytes
) -> None:
    server = raw_server(until(phase, say(garbage)), lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(3))))
    assert (outcomes[1].verdict, outcomes[1].reason) == (Verdict.DEFERRED, Reason.PROTOCOL)
    assert {outcomes[number].verdict for number in (2, 3)} == {Verdict.SENT}
    assert server.bodies == [2, 3]


@pytest.mark.parametrize("garbage", [*GARBAGE, b"354 go ahead\r\n"], ids=range(len(GARBAGE) + 1))
def test_garbage_after_the_dot_is_in_doubt(
    raw_server: Make, engine: Make, letters: Make, garbage: bytes
) -> None:
    server = raw_server(until(Phase.DOT, say(garbage)), lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(3))))
    assert (outcomes[1].verdict, outcomes[1].reason) == (Verdict.IN_DOUBT, Reason.PROTOCOL)
    assert server.bodies == [1, 2, 3]


def test_after_a_protocol_error_the_relay_gets_one_command_at_a_time(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    seen: list[bytes] = []

    def careful(wire: Any) -> None:
        wire.greet()
        for _ in range(2):
            for word, reply in ((b"MAIL", b"250 ok\r\n"), (b"RCPT", b"250 ok\r\n"), (b"DATA", b"354 go\r\n")):
                wire.expect(word)
                seen.append(wire._buffer)  # what the client sent without waiting
                wire.send(reply)
            wire.body()
            seen.append(wire._buffer)
            wire.send(b"250 ok\r\n")
        wire.take_all()

    server = raw_server(until(Phase.RCPT, say(b"nonsense\r\n")), careful)
    outcomes = by_id(list(engine(server.url).send(letters(3))))
    assert [outcomes[number].verdict for number in (2, 3)] == [Verdict.SENT, Verdict.SENT]
    assert seen == [b""] * 8
    assert server.surprises == []


@pytest.mark.parametrize("extensions", [PIPELINED, LOCK_STEP])
@pytest.mark.parametrize("phase", [*LETTER_PHASES, Phase.DOT])
def test_silence_is_left_within_the_phase_limit(
    raw_server: Make, engine: Make, letters: Make, phase: Phase, extensions: tuple[bytes, ...]
) -> None:
    server = raw_server(until(phase, silence, extensions), lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url, limits=IMPATIENT).send(letters(3))))
    expected = Verdict.IN_DOUBT if phase is Phase.DOT else Verdict.DEFERRED
    assert (outcomes[1].verdict, outcomes[1].phase, outcomes[1].reason) == (expected, phase, Reason.TIMEOUT)
    assert {outcomes[number].verdict for number in (2, 3)} == {Verdict.SENT}


@pytest.mark.parametrize("extensions", [PIPELINED, LOCK_STEP])
@pytest.mark.parametrize("phase", [*LETTER_PHASES, Phase.DOT])
def test_421_defers_even_after_the_dot(
    raw_server: Make,
    engine: Make,
    letters: Make,
    journal: Journal,
    phase: Phase,
    extensions: tuple[bytes, ...],
) -> None:
    server = raw_server(
        until(phase, say(b"421 4.3.2 closing\r\n"), extensions),
        lambda wire: (wire.greet(), wire.take_all()),
    )
    outcomes = by_id(list(engine(server.url, journal=journal).send(letters(3))))
    first = outcomes[1]
    assert (first.verdict, first.phase, first.code) == (Verdict.DEFERRED, phase, 421)
    assert (first.fault, first.reason) == (Fault.LANE, Reason.CLOSING)
    assert {outcomes[number].verdict for number in (2, 3)} == {Verdict.SENT}
    records = read(journal.path).records
    if phase is Phase.DOT:
        assert records[1].reply is not None
        assert records[1].reply.verdict is Verdict.DEFERRED
    else:
        assert 1 not in records


def test_421_to_the_dot_gives_the_next_envelope_back_untouched(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.take(2)
        wire.envelope()
        wire.body()
        wire.expect(b"MAIL")
        wire.send(b"421 4.7.0 come back\r\n")
        wire.wait_for_close()

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(6))))
    assert outcomes[3].verdict is Verdict.DEFERRED
    assert {outcomes[number].verdict for number in (1, 2, 4, 5, 6)} == {Verdict.SENT}
    assert server.bodies == [1, 2, 3, 4, 5, 6]


def test_a_lost_dot_gives_the_next_envelope_back_untouched(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.take(2)
        wire.envelope()
        wire.body()
        wire.expect(b"MAIL")

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(6))))
    assert outcomes[3].verdict is Verdict.IN_DOUBT
    assert {outcomes[number].verdict for number in (1, 2, 4, 5, 6)} == {Verdict.SENT}
    assert Counter(server.bodies) == Counter(range(1, 7))


@pytest.mark.parametrize("extensions", [PIPELINED, LOCK_STEP])
@pytest.mark.parametrize("goodbye", [b"", b"421 4.7.0 too many messages in this session\r\n"])
def test_a_server_that_takes_few_mails_per_connection_costs_no_letter(
    raw_server: Make, engine: Make, letters: Make, goodbye: bytes, extensions: tuple[bytes, ...]
) -> None:
    def script(wire: Any) -> None:
        wire.greet(*extensions)
        wire.take(5)
        wire.expect(b"MAIL")
        wire.send(goodbye)

    server = raw_server(script)
    outcomes = by_id(list(engine(server.url).send(letters(23))))
    assert Counter(outcome.verdict for outcome in outcomes.values()) == {Verdict.SENT: 23}
    assert server.bodies == list(range(1, 24))
    assert server.connections == 5


@pytest.mark.parametrize("few", [1, 3])
@pytest.mark.parametrize("extensions", [PIPELINED, LOCK_STEP])
def test_where_connections_end_after_a_few_letters_none_is_put_off(
    raw_server: Make, engine: Make, letters: Make, extensions: tuple[bytes, ...], few: int
) -> None:
    """Several connections lose what rode behind their last letter to each other: it must not be twice."""

    def script(wire: Any) -> None:
        wire.greet(*extensions)
        wire.take(few)
        wire.sock.close()

    server = raw_server(script)
    outcomes = by_id(list(engine(server.url, connections=4).send(letters(60))))
    late = [number for number, outcome in outcomes.items() if outcome.verdict is not Verdict.SENT]
    assert len(late) <= 4  # those that rode behind the first connections' last letters, at most
    assert Counter(server.bodies) == Counter(number for number in range(1, 61) if number not in late)


@pytest.mark.parametrize("count", [1, 4])
def test_a_kept_connection_that_died_meanwhile_costs_no_letter(
    raw_server: Make, engine: Make, letters: Make, letter: Make, count: int
) -> None:
    def short(wire: Any) -> None:
        wire.greet()
        wire.take(1)
        wire.expect(b"MAIL")  # closes in the face of the next call

    server = raw_server(*[short] * count, lambda wire: (wire.greet(), wire.take_all()))
    sender = engine(server.url)
    for number in range(1, count + 2):
        assert [outcome.verdict for _, outcome in sender.send([letter(number)])] == [Verdict.SENT]
    assert server.bodies == list(range(1, count + 2))


def test_a_server_that_hangs_up_on_every_letter_is_not_hammered(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    server = raw_server(until(Phase.MAIL, close))
    outcomes = by_id(list(engine(server.url).send(letters(100))))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.DEFERRED}
    left = [outcomes[number] for number in range(4, 101)]
    assert {(o.fault, o.reason) for o in left} == {(Fault.RELAY, Reason.LOST)}
    assert all(outcome.retry_after for outcome in left)
    assert server.connections == 3


def test_354_although_the_recipient_was_refused(raw_server: Make, engine: Make, letters: Make) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.expect(b"MAIL")
        wire.send(b"250 ok\r\n")
        wire.expect(b"RCPT")
        wire.send(b"550 5.1.1 no such user\r\n")
        wire.expect(b"DATA")
        wire.send(b"354 go ahead anyway\r\n")
        wire.expect(b".")
        wire.send(b"554 5.5.1 no valid recipients\r\n")
        wire.take_all()

    server = raw_server(script)
    outcomes = by_id(list(engine(server.url).send(letters(3))))
    assert (outcomes[1].verdict, outcomes[1].phase, outcomes[1].code) == (Verdict.FAILED, Phase.RCPT, 550)
    assert {outcomes[number].verdict for number in (2, 3)} == {Verdict.SENT}
    assert server.surprises == []
    assert server.bodies == [2, 3]


def test_354_although_the_sender_was_refused_ends_the_connection(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.expect(b"MAIL")
        wire.expect(b"RCPT")
        wire.expect(b"DATA")
        wire.send(b"550 5.7.1 go away\r\n250 ok\r\n354 go ahead\r\n")
        wire.line()
        wire.server.surprises.append(b"more bytes")

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(2))))
    assert (outcomes[1].phase, outcomes[1].code) == (Phase.MAIL, 550)
    assert outcomes[2].verdict is Verdict.SENT
    assert server.bodies == [2]
    assert server.surprises == []


@pytest.mark.parametrize("extensions", [PIPELINED, LOCK_STEP])
@pytest.mark.parametrize("phase", LETTER_PHASES)
def test_a_refused_letter_leaves_nothing_for_the_next(
    raw_server: Make, engine: Make, letters: Make, phase: Phase, extensions: tuple[bytes, ...]
) -> None:
    """After a refusal an open transaction is reset: RSET leads the next group, in order."""

    def script(wire: Any) -> None:
        wire.greet(*extensions)
        state = "start"
        for word, here in ((b"MAIL", Phase.MAIL), (b"RCPT", Phase.RCPT), (b"DATA", Phase.DATA)):
            wire.expect(word)
            if here is phase:
                wire.send(b"550 5.5.0 refused\r\n")
                state = "refused"
                if extensions is LOCK_STEP:
                    break
            elif state == "refused":
                wire.send(b"503 5.5.1 bad sequence\r\n")
            else:
                wire.send(b"250 ok\r\n")
        if phase is not Phase.MAIL:
            wire.expect(b"RSET")
            wire.send(b"250 flushed\r\n")
        wire.take_all()

    server = raw_server(script)
    outcomes = by_id(list(engine(server.url).send(letters(3))))
    assert (outcomes[1].phase, outcomes[1].code) == (phase, 550)
    assert {outcomes[number].verdict for number in (2, 3)} == {Verdict.SENT}
    assert server.surprises == []
    assert server.bodies == [2, 3]
    assert server.connections == 1


def test_a_failed_reset_ends_the_connection_and_costs_no_letter(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.take(1)
        wire.expect(b"MAIL")
        wire.send(b"250 ok\r\n550 5.1.1 no such user\r\n554 none\r\n")
        while wire.line() != b"RSET":
            pass
        wire.send(b"500 what\r\n")
        wire.wait_for_close()

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(4))))
    assert outcomes[2].code == 550
    assert outcomes[1].verdict is Verdict.SENT
    assert {outcomes[number].verdict for number in (3, 4)} <= {Verdict.SENT, Verdict.DEFERRED}
    assert outcomes[4].verdict is Verdict.SENT


def test_one_reply_too_many_is_never_taken_for_another_letters(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.take(1)
        wire.envelope()
        wire.body()
        wire.send(b"250 2.0.0 taken\r\n250 2.0.0 taken again\r\n")
        wire.expect(b"MAIL")
        wire.send(b"250 ok\r\n250 ok\r\n354 go\r\n")
        wire.wait_for_close()

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(4))))
    assert {outcomes[number].verdict for number in (1, 2, 4)} == {Verdict.SENT}
    assert outcomes[3].verdict is Verdict.DEFERRED  # 250 is no answer to DATA
    assert server.bodies == [1, 2, 4]


def test_words_after_354_hold_the_body_back(raw_server: Make, engine: Make, letters: Make) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.envelope(b"354 go ahead\r\n250 accepted already\r\n")
        wire.wait_for_close()

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(2))))
    assert (outcomes[1].verdict, outcomes[1].reason) == (Verdict.DEFERRED, Reason.PROTOCOL)
    assert server.bodies == [2]


def test_the_beginning_of_words_nobody_asked_for_ends_the_connection(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.envelope()
        wire.body()
        wire.expect(b"MAIL")
        wire.send(b"250 2.0.0 taken\r\n250 ok\r\n250 ok\r\n354 go\r\n25")
        wire.wait_for_close()

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(3))))
    assert outcomes[1].verdict is Verdict.SENT
    assert (outcomes[2].verdict, outcomes[2].reason) == (Verdict.DEFERRED, Reason.PROTOCOL)
    assert outcomes[3].verdict is Verdict.SENT
    assert server.bodies == [1, 3]


def test_a_late_reply_is_credited_to_nobody(raw_server: Make, engine: Make, letters: Make) -> None:
    def late(wire: Any) -> None:
        wire.greet()
        wire.envelope()
        wire.body()
        wire.wait_for_close()
        wire.send(b"250 2.0.0 taken after all\r\n")

    server = raw_server(late, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url, limits=IMPATIENT).send(letters(2))))
    assert outcomes[1].verdict is Verdict.IN_DOUBT
    assert outcomes[2].verdict is Verdict.SENT
    assert outcomes[2].text == "ok"


def test_replies_that_come_byte_by_byte_are_read(raw_server: Make, engine: Make, letters: Make) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.expect(b"MAIL")
        for octet in b"250-2.1.0 first\r\n250 2.1.0 second\r\n250 ok\r\n354 go\r\n":
            wire.send(bytes([octet]))
        wire.expect(b"RCPT")
        wire.expect(b"DATA")
        wire.body()
        for octet in b"250-2.0.0 all\r\n250 2.0.0 well\r\n":
            wire.send(bytes([octet]))
        wire.take_all()

    server = raw_server(script)
    outcomes = by_id(list(engine(server.url).send(letters(2))))
    assert outcomes[1].verdict is Verdict.SENT
    assert outcomes[1].text == "all well"


@pytest.mark.parametrize("after_dot", [False, True])
def test_a_reply_that_drips_gets_no_more_time_than_silence(
    raw_server: Make, engine: Make, letters: Make, after_dot: bool
) -> None:
    def drip(wire: Any) -> None:
        wire.greet()
        if after_dot:
            wire.envelope()
            wire.body()
        else:
            wire.expect(b"MAIL")
        for octet in b"250-" + b"x" * 2000:
            wire.send(bytes([octet]))
            threading.Event().wait(0.05)  # how long a reply takes is what this is about

    server = raw_server(drip)
    began = time.monotonic()
    outcomes = by_id(list(engine(server.url, limits=IMPATIENT).send(letters(1))))
    assert time.monotonic() - began < 20
    assert outcomes[1].reason is Reason.TIMEOUT
    assert outcomes[1].verdict is (Verdict.IN_DOUBT if after_dot else Verdict.DEFERRED)


def test_a_452_for_too_many_recipients_is_tried_at_once_on_a_fresh_connection(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.take(2)
        wire.expect(b"MAIL")
        wire.send(b"250 ok\r\n452 4.5.3 too many recipients in this session\r\n503 5.5.1 no recipient\r\n")
        wire.take_all()

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(4))))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SENT}
    assert Counter(server.bodies) == Counter(range(1, 5))
    assert server.connections == 2


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"454 4.7.0 Throttling failure: daily message quota exceeded\r\n", Reason.THROTTLED),
        (b"530 5.7.0 Authentication required\r\n", Reason.AUTH),
        (b"554 5.7.1 Relay access denied\r\n", Reason.RELAY_DENIED),
    ],
)
def test_a_relay_that_will_not_carry_letters_stops_the_call(
    raw_server: Make, engine: Make, letters: Make, reply: bytes, reason: Reason
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.take(2)
        wire.expect(b"MAIL")
        wire.send(b"250 ok\r\n" + reply + b"503 5.5.1 bad sequence\r\n")
        wire.take_all()

    server = raw_server(script)
    outcomes = by_id(list(engine(server.url).send(letters(50))))
    assert [number for number, o in sorted(outcomes.items()) if o.verdict is Verdict.SENT] == [1, 2]
    left = [outcomes[number] for number in range(3, 51)]
    assert {(o.verdict, o.fault, o.reason) for o in left} == {(Verdict.DEFERRED, Fault.RELAY, reason)}
    assert all(outcome.retry_after for outcome in left)
    assert server.bodies == [1, 2]


def test_a_quota_used_up_at_the_dot_holds_the_next_letter_back(
    raw_server: Make, engine: Make, letters: Make, journal: Journal
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.take(2)
        wire.envelope()
        wire.body()
        for word in (b"MAIL", b"RCPT", b"DATA"):
            wire.expect(word)
        wire.send(b"454 4.7.0 daily message quota exceeded\r\n250 ok\r\n250 ok\r\n354 go ahead\r\n")
        wire.body()

    server = raw_server(script)
    outcomes = by_id(list(engine(server.url, journal=journal).send(letters(6))))
    assert [number for number, o in sorted(outcomes.items()) if o.verdict is Verdict.SENT] == [1, 2]
    left = [outcomes[number] for number in range(3, 7)]
    assert {(o.verdict, o.fault, o.reason) for o in left} == {
        (Verdict.DEFERRED, Fault.RELAY, Reason.THROTTLED)
    }
    assert server.bodies == [1, 2, 3]
    assert set(read(journal.path).records) == {1, 2, 3}


@pytest.mark.parametrize("word", [b"RCPT", b"DATA"])
def test_a_connection_that_worked_and_is_lost_inside_a_transaction_defers_that_letter(
    raw_server: Make, engine: Make, letters: Make, word: bytes
) -> None:
    def script(wire: Any) -> None:
        wire.greet()
        wire.take(2)
        while not wire.line().startswith(word):
            wire.send(b"250 ok\r\n")

    server = raw_server(script, lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(5))))
    assert (outcomes[3].verdict, outcomes[3].reason) == (Verdict.DEFERRED, Reason.LOST)
    assert server.bodies == [1, 2, 4, 5]


def test_a_yes_to_data_is_no_answer(raw_server: Make, engine: Make, letters: Make) -> None:
    server = raw_server(until(Phase.DATA, say(b"250 ok\r\n")), lambda wire: (wire.greet(), wire.take_all()))
    outcomes = by_id(list(engine(server.url).send(letters(3))))
    assert (outcomes[1].verdict, outcomes[1].reason) == (Verdict.DEFERRED, Reason.PROTOCOL)
    assert server.bodies == [2, 3]
    assert server.connections == 2


def test_two_connections_one_of_which_dies_lose_and_repeat_nothing(
    raw_server: Make, engine: Make, letters: Make
) -> None:
    def dying(wire: Any) -> None:
        wire.greet()
        wire.take(7)
        wire.envelope()
        wire.body()

    def script(wire: Any) -> None:
        wire.greet()
        wire.take_all()

    server = raw_server(script, dying, dying, script)
    outcomes = by_id(list(engine(server.url, connections=3).send(letters(400))))
    verdicts = Counter(outcome.verdict for outcome in outcomes.values())
    assert verdicts[Verdict.IN_DOUBT] == 2
    assert verdicts[Verdict.SENT] == 398
    assert Counter(server.bodies) == Counter(range(1, 401))
