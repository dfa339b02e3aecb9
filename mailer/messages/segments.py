"""A body cut at its slots: segments encoded once, places filled per recipient.

Quoted-printable is cut where a slot begins and ends, by soft breaks. Base64 knows no such seam: its
octets run on in groups of three, so each fixed segment is kept in all three alignments and the one
that fits the length of what stands before it is picked. The smaller of the two encodings is taken.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from mailer.messages.encoding import SOFT_BREAK, base64_lines, quoted_printable
from mailer.messages.refusal import FillError

# Shorter fixed text between two slots is encoded with the values instead of being kept ready.
_WORTH_KEEPING = 57


class TransferEncoding(StrEnum):
    QUOTED_PRINTABLE = "quoted-printable"
    BASE64 = "base64"


@dataclass(frozen=True, kw_only=True)
class Place:
    """A slot where it stands: `encode` turns its value into finished octets. It raises FillError."""

    name: str
    encode: Callable[[str], bytes]


class Joint(Protocol):
    """Octets made from several slots at once: a subject, a base64 body."""

    @property
    def names(self) -> frozenset[str]: ...

    def fill(self, values: Mapping[str, str]) -> bytes:
        """KeyError for a missing slot; FillError, naming its slot, for a value that cannot stand there."""
        ...


Segment = bytes | Place | Joint


@dataclass(frozen=True, kw_only=True)
class Insert:
    """A slot in a body: `finished` escapes and checks a value for where it stands, as text;
    `printable` does the same and encodes it as quoted-printable, by a short cut where there is one."""

    name: str
    finished: Callable[[str], str]
    printable: Callable[[str], bytes]


def body_segments(pieces: Sequence[str | Insert]) -> tuple[TransferEncoding, list[Segment]]:
    r"""The body in the encoding that is smaller for its fixed text. Line ends are '\n', the last piece is
    fixed text that ends with one; the segments end with CRLF."""
    printable = _printable_segments(pieces)
    octets = sum(len(piece.replace("\n", "\r\n").encode()) for piece in pieces if isinstance(piece, str))
    if sum(len(segment) for segment in printable if isinstance(segment, bytes)) <= octets * 78 // 57:
        return TransferEncoding.QUOTED_PRINTABLE, printable
    return TransferEncoding.BASE64, _base64_segments(pieces)


def _printable_segments(pieces: Sequence[str | Insert]) -> list[Segment]:
    segments: list[Segment] = []
    line_open = False  # does the physical line before already hold something?
    for piece in pieces:
        if line_open:
            segments.append(SOFT_BREAK)
        if isinstance(piece, str):
            fixed = quoted_printable(piece)
            segments.append(fixed)
            line_open = not fixed.endswith(b"\r\n")
        else:
            segments.append(Place(name=piece.name, encode=piece.printable))
            line_open = True
    return segments


def _octets(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def _base64_segments(pieces: Sequence[str | Insert]) -> list[Segment]:
    fixed: list[bytes] = []
    runs: list[list[bytes | Insert]] = []
    run: list[bytes | Insert] = []
    for piece in pieces:
        if isinstance(piece, Insert):
            run.append(piece)
            continue
        octets = _octets(piece)
        if len(octets) < _WORTH_KEEPING:
            run.append(octets)
        else:
            runs.append(run)
            fixed.append(octets)
            run = []
    runs.append(run)
    if not any(isinstance(piece, Insert) for piece in pieces):
        return [base64_lines(b"".join(_octets(piece) for piece in pieces if isinstance(piece, str)))]
    return [
        Base64Body(
            names=frozenset(piece.name for piece in pieces if isinstance(piece, Insert)),
            steps=tuple(
                (tuple(run), tuple(_align(octets, missing) for missing in (0, 2, 1)))
                for run, octets in zip(runs, fixed, strict=False)
            ),
            last_run=tuple(runs[-1]),
        )
    ]


@dataclass(frozen=True, kw_only=True)
class _Aligned:
    """A fixed segment in one alignment: octets that complete the group begun before it, finished lines,
    and the octets of a group that what follows must complete."""

    head: bytes
    lines: bytes
    tail: bytes


def _align(octets: bytes, missing: int) -> _Aligned:
    end = len(octets) - (len(octets) - missing) % 3
    return _Aligned(head=octets[:missing], lines=base64_lines(octets[missing:end]), tail=octets[end:])


@dataclass(frozen=True, kw_only=True)
class Base64Body:
    """A base64 body with slots: runs of values and short text, each followed by a long fixed segment
    which is ready for a length of 0, 1 or 2 modulo 3 before it."""

    names: frozenset[str]
    steps: tuple[tuple[tuple[bytes | Insert, ...], tuple[_Aligned, ...]], ...]
    last_run: tuple[bytes | Insert, ...]

    def fill(self, values: Mapping[str, str]) -> bytes:
        """The body's lines, each ended by CRLF; see Joint.fill for errors."""
        lines: list[bytes] = []
        tail = b""
        for run, choices in self.steps:
            loose = tail + _joined(run, values)
            fixed = choices[len(loose) % 3]
            lines += (base64_lines(loose + fixed.head), fixed.lines)
            tail = fixed.tail
        lines.append(base64_lines(tail + _joined(self.last_run, values)))
        return b"".join(lines)


def _joined(run: tuple[bytes | Insert, ...], values: Mapping[str, str]) -> bytes:
    return b"".join(
        piece if isinstance(piece, bytes) else _octets(finished(piece, values[piece.name])) for piece in run
    )


def finished(insert: Insert, value: str) -> str:
    """The value as it reads in the body; FillError names the slot."""
    try:
        return insert.finished(value)
    except FillError as refused:
        raise FillError(refused.reason, slot=insert.name) from None
