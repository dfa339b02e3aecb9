"""Fates of mails in the logs of a real Postfix 3.7 (short.log, long.log), and the times of its lines."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailer.smtp.postfix_log import Fate, PostfixLog, stamp

LOGS = Path(__file__).with_name("postfix")
NOW = datetime(2026, 11, 26, 18, 0, tzinfo=UTC)

# What was done to that Postfix, and what its own replies and queue said of it.
TRUTH = {
    "accepted": Fate.ACCEPTED,
    "accepted2": Fate.ACCEPTED,  # second mail of one connection
    "headerrejected": Fate.REFUSED,
    "lostmid": Fate.REFUSED,  # connection closed inside the body
    "rstmid": Fate.REFUSED,  # reset inside the body
    "dotclosed": Fate.ACCEPTED,  # closed after the final dot, the reply never read
    "dotrst": Fate.ACCEPTED,  # reset after the final dot
    "bdat": Fate.ACCEPTED,
    "pipe1": Fate.ACCEPTED,  # the next mail of its connection was lost
    "bp1": Fate.ACCEPTED,  # BDAT in flight, closed before any reply
    "bp2": Fate.ACCEPTED,
}
ABSENT = ("bdatlost", "bp3", "neversent")


def read(lines: list[bytes], *wanted: str) -> PostfixLog:
    log = PostfixLog(wanted)
    for line in lines:
        log.read(line)
    return log


def lines(name: str) -> list[bytes]:
    return (LOGS / name).read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("name", ["short.log", "long.log"])
@pytest.mark.parametrize("iso", [False, True])
def test_the_log_of_a_real_postfix_tells_each_mails_fate(name: str, iso: bool) -> None:
    found = lines(name)
    if iso:  # as rsyslog writes it by default since 2023
        found = [b"2026-11-26T17:15:07.123456+00:00 " + line[16:] for line in found]
    log = read(found, *TRUTH, *ABSENT)
    assert log.fates == TRUTH
    assert not log.gaps


def test_only_what_is_wanted_is_remembered() -> None:
    log = read(lines("short.log"), "bp1")
    assert log.fates == {"bp1": Fate.ACCEPTED}
    assert "example.org" not in repr(vars(log))


def one(text: str) -> bytes:
    return f"Nov 26 17:15:09 relay postfix/{text}\n".encode()


CLIENT = one("smtpd[5]: 1CF0E98AC21: client=localhost[127.0.0.1]")
NAMED = one("cleanup[6]: 1CF0E98AC21: message-id=<mail@example.org>")
TAKEN = one("qmgr[7]: 1CF0E98AC21: from=<b+x@example.org>, size=294, nrcpt=1 (queue active)")


def test_a_mail_that_no_queue_manager_took_is_unfinished() -> None:
    assert read([CLIENT, NAMED], "mail").fates == {"mail": Fate.UNFINISHED}


def test_the_queue_id_of_another_mail_says_nothing() -> None:
    other = one("cleanup[6]: 1CF0E98AC21: message-id=<other@example.org>")
    assert read([CLIENT, NAMED, CLIENT, other, TAKEN], "mail").fates == {"mail": Fate.UNFINISHED}


@pytest.mark.parametrize(
    "refusal",
    [
        one("cleanup[6]: 1CF0E98AC21: milter-reject: END-OF-MESSAGE from localhost[127.0.0.1]: 5.7.1 no"),
        one("smtpd[5]: 1CF0E98AC21: reject: END-OF-MESSAGE from localhost[127.0.0.1]: 552 5.3.4 too big"),
        one("smtpd[5]: timeout after DATA (77 bytes) from localhost[127.0.0.1]"),
    ],
)
def test_a_refusal_counts_and_a_later_try_can_still_be_accepted(refusal: bytes) -> None:
    assert read([CLIENT, NAMED, refusal], "mail").fates == {"mail": Fate.REFUSED}
    assert read([CLIENT, NAMED, refusal, CLIENT, NAMED, TAKEN], "mail").fates == {"mail": Fate.ACCEPTED}
    # Once accepted it stays so, and a try of unknown fate is not hidden behind a refused one.
    assert read([CLIENT, NAMED, TAKEN, CLIENT, NAMED, refusal], "mail").fates == {"mail": Fate.ACCEPTED}
    assert read([CLIENT, NAMED, CLIENT, NAMED, refusal], "mail").fates == {"mail": Fate.UNFINISHED}


def test_one_refused_recipient_of_several_refuses_no_mail() -> None:
    refused = one("smtpd[5]: 1CF0E98AC21: reject: RCPT from localhost[127.0.0.1]: 550 5.1.1 no")
    assert read([CLIENT, refused, NAMED, TAKEN], "mail").fates == {"mail": Fate.ACCEPTED}


@pytest.mark.parametrize(
    "line",
    [
        b"Nov 26 17:15:09 relay rsyslogd: imuxsock[pid 5]: 250 messages lost due to rate-limiting",
        b"Nov 26 17:15:09 relay rsyslogd: imuxsock lost 250 messages from pid 5 due to rate-limiting",
        b"Nov 26 17:15:09 relay systemd-journald[1]: Suppressed 250 messages from postfix.service",
    ],
)
def test_lines_that_were_dropped_are_noticed(line: bytes) -> None:
    assert read([line]).gaps


@pytest.mark.parametrize("line", [b"", b"\n", b"\xff\x00 postfix/cleanup[", b"x" * 70_000, b"/smtpd[]: : "])
def test_any_bytes_are_survived(line: bytes) -> None:
    assert read([line], "mail").fates == {}
    assert stamp(line, NOW) is None


def test_times_with_and_without_a_zone() -> None:
    exact = stamp(b"2026-11-26T17:15:07.5+02:00 relay x", NOW)
    assert exact is not None
    assert (exact.at, exact.exact) == (datetime(2026, 11, 26, 15, 15, 7, 500_000, tzinfo=UTC), True)
    assert stamp(b"2026-11-26T17:15:07Z relay x", NOW) is not None
    local = stamp(b"Nov  6 17:15:07 relay x", NOW)
    assert local is not None
    assert not local.exact
    assert local.at.astimezone().replace(tzinfo=None) == datetime(2026, 11, 6, 17, 15, 7)


def test_a_time_without_a_year_is_the_newest_that_has_been() -> None:
    new_year = datetime(2027, 1, 1, 12, 0, tzinfo=UTC)
    for text, year in (
        (b"Dec 31 11:00:00 h", 2026),
        (b"Jan  1 11:00:00 h", 2027),
        (b"Feb 29 11:00:00 h", 2024),
    ):
        found = stamp(text, new_year)
        assert found is not None
        assert found.at.year == year
    assert stamp(b"Foo 31 11:00:00 h", new_year) is None
    assert stamp(b"Feb 31 11:00:00 h", new_year) is None
