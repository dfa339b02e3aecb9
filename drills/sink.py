"""The sink: an SMTP server as a process of its own, byte-exact, that misbehaves as it is told.

It writes down each mail at the moment it decides to accept it, before the reply: a
digest of the envelope sender, of Message-ID and of Date, and the time. Never an
address. Its script is changed while it runs, through a Unix socket.

    python -m drills.sink FOLDER [--chunking] [--port N]

Prints its port on one line, then serves until it is told to end.
"""

import argparse
import asyncio
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import struct
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from drills.script import Act, Count, Rule, Script

HUGE_REPLY = 1 << 20
CLOSED_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: RST instead of FIN
_HEADER = {
    name: re.compile(rb"(?im)^" + name + rb":[ \t]*((?:.|\r\n[ \t])*)\r\n")
    for name in (b"message-id", b"date", b"to")
}


_ENDINGS = frozenset({Act.RESET, Act.CLOSE, Act.LEAVE, Act.MUTE})


def digest(value: bytes) -> str:
    """How the log names a sender or a header: nothing can be read from it."""
    return hashlib.sha256(value.strip().lower()).hexdigest()[:24]


class Over(Exception):
    """This conversation is over."""


class Sink:
    """All conversations, the script they share, and the log."""

    def __init__(self, folder: Path, *, chunking: bool) -> None:
        self.script = Script()
        self.features = ["PIPELINING", "SIZE 20000000", "8BITMIME", "ENHANCEDSTATUSCODES"]
        if chunking:
            self.features.append("CHUNKING")
        self.dot_delay = 0.0
        self.accepted = self.visits = 0
        self.open: set[Visit] = set()
        self.met: set[str] = set()  # greylisting: pairs that were refused once
        self._log = os.open(folder / "sink.mails", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        threading.Thread(target=self._sync, name="sync", daemon=True).start()

    def _sync(self) -> None:
        while True:
            time.sleep(0.05)
            os.fdatasync(self._log)

    def accept(
        self, sender: bytes, recipient: bytes, data: bytes, *, began_at: float, came_at: float
    ) -> None:
        """Write a mail down. What is here was accepted, whatever becomes of the reply."""
        head = data.partition(b"\r\n\r\n")[0] + b"\r\n"
        found = {name: pattern.search(head) for name, pattern in _HEADER.items()}
        values = {name: match[1] if match else b"" for name, match in found.items()}
        entry = {
            "began": began_at,
            "at": came_at,
            "sender": digest(sender),
            "message": digest(values[b"message-id"]),
            "date": digest(values[b"date"]),
            "to_is_recipient": recipient in values[b"to"],
        }
        os.write(self._log, json.dumps(entry).encode() + b"\n")
        self.accepted += 1

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """One order of a drill's; gives what the drill may want to know."""
        if "rules" in order:
            self.script.replace(order["rules"])
        self.dot_delay = order.get("dot_delay", self.dot_delay)
        self.features = order.get("features", self.features)
        if order.get("cut"):
            for visit in list(self.open):
                visit.reset()
        return {
            "accepted": self.accepted,
            "visits": self.visits,
            "open": len(self.open),
            "applied": self.script.applied,
        }


class Visit(asyncio.Protocol):
    """One conversation. Replies are kept until more input is needed, as a good server does."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._input = bytearray()
        self._came: deque[tuple[int, float]] = deque()  # how many octets had come by when
        self._octets_in = self._octets_read = 0
        self._more = asyncio.Event()
        self._gone = False
        self._out = bytearray()
        self._counts: dict[int, Count] = {}
        self._sender: bytes | None = None
        self._began = 0.0  # when the envelope of this mail did
        self._recipient: bytes | None = None
        self._spoilt = False  # a BDAT was refused: only RSET helps (RFC 3030)
        self._chunks = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sink.visits += 1
        self._sink.open.add(self)
        self._task = asyncio.ensure_future(self._talk())

    def data_received(self, data: bytes) -> None:
        self._input += data
        self._octets_in += len(data)
        self._came.append((self._octets_in, time.time()))
        self._more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        self._sink.open.discard(self)
        self._more.set()

    def reset(self) -> None:
        """Cut the connection with RST."""
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSED_AT_ONCE)
        self._transport.abort()

    # --- bytes

    async def _wait(self) -> None:
        self._flush()
        self._more.clear()
        if self._gone:
            raise Over
        await self._more.wait()
        if self._gone and not self._input:
            raise Over

    def _flush(self) -> None:
        if self._out and not self._transport.is_closing():
            self._transport.write(bytes(self._out))
        self._out.clear()

    async def _line(self) -> bytes:
        while (end := self._input.find(b"\r\n")) < 0:
            await self._wait()
        return self._take(end + 2)[:-2]

    async def _octets(self, number: int) -> bytes:
        while len(self._input) < number:
            await self._wait()
        return self._take(number)

    async def _until_dot(self) -> bytes:
        while (end := (b"\r\n" + self._input).find(b"\r\n.\r\n")) < 0:
            await self._wait()
        return self._take(end + 3)[:-3].replace(b"\r\n..", b"\r\n.")

    def _take(self, number: int) -> bytes:
        octets = bytes(self._input[:number])
        del self._input[:number]
        self._octets_read += number
        while self._came and self._came[0][0] < self._octets_read:
            self._came.popleft()
        return octets

    # --- replies

    def _rule(self, place: str) -> Rule | None:
        return self._sink.script.act_at(place, self._counts)

    async def _reply(self, place: str, text: str, rule: Rule | None = None) -> bool:
        """Say `text`, or what the script makes of it; True when what was said is a yes."""
        rule = rule or self._rule(place)
        if rule is None:
            self._out += text.encode() + b"\r\n"
            return text[0] in "23"
        return await self._misbehave(rule, text)

    async def _misbehave(self, rule: Rule, text: str) -> bool:
        line = text.encode() + b"\r\n"
        if rule.act in _ENDINGS:
            await self._end(rule.act)
        if rule.act in (Act.SAY, Act.GREYLIST):
            self._out += rule.text.encode() + b"\r\n"
            return rule.text[:1] in "23"
        if rule.act is Act.DELAY:
            self._flush()
            await asyncio.sleep(rule.seconds)
        if rule.act is Act.DRIP:
            await self._drip(line, rule.seconds)
        else:
            self._out += self._instead_of(line, rule.act)
        return text[0] in "23"

    async def _interrupt(self, place: str) -> None:
        """A place where no reply is due: the script may only wait here, or end it."""
        rule = self._rule(place)
        if rule is None:
            return
        if rule.act in _ENDINGS:
            await self._end(rule.act)
        await asyncio.sleep(rule.seconds)

    async def _end(self, act: Act) -> None:
        """No reply: the connection ends in some way, or stays open and says nothing for ever."""
        if act is Act.LEAVE:
            self._out += b"421 4.3.2 closing\r\n"
        self._flush()
        if act is Act.RESET:
            self.reset()
            raise Over
        while act is Act.MUTE:
            self._input.clear()
            await self._wait()
        self._leave()

    def _instead_of(self, line: bytes, act: Act) -> bytes:
        match act:
            case Act.HUGE:
                return (line[:3] + b"-" + b"x" * 60 + b"\r\n") * (HUGE_REPLY // 66) + line
            case Act.GARBAGE:
                return self._sink.script.dice.randbytes(200)
            case Act.EXTRA:
                return line + b"250 2.0.0 nobody asked\r\n"
            case Act.SKIP:
                return b""
            case _:
                return line

    def _leave(self) -> None:
        self._flush()
        self._transport.close()
        raise Over

    async def _drip(self, line: bytes, seconds: float) -> None:
        self._flush()
        for place in range(len(line)):
            self._transport.write(line[place : place + 1])
            await asyncio.sleep(seconds)

    # --- the conversation

    async def _talk(self) -> None:
        with contextlib.suppress(Over, ConnectionError, asyncio.CancelledError):
            await self._interrupt("connect")
            await self._reply("greeting", "220 sink ESMTP")
            while True:
                await self._command(await self._line())
        if not self._transport.is_closing():
            self._transport.close()

    async def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        match verb:
            case b"EHLO":
                await self._ehlo()
            case b"AUTH":
                await self._reply("auth", "235 2.7.0 welcome")
            case b"MAIL":
                await self._mail(line)
            case b"RCPT":
                await self._rcpt(line)
            case b"DATA":
                await self._data()
            case b"BDAT":
                await self._bdat(line)
            case b"RSET":
                self._clear()
                await self._reply("rset", "250 2.0.0 ok")
            case b"QUIT":
                await self._reply("quit", "221 2.0.0 bye")
                self._leave()
            case _:
                await self._reply("other", "500 5.5.2 what?")

    def _clear(self) -> None:
        self._sender = self._recipient = None
        self._spoilt = False
        self._chunks.clear()

    async def _ehlo(self) -> None:
        self._clear()
        lines = ["sink", *self._sink.features]
        text = "\r\n".join(f"250-{one}" for one in lines[:-1])
        await self._reply("ehlo", f"{text}\r\n250 {lines[-1]}")

    async def _mail(self, line: bytes) -> None:
        if self._sender is not None or self._spoilt:
            await self._reply("mail", "503 5.5.1 nested MAIL")
        elif await self._reply("mail", "250 2.1.0 ok"):
            self._sender = line.partition(b"<")[2].partition(b">")[0]
            self._began = time.time()

    async def _rcpt(self, line: bytes) -> None:
        recipient = line.partition(b"<")[2].partition(b">")[0]
        rule = self._rule("rcpt")
        if rule is not None and rule.act is Act.GREYLIST:
            pair = digest((self._sender or b"") + b"\0" + recipient)
            if pair in self._sink.met:
                rule = None
            self._sink.met.add(pair)
            if rule is None:
                self._out += b"250 2.1.5 ok\r\n"
                self._recipient = recipient
                return
        text = "250 2.1.5 ok" if self._sender is not None else "503 5.5.1 MAIL first"
        if await self._reply("rcpt", text, rule) and self._sender is not None:
            self._recipient = recipient

    async def _data(self) -> None:
        if self._recipient is None:
            await self._reply("data", "554 5.5.1 no valid recipients")
            return
        if not await self._reply("data", "354 go on"):
            return
        while not self._input:
            await self._wait()
        await self._body_begins()
        body = await self._until_dot()
        await self._decide(body)

    async def _bdat(self, line: bytes) -> None:
        words = line.split()
        size, last = int(words[1]), words[-1].upper() == b"LAST"
        if size:
            first = await self._octets(1)
            await self._body_begins()
            self._chunks += first + await self._octets(size - 1)
        if self._recipient is None or self._spoilt:
            self._spoilt = self._spoilt or self._sender is not None
            self._chunks.clear()
            await self._reply("bdat", "503 5.5.1 no valid recipients")
        elif last:
            await self._decide(bytes(self._chunks))
        else:
            await self._reply("bdat", f"250 2.0.0 {size} octets")

    async def _body_begins(self) -> None:
        await self._interrupt("body")

    async def _decide(self, body: bytes) -> None:
        """The mail is whole: accept it unless the script refuses, write it down, reply."""
        came_at = self._came[0][1]  # its last octet; the script may let it wait
        await self._interrupt("end")
        if self._sink.dot_delay:
            self._flush()
            await asyncio.sleep(self._sink.dot_delay)
        rule = self._rule("dot")
        refused = rule is not None and (
            rule.act is Act.LEAVE or (rule.act is Act.SAY and rule.text[:1] in ("4", "5"))
        )
        if not refused:
            self._sink.accept(
                self._sender or b"", self._recipient or b"", body, began_at=self._began, came_at=came_at
            )
        self._clear()
        if rule is None:
            self._out += b"250 2.0.0 accepted\r\n"
        else:
            await self._misbehave(rule, "250 2.0.0 accepted")


async def _control(sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(json.dumps(sink.obey(json.loads(line))).encode() + b"\n")
        await writer.drain()
    os._exit(0)  # its drill is gone


async def serve(folder: Path, *, chunking: bool, port: int) -> None:
    """Serve until SIGTERM. The control socket is FOLDER/sink.control."""
    sink = Sink(folder, chunking=chunking)
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    server = await loop.create_server(lambda: Visit(sink), "127.0.0.1", port, backlog=128)
    (folder / "sink.control").unlink(missing_ok=True)
    await asyncio.start_unix_server(lambda r, w: _control(sink, r, w), folder / "sink.control")
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()
    os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--chunking", action="store_true")
    parser.add_argument("--port", type=int, default=0)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.folder, chunking=chosen.chunking, port=chosen.port))


if __name__ == "__main__":
    main()
