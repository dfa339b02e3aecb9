"""What staff type to stop, understand and settle what goes out, and what they read then."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from mailer import settings
from mailer.cli import campaigns, database, incidents, mailings, statements, switches, terminal
from mailer.db.mailings import Mailing
from mailer.messages.tokens import message_id
from mailer.services.house import House
from mailer.services.incidents import raise_incident
from mailer.vocabulary import DeliveryState
from tests.services import rows
from tests.services.conftest import statement, subscribe  # noqa: F401

Subscribe = Callable[..., int]
Type = Callable[..., Result]

KEY = "statement:1:alert"


@pytest.fixture
def moment() -> datetime:
    """Commands read the real clock, so these tests live now."""
    return datetime.now(UTC)


@pytest.fixture
def type_(house: House, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command; gives what was printed and the exit code.

    All commands of a test share its house: a process of its own would close its connections by ending.
    """
    monkeypatch.setattr(terminal, "house", lambda: replace(house, settings=settings.current()))
    app = typer.Typer()
    for name, command in (("stop", switches.stop), ("go", switches.go), ("health", database.health)):
        app.command(name)(command)
    for name, group in (
        ("mailing", mailings.mailing),
        ("campaign", campaigns.campaign),
        ("statement", statements.statement),
        ("incident", incidents.incident),
    ):
        app.add_typer(group, name=name)
    return lambda *words: CliRunner().invoke(app, list(words))


@pytest.fixture
def mailing(house: House, subscribe: Subscribe, statement: int, moment: datetime) -> int:  # noqa: F811
    """An alert on its way to four: one has it, one is held by a worker, two wait."""
    number = rows.alert(house, subscribe, statement, moment, 4)
    first, second, *_ = rows.ids(house, number)
    rows.settled(house, [first], DeliveryState.SENT, moment, claimed_at=moment)
    rows.claimed(house, [second], moment)
    return number


def said(result: Result, *words: str) -> str:
    assert result.exit_code == 0, result.output
    for word in words:
        assert word in result.output
    return result.output


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 1
    assert result.output.count("Error:") == 1
    for word in words:
        assert word in result.output


@pytest.fixture
def worker(house: House, mailing: int) -> Iterator[Callable[[DeliveryState], None]]:
    """A worker that settles what it holds within a second."""
    threads: list[threading.Timer] = []

    def settles(state: DeliveryState) -> None:
        def write() -> None:
            with house.database.write() as session:
                rows.change(session, rows.ids(house, mailing)[1:2], state=state)

        threads.append(threading.Timer(0.7, write))
        threads[-1].start()

    yield settles
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(("command", "told"), [("pause", "Paused."), ("cancel", "Stopped for good.")])
def test_stopping_a_mailing_waits_for_the_wire_and_ends_with_the_receipt(
    type_: Type, worker: Callable[[DeliveryState], None], command: str, told: str
) -> None:
    worker(DeliveryState.SENT)
    output = said(type_("mailing", command, KEY, "--wait", "30"), told, "1 on the wire; waiting")
    assert "got it:         2" in output
    assert "did not get it: 2" in output
    assert "in doubt:       0" in output
    assert "ask again" not in output


@pytest.mark.usefixtures("mailing")
def test_the_receipt_says_what_is_still_out_when_the_wait_ends(type_: Type) -> None:
    said(type_("mailing", "cancel", KEY, "--wait", "0"), "on the wire:    1; ask again with", KEY)
    found = json.loads(said(type_("mailing", "receipt", KEY, "--json")))
    assert found == {
        "key": KEY,
        "state": "cancelled",
        "audience": 4,
        "reached": 1,
        "unreached": 2,
        "waiting": 0,
        "doubtful": 0,
        "in_flight": 1,
    }
    refused(type_("mailing", "cancel", KEY), "cancelled")


@pytest.mark.usefixtures("mailing")
def test_resuming_says_who_still_waits(type_: Type) -> None:
    type_("mailing", "pause", KEY, "--wait", "0")
    said(type_("mailing", "resume", KEY), "Resumed.", "got it:         1", "of whom 2 still wait for it")
    refused(type_("mailing", "resume", KEY), "only a paused one")


def test_everything_is_stopped_and_let_go(type_: Type, worker: Callable[[DeliveryState], None]) -> None:
    refused(type_("stop", "--yes", "told reader@example.org"), "address")
    worker(DeliveryState.DEFERRED)
    output = said(type_("stop", "--yes", "the link is wrong", "--wait", "30"), "All mail is stopped.", KEY)
    assert "Nothing is on the wire" in output
    said(type_("stop", "--yes", "again", "--wait", "0"), "stopped already")
    refused(type_("health"), "Nothing goes out")
    said(type_("go"), "Mail goes out again.")
    said(type_("go"), "Nothing was stopped")
    said(type_("health"), "No incident is open")


def test_stopping_everything_asks_first(type_: Type, house: House) -> None:
    assert type_("stop", "a reason").exit_code == 1  # nobody answered
    said(type_("health"))


def draft(type_: Type, tmp_path: Path, *options: str) -> Result:
    file = tmp_path / "letter.md"
    file.write_text("Thank you.")
    return type_("campaign", "draft", "thanks", str(file), "--subject", "Thanks", *options)


def test_a_part_of_a_receipt_is_written_to(
    type_: Type, house: House, mailing: int, moment: datetime, tmp_path: Path
) -> None:
    to = ("--to", KEY, "--part", "unreached")
    said(draft(type_, tmp_path, *to))
    refused(type_("campaign", "send", "thanks", "--yes"), "is sending", f"mailer mailing cancel {KEY}")
    with house.database.write() as session:
        rows.change(session, rows.ids(house, mailing)[1:2], state=DeliveryState.SENT)
    type_("mailing", "cancel", KEY)
    asked = type_("campaign", "send", "thanks")
    assert f"to 2 subscribers, the unreached of {KEY}, now?" in asked.output
    said(type_("campaign", "send", "thanks", "--yes"), "mailer mailing show campaign:1")
    refused(draft(type_, tmp_path, "--topic", "statements"), "has been sent")


@pytest.mark.parametrize(
    "options", [("--to", KEY), ("--part", "reached"), (), ("--to", "nothing", "--part", "reached")]
)
@pytest.mark.usefixtures("mailing")
def test_half_an_audience_is_refused(type_: Type, tmp_path: Path, options: tuple[str, ...]) -> None:
    refused(draft(type_, tmp_path, *options))


def test_a_campaign_says_until_when_it_can_be_taken_back(type_: Type, house: House, tmp_path: Path) -> None:
    del house
    said(draft(type_, tmp_path, "--topic", "statements"))
    output = said(type_("campaign", "send", "thanks", "--yes", "--undo", "90", "--over", "1.5"))
    assert "spread over 1.5 hours" in output
    assert "take it back with: mailer mailing cancel campaign:1" in output
    assert "Nobody gets it before" in output
    said(type_("mailing", "cancel", "campaign:1"), "got it:         nobody")
    again = said(type_("campaign", "send", "thanks", "--yes"), "was sent before", "cancelled")
    assert "take it back" not in again
    assert type_("campaign", "send", "thanks", "--yes", "--over", "49").exit_code == 2


def test_a_publication_says_until_when_it_can_be_taken_back(
    type_: Type,
    house: House,
    statement: int,  # noqa: F811
) -> None:
    del house
    output = said(type_("statement", "publish", str(statement), "--undo", "90"))
    assert f"mailer mailing cancel {KEY}" in output


@pytest.fixture
def doubt(house: House, mailing: int, moment: datetime) -> list[int]:
    """Of the alert two are in doubt for an hour; the numbers of their deliveries."""
    some = rows.ids(house, mailing)[2:]
    hour = timedelta(hours=1)
    rows.settled(house, some, DeliveryState.IN_DOUBT, moment - hour, claimed_at=moment - hour)
    return some


def test_one_doubt_is_released_and_the_other_written_off(type_: Type, doubt: list[int]) -> None:
    first, second = doubt
    listed = json.loads(said(type_("mailing", "doubtful", KEY, "--json")))
    assert [one["delivery"] for one in listed] == [first, second]
    said(type_("mailing", "doubtful", KEY), str(first), "lost")
    said(type_("mailing", "release", KEY, "--delivery", str(first)), "Released 1", "in doubt:       1")
    refused(type_("mailing", "release", KEY, "--delivery", str(first)), "not in doubt", "mailing doubtful")
    said(type_("mailing", "write-off", KEY), "Wrote off 1", "in doubt:       0")


def test_the_relays_log_settles_doubt_in_words(
    type_: Type, house: House, mailing: int, doubt: list[int], moment: datetime, tmp_path: Path
) -> None:
    said(type_("mailing", "settle-doubt", KEY), "In doubt: 2.", "2 stay in doubt: no log is named.")
    path = tmp_path / "mail.log"
    changes = {"postfix_log": path, "smtp_url": "smtp://127.0.0.1:2525"}
    settings.use(house.settings.model_copy(update=changes))
    said(type_("mailing", "settle-doubt"), "the log cannot be read", "adm")
    with house.database.read() as session:
        key = session.get_one(Mailing, mailing).message_key
    name = message_id(house.message_keys, key, doubt[0], "example.org")
    ago = moment - timedelta(hours=1)
    lines = [
        (moment - timedelta(hours=2), "smtpd[5]: disconnect from localhost[127.0.0.1]"),
        (ago, f"cleanup[6]: 4jb39x52D3z1SPcq: message-id={name}"),
        (ago, "qmgr[7]: 4jb39x52D3z1SPcq: from=<b+x@example.org>, size=9, nrcpt=1 (queue active)"),
        (moment, "smtpd[5]: disconnect from localhost[127.0.0.1]"),
    ]
    path.write_text("".join(f"{at.isoformat()} relay postfix/{text}\n" for at, text in lines))
    output = said(type_("mailing", "settle-doubt", KEY), "1 were accepted", "1 were certainly not accepted")
    assert "@" not in output
    said(type_("mailing", "settle-doubt"), "Nothing is in doubt.")


def test_incidents_are_listed_and_spoil_the_houses_health(
    type_: Type, house: House, moment: datetime
) -> None:
    said(type_("incident", "list"), "Nothing is wrong")
    words = "The books of campaign:4 do not balance. Report it."
    with house.database.write() as session:
        raise_incident(session, "books:4", words, moment)
    said(type_("incident", "list"), "books:4", "The books of campaign:4")
    (found,) = json.loads(said(type_("incident", "list", "--json")))
    assert (found["key"], found["words"]) == ("books:4", words)
    refused(type_("health"), words, "Open incidents: 1")
