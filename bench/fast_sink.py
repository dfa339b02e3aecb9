"""A sink of our own: takes mail as fast as Python can, by DATA and by BDAT, and counts it.

    python -m bench.fast_sink PORT [no-pipelining] [no-chunking]

It keeps no mail. It remembers return addresses, which carry delivery ids and no
person, to tell whether one came twice. `XBENCH` answers with what was counted, as
JSON, and `XBENCH RESET` begins anew. After `XBENCH UNTIL 1767225600.0` it counts
envelopes and mails that come before that moment. Every dot is answered at once.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

_EXTENSIONS = ("8BITMIME", "SIZE 50000000", "ENHANCEDSTATUSCODES")
_END = b"\r\n.\r\n"


@dataclass
class Count:
    """What came since the last reset. Times are seconds since 1970, 0 when nothing came."""

    mails: int = 0
    twice: int = 0
    octets: int = 0
    bdat: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    envelope_at: float = 0.0  # the first MAIL
    early: int = 0  # envelopes and mails before the moment that was named


@dataclass
class Sink:
    """The state that all connections share."""

    greeting: bytes
    chunking: bool
    count: Count = field(default_factory=Count)
    seen: set[bytes] = field(default_factory=set)
    until: float = 0.0

    def met(self) -> None:
        """The first envelope since the last reset, or one before the moment that was named."""
        now = time.time()
        if not self.count.envelope_at:
            self.count.envelope_at = now
        self.count.early += now < self.until

    def took(self, sender: bytes, octets: int) -> None:
        """One more mail."""
        count = self.count
        now = time.time()
        if not count.mails:
            count.first_at = now
        count.last_at = now
        count.early += now < self.until
        count.mails += 1
        count.octets += octets
        if sender in self.seen:
            count.twice += 1
        self.seen.add(sender)

    def report(self, order: bytes) -> bytes:
        """What was counted, before the order is obeyed: RESET, UNTIL and a moment, or none."""
        answer = b"250 " + json.dumps(asdict(self.count)).encode() + b"\r\n"
        if order.startswith(b"RESET"):
            self.count, self.seen, self.until = Count(), set(), 0.0
        elif order.startswith(b"UNTIL"):
            self.until = float(order.split()[1])
        return answer


class Conversation(asyncio.Protocol):
    """One connection. What arrived is read from `_buffer` at `_at`; the answers leave in one write."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = bytearray()
        self._sender = b""
        self._in_data = False
        self._scanned = 0  # of the mail that is arriving: looked through already
        self._chunk = -1  # octets of a BDAT that are still to come; -1 outside
        self._octets = 0
        self._last = self._leaving = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(b"220 sink.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        answers: list[bytes] = []
        at = 0
        while at < len(buffer) and not self._leaving:
            if self._in_data:
                if buffer.startswith(_END[2:], at):  # nothing but the dot: the line end was the command's
                    at += 3
                    self._in_data = False
                    answers.append(self._accept())
                    continue
                end = buffer.find(_END, max(at, self._scanned - len(_END)))
                if end < 0:
                    break
                self._octets = end + 2 - at
                at = end + len(_END)
                self._in_data = False
                answers.append(self._accept())
            elif self._chunk >= 0:
                if len(buffer) - at < self._chunk:
                    break
                at += self._chunk
                self._octets += self._chunk
                self._chunk = -1
                answers.append(self._accept() if self._last else b"250 2.0.0 chunk taken\r\n")
            else:
                end = buffer.find(b"\r\n", at)
                if end < 0:
                    break
                answers.append(self._answer(bytes(buffer[at:end])))
                at = end + 2
        del buffer[:at]
        self._scanned = len(buffer) if self._in_data else 0
        if self._transport is not None and answers:
            self._transport.write(b"".join(answers))
        if self._transport is not None and self._leaving:
            self._transport.close()

    def _accept(self) -> bytes:
        self._sink.took(self._sender, self._octets)
        self._octets = 0
        return b"250 2.0.0 taken\r\n"

    def _answer(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"MAIL":
            self._sender = line[10 : line.find(b">")]
            if not self._sink.count.envelope_at or self._sink.until:
                self._sink.met()
            return b"250 2.1.0 ok\r\n"
        if verb == b"RCPT":
            return b"250 2.1.5 ok\r\n"
        if verb == b"DATA":
            self._in_data = True
            return b"354 go ahead\r\n"
        if verb == b"BDAT" and self._sink.chunking:
            words = line.split()
            self._chunk, self._last = int(words[1]), len(words) > 2
            self._sink.count.bdat += self._last
            return b""
        return self._answer_rare(verb, line)

    def _answer_rare(self, verb: bytes, line: bytes) -> bytes:
        if verb in (b"EHLO", b"HELO"):
            return self._sink.greeting
        if verb in (b"RSET", b"NOOP"):
            return b"250 2.0.0 ok\r\n"
        if verb == b"XBEN":
            return self._sink.report(line[7:].upper())
        if verb == b"QUIT":
            self._leaving = True
            return b"221 2.0.0 bye\r\n"
        return b"500 5.5.1 what?\r\n"


async def serve(port: int, *, pipelining: bool, chunking: bool) -> None:
    """Listen on loopback until the process ends."""
    extensions = [*_EXTENSIONS, *["PIPELINING"] * pipelining, *["CHUNKING"] * chunking]
    lines = [f"250-{word}\r\n" for word in ("sink.test", *extensions[:-1])]
    sink = Sink(greeting=("".join(lines) + f"250 {extensions[-1]}\r\n").encode(), chunking=chunking)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Conversation(sink), "127.0.0.1", port, backlog=200)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(
        serve(
            int(sys.argv[1]),
            pipelining="no-pipelining" not in sys.argv,
            chunking="no-chunking" not in sys.argv,
        )
    )
