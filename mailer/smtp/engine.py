"""The engine: hands letters to relays over a few kept connections and says what became of each.

An ordinary, synchronous face over a private thread with its own event loop.
Every letter gets exactly one outcome. A relay that refuses is an outcome,
never an exception, and is asked once: the letters that are left are deferred.
No letter is ever offered again after its final dot was written.
"""

import asyncio
import logging
import re
import ssl
import threading
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import uvloop

from mailer.smtp.direct import Direct
from mailer.smtp.doors import Doors
from mailer.smtp.fleet import Fleet
from mailer.smtp.hosts import Roads
from mailer.smtp.journal import Journal
from mailer.smtp.letter import Letter, boottime
from mailer.smtp.limits import Limits
from mailer.smtp.manners import Manners
from mailer.smtp.outcome import Outcome, Phase, Reason, unanswered
from mailer.smtp.pace import LaneLimits, limits_of
from mailer.smtp.pool import Pool
from mailer.smtp.relay import Relay
from mailer.smtp.session import Refusal, Session, open_session, tls_context
from mailer.smtp.stream import Carrier, Stream

_EHLO_NAME = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f.:Iv]+\])\Z", re.IGNORECASE
)
_PATIENCE = 3600.0  # seconds; a bound for one wait of `send`, which waits again

_log = logging.getLogger(__name__)


class Engine:
    """Owns the connections to one relay or several, and their thread, which starts when it is needed."""

    def __init__(
        self,
        relay: Relay | Sequence[Relay],
        *,
        ehlo_name: str,
        journal: Journal | None = None,
        connections: int | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = boottime,
    ) -> None:
        """`ehlo_name` is this host's name in EHLO. `clock` is the one that letters and leases speak of."""
        if not _EHLO_NAME.match(ehlo_name):
            raise ValueError("the EHLO name must be a host name such as mail.example.org, or an [IP address]")
        limits = limits or Limits()
        relays = [relay] if isinstance(relay, Relay) else list(relay)
        self._carrier: Carrier = Fleet(
            [
                (_pool(one, connections, _door(one, ehlo_name, limits), limits, clock, journal), one.weight)
                for one in relays
            ]
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._stream: Stream | None = None
        self._abandoned = False
        self._closed = False

    @classmethod
    def direct(
        cls,
        roads: Roads,
        *,
        ehlo_name: str,
        wall_clock: Callable[[], datetime],
        journal: Journal | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = boottime,
        limits_of: Callable[[str], LaneLimits] = limits_of,
        ca: Path | None = None,
    ) -> "Engine":
        """An engine without a relay: each letter goes to a host of its recipient's domain.

        `roads` is asked on the engine's thread alone. `limits_of` says what this process may ask
        of a site. `ca` is a private authority for hosts that must prove themselves,
        `wall_clock` the time by which a certificate is valid or not.
        """
        engine = cls((), ehlo_name=ehlo_name)
        limits = limits or Limits()
        engine._carrier = Direct(
            roads,
            Doors(ehlo_name=ehlo_name, limits=limits, ca=ca, wall_clock=wall_clock),
            limits=limits,
            clock=clock,
            journal=journal,
            limits_of=limits_of,
        )
        return engine

    def open(self) -> Stream:
        """A stream of letters through this engine; one at a time.

        Raises RuntimeError when the engine is closed, or its last stream still has letters in flight.
        """
        with self._start_lock:
            if self._closed:
                raise RuntimeError("the engine is closed: make a new one to send again")
            if self._stream is not None and self._stream.in_flight:
                if not self._abandoned:
                    raise RuntimeError(
                        "the engine is sending already: read all outcomes first, or use a second engine"
                    )
                self._stream.close()
            stream = Stream(self._ready_loop(), self._carrier)
            self._carrier.attach(stream)
            self._stream, self._abandoned = stream, False
            return stream

    def send(self, letters: Sequence[Letter]) -> Iterator[tuple[int, Outcome]]:
        """Send the letters; yields (id, outcome) as each becomes known, exactly one for every letter.

        Work begins at once, also before the first outcome is asked for. An
        iterator that is dropped stops what has no dot yet; what was under way
        is then known to the journal only. Raises ValueError when an id occurs
        twice, RuntimeError when the engine is closed or already sending.
        """
        stream = self.open()
        stream.feed(letters)
        return self._outcomes(stream)

    def stop(self) -> None:
        """Give back every letter that has no dot yet (deferred, `stopped`); open dots are waited for.

        Returns at once; may be called from any thread and from a signal handler.
        """
        stream = self._stream
        if stream is not None and stream.in_flight:
            stream.stop()

    def warm(self, domains: Collection[str] = ()) -> None:
        """Open connections for letters that will be fed soon: TCP, TLS and AUTH, and no MAIL before those.

        `domains` are some of the letters', for delivery without a relay. Returns at once; a server that
        refuses is asked again when the letters are there. Kept as long as any unused connection.
        """
        with self._start_lock:
            if self._closed:
                return
            self._ready_loop().call_soon_threadsafe(self._carrier.warm, list(domains))

    def resting(self) -> Mapping[str, Outcome]:
        """The relays that are left alone for now, and why: a refused login, a quota, no answer."""
        return self._carrier.resting()

    def close(self) -> None:
        """Stop, wait for open dots within their limit, say QUIT, and end the thread. Can be called twice."""
        self.stop()
        with self._start_lock:
            self._closed = True
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
            if loop is None or thread is None:
                return
            if self._stream is not None:
                self._stream.close()
            asyncio.run_coroutine_threadsafe(self._carrier.close(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = uvloop.new_event_loop()
            self._loop.set_exception_handler(_log_loop_error)
            self._thread = threading.Thread(target=self._loop.run_forever, name="smtp-engine", daemon=True)
            self._thread.start()
        return self._loop

    def _outcomes(self, stream: Stream) -> Iterator[tuple[int, Outcome]]:
        finished = False
        try:
            while stream.in_flight:
                yield from stream.outcomes(_PATIENCE)
            finished = True
        finally:
            if not finished:
                self._abandoned = stream is self._stream
                stream.stop()


def _pool(
    relay: Relay,
    connections: int | None,
    door: Callable[[], Awaitable[Session]],
    limits: Limits,
    clock: Callable[[], float],
    journal: Journal | None,
) -> Pool:
    manners = Manners(
        connections=connections or relay.connections, depth=relay.depth, chunking=relay.chunking
    )
    return Pool(str(relay), door, manners=manners, limits=limits, clock=clock, journal=journal)


def _door(relay: Relay, ehlo_name: str, limits: Limits) -> Callable[[], Awaitable[Session]]:
    """Opens sessions to this relay; its TLS context is made once."""
    contexts: list[ssl.SSLContext | None] = []

    async def open_door() -> Session:
        if not contexts:
            try:
                contexts.append(tls_context(relay))
            except (OSError, ValueError):
                text = "the file named by the option ca is not a PEM certificate"
                raise Refusal(unanswered(Phase.TLS, Reason.NO_TLS, text=text)) from None
        return await open_session(relay, ehlo_name=ehlo_name, limits=limits, context=contexts[0])

    return open_door


def _log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Errors of the event loop by their type alone: asyncio's own line shows arguments and buffers."""
    _log.error("smtp_loop_error", extra={"error": type(context.get("exception")).__name__})
