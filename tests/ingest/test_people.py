"""Every row becomes a person who can be mailed or a reject that says why, and no file breaks the reader."""

import io
import string
import tracemalloc
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailer.addresses import normalise_address
from mailer.ingest import table
from mailer.ingest.errors import PeopleError
from mailer.ingest.people import (
    COLUMNS,
    Person,
    Reject,
    RejectReason,
    language_tag,
    read_people,
    write_rejects,
)
from mailer.ingest.table import guard, open_table, unguard, write_table
from mailer.messages.headers import header_address
from mailer.smtp.address import to_wire
from mailer.vocabulary import Frequency

TOPICS = frozenset({"statements", "symposia"})
HEADER = "email,name,language,topics,zone\n"


def read(
    text: str | bytes,
    *,
    topics: frozenset[str] = TOPICS,
    languages: frozenset[str] | None = None,
) -> list[Person | Reject]:
    octets = text.encode() if isinstance(text, str) else text
    stream = io.BytesIO(octets)
    return list(read_people(stream, known_topics=topics, default_language="en", known_languages=languages))


def person(text: str | bytes, **known: frozenset[str]) -> Person:
    (row,) = read(text, **known)
    assert isinstance(row, Person), row
    return row


def reject(text: str | bytes, **known: frozenset[str]) -> Reject:
    (row,) = read(text, **known)
    assert isinstance(row, Reject), row
    return row


def field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def written(rejects: Sequence[Reject]) -> bytes:
    stream = io.BytesIO()
    write_rejects(stream, rejects)
    return stream.getvalue()


# --- what a row may say


def test_a_whole_row() -> None:
    assert person(
        HEADER + "Anna@Bücher.Example,Anna Petrosyan,hy|ru|en,statements|symposia,Asia/Yerevan\n"
    ) == Person(
        line=2,
        address="Anna@xn--bcher-kva.example",
        name="Anna Petrosyan",
        languages=("hy", "ru", "en"),
        topics=("statements", "symposia"),
        zone="Asia/Yerevan",
    )


def test_only_the_address_is_needed() -> None:
    bare = person("email\nanna@example.org\n")
    assert (bare.name, bare.languages, bare.topics, bare.zone) == (None, ("en",), ("statements",), None)
    assert person(HEADER + "anna@example.org,,,,\n") == bare
    assert person("email\nanna@example.org\n", topics=frozenset({"symposia"})).topics == ()


@pytest.mark.parametrize("name", [alias for aliases in COLUMNS.values() for alias in aliases])
def test_columns_have_more_than_one_name(name: str) -> None:
    values = {
        "language": "hy",
        "languages": "hy",
        "topics": "symposia",
        "zone": "Asia/Yerevan",
        "frequency": "daily",
        "often": "daily",
    }
    column = next(column for column, aliases in COLUMNS.items() if name in aliases)
    if column == "email":
        assert person(f"Ignored;{name.upper()}\nx;anna@example.org\n").address == "anna@example.org"
        return
    found = person(f"email, {name.title()} \nanna@example.org,{values.get(name, 'Anna')}\n")
    assert {
        "name": found.name == "Anna",
        "language": found.languages == ("hy",),
        "topics": found.topics == ("symposia",),
        "zone": found.zone == "Asia/Yerevan",
        "frequency": found.frequency is Frequency.DAILY,
    }[column]


@pytest.mark.parametrize(
    ("cell", "frequency"),
    [
        ("", Frequency.AT_ONCE),
        ("at once", Frequency.AT_ONCE),
        ("At-Once", Frequency.AT_ONCE),
        (" DAILY ", Frequency.DAILY),
        ("weekly", Frequency.WEEKLY),
    ],
)
def test_how_often_is_read_as_people_write_it(cell: str, frequency: Frequency) -> None:
    assert person(f"email,frequency\nanna@example.org,{cell}\n").frequency is frequency


def test_an_unknown_frequency_is_refused_with_those_there_are() -> None:
    refused = reject("email,frequency\nanna@example.org,hourly\n")
    assert refused.reason is RejectReason.UNKNOWN_FREQUENCY
    assert "at_once, daily or weekly" in refused.sentence


def test_the_clearest_column_wins() -> None:
    found = person("address,First Name,name,email\n1 Main Street,Anna,Anna P.,anna@example.org\n")
    assert (found.address, found.name) == ("anna@example.org", "Anna P.")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_marks_and_line_ends(delimiter: str, bom: bytes, end: str) -> None:
    text = end.join(
        delimiter.join(cells)
        for cells in (
            ("email", "name", "topics"),
            ("anna@example.org", '"a,b;c"', '"statements;symposia"'),
        )
    )
    found = person(bom + text.encode())
    assert (found.line, found.name, found.topics) == (2, "a,b;c", ("statements", "symposia"))


def test_the_delimiter_is_read_from_the_header_alone() -> None:
    assert person("email;name\nanna@example.org;a,b,c,d,e\n").name == "a,b,c,d,e"


@pytest.mark.parametrize("between", ["|", ";", " ", " | ", ", ", "\n"])
def test_topics_are_parted_in_many_ways(between: str) -> None:
    cell = f"symposia{between}statements{between}Symposia"
    assert person(f"email,topics\nanna@example.org,{field(cell)}\n").topics == ("symposia", "statements")


@pytest.mark.parametrize(
    ("cell", "languages"),
    [
        ("hy", ("hy",)),
        ("HY|en|hy", ("hy", "en")),
        ("pt_br zh-hant-tw es-419", ("pt-BR", "zh-Hant-TW", "es-419")),
        ("kmr|sl-rozaj", ("kmr", "sl-rozaj")),
    ],
)
def test_languages_are_an_ordered_wish(cell: str, languages: tuple[str, ...]) -> None:
    assert person(f"email,language\nanna@example.org,{cell}\n").languages == languages


@pytest.mark.parametrize(
    "word", ["english", "e", "12", "hy-", "en-x", "h*", "hy--am", "İs", "русский", "-en"]
)
def test_a_garbage_language_is_refused(word: str) -> None:
    assert language_tag(word) is None
    found = reject(f"email,language\nanna@example.org,en|{word}\n")
    assert found.reason is RejectReason.UNKNOWN_LANGUAGE


def test_known_languages_narrow_the_wish() -> None:
    known = frozenset({"en", "pt-BR"})
    assert person("email,language\na@example.org,en-GB|pt-br\n", languages=known).languages == (
        "en-GB",
        "pt-BR",
    )
    refused = reject("email,language\na@example.org,en|pt\n", languages=known)
    assert refused.reason is RejectReason.UNKNOWN_LANGUAGE


@pytest.mark.parametrize("zone", ["Asia/Yerevan", "UTC", "America/Argentina/Buenos_Aires", " Europe/Kyiv "])
def test_known_zones(zone: str) -> None:
    assert person(f"email,zone\na@example.org,{zone}\n").zone == zone.strip()


def test_a_name_keeps_its_letters_and_loses_what_nobody_sees() -> None:
    text = "  علی\u200cرضا\u202e  \u200bنیک\u200cفر "
    assert person(f"email,name\na@example.org,{text}\n").name == "علی\u200cرضا نیک\u200cفر"
    assert person('email,name\na@example.org,"Lee, ""Jo"""\n').name == 'Lee, "Jo"'


# --- what is refused


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (",Anna,,,", RejectReason.MISSING_ADDRESS),
        (" ,Anna,,,", RejectReason.MISSING_ADDRESS),
        ("anna,,,,", RejectReason.BAD_ADDRESS),
        ("\x00anna@example.org,,,,", RejectReason.CONTROL_CHARACTERS),
        ('"an\nna@example.org",,,,', RejectReason.CONTROL_CHARACTERS),
        ('anna@example.org,"An\nna",,,', RejectReason.CONTROL_CHARACTERS),
        ("anna@example.org,An\x00na,,,", RejectReason.CONTROL_CHARACTERS),
        ("anna@example.org,An\ue000na,,,", RejectReason.CONTROL_CHARACTERS),
        ("anna@example.org,An\u2028na,,,", RejectReason.CONTROL_CHARACTERS),
        (f"anna@example.org,{'n' * 201},,,", RejectReason.TOO_LONG),
        (f"{'a' * 65}@example.org,,,,", RejectReason.TOO_LONG),
        (f"{'é' * 33}@example.org,,,,", RejectReason.TOO_LONG),
        (f"{'a' * 64}@{'b' * 60}.{'b' * 60}.{'b' * 60}.example,,,,", RejectReason.TOO_LONG),
        (f"{'a' * 60_000},,,,", RejectReason.TOO_LONG),
        (f"anna@example.org,,{'en|' * 11},,", RejectReason.TOO_LONG),
        ("anna@example.org,,klingon,,", RejectReason.UNKNOWN_LANGUAGE),
        ("anna@example.org,,,statements|concerts,", RejectReason.UNKNOWN_TOPIC),
        ("anna@example.org,,,,Asia/Yerewan", RejectReason.UNKNOWN_ZONE),
        ("anna@example.org,,,,../../etc/passwd", RejectReason.UNKNOWN_ZONE),
        ("anna@example.org,,,", RejectReason.WRONG_COLUMNS),
        ("anna@example.org,,,,,", RejectReason.WRONG_COLUMNS),
        ('"anna b"@example.org,,,,', RejectReason.BROKEN_QUOTES),
        ('anna@example.org,"Anna,,,', RejectReason.BROKEN_QUOTES),
        ("anna@example.org,An\rna,,,", RejectReason.BROKEN_QUOTES),
    ],
)  # fmt: skip
def test_a_bad_row_has_one_reason_and_undoes_no_other(cells: str, reason: RejectReason) -> None:
    first, bad, last = read(f"{HEADER}first@example.org,,,,\n{cells}\nlast@example.org,,,,\n")
    assert isinstance(bad, Reject)
    assert (bad.reason, bad.line, bad.header) == (reason, 3, tuple(HEADER.strip().split(",")))
    assert "anna" not in bad.sentence.lower()
    assert isinstance(first, Person)
    assert isinstance(last, Person)
    assert last.line == 4 + cells.count("\n")


@pytest.mark.parametrize(
    "address",
    [
        "anna.example.org",
        "an na@example.org",
        "anna@exa mple.org",
        "an..na@example.org",
        ".anna@example.org",
        "anna.@example.org",
        "anna@",
        "@example.org",
        "@",
        "anna@@example.org",
        "anna@localhost",
        "anna@example",
        "anna@[192.0.2.1]",
        "anna@-a.example",
        "anna@a_b.example",
        "anna@.example.org",
        "anna@example..org",
        "Anna <anna@example.org>",
        "<anna@example.org>",
        "mailto:anna@example.org",
        "anna@example.org,bo@example.org",
        "anna@example.org bo@example.org",
        "anna＠example.org",
        "anna@" + "x" * 64 + ".example",
        '""@example.org',
        '"anna@example.org',
        '"a<b>"@example.org',
        '"añ b"@example.org',
        "\u0301anna@example.org",
        "anna@xn--a.example",
        "an(na)@example.org",
        "anna@printer.local",
        "an\u202ena@example.org",
    ],
)
def test_bad_addresses_are_refused_without_repeating_them(address: str) -> None:
    found = reject(f"email,name\n{field(address)},x\n")
    assert found.reason is RejectReason.BAD_ADDRESS
    assert not {"anna", "example", "192"} & set(found.sentence.lower().split())
    assert address.strip("@<>") not in found.sentence or address == "@"
    assert found.cells == (address, "x")


@pytest.mark.parametrize(
    ("address", "wire"),
    [
        ("o'neill+news@example.org", None),
        ("a@x.test", None),
        ("anna@example.invalid", None),
        ("anna@INVALID.example.net", "anna@invalid.example.net"),
        ("anna@sub.example", None),
        ("Ա.Բ@հայ.example", "Ա.Բ@xn--y9a3aq.example"),
        ("ليلى@عربي.example", "ليلى@xn--ngbrx4e.example"),
        ("josé@example.org", None),
        ("jose\u0301@example.org", "josé@example.org"),
        ("x" * 64 + "@example.org", None),
        ('"anna b"@example.org', None),
        ('"a@b\\"c"@example.org', None),
        ('"anna"@example.org', "anna@example.org"),
        ("!#$%&'*+-/=?^_`{|}~@example.org", None),
        ("\u00a0anna@example.org. ", "anna@example.org"),
    ],
)
def test_awkward_addresses_are_taken(address: str, wire: str | None) -> None:
    assert person(f"email,name\n{field(address)},\n").address == (wire or address)


@pytest.mark.parametrize(
    "again",
    ["anna@bücher.example", "ANNA@XN--bcher-kva.EXAMPLE", ' "anna"@bücher.example', "'anna@bücher.example"],
)
def test_the_same_mailbox_twice(again: str) -> None:
    rows = read(f"email,name\nAnna@Bücher.example,\n\nbad,\n{field(again)},\n")
    if again.startswith("'a"):
        assert isinstance(rows[2], Person)  # an apostrophe before a letter guards nothing: it is part of it
        return
    assert isinstance(rows[2], Reject)
    assert (rows[2].reason, rows[2].line) == (RejectReason.DUPLICATE, 5)
    assert "line 2 " in rows[2].sentence


def test_a_bad_row_does_not_make_the_good_one_a_duplicate() -> None:
    first, second = read("email,zone\nanna@example.org,Nowhere\nanna@example.org,UTC\n")
    assert isinstance(first, Reject)
    assert isinstance(second, Person)


def test_neither_people_nor_rejects_show_an_address_when_printed() -> None:
    rows = read(HEADER + "anna@example.org,Anna,,,\nanna.example.org,Anna,,,\n")
    assert "anna" not in repr(rows).lower()


def test_blank_rows_are_no_rows() -> None:
    assert read(f"{HEADER}\n  \n,,,,\n,,,,,,,\n") == []


def test_a_stray_quotation_mark_costs_only_its_own_row() -> None:
    rows = read('email,name\na@example.org,"Anna\n' + "".join(f"b{n}@example.org,\n" for n in range(50)))
    assert [type(row) for row in rows] == [Reject] + [Person] * 50
    rows = read('email,name\na@example.org,"Anna\nb@example.org,"Bo"\nc@example.org,\n')
    assert [type(row) for row in rows] == [Reject, Person, Person]
    assert [row.line for row in rows] == [2, 3, 4]


def test_an_endless_line_is_passed_over() -> None:
    long = b"a" * (table.LONGEST_LINE * 3)
    rows = read(b"email\na@example.org\n" + long + b"\nb@example.org\n" + long)
    assert [(row.line, type(row)) for row in rows] == [(2, Person), (3, Reject), (4, Person), (5, Reject)]
    quoted = read(b'email,name\na@example.org,"\n' + long + b"\nb@example.org,\n")
    assert [(row.line, type(row)) for row in quoted] == [(2, Reject), (3, Reject), (4, Person)]


# --- what stops a file


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"anna@example.org,Anna\nbo@example.org,Bo\n", "holds an address where"),
        (b"Mail,Nom\nx,y\n", "the file has: Mail, Nom. The first line must name the columns: email"),
        (b"name,,\n", "the file has: name, (no name), (no name)."),
        (b"email,E-Mail,Email\n", "Two columns are called email"),
        (b"email,name,Name\n", "Two columns are called name"),
        (b'"email\nanna@example.org\n', "quotation marks in the first line"),
        (b"email\ranna@example.org\r", "CSV UTF-8"),
        ("email\n".encode("utf-16-le"), "CSV UTF-8"),
        ("email\n".encode("utf-16"), "byte 1 of line 1 (byte 1 of the file)"),
        (b"a" * 70_000, "endless"),
        (b"email,name\na@example.org,Jos\xe9\n", "byte 18 of line 2 (byte 29 of the file)"),
        (b"\xef\xbb\xbfemail,n\xe9\n", "byte 11 of line 1 (byte 11 of the file)"),
        (b"email\n" + b"\n" * 2_000 + b"\xff", "byte 1 of line 2,002 (byte 2,007 of the file)"),
    ],
)
def test_what_concerns_the_whole_file_is_one_clear_message(octets: bytes, said: str) -> None:
    with pytest.raises(PeopleError) as stopped:
        read(octets)
    assert said in str(stopped.value)
    assert "anna" not in str(stopped.value).lower()


def test_a_default_language_must_be_one() -> None:
    with pytest.raises(PeopleError, match="must be a tag"):
        read_people(io.BytesIO(b"email\n"), known_topics=TOPICS, default_language="english")


def test_the_header_is_judged_before_the_first_row_is_asked_for() -> None:
    with pytest.raises(PeopleError):
        read_people(io.BytesIO(b"Nom\n"), known_topics=TOPICS, default_language="en")


def test_another_encoding_is_found_where_it_stands_and_earlier_rows_stay() -> None:
    stream = io.BytesIO(b"email,name\na@example.org,\n" + "b@example.org,Müller".encode("latin-1"))
    rows = read_people(stream, known_topics=TOPICS, default_language="en")
    assert isinstance(next(rows), Person)
    with pytest.raises(PeopleError, match=r"not in UTF-8: byte 16 of line 3 .*save it as"):
        next(rows)


class Endless(io.RawIOBase):
    """A file that never ends: one line over and over, counting what was taken of it."""

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._left = HEADER.encode()
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._left = self._left or self._line
        octets = self._left[: len(buffer)]
        self._left = self._left[len(octets) :]
        buffer[: len(octets)] = octets
        self.taken += len(octets)
        return len(octets)


@pytest.mark.parametrize(
    "line", [b"a@example.org," + b"n" * 60_000 + b",,,\n", b"no line end, ever " * 4_000]
)
def test_an_endless_file_is_stopped_at_the_limit_in_bounded_memory(line: bytes) -> None:
    source = Endless(line)
    rows = read_people(io.BufferedReader(source), known_topics=TOPICS, default_language="en")
    tracemalloc.start()
    try:
        with pytest.raises(PeopleError, match=r"larger than 64 MiB.*Split it"):
            deque(rows, maxlen=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert source.taken <= table.MAX_BYTES + 2 * table.LONGEST_LINE
    assert peak < 8 * 1024**2


def test_too_many_rows_are_stopped_and_earlier_rows_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    assert table.MAX_ROWS == 1_000_000
    monkeypatch.setattr(table, "MAX_ROWS", 3)
    text = "email\n" + "\n".join(f"a{n}@example.org\n" for n in range(4))
    rows = read_people(io.BytesIO(text.encode()), known_topics=TOPICS, default_language="en")
    assert [next(rows).line for _ in range(3)] == [2, 4, 6]
    with pytest.raises(PeopleError, match=r"more than 3 rows; reading stopped at line 8\. Split it"):
        next(rows)
    assert len(read(text.rpartition("\n")[0].rpartition("\n")[0])) == 3


# --- out and in again


@pytest.mark.parametrize(
    ("cell", "guarded"),
    [
        ("=1+1", "'=1+1"),
        ("+tag@example.org", "'+tag@example.org"),
        ("-Anna", "'-Anna"),
        ("@anna", "'@anna"),
        ("  =x", "'  =x"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("\uff1dx", "'\uff1dx"),
        ("\uff0bx", "'\uff0bx"),
        ("\uff0dx", "'\uff0dx"),
        ("\uff20x", "'\uff20x"),
        ("'=x", "''=x"),
        ("''-x", "'''-x"),
        ("o'neill", "o'neill"),
        ("'anna", "'anna"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_formulas_are_guarded_and_the_guard_comes_off(cell: str, guarded: str) -> None:
    assert guard(cell) == guarded
    assert unguard(guarded) == cell


ANYTHING = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from("'=+-@\t\r\n\"|;, \0\uff1d"),
    ),
    max_size=12,
)


@settings(deadline=None)
@given(ANYTHING)
def test_taking_the_guard_off_is_exact(cell: str) -> None:
    assert unguard(guard(cell)) == cell


@settings(deadline=None)
@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(ANYTHING, min_size=width, max_size=width))))
def test_a_table_that_is_written_is_read_back_exactly(rows: list[list[str]]) -> None:
    rows = [["x", *row] for row in rows]  # a row of blanks only would be passed over
    width = len(rows[0]) if rows else 1
    stream = io.BytesIO()
    write_table(stream, [f"c{n}" for n in range(width)], rows)
    stream.seek(0)
    assert [list(row.cells) for row in open_table(stream).rows] == rows


def test_rejects_are_mended_in_their_own_file() -> None:
    rows = read('email;Street;name\n=anna;"Main; St";Anna\n+b@example.org;;"B\nC"\nc@example.org;x\n')
    rejects = [row for row in rows if isinstance(row, Reject)]
    octets = written(rejects)
    assert octets.decode("utf-8-sig").splitlines()[:2] == [
        '"reason","email","Street","name"',
        '"The address has no @-sign.","\'=anna","Main; St","Anna"',
    ]
    mended = (
        octets.replace(b"'=anna", b"anna@example.org").replace(b"B\nC", b"B C").replace(b'"x"', b'"x","C"')
    )
    assert [(row.address, row.name) for row in read(mended) if isinstance(row, Person)] == [
        ("anna@example.org", "Anna"),
        ("+b@example.org", "B C"),
        ("c@example.org", "C"),
    ]


def test_a_file_without_rejects_and_two_files_in_one() -> None:
    assert written([]) == b'\xef\xbb\xbf"reason"\r\n'
    with pytest.raises(ValueError, match="a file each"):
        written([reject("email\nx\n"), reject("email,name\nx,y\n")])


WORDS = st.one_of(
    st.sampled_from(
        [
            "anna@example.org",
            "Anna",
            "=anna@example.org",
            "hy|en",
            "x",
            "",
            "statements",
            "UTC",
            '"',
            "\n",
            "é",
        ]
    ),
    ANYTHING,
)


@settings(deadline=None)
@given(st.lists(st.lists(WORDS, min_size=1, max_size=6)), st.booleans())
def test_unmended_rejects_are_rejected_again_for_the_same_reason(rows: list[list[str]], quoted: bool) -> None:
    lines = [",".join(map(field, row) if quoted else row) for row in rows]
    rejects = [row for row in read(HEADER + "\n".join(lines)) if isinstance(row, Reject)]
    again = read(written(rejects)) if rejects else []
    # Of a mailbox that came twice the first is in no reject file, so the second is good by then.
    kept = [one for one in rejects if one.reason is not RejectReason.DUPLICATE]
    repeated = [one for one in again if isinstance(one, Reject) and one.reason is not RejectReason.DUPLICATE]
    assert [one.cells for one in repeated] == [one.cells for one in kept]
    # A row whose quotation marks were broken has been quoted whole: one field, which is too few.
    assert [one.reason for one in repeated] == [
        RejectReason.WRONG_COLUMNS if one.reason is RejectReason.BROKEN_QUOTES else one.reason for one in kept
    ]
    assert {one.header for one in repeated} <= {one.header for one in rejects}


@settings(deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", HEADER.encode(), b"email\n", b"email;name\n"]))
def test_no_octets_break_the_reader(octets: bytes, header: bytes) -> None:
    with suppress(PeopleError):
        assert all(isinstance(row, Person | Reject) for row in read(header + octets))


LOCAL_PARTS = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    st.text(string.ascii_letters + "!#$%&'*+-/=?^_`{|}~.", min_size=1, max_size=64),
    st.text(string.printable, max_size=20).map(lambda text: f'"{text}"'),
    st.text('aé.\u037e\u212b\u200c\u0301<>"\\ ;@', max_size=12).map(lambda text: f'"{text}"'),
)
DOMAINS = st.one_of(
    st.sampled_from(
        ["example.org", "bücher.example", "عربي.example", "a.invalid", "x.test", "invalid", "[::1]"]
    ),
    st.text("ab-_.éعß。", min_size=1, max_size=12).map(lambda text: f"{text}.example"),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=12).map(lambda text: f"{text}.test"),
)


@settings(deadline=None)
@given(LOCAL_PARTS, DOMAINS)
def test_whoever_is_taken_can_be_mailed(local: str, domain: str) -> None:
    stream = io.BytesIO()
    write_table(stream, ["email"], [[f"{local}@{domain}"]])
    for row in read(stream.getvalue()):
        if isinstance(row, Person):
            assert header_address(row.address) == row.address
            assert to_wire(row.address).octets == row.address.encode()
            assert normalise_address(row.address)
