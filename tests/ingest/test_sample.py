"""The sample people are as many as promised, all can be mailed, and the bad rows are all bad."""

import csv
import io
import re
from collections import Counter
from itertools import pairwise

import pytest

from mailer.addresses import normalise_address
from mailer.ingest.people import Person, Reject, RejectReason, read_people, write_rejects
from mailer.ingest.sample import HEADER, sample_people
from mailer.messages.headers import header_address
from mailer.messages.slots import refuse_markers
from mailer.smtp.address import to_wire

TOPICS = frozenset({"statements", "symposia"})
RESERVED = re.compile(r"(.*\.)?(example\.(org|net|com)|[^.]+\.(test|example))")


def read(octets: bytes) -> tuple[list[Person], list[Reject]]:
    rows = list(read_people(io.BytesIO(octets), known_topics=TOPICS, default_language="en"))
    good = [row for row in rows if isinstance(row, Person)]
    return good, [row for row in rows if isinstance(row, Reject)]


@pytest.fixture(scope="module")
def sample() -> tuple[list[Person], list[Reject]]:
    return read(sample_people())


@pytest.mark.parametrize("count", [0, 1, 7, 8, 100, 1_300])
@pytest.mark.parametrize("bad", [0, 1, 30, 60])
def test_as_many_good_and_bad_rows_as_asked_for(count: int, bad: int) -> None:
    good, rejects = read(sample_people(count, bad))
    assert (len(good), len(rejects)) == (count, bad)
    assert len({normalise_address(one.address) for one in good}) == count


def test_the_same_call_gives_the_same_octets() -> None:
    assert sample_people() == sample_people(1000, 30)


def test_good_rows_do_not_change_with_the_bad_ones_or_the_count() -> None:
    def facts(count: int, bad: int) -> list[tuple[object, ...]]:
        return [(one.address, one.name, one.languages, one.topics, one.zone)
                for one in read(sample_people(count, bad))[0]]  # fmt: skip

    whole = facts(500, 0)
    assert facts(500, 30) == whole == facts(500, 700)
    assert facts(200, 30) == whole[:200]


def test_whoever_is_in_the_sample_can_be_mailed(sample: tuple[list[Person], list[Reject]]) -> None:
    for one in sample[0]:
        assert header_address(one.address) == one.address
        assert to_wire(one.address).octets == one.address.encode()
        assert RESERVED.fullmatch(one.address.rpartition("@")[2].encode().decode("idna"))
        refuse_markers(one.name or "")


def test_the_sample_is_spread(sample: tuple[list[Person], list[Reject]]) -> None:
    good, bad = sample
    languages = Counter(one.languages[0] for one in good)
    assert languages == dict.fromkeys(("en", "es", "fr", "ar", "hy", "uk", "fa", "zh"), 125)
    topics = Counter(one.topics for one in good)
    assert topics[("statements",)] > topics[("statements", "symposia")] > topics[("symposia",)] > 50
    assert len(topics) == 3
    zones = Counter(one.zone for one in good)
    assert len(zones) >= 18
    assert zones[None] > 50
    assert len({one.partition("/")[0] for one in zones if one}) >= 6
    # Quotation marks are written well, and there is no column of frequencies.
    not_there = {RejectReason.BROKEN_QUOTES, RejectReason.UNKNOWN_FREQUENCY}
    assert {one.reason for one in bad} == set(RejectReason) - not_there
    lines = [one.line for one in bad]
    assert all(10 < second - first < 100 for first, second in pairwise(lines))


def test_the_sample_is_as_awkward_as_promised(sample: tuple[list[Person], list[Reject]]) -> None:
    good = sample[0]
    local = [one.address.rpartition("@")[0] for one in good]
    names = [one.name or "" for one in good]
    assert min(
        sum("'" in one for one in local),
        sum("+" in one for one in local),
        sum(one.startswith('"') and " " in one for one in local),
        sum(len(one) == 64 for one in local),
        sum(not one.isascii() for one in local),
        sum("@xn--" in one.address for one in good) // 10,
        names.count(""),
        sum("," in one for one in names),
        sum('"' in one for one in names),
        sum("-" in one for one in names),
        sum("\u200c" in one for one in names),
        sum(len(one) > 80 for one in names),
        sum(bool(one) and " " not in one for one in names) // 10,
        sum(bool(re.search(r"[\u0600-\u06ff]", one)) for one in names) // 20,
    ) >= 10  # fmt: skip
    raw = sample_people().decode("utf-8-sig")
    assert all(f"@{domain}" in raw for domain in ("bücher.example", "عربي.example", "հայ.example"))


def test_the_file_opens_in_a_spreadsheet_without_formulas() -> None:
    rows = list(csv.reader(io.StringIO(sample_people().decode("utf-8-sig"), newline="")))
    assert tuple(rows[0]) == HEADER
    assert [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))] == []


def test_its_rejects_come_back_for_the_same_reasons(sample: tuple[list[Person], list[Reject]]) -> None:
    stream = io.BytesIO()
    write_rejects(stream, sample[1])
    good, again = read(stream.getvalue())
    kept = [one for one in sample[1] if one.reason is not RejectReason.DUPLICATE]
    repeated = [one for one in again if one.reason is not RejectReason.DUPLICATE]
    assert [(one.reason, one.cells) for one in repeated] == [(one.reason, one.cells) for one in kept]
    assert len(good) == 1
    assert not any("@" in one.sentence.replace("@-sign", "") for one in sample[1])
