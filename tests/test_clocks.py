"""Clocks: which is believed, what a time server says about them, and that one that was set opens nothing."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import make_url, text

from mailer.db.programme import Statement, StatementText
from mailer.services.house import House
from mailer.services.incidents import open_incidents
from mailer.services.programme import embargo, public, review
from mailer.services.sending.embargo_time import at_instant
from mailer.services.sending.gate import EmbargoGate, Reading
from mailer.settings import SettingsError, load
from mailer.smtp.letter import boottime
from workers import sntp
from workers.clock import Clock
from workers.sntp import PORT, server_of
from workers.steps import StepGuard
from workers.time_server import TimeServer

PATIENCE = 30.0
SINCE_1900 = 2_208_988_800
Answer = Callable[[bytes], bytes]


def told(question: bytes, *, ahead: float = 0.0, flags: int = 0x24, stratum: int = 2) -> bytes:
    """A time server's answer; its clock is so many seconds ahead of this machine's."""
    shows = time.time() + ahead + SINCE_1900
    stamp = struct.pack("!II", int(shows) % 2**32, int(shows % 1 * 2**32))
    return struct.pack("!BBbb3I", flags, stratum, 6, -20, 0, 0, 0) + stamp + question[40:48] + stamp + stamp


class Server:
    """A time server on loopback that gives the answer a test wishes for; None: it says nothing."""

    def __init__(self) -> None:
        self.answer: Callable[[bytes], bytes | None] = told
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _serve(self) -> None:
        while True:
            question, who = self._socket.recvfrom(512)
            if not question:
                return
            self.asked += 1
            answer = self.answer(question)
            if answer is not None:
                self._socket.sendto(answer, who)

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def look(house: House, clock: Clock) -> Reading:
    with house.database.read() as session:
        return clock.read(session)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


# --- steps


def test_a_step_is_seen_against_the_uptime_and_a_step_back_undoes_it() -> None:
    guard = StepGuard()
    assert guard.look(1_000.0, 50.0) == 0
    assert guard.look(1_010.004, 60.0) == 0
    assert guard.look(4_620.0, 70.0) == pytest.approx(3_600, abs=0.01)
    assert guard.look(4_630.0, 80.0) == pytest.approx(3_600, abs=0.01)
    assert guard.look(1_040.0, 90.0) == pytest.approx(0, abs=0.01)


def test_the_drift_of_an_hour_or_a_slow_answer_is_no_step() -> None:
    guard = StepGuard()
    guard.look(1_000.0, 0.0)
    assert guard.look(4_600.3, 3_600.0) == 0
    assert guard.look(4_603.0, 3_601.0, unsure=2.0) == 0
    assert StepGuard().look(9.0, 1.0) == 0


def test_a_time_service_that_vouches_takes_the_steps_away() -> None:
    guard = StepGuard()
    guard.look(0.0, 0.0)
    assert guard.look(100.0, 1.0) == pytest.approx(99)
    guard.vouched()
    assert guard.look(101.0, 2.0) == 0


# --- what a time server says


@pytest.mark.parametrize("ahead", [0.0, 3_600.0, -86_400.0])
def test_a_time_server_tells_how_far_our_clock_is_off(server: Server, ahead: float) -> None:
    server.answer = lambda question: told(question, ahead=ahead)
    answer = sntp.ask(server_of(server.name))
    assert answer is not None
    assert answer.ahead == pytest.approx(-ahead, abs=answer.unsure + 0.05)


@pytest.mark.parametrize(
    "answer",
    [
        lambda question: told(question, flags=0xE4),  # it does not know the time itself
        lambda question: told(question, stratum=0),  # go away
        lambda question: told(question, stratum=16),
        lambda question: told(question, flags=0x23),  # our own question
        lambda question: told(bytes(48)),  # an answer to somebody else
        lambda question: told(question)[:47],
        lambda question: b"",
        lambda question: b"x" * 500,
    ],
)
def test_what_is_no_answer_to_this_question_is_none(server: Server, answer: Answer) -> None:
    server.answer = answer
    assert sntp.ask(server_of(server.name)) is None


def test_silence_and_a_closed_port_and_an_unknown_name_are_none(server: Server) -> None:
    server.answer = lambda question: None
    assert sntp.ask(server_of(server.name), patience=0.01) is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert sntp.ask(("127.0.0.1", port)) is None
    assert sntp.ask(("nowhere.invalid", PORT)) is None


def test_after_2036_the_time_is_told_in_the_next_era() -> None:
    in_2040 = datetime(2040, 1, 1, tzinfo=UTC).timestamp()
    assert sntp._seconds(int(in_2040 + SINCE_1900) % 2**32, 0, in_2040 + 5) == in_2040


@pytest.mark.parametrize(
    ("named", "server"),
    [
        ("time.example.org", ("time.example.org", PORT)),
        ("time.example.org:1123", ("time.example.org", 1123)),
        ("[2001:db8::1]", ("2001:db8::1", PORT)),
        ("[2001:db8::1]:1123", ("2001:db8::1", 1123)),
        ("192.0.2.1", ("192.0.2.1", PORT)),
    ],
)
def test_how_a_time_server_is_named(named: str, server: tuple[str, int]) -> None:
    assert server_of(load(ntp_server=named).ntp_server) == server


@pytest.mark.parametrize("named", ["http://time", "time:0", "time:99999", "time:x", "2001:db8::1", "a b"])
def test_a_name_that_is_none_is_said_at_the_start(named: str) -> None:
    with pytest.raises(SettingsError, match="MAILER_NTP_SERVER"):
        load(ntp_server=named)


def test_an_answer_holds_for_an_hour_and_then_the_silence_is_told(server: Server) -> None:
    asked = TimeServer(server.name)
    assert not asked.is_silent  # nobody has asked yet
    asked.ask()
    right = asked.right_at(boottime())
    assert right is not None
    assert right[0] == pytest.approx(time.time(), abs=right[1] + 0.05)
    assert asked.right_at(boottime() + 3_500) is not None
    assert asked.right_at(boottime() + 3_700) is None
    server.answer = lambda question: b""
    asked.ask()
    assert not asked.is_silent
    never = TimeServer(server.name)
    never.ask()
    assert never.is_silent


# --- what is believed


def test_the_databases_clock_is_read_with_how_far_ours_are_from_it(house: House) -> None:
    clock = Clock()
    clock.follow(house.database)
    reading = look(house, clock)
    assert (reading.moment is None) == (house.database.engine.dialect.name == "sqlite")
    assert not reading.is_off


@pytest.mark.parametrize("ahead", [2.0, -3_600.0])
def test_a_clock_that_the_time_server_contradicts_is_off_on_either_database(
    house: House, server: Server, ahead: float
) -> None:
    """Machine and database agree, as on one machine they always do; both are wrong."""
    server.answer = lambda question: told(question, ahead=-ahead)
    clock = Clock()
    clock.trust(server.name)
    clock.follow(house.database)
    wait_until(lambda: look(house, clock).is_off, "the time server's answer is heard")
    reading = look(house, clock)
    assert reading.ahead == pytest.approx(ahead, abs=0.3)
    if reading.moment is not None:
        assert reading.database_ahead == pytest.approx(ahead, abs=0.3)
    assert server.asked == 1


def test_a_time_server_that_agrees_changes_nothing(house: House, server: Server) -> None:
    clock = Clock()
    clock.trust(server.name)
    clock.follow(house.database)
    wait_until(lambda: server.asked == 1, "it is asked")
    reading = look(house, clock)
    assert not reading.is_off
    assert not reading.unanswered


def test_a_silent_time_server_is_told_and_holds_nothing(house: House, server: Server, now: datetime) -> None:
    server.answer = lambda question: b""
    clock = Clock()
    clock.trust(server.name)
    clock.follow(house.database)
    wait_until(lambda: look(house, clock).unanswered, "its silence is noticed")
    gate = EmbargoGate("here", clock.read)
    with house.database.write() as session:
        assert gate.trusts(session, clock.read(session), now)
        (incident,) = open_incidents(session)
        assert "MAILER_NTP_SERVER" in incident.words
        assert gate.trusts(session, Reading(moment=None, ahead=0.0), now)
        assert open_incidents(session) == []


def test_a_database_whose_clock_is_wrong_is_named_as_such(house: House, now: datetime) -> None:
    with house.database.write() as session:
        gate = EmbargoGate("here", lambda _: Reading(moment=now, ahead=0.0, database_ahead=-7.0))
        assert not gate.trusts(session, gate.read(session), now)
        (incident,) = open_incidents(session)
        assert "The database's clock is 7.0 seconds behind" in incident.words


# --- a clock that is set while the process runs: here the database's, in tests/journeys the machine's


@pytest.fixture
def turn(house: House) -> Callable[[float], None]:
    """Sets the database's clock so many seconds ahead, for every connection to come and those open now."""
    name = make_url(str(house.settings.database_url)).database
    with house.database.engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA turned"))
        connection.execute(text("CREATE TABLE turned.by (seconds double precision)"))
        connection.execute(text("INSERT INTO turned.by VALUES (0)"))
        connection.execute(
            text(
                "CREATE FUNCTION turned.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
                "'SELECT pg_catalog.clock_timestamp() + make_interval(secs => seconds) FROM turned.by'"
            )
        )
        connection.execute(text(f"ALTER DATABASE {name} SET search_path = turned, pg_catalog, public"))
    house.database.engine.dispose()

    def turn(seconds: float) -> None:
        with house.database.engine.begin() as connection:
            connection.execute(text("UPDATE turned.by SET seconds = :seconds"), {"seconds": seconds})

    return turn


def under_embargo(house: House, **wait: float) -> datetime:
    """A statement under embargo for so long by the database's own clock; its moment."""
    now = house.database.clock() or datetime.now(UTC)
    moment = now + timedelta(**wait)
    with house.database.write() as session:
        found = Statement(key="s", slug="s", language="en", dated=now.date(), created_at=now)
        found.texts.append(StatementText(language="en", title="Words", body="Text.", created_at=now))
        session.add(found)
        session.flush()
        review.ask(session, found, actor="cli:anna", now=now)
        review.approve(session, found, actor="cli:anna", now=now)
        until = at_instant(moment, "UTC")
        embargo.schedule(session, house, found, until, actor="cli:anna", now=now)
    return moment


@pytest.mark.parametrize("house", ["postgresql"], indirect=True)
def test_a_database_whose_clock_is_set_opens_nothing(house: House, turn: Callable[[float], None]) -> None:
    """A worker that has run since before follows that clock, and yet it does not believe it."""
    clock = Clock()
    clock.follow(house.database)
    gate = EmbargoGate("here", clock.read)
    moment = under_embargo(house, hours=1)

    def is_open() -> bool:
        clock.follow(house.database, anew=True)
        with house.database.read() as session:
            return public.statement(session, "s", "en", clock(), gate=gate) is not None

    assert not is_open()
    turn(7_200)
    assert not is_open()
    assert clock() > moment
    reading = look(house, clock)
    assert reading.is_off
    assert reading.database_ahead == pytest.approx(7_200, abs=1)
    assert not is_open()  # nor at the next look, when both have got used to it
    turn(0)
    assert not is_open()
    assert not look(house, clock).is_off


@pytest.mark.parametrize("house", ["postgresql"], indirect=True)
def test_a_database_that_a_time_server_vouches_for_is_believed(
    house: House, turn: Callable[[float], None], server: Server
) -> None:
    """Its clock was wrong and was set right: the server says which of the two it was."""
    turn(-7_200)
    clock = Clock()
    clock.trust(server.name)
    clock.follow(house.database)
    wait_until(lambda: look(house, clock).is_off, "the time server's answer is heard")
    turn(0)
    clock.follow(house.database, anew=True)
    assert not look(house, clock).is_off
