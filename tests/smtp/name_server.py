"""A real name server on 127.0.0.1, over UDP and TCP, that answers by script: rightly, wrongly or never."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import dns.asyncresolver
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from mailer.smtp.lookup import stub_resolver

SILENCE = "silence"
GARBAGE = "garbage"
Act = str | dns.rcode.Rcode | None  # None: answer from the records


@dataclass
class NameServer:
    """`records` are the zone; `scripts` are acts by (name, type), one a question, the last for ever."""

    port: int = 0
    records: dict[tuple[str, str], dns.rrset.RRset] = field(default_factory=dict)
    scripts: dict[tuple[str, str], list[Act]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    validates: bool = False
    unsigned: set[tuple[str, str]] = field(default_factory=set)
    """Questions whose answer is not secure although the resolver validates."""
    truncates: bool = False
    one_alias_a_time: bool = False
    negative_ttl: int = 300

    def add(self, name: str, kind: str, *texts: str, ttl: int = 300) -> None:
        self.records[name, kind] = dns.rrset.from_text(f"{name}.", ttl, "IN", kind, *texts)

    def script(self, name: str, kind: str, *acts: Act) -> None:
        self.scripts[name, kind] = list(acts)

    def resolver(self) -> dns.asyncresolver.Resolver:
        return stub_resolver(["127.0.0.1"], port=self.port)

    def count(self, name: str, kind: str) -> int:
        return sum((asked, of) == (name, kind) for asked, of, _ in self.asked)

    def answer(self, wire: bytes, road: str) -> bytes | None:
        question = dns.message.from_wire(wire)
        asked = question.question[0]
        key = (asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype))
        self.asked.append((*key, road))
        acts = self.scripts.get(key, [None])
        act = acts.pop(0) if len(acts) > 1 else acts[0]
        if act == SILENCE:
            return None
        response = dns.message.make_response(question)
        if act == GARBAGE:
            return response.to_wire()[:12] + b"\xc0\x0c" * 20
        if isinstance(act, dns.rcode.Rcode):
            response.set_rcode(act)
        else:
            self._fill(response, *key)
        if self.validates and question.flags & dns.flags.AD and key not in self.unsigned:
            response.flags |= dns.flags.AD
        whole = response.to_wire(max_size=65535)
        if road == "tcp" or (len(whole) <= question.payload and not self.truncates):
            return whole
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(20):  # so that a loop goes round
            found = self.records.get((name, kind)) or self.records.get((name, "CNAME"))
            if found is None:
                break
            if found not in response.answer:
                response.answer.append(found)
            if found.rdtype != dns.rdatatype.CNAME or self.one_alias_a_time:
                return
            name = found[0].target.to_text(omit_final_dot=True)
        if not any(known == name or known.endswith(f".{name}") for known, _ in self.records):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(
            dns.rrset.from_text(
                f"{name.rpartition('.')[2]}.", 3600, "IN", "SOA", f"ns. admin. 1 1 1 1 {self.negative_ttl}"
            )
        )


@contextlib.contextmanager
def serving(server: NameServer | None = None) -> Iterator[NameServer]:
    server = server or NameServer()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(64)
        server.port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", server.port))
        threads = [
            threading.Thread(target=_until_closed, args=(work, sock, server), daemon=True)
            for work, sock in ((_one_datagram, udp), (_one_connection, tcp))
        ]
        for thread in threads:
            thread.start()
        yield server
        for sock in (tcp, udp):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)


def _until_closed(
    work: Callable[[socket.socket, NameServer], bool], sock: socket.socket, server: NameServer
) -> None:
    with contextlib.suppress(OSError):
        while work(sock, server):
            pass


def _one_datagram(sock: socket.socket, server: NameServer) -> bool:
    wire, client = sock.recvfrom(65535)
    if not wire:  # shut down
        return False
    answer = server.answer(wire, "udp")
    if answer is not None:
        sock.sendto(answer, client)
    return True


def _one_connection(sock: socket.socket, server: NameServer) -> bool:
    connection, _ = sock.accept()
    with connection:
        connection.settimeout(5)
        stream = connection.makefile("rb")
        (length,) = struct.unpack("!H", stream.read(2))
        answer = server.answer(stream.read(length), "tcp")
        if answer is not None:
            connection.sendall(struct.pack("!H", len(answer)) + answer)
        stream.close()
    return True
