"""The pure parts of the bench: a wrong percentile or a misread clock would make every figure a lie."""

import os
import socket
import time

import pytest

from bench import document, roundtrip
from bench.accounting import TICKS, cpu_of, parse_machine, parse_stat, parse_status
from bench.corridor import Run
from bench.embargo import Opening
from bench.fast_sink import Conversation, Sink
from bench.figures import median, percentile, ratio, rounded, shown, table
from bench.people import domain_for
from bench.report import embargo_figures
from bench.sinks import counted, fast_sink, proxy
from bench.stages import CLAIM, COMPOSE, JOURNAL, OTHER, SETTLE, SMTP, stage_of


@pytest.mark.parametrize(
    ("share", "expected"), [(50, 5), (90, 9), (91, 10), (99, 10), (100, 10), (1, 1), (10, 1)]
)
def test_a_percentile_is_a_measured_value(share: float, expected: float) -> None:
    assert percentile(range(10, 0, -1), share) == expected


def test_percentiles_of_nothing_and_out_of_range() -> None:
    assert percentile([], 50) is None
    with pytest.raises(ValueError, match="percentile"):
        percentile([1.0], 0)


def test_medians_and_ratios() -> None:
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 2, 3]) == 2.5
    assert median([]) is None
    assert ratio(1, 4) == 0.25
    assert ratio(None, 4) is None
    assert ratio(1, 0) is None


def test_figures_keep_what_was_measured() -> None:
    assert [shown(one) for one in (None, 12, 12345.6, 45.67, 0.527)] == ["–", "12", "12,346", "45.7", "0.53"]
    assert [rounded(one) for one in (None, 7, 12345.6, 0.52749)] == [None, 7, 12346, 0.527]


def test_a_table_is_markdown_with_columns_of_one_width() -> None:
    lines = table(("what", "n"), [("first", "1"), ("b", "1,000")]).splitlines()
    assert lines[0] == "| what  |     n |"
    assert lines[1] == "| ----- | ----: |"
    assert lines[3] == "| b     | 1,000 |"


def test_a_process_named_to_confuse_is_read_right() -> None:
    text = "4711 (a) b (c)) S 42 1 1 0 -1 4194304 100 200 0 0 150 50 30 20 20 0 1 0 1 1 1"
    stat = parse_stat(text)
    assert stat.parent == 42
    assert stat.own == 200 / TICKS
    assert stat.ended_children == 50 / TICKS
    assert stat.seconds == 250 / TICKS


def test_memory_is_read_in_megabytes() -> None:
    memory = parse_status("Name:\tx\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\n")
    assert (memory.rss, memory.peak) == (100.0, 200.0)
    assert parse_status("Name:\tkernel thread\n").rss == 0


def test_the_machine_is_busy_without_its_idle_time() -> None:
    machine = parse_machine("cpu  100 20 30 9000 500 4 6 8 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    assert machine.busy == 160 / TICKS
    assert machine.stolen == 8 / TICKS


def test_our_own_work_is_seen() -> None:
    before = cpu_of([os.getpid()])
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert cpu_of([os.getpid()]) - before >= 0.05
    assert cpu_of([-1]) == 0


PSYCOPG = ("/v/site-packages/psycopg/x.py", "execute")


@pytest.mark.parametrize(
    ("stage", "thread", "places"),
    [
        (COMPOSE, "T", [("/x/mailer/db/seal.py", "open"), ("/x/mailer/services/sending/dispatch.py", "d")]),
        (COMPOSE, "smtp-engine", [("/x/mailer/messages/form.py", "f"), ("/x/mailer/smtp/stream.py", "t")]),
        (CLAIM, "T", [PSYCOPG, ("/x/mailer/db/outbox.py", "lock_due")]),
        (SETTLE, "T", [PSYCOPG, ("/x/mailer/services/sending/settle.py", "s")]),
        (JOURNAL, "smtp-engine", [("/x/mailer/smtp/journal.py", "_a"), ("/x/mailer/smtp/pipeline.py", "w")]),
        (SMTP, "smtp-engine", [("/usr/lib/python3.11/threading.py", "run")]),
        (OTHER, "T", [("/v/site-packages/celery/x.py", "loop")]),
        (OTHER, "T", []),
    ],
)
def test_a_stack_belongs_to_the_stage_of_its_innermost_file_of_ours(
    stage: str, thread: str, places: list[tuple[str, str]]
) -> None:
    assert stage_of(places, thread)[0] == stage


def test_tables_go_between_their_marks_and_nowhere_else() -> None:
    page = "head\n<!-- bench: begin -->\nold\n<!-- bench: end -->\ntail\n"
    assert (
        document.between(page, "bench", "new")
        == "head\n<!-- bench: begin -->\nnew\n<!-- bench: end -->\ntail\n"
    )
    with pytest.raises(document.MarksMissing):
        document.between(page, "profile", "new")


def test_the_page_has_its_marks() -> None:
    page = document.PAGE.read_text(encoding="utf-8")
    for name in ("bench", "profile"):
        document.between(page, name, "")


def test_invented_people_live_in_reserved_domains() -> None:
    domains = {domain_for(share / 1000, number) for share in range(1000) for number in (1, 399)}
    assert {domain for domain in domains if not domain.endswith((".test", "example.org"))} == set()
    assert domain_for(0.0, 1) == "big.test"
    assert domain_for(0.999, 401) == "town1.test"


_ENVELOPE = b"MAIL FROM:<b+%d@x.test> SIZE=9\r\nRCPT TO:<r@x.test>\r\n"


class _Wire:
    """Keeps what the sink would have written."""

    def __init__(self) -> None:
        self.octets = b""

    def write(self, octets: bytes) -> None:
        self.octets += octets


def _said(octets: bytes, piece: int) -> tuple[Sink, bytes]:
    sink, wire = Sink(greeting=b"250 hello\r\n", chunking=True), _Wire()
    conversation = Conversation(sink)
    conversation.connection_made(wire)  # type: ignore[arg-type]
    for start in range(0, len(octets), piece):
        conversation.data_received(octets[start : start + piece])
    return sink, wire.octets


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 64, 10_000])
def test_the_sink_counts_right_however_the_bytes_are_cut(piece: int) -> None:
    sink, answers = _said(
        b"EHLO a\r\n"
        + _ENVELOPE % 1 + b"DATA\r\nA: b\r\n\r\nbody\r\n.not the end\r\n\r\n.\r\n"
        + _ENVELOPE % 2 + b"BDAT 7 LAST\r\n\r\n.\r\n--"
        + b"RSET\r\n" + _ENVELOPE % 3 + b"BDAT 3\r\nabcBDAT 2 LAST\r\nde"
        + _ENVELOPE % 1 + b"DATA\r\n.\r\n",
        piece,
    )  # fmt: skip
    assert (sink.count.mails, sink.count.twice, sink.count.bdat) == (4, 1, 2)
    assert sink.count.octets == 30 + 7 + 5
    assert answers.count(b"taken\r\n") == 5  # four mails and a chunk


@pytest.mark.parametrize(("ahead", "early"), [(-3600, 0), (3600, 6)])
def test_the_sink_tells_what_came_before_a_moment(ahead: int, early: int) -> None:
    mails = b"".join(_ENVELOPE % number + b"BDAT 2 LAST\r\nde" for number in (1, 2, 3))
    before = time.time()
    sink, _ = _said(b"XBENCH UNTIL %f\r\n" % (before + ahead) + mails, 7)
    assert (sink.count.mails, sink.count.early) == (3, early)  # three envelopes and three mails
    assert before <= sink.count.envelope_at <= sink.count.first_at


def test_of_several_embargoes_the_latest_first_mail_counts() -> None:
    def opened(first: float, early: int) -> Opening:
        return Opening(mails=9, first_envelope=first - 0.001, first_mail=first, last_mail=1.0, early=early)

    figures = embargo_figures([opened(0.02, 0), opened(0.08, 2), opened(0.03, 0)])
    assert figures["embargo_first_ms"] == pytest.approx(80)
    assert figures["embargo_envelope_earliest_ms"] == pytest.approx(19)
    assert (figures["embargo_early"], figures["embargo_armed"]) == (2, 9)
    assert embargo_figures([]) == {}


def test_the_proxy_adds_its_delay_and_keeps_the_order() -> None:
    with fast_sink() as sink, proxy(sink.port, one_way=0.005) as road:
        took = roundtrip.ping(road)
        assert 0.010 <= took < 0.040
        with socket.create_connection(("127.0.0.1", road.port), timeout=10) as connection:
            for number in range(200):
                connection.sendall(_ENVELOPE % number + b"BDAT 3 LAST\r\nabc")
            connection.sendall(b"QUIT\r\n")
            with connection.makefile("rb") as stream:
                answers = stream.read()
        assert answers.count(b"taken") == 200
        assert answers.endswith(b"221 2.0.0 bye\r\n")
        assert (counted(sink).mails, counted(sink).twice) == (200, 0)


def test_a_rate_is_mails_by_seconds() -> None:
    fields = dict.fromkeys(Run.__dataclass_fields__, 0)
    assert Run(**{**fields, "mails": 100, "seconds": 4}).rate == 25  # type: ignore[arg-type]
