"""What a Postfix log says became of mails, found by their Message-IDs. Pure: lines in, fates out.

Written against Postfix 3.7. A mail is accepted when its queue file went to the queue
manager, refused when cleanup or smtpd said so or its connection was lost inside the
body. cleanup may log a Message-ID after smtpd has logged that the connection is gone.
Of each line only the queue id and the Message-ID's left part are looked at; addresses
are never kept.
"""

import re
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

KEPT = 20_000  # smtpd processes and broken transactions remembered at once

_LINE = re.compile(rb"/(cleanup|qmgr|smtpd)\[(\d+)\]: ([0-9A-Za-z]{6,20}): (.*)")
_LOST = re.compile(
    rb"/smtpd\[(\d+)\]: (?:lost connection|timeout|too many errors) after (?:DATA|BDAT) \(\d+ bytes\)"
)
_MESSAGE_ID = re.compile(rb"message-id=<([^@>\s]+)@")
_REFUSED = re.compile(rb"(?:milter-)?reject: ")
_REFUSED_WHOLE = re.compile(rb"(?:milter-)?reject: (?:END-OF-MESSAGE|DATA|BDAT) ")
_DROPPED = re.compile(rb"(?:lost|dropped|suppressed|discarded) \d+ messages|\d+ messages lost", re.IGNORECASE)
_SYSLOG = re.compile(rb"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d) ")
_ISO = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d) ")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_AHEAD = timedelta(days=1)  # a line may be this far in the future before its year is taken for last year


class Fate(StrEnum):
    """What became of a mail whose Message-ID stands in the log."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNFINISHED = "unfinished"  # seen, and neither taken nor refused


@dataclass(frozen=True)
class Stamp:
    """When a line was written. `exact` is False for a time without year and zone: this machine's is meant."""

    at: datetime
    exact: bool


@dataclass
class _Try:
    """One queue file that holds a wanted mail."""

    fate: Fate


class PostfixLog:
    """Reads lines, oldest first, and knows the fates of the wanted mails among them.

    `wanted` are left parts of Message-IDs, without the angle bracket and the domain. `gaps`
    tells that lines are missing, so that silence proves nothing.
    """

    def __init__(self, wanted: Collection[str]) -> None:
        self._wanted = {part.encode("ascii"): part for part in wanted}
        self._tries: dict[bytes, _Try] = {}  # queue id -> the try of a wanted mail that has it now
        self._found: dict[str, list[_Try]] = {}
        self._serving: OrderedDict[bytes, bytes] = OrderedDict()  # smtpd's pid -> its newest queue id
        self._broken: OrderedDict[bytes, None] = OrderedDict()  # queue ids whose transaction came to nothing
        self.gaps = False

    @property
    def fates(self) -> dict[str, Fate]:
        """What became of each wanted mail that was found. Accepted once is accepted, whatever else was."""
        return {mail: _sum({one.fate for one in tries}) for mail, tries in self._found.items()}

    def read(self, line: bytes) -> None:
        """Take in one line; lines of other programs pass by."""
        found = _LINE.search(line)
        if found is not None:
            daemon, pid, queue_id, rest = found.groups()
            if daemon == b"smtpd":
                self._smtpd(pid, queue_id, rest)
            elif daemon == b"cleanup":
                self._cleanup(queue_id, rest)
            elif rest.startswith(b"from=<") and queue_id in self._tries:
                self._tries[queue_id].fate = Fate.ACCEPTED
            return
        lost = _LOST.search(line)
        if lost is not None:
            queue_id = self._serving.pop(lost[1], b"")
            self._break(queue_id)
        elif _DROPPED.search(line):
            self.gaps = True

    def _smtpd(self, pid: bytes, queue_id: bytes, rest: bytes) -> None:
        if rest.startswith(b"client="):  # a new mail; short queue ids are used again
            self._tries.pop(queue_id, None)
            self._broken.pop(queue_id, None)
            _remember(self._serving, pid, queue_id)
        elif _REFUSED_WHOLE.match(rest):
            self._break(queue_id)

    def _cleanup(self, queue_id: bytes, rest: bytes) -> None:
        named = _MESSAGE_ID.match(rest)
        if named is not None:
            self._tries.pop(queue_id, None)
            mail = self._wanted.get(named[1])
            if mail is not None:
                found = _Try(Fate.REFUSED if queue_id in self._broken else Fate.UNFINISHED)
                self._tries[queue_id] = found
                self._found.setdefault(mail, []).append(found)
        elif _REFUSED.match(rest):
            self._break(queue_id)

    def _break(self, queue_id: bytes) -> None:
        if not queue_id:
            return
        _remember(self._broken, queue_id, None)
        if queue_id in self._tries:
            self._tries[queue_id].fate = Fate.REFUSED


def _sum(fates: set[Fate]) -> Fate:
    order = (Fate.ACCEPTED, Fate.UNFINISHED, Fate.REFUSED)
    return next(fate for fate in order if fate in fates)


_V = TypeVar("_V")


def _remember(kept: OrderedDict[bytes, _V], key: bytes, value: _V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > KEPT:
        kept.popitem(last=False)


def stamp(line: bytes, now: datetime) -> Stamp | None:
    """When a line was written, or None for a line that does not say.

    Understands `2026-11-26T17:15:07.1+00:00` and syslog's `Nov 26 17:15:07`, which names neither year
    nor zone: it is read in this machine's zone, as the newest such moment that is not ahead of `now`.
    """
    iso = _ISO.match(line)
    if iso is not None:
        return Stamp(datetime.fromisoformat(iso[0].decode().strip()).astimezone(UTC), exact=True)
    found = _SYSLOG.match(line)
    if found is None or found[1] not in _MONTHS:
        return None
    month = _MONTHS.index(found[1]) + 1
    day, hour, minute, second = (int(part) for part in found.groups()[1:])
    for year in range(now.astimezone().year + 1, now.year - 5, -1):
        try:
            local = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
        except ValueError:  # February 29th, or no time at all
            continue
        at = local.astimezone(UTC)
        if at <= now + _AHEAD:
            return Stamp(at, exact=False)
    return None
