"""One question to a time server: how far this machine's clock is from the right time (SNTP, RFC 4330).

Forty-eight octets there and back by UDP. An answer that is not to this question, or that
a server gives which does not know the time itself, is none. No name, address or anything
of a mail is in the question.
"""

import secrets
import socket
import struct
import time
from dataclasses import dataclass

from mailer.smtp.letter import boottime

PORT = 123
PATIENCE = 2.0  # seconds
LONGEST_TRIP = 1.0  # seconds there and back; a slower answer says too little
_EPOCH = 2_208_988_800  # 1970 in seconds of NTP, which counts from 1900
_ERA = 2**32  # after so many seconds, in February 2036, NTP counts from 0 again
_PACKET = struct.Struct("!BBbb11I")
_CLIENT = 0x23  # version 4, mode 3
_SERVER_MODE = 4
_UNSYNCHRONISED = 3  # leap indicator


@dataclass(frozen=True, kw_only=True)
class TimeTold:
    """What a server said. `ahead`: seconds by which this machine's clock is ahead of it; it may be wrong by
    `unsure`, half of the way. `clock`: this machine's clock at that moment, and `uptime` its uptime."""

    ahead: float
    unsure: float
    clock: float
    uptime: float


def server_of(named: str) -> tuple[str, int]:
    """Host and port of `time.example.org`, `time.example.org:123` or `[2001:db8::1]:123`."""
    if named.startswith("["):
        host, _, rest = named[1:].partition("]")
        return host, int(rest.removeprefix(":") or PORT)
    host, colon, port = named.rpartition(":")
    return (host, int(port)) if colon and ":" not in host else (named, PORT)


def ask(server: tuple[str, int], *, patience: float = PATIENCE) -> TimeTold | None:
    """Ask a time server; None when it does not answer in time, or not usably."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(*server, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as talk:
            talk.settimeout(patience)
            talk.connect(address)  # what comes from elsewhere is not heard
            return _exchange(talk)
    except (OSError, struct.error):
        return None


def _exchange(talk: socket.socket) -> TimeTold | None:
    cookie = secrets.randbits(64)  # comes back as the originate timestamp; tells nothing of our clock
    before, uptime = time.time(), boottime()
    talk.send(_PACKET.pack(_CLIENT, 0, 0, 0, *(0,) * 9, cookie >> 32, cookie & 0xFFFFFFFF))
    answer = talk.recv(512)
    trip = boottime() - uptime
    fields = _PACKET.unpack(answer[: _PACKET.size])
    flags, stratum = fields[0], fields[1]
    usable = flags & 7 == _SERVER_MODE and flags >> 6 != _UNSYNCHRONISED and 1 <= stratum <= 15
    if not usable or (fields[9] << 32 | fields[10]) != cookie or trip > LONGEST_TRIP:
        return None
    received, sent = _seconds(fields[11], fields[12], before), _seconds(fields[13], fields[14], before)
    there = sent - received  # how long the server thought about it
    middle = before + trip / 2
    return TimeTold(
        ahead=middle - (received + there / 2), unsure=trip / 2, clock=middle, uptime=uptime + trip / 2
    )


def _seconds(whole: int, fraction: int, near: float) -> float:
    """Seconds since 1970, in the era of NTP that is nearest to our own clock."""
    seconds = whole + fraction / 2**32 - _EPOCH
    return seconds + round((near - seconds) / _ERA) * _ERA
