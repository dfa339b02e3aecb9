"""The words by which servers answer each step: what real ones say, and a reply out of its place."""

import pytest

from mailer.smtp.reply import Reply
from mailer.smtp.steps import Step
from mailer.smtp.voice import Voice, words_of

# RSET, MAIL, RCPT, end of the letter; where {} stands something else comes each time.
SERVERS = {
    "postfix": ("2.0.0 Ok", "2.1.0 Ok", "2.1.5 Ok", "2.0.0 Ok: queued as {}"),
    "exim": ("Reset OK", "OK", "Accepted", "OK id={}"),
    "gmail": (
        "2.1.5 Flushed {} - gsmtp",
        "2.1.0 OK {} - gsmtp",
        "2.1.5 OK {} - gsmtp",
        "2.0.0 OK {} - gsmtp",
    ),
    "exchange": (
        "2.0.0 Resetting",
        "2.1.0 Sender OK",
        "2.1.5 Recipient OK",
        "2.6.0 <{}@example.org> [InternalId={}] Queued mail for delivery",
    ),
    "sendmail": (
        "2.0.0 Reset state",
        "2.1.0 <b{}@example.org>... Sender ok",
        "2.1.5 <r{}@example.org>... Recipient ok",
        "2.0.0 {} Message accepted for delivery",
    ),
}
STEPS = (Step.RESET, Step.MAIL, Step.RCPT, Step.DOT)


def said(text: str, number: int) -> Reply:
    return Reply(250, (text.replace("{}", f"4Xy{number}Zq").encode(),))


def voice_of(server: str) -> Voice:
    voice = Voice()
    for step, text in zip(STEPS, SERVERS[server], strict=True):
        voice.learn(step, said(text, 1))
    return voice


@pytest.mark.parametrize("server", SERVERS)
def test_real_servers_speak_clearly_and_always_the_same(server: str) -> None:
    voice = voice_of(server)
    assert voice.is_known
    assert voice.is_clear
    for number in range(2, 50):
        for step, text in zip(STEPS, SERVERS[server], strict=True):
            assert voice.agrees(step, said(text, number))


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("late", [1, 2, 3])
def test_a_reply_of_the_step_before_is_out_of_place(server: str, late: int) -> None:
    """One reply too many: each question meets the answer of the one before, and that is noticed in time."""
    voice = voice_of(server)
    replies = [said(text, 2) for text in SERVERS[server]]
    for step, reply in zip(STEPS[late:], replies[late - 1 :], strict=False):
        if not voice.agrees(step, reply):
            return
        assert step is not Step.DOT, "the letter would have another reply's answer"


def test_the_same_for_everything_is_known_and_not_clear() -> None:
    voice = Voice()
    for step in STEPS:
        voice.learn(step, said("ok", 1))
    assert voice.is_known
    assert not voice.is_clear


def test_words_it_never_said_are_no_sign_of_anything() -> None:
    voice = voice_of("postfix")
    assert voice.agrees(Step.DOT, said("2.7.0 discarded", 1))
    assert voice.agrees(Step.MAIL, said("fine", 1))
    assert not voice.agrees(Step.DOT, said("2.1.5 Ok", 1))


@pytest.mark.parametrize("text", ["", "<reader@example.org> ok", "reader@example.org fine", "4XyZ queued"])
def test_no_address_and_no_id_is_kept_as_a_word(text: str) -> None:
    assert words_of(said(text, 1)) == (None, None)
