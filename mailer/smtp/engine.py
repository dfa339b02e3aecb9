"""The engine: hands letters to a relay over a few kept connections and says what became of each.

An ordinary, synchronous face over a private thread with its own event loop.
Every letter gets exactly one outcome. A relay that refuses is an outcome,
never an exception, and is asked once per call: the letters that are left are
deferred. No letter is ever offered again after its final dot was written.
"""

import asyncio
import contextlib
import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

import uvloop

from mailer.smtp.batch import Batch, gave_up
from mailer.smtp.journal import Journal
from mailer.smtp.letter import Letter
from mailer.smtp.limits import Limits
from mailer.smtp.outcome import Outcome, Phase, Reason, unanswered
from mailer.smtp.pipeline import Pipeline
from mailer.smtp.relay import Relay
from mailer.smtp.session import Refusal, open_session, tls_context

_LOCK_STEP_FOR = 24 * 3600.0  # seconds a relay gets one command at a time after it broke the protocol
_FRUITLESS_CONNECTIONS = 3  # lost in a row without an answer for any letter: the relay is left alone
_EHLO_NAME = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f.:Iv]+\])\Z", re.IGNORECASE
)

_log = logging.getLogger(__name__)


class Engine:
    """Owns the connections to one relay. One `send()` at a time; the thread starts with the first one."""

    def __init__(
        self,
        relay: Relay,
        *,
        ehlo_name: str,
        journal: Journal | None = None,
        connections: int | None = None,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ehlo_name` is this host's name in EHLO. `clock` is the one that `Letter.not_after` speaks of."""
        if not _EHLO_NAME.match(ehlo_name):
            raise ValueError("the EHLO name must be a host name such as mail.example.org, or an [IP address]")
        self._relay = relay
        self._ehlo_name = ehlo_name
        self._journal = journal
        self._connections = connections or relay.connections
        self._limits = limits or Limits()
        self._clock = clock
        self._context: ssl.SSLContext | None = None
        self._idle: list[Pipeline] = []
        self._farewells: set[asyncio.Task[None]] = set()
        self._lock_step_until = float("-inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._batch: Batch | None = None
        self._running: Future[None] | None = None
        self._closed = False

    def send(self, letters: Sequence[Letter]) -> Iterator[tuple[int, Outcome]]:
        """Send the letters; yields (id, outcome) as each becomes known, exactly one for every letter.

        Work begins at once, also before the first outcome is asked for. An
        iterator that is dropped stops what has no dot yet; what was under way
        is then known to the journal only. Raises ValueError when an id occurs
        twice, RuntimeError when the engine is closed or already sending.
        """
        if len({letter.id for letter in letters}) != len(letters):
            raise ValueError("two letters have the same id: their outcomes could not be told apart")
        with self._start_lock:
            loop = self._ready_loop()
            batch = Batch(letters, loop)
            self._batch = batch
            self._running = asyncio.run_coroutine_threadsafe(self._run(batch), loop)
        return _outcomes(batch, self._running, self.stop)

    def stop(self) -> None:
        """Give back every letter that has no dot yet (deferred, `stopped`); open dots are waited for.

        Returns at once; may be called from any thread and from a signal handler.
        """
        batch, loop = self._batch, self._loop
        if batch is not None and loop is not None and loop.is_running():
            batch.stop()  # at once: a dot must not slip out while the loop is busy
            loop.call_soon_threadsafe(batch.empty)

    def close(self) -> None:
        """Stop, wait for open dots within their limit, say QUIT, and end the thread. Can be called twice."""
        self.stop()
        with self._start_lock:
            self._closed = True
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
            if loop is None or thread is None:
                return
            if self._running is not None:
                with contextlib.suppress(Exception):  # was raised to whoever called send()
                    self._running.result()
            asyncio.run_coroutine_threadsafe(self._say_goodbye(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ready_loop(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise RuntimeError("the engine is closed: make a new one to send again")
        if self._running is not None and not self._running.done():
            if self._batch is None or not self._batch.abandoned:
                raise RuntimeError(
                    "the engine is sending already: read all outcomes first, or use a second engine"
                )
            with contextlib.suppress(Exception):
                self._running.result()
        if self._loop is None:
            self._loop = uvloop.new_event_loop()
            self._loop.set_exception_handler(_log_loop_error)
            self._thread = threading.Thread(target=self._loop.run_forever, name="smtp-engine", daemon=True)
            self._thread.start()
        return self._loop

    # --- on the loop's thread

    async def _run(self, batch: Batch) -> None:
        try:
            if batch.has_letters:
                first = await self._connection(batch)
                if first is not None:
                    more = min(self._connections, len(batch)) - 1
                    await asyncio.gather(
                        self._serve(batch, first), *(self._serve(batch, None) for _ in range(more))
                    )
            if batch.has_letters:  # stopped, or nobody is left to carry them
                batch.halt(batch.refusal or gave_up())
        finally:
            batch.finish()

    async def _serve(self, batch: Batch, pipeline: Pipeline | None) -> None:
        """One place for a connection: a lost one is replaced while letters wait and the relay lets us in."""
        while pipeline is not None or (batch.has_letters and batch.halted is None):
            pipeline = pipeline or await self._connection(batch)
            if pipeline is None:
                return
            fresh, credited = pipeline.replies_credited == 0, pipeline.replies_credited
            await pipeline.run(batch)
            self._release(pipeline)
            if pipeline.replies_credited > credited:
                batch.fruitless = 0
            elif fresh and (pipeline.over or pipeline.too_old):
                batch.fruitless += 1
                if batch.fruitless >= _FRUITLESS_CONNECTIONS:
                    batch.halt(gave_up())
            pipeline = None

    def _release(self, pipeline: Pipeline) -> None:
        if pipeline.broke_protocol:
            self._lock_step_until = asyncio.get_running_loop().time() + _LOCK_STEP_FOR
            _log.warning("smtp_protocol_error")
        if pipeline.over:
            return
        if pipeline.too_old:
            self._retire(pipeline)
        else:
            self._idle.append(pipeline)

    def _retire(self, pipeline: Pipeline) -> None:
        farewell = asyncio.get_running_loop().create_task(pipeline.quit())
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)

    async def _connection(self, batch: Batch) -> Pipeline | None:
        """A kept connection, or one attempt at a new one; None and `batch.refusal` when the relay refuses."""
        while self._idle:
            pipeline = self._idle.pop()
            if not pipeline.over and not pipeline.too_old:
                return pipeline
            self._retire(pipeline)
        try:
            session = await open_session(
                self._relay, ehlo_name=self._ehlo_name, limits=self._limits, context=self._tls_context()
            )
        except Refusal as refusal:
            batch.refusal = refusal.outcome
            _log_refusal(refusal.outcome)
            return None
        return Pipeline(
            session,
            limits=self._limits,
            clock=self._clock,
            journal=self._journal,
            lock_step=asyncio.get_running_loop().time() < self._lock_step_until,
        )

    def _tls_context(self) -> ssl.SSLContext | None:
        if self._context is None:
            try:
                self._context = tls_context(self._relay)
            except (OSError, ValueError):
                text = "the file named by the option ca is not a PEM certificate"
                raise Refusal(unanswered(Phase.TLS, Reason.NO_TLS, text=text)) from None
        return self._context

    async def _say_goodbye(self) -> None:
        while self._idle:
            self._retire(self._idle.pop())
        if self._farewells:
            await asyncio.wait(self._farewells)


def _outcomes(batch: Batch, running: Future[None], stop: Callable[[], None]) -> Iterator[tuple[int, Outcome]]:
    finished = False
    try:
        while (known := batch.results.get()) is not None:
            yield from known
        finished = True
        running.result()
    finally:
        if not finished:
            batch.abandoned = True
            stop()


def _log_refusal(outcome: Outcome) -> None:
    fields = {"phase": str(outcome.phase), "reason": str(outcome.reason), "code": outcome.code}
    _log.warning("smtp_relay_refused", extra=fields)


def _log_loop_error(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    """Errors of the event loop by their type alone: asyncio's own line shows arguments and buffers."""
    _log.error("smtp_loop_error", extra={"error": type(context.get("exception")).__name__})
