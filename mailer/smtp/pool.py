"""The connections to one host: opened as letters wait, kept, replaced, and closed with a goodbye.

A host is asked once: when it does not let the first connection in, nobody
tries a second. One that refuses only some connections keeps those it has.
Lives on the engine's thread.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from mailer.smtp.bdat import BdatPipeline
from mailer.smtp.journal import Journal
from mailer.smtp.limits import Limits
from mailer.smtp.manners import Manners
from mailer.smtp.outcome import HOST_PAUSE, Fault, Outcome, Reason, Verdict, decided_here
from mailer.smtp.pipeline import Pipeline
from mailer.smtp.session import Refusal, Session
from mailer.smtp.voice import Voice
from mailer.smtp.waiting import Waiting

_LOCK_STEP_FOR = 24 * 3600.0  # seconds a host gets one command at a time after it broke the protocol
_FRUITLESS_CONNECTIONS = 3  # lost in a row without an answer for any letter: the host is left alone
_COLD_FOR = 60.0  # seconds without opening connections ahead of letters after one was refused
_CROWDED_FOR = 60.0  # seconds without a further connection after one was refused beside others
_COUNTED_FOR = 3600.0  # seconds for which a host is believed to end connections after so many letters

_log = logging.getLogger(__name__)


class Pool:
    """Owns the connections to one host. Serves one `Waiting` after another."""

    def __init__(
        self,
        name: str,
        open_door: Callable[[], Awaitable[Session]],
        *,
        manners: Manners,
        limits: Limits,
        clock: Callable[[], float],
        journal: Journal | None,
    ) -> None:
        """`open_door` makes a session, or raises Refusal. `name` is for people."""
        self.name = name
        self.waiting = Waiting(_Nobody(), lambda _: None)
        self._open_door = open_door
        self._manners = manners
        self._limits = limits
        self._clock = clock
        self._journal = journal
        self._freed: Callable[[], None] = lambda: None
        self._idle: list[Pipeline] = []
        self._busy: set[Pipeline] = set()
        self._serving: set[asyncio.Task[None] | asyncio.Task[bool]] = set()
        self._farewells: set[asyncio.Task[None]] = set()
        self._voice = Voice()
        self._let_in = False  # the host took our last attempt at a connection
        self._refusal: Outcome | None = None
        self._fruitless = 0
        self._crowded_until = self._cold_until = float("-inf")
        self._lock_step_until = self._counted_until = float("-inf")
        self._ended_after = self._counted = 0  # letters on a connection that the host ended; twice so many

    def serve(self, waiting: Waiting, freed: Callable[[], None] = lambda: None) -> None:
        """Take letters from here from now on. `freed` hears that a connection is not at work any more."""
        self.waiting = waiting
        self._freed = freed

    @property
    def is_unused(self) -> bool:
        """True when nothing waits, works or is kept here."""
        return not (self.waiting.in_hand or self._serving or self.resting or self._farewells)

    @property
    def resting(self) -> int:
        """How many connections are kept without work."""
        self._idle = [pipeline for pipeline in self._idle if not pipeline.over]
        return len(self._idle)

    def let_rest_go(self, count: int) -> int:
        """Say goodbye on that many of the connections without work; returns how many there were."""
        gone = self._idle[: max(0, count)]
        del self._idle[: len(gone)]
        for pipeline in gone:
            self._retire(pipeline)
        return len(gone)

    def wake(self) -> None:
        """Letters wait: put connections to work, as many as there may be."""
        room = self._manners.room
        if not self._let_in or asyncio.get_running_loop().time() < self._crowded_until:
            room = min(room, 1 - len(self._serving))
        for _ in range(min(room, len(self.waiting))):
            task = asyncio.get_running_loop().create_task(self._serve())
            self._serving.add(task)
            self._manners.serving += 1
            task.add_done_callback(self._served)

    def warm(self, most: int | None = None) -> None:
        """Open connections for letters to come, as many as there may be (or `most`), and say nothing on them.

        A host that refuses is left in peace until letters knock, or a minute has passed.
        """
        if asyncio.get_running_loop().time() < max(self._crowded_until, self._cold_until):
            return
        room = self._manners.room - self.resting
        if not self._let_in:
            room = min(room, 1 - len(self._serving))
        for _ in range(room if most is None else min(most, room)):
            self._manners.serving += 1
            task = asyncio.get_running_loop().create_task(self._warm_one())
            self._serving.add(task)
            task.add_done_callback(partial(self._warmed, most=most))

    async def _warm_one(self) -> bool:
        try:
            pipeline = await self._open_connection()
        except Refusal as refusal:
            self._cold_until = asyncio.get_running_loop().time() + _COLD_FOR
            _log_refusal(refusal.outcome)
            return False
        self._idle.append(pipeline)
        return True

    def _warmed(self, task: asyncio.Task[bool], most: int | None) -> None:
        self._serving.discard(task)
        self._manners.serving -= 1
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.error("smtp_pool_error", extra={"error": type(error).__name__})
        elif task.result() and not self._let_in:
            self._let_in = True
            self.warm(most and most - 1)
        if self.waiting.offers:
            self.wake()
        self._freed()

    def heard(self, outcome: Outcome) -> None:
        """What became of a letter: the host may be given more to do, or less from now on."""
        if not self._manners.heard(outcome):
            return
        for pipeline in list(self._busy)[: max(0, -self._manners.room)]:
            pipeline.retire()
        self.wake()

    async def close(self) -> None:
        """Say QUIT on every connection, and cut those on which withdrawn letters still wait for replies."""
        for pipeline in list(self._busy):
            pipeline.drop()
        if self._serving:
            for task in self._serving:
                task.cancel()
            await asyncio.wait(self._serving)
        while self._idle:
            self._retire(self._idle.pop())
        if self._farewells:
            await asyncio.wait(self._farewells)

    # --- one place for a connection

    async def _serve(self) -> None:
        """A lost connection is replaced while letters wait and the host lets us in."""
        # Not while a stop is on its way: nothing would be waited for, and the loop would never hear of it.
        while self.waiting.offers and self._manners.room >= 0:
            try:
                pipeline = await self._connection()
            except Refusal as refusal:
                self._refusal = refusal.outcome
                _log_refusal(refusal.outcome)
                return
            if not self._let_in:
                self._let_in = True
                self.wake()
            fresh, credited = pipeline.replies_credited == 0, pipeline.replies_credited
            waiting = self.waiting
            self._busy.add(pipeline)
            try:
                await pipeline.run(waiting)
            finally:
                self._busy.discard(pipeline)
            if pipeline.stumbled:
                waiting.settle_left(pipeline)
            elif pipeline.over and not pipeline.was_ended_by_us:
                self._note_end(pipeline.replies_credited)
            self._release(pipeline)
            if pipeline.replies_credited > credited:
                self._fruitless, self._refusal = 0, None
            elif fresh and (pipeline.over or pipeline.too_old) and not pipeline.was_ended_by_us:
                self._fruitless += 1
                if self._fruitless >= _FRUITLESS_CONNECTIONS:
                    self._refusal = gave_up()
                    return

    def _served(self, task: asyncio.Task[None]) -> None:
        self._serving.discard(task)
        self._manners.serving -= 1
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _log.error("smtp_pool_error", extra={"error": type(error).__name__})
            self._refusal = _stumbled()
        refusal = self._refusal
        if refusal is not None and self._serving:  # the others go on
            self._crowded_until = asyncio.get_running_loop().time() + _CROWDED_FOR
        elif refusal is not None:
            self._refusal, self._fruitless, self._let_in = None, 0, False
            self.waiting.refuse(refusal)
        elif self.waiting.offers:
            self.wake()
        self._freed()

    async def _connection(self) -> Pipeline:
        """A kept connection, or one attempt at a new one; raises Refusal."""
        while self._idle:
            pipeline = self._idle.pop()
            if not pipeline.over and not pipeline.too_old:
                return pipeline
            self._retire(pipeline)
        return await self._open_connection()

    async def _open_connection(self) -> Pipeline:
        session = await self._open_door()
        limits, clock, journal, letters = self._limits, self._clock, self._journal, self._letters
        lock_step = asyncio.get_running_loop().time() < self._lock_step_until
        features = session.features
        if self._manners.chunking and features.chunking and features.pipelining and not lock_step:
            return BdatPipeline(
                session,
                limits=limits,
                clock=clock,
                journal=journal,
                letters=letters,
                manners=self._manners,
                voice=self._voice,
            )
        return Pipeline(
            session, limits=limits, clock=clock, journal=journal, letters=letters, lock_step=lock_step
        )

    @property
    def _letters(self) -> int | None:
        """The most that a new connection may carry."""
        if asyncio.get_running_loop().time() >= self._counted_until:
            return self._manners.letters
        return min(self._counted, self._manners.letters or self._counted)

    def _note_end(self, letters: int) -> None:
        """Two connections that the host ended after the same number of letters tell its limit.

        Within it nothing rides behind a connection's last letter, to be lost there and tried again later.
        """
        if letters and letters == self._ended_after:
            self._counted = letters
            self._counted_until = asyncio.get_running_loop().time() + _COUNTED_FOR
        self._ended_after = letters

    def _release(self, pipeline: Pipeline) -> None:
        if pipeline.broke_protocol:
            self._voice = Voice()
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


class _Nobody:
    """Listens until the pool serves somebody."""

    stopping = True

    def tell(self, letter_id: int, outcome: Outcome) -> None:
        """Nothing was put here."""


def gave_up() -> Outcome:
    """The outcome of letters left over when the host hangs up again and again."""
    return decided_here(
        Verdict.DEFERRED,
        Fault.RELAY,
        Reason.LOST,
        text="the relay closed connection after connection without an answer",
        retry_after=HOST_PAUSE,
    )


def _stumbled() -> Outcome:
    """The outcome of letters that wait for a host which a mistake of ours keeps us from reaching."""
    return decided_here(
        Verdict.DEFERRED,
        Fault.RELAY,
        Reason.CONNECT,
        text="an error in this program: its log names it",
        retry_after=HOST_PAUSE,
    )


def _log_refusal(outcome: Outcome) -> None:
    fields = {"phase": str(outcome.phase), "reason": str(outcome.reason), "code": outcome.code}
    _log.warning("smtp_relay_refused", extra=fields)
