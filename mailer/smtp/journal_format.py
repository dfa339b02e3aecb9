"""How a journal lies on the disk: one header, then records of one fixed size.

Pure. Each record carries a checksum seeded with the header's, so that a torn
record, or an old block of another file, never passes for one of this file.
The numbers of words are their places in the enums: those only ever grow.
"""

import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import repeat
from zlib import crc32

from mailer.smtp.outcome import Fault, Outcome, Phase, Reason, Verdict

VERSION = 1
_MAGIC = b"MLRJRNAL"
_HEADER = struct.Struct("<8sHH36s64s12sI")  # magic, version, record size, boot id, worker, salt, checksum
_RECORD = struct.Struct("<BBBBHBxqqI")  # kind, verdict, fault, phase, code, reason, id, fence, checksum
_HEAD = struct.Struct("<BBBBHBx")  # the same without id, fence and checksum
_BODY = struct.Struct("<8sqq")  # head, id, fence: what the checksum is of
_CHECKSUM_SIZE = 4
HEADER_SIZE = _HEADER.size
RECORD_SIZE = _RECORD.size
SALT_SIZE = 12
MAX_WORKER = 64  # octets

_VERDICTS, _FAULTS, _PHASES, _REASONS = tuple(Verdict), tuple(Fault), tuple(Phase), tuple(Reason)
_VERDICT_NUMBER = {word: number for number, word in enumerate(_VERDICTS)}
_FAULT_NUMBER = {word: number for number, word in enumerate(_FAULTS)}
_PHASE_NUMBER = {word: number for number, word in enumerate(_PHASES)}
_REASON_NUMBER = {word: number for number, word in enumerate(_REASONS)}


class Kind(IntEnum):
    DOT = 1
    REPLY = 2
    SETTLED = 3


class FormatError(ValueError):
    """These bytes are no journal that this version can read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    boot_id: str
    worker: str
    seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    kind: Kind
    id: int
    fence: int
    outcome: Outcome | None


def pack_header(boot_id: str, worker: str, salt: bytes) -> bytes:
    """The header of a new journal; the salt makes its checksum its own. Raises ValueError on a long name."""
    name = worker.encode("utf-8")
    if len(name) > MAX_WORKER:
        raise ValueError(f"a worker's name is at most {MAX_WORKER} octets: a journal finds its owner by it")
    packed = _HEADER.pack(_MAGIC, VERSION, RECORD_SIZE, boot_id.encode("ascii"), name, salt, 0)
    body = packed[:-_CHECKSUM_SIZE]
    return body + crc32(body).to_bytes(_CHECKSUM_SIZE, "little")


def unpack_header(octets: bytes) -> Header:
    """Raises FormatError, which says what is wrong and what to do."""
    if len(octets) != HEADER_SIZE or crc32(octets[:-_CHECKSUM_SIZE]) != seed_of(octets):
        raise FormatError("is not a journal of this program, or its first block is lost: move it away")
    magic, version, record_size, boot_id, worker, _, seed = _HEADER.unpack(octets)
    if magic != _MAGIC or version != VERSION or record_size != RECORD_SIZE:
        raise FormatError("was written by another version: start that version once, so that it settles it")
    return Header(
        boot_id=boot_id.decode("ascii", "replace"),
        worker=worker.rstrip(b"\0").decode("utf-8", "replace"),
        seed=seed,
    )


def seed_of(header: bytes) -> int:
    """What every checksum of this file begins with."""
    return int.from_bytes(header[-_CHECKSUM_SIZE:], "little")


def pack_record(kind: Kind, delivery_id: int, fence: int, seed: int, outcome: Outcome | None = None) -> bytes:
    """One record; only a reply has an outcome, of which the words and the code are kept."""
    head = _DOT_HEAD if outcome is None and kind is Kind.DOT else _head(kind, outcome)
    return _seal([_BODY.pack(head, delivery_id, fence)], seed)


def pack_group(
    replies: Iterable[tuple[int, int, Outcome]], dots: Iterable[tuple[int, int]], seed: int
) -> bytes:
    """A record for each (id, fence, outcome) that is known, then for each (id, fence) about to leave."""
    bodies = []
    for number, fence, outcome in replies:
        head = _ACCEPTED_HEAD if _is_plain_yes(outcome) else _head(Kind.REPLY, outcome)
        bodies.append(_BODY.pack(head, number, fence))
    for number, fence in dots:
        bodies.append(_BODY.pack(_DOT_HEAD, number, fence))
    return _seal(bodies, seed)


def pack_settled(ids: Collection[int], seed: int) -> bytes:
    """A record for each delivery that is in the database as it is here."""
    return _seal(list(map(_BODY.pack, repeat(_SETTLED_HEAD), ids, repeat(0))), seed)


def _seal(bodies: Sequence[bytes], seed: int) -> bytes:
    """Each body with its checksum behind it."""
    return b"".join([body + crc32(body, seed).to_bytes(_CHECKSUM_SIZE, "little") for body in bodies])


def _head(kind: Kind, outcome: Outcome | None) -> bytes:
    if outcome is None:
        return _HEAD.pack(kind, 0, 0, 0, 0, 0)
    return _HEAD.pack(
        kind,
        _VERDICT_NUMBER[outcome.verdict],
        _FAULT_NUMBER[outcome.fault],
        _PHASE_NUMBER[outcome.phase],
        outcome.code or 0,
        _REASON_NUMBER[outcome.reason],
    )


def _is_plain_yes(outcome: Outcome) -> bool:
    """True for what most letters come to, so that its words need not be looked up each time."""
    return (
        outcome.verdict is Verdict.SENT
        and outcome.code == 250
        and outcome.reason is Reason.ACCEPTED
        and outcome.phase is Phase.DOT
        and outcome.fault is Fault.NONE
    )


_DOT_HEAD = _head(Kind.DOT, None)
_SETTLED_HEAD = _head(Kind.SETTLED, None)
_ACCEPTED_HEAD = _head(
    Kind.REPLY,
    Outcome(verdict=Verdict.SENT, fault=Fault.NONE, phase=Phase.DOT, reason=Reason.ACCEPTED, code=250),
)


def unpack_record(octets: bytes, seed: int) -> Record | None:
    """None when these octets were never written whole as a record of this file."""
    checksum = int.from_bytes(octets[-_CHECKSUM_SIZE:], "little")
    if len(octets) != RECORD_SIZE or crc32(octets[:-_CHECKSUM_SIZE], seed) != checksum:
        return None
    kind, verdict, fault, phase, code, reason, delivery_id, fence, _ = _RECORD.unpack(octets)
    outcome = None
    if kind == Kind.REPLY:
        outcome = Outcome(
            verdict=_VERDICTS[verdict],
            fault=_FAULTS[fault],
            phase=_PHASES[phase],
            reason=_REASONS[reason],
            code=code or None,
        )
    return Record(kind=Kind(kind), id=delivery_id, fence=fence, outcome=outcome)
