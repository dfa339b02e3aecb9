"""A follow-up leaves only while its recording answers; else it is held, staff hear of it, it is retried."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from mailer.db.mailings import Delivery, Mailing
from mailer.db.programme import Symposium
from mailer.services.incidents import open_incidents
from mailer.services.programme import recordings, symposia
from mailer.services.programme.symposia import SymposiumRefusal
from mailer.services.programme.timeline import timeline
from mailer.vocabulary import DeliveryState, MailingKind
from tests.recordings import RecordingServer
from tests.services.symposium_desk import Desk
from tests.services.test_symposia import HOUR, START

MINUTE = timedelta(minutes=1)
DUE = START + HOUR + 30 * MINUTE
THANKS = ["anahit After the symposium"]


@pytest.fixture
def recording(tmp_path: Path) -> Iterator[RecordingServer]:
    with RecordingServer(tmp_path) as server:
        yield server


@pytest.fixture
def waiting(desk: Desk, recording: RecordingServer) -> Desk:
    """Somebody was registered, it is over, and the follow-up is approved and not due yet."""
    desk.join()
    desk.at(START + HOUR)
    approve(desk, recording.url)
    return desk


def approve(desk: Desk, url: str | None) -> None:
    with desk.house.database.write() as session:
        found = session.get_one(Symposium, desk.symposium)
        symposia.approve_follow_up(
            session, desk.house, found, recording_url=url, actor="test", now=desk.hands.now
        )


def ask(desk: Desk, server: RecordingServer) -> int:
    return recordings.ask_due(desk.house, desk.hands.now, limits=server.limits, resolve=server.resolve)


def incidents(desk: Desk) -> list[str]:
    with desk.house.database.read() as session:
        return [one.words for one in open_incidents(session)]


def said(desk: Desk) -> str | None:
    with desk.house.database.read() as session:
        symposium = session.get_one(Symposium, desk.symposium)
        (entry,) = [one for one in timeline(session, symposium, desk.hands.now) if "after30m" in one.name]
        return entry.why_not


def test_it_is_asked_a_minute_before_and_then_the_mail_leaves(
    waiting: Desk, recording: RecordingServer
) -> None:
    assert ask(waiting, recording) == 0  # too early
    waiting.hands.now = DUE - MINUTE
    assert ask(waiting, recording) == 1
    assert recording.asked == ["HEAD"]
    assert "mailer.example.org" in recording.agents[0]
    assert waiting.at(DUE) == THANKS
    assert ask(waiting, recording) == 0  # nothing waits for it any more


def test_without_an_answer_nothing_leaves_and_staff_are_told_how_to_go_on(
    waiting: Desk, recording: RecordingServer
) -> None:
    recording.head = recording.status = 404
    waiting.hands.now = DUE
    assert ask(waiting, recording) == 1
    assert waiting.at(DUE) == []
    (words,) = incidents(waiting)
    assert "answers 404" in words
    assert "--release" in words
    assert "--without-recording" in words
    held = said(waiting)
    assert held is not None
    assert held.startswith("Held: its recording does not answer. Its server answers 404.")
    assert ask(waiting, recording) == 0  # not again at once
    assert waiting.at(DUE + 14 * MINUTE) == []


def test_it_is_asked_again_and_leaves_once_it_answers_even_hours_later(
    waiting: Desk, recording: RecordingServer
) -> None:
    recording.head = recording.status = 503
    moment = DUE
    for _ in range(40):
        waiting.hands.now = moment
        ask(waiting, recording)
        assert waiting.at(moment) == []
        moment += 15 * MINUTE
    tries = len(recording.asked) // 2
    assert 3 < tries < 12  # ever more rarely
    recording.head = 200
    waiting.hands.now = moment + 6 * HOUR
    assert ask(waiting, recording) == 1
    assert incidents(waiting) == []
    assert said(waiting) is None
    assert waiting.at(waiting.hands.now + MINUTE) == THANKS


def test_before_it_was_asked_nothing_leaves(waiting: Desk, recording: RecordingServer) -> None:
    """A worker that is quicker than the one who asks waits."""
    assert waiting.at(DUE) == []
    assert waiting.at(DUE + 2 * MINUTE) == []
    assert ask(waiting, recording) == 1
    assert waiting.at(waiting.hands.now + MINUTE) == THANKS


def test_an_old_answer_is_not_believed(waiting: Desk, recording: RecordingServer) -> None:
    waiting.hands.now = DUE - MINUTE
    ask(waiting, recording)
    recording.head = recording.status = 410
    assert waiting.at(DUE + 2 * HOUR) == []
    assert ask(waiting, recording) == 1
    assert waiting.at(waiting.hands.now) == []
    assert len(incidents(waiting)) == 1


def test_a_person_may_vouch_for_it(waiting: Desk, recording: RecordingServer) -> None:
    recording.head = recording.status = 403
    waiting.hands.now = DUE
    ask(waiting, recording)
    with waiting.house.database.write() as session:
        found = session.get_one(Symposium, waiting.symposium)
        symposia.release_follow_up(session, waiting.house, found, actor="test", now=waiting.hands.now)
    assert incidents(waiting) == []
    assert waiting.at(DUE + MINUTE) == THANKS
    assert len(recording.asked) == 2


def test_another_address_or_none_lets_a_held_one_go(waiting: Desk, recording: RecordingServer) -> None:
    recording.head = recording.status = 404
    waiting.hands.now = DUE
    ask(waiting, recording)
    approve(waiting, None)
    assert incidents(waiting) == []
    assert waiting.at(DUE + MINUTE) == THANKS


def test_what_waits_for_two_weeks_is_given_up(waiting: Desk, recording: RecordingServer) -> None:
    recording.head = recording.status = 404
    for hours in range(0, 15 * 24, 6):
        waiting.hands.now = DUE + hours * HOUR
        ask(waiting, recording)
        assert waiting.at(waiting.hands.now) == []
    (words,) = incidents(waiting)
    assert "It is not asked again." in words
    assert ask(waiting, recording) == 0
    with waiting.house.database.read() as session:
        states = session.scalars(
            select(Delivery.state)
            .join(Mailing, Mailing.id == Delivery.mailing_id)
            .where(Mailing.kind == MailingKind.FOLLOW_UP)
        ).all()
    assert states == [DeliveryState.EXPIRED]


def test_what_a_person_decides_while_it_is_asked_holds(
    waiting: Desk, recording: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording.head = recording.status = 404
    waiting.hands.now = DUE
    real = recordings.answers

    def slowly(*args: object, **how: object) -> None:
        approve(waiting, None)
        real(*args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(recordings, "answers", slowly)
    ask(waiting, recording)
    assert incidents(waiting) == []
    assert waiting.at(DUE + MINUTE) == THANKS


def test_there_is_nothing_to_release_before_it_is_approved(desk: Desk) -> None:
    with desk.house.database.write() as session, pytest.raises(SymposiumRefusal, match="Approve it first"):
        symposia.release_follow_up(
            session,
            desk.house,
            session.get_one(Symposium, desk.symposium),
            actor="test",
            now=desk.hands.now,
        )
