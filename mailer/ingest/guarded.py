"""A socket under one deadline and one limit of octets, for http.client to read from.

A timeout per read lets a server drip one byte a second for ever; this one counts
what is left of the whole before every read and write.
"""

import io
import ipaddress
import socket
import threading
from collections.abc import Callable

from mailer.ingest.errors import FetchError
from mailer.networks import Address


class Deadline:
    """The moment at which everything must be over."""

    def __init__(self, at: float, clock: Callable[[], float]) -> None:
        self._at = at
        self._clock = clock

    def left(self) -> float:
        """Seconds left. Raises FetchError when there are none."""
        left = self._at - self._clock()
        if left <= 0:
            raise FetchError("The page took too long to arrive. Try again, or save it as a file.")
        return left


class GuardedSocket:
    """The part of a socket that http.client uses: write, read, close."""

    def __init__(self, plain: socket.socket, deadline: Deadline, octets: int) -> None:
        self._socket = plain
        self._deadline = deadline
        self._left = octets

    def allow(self, octets: int) -> None:
        """Allow this many octets more: the header is over, the body begins."""
        self._left += octets

    def sendall(self, data: bytes) -> None:
        self._socket.settimeout(self._deadline.left())
        self._socket.sendall(data)

    def makefile(self, mode: str, *_: object) -> io.BufferedReader:
        if mode != "rb":
            raise ValueError("A fetched page is read as bytes.")
        return io.BufferedReader(_Reads(self))

    def read_into(self, buffer: memoryview) -> int:
        if self._left <= 0:
            raise FetchError("The server sent more than a page may hold. Save the text as a file.")
        self._socket.settimeout(self._deadline.left())
        try:
            count = self._socket.recv_into(buffer[: self._left])
        except TimeoutError:
            self._deadline.left()
            raise
        self._left -= count
        return count

    def close(self) -> None:
        """Nothing: http.client closes its side as soon as the headers are read, before the body."""

    def end(self) -> None:
        """Close the connection."""
        self._socket.close()


class _Reads(io.RawIOBase):
    def __init__(self, guarded: GuardedSocket) -> None:
        self._guarded = guarded

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        return self._guarded.read_into(memoryview(buffer).cast("B"))  # type: ignore[arg-type]


def resolve_by_system(host: str, port: int) -> list[Address]:
    """Return all addresses of a host by the system's resolver; none when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))


def resolve_within(deadline: Deadline, host: str, port: int) -> list[Address]:
    """Resolve in a thread of its own, since the system's resolver knows no time limit."""
    answers: list[list[Address]] = []
    thread = threading.Thread(target=lambda: answers.append(resolve_by_system(host, port)), daemon=True)
    thread.start()
    thread.join(deadline.left())
    deadline.left()
    return answers[0] if answers else []
