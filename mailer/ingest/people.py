"""Subscribers from CSV: each row becomes a Person who can be mailed, or a Reject with its reason.

A row is judged alone, but for duplicates, so a bad one undoes no good one. Rejects are written to a
file with the reason in front, to be mended and imported again. No sentence here repeats what a cell
says: an address may stand in any of them.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import BinaryIO
from unicodedata import category
from zoneinfo import available_timezones

from email_validator import EmailNotValidError, validate_email

from mailer.addresses import AddressError, normalise_address, wire_address
from mailer.ingest.errors import PeopleError
from mailer.ingest.table import LONGEST_LINE, Fault, Row, open_table, write_table
from mailer.visible import one_line
from mailer.vocabulary import Frequency

DEFAULT_TOPIC = "statements"
LONGEST_ADDRESS = 254  # octets, RFC 5321 4.5.3.1.3
LONGEST_LOCAL_PART = 64  # octets, RFC 5321 4.5.3.1.1
LONGEST_NAME = 200  # characters
MOST_LANGUAGES = 10
REASON = "reason"  # the column that write_rejects adds and the reader passes over

# What a column may be called; the first that the file has is read.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "email": ("email", "e-mail", "address"),
    "name": ("name", "first_name", "full_name"),
    "language": ("language", "languages"),
    "topics": ("topics",),
    "zone": ("zone",),
    "frequency": ("frequency", "often"),
}
# Cells are parted at any of these; the file's own delimiter stands in quotation marks.
_BETWEEN = re.compile(r"[|;,\s]+")
_TAG = re.compile(  # RFC 5646 2.1: language, script, region, variants; no extensions
    r"([a-z]{2,3})(?:-([a-z]{4}))?(?:-([a-z]{2}|[0-9]{3}))?((?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3})){0,3})"
)
_UNPRINTABLE = frozenset(("Cc", "Co", "Cs", "Zl", "Zp"))


class RejectReason(StrEnum):
    MISSING_ADDRESS = "missing_address"
    BAD_ADDRESS = "bad_address"
    DUPLICATE = "duplicate"
    TOO_LONG = "too_long"
    CONTROL_CHARACTERS = "control_characters"
    UNKNOWN_LANGUAGE = "unknown_language"
    UNKNOWN_TOPIC = "unknown_topic"
    UNKNOWN_ZONE = "unknown_zone"
    UNKNOWN_FREQUENCY = "unknown_frequency"
    WRONG_COLUMNS = "wrong_columns"
    BROKEN_QUOTES = "broken_quotes"


@dataclass(frozen=True, kw_only=True)
class Person:
    """Someone who can be mailed. `address` is in wire form, `languages` in order of preference."""

    line: int
    address: str = field(repr=False)
    name: str | None = field(repr=False)
    languages: tuple[str, ...]
    topics: tuple[str, ...]
    zone: str | None
    frequency: Frequency = Frequency.AT_ONCE
    others: Mapping[str, str] = field(default_factory=dict, repr=False)  # further columns, as they stand


@dataclass(frozen=True, kw_only=True)
class Reject:
    """A row that was not taken: its first line, why, and its cells as they were, to be mended."""

    line: int
    reason: RejectReason
    sentence: str
    cells: tuple[str, ...] = field(repr=False)
    header: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Known:
    """What a row may name. Topics by their casefolded key; languages None: any well-formed tag."""

    topics: Mapping[str, str]
    default_topics: tuple[str, ...]
    default_language: str
    languages: frozenset[str] | None
    zones: frozenset[str]


class _Refusal(Exception):
    """A row is not taken; caught here, and handed on as a Reject."""

    def __init__(self, reason: RejectReason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


def read_people(
    stream: BinaryIO,
    *,
    known_topics: frozenset[str],
    default_language: str,
    known_languages: frozenset[str] | None = None,
    others: Collection[str] = (),
) -> Iterator[Person | Reject]:
    """Read the header now, and return the people and rejects of all rows that are not blank, in order.

    Without a language a row gets `default_language`, without a topic `statements` if that is known.
    `others` are further columns whose cells are handed on as they stand.
    `known_languages` (whole tags, or bare languages for all their forms) narrows what may be wished for.
    PeopleError, now or while reading: what concerns the whole file; see `open_table`.
    """
    if language_tag(default_language) is None:
        raise PeopleError("The language of rows that name none must be a tag such as en or hy.")
    table = open_table(stream)
    columns = _columns(table.header)
    further = _further(table.header, others)
    known = _Known(
        topics={key.casefold(): key for key in known_topics},
        default_topics=(DEFAULT_TOPIC,) if DEFAULT_TOPIC in known_topics else (),
        default_language=default_language,
        languages=known_languages,
        zones=frozenset(zone for zone in available_timezones() if _is_place(zone)) | {"UTC"},
    )
    return _people(table.rows, table.header, columns, known, further)


def write_rejects(stream: BinaryIO, rejects: Sequence[Reject]) -> None:
    """Write the rejects of one file as CSV in UTF-8: why, then the row as it was, fields guarded.

    The reason stands first, so that a row with too few or too many cells keeps them where they were.
    """
    header = rejects[0].header if rejects else ()
    if any(reject.header != header for reject in rejects):
        raise ValueError("Rejects of files with different columns need a file each.")
    write_table(stream, (REASON, *header), ((reject.sentence, *reject.cells) for reject in rejects))


def _is_place(zone: str) -> bool:
    """True for Area/City names. EST, Etc/GMT+5 and their like are fixed offsets: an hour off all summer."""
    return "/" in zone and not zone.startswith(("Etc/", "SystemV/"))


def language_tag(word: str) -> str | None:
    """Return a BCP 47 tag in its usual letters (`pt_br` -> `pt-BR`); None for what is not formed like one."""
    found = _TAG.fullmatch(word.replace("_", "-").lower())
    if found is None:
        return None
    language, script, region, variants = found.groups()
    parts = (language, script and script.title(), region and region.upper())
    return "-".join(part for part in parts if part) + variants


def _columns(header: Sequence[str]) -> Mapping[str, int]:
    names = [re.sub(r"[\s_]+", "_", name.strip().casefold()) for name in header]
    found: dict[str, int] = {}
    for column, aliases in COLUMNS.items():
        alias = next((alias for alias in aliases if alias in names), None)
        if alias is None:
            continue
        if names.count(alias) > 1:
            raise PeopleError(f"Two columns are called {alias}. Rename the one that is not meant.")
        found[column] = names.index(alias)
    if "email" in found:
        return found
    if any("@" in name for name in header):
        problem = "The first line holds an address where the names of the columns should be."
    else:
        seen = ", ".join(one_line(name)[:40] or "(no name)" for name in header[:20])
        problem = f"No column holds the addresses; the file has: {seen}."
    raise PeopleError(
        f"{problem} The first line must name the columns: email (needed; or address), name, language, "
        f"topics, zone, frequency. Other columns are passed over."
    )


def _further(header: Sequence[str], others: Collection[str]) -> Mapping[str, int]:
    return {name: place for place, cell in enumerate(header) if (name := cell.strip().casefold()) in others}


def _people(
    rows: Iterator[Row],
    header: tuple[str, ...],
    columns: Mapping[str, int],
    known: _Known,
    further: Mapping[str, int],
) -> Iterator[Person | Reject]:
    seen: dict[str, int] = {}  # index form -> the line it was first on
    ours = [place for place, name in enumerate(header) if name.strip().casefold() == REASON]
    for row in rows:
        try:
            person = _person(row, len(header), columns, known)
            first = seen.setdefault(normalise_address(person.address), row.line)
            if first != row.line:
                raise _Refusal(
                    RejectReason.DUPLICATE,
                    f"The same address stands on line {first:,} already. Keep one of them.",
                )
        except _Refusal as refusal:
            yield Reject(
                line=row.line,
                reason=refusal.reason,
                sentence=refusal.sentence,
                cells=row.cells if row.fault else _without(row.cells, ours),
                header=_without(header, ours),
            )
        else:
            yield replace(person, others={name: row.cells[at] for name, at in further.items()})


def _without(cells: tuple[str, ...], places: Sequence[int]) -> tuple[str, ...]:
    return tuple(cell for place, cell in enumerate(cells) if place not in places) if places else cells


def _person(row: Row, width: int, columns: Mapping[str, int], known: _Known) -> Person:
    if row.fault is Fault.LENGTH:
        raise _Refusal(
            RejectReason.TOO_LONG,
            f"The line is longer than {LONGEST_LINE // 1024} KiB and was passed over. Mend it in the file.",
        )
    if row.fault is Fault.QUOTES:
        raise _Refusal(
            RejectReason.BROKEN_QUOTES,
            "The quotation marks do not fit: a field that begins with one ends with one, "
            "and each one inside is doubled.",
        )
    if len(row.cells) != width:
        raise _Refusal(
            RejectReason.WRONG_COLUMNS,
            f"The row has {len(row.cells)} fields where the header has {width}. "
            f"Put a field that holds the delimiter in quotation marks.",
        )
    cells = {column: row.cells[place] for column, place in columns.items()}
    return Person(
        line=row.line,
        address=_address(cells["email"].strip()),
        name=_name(cells.get("name", "").strip()),
        languages=_languages(cells.get("language", ""), known),
        topics=_topics(cells.get("topics", ""), known),
        zone=_zone(cells.get("zone", "").strip(), known),
        frequency=_frequency(cells.get("frequency", "")),
    )


def _address(text: str) -> str:
    """The address in wire form, such that every later room accepts it (headers, SMTP)."""
    if not text:
        raise _Refusal(RejectReason.MISSING_ADDRESS, "The address is missing.")
    _refuse_unprintable(text, "address")
    too_long = _Refusal(
        RejectReason.TOO_LONG,
        f"The address is too long: {LONGEST_LOCAL_PART} bytes before the @-sign, {LONGEST_ADDRESS} in all.",
    )
    if len(text) > LONGEST_ADDRESS:
        raise too_long
    try:
        local, _, domain = wire_address(text).rpartition("@")
        # The validator refuses .invalid, which is as reserved as .example is, and as long.
        checked = f"{domain.removesuffix('.invalid')}.example" if domain.endswith(".invalid") else domain
        if len(local.encode()) > LONGEST_LOCAL_PART or len(f"{local}@{domain}".encode()) > LONGEST_ADDRESS:
            raise too_long
        # The local part comes back in its plainest form: "anna"@ and anna@ are one mailbox.
        local = validate_email(
            f"{local}@{checked}",
            allow_smtputf8=True,
            allow_quoted_local=True,
            check_deliverability=False,
            test_environment=True,
        ).local_part
    except (AddressError, EmailNotValidError):
        # The library's own words may hold parts of the address.
        raise _Refusal(RejectReason.BAD_ADDRESS, _what_is_wrong(text)) from None
    if local.startswith('"') and (not local.isascii() or "<" in local or ">" in local):
        raise _Refusal(
            RejectReason.BAD_ADDRESS,
            "The part in quotation marks before the @-sign holds angle brackets or other than Latin letters, "
            "which servers do not take.",
        )
    return f"{local}@{domain}"


def _what_is_wrong(address: str) -> str:
    if "@" not in address:
        return "The address has no @-sign."
    if "<" in address:
        return "The address stands in angle brackets or beside a name. Leave only the address."
    if address.startswith("@") or address.endswith("@"):
        return "The address has nothing before or after its @-sign."
    if any(letter.isspace() for letter in address):
        return "There is a blank inside the address, or more than one address."
    if ".." in address:
        return "The address has two dots in a row."
    if address.count("@") > 1:
        return "The address has more than one @-sign."
    return "This is not an e-mail address that can be mailed to. Look at it letter by letter."


def _refuse_unprintable(text: str, what: str) -> None:
    if text.isascii() and text.isprintable():
        return
    if any(category(letter) in _UNPRINTABLE for letter in text):
        raise _Refusal(
            RejectReason.CONTROL_CHARACTERS,
            f"The {what} holds a line end or another control character. Take it out.",
        )


def _name(text: str) -> str | None:
    _refuse_unprintable(text, "name")
    name = one_line(text)
    if len(name) > LONGEST_NAME:
        raise _Refusal(RejectReason.TOO_LONG, f"The name is longer than {LONGEST_NAME} letters. Shorten it.")
    return name or None


def _languages(text: str, known: _Known) -> tuple[str, ...]:
    words = [word for word in _BETWEEN.split(text) if word]
    if len(words) > MOST_LANGUAGES:
        raise _Refusal(
            RejectReason.TOO_LONG, f"There are more than {MOST_LANGUAGES} languages. Keep the first."
        )
    tags = [language_tag(word) for word in words] or [known.default_language]
    found = tuple(dict.fromkeys(tag for tag in tags if tag is not None))
    if None in tags or not all(_is_known(tag, known.languages) for tag in found):
        raise _Refusal(
            RejectReason.UNKNOWN_LANGUAGE,
            "A language is unknown. Write tags such as en, hy or pt-BR, the first wish first: hy|ru|en.",
        )
    return found


def _is_known(tag: str, languages: frozenset[str] | None) -> bool:
    return languages is None or tag in languages or tag.partition("-")[0] in languages


def _topics(text: str, known: _Known) -> tuple[str, ...]:
    words = [word for word in _BETWEEN.split(text.casefold()) if word]
    if not words:
        return known.default_topics
    if not all(word in known.topics for word in words):
        topics = ", ".join(sorted(known.topics.values())) or "none yet"
        raise _Refusal(
            RejectReason.UNKNOWN_TOPIC, f"A topic is unknown. Known topics: {topics}; write several as a|b."
        )
    return tuple(dict.fromkeys(known.topics[word] for word in words))


def _zone(text: str, known: _Known) -> str | None:
    if text and text not in known.zones:
        raise _Refusal(
            RejectReason.UNKNOWN_ZONE,
            "The zone is unknown. Write it as the IANA does, such as Asia/Yerevan or America/New_York.",
        )
    return text or None


def _frequency(text: str) -> Frequency:
    word = re.sub(r"[\s_-]+", "_", text.strip().casefold())
    try:
        return Frequency(word) if word else Frequency.AT_ONCE
    except ValueError:
        raise _Refusal(
            RejectReason.UNKNOWN_FREQUENCY,
            "The frequency is unknown. Write at_once, daily or weekly, or leave it empty for at once.",
        ) from None
