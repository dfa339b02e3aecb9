"""The engine against well-behaved servers: every letter arrives there once and has one outcome."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from mailer.smtp.letter import Letter
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict
from mailer.smtp.pipeline import Pipeline
from mailer.smtp.relay import Relay

Make = Callable[..., Any]


def by_id(outcomes: list[tuple[int, Outcome]]) -> dict[int, Outcome]:
    """The outcomes by letter; fails when a letter has two."""
    assert len({number for number, _ in outcomes}) == len(outcomes)
    return dict(outcomes)


@pytest.mark.parametrize("pipelining", [True, False])
def test_every_letter_arrives_once_with_its_own_envelope(
    inbox_server: Make, engine: Make, letters: Make, pipelining: bool
) -> None:
    inbox = inbox_server(pipelining=pipelining)
    sent = letters(50)
    outcomes = by_id(list(engine(inbox.url).send(sent)))
    assert set(outcomes) == set(range(1, 51))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SENT}
    assert inbox.ids == list(range(1, 51))
    for mail in inbox.arrived:
        assert mail.recipient == f"reader{mail.id}@example.org"
        assert mail.sender == f"b+{mail.id}@bounces.example.org"
    assert {mail.content for mail in inbox.arrived} == {letter.data for letter in sent}


def test_an_accepted_letter_says_so_with_code_and_text(inbox: Any, engine: Make, letter: Make) -> None:
    [(number, outcome)] = engine(inbox.url).send([letter(3)])
    assert number == 3
    assert (outcome.verdict, outcome.fault, outcome.phase) == (Verdict.SENT, Fault.NONE, Phase.DOT)
    assert (outcome.code, outcome.enhanced, outcome.text) == (250, "2.0.0", "taken")


def test_no_letters_are_no_work(inbox: Any, engine: Make) -> None:
    assert list(engine(inbox.url).send([])) == []
    assert inbox.connections == 0


@pytest.mark.parametrize("pipelining", [True, False])
def test_mixed_replies_are_never_credited_to_another_letter(
    inbox_server: Make, engine: Make, letters: Make, pipelining: bool
) -> None:
    inbox = inbox_server(pipelining=pipelining)
    expected: dict[int, tuple[Verdict, Phase, int]] = {}
    for number in range(1, 201):
        address = f"reader{number}@example.org"
        if number % 11 == 0:
            inbox.replies["MAIL", f"b+{number}@bounces.example.org"] = f"451 4.3.0 mail {number}"
            expected[number] = (Verdict.DEFERRED, Phase.MAIL, 451)
        elif number % 7 == 0:
            inbox.replies["RCPT", address] = f"550 5.1.1 unknown {number}"
            expected[number] = (Verdict.FAILED, Phase.RCPT, 550)
        elif number % 5 == 0:
            inbox.replies["RCPT", address] = f"450 4.2.0 later {number}"
            expected[number] = (Verdict.DEFERRED, Phase.RCPT, 450)
        elif number % 3 == 0:
            inbox.replies["DOT", address] = f"554 5.7.1 spam {number}"
            expected[number] = (Verdict.FAILED, Phase.DOT, 554)
        elif number % 2 == 0:
            inbox.replies["DOT", address] = f"452 4.3.1 full {number}"
            expected[number] = (Verdict.DEFERRED, Phase.DOT, 452)
        else:
            expected[number] = (Verdict.SENT, Phase.DOT, 250)
    outcomes = by_id(list(engine(inbox.url, connections=3).send(letters(200))))
    assert {n: (o.verdict, o.phase, o.code) for n, o in outcomes.items()} == expected
    for number, outcome in outcomes.items():
        if outcome.verdict is not Verdict.SENT:
            assert outcome.text.split()[-1] == str(number)  # the words said about this very letter
    assert inbox.ids == sorted(n for n, (verdict, _, _) in expected.items() if verdict is Verdict.SENT)


def test_connections_are_kept_between_calls_and_closed_with_quit(
    inbox: Any, engine: Make, letter: Make
) -> None:
    sender = engine(inbox.url)
    for number in range(1, 6):
        assert [o.verdict for _, o in sender.send([letter(number)])] == [Verdict.SENT]
    assert inbox.connections == 1
    sender.close()
    assert inbox.quits == 1
    assert inbox.ids == [1, 2, 3, 4, 5]


def test_several_connections_share_the_letters(inbox: Any, engine: Make, letters: Make) -> None:
    outcomes = by_id(list(engine(inbox.url, connections=2).send(letters(300))))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SENT}
    assert inbox.ids == list(range(1, 301))
    share = Counter(mail.connection for mail in inbox.arrived)
    assert set(share) == {1, 2}


def test_the_ehlo_name_is_the_one_given(inbox: Any, engine: Make, letter: Make) -> None:
    list(engine(inbox.url, ehlo_name="out.example.org").send([letter(1)]))
    assert inbox.ehlo_names == ["out.example.org"]


@pytest.mark.parametrize("name", ["", "two words", "bad\r\nname", "ümlaut.example.org", "-x", "a b"])
def test_an_ehlo_name_that_is_no_host_name_is_refused(inbox: Any, engine: Make, name: str) -> None:
    with pytest.raises(ValueError, match="EHLO name"):
        engine(inbox.url, ehlo_name=name)


def test_two_letters_with_one_id_are_refused_before_anything_is_sent(
    inbox: Any, engine: Make, letter: Make
) -> None:
    with pytest.raises(ValueError, match="same id"):
        engine(inbox.url).send([letter(1), letter(1)])
    assert inbox.connections == 0


def test_a_closed_engine_says_so(inbox: Any, engine: Make, letter: Make) -> None:
    sender = engine(inbox.url)
    sender.close()
    with pytest.raises(RuntimeError, match="closed"):
        sender.send([letter(1)])


@pytest.mark.parametrize(
    "recipient",
    [
        "no-at-sign.example.org",
        "two words@example.org",
        "a@b@example.org",
        "x\r\nRCPT TO:<other@example.org>@example.org",
        "<x@example.org>",
        "x@exa mple.org",
        "a" * 65 + "@example.org",
        "x@" + ".".join(["a" * 60] * 5),
        "x@[127.0.0.1]",
        "",
    ],
)
def test_an_invalid_address_fails_alone_and_never_reaches_the_wire(
    inbox: Any, engine: Make, letter: Make, recipient: str
) -> None:
    outcomes = by_id(list(engine(inbox.url).send([letter(1), letter(2, recipient=recipient), letter(3)])))
    assert outcomes[2].verdict is Verdict.FAILED
    assert (outcomes[2].reason, outcomes[2].fault) == (Reason.ADDRESS_SYNTAX, Fault.RECIPIENT)
    assert recipient == "" or recipient not in outcomes[2].text
    assert inbox.ids == [1, 3]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Subject: x\n\nbare LF\n",
        b"Subject: x\r\n\r\nend\n.\r\nMAIL FROM:<x@example.org>\r\n",
        b"Subject: x\r\n\r\nend\r.\r\r\n",
        b"Subject: x\r\n\r\nnul\0\r\n",
    ],
)
def test_a_message_that_could_end_early_on_the_wire_fails_alone(
    inbox: Any, engine: Make, letter: Make, data: bytes
) -> None:
    outcomes = by_id(list(engine(inbox.url).send([letter(1), letter(2, data=data), letter(3)])))
    assert (outcomes[2].verdict, outcomes[2].reason) == (Verdict.FAILED, Reason.MALFORMED)
    assert outcomes[2].fault is Fault.SENDER
    assert inbox.ids == [1, 3]


@pytest.mark.parametrize(
    "lines", [b".\r\n", b"..\r\n", b"a\r\n.\r\n.\r\nb\r\n", b".x\r\n..y\r\n...\r\n", b"x\r\n.\r\n" * 50]
)
@pytest.mark.parametrize("header", [b"X-Id: 1\r\n\r\n", b""])
def test_leading_dots_arrive_as_they_were(
    inbox: Any, engine: Make, letter: Make, lines: bytes, header: bytes
) -> None:
    data = header + lines
    [(_, outcome)] = engine(inbox.url).send([letter(1, data=data)])
    assert outcome.verdict is Verdict.SENT
    assert [mail.content for mail in inbox.arrived] == [data]


def test_a_missing_last_line_end_is_added_on_the_wire(inbox: Any, engine: Make, letter: Make) -> None:
    list(engine(inbox.url).send([letter(1, data=b"X-Id: 1\r\n\r\nno end")]))
    assert inbox.arrived[0].content == b"X-Id: 1\r\n\r\nno end\r\n"


def test_large_bodies_of_many_blocks_arrive_whole(inbox: Any, engine: Make, letter: Make) -> None:
    sent = [letter(number, size=1_000_000) for number in (1, 2, 3)]
    outcomes = by_id(list(engine(inbox.url).send(sent)))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SENT}
    assert {mail.content for mail in inbox.arrived} == {one.data for one in sent}


def test_size_is_told_where_it_is_offered(inbox: Any, engine: Make, letter: Make) -> None:
    one = letter(1)
    list(engine(inbox.url).send([one]))
    assert inbox.arrived[0].options == [f"SIZE={len(one.data)}"]


def test_an_international_domain_goes_out_in_a_labels(inbox: Any, engine: Make, letter: Make) -> None:
    list(engine(inbox.url).send([letter(1, recipient="reader@bücher.example")]))
    assert inbox.arrived[0].recipient == "reader@xn--bcher-kva.example"
    assert "SMTPUTF8" not in inbox.arrived[0].options


def test_a_utf8_local_part_uses_smtputf8(inbox: Any, engine: Make, letter: Make) -> None:
    eai = letter(1, recipient="читач@bücher.example", data="X-Id: 1\r\nTo: читач\r\n\r\nhi\r\n".encode())
    [(_, outcome)] = engine(inbox.url).send([eai])
    assert outcome.verdict is Verdict.SENT
    assert inbox.arrived[0].recipient == "читач@xn--bcher-kva.example"
    assert set(inbox.arrived[0].options) >= {"SMTPUTF8", "BODY=8BITMIME"}


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_utf8_local_part_fails_where_smtputf8_is_not_offered(
    inbox_server: Make, engine: Make, letter: Make, pipelining: bool
) -> None:
    inbox = inbox_server(smtputf8=False, pipelining=pipelining)
    batch = [letter(1), letter(2, recipient="читач@example.org"), letter(3)]
    outcomes = by_id(list(engine(inbox.url).send(batch)))
    assert (outcomes[2].verdict, outcomes[2].reason, outcomes[2].fault) == (
        Verdict.FAILED,
        Reason.EAI,
        Fault.NONE,
    )
    assert inbox.ids == [1, 3]


def test_the_null_sender_is_allowed(inbox: Any, engine: Make, letter: Make) -> None:
    list(engine(inbox.url).send([letter(1, sender="")]))
    assert inbox.arrived[0].sender == "<>"


def test_a_letter_whose_time_is_over_starts_no_transaction(inbox: Any, engine: Make, letter: Make) -> None:
    sender = engine(inbox.url, clock=lambda: 100.0)
    batch = [letter(1, not_after=101.0), letter(2, not_after=99.0), letter(3)]
    outcomes = by_id(list(sender.send(batch)))
    assert (outcomes[2].verdict, outcomes[2].reason, outcomes[2].fault) == (
        Verdict.DEFERRED,
        Reason.TOO_LATE,
        Fault.NONE,
    )
    assert inbox.ids == [1, 3]


def test_outcomes_come_while_others_are_still_on_their_way(inbox: Any, engine: Make, letters: Make) -> None:
    outcomes = engine(inbox.url).send(letters(200))
    first = next(outcomes)
    rest = list(outcomes)
    assert len({first[0], *(number for number, _ in rest)}) == 200


def test_a_second_send_at_the_same_time_is_refused(raw_server: Make, engine: Make, letter: Make) -> None:
    server = raw_server(lambda wire: wire.wait_for_close())
    sender = engine(server.url)
    first = sender.send([letter(1)])
    with pytest.raises(RuntimeError, match="sending already"):
        sender.send([letter(2)])
    server.close()
    assert [outcome.fault for _, outcome in first] == [Fault.RELAY]


def test_an_iterator_that_is_dropped_stops_what_has_not_begun(
    inbox: Any, engine: Make, letters: Make
) -> None:
    sender = engine(inbox.url)
    outcomes = sender.send(letters(2000))
    next(outcomes)
    outcomes.close()
    assert [o.verdict for _, o in sender.send([Letter(**_facts(5000))])] == [Verdict.SENT]
    assert 5000 in inbox.ids
    assert len(set(inbox.ids)) == len(inbox.ids) < 2001


def test_stop_gives_back_every_letter_without_a_dot(raw_server: Make, engine: Make, letters: Make) -> None:
    holder: dict[str, Any] = {}

    def script(wire: Any) -> None:
        wire.greet()
        wire.take(2)
        wire.envelope()
        wire.body()
        holder["engine"].stop()
        wire.expect(b"MAIL")  # the next envelope rode with the body; stop takes that letter back
        wire.send(b"250 2.0.0 third taken\r\n")
        wire.send(b"250 ok\r\n250 ok\r\n354 go ahead\r\n")
        wire.wait_for_close()

    server = raw_server(script)
    holder["engine"] = engine(server.url)
    outcomes = by_id(list(holder["engine"].send(letters(10))))
    assert [n for n, o in sorted(outcomes.items()) if o.verdict is Verdict.SENT] == [1, 2, 3]
    given_back = [outcomes[number] for number in range(4, 11)]
    assert {(o.verdict, o.reason, o.fault) for o in given_back} == {
        (Verdict.DEFERRED, Reason.STOPPED, Fault.NONE)
    }
    assert server.bodies == [1, 2, 3]


def test_an_unused_connection_says_goodbye_by_itself(raw_server: Make, engine: Make, letter: Make) -> None:
    goodbye = threading.Event()

    def script(wire: Any) -> None:
        wire.greet()
        wire.take(1)
        if wire.line() == b"QUIT":
            goodbye.set()
        wire.send(b"221 bye\r\n")

    server = raw_server(script)
    sender = engine(server.url, limits=Limits(idle=0.1))
    assert [o.verdict for _, o in sender.send([letter(1)])] == [Verdict.SENT]
    assert goodbye.wait(5)
    assert [o.verdict for _, o in sender.send([letter(2)])] == [Verdict.SENT]
    assert server.connections == 2


def test_a_connection_past_its_age_makes_way(
    inbox: Any, engine: Make, letters: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pipeline, "too_old", property(lambda connection: connection.replies_credited >= 3))
    sender = engine(inbox.url)
    outcomes = by_id(list(sender.send(letters(8))))
    assert {outcome.verdict for outcome in outcomes.values()} == {Verdict.SENT}
    assert inbox.ids == list(range(1, 9))
    assert inbox.connections == 2  # the fourth letter was on its way when the third was answered
    sender.close()
    assert inbox.quits == 2


def test_connections_that_are_too_old_at_once_do_not_go_on_for_ever(
    inbox: Any, engine: Make, letters: Make
) -> None:
    outcomes = by_id(list(engine(inbox.url, limits=Limits(reuse=-1)).send(letters(3))))
    assert {outcome.fault for outcome in outcomes.values()} == {Fault.RELAY}
    assert inbox.connections == 3


def test_neither_letter_nor_relay_shows_what_it_must_not(letter: Make) -> None:
    shown = repr(letter(1, recipient="canary@example.org"))
    assert "canary" not in shown
    assert "hello" not in shown
    relay = Relay.parse("smtps://canary-user:canary-password@relay.example.org")
    assert "canary" not in repr(relay) + str(relay)


def _facts(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "fence": 1,
        "sender": "",
        "recipient": "reader@example.org",
        "data": b"X-Id: %d\r\n\r\nx\r\n" % number,
    }
