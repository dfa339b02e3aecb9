"""The signing processes: what they are given, what a lost one costs (nothing), and when they end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs

from mailer.db.programme import Statement
from mailer.messages.dkim import Signer
from mailer.services.house import House
from mailer.services.programme import statements
from mailer.services.sending import signers, signing_crew
from mailer.services.sending.signing_crew import Crew, ProcessLost, SigningProcess
from tests.services.conftest import Hands
from tests.smtp_server import MailServer

PEOPLE = 240
PATIENCE = 20.0


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path_factory.mktemp("key") / "dkim.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


@pytest.fixture
def signer(key_file: Path) -> Signer:
    return Signer("example.org", "m2026a", key_file.read_bytes())


@pytest.fixture
def signing_hands(house: House, key_file: Path, server: MailServer, now) -> Iterator[Hands]:
    """A sending worker of a house with a key."""
    changes = {"dkim_selector": "m2026a", "dkim_key_file": key_file}
    hands = Hands(
        House(house.settings.model_copy(update=changes), house.database, house.ring), server.url, now
    )
    yield hands
    hands.close()
    assert processes_of(os.getpid()) == []


@pytest.fixture
def audience(signing_hands: Hands, subscribe: Callable[..., int], statement: int) -> int:
    """So many people to whom a statement is published."""
    for number in range(PEOPLE):
        subscribe(f"reader{number}@example.net", languages=("hy" if number % 3 else "en",))
    house, now = signing_hands.house, signing_hands.now
    with house.database.write() as session:
        statements.publish(session, house, session.get_one(Statement, statement), actor="test", now=now)
    return PEOPLE


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A crew that was started is waited for, where a sender would sign by itself meanwhile."""
    free = Crew.free

    def wait_and_free(crew: Crew) -> SigningProcess | None:
        end = time.monotonic() + PATIENCE / 2
        while (found := free(crew)) is None and crew.room and time.monotonic() < end:
            time.sleep(0.01)
        return found

    monkeypatch.setattr(Crew, "free", wait_and_free)


def processes_of(parent: int) -> list[int]:
    """The signing processes below this process."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes()
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # ended while we looked
                continue
            if b"signing_process" in words and int(after_name[1]) == parent:
                found.append(int(folder.name))
    return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def up(signer: Signer) -> SigningProcess:
    process = SigningProcess(signer)
    until(process.is_up)
    return process


def check_all_signed(server: MailServer, hands: Hands, people: int) -> None:
    signer = hands.house.signer
    assert signer is not None
    assert len({mail.recipient for mail in server.mails}) == len(server.mails) == people
    record = signer.dns_record.encode()
    assert all(dkim.verify(mail.data, dnsfunc=lambda *_, **__: record) for mail in server.mails)


def test_a_process_signs_as_the_sender_would(signer: Signer) -> None:
    process = up(signer)
    try:
        first, second = [b"%032d" % at for at in range(16)], [b"%032d" % at for at in range(16, 19)]
        process.ask(first)
        process.ask(second)
        assert process.answer(16) == [signer.signature(digest) for digest in first]
        assert process.answer(3) == [signer.signature(digest) for digest in second]
    finally:
        process.end()
    with pytest.raises(ProcessLost):
        process.ask(first)


def test_a_process_is_told_nothing_but_the_key(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILER_KEYS", "secret")
    with Path("/dev/null").open() as another:
        os.set_inheritable(another.fileno(), True)
        process = up(signer)
        try:
            [pid] = processes_of(os.getpid())
            folder = Path("/proc") / str(pid)
            assert sorted(file.name for file in (folder / "fd").iterdir()) == ["0", "1", "2"]
            assert b"MAILER" not in (folder / "environ").read_bytes()
            assert len((folder / "cmdline").read_bytes().split(b"\0")) == 4  # Python, -P, the script, the end
            assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
        finally:
            process.end()


def test_a_large_run_is_signed_by_processes_and_verifies(
    signing_hands: Hands,
    server: MailServer,
    audience: int,
    patient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signed: list[int] = []
    answer = SigningProcess.answer

    def counted(process: SigningProcess, count: int) -> list[bytes]:
        signed.append(count)
        return answer(process, count)

    monkeypatch.setattr(SigningProcess, "answer", counted)
    assert signing_hands.work() == audience
    check_all_signed(server, signing_hands, audience)
    assert sum(signed) > audience / 2


def test_few_mails_need_no_process(
    signing_hands: Hands, server: MailServer, subscribe: Callable[..., int], statement: int
) -> None:
    subscribe("reader@example.net")
    house, now = signing_hands.house, signing_hands.now
    with house.database.write() as session:
        statements.publish(session, house, session.get_one(Statement, statement), actor="test", now=now)
    assert signing_hands.work() == 1
    check_all_signed(server, signing_hands, 1)
    assert processes_of(os.getpid()) == []


def test_processes_end_when_there_was_nothing_to_sign(
    signing_hands: Hands, audience: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signers, "IDLE_SECONDS", 0.1)
    assert signing_hands.work() == audience
    until(lambda: not processes_of(os.getpid()))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_lost_processes_cost_no_mail_and_nothing_goes_unsigned(
    how: signal.Signals,
    signing_hands: Hands,
    server: MailServer,
    audience: int,
    patient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    ask = SigningProcess.ask

    def ask_and_strike(process: SigningProcess, digests: list[bytes]) -> None:
        ask(process, digests)
        asked.append(len(digests))
        if len(asked) > 1:
            os.kill(process.pid, how)

    monkeypatch.setattr(SigningProcess, "ask", ask_and_strike)
    monkeypatch.setattr(signing_crew, "ANSWER_SECONDS", 0.5)
    with capture_logs() as logged:
        assert signing_hands.work() == audience
    check_all_signed(server, signing_hands, audience)
    lost = [line for line in logged if line["event"] == "signing-process-lost"]
    assert lost


def test_a_process_that_cannot_be_started_costs_no_mail(
    signing_hands: Hands, server: MailServer, audience: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with capture_logs() as logged:
        assert signing_hands.work() == audience
    check_all_signed(server, signing_hands, audience)
    assert [line["event"] for line in logged].count("signing-process-not-started") == 1


PARENT = """
import sys, time
from pathlib import Path
from mailer.messages.dkim import Signer
from mailer.services.sending.signing_crew import Crew

crew = Crew(Signer("example.org", "m2026a", Path(sys.argv[1]).read_bytes()))
crew.start()
while crew.free() is None:
    time.sleep(0.01)
print("up", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_processes_end_with_their_sender_however_it_dies(key_file: Path) -> None:
    sender = subprocess.Popen([sys.executable, "-c", PARENT, str(key_file)], stdout=subprocess.PIPE)
    with sender:
        assert sender.stdout is not None
        assert sender.stdout.readline() == b"up\n"
        pids = processes_of(sender.pid)
        assert pids
        for pid in pids:
            os.kill(pid, signal.SIGTERM)  # which a service manager sends to all at once: the sender finishes
        sender.kill()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_a_crew_is_filled_again_only_after_a_while(signer: Signer, monkeypatch: pytest.MonkeyPatch) -> None:
    crew = Crew(signer)
    crew.start()
    full = crew.room
    try:
        until(lambda: crew.free() is not None)
        lost = crew.free()
        assert lost is not None
        crew.lost(lost)
        crew.start()
        assert crew.room < full
        monkeypatch.setattr(signing_crew.time, "monotonic", lambda: time.time() + 1e6)
        crew.start()
        assert crew.room == full
    finally:
        crew.dismiss()
    assert processes_of(os.getpid()) == []
