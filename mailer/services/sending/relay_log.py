"""The relay's log on disk: which of its files reach back far enough, and what they say of some mails.

Files are read from the moment that matters, oldest first, one line at a time, rotated
and compressed ones too; memory does not grow with them. What cannot be read or does not
cover the time is said, so that nobody takes silence for an answer.
"""

import gzip
import io
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from mailer.smtp.postfix_log import Fate, PostfixLog, Stamp, stamp

LONGEST_LINE = 65_536  # octets
PROBE = 262_144  # octets at either end of a file in which a line with a time must stand
OLDEST = 60  # rotated files looked at
FOLD = timedelta(minutes=65)  # a time without zone may be off by an hour on two days a year
DRIFT = timedelta(minutes=2)  # between a file's newest line and the moment it was written


@dataclass(frozen=True, kw_only=True)
class Search:
    """What was found. `begins` and `ends` bound the time the log covers, None where it covers none."""

    fates: dict[str, Fate]
    begins: datetime | None
    ends: datetime | None
    gaps: bool


def search(path: Path, wanted: Collection[str], since: datetime, now: datetime) -> Search:
    """Look for mails by the left parts of their Message-IDs in the log from `since` on.

    Raises OSError when the log cannot be read.
    """
    newest = _stamps(path, now)
    chosen, begins = _reaching_back(path, since, now)
    if begins is None or newest is None or not _clock_agrees(path, newest):
        return Search(fates={}, begins=None, ends=None, gaps=False)
    log = PostfixLog(wanted)
    for number, file in enumerate(chosen):
        for line in _lines(file, since - FOLD if number == 0 else None, now):
            log.read(line)
    slack = timedelta(0) if begins.exact else FOLD
    return Search(fates=log.fates, begins=begins.at + slack, ends=newest.at, gaps=log.gaps)


def _reaching_back(path: Path, since: datetime, now: datetime) -> tuple[list[Path], Stamp | None]:
    """The files that hold everything since then, oldest first, and the time of their first line."""
    chosen: list[Path] = []
    begins: Stamp | None = None
    for file in (path, *_rotated(path)):
        with _opened(file) as content:
            first = _first(content, now)
        if first is None:  # just rotated and still empty
            continue
        chosen.insert(0, file)
        begins = first
        if first.at <= since - FOLD:
            break
    return chosen, begins


def _rotated(path: Path) -> Iterator[Path]:
    """Older files, the newest first: mail.log.1, mail.log.2.gz, or mail.log-20261126.gz."""
    for number in range(1, OLDEST):
        for name in (f"{path.name}.{number}", f"{path.name}.{number}.gz"):
            file = path.with_name(name)
            if file.exists():
                yield file
    yield from sorted(path.parent.glob(f"{path.name}-[0-9]*"), reverse=True)[:OLDEST]


def _stamps(path: Path, now: datetime) -> Stamp | None:
    """The time of the newest line of the log, be it in the file before the one in use."""
    for file in (path, *_rotated(path)):
        if file.suffix == ".gz":
            return None
        with file.open("rb") as content:
            content.seek(max(content.seek(0, os.SEEK_END) - PROBE, 0))
            for line in reversed(content.read().splitlines()):
                found = stamp(line, now)
                if found is not None:
                    return found
    return None


def _clock_agrees(path: Path, newest: Stamp) -> bool:
    """A time without zone is believed only where it fits the moment at which the file was written."""
    if newest.exact:
        return True
    written = [datetime.fromtimestamp(file.stat().st_mtime, UTC) for file in (path, *_rotated(path))]
    return any(abs(moment - newest.at) <= DRIFT for moment in written)


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    with file.open("rb") as raw:
        if file.suffix != ".gz":
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as unpacked, io.BufferedReader(unpacked) as content:
            yield content


def _first(content: BinaryIO, now: datetime) -> Stamp | None:
    """The time of the first line from here on that names one."""
    read = 0
    while read < PROBE and (line := content.readline(LONGEST_LINE)):
        read += len(line)
        found = stamp(line, now)
        if found is not None:
            return found
    return None


def _lines(file: Path, since: datetime | None, now: datetime) -> Iterator[bytes]:
    with _opened(file) as content:
        if since is not None and file.suffix != ".gz":
            content.seek(_place(content, since, now))
            if content.tell():
                content.readline(LONGEST_LINE)  # the rest of a line that is too old anyway
        while line := content.readline(LONGEST_LINE):
            yield line


def _place(content: BinaryIO, since: datetime, now: datetime) -> int:
    """A place before which every line is older than `since`: lines stand in the order of their times."""
    low, high = 0, content.seek(0, os.SEEK_END)
    while high - low > PROBE:
        middle = (low + high) // 2
        content.seek(middle)
        content.readline(LONGEST_LINE)
        found = _first(content, now)
        if found is not None and found.at < since:
            low = middle
        else:
            high = middle
    return low
